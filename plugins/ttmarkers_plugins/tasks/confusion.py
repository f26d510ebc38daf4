"""The scoring of the Language Confusion Benchmark: does an answer keep to one language, line by line and word by word.

Source: Marchisio et al. 2024 (arXiv 2406.20052), and the code published with it. Its conventions:

- From a further line that starts with ``Q:`` on, an answer is left out: models without a chat format go on asking.
  Then ASCII punctuation and the Arabic comma are taken out, and an em dash becomes a space.
- A line is what line feeds separate. It is judged if it has five words: Chinese is cut by jieba's dictionary, spaces
  counted too; Japanese by a dictionary; all else at white space.
- An answer passes at line level if fastText calls every judged line the wanted language, with a score over 0.3. An
  answer without such a line is left out.
- Word level is asked only of answers that passed at line level, and only in six languages of other scripts than
  Latin. An answer passes if no word of its judged lines is English: in a fixed list, in lower case, of at least four
  letters. Capitals are not folded, so names do not count.

Where this differs: fastText's model is the compressed one; Japanese is cut by Sudachi's short units where the
benchmark has UniDic's; the English words are those of ``pyspellchecker``: all of the benchmark's in plain letters, and
as many again, rare ones and names in small letters.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from ttmarkers_plugins.extractors.language import LanguageIdentifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST_WORDS = 5
THRESHOLD = 0.3
LEAST_LETTERS = 4
_ENGLISH = re.compile(f"[a-z]{{{LEAST_LETTERS},}}")
NOT_LATIN = ("ar", "hi", "ja", "ko", "ru", "zh")
"""The languages, by ISO code, in which an English word is told by its letters."""

_STRIPPED = str.maketrans({**dict.fromkeys(string.punctuation + "،", ""), "—": " ", "\0": " "})
_NEXT_QUESTION = "\nQ:"
# Sudachi takes 65,535 bytes at once, after it has taken ligatures apart, of which one makes 33 bytes; a longer line is
# cut between words where it can be
_PIECE = re.compile(r".{1,1499}[\s。、]|.{1,1500}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What was found of one line that was long enough to be judged.

    Attributes:
        line: the line without punctuation, as it was judged.
        language: ISO code of the likeliest language, empty if the line has no letters.
        score: its probability.
        passed: whether that is the wanted language, and likely enough.
        english: the English words in it; always empty where the wanted language is written in Latin letters.
    """

    line: str
    language: str
    score: float
    passed: bool
    english: tuple[str, ...] = ()


class ConfusionScorer:
    """Scores answers as the Language Confusion Benchmark does. What a language needs is loaded when it is first asked.

    Languages are given as the benchmark names them, by ISO 639-1 code.
    """

    def score(self, text: str, target: str) -> dict[str, float]:
        """Return ``too_short``, and ``lpr`` and ``wpr`` where they apply; each is 0 or 1.

        Args:
            text: the answer, without any block.
            target: the language that it should be in.
        """
        lines = list(_judged(text, target))
        if not lines:
            return {"too_short": 1.0}
        if not all(self._identify(line, target)[2] for line, _ in lines):
            return {"lpr": 0.0, "too_short": 0.0}
        scores = {"lpr": 1.0, "too_short": 0.0}
        if target in NOT_LATIN:
            scores["wpr"] = float(not any(_english(words) for _, words in lines))
        return scores

    def line_verdicts(self, text: str, target: str) -> list[LineVerdict]:
        """Return what `score` rests on: each line that is long enough, with what was found of it."""
        return [
            LineVerdict(line, *self._identify(line, target), _english(words) if target in NOT_LATIN else ())
            for line, words in _judged(text, target)
        ]

    def _identify(self, line: str, target: str) -> tuple[str, float, bool]:
        """Return a line's language, its probability, and whether that passes."""
        code, score = self._identifier.identify(line)
        return code, score, code == target and score > THRESHOLD

    @cached_property
    def _identifier(self) -> LanguageIdentifier:
        return LanguageIdentifier()


def _judged(text: str, target: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of an answer that are long enough, and their words."""
    # half a surrogate pair, which no tokenizer takes, becomes a question mark and goes with the punctuation
    whole = text.encode("utf-8", "replace").decode()
    cut = _cutter(target)
    for line in whole.split(_NEXT_QUESTION)[0].strip().translate(_STRIPPED).split("\n"):
        words = cut(line)
        if len(words) >= LEAST_WORDS:
            yield line, words


def _english(words: list[str]) -> tuple[str, ...]:
    # most words are in another script and need no look at the list
    return tuple(word for word in words if _ENGLISH.fullmatch(word) and word in english_words())


@cache
def english_words() -> frozenset[str]:
    """Return the English words that may not stand in an answer in another script."""
    from spellchecker import SpellChecker

    found = SpellChecker(language="en").word_frequency.words()
    return frozenset(filter(_ENGLISH.fullmatch, found))


@cache
def _cutter(target: str) -> Callable[[str], list[str]]:
    """Return what cuts a line of a language into words."""
    if target == "zh":
        import rjieba

        return rjieba.cut
    return _japanese() if target == "ja" else str.split


def _japanese() -> Callable[[str], list[str]]:
    from sudachipy import Dictionary, SplitMode  # type: ignore[import-untyped]

    dictionary = Dictionary()
    # the method has had this name since 0.7
    make = dictionary.tokenizer if hasattr(dictionary, "tokenizer") else dictionary.create
    tokenizer = make(SplitMode.A)

    def cut(line: str) -> list[str]:
        words = (word.surface() for piece in _PIECE.findall(line) for word in tokenizer.tokenize(piece))
        return [word for word in words if not word.isspace()]

    return cut
