"""Patterns of hundreds of alternatives that cost nothing until a text comes near one.

spaCy's French compiles 1.4 million characters of regular expression when it is imported, which takes seconds: each
alternative repeats classes of all letters. Almost no word needs more than one of them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 100_000  # characters of a pattern below which compiling it is no matter
_HEAD, _BETWEEN, _TAIL = "(?iu)(?:^", "$)|(?:^", "$)"
_CLASS = re.compile(r"\[[^\[\]]{50,}\]")
# what could not be loosened so: looks around, and brackets that are no class
_OTHER = ("(?!", "(?=", "(?<", "\\[", "\\]", "[^")


class LatePattern:
    """A pattern of whole words, ``(?iu)(?:^...$)|(?:^...$)|...``, that tells whether one of its alternatives matches.

    A text that does not match even when every long class of characters stands for any character matches none. Only
    the alternatives that it might match are compiled.

    Attributes:
        pattern: the regular expression, under the name that ``re.Pattern`` gives it.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._alternatives = pattern.removeprefix(_HEAD).removesuffix(_TAIL).split(_BETWEEN)
        self._loose = [_CLASS.sub("(?s:.)", alternative) for alternative in self._alternatives]
        self._compiled: dict[int, re.Pattern[str]] = {}

    @staticmethod
    def fits(pattern: Any) -> bool:
        """Tell whether a pattern is large and has the form."""
        return (
            isinstance(pattern, str)
            and len(pattern) > LARGE
            and pattern.startswith(_HEAD)
            and pattern.endswith(_TAIL)
            and not any(other in pattern for other in _OTHER)
        )

    def match(self, text: str) -> bool:
        """Tell whether the pattern matches."""
        return bool(self._near.match(text)) and any(
            loose.match(text) and self._exact(number).match(text) for number, loose in enumerate(self._each)
        )

    @cached_property
    def _near(self) -> re.Pattern[str]:
        return re.compile(_HEAD + _BETWEEN.join(self._loose) + _TAIL)

    @cached_property
    def _each(self) -> list[re.Pattern[str]]:
        return [re.compile(_HEAD + loose + _TAIL) for loose in self._loose]

    def _exact(self, number: int) -> re.Pattern[str]:
        if number not in self._compiled:
            self._compiled[number] = re.compile(_HEAD + self._alternatives[number] + _TAIL)
        return self._compiled[number]


@contextmanager
def late_patterns() -> Iterator[None]:
    """Make the modules that are imported meanwhile use `LatePattern` where it fits."""
    compile_now = re.compile

    def compile_late(pattern: Any, flags: int = 0) -> Any:
        return LatePattern(pattern) if not flags and LatePattern.fits(pattern) else compile_now(pattern, flags)

    re.compile = compile_late
    try:
        yield
    finally:
        re.compile = compile_now
