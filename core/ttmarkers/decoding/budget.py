"""Length that holds: an answer is ended where a limit would be passed, at the end of a sentence if there is one.

What a marker counts is counted by the extractor that counted the training data. An answer that had to be cut kept its
limit by force and did not obey, so every cut is reported beside it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ttmarkers.annotation.extraction import Row
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Extractor
from ttmarkers.records import Example, Message, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ttmarkers.components import ExtractorComponent
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

WORDS = "words"
UNCOUNTED = 10**9
_SENTENCE = re.compile(r"[.!?…؟।۔]+[\"'”’»)\]]*(?=\s|\Z)|[。！？]+[」』”’）]*|\n\s*\n")
_ITEM = re.compile(r"(?:\A|\n)[ \t]*\(?(?:\d{1,3}|[A-Za-z])[.)]\Z")  # the number of a list's item ends no sentence
_SIGN = re.compile(r"\S")
_WORD = re.compile(r"\s+|(?<=[\u3040-\u30ff\u4e00-\u9fff])")


@dataclass(frozen=True)
class Limit:
    """At most so many of something: ``count`` says how many a text has."""

    name: str
    most: int
    count: Callable[[str], int]


@dataclass(frozen=True)
class Budget:
    """The limits of one answer."""

    limits: tuple[Limit, ...]

    def exceeded(self, text: str) -> bool:
        """Say whether a text is longer than it may be."""
        return any(limit.count(text) > limit.most for limit in self.limits)

    def settled(self, text: str) -> int:
        """Return how many characters of an unfinished text `fit` will keep whatever follows: its whole sentences."""
        ends = [found.end() for found in _SENTENCE.finditer(text[:-1]) if found.end() < len(text)]
        return ends[-1] if ends and not self.exceeded(text) else 0

    def fit(self, text: str) -> tuple[str, dict[str, int]]:
        """Return a text that keeps all limits, and those that it had to be cut for.

        It ends with a sentence if any ends within the limits, else with a word, else anywhere.
        """
        passed = {limit.name: limit.most for limit in self.limits if limit.count(text) > limit.most}
        if not passed:
            return text, {}
        for borders in (_SENTENCE, _WORD, _SIGN):
            ends = [found.end() for found in borders.finditer(text)]
            ends = [end for end in ends if borders is not _SENTENCE or not _ITEM.search(text[max(0, end - 12) : end])]
            most = bisect_left(ends, True, key=lambda end: self.exceeded(text[:end].rstrip()))
            piece = text[: ends[most - 1]].rstrip() if most else ""
            if piece:
                return piece, passed
        return "", passed


class Budgets:
    """Makes the budget of a request.

    Args:
        taxonomy: of the model.
        extractors: those that count.
        hard: whether numbers that are asked for by a marker are limits.
        max_words: a limit of words for every answer, counted as AlpacaEval-LI does.
    """

    def __init__(
        self, taxonomy: Taxonomy | None, extractors: Registry[ExtractorComponent], *, hard: bool, max_words: int | None
    ) -> None:
        self._taxonomy, self._extractors = taxonomy, extractors
        self._hard, self._max_words = hard, max_words
        self._made: dict[str, Extractor] = {}

    def make(self, asked: Mapping[str, Value], known: Mapping[str, Value]) -> Budget | None:
        """Return the limits of one answer; None if there are none.

        Args:
            asked: markers that the user asked for.
            known: all markers of its block, by which a counter knows the language.
        """
        limits = []
        if self._hard and self._taxonomy is not None:
            for kind in self._taxonomy:
                count = self._counter(kind.name, known) if kind.kind == "int" and kind.name in asked else None
                if count is not None:
                    limits.append(Limit(kind.name, int(asked[kind.name]), count))
        if self._max_words is not None:
            limits.append(Limit(WORDS, self._max_words, self._words))
        return Budget(tuple(limits)) if limits else None

    def _counter(self, name: str, known: Mapping[str, Value]) -> Callable[[str], int] | None:
        if name not in self._made:
            component = next((c for c in self._counting if name in c.markers), None)
            made = build(component) if component else None
            if not isinstance(made, Extractor):
                return None
            self._made[name] = made
        extractor = self._made[name]

        def count(text: str) -> int:
            if not text.strip():
                return 0
            example = Example("answer", (Message("user", ""),), text, {}, Origin("answer", 1))
            (found,) = extractor.extract([Row(example, dict(known))])
            # what cannot be counted is taken to be beyond every limit, so that a piece of it is kept that can be
            return int(found[name].value) if not isinstance(found, Exception) and name in found else UNCOUNTED

        return count

    @cached_property
    def _counting(self) -> list[ExtractorComponent]:
        """The extractors that look at nothing but the answer."""
        found = [entry.component for entry in self._extractors]
        return [each for each in found if each.default and each.reads == ("completion",) and not each.fits]

    @cached_property
    def _words(self) -> Callable[[str], int]:
        return word_counter()


def word_counter() -> Callable[[str], int]:
    """Return a function that counts words as AlpacaEval-LI does: NLTK's word tokens, punctuation left out."""
    from nltk.tokenize import NLTKWordTokenizer

    tokenizer = NLTKWordTokenizer()

    def count(text: str) -> int:
        return sum(any(char.isalnum() for char in token) for token in tokenizer.tokenize(text))

    return count
