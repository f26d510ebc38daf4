"""A model of transformers behind the narrow interface: what is kept from one call never changes the next one."""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
)

from ttmarkers.errors import ConfigError
from ttmarkers.language_model import Branch, Continuation
from ttmarkers.prefix_cache import PrefixCache, can_cache
from ttmarkers.sampling import Sampler
from ttmarkers.sequences import common
from ttmarkers.transformers_model import TransformersModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

VOCABULARY = 60
PAD, END = 0, 5
CACHED = ("llama", "gemma", "gpt2")
KINDS = (*CACHED, "mamba")
CLOSE = 1e-4
OTHER = {"bos_token_id": None, "eos_token_id": END, "pad_token_id": PAD, "tie_word_embeddings": False}

cached = pytest.mark.parametrize("kind", CACHED)
kinds = pytest.mark.parametrize("kind", KINDS)


def _llama() -> PreTrainedModel:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, max_position_embeddings=256, **sizes, **OTHER
    )
    return LlamaForCausalLM(config)


def _gemma() -> PreTrainedModel:
    """Layers that see 8 tokens and layers that see all."""
    config = Gemma3TextConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        max_position_embeddings=256,
        **OTHER,
    )
    return Gemma3ForCausalLM(config)


def _gpt2() -> PreTrainedModel:
    """Places are learned, not turned."""
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256, **OTHER))


def _mamba() -> PreTrainedModel:
    """Keeps a state that cannot be taken back."""
    sizes = {"num_hidden_layers": 2, "num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1}
    return Mamba2ForCausalLM(Mamba2Config(vocab_size=VOCABULARY, hidden_size=32, chunk_size=16, **sizes, **OTHER))


MAKERS = {"llama": _llama, "gemma": _gemma, "gpt2": _gpt2, "mamba": _mamba}


@cache
def model_of(kind: str) -> PreTrainedModel:
    """Return a model whose weights are wide enough that its logits differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = MAKERS[kind]()
        for weights in model.parameters():
            if weights.dim() == 2:
                torch.nn.init.normal_(weights, std=0.3)
    return model.eval()


def plain(kind: str, row: Sequence[int]) -> Tensor:
    """Return the logits after each token of a row that is read alone, at once, and without a cache."""
    with torch.inference_mode():
        found: Tensor = model_of(kind)(input_ids=torch.tensor([list(row)]), use_cache=False).logits[0]
    return found


def wrapped(kind: str, sampler: Sampler | None = None, **keys: Any) -> TransformersModel:
    """Return what is tested, with nothing kept yet."""
    given = {"max_new_tokens": 40, "do_sample": False, "eos_token_id": [END], "pad_token_id": PAD, **keys}
    return TransformersModel(model_of(kind), GenerationConfig(**given), sampler or Sampler())


def check(model: TransformersModel, kind: str, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> None:
    """Ask for logits, and compare each with those of its row alone."""
    found = model.logits(rows, counts)
    assert len(found) == len(rows)
    for row, count, logits in zip(rows, counts, found, strict=True):
        assert logits.shape == (count, VOCABULARY)
        assert logits.dtype == torch.float32
        assert logits.device.type == "cpu"
        torch.testing.assert_close(logits, plain(kind, row)[-count:], atol=CLOSE, rtol=0)


def alone(kind: str, row: Continuation, **keys: Any) -> list[int]:
    """Return what ``generate`` writes after a row that stands alone, without its end token."""
    options = {"do_sample": False, "eos_token_id": [END], "pad_token_id": PAD, **keys}
    ids = torch.tensor([list(row.tokens)])
    with torch.inference_mode():
        found = model_of(kind).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=GenerationConfig(max_new_tokens=row.limit, **options),
        )
    tokens: list[int] = found[0, len(row.tokens) :].tolist()
    return tokens[: tokens.index(END)] if END in tokens else tokens


def some(rng: random.Random, least: int, most: int) -> list[int]:
    """Return random tokens, none of them an end or a pad."""
    return [rng.randrange(6, VOCABULARY) for _ in range(rng.randint(least, most))]


def changed(rng: random.Random, rows: list[list[int]]) -> list[list[int]]:
    """Return rows as a policy might ask for next: cut back, longer, in another order, branched, fewer or new."""
    rows = [row[: rng.randint(1, len(row))] if rng.random() < 0.3 else list(row) for row in rows]
    change = rng.choice(["none", "none", "order", "drop", "branch", "new", "same"])
    if change == "order":
        rng.shuffle(rows)
    elif change == "drop" and len(rows) > 1:
        rows = rng.sample(rows, rng.randint(1, len(rows) - 1))
    elif change == "branch":
        rows = [*rows, *([list(rng.choice(rows))] * rng.randint(1, 3))]
        rng.shuffle(rows)
    elif change == "new":
        rows.insert(rng.randint(0, len(rows)), some(rng, 1, 20))
    if change != "same":
        rows = [row + some(rng, 0, 6) for row in rows]
    return rows[:6]


def counts_of(rng: random.Random, rows: list[list[int]]) -> list[int]:
    """Return after how many of its tokens each row's logits are wanted: mostly few."""
    return [rng.randint(1, min(len(row), rng.choice([1, 1, 4, 30]))) for row in rows]


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
    rng = random.Random(seed)
    model = wrapped(kind)
    rows = [some(rng, 1, 30) for _ in range(rng.randint(1, 4))]
    for _ in range(10):
        check(model, kind, rows, counts_of(rng, rows))
        rows = changed(rng, rows)


def test_logits_without_a_cache() -> None:
    """A model that keeps a state is right too, because it reads every row whole."""
    rng = random.Random(7)
    model = wrapped("mamba")
    rows = [some(rng, 1, 20) for _ in range(3)]
    for _ in range(4):
        check(model, "mamba", rows, counts_of(rng, rows))
        rows = changed(rng, rows)


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
    rng = random.Random(seed)
    model = wrapped(kind)
    rows = [some(rng, 1, 30) for _ in range(rng.randint(1, 3))]
    for _ in range(3):
        check(model, kind, rows, counts_of(rng, rows))
        rows = changed(rng, rows)
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
