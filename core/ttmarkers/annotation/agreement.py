"""How far a tagger is to be trusted: its markers against those of people or of a better tagger, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.statistics import LEVEL, Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BINS = 10
RESAMPLES = 1000
SHARES = ("coverage", "accuracy", "answered")


@dataclass(frozen=True)
class Agreement:
    """Two sets of values of one marker on the same rows.

    Attributes:
        n: rows that have a value in the gold standard.
        coverage: share of them for which the tagger said anything.
        accuracy: share for which it said the right value; saying nothing is wrong.
        answered: share of right values among those that it said.
        macro_f1: mean over the gold values of the F1 score.
        kappa: Cohen's kappa; saying nothing counts as a value of its own.
        calibration_error: expected difference between confidence and accuracy of what it said, in ten bins of equal
            width (Guo et al. 2017, arXiv 1706.04599).
        values: for each value its rows, precision, recall, F1, and mean confidence where it was said.
        confusion: gold value -> said value -> rows; nothing said stands under the empty name.
    """

    n: int
    coverage: Estimate
    accuracy: Estimate
    answered: Estimate
    macro_f1: Estimate
    kappa: Estimate
    calibration_error: Estimate
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    METRICS: ClassVar = ("coverage", "accuracy", "answered", "macro_f1", "kappa", "calibration_error")

    def to_json(self) -> dict[str, Any]:
        """Return the figures as commands print them."""
        return {
            "n": self.n,
            "metrics": {name: _finite(getattr(self, name).to_json()) for name in self.METRICS},
            "values": {value: {k: round(v, 4) for k, v in entry.items()} for value, entry in self.values.items()},
            "confusion": {gold: dict(said) for gold, said in self.confusion.items()},
        }


def agree(gold: Sequence[str], said: Sequence[str | None], confidence: Sequence[float], *, seed: int = 0) -> Agreement:
    """Compare a tagger's values with the right ones; intervals are percentile bootstraps over rows.

    A figure that does not exist, such as the share of right values among none, is not a number; in JSON it is null.

    Args:
        gold: the right value of each row.
        said: the tagger's, None where it abstained.
        confidence: the tagger's confidence in each.
        seed: of the resampling.

    >>> agree(["a", "b", "a", "b"], ["a", "b", "a", None], [0.9, 0.8, 0.9, 0.0]).accuracy.value
    0.75
    """
    import numpy

    names = sorted({*gold, *(value for value in said if value is not None)})
    place = {name: number for number, name in enumerate(names)}
    right = numpy.asarray([place[value] for value in gold], dtype=int)
    given = numpy.asarray([len(names) if value is None else place[value] for value in said], dtype=int)
    sure = numpy.asarray(confidence, dtype=float)
    count = len(right)
    point = _figures(right, given, sure, len(names))
    random = numpy.random.default_rng(seed)
    drawn = numpy.asarray(
        [
            _figures(right[rows], given[rows], sure[rows], len(names))
            for rows in (random.integers(0, count, count) for _ in range(RESAMPLES if count > 1 else 1))
        ]
    )
    answered = int((given < len(names)).sum())
    estimates = {
        name: _estimate(name, float(value), column, answered if name == "answered" else count)
        for name, value, column in zip(Agreement.METRICS, point, drawn.T, strict=True)
    }
    table = _table(right, given, len(names))
    return Agreement(
        n=count, **estimates, values=_by_value(names, table, given, sure), confusion=_confusion([*names, ""], table)
    )


def _estimate(name: str, value: float, drawn: NDArray[Any], count: int) -> Estimate:
    import numpy

    if math.isnan(value):
        return Estimate(value, value, value, count)
    if name in SHARES and value in (0.0, 1.0):  # resampling equal rows tells nothing
        return mean([value] * count)
    low, high = numpy.nanpercentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    # resampling alone makes a calibration error greater
    return Estimate(value, min(value, float(low)), max(value, float(high)), count)


def _finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(figure) else figure for name, figure in figures.items()}


def _table(right: NDArray[Any], given: NDArray[Any], size: int) -> NDArray[Any]:
    """Return counts, gold values by said values and nothing."""
    import numpy

    found: NDArray[Any] = numpy.bincount(right * (size + 1) + given, minlength=size * (size + 1))
    return found.reshape(size, size + 1)


def _figures(right: NDArray[Any], given: NDArray[Any], sure: NDArray[Any], size: int) -> tuple[float, ...]:
    import numpy

    table = _table(right, given, size)
    total, hits = table.sum(), table.diagonal()
    gold, said = table.sum(axis=1), table.sum(axis=0)
    answered = total - said[-1]
    f1 = 2 * hits / numpy.maximum(gold + said[:-1], 1)
    chance = float((gold * said[:-1]).sum()) / total**2
    accuracy = hits.sum() / total
    kappa = (accuracy - chance) / (1 - chance) if chance < 1 else 1.0
    spoken = given < size
    error = _calibration_error((right == given)[spoken], sure[spoken])
    return (
        answered / total,
        accuracy,
        hits.sum() / answered if answered else numpy.nan,
        f1[gold > 0].mean(),
        kappa,
        error,
    )


def _calibration_error(hit: NDArray[Any], sure: NDArray[Any]) -> float:
    import numpy

    if not len(hit):
        return float("nan")
    bins = numpy.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = numpy.bincount(bins, weights=hit - sure, minlength=BINS)
    return float(numpy.abs(gaps).sum() / len(hit))


def _by_value(
    names: Sequence[str], table: NDArray[Any], given: NDArray[Any], sure: NDArray[Any]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for number, name in enumerate(names):
        rows, said, hits = int(table[number].sum()), int(table[:, number].sum()), int(table[number, number])
        entry: dict[str, float] = {"n": rows, "said": said}
        if said:
            entry["precision"] = hits / said
            entry["confidence"] = float(sure[given == number].mean())
        if rows:
            entry["recall"] = hits / rows
            entry["f1"] = 2 * hits / (rows + said)
        found[name] = entry
    return found


def _confusion(names: Sequence[str], table: NDArray[Any]) -> dict[str, dict[str, int]]:
    return {
        gold: {said: int(count) for said, count in zip(names, row, strict=True) if count}
        for gold, row in zip(names, table, strict=False)
        if row.sum()
    }
