"""What a type checker must refuse: each line is wrong, and a comment that were not needed would be an error itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ttmarkers.components import ExtractorComponent, MarkerType, PolicyComponent
from ttmarkers.config import make_config
from ttmarkers.decoding.generation import Engine
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.protocols import Extractor, Policy, Strategy, Task
from ttmarkers.records import Found, Generation, Message, Metric, Request
from ttmarkers.training.job import TrainingJob, train

PLUGINS = create_plugins(third_party=False)
CONFIG = make_config({})


class NoExtractor:
    """Has a method of the right name that takes one row."""

    def extract(self, row: str) -> dict[str, Found]:
        """Return nothing."""
        return {}


class NoPolicy:
    """Yields texts, not generations."""

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[str]:
        """Yield texts."""
        yield from (request.id for request in requests)


class NoTask:
    """Lacks most methods."""

    metrics = {"smiles": Metric("higher")}  # noqa: RUF012 - wrong in more ways than one


EXTRACTOR: type[Extractor] = NoExtractor  # type: ignore[assignment]
POLICY: type[Policy] = NoPolicy  # type: ignore[assignment]
STRATEGY: Strategy = NoPolicy()  # type: ignore[assignment]
TASK: Task = NoTask()  # type: ignore[assignment]
KIND = MarkerType("mood", "How it feels.", "category", ("happy",))  # type: ignore[arg-type]
READS = ExtractorComponent("mood", "Counts.", "m:Mood", reads=("answer",))  # type: ignore[arg-type]
ASKS = PolicyComponent("happy", "Happy.", "m:Happy", asks="always")  # type: ignore[arg-type]
TEXT = Request("1", "Say hello.")  # type: ignore[arg-type]
MARKERS = Request("1", (Message("user", "Hi."),), {"lang": ["French"]})  # type: ignore[dict-item]
JOB = TrainingJob("marked.jsonl", "scratch:tiny", Path("model"), CONFIG, PLUGINS)  # type: ignore[arg-type]
FOLDER: str = train(JOB)  # type: ignore[assignment]
NAME: int = PLUGINS.extractors().get("langid").name  # type: ignore[assignment]
PLUGINS.extracters()  # type: ignore[attr-defined]
create_plugins(disabled=True)  # type: ignore[arg-type]


def longer(generation: Generation) -> None:
    """Change what is frozen."""
    generation.text = "longer"  # type: ignore[misc]
