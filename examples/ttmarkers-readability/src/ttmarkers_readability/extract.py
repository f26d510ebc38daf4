"""The extractor of ``readability``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.records import Found
from ttmarkers_readability.formula import NEWSPAPERS, level, lix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject
    from ttmarkers.records import Value

WORDS = 40  # with fewer, one long word or sentence more would change the level
NO_SENTENCES = ("JSON", "XML", "Tabular", "Latex")


class LixExtractor:
    """Finds ``readability`` of prose; says nothing of code, of short texts, or of languages without figures.

    Args:
        words: the fewest words that are judged.
    """

    def __init__(self, words: int = WORDS) -> None:
        if words < 1:
            raise ValueError(f"words = {words}: give at least 1")
        self._words = words

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the level of each completion, or nothing where the formula does not apply."""
        return [self._one(subject.example.completion, subject.markers) for subject in batch]

    def _one(self, text: str, markers: Mapping[str, Value]) -> Mapping[str, Found]:
        language = markers.get("lang")
        if language not in NEWSPAPERS or markers.get("code_type") or markers.get("format") in NO_SENTENCES:
            return {}
        if "```" in text or "~~~" in text:  # code of a language that code_type does not know
            return {}
        score = lix(text, self._words)
        return {} if score is None else {"readability": Found(level(score, str(language)))}
