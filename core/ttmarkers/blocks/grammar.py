"""The language of a template's blocks, in pieces that an engine for constrained decoding can be given."""

from __future__ import annotations

import json
from dataclasses import dataclass

MOST = 4  # values that a model may write for one marker


@dataclass(frozen=True, slots=True)
class Slot:
    """One marker of a block.

    Attributes:
        name: the marker type.
        prefix: the text before the value.
        suffix: the text after it.
        choices: all values as text; empty for numbers.
        pattern: a regular expression of the values, for numbers.
        required: whether the marker must stand in the block.
        several: what stands between the values of a marker that may have up to `MOST`; empty if it has one.
    """

    name: str
    prefix: str
    suffix: str
    choices: tuple[str, ...]
    pattern: str
    required: bool
    several: str = ""


@dataclass(frozen=True, slots=True)
class BlockGrammar:
    """A block: opening, slots in order with a joiner between those that stand, closing, and what follows it."""

    opening: str
    joiner: str
    closing: str
    after: str
    slots: tuple[Slot, ...]

    def to_lark(self) -> str:
        """Return the grammar in the Lark dialect of llguidance.

        Rule ``first_i`` is "no marker stands yet, slots from i on are open", ``rest_i`` the same after one: the
        joiner stands between markers only.
        """
        count = len(self.slots)
        lines = [f"start: {json.dumps(self.opening)} first_0"]
        for index, slot in enumerate(self.slots):
            marker = f"slot_{index} rest_{index + 1}"
            joined = f"{json.dumps(self.joiner)} {marker}" if self.joiner else marker
            lines.append(f"first_{index}: {marker}" + ("" if slot.required else f" | first_{index + 1}"))
            lines.append(f"rest_{index}: {joined}" + ("" if slot.required else f" | rest_{index + 1}"))
            lines.append(f"slot_{index}: {_slot(slot)}")
        end = json.dumps(self.closing + self.after)
        lines += [f"first_{count}: {end}", f"rest_{count}: {end}"]
        return "\n".join(lines) + "\n"


def _slot(slot: Slot) -> str:
    """Return a marker as one expression: apart, a value that begins another would be read too soon."""
    value = "|".join(map(_escape, slot.choices)) if slot.choices else slot.pattern
    further = f"({_escape(slot.several)}({value})){{0,{MOST - 1}}}" if slot.several else ""
    return f"/{_escape(slot.prefix)}({value}){further}{_escape(slot.suffix)}/"


def _escape(text: str) -> str:
    """Escape for a regular expression between slashes; `re.escape` escapes more than llguidance takes."""
    special = {"\n": r"\n", "\t": r"\t", **{char: f"\\{char}" for char in r".^$*+?{}[]\|()/"}}
    return "".join(special.get(char, char) for char in text)
