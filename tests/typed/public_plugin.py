"""A plugin as its author writes it: every hook, and what the factories of its components return. Checked, and run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.components import (
    ExtractorComponent,
    GuideComponent,
    MarkerType,
    PolicyComponent,
    ProfileComponent,
    StrategyComponent,
    TaskComponent,
    TaxonomyChange,
    TemplateComponent,
)
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.hookspecs import hookimpl
from ttmarkers.records import Found, Generation, Message, Metric, Request, Score, Spending, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.annotation.guides import Briefing
    from ttmarkers.annotation.tagging import TaggerJob, TaggerReport
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.protocols import (
        BatchTask,
        Case,
        ChoosingTask,
        Extractor,
        FittedExtractor,
        GuidedExtractor,
        PaidExtractor,
        PaidTask,
        Policy,
        PreparedTask,
        Setting,
        Strategy,
        Subject,
        Task,
        TrainableExtractor,
    )
    from ttmarkers.training.job import TrainingJob

HAPPY, SAD = ":-)", ":-("


class Mood:
    """Counts smileys, and costs a little."""

    def __init__(self, price: float = 0.0) -> None:
        self._price = price

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found] | DataError]:
        """Return the mood of each row that shows one."""
        return [self._mood(subject) for subject in batch]

    def estimate(self, batch: Sequence[Subject]) -> Spending:
        """Return what it takes to read these rows."""
        return Spending(requests=len(batch), cost=self._price * len(batch))

    @staticmethod
    def _mood(subject: Subject) -> Mapping[str, Found] | DataError:
        text = subject.example.completion
        if HAPPY in text and SAD in text:
            return DataError(f"{subject.example.origin}: happy and sad at once")
        if HAPPY in text:
            return {"mood": Found("happy", confidence=0.9, others=("calm",))}
        return {"mood": Found("sad")} if SAD in text else {}


class Guided(Mood):
    """Is told what values mean."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[MarkerType, ...] = ()

    def prepare(self, briefing: Briefing) -> None:
        """Take in what is wanted."""
        self._wanted = tuple(briefing.types)

    @staticmethod
    def train(job: TaggerJob) -> TaggerReport:
        """Learn nothing."""
        from ttmarkers.annotation.tagging import TaggerReport

        return TaggerReport({}, {kind.name: "nothing is learnt" for kind in job.types})


class Rarity:
    """Whether a row's mood is rare among all rows."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._state: Mapping[str, Any] = {}

    def observe(self, markers: Mapping[str, Value]) -> None:
        """Count the mood of a row."""
        if "mood" in markers:
            self._seen[str(markers["mood"])] += 1

    def fit(self) -> Mapping[str, Any]:
        """Return which mood is the rarest."""
        self._state = {"rarest": min(sorted(self._seen), key=self._seen.__getitem__, default="")}
        return self._state

    def load(self, state: Mapping[str, Any]) -> None:
        """Use what was found earlier."""
        self._state = state

    def find(self, markers: Mapping[str, Value]) -> Mapping[str, Found]:
        """Return whether a row's mood is the rarest."""
        if "mood" not in markers or not self._state["rarest"]:
            return {}
        return {"rare": Found("yes" if markers["mood"] == self._state["rarest"] else "no")}


class Still:
    """Trains nothing, and says so."""

    def train(self, job: TrainingJob) -> Path:
        """Write a note in the place of a model."""
        if job.resume:
            raise ConfigError("there is nothing to resume: leave out --resume")
        job.output.mkdir(parents=True, exist_ok=True)
        (job.output / "note.txt").write_text(f"{job.model} {job.config.seed}", encoding="utf-8")
        job.say("nothing was trained")
        return job.output


class Cheerful:
    """Asks every model that knows the mood for a happy one."""

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield an answer to each request, behind a block that holds the markers."""
        known: dict[str, Value] = {"mood": "happy"} if "mood" in engine.template.names else {}
        wanted = [{**known, **each.markers} for each in requests]
        prompts = [engine.prompt(each, markers) for each, markers in zip(requests, wanted, strict=True)]
        blocks = [engine.open(prompt, markers) for prompt, markers in zip(prompts, wanted, strict=True)]
        passes = engine.writer().write(blocks, [each.id for each in requests])
        begun = [engine.begin(*each) for each in zip(requests, blocks, passes, strict=True)]
        for each, answer in zip(begun, engine.answer(begun), strict=True):
            yield engine.generation(each, answer, "cheerful")


@dataclass(frozen=True)
class Wish:
    """A prompt, and the mood that its answer should have."""

    id: str
    text: str
    mood: str


class Smiles:
    """Share of answers that smile where they should."""

    metrics: Mapping[str, Metric] = {
        "smiles": Metric("higher"),
        "length": Metric("neither", share=False, combine=lambda sums: sums[0] / sums[1]),
    }
    samples = 1

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[Wish]:
        """Return the cases of rows, or of two of our own."""
        rows = [{"text": "Cheer up!", "mood": "happy"}, {"text": "Be sad.", "mood": "sad"}] if rows is None else rows
        cases: list[Wish] = []
        for number, row in enumerate(rows, 1):
            if not isinstance(row.get("text"), str) or row.get("mood") not in ("happy", "sad"):
                raise DataError(f"row {number}: write a text, and a mood that is happy or sad")
            cases.append(Wish(str(number), row["text"], row["mood"]))
        return cases

    def prepare(self, setting: Setting) -> None:
        """Say which model is measured."""
        setting.say(f"seed {setting.config.seed}, {len(setting.against)} answers to compare with")

    def choose(self, cases: Sequence[Wish], policy: str) -> Sequence[Wish]:
        """Return all cases, under any policy."""
        return cases if policy else []

    def request(self, case: Wish, policy: str) -> Request:
        """Ask for the mood by a marker where the policy takes markers."""
        markers: dict[str, Value] = {"mood": case.mood} if policy == "fixed" else {}
        return Request(case.id, (Message("user", case.text),), markers)

    def score(self, case: Wish, generation: Generation) -> Mapping[str, Score]:
        """Return whether an answer shows the mood, and its length."""
        shown = HAPPY if case.mood == "happy" else SAD
        return {"smiles": float(shown in generation.text), "length": (float(len(generation.text)), 1.0)}

    def score_all(self, cases: Sequence[Wish], answers: Sequence[Sequence[Generation]]) -> list[Mapping[str, Score]]:
        """Score all answers together."""
        return [self.score(case, found[0]) for case, found in zip(cases, answers, strict=True)]

    def estimate(self, cases: Sequence[Wish], answers: Sequence[Sequence[Generation]]) -> Spending:
        """Return that it costs nothing."""
        return Spending(requests=len(cases)) + Spending(known=len(answers))

    def slices(self, case: Wish) -> Mapping[str, str]:
        """Break results down by mood."""
        return {"mood": case.mood}


TEMPLATE = """\
{%- set before = " " -%}
{%- set after = "\\n" -%}
{%- set joiner = ", " -%}
{%- set codec = "text" -%}
{%- macro opening() -%}{{ "((" }}{%- endmacro -%}
{%- macro marker(name, value) -%}{{ name ~ " is " ~ value }}{%- endmacro -%}
{%- macro closing() -%}{{ "))" }}{%- endmacro -%}
"""
GUIDE = """\
markers:
  mood:
    question: How does the answer feel?
    reads: completion
    values:
      happy: {definition: It smiles.}
      sad: {definition: It does not.}
      calm: {definition: It does neither.}
"""


@hookimpl
def ttm_marker_types() -> Iterable[MarkerType]:
    """Yield two marker types."""
    yield MarkerType("mood", "How the answer feels.", "categorical", ("happy", "sad", "calm"), aliases={"gay": "happy"})
    yield MarkerType("rare", "Whether its mood is rare.", "categorical", ("yes", "no"))


@hookimpl
def ttm_taxonomy_changes() -> Iterable[TaxonomyChange]:
    """Add a value to a marker type of somebody else."""
    yield TaxonomyChange("robots", "Robots are a domain.", "domain", add=("Robotics",))


@hookimpl
def ttm_extractors() -> Iterable[ExtractorComponent]:
    """Yield the extractors."""
    yield ExtractorComponent("mood", "Counts smileys.", Mood, markers=("mood",), neutral=("price",))
    yield ExtractorComponent("guided", "Is told.", Guided, reads=("prompt", "completion"), default=False, guided=True)
    yield ExtractorComponent(
        "rarity", "Compares.", Rarity, markers=("rare",), reads=("markers",), needs=("mood",), fits=True
    )


@hookimpl
def ttm_templates() -> Iterable[TemplateComponent]:
    """Yield a template."""
    yield TemplateComponent("plain-words", "In words.", TEMPLATE)


@hookimpl
def ttm_training_strategies() -> Iterable[StrategyComponent]:
    """Yield a strategy."""
    yield StrategyComponent("still", "Trains nothing.", Still)


@hookimpl
def ttm_decoding_policies() -> Iterable[PolicyComponent]:
    """Yield a policy."""
    yield PolicyComponent("cheerful", "Always happy.", Cheerful, asks="fixed")


@hookimpl
def ttm_tasks() -> Iterable[TaskComponent]:
    """Yield a task."""
    yield TaskComponent("smiles", "Share of smiles.", Smiles)


@hookimpl
def ttm_profiles() -> Iterable[ProfileComponent]:
    """Yield a profile."""
    yield ProfileComponent("diary", "My diary.", "markers: {declared: {source: {constant: Human}}}")


@hookimpl
def ttm_guides() -> Iterable[GuideComponent]:
    """Yield a guide."""
    yield GuideComponent("mood", "What moods mean.", GUIDE)


@click.command()
@click.option("--times", default=1, help="How often.")
def smile(times: int) -> None:
    """Smile."""
    click.echo(HAPPY * times)


@hookimpl
def ttm_commands() -> Iterable[click.Command]:
    """Yield a command."""
    yield smile


# what the protocols ask for, the type checker finds out; at run time these are true as well
EXTRACTORS: tuple[type[Extractor], ...] = (Mood, Guided)
PAID: type[PaidExtractor] = Mood
GUIDED: type[GuidedExtractor] = Guided
TRAINABLE: TrainableExtractor = Guided()
FITTED: type[FittedExtractor] = Rarity
STRATEGY: type[Strategy] = Still
POLICY: type[Policy] = Cheerful
TASKS: Task = Smiles()
CASE: Case = Wish("1", "Cheer up!", "happy")
OF_TASKS: tuple[BatchTask, ChoosingTask, PaidTask, PreparedTask] = (Smiles(), Smiles(), Smiles(), Smiles())
