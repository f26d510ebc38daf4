"""Small models of several architectures, what they say when a row is read alone, and rows made at random."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
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

from ttmarkers.decoding.sampling import Sampler
from ttmarkers.decoding.transformers_model import TransformersModel

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from ttmarkers.decoding.language_model import Continuation

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


def rows_of(rng: random.Random, most: int) -> list[list[int]]:
    """Return up to so many rows to begin with."""
    return [some(rng, 1, 30) for _ in range(rng.randint(1, most))]


def check_and_change(model: TransformersModel, kind: str, rng: random.Random, rows: list[list[int]]) -> list[list[int]]:
    """Check the logits of rows after some of their tokens, and return the rows to ask for next."""
    check(model, kind, rows, counts_of(rng, rows))
    return changed(rng, rows)
