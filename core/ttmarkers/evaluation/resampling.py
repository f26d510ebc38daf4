"""Figures over several runs, and differences between two systems, with what chance alone would have made of them.

All is done by resampling cases (prompts), and runs (seeds) where there are several:

- intervals are percentile bootstrap intervals (Efron and Tibshirani, An Introduction to the Bootstrap, 1993);
- runs and cases are drawn independently of each other and crossed, because every run answered the same cases
  (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 2007);
- the p of a difference comes from a paired permutation test (Dror et al., The Hitchhiker's Guide to Testing
  Statistical Significance in Natural Language Processing, ACL 2018);
- several p are corrected by Holm's procedure (A simple sequentially rejective multiple test procedure, Scandinavian
  Journal of Statistics 1979).

A bootstrap cannot see beyond its sample, and where there are few hits that is too little: its interval for a share of
7 % of 50 held the truth 85 times in 100. So scores of 0 and 1 with fewer than `FEW` hits or misses get the exact
interval, and differences of such scores that fewer than `FEW` cases make one that reaches at least as far as Bonett
and Price's. ``tests/unit/test_coverage.py`` says how often each holds. Spread between few runs is judged too small: if
it outweighs all other, five runs hold the truth 90 times in 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from ttmarkers.evaluation.case_weights import Runs as Runs
from ttmarkers.evaluation.case_weights import bootstrap, gather, swap_test
from ttmarkers.statistics import LEVEL, Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.evaluation.case_weights import Array, Sample
    from ttmarkers.records import Metric

FEW = 10
"""Fewer hits than this are too few for a bootstrap."""

POWER = 0.8
"""Of the test that `Difference.detectable` speaks of."""


@dataclass(frozen=True)
class Difference:
    """How much more a second system scores than a first, on the same cases.

    Attributes:
        value: second minus first.
        low: lower end of the 95 % interval.
        high: its upper end.
        p: how often a difference at least as large arises if it is chance which answer is whose.
        n: cases that the metric applies to in both.
        detectable: the true difference that a sample like this one shows with a power of 80 % (two-sided, 5 %); NaN if
            the sample does not say, because nothing in it varies.
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    detectable: float

    def to_json(self) -> dict[str, float | int | None]:
        """Return the difference as commands print it, rounded to six digits; what is not known is null."""
        numbers = {name: getattr(self, name) for name in ("value", "low", "high", "p", "detectable")}
        return {**{name: _number(number) for name, number in numbers.items()}, "n": self.n}

    def text(self, *, share: bool = True) -> str:
        """Return the difference for people: ``-35.3 [-38.1, -32.6] points, p < 0.001``."""
        if math.isnan(self.value):
            return "no case"
        chance = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        digits, factor, unit = (1, 100, " points") if share else (2, 1, "")
        # adding 0 makes -0.0 a plain zero
        value, low, high = (round(factor * number, digits) + 0.0 for number in (self.value, self.low, self.high))
        return f"{value:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]{unit}, {chance}"


def _number(number: float) -> float | None:
    return None if math.isnan(number) else round(number, 6)


def estimate(
    runs: Runs, meaning: Metric, cells: Sequence[tuple[str, ...]] = (), *, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Return a figure over runs and cases with its 95 % interval.

    A case's score is its mean over the runs in which the metric applies to it. Cases are resampled (within their cell
    for a mean of means), and runs across them if there are several. The rule for rare hits: if all scores are 0 or 1
    and fewer than `FEW` are hits, or misses, the interval is the exact (Clopper-Pearson) one; with several runs the
    bootstrap's, widened to it. Where cells count differently its number of cases is that which would say as much if
    all counted the same (Korn and Graubard, Survey Methodology 1998); further runs do not add to it.

    Args:
        runs: the scores.
        meaning: of the metric.
        cells: for a mean of means (``meaning.over``) each case's values of these slices; else not looked at.
        resamples: number of bootstrap samples.
        seed: of the resampling.

    Raises:
        ValueError: if runs, cells or scores have not the same length.
    """
    sample = gather([runs], meaning, cells)
    if not sample.count:
        return Estimate(math.nan, math.nan, math.nan, 0)
    if len(runs) == 1 and not meaning.over and not meaning.combine:
        scores = [score for score in runs[0] if isinstance(score, int | float)]
        found = mean(scores, share=meaning.share, resamples=resamples, seed=seed)
    else:
        value = sample.values()[0]
        figures = bootstrap(sample, resamples, seed)[0] if sample.count > 1 else None
        found = Estimate(value, *_interval(figures, value), sample.count)
    exact = _exact(found.value, sample.effective) if _zeros_and_ones(runs, meaning) else None
    if not exact:
        return found
    low, high = exact
    if len(runs) > 1:
        low, high = min(low, found.low), max(high, found.high)
    return Estimate(found.value, low, high, found.n)


def compare(
    first: Runs,
    second: Runs,
    meaning: Metric,
    cells: Sequence[tuple[str, ...]] = (),
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Difference:
    """Return what a second system scores more than a first on the same cases, with its 95 % interval and its p.

    The interval is a paired bootstrap's: both systems are weighed by the same draw of cases. If they have the same
    number of runs these are taken for pairs (the same seed) and drawn together, else apart.

    The p is two-sided: if the systems did not differ, a case's scores could as well have been swapped between them, in
    all runs together. If there are no more ways to swap than ``resamples`` all are gone through; else as many are
    drawn, and the p is (hits + 1) / (resamples + 1), never 0. It speaks of these trained models on other cases; only
    the interval also speaks of other seeds.

    Args:
        first: scores of the one system.
        second: scores of the other, for the same cases.
        meaning: of the metric.
        cells: for a mean of means (``meaning.over``) each case's values of these slices; else not looked at.
        resamples: number of bootstrap samples, and of permutations.
        seed: of the resampling.

    Raises:
        ValueError: if runs, cells or scores have not the same length.
    """
    sample = gather([first, second], meaning, cells)
    if not sample.count:
        return Difference(math.nan, math.nan, math.nan, math.nan, 0, math.nan)
    one, other = sample.values()
    value = other - one
    if sample.count == 1:
        return Difference(value, value, value, 1.0, 1, math.nan)
    figures = bootstrap(sample, resamples, seed)
    differences = figures[1] - figures[0]
    low, high = _interval(differences, value)
    error = _spread(differences)
    if _zeros_and_ones([*first, *second], meaning):
        middle, least = _few_differ(sample)
        reach = _quantile((1 + LEVEL) / 2) * least
        low, high, error = min(low, max(-1.0, middle - reach)), max(high, min(1.0, middle + reach)), max(error, least)
    detectable = error * (_quantile((1 + LEVEL) / 2) + _quantile(POWER)) if error else math.nan
    return Difference(value, low, high, swap_test(sample, resamples, seed), sample.count, detectable)


def corrected(ps: Sequence[float]) -> list[float]:
    """Return the p of several tests, corrected for their number by Holm's step-down procedure.

    A test that has no p (NaN) keeps it, and does not count.

    >>> corrected([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    ranked = sorted((number for number, p in enumerate(ps) if not math.isnan(p)), key=lambda number: ps[number])
    result = [math.nan] * len(ps)
    highest = 0.0
    for rank, number in enumerate(ranked):
        highest = min(1.0, max(highest, (len(ranked) - rank) * ps[number]))
        result[number] = highest
    return result


def _zeros_and_ones(runs: Runs, meaning: Metric) -> bool:
    """Return whether all scores are hits or misses."""
    if not meaning.share or meaning.combine:
        return False
    return {score for run in runs for score in run if score is not None} <= {0.0, 1.0}


def _interval(figures: Array | None, value: float) -> tuple[float, float]:
    """Return the percentile interval, without resamples that have no figure; the value itself is never left out."""
    import numpy

    if figures is None:
        return value, value
    known = figures[~numpy.isnan(figures)]
    if not len(known):
        return math.nan, math.nan
    low, high = numpy.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return min(low, value), max(high, value)


def _spread(figures: Array) -> float:
    """Return the standard error that bootstrap samples show; 0 if they do not vary."""
    import numpy

    known = figures[~numpy.isnan(figures)]
    if len(known) < 2:
        return 0.0
    error = float(numpy.std(known, ddof=1))
    # equal sums in another order differ in their last digits
    return error if error > 1e-12 * float(abs(known).max()) else 0.0


def _quantile(share: float) -> float:
    """Return the standard normal's quantile."""
    return NormalDist().inv_cdf(share)


def _exact(share: float, count: float) -> tuple[float, float] | None:
    """Return the Clopper-Pearson interval of a share if hits or misses are few."""
    from scipy.stats import beta

    hits, misses = share * count, (1 - share) * count
    if min(hits, misses) >= FEW:
        return None
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, misses + 1)) if hits > 1e-9 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, misses)) if misses > 1e-9 else 1.0
    return min(low, share), max(high, share)


def _few_differ(sample: Sample) -> tuple[float, float]:
    """Return middle and standard error of a difference of shares that few cases make; no error if they are not few.

    One case more is added to each side (Bonett and Price, Adjusted Wald confidence interval for a difference of
    binomial proportions based on paired data, Journal of Educational and Behavioral Statistics 2012).
    """
    first, second = (system.mean(axis=(1, 2)) for system in sample.systems)
    count = sample.effective
    gains = count * float((second - first).clip(0).sum())
    losses = count * float((first - second).clip(0).sum())
    if gains + losses >= FEW:
        return (gains - losses) / count, 0.0
    middle = (gains - losses) / (count + 2)
    return middle, math.sqrt(((gains + losses + 2) / (count + 2) - middle**2) / (count + 2))
