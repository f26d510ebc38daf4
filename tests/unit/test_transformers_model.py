"""A model of transformers behind the narrow interface: what is kept from one call never changes the next one."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from small_models import CACHED, VOCABULARY, cached, check, check_and_change, kinds, model_of, rows_of, some, wrapped
from ttmarkers.decoding.prefix_cache import PrefixCache, can_cache
from ttmarkers.decoding.sequences import common


@kinds
def test_knows_its_model(kind: str) -> None:
    """The width of the logits and the greatest length are the config's; a model without one says so."""
    model = wrapped(kind)
    assert model.vocabulary == VOCABULARY
    assert model.context == (None if kind == "mamba" else 256)


@cached
@settings(max_examples=12)
@given(seed=st.integers(0, 10**6))
def test_logits_of_any_series_of_calls(kind: str, seed: int) -> None:
    """Whatever was asked before, the logits are those of each row read alone."""
    rng, model = random.Random(seed), wrapped(kind)
    rows = rows_of(rng, 4)
    for _ in range(10):
        rows = check_and_change(model, kind, rng, rows)


def test_logits_without_a_cache() -> None:
    """A model that keeps a state is right too, because it reads every row whole."""
    rng, model = random.Random(7), wrapped("mamba")
    rows = [some(rng, 1, 20) for _ in range(3)]
    for _ in range(4):
        rows = check_and_change(model, "mamba", rng, rows)


@cached
def test_logits_of_chosen_series(kind: str) -> None:
    """Each change by itself: longer by different numbers, cut back, branched, reordered, dropped, all new."""
    rng = random.Random(1)
    one, two, three = some(rng, 25, 25), some(rng, 3, 3), some(rng, 12, 12)
    model = wrapped(kind)
    check(model, kind, [one, two, three], [1, 1, 1])
    longer = [[*one, 9], two + some(rng, 9, 9), three + some(rng, 4, 4)]
    check(model, kind, longer, [1, 5, 2])
    check(model, kind, longer, [1, 1, 1])  # nothing new at all
    check(model, kind, [longer[0][:10], longer[1], three], [3, 1, 12])  # shorter than what is kept
    check(model, kind, [longer[1], [*three, 8], longer[0][:10]], [1, 1, 1])
    check(model, kind, [[*three, number] for number in range(6, 11)], [1] * 5)
    check(model, kind, [three, [*three, 10, 11]], [2, 2])
    check(model, kind, [three[:1]], [1])
    check(model, kind, [one], [25])
    check(model, kind, [[6], [7], one], [1, 1, 1])  # nothing in common but for one


@cached
def test_all_logits_of_rows_of_one_token(kind: str) -> None:
    """Rows as short as can be, after long ones."""
    model = wrapped(kind)
    check(model, kind, [some(random.Random(2), 30, 30)], [30])
    check(model, kind, [[7], [8]], [1, 1])
    check(model, kind, [[7, 9], [8]], [1, 1])


@cached
def test_reads_only_what_is_new(kind: str) -> None:
    """What was read before is not read again: neither in a row that goes on nor in one that branches off."""
    model = wrapped(kind)
    read: list[int] = []
    inner = model._model.forward

    def forward(*args: Any, **options: Any) -> Any:
        read.append(options["input_ids"].shape[1])
        return inner(*args, **options)

    rows = [some(random.Random(5), 30, 30), some(random.Random(6), 20, 20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model._model, "forward", forward)
        model.logits(rows, [1, 1])
        model.logits([[*rows[0], 9], [*rows[1], 9, 10, 11]], [1, 3])
        model.logits([[*rows[0], 7], [*rows[0], 8], [*rows[0], 6, 7]], [1, 1, 1])
    assert read == [30, 3, 2]


@kinds
def test_fails_and_goes_on(kind: str) -> None:
    """A pass that fails half-way leaves nothing behind that makes the next one wrong."""
    rng = random.Random(3)
    rows = [some(rng, 12, 12), some(rng, 12, 12)]
    model = wrapped(kind)
    check(model, kind, rows, [1, 1])

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    hook = model._model.get_output_embeddings().register_forward_pre_hook(fail)
    others = [[*rows[1], 9], [*rows[0], 7]]
    with pytest.raises(KeyboardInterrupt):
        model.logits(others, [1, 1])
    hook.remove()
    check(model, kind, [[*row, 8] for row in rows], [1, 1])
    check(model, kind, others, [1, 2])


@kinds
def test_which_models_are_cached(kind: str) -> None:
    """Keys and values of each token can be taken back, a recurrent state cannot."""
    assert can_cache(model_of(kind).config) == (kind in CACHED)


def test_cache_says_what_it_knows() -> None:
    """The cache finds the longest beginning that any of its rows has in common with a new one."""
    cache = PrefixCache()
    assert cache.width == 0
    assert cache.known([[1, 2]]) == [0]
    assert cache.prepare([[1, 2], [3]], [1, 0]) == [0, 0]
    states = torch.arange(10.0).reshape(2, 1, 5, 1)
    cache.cache.update(states, -states, 0)
    cache.extended([[1, 2, 3], [1, 2, 4, 5, 6]], [5, 5])
    rows = [[1, 2, 3, 9], [1, 9], [7], [1, 2, 4, 5, 6, 8], [1, 2, 4, 5]]
    assert cache.known(rows) == [3, 1, 0, 5, 4]
    assert cache.prepare(rows, [4, 5, 5, 2, 4]) == [3, 1, 0, 2, 4]
    assert cache.width == 4
    keys = cache.cache.layers[0].keys[:, 0, :, 0]
    assert keys[0, 1:].tolist() == [2, 3, 4]
    assert keys[3, 2:].tolist() == [5, 6]
    assert keys[4].tolist() == [5, 6, 7, 8]
    assert torch.equal(cache.cache.layers[0].values[:, 0, :, 0], -keys)


@given(
    one=st.lists(st.integers(0, 2), max_size=12),
    other=st.lists(st.integers(0, 2), max_size=12),
    both=st.lists(st.integers(0, 2), max_size=40),
)
def test_what_sequences_have_in_common(one: list[int], other: list[int], both: list[int]) -> None:
    """The number is that of equal items from the left, whichever comes first."""
    left, right = both + one, both + other
    pairs = zip(left, right, strict=False)
    expected = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    assert common(left, right) == common(right, left) == expected
