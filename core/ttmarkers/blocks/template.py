r"""How a block of markers is written and read: one Jinja file, from which three things come that must agree.

A template file defines the macros ``opening()``, ``marker(name, value)`` and ``closing()``, and the strings
``before`` (between instruction and block in a prompt), ``after`` (between block and answer in a target), ``joiner``
(between two markers), ``codec`` (``text`` or ``json``, see `ttmarkers.blocks.codecs`) and ``several`` (between the
values of one categorical marker that has more than one; without it only the first is written). So the file owns every
white-space character. From it alone come `Template.render`, `Template.parse` and `Template.grammar`, and
``parse(render(markers)) == markers`` holds for any markers of the taxonomy.

Example:
    >>> from ttmarkers.plugins.manager import create_plugins
    >>> from ttmarkers.taxonomies.taxonomy import make_taxonomy
    >>> plugins = create_plugins(third_party=False)
    >>> taxonomy = make_taxonomy(plugins.marker_types().all())
    >>> template = load_template(plugins.templates().get("paper"), taxonomy)
    >>> template.render({"lang": "French", "length_tokens": 199})
    '<MARKER_LIST> <length_tokens> 199 </length_tokens> <lang> French </lang> </MARKER_LIST>'
    >>> template.split(template.render({"lang": "French"}) + "\nBonjour !").text
    'Bonjour !'
"""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.codecs import Codec, JsonCodec, TextCodec
from ttmarkers.blocks.grammar import BlockGrammar, Slot
from ttmarkers.blocks.guard import Guard
from ttmarkers.blocks.source import Macros, read_source
from ttmarkers.blocks.splitting import Scan, Split, split
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Span
from ttmarkers.taxonomies.taxonomy import check_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.components import MarkerType, TemplateComponent
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

SEEN = 20_000  # markers whose text is kept; scores can be any number


class Template:
    """A block template bound to a taxonomy.

    Attributes:
        name: the template's name.
        source: its Jinja source, as stored in ``markers.json``.
        taxonomy: which markers it can write, in order.
        names: the names of these.

    Raises:
        ConfigError: if the source is no template or breaks the contract, in one sentence.
    """

    def __init__(self, name: str, source: str, taxonomy: Taxonomy) -> None:
        self.name = name
        self.source = source
        self.taxonomy = taxonomy
        macros = Macros(name, source)
        self.before = macros.text("before")
        self.after = macros.text("after")
        self.joiner = macros.text("joiner")
        self.several = macros.text("several")
        self.opening = macros.call("opening")
        self.closing = macros.call("closing")
        if not self.opening.strip() or not self.closing.strip():
            raise ConfigError(f"template {name!r}: opening() and closing() must write more than white space")
        self._frames = {kind.name: macros.frame(kind.name) for kind in taxonomy}
        if any(not frame.suffix + self.joiner for frame in self._frames.values()):
            raise ConfigError(f"template {name!r}: nothing stands between a value and the next marker: set a joiner")
        self._codec = self._make_codec(macros.text("codec") or "text")
        self.names = taxonomy.names
        self._places = {name: place for place, name in enumerate(self.names)}
        self._seen: dict[tuple[Any, ...], tuple[int, str, str]] = {}
        self._patterns = {
            kind.name: re.compile(
                re.escape(self._frames[kind.name].prefix)
                + f"({self._values_pattern(kind)})"
                + re.escape(self._frames[kind.name].suffix)
            )
            for kind in taxonomy
        }

    @cached_property
    def guard(self) -> Guard:
        """What makes blocks in other people's texts harmless."""
        return Guard(self.grammar())

    @property
    def hash(self) -> str:
        """SHA-256 of the source, in hexadecimal."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def render(self, markers: Mapping[str, Value], others: Mapping[str, Sequence[Value]] | None = None) -> str:
        """Return the block of the given markers, in the taxonomy's order whatever theirs is.

        Args:
            markers: the first value of each marker.
            others: further values, written by templates that write several; others leave them out.

        Raises:
            DataError: for a value that the taxonomy does not hold.
            UnknownNameError: for a marker that it lacks.
        """
        pieces = self._pieces(markers, others)
        return self.opening + self.joiner.join([text for _, _, text in pieces]) + self.closing

    def render_with_spans(
        self, markers: Mapping[str, Value], others: Mapping[str, Sequence[Value]] | None = None
    ) -> tuple[str, tuple[tuple[str, Span], ...]]:
        """Return what `render` does, and by name where each marker stands in it."""
        spans, texts, start = [], [], len(self.opening)
        for place, name, text in self._pieces(markers, others):
            frame, end = self._frames[name], start + len(text)
            spans.append((name, Span(place, start, start + len(frame.prefix), end - len(frame.suffix), end)))
            texts.append(text)
            start = end + len(self.joiner)
        return self.opening + self.joiner.join(texts) + self.closing, tuple(spans)

    def _pieces(
        self, markers: Mapping[str, Value], others: Mapping[str, Sequence[Value]] | None
    ) -> list[tuple[int, str, str]]:
        """Return each marker's place, name and text, in the taxonomy's order; what was seen before is kept."""
        pieces = []
        for name, value in markers.items():
            further = tuple(others.get(name, ())) if others else ()
            # 0.0, -0.0, 0 and False are equal, and written otherwise
            key = (name, value if type(value) is str else repr(value), type(value), further)
            found = self._seen.get(key)
            if found is None:
                if len(self._seen) >= SEEN:
                    self._seen.clear()
                text = self._piece(name, value, further)
                found = self._seen[key] = (self._places[name], name, text)
            pieces.append(found)
        pieces.sort()
        return pieces

    def _piece(self, name: str, value: Value, further: Sequence[Value]) -> str:
        checked = self.taxonomy.check({name: value}, where=f"template {self.name}")[name]
        frame, kind = self._frames[name], self.taxonomy.get(name)
        more = further if self._writes_several(kind) else ()
        values = dict.fromkeys([checked, *(check_value(kind, other) for other in more)])
        return frame.prefix + self.several.join(self._codec.write(kind, each) for each in values) + frame.suffix

    def parse(self, text: str) -> dict[str, Value]:
        """Return the markers of a block, which must be the whole text.

        Raises:
            DataError: if the text is no block of this template.
        """
        return self.parse_all(text)[0]

    def parse_all(self, text: str) -> tuple[dict[str, Value], dict[str, tuple[Value, ...]]]:
        """Return the markers of a block as `parse` does, and the further values of those that have several."""
        found = self.scan(text, 0)
        if found.fault:
            raise DataError(found.fault)
        if found.end != len(text):
            raise DataError(f"template {self.name!r}: the block is followed by {text[found.end : found.end + 20]!r}")
        return found.markers, found.others

    def split(self, text: str) -> Split:
        """Take a target apart into block and answer (`ttmarkers.blocks.splitting`). Never fails."""
        return split(self, text)

    def grammar(
        self,
        fixed: Mapping[str, Value] | None = None,
        required: Iterable[str] = (),
        only: Iterable[str] | None = None,
        without: Mapping[str, Value] | None = None,
    ) -> BlockGrammar:
        """Return the grammar of the blocks that this template writes, as an engine needs it.

        Args:
            fixed: markers that must stand in the block with this value.
            required: markers that must stand in it with any value; all others may be left out.
            only: markers that may stand in it; all of the taxonomy by default.
            without: values that categories may not have; a category that would have none left does not stand.
        """
        held = self.taxonomy.check(fixed or {}, where="fixed markers")
        must = {self.taxonomy.get(name, where="required markers").name for name in required} | set(held)
        slots = []
        for kind in self.taxonomy if only is None else self.taxonomy.select(only, where="markers"):
            frame = self._frames[kind.name]
            barred = (without or {}).get(kind.name)
            values = (held[kind.name],) if kind.name in held else tuple(v for v in kind.values if v != barred)
            if kind.values and not values:
                continue
            slots.append(
                Slot(
                    kind.name,
                    frame.prefix,
                    frame.suffix,
                    tuple(self._codec.write(kind, value) for value in values),
                    self._codec.pattern(kind),
                    kind.name in must,
                    self.several if self._writes_several(kind) and kind.name not in held else "",
                )
            )
        return BlockGrammar(self.opening, self.joiner, self.closing, self.after, tuple(slots))

    @cached_property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """What stands before and behind the values of each marker."""
        return tuple((frame.prefix, frame.suffix) for frame in self._frames.values())

    def scan(self, text: str, start: int) -> Scan:
        """Read the block that begins at a place of a text, as far as it can be read."""
        markers: dict[str, Value] = {}
        others: dict[str, tuple[Value, ...]] = {}
        position = start
        try:
            if not text.startswith(self.opening, start):
                raise DataError(f"template {self.name!r}: the text does not begin with {self.opening!r}")
            position += len(self.opening)
            while not text.startswith(self.closing, position):
                place = position
                if markers and self.joiner:
                    if not text.startswith(self.joiner, position):
                        raise DataError(f"template {self.name!r}: unreadable at {text[position : position + 40]!r}")
                    place += len(self.joiner)
                name, values, place = self._read_one(text, place)
                if name in markers:
                    raise DataError(f"template {self.name!r}: {name} stands twice in the block")
                markers[name] = values[0]
                if len(values) > 1:
                    others[name] = values[1:]
                position = place
        except DataError as error:
            return Scan(markers, others, position, str(error))
        return Scan(markers, others, position + len(self.closing))

    def _read_one(self, text: str, position: int) -> tuple[str, tuple[Value, ...], int]:
        for name, pattern in self._patterns.items():
            found = pattern.match(text, position)
            if found:
                return name, self._values(name, found.group(1)), found.end()
        raise DataError(f"template {self.name!r}: unreadable at {text[position : position + 40]!r}")

    def _writes_several(self, kind: MarkerType) -> bool:
        return bool(self.several) and kind.kind == "categorical"

    def _values_pattern(self, kind: MarkerType) -> str:
        one = self._codec.pattern(kind)
        return f"{one}(?:{re.escape(self.several)}{one})*" if self._writes_several(kind) else one

    def _values(self, name: str, text: str) -> tuple[Value, ...]:
        kind = self.taxonomy.get(name)
        texts = text.split(self.several) if self._writes_several(kind) else [text]
        return tuple(self._codec.read(kind, each) for each in texts)

    def marker_end(self, text: str, start: int) -> int | None:
        """Return where the marker ends that begins at a place of a text, if its value is legal."""
        for slot in self.grammar().slots:
            if not text.startswith(slot.prefix, start):
                continue
            value = (
                "|".join(re.escape(choice) for choice in sorted(slot.choices, key=len, reverse=True)) or slot.pattern
            )
            suffix = re.escape(slot.suffix.rstrip())
            found = re.compile(rf"(?:{value}){suffix}(?!\w)").match(text, start + len(slot.prefix))
            if found:
                return found.end()
        return None

    def readable(self, text: str, start: int, end: int) -> dict[str, Value]:
        """Return the markers that stand whole between two places of a text."""
        markers: dict[str, Value] = {}
        borders = "|".join(re.escape(border) for border in (self.joiner, self.closing) if border)
        for name, pattern in self._patterns.items():
            # a whole marker only: not the end of a longer name, nor the beginning of a longer value
            after = "" if self._frames[name].suffix.strip() else rf"(?={borders}|\s|\Z)"
            found = re.compile(rf"(?<!\w){pattern.pattern}{after}").search(text, start, end)
            if found:
                try:
                    markers[name] = self._values(name, found.group(1))[0]
                except DataError:
                    continue  # this value is part of the fault that is reported
        return markers

    def _make_codec(self, name: str) -> Codec:
        if self.several and (name == "json" or any(char.isalnum() or char in "_ %" for char in self.several)):
            raise ConfigError(f"template {self.name!r}: several must be punctuation, and needs codec 'text'")
        if name == "json":
            return JsonCodec()
        if name != "text":
            raise ConfigError(f"template {self.name!r}: codec {name!r} is unknown, use 'text' or 'json'")
        literals = [self.opening, self.closing, self.joiner, self.several]
        literals += [part for frame in self._frames.values() for part in (frame.prefix, frame.suffix)]
        structural = {char for text in literals for char in text if not (char.isalnum() or char in "_ ")}
        closers = [frame.suffix + self.joiner for frame in self._frames.values()]
        spaces = all(closer.strip() for closer in closers)
        return TextCodec(frozenset(structural), spaces)


def load_template(component: TemplateComponent, taxonomy: Taxonomy) -> Template:
    """Read a template's source, from a file in a package if it is given as ``"package:path"``, and bind it.

    Raises:
        ConfigError: if the file is not there or the source breaks the contract.
    """
    return Template(component.name, read_source(component), taxonomy)
