"""Scores that are made up: runs of normal ones, and sums of a part and a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy

if TYPE_CHECKING:
    from ttmarkers.records import Score


def normal(seed: int, *shape: int) -> list[list[Score | None]]:
    """Return runs of normal scores."""
    found: list[list[Score | None]] = numpy.random.default_rng(seed).normal(size=shape).tolist()
    return found


def pairs(seed: int, n: int, factor: float = 1.0) -> list[Score | None]:
    """Return scores made of a part and a whole."""
    rng = numpy.random.default_rng(seed)
    return [(factor * float(rng.integers(0, 5)), float(rng.integers(5, 10))) for _ in range(n)]
