"""Task ``control``: how near the answer comes to the number of tokens that is asked for by the marker.

Unlike task ``length``, where staying below the limit is enough, an answer succeeds here if its length, counted as the
marker counts it, lies within a tenth of the wanted one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.errors import ConfigError, DataError
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Message, Metric, Request
from ttmarkers_plugins.extractors.length import SpacyCounter
from ttmarkers_plugins.marker_types import LANGUAGES
from ttmarkers_plugins.tasks.length import sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.records import Generation, Value


@dataclass(frozen=True)
class ControlCase:
    """An instruction, and the number of tokens that its answer should have."""

    id: str
    instruction: str
    tokens: int
    known: Mapping[str, Value] = field(default_factory=dict)
    group: str = ""

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched."""
        return (self.instruction,)


class ControlTask:
    """Share of answers whose ``length_tokens`` is within a tenth of the wanted number.

    Args:
        lengths: the numbers of tokens that each instruction is asked with.
        lang: the language whose tokenizer counts.
        tolerance: how far from the wanted number still counts as kept, as a share of it.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "adherence": Metric("higher"),
        "error": Metric("lower", share=False),
        "length": Metric("neither", share=False),
    }

    def __init__(
        self, lengths: Sequence[int] = (10, 20, 50, 100, 150), lang: str = "English", tolerance: float = 0.1
    ) -> None:
        if lang not in LANGUAGES:
            raise ConfigError(f"evaluate.options.control.lang = {lang!r} is no language of the taxonomy")
        if not lengths or min(lengths) < 1:
            raise ConfigError(f"evaluate.options.control.lengths = {list(lengths)}: give whole numbers from 1 on")
        self._lengths = tuple(lengths)
        self._lang = lang
        self._tolerance = tolerance
        self._counter = SpacyCounter()

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[ControlCase]:
        """Read rows with ``original_instruction``, ``instruction`` or ``prompt``; each is asked once a length."""
        cases = []
        for number, row in enumerate(sample() if rows is None else rows, 1):
            text = next((row[key] for key in ("original_instruction", "instruction", "prompt") if row.get(key)), None)
            if not isinstance(text, str):
                raise DataError(f"row {number}: task control needs a text instruction or prompt")
            name = row.get("id", number)
            cases += [
                ControlCase(f"{name}@{tokens}", text, tokens, known_markers(row), str(name)) for tokens in self._lengths
            ]
        return cases

    def request(self, case: ControlCase, policy: str) -> Request:
        """Ask with the marker under ``fixed``; other policies have no way to ask for a number of tokens."""
        markers = {"length_tokens": case.tokens} if policy == "fixed" else {}
        return Request(case.id, (Message("user", case.instruction),), markers)

    def score(self, case: ControlCase, generation: Generation) -> dict[str, float]:
        """Count the answer's tokens and compare."""
        length = self._counter.count(generation.text, self._lang)[0]
        error = abs(length - case.tokens) / case.tokens
        return {"adherence": float(error <= self._tolerance), "error": error, "length": float(length)}

    def slices(self, case: ControlCase) -> dict[str, str]:
        """Break down by the wanted number of tokens."""
        return {"tokens": f"{case.tokens:04d}"}
