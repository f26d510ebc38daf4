"""What a component's factory must return: one protocol for each kind of component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.errors import DataError
    from ttmarkers.generation import Engine
    from ttmarkers.guides import Briefing
    from ttmarkers.records import Example, Found, Generation, Metric, Request, Spending, Value
    from ttmarkers.tagging import TaggerJob, TaggerReport
    from ttmarkers.training import TrainingJob


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
    """One prompt of a task, with what is needed to score an answer to it."""

    @property
    def id(self) -> str:
        """Name of the case, the same in every run on the same data."""
        raise NotImplementedError


@runtime_checkable
class Task(Protocol):
    """A measured use of a model: data, how to ask, how to score.

    ``metrics`` maps each metric's name to what it is.
    """

    metrics: Mapping[str, Metric]

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[Any]:
        """Return the cases of rows as they were published, or of the task's embedded sample if there are none."""
        raise NotImplementedError

    def request(self, case: Any, policy: str) -> Request:
        """Return what a model is asked under a policy, given by name: ``none``, ``inferred`` or ``fixed``."""
        raise NotImplementedError

    def score(self, case: Any, generation: Generation) -> Mapping[str, float]:
        """Return the metrics of one answer; a metric that does not apply to it is left out."""
        raise NotImplementedError

    def slices(self, case: Any) -> Mapping[str, str]:
        """Return what results are broken down by, such as ``{"setting": "crosslingual"}``."""
        raise NotImplementedError
