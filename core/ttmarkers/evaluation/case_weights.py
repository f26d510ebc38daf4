"""Scores as arrays, and figures of them under many weightings: bootstrap samples and swaps.

``scipy.stats.bootstrap`` and ``permutation_test`` know neither two crossed levels nor cells, and call a function that
would have to find its sums anew. Here every figure is made of weighted sums, so that a resample is a weight for each
case and each run, a swap is a weight of 0 or 1, and many of them are one product of matrices.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.records import Score

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from ttmarkers.records import Metric

    Array = NDArray[Any]

Runs = Sequence[Sequence[Score | None]]
"""A metric's scores: by run (seed), then by case; None where the metric does not apply to the case. All runs have the
same cases in the same order."""

BATCH = 1_000_000
"""How many weights are held at once."""


@dataclass(frozen=True)
class Sample:
    """The cases that count, sorted by cell.

    Attributes:
        systems: for each system an array (case, run, number). Without ``combine`` each number is weighed already, and
            the figure is their sum.
        sizes: how many cases each cell has.
        shares: what each cell counts in the figure; they add up to 1.
        combine: as in `Metric`.
    """

    systems: Sequence[Array]
    sizes: Sequence[int]
    shares: Sequence[float]
    combine: Callable[[Sequence[float]], float] | None

    @property
    def count(self) -> int:
        """How many cases count."""
        return sum(self.sizes)

    @property
    def effective(self) -> float:
        """How many cases would say as much if all counted the same."""
        return 1 / math.fsum(share**2 / size for share, size in zip(self.shares, self.sizes, strict=True))

    def sums(self, system: Array, cases: Array) -> Array:
        """Return weighted sums (resample, cell, run, number) for weights (resample, case).

        Without ``combine`` all cells are one.
        """
        import numpy

        _, runs, numbers = system.shape
        sizes = self.sizes if self.combine else [self.count]
        parts = []
        end = 0
        for size in sizes:
            start, end = end, end + size
            product = cases[:, start:end] @ system[start:end].reshape(size, -1)
            parts.append(product.reshape(-1, runs, numbers))
        return numpy.stack(parts, axis=1)

    def figures(self, sums: Array, runs: Array) -> Array:
        """Return the figure of each resample from its sums and its weights (resample, run)."""
        import numpy

        totals: Array = numpy.einsum("scrn,sr->scn", sums, runs)
        if not self.combine:
            found: Array = totals[:, 0, 0]
            return found
        return numpy.array(
            [
                math.fsum(share * _combined(self.combine, cell) for share, cell in zip(self.shares, cells, strict=True))
                for cells in totals.tolist()
            ]
        )

    def values(self) -> list[float]:
        """Return each system's figure as it was observed."""
        import numpy

        ones = numpy.ones((1, self.count))
        return [
            float(self.figures(self.sums(system, ones), numpy.full((1, system.shape[1]), 1 / system.shape[1]))[0])
            for system in self.systems
        ]


def _combined(combine: Callable[[Sequence[float]], float], sums: Sequence[float]) -> float:
    """Return a figure made of sums, NaN where it cannot be made."""
    try:
        return float(combine(sums))
    except (ArithmeticError, ValueError):
        return math.nan


def gather(systems: Sequence[Runs], meaning: Metric, cells: Sequence[tuple[str, ...]]) -> Sample:
    """Return the cases to which a metric applies in all systems, as numbers."""
    count = _check(systems, meaning, cells)
    kept = [case for case in range(count) if all(any(run[case] is not None for run in runs) for runs in systems)]
    keys = [tuple(cells[case]) if meaning.over else () for case in range(count)]
    order = sorted(kept, key=lambda case: keys[case])
    counts = Counter(keys[case] for case in order)
    shares, sizes = _cell_shares(list(counts)), list(counts.values())
    found = [_array(runs, order, meaning) for runs in systems]
    if not meaning.combine:
        import numpy

        weights = numpy.repeat(numpy.divide(shares, sizes), sizes)
        found = [system * weights[:, None, None] for system in found]
    return Sample(found, sizes, shares, meaning.combine)


def _check(systems: Sequence[Runs], meaning: Metric, cells: Sequence[tuple[str, ...]]) -> int:
    """Return how many cases all runs have."""
    lengths = {len(run) for runs in systems for run in runs}
    if len(lengths) > 1:
        raise ValueError(f"all runs must have scores for the same cases: there are {sorted(lengths)}")
    count = lengths.pop() if lengths else 0
    if meaning.over and (len(cells) != count or any(len(cell) != len(meaning.over) for cell in cells)):
        raise ValueError(f"a mean over {', '.join(meaning.over)} needs for each of {count} cases as many slice values")
    return count


def _cell_shares(keys: Sequence[tuple[str, ...]]) -> list[float]:
    """Return what each cell counts in a mean of means: at every level all values count the same."""
    below: dict[tuple[str, ...], set[str]] = {}
    for key in keys:
        for depth, name in enumerate(key):
            below.setdefault(key[:depth], set()).add(name)
    return [math.prod(1 / len(below[key[:depth]]) for depth in range(len(key))) for key in keys]


def _array(runs: Runs, order: Sequence[int], meaning: Metric) -> Array:
    """Return scores as an array (case, run, number).

    Where a run has no score the mean of the case's other runs stands in, which leaves the case's mean as it is.
    """
    import numpy

    rows = [[_numbers(run[case], meaning) for run in runs] for case in order]
    widths = {len(score) for row in rows for score in row if score}
    if len(widths) > 1:
        raise ValueError(f"all scores must be made of as many numbers: there are {sorted(widths)}")
    width = widths.pop() if widths else 1
    filled = []
    for row in rows:
        known = [score for score in row if score]
        if len(known) < len(row):
            middle = tuple(math.fsum(numbers) / len(known) for numbers in zip(*known, strict=True))
            row = [score or middle for score in row]
        filled.append(row)
    return numpy.array(filled, dtype=float).reshape(len(order), len(runs), width)


def _numbers(score: Score | None, meaning: Metric) -> tuple[float, ...]:
    """Return the numbers that a score is made of; none for a score that is not there."""
    if score is None:
        return ()
    if isinstance(score, int | float):
        return (score,)
    if not meaning.combine:
        raise ValueError("a score is made of several numbers, and the metric does not say how to combine them")
    return tuple(score)


def bootstrap(sample: Sample, resamples: int, seed: int) -> Array:
    """Return the figures (system, resample) of bootstrap samples; all systems are weighed by the same draw of cases.

    In every draw there is one less than there is to draw from: as many would show too little spread where there are
    few, such as five runs or the cases of a small cell (Rao and Wu, Resampling inference with complex survey data,
    Journal of the American Statistical Association 1988).
    """
    import numpy

    cases_rng, runs_rng = numpy.random.default_rng(seed).spawn(2)
    runs: list[Array] = []
    for system in sample.systems:
        paired = runs and runs[0].shape[1] == system.shape[1]
        runs.append(runs[0] if paired else _run_weights(system.shape[1], resamples, runs_rng))
    parts = []
    for start, stop in _batches(resamples, sample.count):
        weights = _case_weights(sample.sizes, stop - start, cases_rng)
        parts.append(
            [
                sample.figures(sample.sums(system, weights), chosen[start:stop])
                for system, chosen in zip(sample.systems, runs, strict=True)
            ]
        )
    return numpy.concatenate(parts, axis=1)


def _batches(resamples: int, count: int) -> list[tuple[int, int]]:
    """Cut resamples into batches that hold no more than `BATCH` weights."""
    step = max(1, BATCH // count)
    return [(start, min(start + step, resamples)) for start in range(0, resamples, step)]


def _run_weights(runs: int, resamples: int, rng: Generator) -> Array:
    """Return weights (resample, run) that add up to 1."""
    draws = max(1, runs - 1)
    return rng.multinomial(draws, [1 / runs] * runs, size=resamples) / draws


def _case_weights(sizes: Sequence[int], resamples: int, rng: Generator) -> Array:
    """Return weights (resample, case), drawn within the cells, whose cases stand side by side.

    The weights of a cell add up to its size.
    """
    import numpy

    whole = numpy.asarray(sizes)
    draws = numpy.maximum(1, whole - 1)
    ends = whole.cumsum()
    count = int(ends[-1])
    if len(sizes) == 1:
        picks = rng.integers(0, count, size=(resamples, draws[0]))
    else:
        # numpy draws whole numbers with bounds of their own far slower than fractions
        fractions = rng.random(size=(resamples, int(draws.sum())))
        picks = (fractions * numpy.repeat(whole, draws)).astype(numpy.int64) + numpy.repeat(ends - whole, draws)
    picks += numpy.arange(resamples)[:, None] * count
    drawn = numpy.bincount(picks.ravel(), minlength=resamples * count).reshape(resamples, count)
    weights: Array = drawn * numpy.repeat(whole / draws, whole)
    return weights


def swap_test(sample: Sample, resamples: int, seed: int) -> float:
    """Return the p of a paired permutation test: cases are swapped between two systems, all runs together.

    A swap of equal scores changes nothing, so all ways to swap are gone through if few cases differ.
    """
    import numpy

    first, second = (system.mean(axis=1, keepdims=True) for system in sample.systems)
    moving = numpy.flatnonzero((first != second).any(axis=(1, 2)))
    exact = 2 ** len(moving) <= resamples
    rng = numpy.random.default_rng(seed).spawn(3)[2]
    observed = sample.values()
    # sums in another order differ in their last digits
    bound = abs(observed[1] - observed[0]) - 1e-10 * sum(map(abs, observed))
    everything = numpy.ones((1, sample.count))
    kept, others = sample.sums(first, everything), sample.sums(second, everything)
    hits = 0
    for start, stop in _batches(2 ** len(moving) if exact else resamples, sample.count):
        if exact:
            swaps = numpy.arange(start, stop)[:, None] >> numpy.arange(len(moving)) & 1
        else:
            swaps = rng.integers(0, 2, size=(stop - start, len(moving)), dtype=numpy.int8)
        weights = numpy.zeros((stop - start, sample.count))
        weights[:, moving] = swaps
        moved = sample.sums(second - first, weights)
        once = numpy.ones((stop - start, 1))
        one, other = sample.figures(kept + moved, once), sample.figures(others - moved, once)
        # a figure that cannot be made counts against the difference
        hits += int((~(abs(other - one) < bound)).sum())
    return hits / 2 ** len(moving) if exact else (hits + 1) / (resamples + 1)
