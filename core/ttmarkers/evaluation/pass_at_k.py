"""How likely one of ``k`` tries solves a problem, estimated from more tries than ``k``."""

from __future__ import annotations

import math


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k for one problem (Chen et al. 2021, arXiv 2107.03374).

    It is the share of the choices of ``k`` out of the ``n`` tries that have a right one among them, counted in whole
    numbers, so that only the last division rounds.

    Args:
        n: how many tries were made.
        c: how many of them are right.
        k: how many tries are allowed.

    Raises:
        ValueError: if fewer than ``k`` tries were made, or the numbers are not such counts.

    >>> pass_at_k(5, 1, 1)
    0.2
    >>> pass_at_k(5, 2, 2)
    0.7
    """
    if not 0 <= c <= n:
        raise ValueError(f"{c} of {n} tries are said to be right: give a number from 0 to {n}")
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} cannot be estimated from {n} tries: make at least {max(k, 1)}, with k from 1 on")
    choices = math.comb(n, k)
    return (choices - math.comb(n - c, k)) / choices
