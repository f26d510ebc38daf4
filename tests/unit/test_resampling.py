"""Figures over runs: against scipy, against brute force, and by what must hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from score_support import normal
from ttmarkers.evaluation.case_weights import BATCH
from ttmarkers.evaluation.resampling import compare, estimate
from ttmarkers.records import Metric
from ttmarkers.statistics import mean

if TYPE_CHECKING:
    from ttmarkers.records import Score

SHARE = Metric("higher")
NUMBER = Metric("higher", share=False)
MACRO = Metric("higher", share=False, over=("lang", "source"))
RATIO = Metric("higher", combine=lambda sums: sums[0] / sums[1])

numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


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
    monkeypatch.setattr("ttmarkers.evaluation.case_weights.BATCH", 1000)
    pieces = compare(first, second, MACRO, cells)
    assert list(pieces.to_json().values()) == pytest.approx(list(found.to_json().values()))
