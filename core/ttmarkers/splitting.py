"""A model's text taken apart into block and answer, at once or as it streams.

Never fails: a fault is reported and the answer delivered. What a text is split into does not depend on where it was cut
on its way: text is held back only while it may still belong to a block.

- A text that does not begin with a block is all answer.
- A block with something unreadable in it ends at its closing tag, if this stands on the same line.
- A block that is never closed ends behind the last marker, or tag, on its line.
- Further blocks that follow the first one at once are taken off too, and are a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.records import Value

LONGEST = 8000  # characters of an unclosed block, then what follows is answer
NO_BLOCK, UNCLOSED, AGAIN = "no block", "the block is never closed", "the block is written twice"


@dataclass(frozen=True, slots=True)
class Split:
    """A model's text taken apart. ``fault`` says what was wrong with the block; empty if nothing.

    ``markers`` holds the first value of each marker, ``others`` the further ones of a template that writes several.
    """

    block: str
    markers: dict[str, Value]
    text: str
    fault: str = ""
    others: dict[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scan:
    """What was read from the beginning of a block on: markers, where reading ended, and why if it is not the end."""

    markers: dict[str, Value]
    others: dict[str, tuple[Value, ...]]
    end: int
    fault: str = ""


class Reader(Protocol):
    """What a splitter asks of a template."""

    opening: str
    closing: str
    after: str

    @property
    def tags(self) -> Sequence[tuple[str, str]]:
        """What stands before and behind the values of each marker."""
        raise NotImplementedError

    def scan(self, text: str, start: int) -> Scan:
        """Read a block that begins at a place of a text."""
        raise NotImplementedError

    def readable(self, text: str, start: int, end: int) -> dict[str, Value]:
        """Return the markers that stand whole between two places of a text."""
        raise NotImplementedError


class Splitter:
    """Takes a text in pieces.

    Attributes:
        block: the block as it was written; empty if there was none.
        markers: what it says.
        others: further values of its markers.
        fault: what was wrong with it.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._held = ""
        self._passes = False
        self.block, self.fault = "", NO_BLOCK
        self.markers: Mapping[str, Value] = {}
        self.others: Mapping[str, tuple[Value, ...]] = {}

    def feed(self, piece: str) -> str:
        """Take the next piece, and return what of the answer is known now."""
        if self._passes:
            return piece
        self._held += piece
        return self._released(final=False)

    def finish(self) -> str:
        """Return the rest of the answer; no piece follows."""
        return "" if self._passes else self._released(final=True)

    def _released(self, *, final: bool) -> str:
        while (end := self._block_end(final=final)) is not None:
            if not end:
                self._passes = True
                break
            self._held = self._held[end:]
        if not (self._passes or final):
            return ""
        held, self._held = self._held, ""
        return held

    def _block_end(self, *, final: bool) -> int | None:
        """Return where the block that is held ends, 0 if none begins there, None if it cannot be told yet."""
        reader, text = self._reader, self._held
        if self.block and not final and reader.after.startswith(text):
            return None
        start = len(text) - len(text.lstrip())
        opening = reader.opening.rstrip()
        if not text.startswith(opening, start):
            undecided = opening.startswith(text[start:]) and not final
            return None if undecided else self._without_after()
        found = reader.scan(text, start)
        if not found.fault:
            return self._took(start, found, found.end)
        line, ended = self._line(start, final=final)
        closing = line.find(reader.closing.strip(), start)
        if closing >= 0:
            end = closing + len(reader.closing.strip())
            return self._took(start, Scan(reader.readable(line, start, end), {}, end, found.fault), end)
        if not ended:
            return None
        end = self._last_tag(line, start, reader.scan(line, start).end)
        return self._took(start, Scan(reader.readable(line, start, end), {}, end, UNCLOSED), end)

    def _without_after(self) -> int:
        """Take off what belongs behind a block, once."""
        if self.block:
            self._held = self._held.removeprefix(self._reader.after)
        return 0

    def _took(self, start: int, found: Scan, end: int) -> int:
        if self.block:
            self.block += self._held[:end]
            self.fault = AGAIN
        else:
            self.block, self.fault = self._held[start:end], found.fault
            self.markers, self.others = found.markers, found.others
        return end

    def _line(self, start: int, *, final: bool) -> tuple[str, bool]:
        """Return the text as far as an unclosed block may reach, and whether that much of it is there."""
        literals = [self._reader.opening, self._reader.closing, *(part for tag in self._reader.tags for part in tag)]
        stop = -1 if any("\n" in literal for literal in literals) else self._held.find("\n", start)
        longest = start + LONGEST
        if 0 <= stop <= longest:
            return self._held[:stop], True
        return self._held[:longest], final or len(self._held) >= longest

    def _last_tag(self, line: str, start: int, end: int) -> int:
        """Return the place behind the last tag of an unclosed block, or its line's end if a marker is left open."""
        for _, suffix in self._reader.tags:
            tag = suffix.strip()
            if any(char.isalpha() for char in tag) and (place := line.rfind(tag, start)) >= 0:
                end = max(end, place + len(tag))
        end = max(end, start + len(self._reader.opening.rstrip()))
        rest = line[end:].strip()
        left_open = any(
            rest.startswith(prefix.strip()) or prefix.strip().startswith(rest) for prefix, _ in self._reader.tags
        )
        return len(line) if left_open else end


def split(reader: Reader, text: str) -> Split:
    """Take a whole text apart."""
    splitter = Splitter(reader)
    answer = splitter.feed(text) + splitter.finish()
    return Split(splitter.block, dict(splitter.markers), answer, splitter.fault, dict(splitter.others))
