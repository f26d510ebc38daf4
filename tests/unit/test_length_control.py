"""The length-controlled win rate: what it comes to, against a library and on average."""

from __future__ import annotations

import math
import random

import pytest

from ttmarkers_plugins.tasks.length_control import PRIOR, pieces, standardised, win_rate


@pytest.mark.parametrize("taste", [0.0, 0.8])
def test_length_control_is_right_on_average(taste: float) -> None:
    """Over many draws it finds what the systems would have at equal length, however much the judge likes length."""
    chance = random.Random(4)
    found, raw = [], []
    for _ in range(40):
        lengths = standardised([chance.gauss(200, 240) for _ in range(200)])
        wins = [float(chance.random() < 1 / (1 + math.exp(-taste - 3 * length))) for length in lengths]
        sums = zip(*(pieces(*each) for each in zip(lengths, wins, strict=True)), strict=True)
        found.append(win_rate([sum(column) for column in sums]))
        raw.append(sum(wins) / len(wins))
    assert sum(raw) / 40 > 0.7
    assert sum(found) / 40 == pytest.approx(1 / (1 + math.exp(-taste)), abs=0.02)


def test_regression_is_that_of_a_library() -> None:
    """The fit from sums is that of scikit-learn on the cases themselves, but for the width of the intervals."""
    import numpy
    from sklearn.linear_model import LogisticRegression

    random_ = numpy.random.default_rng(2)
    lengths = numpy.asarray(standardised(random_.normal(150, 200, 400).tolist()))
    chances = 1 / (1 + numpy.exp(-(0.4 + 1.5 * lengths)))
    wins = random_.binomial(2, chances) / 2
    rows = numpy.concatenate([lengths, lengths])[:, None]
    labels, weights = numpy.repeat([1, 0], 400), numpy.concatenate([wins, 1 - wins])
    found = LogisticRegression(C=1 / PRIOR, tol=1e-10).fit(rows, labels, sample_weight=weights)
    wanted = 1 / (1 + numpy.exp(-found.intercept_[0]))
    sums = numpy.asarray([pieces(*each) for each in zip(lengths, wins, strict=True)]).sum(axis=0)
    assert win_rate(sums.tolist()) == pytest.approx(wanted, abs=0.002)


@pytest.mark.parametrize(
    ("differences", "wins", "wanted"),
    [
        ([10, -10], [1, 1], 1.0),
        ([0, 0, 0], [1, 0.5, 0.5], 2 / 3),
        ([7], [0.25], 0.25),
        ([5, 5, 5, 5], [0, 0, 0, 1], 0.25),
    ],
)
def test_where_lengths_tell_nothing(differences: list[float], wins: list[float], wanted: float) -> None:
    """Where all wins or all lengths are alike the figure is the plain win rate."""
    found = [pieces(*each) for each in zip(standardised(differences), wins, strict=True)]
    assert win_rate([sum(column) for column in zip(*found, strict=True)]) == pytest.approx(wanted, abs=1e-6)
