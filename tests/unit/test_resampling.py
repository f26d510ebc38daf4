"""Figures over runs and differences between systems: against scipy, against brute force, and by what must hold."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, kstest, permutation_test

from ttmarkers.case_weights import BATCH
from ttmarkers.records import Metric
from ttmarkers.resampling import Difference, compare, corrected, estimate
from ttmarkers.statistics import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.records import Score

SHARE = Metric("higher")
NUMBER = Metric("higher", share=False)
MACRO = Metric("higher", share=False, over=("lang", "source"))
RATIO = Metric("higher", combine=lambda sums: sums[0] / sums[1])

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


def normal(seed: int, *shape: int) -> list[list[Score | None]]:
    """Return runs of normal scores."""
    found: list[list[Score | None]] = numpy.random.default_rng(seed).normal(size=shape).tolist()
    return found


def pairs(seed: int, n: int, factor: float = 1.0) -> list[Score | None]:
    """Return scores made of a part and a whole."""
    rng = numpy.random.default_rng(seed)
    return [(factor * float(rng.integers(0, 5)), float(rng.integers(5, 10))) for _ in range(n)]


def test_one_run_is_the_mean_of_before() -> None:
    """One run and a plain mean give what `mean` gives, without the cases that the metric does not apply to."""
    scores = numpy.random.default_rng(1).random(80).tolist()
    assert estimate([[None, *scores, None]], NUMBER, seed=3) == mean(scores, share=False, seed=3)
    hits = [float(number % 3 == 0) for number in range(60)]
    assert estimate([hits], SHARE) == mean(hits)
    assert estimate([[1.0] * 20], SHARE).low == pytest.approx(0.025 ** (1 / 20))
    assert estimate([[0.0] * 20], NUMBER) == mean([0.0] * 20, share=False)


@pytest.mark.parametrize("hits", [1, 5, 9, 41, 49])
def test_few_hits(hits: int) -> None:
    """With fewer than ten hits or misses the interval is the exact one; with several runs not narrower than it."""
    found = estimate([[1.0] * hits + [0.0] * (50 - hits)], SHARE)
    exact = binomtest(hits, 50).proportion_ci(0.95, "exact")
    assert found.value == hits / 50
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    several = estimate([[1.0] * hits + [0.0] * (50 - hits)] * 3, SHARE)
    assert found.low + 1e-9 >= several.low >= 0
    assert found.high - 1e-9 <= several.high <= 1


def test_against_scipy() -> None:
    """A single cell and a sum of ones are a plain mean: the interval is as wide as scipy's."""
    scores = numpy.random.default_rng(2).exponential(size=150)
    theirs = bootstrap((scores,), numpy.mean, method="percentile", rng=numpy.random.default_rng(0)).confidence_interval
    ways: list[tuple[list[Score | None], Metric, list[tuple[str, ...]]]] = [
        (scores.tolist(), Metric("higher", share=False, over=("a",)), [("x",)] * 150),
        ([(score, 1.0) for score in scores.tolist()], RATIO, []),
    ]
    for run, meaning, cells in ways:
        ours = estimate([run], meaning, cells)
        assert ours.value == pytest.approx(scores.mean())
        assert ours.low == pytest.approx(theirs.low, abs=0.02)
        assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_mean_of_means() -> None:
    """All values of a slice count the same at each level, however many cases they have."""
    cells = [("de", "a"), ("de", "a"), ("de", "b"), ("fr", "a"), ("fr", "a"), ("fr", "a")]
    scores: list[Score | None] = [1.0, 3.0, 10.0, 0.0, 3.0, 6.0]
    found = estimate([scores], MACRO, cells)
    assert found.value == pytest.approx(((2 + 10) / 2 + 3) / 2)
    assert found.n == 6
    # the cell of one case has no spread to draw from: 1 to 3 in the one cell and 0 to 6 in the other remain
    assert found.low >= ((1 + 10) / 2 + 0) / 2
    assert found.high <= ((3 + 10) / 2 + 6) / 2
    both = compare([scores], [[None, *scores[1:]]], MACRO, cells)
    assert (both.value, both.n) == (0, 5)


def test_mean_of_means_by_brute_force() -> None:
    """The interval is that of cases drawn cell by cell with one less than there are."""
    rng = numpy.random.default_rng(3)
    groups = {("de", "a"): rng.normal(0, 1, 40), ("de", "b"): rng.normal(5, 2, 20), ("fr", "a"): rng.normal(2, 1, 30)}
    cells = [cell for cell, scores in groups.items() for _ in scores]
    found = estimate([numpy.concatenate(list(groups.values())).tolist()], MACRO, cells, resamples=4000)
    drawn = []
    for _ in range(4000):
        a, b, c = (rng.choice(scores, len(scores) - 1).mean() for scores in groups.values())
        drawn.append(((a + b) / 2 + c) / 2)
    assert found.low == pytest.approx(numpy.quantile(drawn, 0.025), abs=0.04)
    assert found.high == pytest.approx(numpy.quantile(drawn, 0.975), abs=0.04)


def test_combined_figure() -> None:
    """A ratio of sums is made of sums, not a mean of ratios; within cells it is made in each."""
    run: list[Score | None] = [(1.0, 2.0), (3.0, 10.0), None, (4.0, 4.0)]
    found = estimate([run], RATIO)
    assert (found.value, found.n) == (8 / 16, 3)
    both = Metric("higher", over=("a",), combine=RATIO.combine)
    cells = [("x",), ("x",), ("x",), ("y",)]
    assert estimate([run], both, cells).value == pytest.approx((4 / 12 + 1) / 2)


def test_figures_that_cannot_be_made() -> None:
    """Resamples without a figure are left out of the interval, and count against a difference."""
    run: list[Score | None] = [(1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 1.0)]
    found = estimate([run], RATIO)
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    assert math.isnan(estimate([[(0.0, 0.0)] * 3], RATIO).value)
    assert compare([[(0.0, 0.0)] * 3], [[(1.0, 0.0)] * 3], RATIO).p == 1


def test_several_runs() -> None:
    """Seeds are resampled too: where they differ the interval is wider than that of a case's mean."""
    rng = numpy.random.default_rng(4)
    cases = rng.normal(size=200)
    calm = [(cases + rng.normal(0, 0.1, 200)).tolist() for _ in range(5)]
    apart = [(cases + shift).tolist() for shift in (-1, -0.5, 0, 0.5, 1)]
    narrow, wide = estimate(calm, NUMBER), estimate(apart, NUMBER)
    assert narrow.n == wide.n == 200
    assert narrow.high - narrow.low == pytest.approx(4 * cases.std() / math.sqrt(200), rel=0.1)
    error = math.sqrt(cases.var() / 200 + numpy.var([-1, -0.5, 0, 0.5, 1], ddof=1) / 5)
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert wide.value == pytest.approx(cases.mean())


def test_scores_missing_in_some_runs() -> None:
    """A case counts once, with the mean of the runs in which the metric applies to it."""
    runs: list[list[Score | None]] = [[1.0, None, 4.0, None], [3.0, 5.0, 4.0, None]]
    found = estimate(runs, NUMBER)
    assert (found.value, found.n) == (pytest.approx((2 + 5 + 4) / 3), 3)


def test_shares_that_are_all_alike() -> None:
    """Also over cells and runs a share of 0 or 1 has a width, by the cases that count and not by their repetitions."""
    cells = [(name, "a") for name in "abcd" for _ in range(10)]
    macro = Metric("higher", over=MACRO.over)
    bound = 0.025 ** (1 / 40)
    assert estimate([[1.0] * 40], macro, cells).low == pytest.approx(bound)
    assert estimate([[0.0] * 40] * 5, SHARE).high == pytest.approx(1 - bound)
    uneven = [("a", "a")] * 39 + [("b", "a")]
    assert estimate([[1.0] * 40], macro, uneven).low < 0.5


def test_nothing_and_one_case() -> None:
    """Without cases there is no figure; one case has no width and shows nothing."""
    for runs in ([], [[]], [[None, None]]):
        found = estimate(runs, NUMBER)
        assert (found.n, found.text()) == (0, "no case")
        assert math.isnan(found.low)
    assert compare([[None, 1.0]], [[1.0, None]], NUMBER).text() == "no case"
    assert estimate([[3.0], [5.0]], NUMBER) == estimate([[4.0]], NUMBER)
    for meaning in (NUMBER, SHARE):
        found_difference = compare([[0.0]], [[1.0]], meaning)
        assert (found_difference.low, found_difference.high, found_difference.p) == (1, 1, 1)
        assert math.isnan(found_difference.detectable)


def test_lengths_are_checked() -> None:
    """Runs of other cases, cells of other cases and scores of other make are refused."""
    wrong: list[tuple[list[list[Score | None]], Metric, list[tuple[str, ...]]]] = [
        ([[1.0], [1.0, 2.0]], NUMBER, []),
        ([[1.0, 2.0]], MACRO, [("de", "a")]),
        ([[1.0]], MACRO, [("de",)]),
        ([[(1.0, 2.0)]], NUMBER, []),
        ([[(1.0, 2.0), (1.0,)]], RATIO, []),
    ]
    for runs, meaning, cells in wrong:
        with pytest.raises(ValueError, match=r"needs|must|does not say"):
            estimate(runs, meaning, cells)
    with pytest.raises(ValueError, match="same cases"):
        compare([[1.0]], [[1.0, 2.0]], NUMBER)


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


@given(st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=20), st.integers(1, 3))
def test_figures_lie_within_their_intervals(rows: list[list[float]], runs: int) -> None:
    """The interval of a mean holds the mean and stays between the lowest and the highest score."""
    scores = [[row[run] for row in rows] for run in range(runs)]
    cells = [(str(number % 3), str(number % 2)) for number in range(len(rows))]
    for meaning in (NUMBER, MACRO):
        found = estimate(scores, meaning, cells, resamples=50)
        lowest, highest = min(map(min, scores)), max(map(max, scores))
        assert lowest - 1e-9 <= found.low <= found.value + 1e-9
        assert found.value - 1e-9 <= found.high <= highest + 1e-9


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


def test_depends_on_the_seed_alone() -> None:
    """The same seed gives the same, whatever was drawn before and in whatever pieces."""
    first, second = normal(8, 3, 40), normal(9, 3, 40)
    found = compare(first, second, NUMBER, seed=1)
    estimate(first, NUMBER, seed=5)
    numpy.random.default_rng(1).random(10)
    assert compare(first, second, NUMBER, seed=1) == found
    other = compare(first, second, NUMBER, seed=2)
    assert (other.value, other.low == found.low) == (found.value, False)
    padded = [[[None, *run, None] for run in runs] for runs in (first, second)]
    assert compare(*padded, NUMBER, seed=1) == found
    assert estimate(padded[0], NUMBER, seed=1) == estimate(first, NUMBER, seed=1)


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many weights are held at once changes no figure."""
    first, second = normal(10, 2, 50), normal(11, 2, 50)
    cells = [(str(number % 2), str(number % 3)) for number in range(50)]
    found = compare(first, second, MACRO, cells)
    assert BATCH > 2000 * 50
    monkeypatch.setattr("ttmarkers.case_weights.BATCH", 1000)
    pieces = compare(first, second, MACRO, cells)
    assert list(pieces.to_json().values()) == pytest.approx(list(found.to_json().values()))


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
