"""What a model of transformers writes: the same as it writes for each request alone, with branches and without."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from small_models import (
    END,
    PAD,
    VOCABULARY,
    alone,
    cached,
    check,
    check_and_change,
    kinds,
    plain,
    rows_of,
    some,
    wrapped,
)
from ttmarkers.decoding.language_model import Branch, Continuation
from ttmarkers.decoding.sampling import Sampler
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def requests(rng: random.Random, rows: list[list[int]]) -> list[Continuation]:
    """Return requests of different limits."""
    return [Continuation(f"r{number}", row, rng.randint(1, 25)) for number, row in enumerate(rows)]


@kinds
@pytest.mark.parametrize("seed", range(3))
def test_writes_as_generate_does(kind: str, seed: int) -> None:
    """After calls that leave parts of the rows in the cache, each row goes on as ``generate`` would go on alone."""
    rng = random.Random(seed)
    model = wrapped(kind)
    rows = [some(rng, 5, 25) for _ in range(4)]
    model.logits([row[: rng.randint(1, len(row))] for row in rows[:3]], [1] * 3)
    model.logits([[*rows[0][:3], 9], rows[0], rows[2]], [1, 2, 3])
    for row, written in zip(asked := requests(rng, rows), model.write(asked), strict=True):
        expected = alone(kind, row)
        assert written.tokens == expected
        assert written.passes == min(len(expected) + 1, row.limit)
    check(model, kind, rows, [1] * len(rows))


@cached
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_writes_after_any_series_of_calls(kind: str, seed: int) -> None:
    """Logits and answers may be asked in turns: every answer is what ``generate`` writes alone."""
    rng, model = random.Random(seed), wrapped(kind)
    rows = rows_of(rng, 3)
    for _ in range(3):
        rows = check_and_change(model, kind, rng, rows)
        asked = [Continuation(str(number), row, rng.randint(1, 6)) for number, row in enumerate(rows)]
        assert [written.tokens for written in model.write(asked)] == [alone(kind, row) for row in asked]


@cached
def test_writes_after_rows_that_are_wholly_known(kind: str) -> None:
    """Rows that were read to their last token are gone on with all the same, and the first token is right."""
    rows = [some(random.Random(8), 14, 14), some(random.Random(9), 9, 9)]
    model = wrapped(kind)
    model.logits(rows, [1, 1])
    asked = [Continuation("a", rows[0], 5), Continuation("b", rows[1], 5)]
    assert [written.tokens for written in model.write(asked)] == [alone(kind, row) for row in asked]


def ends_at(kind: str, rng: random.Random, length: int) -> tuple[Continuation, int]:
    """Return a request and the token that it writes at a place for the first time, so that it may be its end."""
    while True:
        row = Continuation("x", some(rng, 5, 15), 30)
        tokens = alone(kind, row, eos_token_id=[VOCABULARY + 1])
        if tokens.index(tokens[length]) == length:
            return row, tokens[length]


@kinds
def test_end_token(kind: str) -> None:
    """A row ends at an end token, which is not among its tokens, and the others go on."""
    rng = random.Random(11)
    first, end = ends_at(kind, rng, 3)
    rows = [first, *requests(rng, [some(rng, 9, 9), some(rng, 20, 20)])]
    model = wrapped(kind, eos_token_id=[end, END])
    written = model.write(rows)
    assert len(written[0].tokens) == 3
    assert written[0].passes == 4
    for row, found in zip(rows, written, strict=True):
        assert found.tokens == _until(alone(kind, row, eos_token_id=[end, END]), end)


def _until(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens


def endless(kind: str, rng: random.Random, length: int) -> list[int]:
    """Return a row behind which no end token is written for long, nor the one that fills rows up."""
    while True:
        row = some(rng, length, length)
        if not {PAD, END} & set(alone(kind, Continuation("x", row, 12), eos_token_id=[VOCABULARY + 1])):
            return row


@kinds
def test_watch(kind: str) -> None:
    """A watch sees each new token once it is written, stops its own row, and adds nothing to what was written."""
    rng = random.Random(13)
    rows = [endless(kind, rng, length) for length in (4, 17, 9)]
    seen: list[list[int]] = []

    def watch(tokens: list[int]) -> bool:
        seen.append(tokens)
        return len(tokens) == 4

    asked = [
        Continuation("a", rows[0], 12, watch),
        Continuation("b", rows[1], 9),
        Continuation("c", rows[2], 7, lambda tokens: False),
    ]
    whole = [alone(kind, row) for row in asked]
    found = wrapped(kind).write(asked)
    assert seen == [whole[0][:length] for length in range(1, 5)]
    assert [written.tokens for written in found] == [whole[0][:4], *whole[1:]]
    assert [written.passes for written in found] == [4, 9, 7]


def guided(kind: str, row: Continuation, warp: Callable[[Tensor], int]) -> list[int]:
    """Write a row with its branches step by step, each sequence read whole and alone."""
    written: list[int] = []
    while len(written) < row.limit:
        parts = [(row.weight, row.tokens), *((branch.weight, branch.tokens) for branch in row.branches)]
        scores = torch.stack(
            [weight * plain(kind, [*tokens, *written])[-1].log_softmax(-1) for weight, tokens in parts]
        )
        token = warp(scores.sum(0))
        if token == END:
            break
        written.append(token)
    return written


def branched(rng: random.Random) -> list[Continuation]:
    """Return requests with none, one and three branches, stronger, weaker and away."""
    weights: list[tuple[float, ...]] = [(), (-0.8,), (0.4, -1.5, 0.2), (1.7,)]
    return [
        Continuation(
            f"r{number}",
            some(rng, 3, 20),
            rng.randint(4, 12),
            branches=tuple(Branch(some(rng, 1, 25), weight) for weight in each),
        )
        for number, each in enumerate(weights)
    ]


@kinds
def test_branches(kind: str) -> None:
    """The next token is the best by the weighted sum of log-probabilities, for each request by its own branches."""
    rows = branched(random.Random(19))
    model = wrapped(kind)
    model.logits([rows[1].tokens, rows[2].branches[0].tokens], [1, 1])
    expected = [guided(kind, row, lambda scores: int(scores.argmax())) for row in rows]
    assert [written.tokens for written in model.write(rows)] == expected
    assert expected[1:] != [alone(kind, row) for row in rows[1:]]
    check(model, kind, [row.tokens for row in rows], [1] * len(rows))


def test_branches_with_a_watch() -> None:
    """A watch of a request with branches sees its tokens once at each step, and stops the branches with it."""
    rows = branched(random.Random(19))
    seen: list[list[int]] = []

    def watch(tokens: list[int]) -> bool:
        seen.append(tokens)
        return len(tokens) >= 2

    first, second, third, last = rows
    watched = Continuation("w", third.tokens, third.limit, watch, third.branches)
    found = wrapped("llama").write([first, second, watched, last])
    whole = [guided("llama", row, lambda scores: int(scores.argmax())) for row in rows]
    assert [written.tokens for written in found] == [whole[0], whole[1], whole[2][:2], whole[3]]
    assert seen == [whole[2][:1], whole[2][:2]]


@cached
def test_draws_alike_in_any_batch(kind: str) -> None:
    """What is drawn for a request depends on its name and the seed: not on its neighbours, and not on the cache."""
    sampler = Sampler(4, True, {"temperature": 0.9})
    rng = random.Random(23)
    rows = [*requests(rng, [some(rng, 4, 20) for _ in range(3)]), branched(rng)[2]]
    together = [written.tokens for written in wrapped(kind, sampler).write(rows)]
    model = wrapped(kind, sampler)
    model.logits([row.tokens for row in rows], [1] * len(rows))
    for row, tokens in reversed(list(zip(rows, together, strict=True))):
        assert model.write([row])[0].tokens == tokens
    assert [written.tokens for written in wrapped(kind, Sampler(5, True)).write(rows)] != together


def test_draws_from_the_mixture() -> None:
    """With branches too, the token is drawn from the mixture, by the number of its request and place."""
    sampler = Sampler(4, True, {"temperature": 0.7, "top_k": 20})
    row = branched(random.Random(29))[2]
    steps = iter(range(row.limit))
    expected = guided("llama", row, lambda scores: sampler.choose(scores[None], [(row.name, "answer", next(steps))])[0])
    assert wrapped("llama", sampler).write([row])[0].tokens == expected


def test_refused_settings() -> None:
    """Settings that transformers does not take are a fault of the config, in one sentence."""
    with pytest.raises(ConfigError, match=r"^decode: .") as caught:
        wrapped("llama", stop_strings=["."]).write([Continuation("a", [7, 8], 3)])
    assert "\n" not in str(caught.value)
