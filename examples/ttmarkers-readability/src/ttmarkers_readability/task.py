"""Task ``readability``: whether answers are as easy to read as they were asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.datasets import to_prompt
from ttmarkers.evaluation.finding import Finder
from ttmarkers.records import Message, Metric, Origin, Request
from ttmarkers_readability.formula import LEVELS, lix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation

IN_WORDS = {
    "easy": "Use short words and short sentences.",
    "medium": "Write as a newspaper does.",
    "hard": "Write as a scholarly article does.",
}
SAMPLE = (
    "Why do leaves change their colour in autumn?",
    "Explain what a bank does with the money of its customers.",
    "How do vaccines protect people?",
    "Describe how a bicycle stays upright.",
    "What did the Romans build, and how?",
    "Explain why the sea is salty.",
    "How does a country make its laws?",
    "What happens in a computer when it is turned on?",
)
"""The embedded sample, of our own."""


@dataclass(frozen=True)
class ReadabilityCase:
    """A prompt and the level that it is asked with; ``group`` is the name that the prompt has at all levels."""

    id: str
    group: str
    prompt: tuple[Message, ...]
    level: str

    @property
    def known(self) -> Mapping[str, str]:
        """The marker that a right answer has: results are broken down by how rare it was in training."""
        return {"readability": self.level}

    @property
    def in_words(self) -> tuple[Message, ...]:
        """The prompt with the level said in words."""
        *before, last = self.prompt
        return (*before, Message(last.role, f"{last.content} {IN_WORDS[self.level]}"))

    @property
    def prompts(self) -> tuple[str, ...]:
        """The texts by which a stored answer may be matched."""
        return (self.in_words[-1].content, self.prompt[-1].content)


class ReadabilityTask:
    """Each prompt is asked at each level: under ``fixed`` with the marker, under other policies in words.

    ``adherence``: share of answers whose level is the one asked for. ``measured``: share of answers of which a level
    can be told; one that is too short to tell adheres to none. ``lix``: the score of those of which it can.

    Args:
        levels: those that are asked for.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "adherence": Metric("higher"),
        "measured": Metric("higher"),
        "lix": Metric("neither", share=False),
    }

    def __init__(self, levels: Iterable[str] = LEVELS) -> None:
        self._levels = tuple(levels)
        unknown = [name for name in self._levels if name not in LEVELS]
        if unknown or not self._levels:
            raise ValueError(f"levels = {list(self._levels)}: choose among {', '.join(LEVELS)}")

    def prepare(self, setting: Setting) -> None:
        """Take the extractors that annotate data: an answer is judged as the training rows were."""
        self._finder = Finder(setting)

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[ReadabilityCase]:
        """Read rows with ``prompt``, ``instruction`` or ``messages``; each is a case at each level."""
        cases = []
        for number, row in enumerate([{"prompt": text} for text in SAMPLE] if rows is None else rows, 1):
            name, prompt = str(row.get("id", number)), to_prompt(row, Origin("data", number))
            cases += [ReadabilityCase(f"{name}@{level}", name, prompt, level) for level in self._levels]
        return cases

    def request(self, case: ReadabilityCase, policy: str) -> Request:
        """Ask by the marker where the policy takes one, in words where it does not."""
        if policy == "fixed":
            return Request(case.id, case.prompt, {"readability": case.level})
        return Request(case.id, case.in_words)

    def score(self, case: ReadabilityCase, generation: Generation) -> dict[str, float]:
        """Find the level of an answer and compare."""
        (found,) = self._finder.find([(case.id, case.prompt, generation.text)])
        level = found.get("readability")
        scores = {"adherence": float(level == case.level), "measured": float(level is not None)}
        score = None if level is None else lix(generation.text)
        return scores if score is None else {**scores, "lix": score}

    def slices(self, case: ReadabilityCase) -> dict[str, str]:
        """Break down by the level."""
        return {"level": case.level}
