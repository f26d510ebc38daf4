"""How often every value of every marker occurs in annotated rows, overall and by language."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ttmarkers.components import MarkerType
    from ttmarkers.records import MarkedExample, Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

TAIL = 0.05  # a value under this share of the rows is in the tail (the paper's border)
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
LANGUAGE = "lang"


@dataclass
class Stats:
    """Counts over rows.

    Attributes:
        taxonomy: the marker types, in order.
        rows: number of rows.
        counts: marker -> value -> number of rows.
        languages: the same for the rows of each language.
    """

    taxonomy: Taxonomy
    rows: int = 0
    counts: dict[str, dict[Value, int]] = field(default_factory=dict)
    languages: dict[str, Stats] = field(default_factory=dict)

    def add(self, markers: Mapping[str, Value]) -> None:
        """Count one row."""
        self.rows += 1
        for name, value in markers.items():
            values = self.counts.setdefault(name, {})
            values[value] = values.get(value, 0) + 1

    def to_json(self) -> dict[str, Any]:
        """Return ``{"rows", "markers", "languages"}`` as ``ttm stats --json`` prints it."""
        data: dict[str, Any] = {
            "rows": self.rows,
            "markers": {kind.name: self._describe(kind) for kind in self.taxonomy},
        }
        if self.languages:
            data["languages"] = {name: part.to_json() for name, part in self.languages.items()}
        return data

    def _describe(self, kind: MarkerType) -> dict[str, Any]:
        values = self.counts.get(kind.name, {})
        found = sum(values.values())
        missing = self.rows - found
        if kind.kind != "categorical":
            return {"missing": missing, "n": found, "quantiles": quantiles(values)}
        ordered = sorted(values.items(), key=lambda item: (-item[1], kind.values.index(str(item[0]))))
        return {
            "missing": missing,
            "values": [
                {"value": value, "count": count, "share": count / self.rows, "tail": count < TAIL * self.rows}
                for value, count in ordered
            ],
        }


def count(examples: Iterable[MarkedExample], taxonomy: Taxonomy) -> Stats:
    """Count all rows, and those of each language by themselves, the most frequent first."""
    total = Stats(taxonomy)
    for example in examples:
        total.add(example.markers)
        language = example.markers.get(LANGUAGE)
        if language is not None:
            total.languages.setdefault(str(language), Stats(taxonomy)).add(example.markers)
    order = sorted(total.languages.items(), key=lambda item: (-item[1].rows, item[0]))
    total.languages = dict(order) if len(order) > 1 else {}
    return total


def quantiles(values: Mapping[Value, int]) -> dict[str, float]:
    """Return the quantiles of counted numbers (each a number that occurs), keyed by percentage.

    >>> quantiles({1: 2, 5: 1, 9: 1})["50"]
    1.0
    """
    total = sum(values.values())
    result: dict[str, float] = {}
    seen = 0
    left = list(QUANTILES)
    for value, number in sorted(values.items(), key=lambda item: float(item[0])):
        seen += number
        while left and seen >= max(left[0] * total, 1):
            result[f"{left.pop(0) * 100:g}"] = float(value)
    return result
