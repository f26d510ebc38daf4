"""Where in its block a text ends, how the block may go on from there, and how it most likely does.

Validity is not decided here but by the grammar's automaton (`ttmarkers.decoding.constraint`). This says what a
tokenizer must be asked to find the tokens that a whole block would have, and what is worth guessing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ttmarkers.blocks.grammar import BlockGrammar, Slot

AHEAD = 12  # characters behind a marker that decide how its last tokens are cut
DIGITS = "0123456789"
LEAST = 0.3  # the probability that a guess must have to be worth its place in a pass


@dataclass(frozen=True)
class Guess:
    """What a marker most likely is: how often it stands in a block, and its most frequent value with its share."""

    present: float
    value: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where a text ends.

    Attributes:
        slot: the marker whose value has begun; None between markers.
        following: the first slot that may stand next, or after ``slot``.
        joined: whether a marker stands before what comes next.
        rest: the text of the value so far, or of what stands before the next one.
    """

    slot: int | None
    following: int
    joined: bool
    rest: str


class BlockText:
    """Reads unfinished blocks of one grammar."""

    def __init__(self, grammar: BlockGrammar) -> None:
        self._grammar = grammar
        self._end = grammar.closing + grammar.after
        self._numbers = [None if slot.choices else re.compile(slot.pattern) for slot in grammar.slots]

    def place(self, text: str) -> Place:
        """Return where a text ends that begins a block."""
        rest, index, joined = text[len(self._grammar.opening) :], 0, False
        while True:
            heads = [(head, slot) for head, slot in self._heads(index, joined) if slot is not None]
            found = max(
                (item for item in heads if rest.startswith(item[0])), default=None, key=lambda item: len(item[0])
            )
            if found is None:
                return Place(None, index, joined, rest)
            head, slot = found
            value = rest[len(head) :]
            length = self._whole(slot, value)
            if length is None:
                return Place(slot, slot + 1, True, value)
            rest, index, joined = value[length:], slot + 1, True

    def values(self, text: str) -> tuple[str, list[str]]:
        """Return the categorical marker whose value has begun, and the values that it may still become; or neither."""
        place = self.place(text) if len(text) >= len(self._grammar.opening) else None
        if place is None or place.slot is None or self._numbers[place.slot] is not None:
            return "", []
        slot = self._grammar.slots[place.slot]
        if slot.several and slot.several in place.rest:  # the first one stands
            return slot.name, [place.rest.partition(slot.several)[0]]
        return slot.name, [value for value in slot.choices if (value + slot.suffix).startswith(place.rest)]

    def last_value(self, text: str, name: str) -> str:
        """Return the value of a marker that stands in a text; the last one if it has several."""
        slot = next(slot for slot in self._grammar.slots if slot.name == name)
        begun = text[text.rfind(slot.prefix) + len(slot.prefix) :]
        return max((value for value in slot.choices if begun.startswith(value)), key=len, default="")

    def in_number(self, text: str) -> bool:
        """Say whether a text ends in a number, or where one is to begin."""
        if len(text) < len(self._grammar.opening):
            return False
        place = self.place(text)
        return place.slot is not None and self._numbers[place.slot] is not None

    def rests(self, text: str) -> Iterator[str]:
        """Yield the ways in which a text may go on, to a few characters past the marker that it ends in."""
        opening = self._grammar.opening
        if len(text) < len(opening):
            for rest in self.rests(opening):
                yield opening[len(text) :] + rest
            return
        place = self.place(text)
        if place.slot is not None:
            yield from self._value_rests(place.slot, place.rest)
            return
        for head, slot in self._heads(place.following, place.joined):
            if head.startswith(place.rest):
                begun = [""] if slot is None else self._beginnings(slot)
                for value in begun:
                    yield head[len(place.rest) :] + value

    def likely(self, text: str, guesses: Mapping[str, Guess], least: float = LEAST) -> str:
        """Return how a text most likely goes on, as far as that is likely enough.

        Args:
            text: begins a block.
            guesses: what markers mostly are.
            least: the probability below which no further guess is made.
        """
        opening = self._grammar.opening
        place = self.place(text) if len(text) >= len(opening) else Place(None, 0, False, "")
        begun, chance = opening[len(text) :], 1.0
        if place.slot is not None:
            value, chance = self._likely_value(place.slot, place.rest, guesses)
            if chance < least:
                return ""
            begun += value
            place = Place(None, place.following, True, "")
        return begun + self._likely_markers(place, guesses, chance, least)

    def _likely_markers(self, place: Place, guesses: Mapping[str, Guess], chance: float, least: float) -> str:
        joined, rest, text = place.joined, place.rest, ""
        for index in range(place.following, len(self._grammar.slots)):
            slot = self._grammar.slots[index]
            present = 1.0 if slot.required else guesses.get(slot.name, Guess(0.0)).present
            head = (self._grammar.joiner if joined else "") + slot.prefix
            if not head.startswith(rest) or present < 0.5:
                chance *= 1.0 - present
                continue
            chance *= present
            if chance < least:
                return text
            text, rest, joined = text + head[len(rest) :], "", True
            value, share = self._likely_value(index, "", guesses)
            chance *= share
            if chance < least:
                return text
            text += value
        return text + self._end[len(rest) :] if chance >= least and self._end.startswith(rest) else text

    def _likely_value(self, index: int, rest: str, guesses: Mapping[str, Guess]) -> tuple[str, float]:
        """Return how a value most likely goes on, to its suffix, and its share."""
        slot, number = self._grammar.slots[index], self._numbers[index]
        guess = guesses.get(slot.name, Guess(0.0))
        if number is not None:
            if guess.value and not rest:
                return guess.value + slot.suffix, guess.share
            return slot.suffix, float(number.fullmatch(rest) is not None)
        left = [value for value in slot.choices if value.startswith(rest)]
        if len(left) == 1:
            return left[0][len(rest) :] + slot.suffix, 1.0
        return (guess.value[len(rest) :] + slot.suffix, guess.share) if guess.value in left else ("", 0.0)

    def _heads(self, index: int, joined: bool) -> Iterator[tuple[str, int | None]]:
        """Yield what may come before the next value, with its slot, and the end with none."""
        joiner = self._grammar.joiner if joined else ""
        for number, slot in enumerate(self._grammar.slots[index:], index):
            yield joiner + slot.prefix, number
            if slot.required:
                return
        yield self._end, None

    def _follow(self, slot: int) -> list[str]:
        """Return what may come behind a value, its first characters."""
        return list(dict.fromkeys(head[:AHEAD] for head, _ in self._heads(slot + 1, joined=True)))

    def _beginnings(self, slot: int) -> list[str]:
        number, choices = self._numbers[slot], self._grammar.slots[slot].choices
        if number is None:
            return list(dict.fromkeys(value[:AHEAD] for value in choices))
        return [text for text in ("1", "0", "25", "-1") if number.fullmatch(text)]

    def _whole(self, index: int, text: str) -> int | None:
        """Return the length of a value with its suffix at the head of a text; None if it is not all there."""
        slot, number = self._grammar.slots[index], self._numbers[index]
        ends = (
            [slot.suffix]
            if slot.suffix.strip()
            else [slot.suffix + end for end in (self._grammar.joiner, self._end) if end]
        )
        if number is not None:
            closed = (place for end in ends if (place := text.find(end)) >= 0)
            length = next((place for place in sorted(closed) if number.fullmatch(text, 0, place)), None)
        else:
            length = self._listed(slot, text, ends)
        if length is None or not any(text.startswith(end, length) for end in ends):
            return None
        return length + len(slot.suffix)

    def _listed(self, slot: Slot, text: str, ends: list[str]) -> int | None:
        """Return the length of a value, or of several, that is followed by one of the ends."""
        at = 0
        while True:
            fits = [
                at + len(value)
                for value in slot.choices
                if text.startswith(value, at)
                and (
                    any(text.startswith(end, at + len(value)) for end in ends)
                    or (slot.several and text.startswith(slot.several, at + len(value)))
                )
            ]
            if not fits:
                return None
            at = max(fits)
            if not slot.several or not text.startswith(slot.several, at):
                return at
            at += len(slot.several)

    def _value_rests(self, index: int, rest: str) -> Iterator[str]:
        slot, number = self._grammar.slots[index], self._numbers[index]
        ends = [slot.suffix + head for head in self._follow(index)]
        if number is not None:
            yield from _number_rests(number, rest, ends)
            return
        if slot.several:
            begun = rest.rfind(slot.several) + len(slot.several) if slot.several in rest else 0
            rest = rest[begun:]
            ends += [slot.several + value[:AHEAD] for value in slot.choices]
        for value in slot.choices:
            if value.startswith(rest) or rest.startswith(value):
                yield from ((value + end)[len(rest) :] for end in ends if (value + end).startswith(rest))


def _number_rests(number: re.Pattern[str], rest: str, ends: list[str]) -> Iterator[str]:
    for length in range(len(rest) - 1, -1, -1):  # its end has begun
        begun = [end[len(rest) - length :] for end in ends if end.startswith(rest[length:])]
        if begun and number.fullmatch(rest, 0, length):
            yield from begun
            return
    for further in ("", *DIGITS, *(f".{digit}" for digit in DIGITS[1:]), "e5", "e-5"):
        if number.fullmatch(rest + further):
            yield from (further + end for end in ends)
