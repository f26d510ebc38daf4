"""Head and tail: which values are rare in what a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.records import Value

BORDER = 0.05
"""A value is in the tail if it holds under this share of the training rows (the paper, section 4)."""


@dataclass(frozen=True)
class Tail:
    """Slices of cases by how frequent their markers were in training.

    Attributes:
        counts: marker -> value -> training rows, as ``markers.json`` holds them; empty if they are not known.
        rows: number of training rows.
        names: the markers to look at.
        border: the share under which a value is in the tail.
    """

    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: int = 0
    names: Sequence[str] = ()
    border: float = BORDER

    def slices(self, known: Mapping[str, Value]) -> dict[str, str]:
        """Return head or tail for each marker that a case is known to have, and for all of them together.

        A case is in the tail (``frequency``) if any of its values is. A value that no training row has is rare too.
        """
        found = {
            f"{name} frequency": "tail" if self.rare(name, value) else "head"
            for name in self.names
            if (value := known.get(name)) is not None and name in self.counts
        }
        if found:
            found["frequency"] = "tail" if "tail" in found.values() else "head"
        return found

    def rare(self, name: str, value: Value) -> bool:
        """Say whether a category is in the tail."""
        return bool(self.counts[name].get(str(value), 0) < self.border * self.rows)


def make_tail(checkpoint: Checkpoint | None, names: Sequence[str] | None, border: float = BORDER) -> Tail:
    """Return the tail of what a model was trained on.

    Args:
        checkpoint: of the model; None if it is not known.
        names: markers to look at; all categories by default.
        border: see `Tail`.
    """
    if checkpoint is None:
        return Tail()
    kinds = [kind.name for kind in checkpoint.taxonomy if kind.values]
    return Tail(
        checkpoint.wording.counts(checkpoint.counts), checkpoint.rows, kinds if names is None else names, border
    )


def known_markers(row: Mapping[str, Any]) -> dict[str, Value]:
    """Return the markers of a row that was annotated (its column ``markers``); none of another one."""
    markers = row.get("markers")
    return {name: value for name, value in markers.items() if value is not None} if isinstance(markers, dict) else {}
