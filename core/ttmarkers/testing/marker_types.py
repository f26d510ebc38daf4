"""Checks of marker types."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.blocks.template import load_template
from ttmarkers.taxonomies.taxonomy import GREATEST, Taxonomy, check_value
from ttmarkers.testing.contract import Breach, check_name, check_summary, hold
from ttmarkers.testing.made_up import plugins_with

if TYPE_CHECKING:
    from ttmarkers.components import MarkerType
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value

KINDS = ("categorical", "int", "float")
FLOATS = (0.0, 0.1, 0.5, 1.0, 4.125, 1e-7, 123456789.0, 1e22, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308)


@dataclass
class Probe:
    """A marker type, and the templates that write it."""

    component: MarkerType
    plugins: Plugins


def check_marker_type(kind: MarkerType, *, plugins: Plugins | None = None) -> None:
    """Check a marker type: its name, kind, values and aliases, and that every template can write its values.

    Args:
        kind: the marker type.
        plugins: whose templates write it; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> from ttmarkers.components import MarkerType
        >>> check_marker_type(MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"), {":-)": "happy"}))
    """
    hold(f"marker type {kind.name!r}", Probe(kind, plugins or plugins_with()), CHECKS)


def numbers(kind: MarkerType) -> list[Value]:
    """Return numbers that a type can hold, the extreme ones among them."""
    if kind.kind == "int":
        whole = [0, 1, 7, 10, 199, 65536, GREATEST]
        found: list[Value] = [*whole, *(-number for number in whole if number)]
    else:
        found = [*FLOATS, *(-number for number in FLOATS if number)]
    least = kind.minimum
    if least is None:
        return found
    return [
        *(number for number in found if float(number) >= least),
        math.ceil(least) if kind.kind == "int" else least,
    ]


def values_of(kind: MarkerType) -> list[Value]:
    """Return all values of a category, or numbers as `numbers` does."""
    return list(kind.values) if kind.values else numbers(kind)


def has_a_plain_name(probe: Probe) -> None:
    """Blocks and configs hold the name."""
    check_name(probe.component.name, r"[A-Za-z_][A-Za-z0-9_]*", "ASCII letters, digits and underscores")
    check_summary(probe.component.summary)


def has_a_known_kind(probe: Probe) -> None:
    """The kind says what values are."""
    kind = probe.component
    if kind.kind not in KINDS:
        raise Breach(f"kind {kind.kind!r} is unknown: use one of {', '.join(KINDS)}")
    if kind.kind == "categorical" and (kind.minimum is not None or kind.unit):
        raise Breach("a category has neither minimum nor unit: leave them out")
    if kind.minimum is not None and not math.isfinite(kind.minimum):
        raise Breach(f"minimum {kind.minimum} is no number: leave it out where there is no least value")


def has_values_that_differ(probe: Probe) -> None:
    """Users write values without regard to case."""
    seen: dict[str, str] = {}
    for value in probe.component.values:
        if not isinstance(value, str):
            raise Breach(f"value {value!r} is no text: put it in quotes")
        if value != value.strip():
            raise Breach(f"value {value!r} begins or ends with white space, which nobody sees: take it off")
        other = seen.setdefault(value.casefold(), value)
        if other is not value:
            raise Breach(f"values {other!r} and {value!r} are the same but for their case: keep one")


def has_aliases_of_its_values(probe: Probe) -> None:
    """An alias is another spelling of a value."""
    for alias, value in probe.component.aliases.items():
        if value not in probe.component.values:
            raise Breach(f"alias {alias!r} stands for {value!r}, which is no value: name one of the values")


def has_aliases_that_collide_with_nothing(probe: Probe) -> None:
    """One spelling has one meaning."""
    kind = probe.component
    folded = {value.casefold(): value for value in kind.values}
    seen: dict[str, tuple[str, str]] = {}
    for alias, value in kind.aliases.items():
        key = alias.casefold()
        if folded.get(key, value) != value:
            raise Breach(f"alias {alias!r} of {value!r} is the value {folded[key]!r} itself: take it out")
        other, meant = seen.setdefault(key, (alias, value))
        if meant != value:
            raise Breach(f"aliases {other!r} of {meant!r} and {alias!r} of {value!r} are one spelling: keep one")
        if check_value(kind, alias) != value:
            raise Breach(f"alias {alias!r} is read as {check_value(kind, alias)!r}, not {value!r}: take it out")


def is_stored_in_markers_json(probe: Probe) -> None:
    """A model carries its marker types as JSON."""
    kind = probe.component
    back = Taxonomy.from_json(json.loads(json.dumps(Taxonomy((kind,)).to_json())))
    if back.types != (kind,):
        raise Breach("it comes back from markers.json as another type: use plain texts and numbers alone")


def is_written_by_every_template(probe: Probe) -> None:
    """A value is read back as it was, whatever template writes it."""
    kind = probe.component
    for entry in probe.plugins.templates():
        template = load_template(entry.component, Taxonomy((kind,)))
        for value in values_of(kind):
            try:
                back = template.parse(template.render({kind.name: value})).get(kind.name)
            except Exception as error:
                raise Breach(
                    f"template {template.name!r} cannot write {value!r} ({error}): spell it otherwise"
                ) from error
            if back != value:
                raise Breach(f"template {template.name!r} reads {value!r} back as {back!r}: spell it otherwise")


CHECKS = (
    has_a_plain_name,
    has_a_known_kind,
    has_values_that_differ,
    has_aliases_of_its_values,
    has_aliases_that_collide_with_nothing,
    is_stored_in_markers_json,
    is_written_by_every_template,
)
