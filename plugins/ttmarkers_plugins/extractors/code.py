"""``code_type``: the programming language of the code in a completion.

A fence's info string is the author's own word. Code without one is told by the idioms of the languages and, where these
do not decide, by Magika (Fratantonio et al. 2024, arXiv 2409.13768). Text that does not look like code gets no marker.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.records import Found
from ttmarkers_plugins.extractors import idioms
from ttmarkers_plugins.extractors.prose import segments
from ttmarkers_plugins.marker_types import CODE_ALIASES, CODE_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject

LOOKED_AT = 20_000  # characters of a code block
CLEAR, MARGIN = 6, 3  # idioms decide alone from this score on, if the next language is this far behind
FEW = 0.1  # share of lines built like code below which a text is prose, whatever else is in it
LEAST = 4  # below this score nothing is said
MAGIKA_WEIGHT = 6
_MAGIKA_NAMES = {"cs": "csharp"}
_WORD = re.compile(r"[\w+#]+")
# what some line of nearly every program has, and few lines of prose do
_HINT = re.compile(
    r"[{};\]\\][ \t]{0,20}$|\w\(|\)[ \t]{0,20}:?$|\w[ \t]{0,20}(?::=|==|=|<-|::|->|=>)\s|\w=\w|^[ \t]{0,20}[#<]"
    r"|\$\w|\bDIVISION\b|\bSELECT\b|\bdef |^[ \t]{0,20}end\b"
    r"|^(?:enum|class|struct|import|data|object|INSERT|UPDATE|DELETE|CREATE|select|insert|update|delete|create)\b",
    re.MULTILINE,
)
_MARKS = ("{", "}", ";", "=", "<", "#", "$", "\\", "(", "::", "->", "DIVISION", "SELECT", "select ", "end\n", "UPDATE",
          "DELETE", "INSERT", "CREATE", "enum ", "import ", "data ", "def ")  # fmt: skip
_WORDS = re.compile(r"[\s\W\d]{0,8}(?:[^\W\d_][\w'’-]*[,.:!?;)\"”]*\s+){4,}[^{};=]*")
# a line of code ends, begins or is built unlike a line of prose
_CODE_LINE = re.compile(
    r"""[;{}]\s*(?://.*|\#.*|--.*|/\*.*)?$
      | ^\s*[)\]}]+[;,)]*\s*$
      | ^\s*(?:\#include|\#define|\#if|\#!|<\?php|//|/\*|\*/|\*\s|@\w+|--\s|\{-)
      | ^\s*(?:def|class|func|fn|fun|function|public|private|protected|static|const|let|var|val|import|from|package|
             using|namespace|module|require|return|struct|enum|interface|type|impl|use|elif|elsif|if|for|while|switch|case|
             except|catch|puts|print|echo|export|local)\b .* [(){}\[\]=:;"'<>$]\s*$
      | ^\s*(?:end|else|begin|try|do|done|fi|then|where|return|break|continue|pass|esac)\s*[;:]?\s*$
      | ^\s*[\w.$@*&\[\]'"]+(?:\s*:\s*[\w\[\]<>]+)?\s*(?:=|:=|\+=|-=|<-|\|\|=)\s*\S
      | ^\s*[\w.$:!]+\(.*\)[;:]?\s*(?:\#.*|//.*)?$
      | ^\s*\w+'?\s::\s
      | ^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|FROM|WHERE|JOIN|GROUP|ORDER|HAVING|LIMIT|VALUES|SET)\b
      | \b(?:IDENTIFICATION|ENVIRONMENT|DATA|PROCEDURE)\ DIVISION | ^\s+DISPLAY\b
      | \b(?:PIC|PERFORM|MOVE|STOP|END-IF|END-PERFORM)\b
      | ^\s*(?:sudo|git|cd|mkdir|curl|pip|npm|docker|apt(?:-get)?|grep|awk|sed)\s\S
    """,
    re.VERBOSE,
)


class CodeTypeExtractor:
    """Finds ``code_type``; further languages of the same completion are kept as other values.

    Args:
        threshold: the least share of lines without a fence that must look like code.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self._threshold = threshold

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the programming language of each completion that holds code of one in the taxonomy."""
        return [self._one(subject.example.completion) for subject in batch]

    def _one(self, text: str) -> Mapping[str, Found]:
        sizes: dict[str, int] = {}
        confidence: dict[str, float] = {}
        for code, info in self._code(text):
            name, sure = self._language(code, info)
            if name:
                sizes[name] = sizes.get(name, 0) + len(code)
                confidence[name] = max(sure, confidence.get(name, 0.0))
        if not sizes:
            return {}
        first, *others = sorted(sizes, key=lambda name: -sizes[name])
        return {"code_type": Found(first, confidence[first], tuple(others))}

    def _code(self, text: str) -> list[tuple[str, str]]:
        """Return the pieces of code of a text, each with the word of its fence."""
        parts = segments(text)
        fenced = [(part.text, part.info) for part in parts if part.code and part.text.strip()]
        if fenced:
            return fenced
        return [(text, "")] if looks_like_code(text[:LOOKED_AT], self._threshold) else []

    def _language(self, code: str, info: str) -> tuple[str, float]:
        word = _WORD.search(info.casefold().removeprefix("{.").removeprefix("language-"))
        if word:
            name = CODE_ALIASES.get(word[0], word[0])
            return (name, 1.0) if name in CODE_TYPES else ("", 0.0)
        return self.guess(code[:LOOKED_AT])

    def guess(self, code: str) -> tuple[str, float]:
        """Return the language that code is written in and how sure that is; ``("", 0.0)`` if in none of ours."""
        found = dict(idioms.scores(code))
        first, second = sorted([*found.values(), 0, 0], reverse=True)[:2]
        if first >= CLEAR and first - second >= MARGIN:
            return max(found, key=lambda name: found[name]), 0.95
        label, score = self._ask_magika(code)
        if label in CODE_TYPES:
            found[label] = found.get(label, 0) + round(MAGIKA_WEIGHT * score)
        elif score >= 0.9 and first < CLEAR:
            return "", 0.0  # Magika is sure of a language that the taxonomy does not have
        name = max(found, key=lambda name: (found[name], name == label), default="")
        if found.get(name, 0) < LEAST:
            return "", 0.0
        total = sum(sorted(found.values(), reverse=True)[:2])
        return name, round(found[name] / total, 2)

    def _ask_magika(self, code: str) -> tuple[str, float]:
        prediction = self._magika.identify_bytes(code.encode("utf-8", "replace")).prediction
        label = str(prediction.dl.label)
        return _MAGIKA_NAMES.get(label, label), float(prediction.score)

    @cached_property
    def _magika(self) -> Any:
        from magika import Magika

        return Magika()


def looks_like_code(text: str, threshold: float = 0.5) -> bool:
    """Tell whether a text without fences is code.

    It is if at least a share of its lines are built like code, or if it has the idioms of a language and not mostly
    lines of words (doc strings and comments are words).

    >>> looks_like_code("x = 1;"), looks_like_code("He asked: what is x? I said it was one.")
    (True, False)
    """
    if not any(mark in text for mark in _MARKS) or not _HINT.search(text):
        return False
    lines = [line[: idioms.LINE] for line in text.splitlines()[: idioms.LINES] if line.strip()]
    if not lines:
        return False
    code = sum(bool(_CODE_LINE.search(line)) for line in lines) / len(lines)
    if code >= threshold:
        return True
    words = sum(bool(_WORDS.fullmatch(line)) for line in lines) / len(lines)
    if code < FEW or (words > 1 - threshold and code < threshold / 3):
        return False
    strongest = max(idioms.scores(text).values(), default=0)  # remembered for the guess
    return (strongest >= CLEAR and words <= 1 - threshold) or (strongest >= 2 * CLEAR and code >= threshold / 3)
