"""What the training of a tagger is given, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ttmarkers.annotation.agreement import Agreement
    from ttmarkers.annotation.guides import Guide
    from ttmarkers.components import MarkerType
    from ttmarkers.records import MarkedExample


@dataclass(frozen=True)
class TaggerJob:
    """What to train a tagger on.

    Attributes:
        rows: rows that carry markers already.
        types: the marker types to learn.
        guides: what is said of their values.
        output: the folder to write; it does not exist yet.
        seed: of all that is random.
        options: arguments of the tagger, such as ``encoder``.
    """

    rows: Sequence[MarkedExample]
    types: tuple[MarkerType, ...]
    guides: Mapping[str, Guide]
    output: Path
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaggerReport:
    """How a tagger agrees with rows that it was not trained on, by marker; ``skipped`` says what was not learnt."""

    markers: Mapping[str, Agreement]
    skipped: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is printed and stored."""
        return {
            "markers": {name: found.to_json() for name, found in self.markers.items()},
            "skipped": dict(self.skipped),
        }
