"""The estimate of pass@k is the share of choices with a right try among them."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttmarkers.evaluation.pass_at_k import pass_at_k


@pytest.mark.parametrize("n", range(1, 9))
def test_all_choices_enumerated(n: int) -> None:
    """For small numbers each choice is looked at."""
    for c in range(n + 1):
        tries = [True] * c + [False] * (n - c)
        for k in range(1, n + 1):
            choices = [any(choice) for choice in combinations(tries, k)]
            assert pass_at_k(n, c, k) == pytest.approx(sum(choices) / len(choices), abs=1e-15)


@given(st.data())
def test_as_the_paper_writes_it(data: st.DataObject) -> None:
    """One less the chance of none, by binomials and by a product of small factors."""
    n = data.draw(st.integers(1, 300))
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    found = pass_at_k(n, c, k)
    assert found == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k), abs=1e-12)
    assert found == pytest.approx(1 - math.prod(1 - k / i for i in range(n - c + 1, n + 1)), abs=1e-12)
    assert 0 <= found <= 1


def test_edges() -> None:
    """No right try, only right ones, more tries than wrong ones, one try, and very many."""
    assert pass_at_k(5, 0, 5) == 0
    assert pass_at_k(5, 5, 1) == 1
    assert pass_at_k(5, 2, 4) == 1
    assert pass_at_k(5, 1, 1) == 0.2
    assert pass_at_k(10**6, 1, 1) == 1e-6
    assert pass_at_k(10**4, 1, 10**3) == 0.1


@pytest.mark.parametrize(("n", "c", "k"), [(5, 1, 6), (5, 1, 0), (5, 1, -1), (5, 6, 1), (5, -1, 1), (0, 0, 1)])
def test_numbers_that_are_no_counts(n: int, c: int, k: int) -> None:
    """What cannot be estimated is refused."""
    with pytest.raises(ValueError, match=r"tries"):
        pass_at_k(n, c, k)
