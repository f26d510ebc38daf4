"""Lengths of a completion: tokens and sentences as the paper counts them, by spaCy; paragraphs; the bucket.

Source: D'souza et al. 2025, section 3: spaCy's language-specific tokenizer, not the model's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ttmarkers.records import Found
from ttmarkers_plugins.extractors.prose import segments
from ttmarkers_plugins.extractors.spacy_counts import Counter
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject
    from ttmarkers.records import Value

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣◦]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)])[ \t]+", re.MULTILINE)
MEDIUM, LONG = 300, 1000
UNKNOWN = "xx"  # spaCy's tokenizer for any language
# spaCy peels punctuation off a word one character at a time, so that a word of n characters takes n² steps
LONGEST_WORD = 2000
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}")


class SpacyCounter:
    """Counts tokens and sentences with spaCy, one blank pipeline for each language, made when first needed."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}

    def count(self, text: str, lang: str | None) -> tuple[int, int]:
        """Return the numbers of tokens and sentences of a text.

        Tokens are all that spaCy's tokenizer gives, punctuation and line breaks among them. Sentences are those of
        spaCy's sentencizer in the prose: what numbers or points at the items of a list does not end one, and a block
        of code is one. A run of more than `LONGEST_WORD` characters without white space is cut into pieces first.

        Args:
            text: the completion.
            lang: English name of its language, as in the taxonomy; None if it is not known.
        """
        code = LANGUAGES.get(lang, UNKNOWN) if lang else UNKNOWN
        if not countable(text, lang):
            text = _LONG_WORD.sub(r"\g<0> ", text)
        if code not in self._counters:
            self._counters[code] = Counter(code)
        count = self._counters[code].count
        if "```" not in text and "~~~" not in text and not _ITEM.search(text):
            plain = text.strip()
            return count(text) if plain == text else (count(text)[0], max(count(plain)[1], 1))
        parts = segments(text)
        fences = sum(part.code for part in parts)
        plain = _ITEM.sub("", "".join(part.text for part in parts if not part.code)).strip()
        return count(text)[0], max(count(plain)[1] + fences, 1)


def countable(text: str, lang: str | None) -> bool:
    """Tell whether a text has no run of characters without white space that is too long to be words."""
    return len(text) < LONGEST_WORD or lang in ("Chinese", "Japanese") or not _LONG_WORD.search(text)


class SpacyLengthExtractor:
    """Finds ``length_tokens`` and ``length_sentences``."""

    def __init__(self) -> None:
        self._counter = SpacyCounter()

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return both counts for each completion; none where there is no text, or no words to count."""
        return [self._one(subject.example.completion, subject.markers.get("lang")) for subject in batch]

    def _one(self, text: str, lang: Value | None) -> Mapping[str, Found]:
        name = str(lang) if lang else None
        if not text.strip() or not countable(text, name):
            return {}
        tokens, sentences = self._counter.count(text, name)
        return {"length_tokens": Found(tokens), "length_sentences": Found(sentences)}


class ParagraphExtractor:
    """Finds ``length_paragraphs``: stretches of text between blank lines."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the number of paragraphs of each completion."""
        return [{"length_paragraphs": Found(count_paragraphs(subject.example.completion))} for subject in batch]


def count_paragraphs(text: str) -> int:
    r"""Return the number of paragraphs of a text.

    >>> count_paragraphs("One.\n\nTwo,\nstill two.\n\n")
    2
    """
    stripped = text.strip()
    return len(_BLANK_LINES.split(stripped)) if stripped else 0


class LengthBucketExtractor:
    """Finds ``length_bucket`` from ``length_tokens``: concise under 300, medium to 1,000, long above."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the bucket of each example whose length is known."""
        found: list[Mapping[str, Found]] = []
        for subject in batch:
            tokens = subject.markers.get("length_tokens")
            found.append({} if tokens is None else {"length_bucket": Found(bucket(int(tokens)))})
        return found


def bucket(tokens: int) -> str:
    """Return the paper's length bucket.

    >>> bucket(299), bucket(300), bucket(1000), bucket(1001)
    ('concise', 'medium', 'medium', 'long')
    """
    if tokens < MEDIUM:
        return "concise"
    return "medium" if tokens <= LONG else "long"
