"""What a win rate would be if both systems' answers were equally long (AlpacaEval 2).

Source: Dubois et al. 2024 (arXiv 2404.04475). The preference of each case is regressed on the difference in length::

    logit P(win) = a + b * tanh((characters of ours - characters of theirs) / their standard deviation over the cases)

and the figure is P(win) at no difference, so the inverse logit of ``a``. The source's third term, how hard each prompt
is, is fitted on many models at once; with two systems there is nothing to tell it from ``a``, and it is left out.

The figure is no mean over cases. So a case scores the numbers from which the regression can be done again: for each
of `BINS` intervals of the tanh how many cases lie in it (0 or 1), their sum, and the sum of their preferences. Sums of
these over any cases are enough: each bootstrap sample and each slice has a regression of its own, and the intervals
hold what is not known of ``b`` too. Only the standard deviation is that of all cases. The mean of each interval is
exact, and those around no difference are the narrowest, so next to nothing is lost by them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS = 8  # intervals on either side of none
BINS = 2 * STEPS + 1
PRIOR = 0.1  # holds b where lengths tell preferences perfectly; that of about a case in ten
ITERATIONS = 50
ENOUGH = 1e-9  # where the fit ends


def standardised(differences: Sequence[float]) -> list[float]:
    """Return the tanh of differences over their standard deviation; 0 where all are the same.

    >>> standardised([5, 5])
    [0.0, 0.0]
    """
    count = len(differences)
    mean = math.fsum(differences) / count if count else 0.0
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / count) if count else 0.0
    return [math.tanh(each / deviation) if deviation else 0.0 for each in differences]


def pieces(length: float, preference: float) -> tuple[float, ...]:
    """Return what a case adds to the sums, given its standardised difference and its preference."""
    found = [0.0] * (3 * BINS)
    side = math.copysign(math.sqrt(abs(length)), length)  # finest where lengths are almost equal
    place = 3 * (round(side * STEPS) + STEPS)  # halves are rounded alike on both sides
    found[place : place + 3] = 1.0, length, preference
    return tuple(found)


def win_rate(sums: Sequence[float]) -> float:
    """Return the win rate at equal length, from the sums of `pieces`.

    >>> round(win_rate([sum(each) for each in zip(pieces(0.5, 1.0), pieces(-0.5, 0.0), strict=True)]), 6)
    0.5
    """
    rows = [(sums[at], sums[at + 1] / sums[at], sums[at + 2]) for at in range(0, 3 * BINS, 3) if sums[at]]
    count, wins = math.fsum(row[0] for row in rows), math.fsum(row[2] for row in rows)
    if not 0 < wins < count:
        return wins / count if count else math.nan
    return _chance(_fit(rows, math.log(wins / (count - wins)))[0])


def _fit(rows: Sequence[tuple[float, float, float]], start: float) -> tuple[float, float]:
    """Return ``a`` and ``b`` by Newton's steps, each halved until it is one down."""
    a, b = start, 0.0
    loss = _loss(rows, a, b)
    for _ in range(ITERATIONS):
        step_a, step_b = _step(rows, a, b)
        size = 1.0
        while (new := _loss(rows, a + size * step_a, b + size * step_b)) > loss and size > ENOUGH:
            size /= 2
        a, b, gained, loss = a + size * step_a, b + size * step_b, loss - new, new
        if gained < ENOUGH:
            break
    return a, b


def _step(rows: Sequence[tuple[float, float, float]], a: float, b: float) -> tuple[float, float]:
    slope_a, slope_b, aa, ab, bb = 0.0, PRIOR * b, 0.0, 0.0, PRIOR
    for count, length, wins in rows:
        chance = _chance(a + b * length)
        error, weight = count * chance - wins, count * max(chance * (1 - chance), 1e-12)
        slope_a, slope_b = slope_a + error, slope_b + error * length
        aa, ab, bb = aa + weight, ab + weight * length, bb + weight * length * length
    whole = aa * bb - ab * ab
    return (ab * slope_b - bb * slope_a) / whole, (ab * slope_a - aa * slope_b) / whole


def _loss(rows: Sequence[tuple[float, float, float]], a: float, b: float) -> float:
    """Return the negative log-likelihood, and what the prior adds to it."""
    total = PRIOR * b * b / 2
    for count, length, wins in rows:
        score = a + b * length
        total += count * (max(score, 0.0) + math.log1p(math.exp(-abs(score)))) - wins * score
    return total


def _chance(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))
