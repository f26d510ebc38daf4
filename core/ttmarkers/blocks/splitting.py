"""A model's text taken apart into block and answer, at once or as it streams.

Never fails: a fault is reported and the answer delivered. What a text is split into does not depend on where it was cut
on its way: text is held back only while it may still belong to a block.

- A text that does not begin with a block is all answer. An opening that is punctuation alone begins one only if a
  marker or the closing follows.
- A block with something unreadable in it ends at its closing tag, if this stands on the same line.
- A block that is never closed ends behind the last marker, or tag, on its line.
- Further whole blocks that follow the first one at once are taken off too, and are a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.records import Value

LETTERS = 3  # from so many letters on, an opening is told from ordinary punctuation
LONGEST = 8000  # characters of a block; what follows is answer
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
    joiner: str

    @property
    def tags(self) -> Sequence[tuple[str, str]]:
        """What stands before and behind the values of each marker."""
        raise NotImplementedError

    def scan(self, text: str, start: int) -> Scan:
        """Read a block that begins at a place of a text."""
        raise NotImplementedError

    def marker_end(self, text: str, start: int) -> int | None:
        """Return where the marker ends that begins at a place of a text, if its value is legal."""
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
        begins = self._begins(text, start, final=final)
        if not begins:
            return None if begins is None else self._without_after()
        found = reader.scan(text[: start + LONGEST], start)
        if not found.fault:
            return self._took(start, found, found.end)
        line, ended = self._line(start, final=final)
        if not ended:
            return None
        if self.block:
            return self._without_after()  # an answer may begin like a block
        closing = line.find(reader.closing.strip(), reader.scan(line, start).end)
        end = closing + len(reader.closing.strip()) if closing >= 0 else self._last_tag(line, start)
        fault = reader.scan(line[:end], start).fault if closing >= 0 else UNCLOSED
        return self._took(start, Scan(reader.readable(line, start, end), {}, end, fault or UNCLOSED), end)

    def _begins(self, text: str, start: int, *, final: bool) -> bool | None:
        """Say whether a block begins at a place; None if it cannot be told yet."""
        opening = self._reader.opening.rstrip()
        if not text.startswith(opening, start):
            return None if opening.startswith(text[start:]) and not final else False
        if sum(char.isalpha() for char in opening) >= LETTERS:
            return True
        rest = text[start + len(opening) :].lstrip()
        heads = [self._reader.closing.strip(), *(prefix.strip() for prefix, _ in self._reader.tags)]
        if any(rest.startswith(head) for head in heads):
            return True
        return None if not final and any(head.startswith(rest) for head in heads) else False

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

    def _last_tag(self, line: str, start: int) -> int:
        """Return the place behind the last marker or tag of an unclosed block, or its line's end if one is cut off."""
        reader = self._reader
        end = max(reader.scan(line, start).end, start + len(reader.opening.rstrip()))
        for _, suffix in reader.tags:
            tag = suffix.strip()
            if any(char.isalpha() for char in tag) and (place := line.rfind(tag, start)) >= 0:
                end = max(end, place + len(tag))
        while True:
            place = end + (len(reader.joiner) if reader.joiner and line.startswith(reader.joiner, end) else 0)
            further = reader.marker_end(line, place)
            if further is None:
                break
            end = further
        rest, joiner = line[place:].strip(), reader.joiner.strip()
        if not rest or rest == joiner:
            return len(line)
        cut_off = (
            rest.startswith(head) or head.startswith(rest) for prefix, _ in reader.tags if (head := prefix.strip())
        )
        return len(line) if any(cut_off) else end


def split(reader: Reader, text: str) -> Split:
    """Take a whole text apart."""
    splitter = Splitter(reader)
    answer = splitter.feed(text) + splitter.finish()
    return Split(splitter.block, dict(splitter.markers), answer, splitter.fault, dict(splitter.others))
