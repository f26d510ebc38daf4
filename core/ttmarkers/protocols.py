"""What a component's factory must return: one protocol for each kind of component."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.annotation.guides import Briefing
    from ttmarkers.annotation.tagging import TaggerJob, TaggerReport
    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.config import Config
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.errors import DataError
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.provenance import Part
    from ttmarkers.records import Example, Found, Generation, Metric, Request, Score, Spending, Value
    from ttmarkers.training.job import TrainingJob


@runtime_checkable
class Subject(Protocol):
    """What an extractor sees of one row: the example, and the markers that were found before it."""

    @property
    def example(self) -> Example:
        """The example itself."""
        raise NotImplementedError

    @property
    def markers(self) -> Mapping[str, Value]:
        """Markers found so far, those that the extractor needs among them if they were found."""
        raise NotImplementedError


@runtime_checkable
class Extractor(Protocol):
    """Finds markers of examples, a batch at a time; deterministic, and the same in any batch."""

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found] | DataError]:
        """Return what was found for each example, in order; a marker that is not known is left out.

        A `DataError` in the place of a result makes that row a bad one. A `ConfigError` that is raised ends the run.
        """
        raise NotImplementedError


@runtime_checkable
class GuidedExtractor(Protocol):
    """An extractor that finds any marker by what is said of its values; told once, before it is asked."""

    def prepare(self, briefing: Briefing) -> None:
        """Take in which markers are wanted and what is said of them."""
        raise NotImplementedError


@runtime_checkable
class PaidExtractor(Protocol):
    """An extractor that costs something, and says beforehand how much (``ttm annotate --dry-run``)."""

    def estimate(self, batch: Sequence[Subject]) -> Spending:
        """Return what extracting from these rows would take; nothing is sent."""
        raise NotImplementedError


@runtime_checkable
class TrainableExtractor(Protocol):
    """What an extractor's factory is, if it can be trained on tagged rows (``ttm tagger train``)."""

    def train(self, job: TaggerJob) -> TaggerReport:
        """Train a tagger, write its folder, and return how it agrees with rows that it was not trained on."""
        raise NotImplementedError


@runtime_checkable
class FittedExtractor(Protocol):
    """Finds markers from the other markers, once those of the whole data set are known (quartiles).

    It sees markers only, not texts. ``state`` holds what was fitted, as JSON; it is stored beside the data, travels
    with the model, and is applied to new data by `load`.
    """

    def observe(self, markers: Mapping[str, Value]) -> None:
        """Take in the markers of one row of the data that is fitted on."""
        raise NotImplementedError

    def fit(self) -> Mapping[str, Any]:
        """Fit what was observed, and return the state."""
        raise NotImplementedError

    def load(self, state: Mapping[str, Any]) -> None:
        """Use a state that `fit` returned, now or in an earlier run."""
        raise NotImplementedError

    def find(self, markers: Mapping[str, Value]) -> Mapping[str, Found]:
        """Return what follows for a row with these markers; a marker that is not known is left out."""
        raise NotImplementedError


@runtime_checkable
class Strategy(Protocol):
    """Trains a model on marked rows and saves it with its ``markers.json``."""

    def train(self, job: TrainingJob) -> Path:
        """Run the job to its end, or go on with it, and return the folder of the finished model."""
        raise NotImplementedError


@runtime_checkable
class Policy(Protocol):
    """Chooses markers while decoding, and runs a model over requests."""

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield one generation for each request, in order."""
        raise NotImplementedError


class Case(Protocol):
    """One prompt of a task, with what is needed to score an answer to it.

    A case may have further attributes: ``prompts``, the texts by which a stored answer may be matched; ``known``,
    markers that it is known to have, by which results are broken down into head and tail; and ``group``, a name that
    it shares with the cases that ask the same prompt, which then count as one.
    """

    @property
    def id(self) -> str:
        """Name of the case, the same in every run on the same data."""
        raise NotImplementedError


@runtime_checkable
class Task(Protocol):
    """A measured use of a model: data, how to ask, how to score."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Each metric's name, and what it is; an attribute of the class will do."""
        raise NotImplementedError

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[Any]:
        """Return the cases of rows as they were published, or of the task's embedded sample if there are none."""
        raise NotImplementedError

    def request(self, case: Any, policy: str) -> Request:
        """Return what a model is asked under a policy, given by name: ``none``, ``inferred`` or ``fixed``."""
        raise NotImplementedError

    def score(self, case: Any, generation: Generation) -> Mapping[str, Score]:
        """Return the metrics of one answer; a metric that does not apply to it is left out."""
        raise NotImplementedError

    def slices(self, case: Any) -> Mapping[str, str]:
        """Return what results are broken down by, such as ``{"setting": "crosslingual"}``."""
        raise NotImplementedError


@dataclass(frozen=True)
class Setting:
    """What surrounds a task when it is run.

    Attributes:
        config: the whole config.
        plugins: all components.
        checkpoint: the content of the model's ``markers.json``; None for stored answers and models without one.
        against: case -> the answer of the system that is compared with (``--against``); empty if there is none.
        say: takes lines for people.
        asked: extractors that are asked about answers; a task that asks any adds the parts that they have.
    """

    config: Config
    plugins: Plugins
    checkpoint: Checkpoint | None = None
    against: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda line: None
    asked: list[Part] = field(default_factory=list)


@runtime_checkable
class PreparedTask(Protocol):
    """A task that looks at what surrounds it, once: after its cases are read, before any is asked or scored."""

    def prepare(self, setting: Setting) -> None:
        """Take in what is needed of the setting.

        Raises:
            ConfigError: if something is missing, such as answers to compare with.
        """
        raise NotImplementedError


@runtime_checkable
class ChoosingTask(Protocol):
    """A task that asks other cases under one policy than under another, such as each prompt once for each value."""

    def choose(self, cases: Sequence[Any], policy: str) -> Sequence[Any]:
        """Return the cases to ask under a policy, given by name: ``none``, ``inferred``, ``fixed``, or ``stored``."""
        raise NotImplementedError


@runtime_checkable
class BatchTask(Protocol):
    """A task that scores all answers together (programs run side by side, a judge is asked many things at once).

    Its `score_all` is called instead of `Task.score`.
    """

    @property
    def samples(self) -> int:
        """The number of answers that each case gets; an attribute will do."""
        raise NotImplementedError

    def score_all(self, cases: Sequence[Any], answers: Sequence[Sequence[Generation]]) -> Sequence[Mapping[str, Score]]:
        """Return the metrics of each case, given all answers to it."""
        raise NotImplementedError


@runtime_checkable
class PaidTask(Protocol):
    """A task whose scoring costs something, and that says beforehand how much (``ttm evaluate --dry-run``)."""

    def estimate(self, cases: Sequence[Any], answers: Sequence[Sequence[Generation]]) -> Spending:
        """Return what scoring these answers would take; nothing is sent."""
        raise NotImplementedError
