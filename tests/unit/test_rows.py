"""The order of rows, batches of them, and packs: exact, and the same whoever asks."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import load_template
from ttmarkers.dropout import Dropout
from ttmarkers.errors import ConfigError
from ttmarkers.marked import RowWriter
from ttmarkers.models.encoding import Encoder
from ttmarkers.records import MarkedExample, Message, Origin
from ttmarkers.training.row_checker import RowSet
from ttmarkers_plugins.strategies.packing import best_fit, prove_isolation
from ttmarkers_plugins.strategies.rows import Batches, EpochOrder, MarkedRows

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy


def _order(lengths: list[int], seed: int = 0, epoch: int = 0, order: str = "random") -> list[tuple[int, int, float]]:
    made = EpochOrder(numpy.array(lengths, dtype=numpy.int32), 8, seed, order, 3)
    made.set_epoch(epoch)
    return list(made)


@pytest.mark.parametrize("order", ["random", "group_by_length"])
@pytest.mark.parametrize("rows", [1, 7, 64, 1003])
def test_order(rows: int, order: str) -> None:
    """An order holds every row once, depends on seed and epoch alone, and may group rows of like length."""
    lengths = [(number * 7919) % 101 + 1 for number in range(rows)]
    first = _order(lengths, order=order)
    units = [unit for unit, _, _ in first]
    assert sorted(units) == list(range(rows))
    assert _order(lengths, order=order) == first
    if rows > 8:
        keys = [(seed, epoch) for seed in (0, 1) for epoch in (0, 1)]
        assert len({tuple(unit for unit, _, _ in _order(lengths, *key, order)) for key in keys}) == 4
        batches = [units[start : start + 8] for start in range(0, rows - 7, 8)]
        spread = [max(lengths[unit] for unit in batch) - min(lengths[unit] for unit in batch) for batch in batches]
        mean = sum(spread) / len(spread)
        assert (mean < 20) if order == "group_by_length" else (mean > 40)


def test_places_in_the_run() -> None:
    """A key says in which epoch and how far into the run a row is read; sequential order keeps the file's."""
    keys = _order([5] * 10, epoch=2, order="sequential")
    assert [unit for unit, _, _ in keys] == list(range(10))
    assert {epoch for _, epoch, _ in keys} == {2}
    assert [place for _, _, place in keys] == pytest.approx([(20 + number) / 30 for number in range(10)])


def test_order_that_comes_out_even() -> None:
    """For several processes an order is filled up behind its rows, which stay as they are."""
    made = EpochOrder(numpy.array([5] * 10, dtype=numpy.int32), 8, 0, "random", 1, multiple=8)
    units = [unit for unit, _, _ in made]
    assert len(made) == len(units) == 16
    assert units[:10] == [unit for unit, _, _ in _order([5] * 10)]
    assert units[10:] == list(range(10, 16))


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=200), room=st.integers(50, 120))
def test_best_fit(lengths: list[int], room: int) -> None:
    """Every row is in one pack, no pack holds more than its room, and no two packs would fit into one."""
    packs = best_fit(numpy.array(lengths), room)
    assert sorted(row for pack in packs for row in pack) == list(range(len(lengths)))
    sizes = sorted(sum(lengths[row] for row in pack) for pack in packs)
    assert sizes[-1] <= room
    assert len(sizes) == 1 or sizes[0] + sizes[1] > room


def test_best_fit_is_as_tight_as_the_engine() -> None:
    """Our packs are no more than those of TRL's own best-fit packing."""
    from datasets import Dataset
    from trl import pack_dataset

    lengths = [(number * 7919) % 101 + 1 for number in range(400)]
    theirs = pack_dataset(Dataset.from_dict({"input_ids": [[0] * length for length in lengths]}), 128, strategy="bfd")
    assert len(best_fit(numpy.array(lengths), 128)) == len(theirs)


@pytest.fixture(scope="module")
def encoder(tokenizer: PreTrainedTokenizerBase) -> Encoder:
    """The tests' tokenizer."""
    return Encoder(copy.deepcopy(tokenizer))


@pytest.fixture(scope="module")
def renderer(plugins: Plugins, taxonomy: Taxonomy) -> Renderer:
    """Renders with the paper's template."""
    return Renderer(load_template(plugins.templates().get("paper"), taxonomy), Dropout(seed=3))


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, renderer: Renderer, encoder: Encoder) -> RowSet:
    """Twelve rows on disk; the first is not used."""
    path = tmp_path_factory.mktemp("rows") / "rows.arrow"
    lengths = []
    with RowWriter(path) as writer:
        for number in range(12):
            prompt = (Message("user", "Say yes." + " Please." * (number % 4)),)
            markers = {"lang": ("English", "French", "German")[number % 3], "length_tokens": number}
            example = MarkedExample(f"r{number}", prompt, "Yes." * (number + 1), markers, Origin("rows", number))
            writer.write(example)
            without = Renderer(renderer.template, None)
            lengths.append(len(encoder.encode([without.render(example)])[0].input_ids))
    return RowSet(path, numpy.arange(1, 12), numpy.array(lengths[1:], dtype=numpy.int32))


def test_rows_depend_on_their_key_alone(rows: RowSet, renderer: Renderer, encoder: Encoder) -> None:
    """A row is the same alone or among others, and differs by epoch; dropout makes it no longer than was measured."""
    data = MarkedRows(rows, renderer, encoder)
    assert len(data) == 11
    keys = [(unit, epoch, 0.0) for unit in range(11) for epoch in range(3)]
    together = data.__getitems__(keys)
    assert together == [data[key] for key in keys]
    assert all(
        len(unit["input_ids"]) == unit["lengths"][0] <= rows.lengths[key[0]]
        for unit, key in zip(together, keys, strict=True)
    )
    assert len({tuple(data[0, epoch, 0.0]["input_ids"]) for epoch in range(20)}) > 2
    with pytest.raises(IndexError):
        data[11]


def test_rows_are_filled_up_to_come_out_even(rows: RowSet, renderer: Renderer, encoder: Encoder) -> None:
    """Units that are added for the sake of several processes carry no label and no mark."""
    data, filled = MarkedRows(rows, renderer, encoder), MarkedRows(rows, renderer, encoder, multiple=8)
    assert (len(data), len(filled)) == (11, 16)
    assert [filled[unit] for unit in range(11)] == [data[unit] for unit in range(11)]
    added = filled.__getitems__(range(11, 16))
    assert not any(part for unit in added for part in (*unit["parts"], *unit["marks"]))


def test_packs_hold_their_rows(rows: RowSet, renderer: Renderer, encoder: Encoder) -> None:
    """A pack is its rows behind each other, token by token."""
    alone = MarkedRows(rows, renderer, encoder)
    packed = MarkedRows(rows, renderer, encoder, [[3, 1], [0, 2, 4]])
    for pack, members in enumerate(([3, 1], [0, 2, 4])):
        unit = packed[pack, 1, 0.5]
        for key in ("input_ids", "parts", "marks", "lengths"):
            assert unit[key] == [item for member in members for item in alone[member, 1, 0.5][key]]


def test_padding(rows: RowSet, renderer: Renderer, encoder: Encoder) -> None:
    """A batch is padded to its longest row; padding is masked and carries no label."""
    units = MarkedRows(rows, renderer, encoder).__getitems__(range(11))
    for multiple in (None, 16):
        batch = Batches(0, multiple)(units)
        longest = max(len(unit["input_ids"]) for unit in units)
        assert batch["input_ids"].shape == (11, longest if multiple is None else -(-longest // 16) * 16)
        for line, unit in enumerate(units):
            length, width = len(unit["input_ids"]), batch["input_ids"].shape[1]
            assert batch["input_ids"][line, :length].tolist() == unit["input_ids"]
            assert batch["attention_mask"][line].tolist() == [1] * length + [0] * (width - length)
            wanted = [token if part else -100 for token, part in zip(unit["input_ids"], unit["parts"], strict=True)]
            assert batch["labels"][line].tolist() == wanted + [-100] * (width - length)
            assert batch["examples"][line, :length].tolist() == [line] * length


@pytest.mark.parametrize("flat", [False, True])
def test_packed_batches(rows: RowSet, renderer: Renderer, encoder: Encoder, flat: bool) -> None:
    """Positions begin anew with each row of a pack, rows are numbered, and no label crosses from one to the next."""
    units = MarkedRows(rows, renderer, encoder, [[3, 1], [0, 2, 4]]).__getitems__([0, 1])
    batch = Batches(0, packed=True, flat=flat)(units)
    assert "attention_mask" not in batch
    lines = [[*units[0]["lengths"], *units[1]["lengths"]]] if flat else [unit["lengths"] for unit in units]
    for line, lengths in enumerate(lines):
        total = sum(lengths)
        positions = [place for length in lengths for place in range(length)]
        assert batch["position_ids"][line, :total].tolist() == positions
        starts = [place for place, position in enumerate(positions) if position == 0]
        assert batch["labels"][line, starts].tolist() == [-100] * len(lengths)
    assert int(batch["examples"].max()) == 4


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_neighbours_do_not_see_each_other(
    attention: str, rows: RowSet, renderer: Renderer, encoder: Encoder, model: PreTrainedModel
) -> None:
    """With each attention that is allowed, a row's logits are the same alone, and in any order of its neighbours."""
    made = copy.deepcopy(model).eval()
    made.set_attn_implementation(attention)
    data, batches = MarkedRows(rows, renderer, encoder), Batches(0, packed=True)
    prove_isolation(made, data, batches)
    found: dict[int, list[Any]] = {}
    for members in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [0], [1], [2]):
        unit = MarkedRows(rows, renderer, encoder, [members])[0]
        batch = batches([unit])
        with torch.no_grad():
            logits = made(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[0]
        for member, piece in zip(members, logits.split(unit["lengths"]), strict=True):
            found.setdefault(member, []).append(piece)
    for pieces in found.values():
        for piece in pieces[1:]:
            torch.testing.assert_close(piece, pieces[0], atol=2e-5, rtol=1e-4)


def test_models_that_let_neighbours_see_each_other(
    rows: RowSet, renderer: Renderer, encoder: Encoder, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Packing is refused, with the reason, for an attention without regard to packs and for a recurrent model."""
    from transformers import AttentionInterface, Mamba2Config, Mamba2ForCausalLM
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import AttentionMaskInterface

    def careless(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
        return sdpa_attention_forward(module, query, key, value, None, **more, is_causal=True)

    AttentionInterface.register("careless", careless)
    AttentionMaskInterface.register("careless", lambda *_, **__: None)
    leaky = copy.deepcopy(model)
    leaky.set_attn_implementation("careless")
    data, batches = MarkedRows(rows, renderer, encoder), Batches(0, packed=True)
    with pytest.raises(ConfigError, match=r"with attention 'careless' this model lets packed examples see each other"):
        prove_isolation(leaky, data, batches)
    torch.manual_seed(0)
    recurrent = Mamba2ForCausalLM(
        Mamba2Config(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_heads=4, head_dim=16, state_size=8,
            n_groups=1, chunk_size=16,
        )
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"train.packing: .* leave packing out"):
        prove_isolation(recurrent, data, batches)
