"""How a marker's value is written as text inside a block, so that any value can be read back.

A template names its codec. ``text`` writes values as they are and percent-encodes what could be taken for the
template's own characters; ``json`` writes JSON literals.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote

from ttmarkers.errors import DataError
from ttmarkers.taxonomies.taxonomy import check_value

if TYPE_CHECKING:
    from ttmarkers.components import MarkerType
    from ttmarkers.records import Value


def _at_most(digits: str) -> str:
    """Return a pattern for the digits of a fraction that is not greater than the given one."""
    first = int(digits[0])
    less = f"[0-{first - 1}][0-9]{{0,19}}|" if first else ""
    return f"(?:{less}{first}{_at_most(digits[1:]) + '?' if digits[1:] else ''})"


# bounded, or a model may write digits for ever, or a number that is none
INTEGER = r"-?(?:0|[1-9][0-9]{0,8})"
# the longest first: where a template closes a number with nothing of its own, the first that fits is taken
_MOST = rf"1(?:\.{_at_most('7976931348623157')})?e\+?308"
_GREAT = rf"{_MOST}|[1-9](?:\.[0-9]{{1,20}})?e\+?(?:30[0-7]|[12][0-9]{{2}}|[0-9]{{1,2}})"
_SMALL = r"[1-9](?:\.[0-9]{1,20})?e-[0-9]{1,3}"
FLOAT = rf"-?(?:{_GREAT}|{_SMALL}|(?:0|[1-9][0-9]{{0,16}})(?:\.[0-9]{{1,20}})?)"


class Codec(Protocol):
    """Writes and reads one value; ``pattern`` is a regular expression for everything that `write` can give."""

    def write(self, kind: MarkerType, value: Value) -> str:
        """Return the value as text."""
        raise NotImplementedError

    def read(self, kind: MarkerType, text: str) -> Value:
        """Return the value of a text that `write` gave."""
        raise NotImplementedError

    def pattern(self, kind: MarkerType) -> str:
        """Return a regular expression that matches any value of the type as text, and no structure."""
        raise NotImplementedError


def _number_pattern(kind: MarkerType) -> str:
    pattern = INTEGER if kind.kind == "int" else FLOAT
    return pattern if kind.minimum is None or kind.minimum < 0 else pattern.removeprefix("-?")


@dataclass(frozen=True)
class TextCodec:
    """Plain text. ``structural`` are characters of the template itself; they and ``%`` are percent-encoded.

    ``spaces`` says whether single spaces inside a value may stay; they may where the template closes a value with
    more than white space.
    """

    structural: frozenset[str]
    spaces: bool

    def write(self, kind: MarkerType, value: Value) -> str:
        """Return the value, every character that could be misread percent-encoded."""
        if kind.kind != "categorical":
            return repr(value)
        text = str(value)
        last = len(text) - 1
        return "".join(self._escape(text, index, last) for index in range(len(text)))

    def _escape(self, text: str, index: int, last: int) -> str:
        char = text[index]
        if char == " ":
            inner = 0 < index < last and text[index - 1] != " "
            return char if self.spaces and inner else "%20"
        if char in self.structural or char == "%" or not char.isprintable() or char.isspace():
            return quote(char, safe="", errors="surrogatepass") if not char.isascii() else f"%{ord(char):02X}"
        return char

    def read(self, kind: MarkerType, text: str) -> Value:
        """Undo `write`; numbers come back as numbers."""
        if kind.kind != "categorical":
            return check_value(kind, text)
        try:
            return check_value(kind, unquote(text, errors="surrogatepass"))
        except UnicodeDecodeError:
            raise DataError(f"{kind.name} = {text!r}: the escaped characters are no text") from None

    def pattern(self, kind: MarkerType) -> str:
        """Return a pattern for one value."""
        if kind.kind != "categorical":
            return _number_pattern(kind)
        char = "[^" + "".join(re.escape(c) for c in sorted(self.structural)) + r"\s]"
        return f"{char}+(?: {char}+)*" if self.spaces else f"{char}+"


@dataclass(frozen=True)
class JsonCodec:
    """JSON literals."""

    def write(self, kind: MarkerType, value: Value) -> str:
        """Return a JSON number or string; characters beyond ASCII stay as they are."""
        del kind
        return json.dumps(value, ensure_ascii=False)

    def read(self, kind: MarkerType, text: str) -> Value:
        """Undo `write`."""
        try:
            return check_value(kind, json.loads(text))
        except json.JSONDecodeError as error:
            raise DataError(f"{kind.name} = {text!r} is no JSON: {error.msg}") from None

    def pattern(self, kind: MarkerType) -> str:
        """Return a pattern for one value."""
        return r'"(?:[^"\\]|\\.)*"' if kind.kind == "categorical" else _number_pattern(kind)
