"""Means with intervals. The bootstrap is scipy's; what is ours is only when it may be used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean of ``n`` observations with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        """Return the estimate as commands print it, rounded to six digits."""
        return {
            "value": round(self.value, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "n": self.n,
        }

    def text(self, *, share: bool = True) -> str:
        """Return the estimate for people: ``24.7 % [21.9, 27.6]``."""
        if math.isnan(self.value):
            return "no case"
        if not share:
            return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def mean(values: Sequence[float], *, share: bool = True, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Return the mean with a percentile bootstrap interval over the observations.

    A bootstrap cannot see beyond its sample: if all observations are equal its interval has no width. Shares of 0
    and 1 get the exact (Clopper-Pearson) interval instead; other equal values keep the width that they have.

    Args:
        values: one for each prompt.
        share: whether each is 0 or 1.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    >>> mean([1.0] * 20)
    Estimate(value=1.0, low=0.8315665, high=1.0, n=20)
    """
    count = len(values)
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    average = math.fsum(values) / count
    if len(set(values)) == 1:
        if share and average in (0.0, 1.0):
            from scipy.stats import binomtest

            interval = binomtest(round(average * count), count).proportion_ci(LEVEL, method="exact")
            return Estimate(average, round(float(interval.low), 7), round(float(interval.high), 7), count)
        return Estimate(average, average, average, count)
    import numpy
    from scipy.stats import bootstrap

    result = bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // count),
        confidence_level=LEVEL,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    )
    return Estimate(average, float(result.confidence_interval.low), float(result.confidence_interval.high), count)


def share(hits: int, count: int) -> Estimate:
    """Return a share of observations with its Wilson interval, where only their counts are at hand.

    >>> share(9, 10).text()
    '90.0 % [59.6, 98.2]'
    """
    if count == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    from scipy.stats import binomtest

    interval = binomtest(hits, count).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / count, float(interval.low), float(interval.high), count)


def ratio(parts: Sequence[float], wholes: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Return the ratio of two sums with a percentile bootstrap interval over the observations.

    Args:
        parts: one for each observation.
        wholes: what each is a part of; more than 0.
        resamples: number of bootstrap samples.
        seed: of the resampling.
    """
    import numpy
    from scipy.stats import bootstrap

    count = len(parts)
    value = math.fsum(parts) / math.fsum(wholes)
    if count < 2:
        return Estimate(value, value, value, count)
    found = bootstrap(
        (numpy.asarray(parts, dtype=float), numpy.asarray(wholes, dtype=float)),
        lambda part, whole, axis: part.sum(axis=axis) / whole.sum(axis=axis),
        n_resamples=resamples,
        paired=True,
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    )
    return Estimate(value, float(found.confidence_interval.low), float(found.confidence_interval.high), count)
