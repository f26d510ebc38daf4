"""Differences between systems: against scipy, against brute force, and by what must hold."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest, permutation_test

from score_support import normal, pairs
from ttmarkers.evaluation.resampling import Difference, compare, corrected, estimate
from ttmarkers.records import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.records import Score

SHARE = Metric("higher")
NUMBER = Metric("higher", share=False)
MACRO = Metric("higher", share=False, over=("lang", "source"))
RATIO = Metric("higher", combine=lambda sums: sums[0] / sums[1])

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


def test_p_by_all_swaps() -> None:
    """With few cases the p is the share of all swaps that differ at least as much, whatever the figure."""
    cells = [(name, "a") for name in "aabbbccc"]
    for seed, meaning in itertools.product(range(2), (NUMBER, MACRO, RATIO)):
        first: list[Score | None] = pairs(seed, 8, 0.8) if meaning is RATIO else normal(seed, 1, 8)[0]
        second: list[Score | None] = pairs(seed + 50, 8) if meaning is RATIO else normal(seed + 50, 1, 8)[0]
        found = compare([first], [second], meaning, cells)
        differences = []
        for swaps in itertools.product([False, True], repeat=8):
            one = [b if swap else a for a, b, swap in zip(first, second, swaps, strict=True)]
            other = [a if swap else b for a, b, swap in zip(first, second, swaps, strict=True)]
            figures = [estimate([run], meaning, cells, resamples=2).value for run in (one, other)]
            differences.append(figures[1] - figures[0])
        expected = sum(abs(number) >= abs(differences[0]) - 1e-9 for number in differences) / 256
        assert found.value == pytest.approx(differences[0])
        assert found.p == pytest.approx(expected)


def test_p_against_scipy() -> None:
    """With many cases the p is that of scipy's paired permutation test."""
    rng = numpy.random.default_rng(6)
    first = rng.exponential(size=60)
    second = first + rng.normal(0.1, 0.4, 60)
    theirs = permutation_test(
        (second, first),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        rng=numpy.random.default_rng(0),
    )
    ours = compare([first.tolist()], [second.tolist()], NUMBER, resamples=10_000)
    assert ours.p == pytest.approx(float(theirs.pvalue), abs=0.01)
    runs = [[first.tolist()] * 3, [second.tolist()] * 3]
    assert compare(*runs, NUMBER, resamples=10_000).p == ours.p


def test_p_of_shares_is_the_sign_test() -> None:
    """For hits and misses the test is McNemar's exact one: equal cases do not count."""
    first = [0.0] * 7 + [1.0] + [1.0] * 500
    second = [1.0] * 7 + [0.0] + [1.0] * 500
    assert compare([first], [second], SHARE).p == pytest.approx(binomtest(7, 8).pvalue)
    assert compare([first], [first], SHARE).p == 1
    assert compare([[0.0] * 50], [[1.0] * 50], SHARE).p == pytest.approx(1 / 2001)


def test_p_is_uniform_without_a_difference() -> None:
    """Systems that do not differ get each p as often as any other."""
    ps = [compare(normal(seed, 1, 25), normal(seed + 1000, 1, 25), NUMBER, resamples=400).p for seed in range(300)]
    assert kstest(ps, "uniform").pvalue > 0.01
    assert 0.02 <= sum(p <= 0.05 for p in ps) / 300 <= 0.09


@pytest.mark.parametrize("same", [True, False])
def test_pairs_of_runs(same: bool) -> None:
    """Runs of the same number are drawn as pairs, so what a seed adds to both does not widen the interval."""
    shifts = [-2.0, -1.0, 0.0, 1.0, 2.0]
    first = [[shift + number / 100 for number in range(100)] for shift in shifts]
    second = first if same else first[:4]
    found = compare(first, second, NUMBER)
    assert found.value == pytest.approx(0 if same else -0.5)
    assert (found.high - found.low < 1e-9) == same
    assert math.isnan(found.detectable) == same


def test_few_cases_that_differ() -> None:
    """Shares that few cases set apart get an interval with a width, also if none does."""
    run = [1.0] * 30 + [0.0] * 30
    none = compare([run], [run], SHARE)
    assert (none.value, none.p) == (0, 1)
    assert none.low == pytest.approx(-none.high) == pytest.approx(-1.96 * math.sqrt(2) / 62, abs=1e-3)
    assert none.detectable > none.high
    four = compare([[0.0] * 60], [[1.0] * 4 + [0.0] * 56], SHARE)
    assert four.low < 0 < four.value < four.high
    assert four.p == 2 / 16


def test_what_is_detectable_is_detected() -> None:
    """If the truth is what is called detectable, eight samples in ten have an interval without 0."""
    seen = 0
    size = statistics.median(_difference(seed, 0.0).detectable for seed in range(40))
    assert size == pytest.approx(2.8 * 0.5 / math.sqrt(60), rel=0.05)
    for seed in range(250):
        found = _difference(1000 + seed, size)
        seen += found.low > 0 or found.high < 0
    assert 0.73 <= seen / 250 <= 0.88


def _difference(seed: int, shift: float) -> Difference:
    """Return the difference of two systems of which one is better by a shift."""
    rng = numpy.random.default_rng(seed)
    first = rng.normal(size=60)
    second = first + rng.normal(shift, 0.5, 60)
    return compare([first.tolist()], [second.tolist()], NUMBER, resamples=400)


def test_holm() -> None:
    """The smallest p is taken times the number of tests, the next times one less, and none falls below the last."""
    assert corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected([0.9, 0.6, 0.001]) == pytest.approx([1, 1, 0.003])
    assert corrected([]) == []
    some = corrected([math.nan, 0.02, 0.03])
    assert math.isnan(some[0])
    assert some[1:] == pytest.approx([0.04, 0.04])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_in_general(ps: list[float]) -> None:
    """Corrected p are between the p and Bonferroni's, at most 1, and in the same order."""
    found = corrected(ps)
    assert all(p <= better <= min(1, len(ps) * p) + 1e-12 for p, better in zip(ps, found, strict=True))
    order = sorted(range(len(ps)), key=ps.__getitem__)
    assert [found[number] for number in order] == sorted(found)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=15), st.integers(-50, 50))
def test_differences_in_general(rows: list[tuple[float, float]], shift: int) -> None:
    """What is added to both changes nothing, and the other way round everything has the other sign."""
    first, second = ([list(side)] for side in zip(*rows, strict=True))
    found = compare(first, second, NUMBER, resamples=200)
    moved = compare(_shifted(first, shift), _shifted(second, shift), NUMBER, resamples=200)
    back = compare(second, first, NUMBER, resamples=200)
    assert found.low <= found.value <= found.high
    assert 0 < found.p <= 1
    assert [moved.value, moved.low, moved.high, moved.p] == pytest.approx(
        [found.value, found.low, found.high, found.p], abs=1e-7
    )
    assert [back.value, back.p] == pytest.approx([-found.value, found.p])
    assert [back.low, back.high] == pytest.approx([-found.high, -found.low], abs=1e-7)


def _shifted(runs: Sequence[Sequence[float]], shift: int) -> list[list[Score | None]]:
    """Return scores with a number added."""
    return [[score + shift for score in run] for run in runs]


def test_differences_for_people_and_programs() -> None:
    """Differences of shares are shown in points, with the sign; JSON is rounded to six digits."""
    found = Difference(-0.353, -0.3812, -0.3259, 1 / 2001, 805, 0.0412345678)
    assert found.text() == "-35.3 [-38.1, -32.6] points, p < 0.001"
    assert Difference(0.0, -0.0001, 1.234, 0.0324, 9, math.nan).text(share=False) == "+0.00 [+0.00, +1.23], p = 0.032"
    assert found.to_json() == {
        "value": -0.353,
        "low": -0.3812,
        "high": -0.3259,
        "p": 0.0005,
        "detectable": 0.041235,
        "n": 805,
    }
