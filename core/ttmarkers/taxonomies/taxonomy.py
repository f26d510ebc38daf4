"""An ordered set of marker types, and the check of what may stand in one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ttmarkers.components import MarkerType
from ttmarkers.errors import ConfigError, DataError, did_you_mean, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ttmarkers.records import Value

PAPER_ORDER = (
    "quality",
    "quality_bucket",
    "length_tokens",
    "length_sentences",
    "length_paragraphs",
    "length_bucket",
    "task",
    "domain",
    "code_type",
    "format",
    "source",
    "style",
    "lang",
)
"""The order of the paper's table; types of plugins follow by name unless the config gives an order."""

PROFILES: dict[str, dict[str, tuple[str, ...]]] = {
    "paper": {},
    # the paper's table has no Finance, though its figure and its annotation prompt do
    "paper-strict": {"domain": ("Finance",)},
}
"""Named taxonomies: for each, the values that it leaves out."""


GREATEST = 10**9 - 1  # nine digits, so that a grammar can bound what a model writes


def check_value(kind: MarkerType, value: object) -> Value:
    """Return ``value`` as the marker type holds it: right type, and a value's own spelling for an alias.

    Raises:
        DataError: if the type cannot hold it.

    >>> check_value(MarkerType("n", "", "int", minimum=0), "12")
    12
    """
    if kind.kind == "categorical":
        return _category(kind, value)
    try:
        number: int | float = int(str(value)) if kind.kind == "int" else float(str(value))
    except ValueError:
        wanted = "a whole number" if kind.kind == "int" else "a number"
        raise DataError(f"{kind.name} = {value!r}: it holds {wanted}") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise DataError(f"{kind.name} = {value!r}: it holds a finite number")
    if kind.kind == "int" and abs(number) > GREATEST:
        raise DataError(f"{kind.name} = {value!r}: the greatest number is {GREATEST}")
    if kind.minimum is not None and float(number) < kind.minimum:
        raise DataError(f"{kind.name} = {value!r}: the least value is {kind.minimum:g}")
    return number


def _category(kind: MarkerType, value: object) -> str:
    text = str(value)
    if text in kind.values:
        return text
    folded = text.casefold()
    for known in kind.values:
        if known.casefold() == folded:
            return known
    for alias, known in kind.aliases.items():
        if alias.casefold() == folded:
            return known
    if parts := parts_of(kind, text):
        raise DataError(
            f"{kind.name} = {text!r} is no value any more: it was split into {', '.join(parts)}: say which of them, "
            "or annotate anew"
        )
    raise DataError(f"{kind.name} = {text!r} is not in the taxonomy: {did_you_mean(text, kind.values)}")


def parts_of(kind: MarkerType, value: object) -> tuple[str, ...]:
    """Return the values that a former value was split into; none if it was not."""
    folded = str(value).casefold()
    return next((parts for old, parts in kind.split.items() if old.casefold() == folded), ())


@dataclass(frozen=True)
class Taxonomy:
    """Marker types in the order in which a block writes them."""

    types: tuple[MarkerType, ...]

    def __post_init__(self) -> None:
        names = [kind.name for kind in self.types]
        if len(set(names)) != len(names):
            raise ConfigError(f"a marker type stands twice in the taxonomy: {', '.join(sorted(names))}")

    def __iter__(self) -> Iterator[MarkerType]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)

    def __contains__(self, name: object) -> bool:
        return any(kind.name == name for kind in self.types)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the marker types, in order."""
        return tuple(kind.name for kind in self.types)

    def get(self, name: str, *, where: str = "") -> MarkerType:
        """Return a marker type by name; an unknown one raises `UnknownNameError`."""
        for kind in self.types:
            if kind.name == name:
                return kind
        raise unknown_name("marker", name, self.names, where=where)

    def check(self, markers: Mapping[str, object], *, where: str = "") -> dict[str, Value]:
        """Return markers in canonical order with checked values.

        Raises:
            UnknownNameError: for a marker type that the taxonomy lacks.
            DataError: for a value that a type cannot hold.
        """
        for name in markers:
            self.get(name, where=where)
        try:
            return {kind.name: check_value(kind, markers[kind.name]) for kind in self.types if kind.name in markers}
        except DataError as error:
            raise DataError(f"{where}: {error}" if where else str(error)) from None

    def select(self, names: Iterable[str], *, where: str = "") -> Taxonomy:
        """Return the types of the given names only, in this taxonomy's order."""
        wanted = set(names)
        for name in wanted:
            self.get(name, where=where)
        return Taxonomy(tuple(kind for kind in self.types if kind.name in wanted))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the taxonomy as ``markers.json`` stores it."""
        return [
            {
                "name": kind.name,
                "summary": kind.summary,
                "kind": kind.kind,
                "values": list(kind.values),
                "aliases": dict(kind.aliases),
                "minimum": kind.minimum,
                "unit": kind.unit,
                **({"split": {old: list(parts) for old, parts in kind.split.items()}} if kind.split else {}),
            }
            for kind in self.types
        ]

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> Taxonomy:
        """Read what `to_json` wrote."""
        return cls(tuple(_read_type(entry) for entry in data))


def _read_type(entry: Mapping[str, Any]) -> MarkerType:
    split = {old: tuple(parts) for old, parts in entry.get("split", {}).items()}
    return MarkerType(**{**entry, "values": tuple(entry["values"]), "split": split})


def make_taxonomy(
    types: Mapping[str, MarkerType], *, profile: str = "paper", order: Sequence[str] | None = None
) -> Taxonomy:
    """Put marker types in order.

    Args:
        types: all registered types by name.
        profile: a name of `PROFILES`.
        order: the types to use, in this order; by default all, the paper's first and the others by name.

    Raises:
        UnknownNameError: for a profile or a name in ``order`` that does not exist.
    """
    if profile not in PROFILES:
        raise unknown_name("taxonomy", profile, PROFILES, where="markers.taxonomy")
    if order is None:
        first = [name for name in PAPER_ORDER if name in types]
        names = [*first, *sorted(set(types) - set(first))]
    else:
        names = list(order)
    chosen = []
    for name in names:
        if name not in types:
            raise unknown_name("marker", name, types, where="markers.use")
        chosen.append(_without(types[name], PROFILES[profile].get(name, ())))
    return Taxonomy(tuple(chosen))


def _without(kind: MarkerType, left_out: Sequence[str]) -> MarkerType:
    if not left_out:
        return kind
    values = {value if value in kind.values else kind.aliases.get(value, value) for value in left_out}  # renamed since
    return replace(
        kind,
        values=tuple(value for value in kind.values if value not in values),
        aliases={alias: value for alias, value in kind.aliases.items() if value not in values},
    )
