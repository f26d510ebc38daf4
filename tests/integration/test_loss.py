"""The losses of a training step against some computed by hand, token by token, and what the strategies read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from support import greetings, read_rows, train, write_rows
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.datasets import to_example
from ttmarkers.dropout import Dropout
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import SIZES, load_tokenizer, make_model
from ttmarkers.records import ANSWER, BLOCK, MarkedExample, Origin, mark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ttmarkers.records import Encoded, RenderedPair

ONE_STEP = ("--set", "train.max_steps=1", "--set", "train.learning_rate=0", "--set", "dropout.sample=0.3")
"""One step over eight rows that changes no weight."""


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight annotated rows."""
    rows = greetings(8)
    languages = ("English", "French", "German")
    for index, row in enumerate(rows):
        row["markers"] = {"lang": languages[index % 3], "length_tokens": len(row["completion"].split())}
    return write_rows(tmp_path_factory.mktemp("eight") / "marked.jsonl", rows)


def _encode(rows: Path, model: Path, *, marked: bool = True) -> list[Encoded]:
    """Encode rows as the first epoch of a training run must."""
    template = load_checkpoint(str(model)).template()
    renderer = Renderer(template if marked else None, Dropout(dataset=0.5, sample=0.3, seed=0))
    examples = [to_example(row, Origin("rows", number)) for number, row in enumerate(read_rows(rows), 1)]
    pairs = [
        renderer.render(MarkedExample(e.id, e.prompt, e.completion, e.columns["markers"], e.origin)) for e in examples
    ]
    return Encoder(load_tokenizer(str(model))).encode(pairs)


def _by_hand(encoded: list[Encoded], folder: Path, weight: float = 1.0) -> tuple[dict[str, float], float]:
    """Return the mean losses of all, block and answer tokens, and the norm of the weighted mean's gradient."""
    model = make_model(SIZES["tiny"], load_tokenizer(str(folder)), seed=0).train()
    sums, counts = {BLOCK: 0.0, ANSWER: 0.0}, {BLOCK: 0, ANSWER: 0}
    total = torch.zeros(())
    for item in encoded:
        logits = model(torch.tensor([item.input_ids])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(item.input_ids[1:]), reduction="none")
        parts = torch.tensor(item.parts[1:])
        for part in (BLOCK, ANSWER):
            chosen = losses[parts == part]
            sums[part] += float(chosen.detach().sum())
            counts[part] += len(chosen)
            total = total + chosen.sum() * (weight if part == BLOCK else 1.0)
    tokens = counts[BLOCK] + counts[ANSWER]
    (total / tokens).backward()  # type: ignore[no-untyped-call]
    norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).norm()
    means = {"loss": float(total.detach()) / tokens, "answer_loss": sums[ANSWER] / counts[ANSWER]}
    if counts[BLOCK]:
        means["block_loss"] = sums[BLOCK] / counts[BLOCK]
    return means, float(norm)


def _first_step(folder: Path) -> dict[str, Any]:
    log: list[dict[str, Any]] = json.loads((folder / "log.json").read_bytes())
    return log[0]


@pytest.mark.parametrize(
    ("weight", "batch", "steps"), [(1.0, 8, 1), (0.0, 8, 1), (0.25, 8, 1), (1.0, 2, 4), (0.25, 4, 2)]
)
def test_losses(eight: Path, tmp_path: Path, weight: float, batch: int, steps: int) -> None:
    """The logged losses and gradient are those of the label tokens alone, each block token weighted, in any batches.

    With weight 0 nothing of the block's tokens is left in the loss or the gradient; the logged block loss is still
    the true one.
    """
    words = (f"train.block_weight={weight}", f"train.per_device_train_batch_size={batch}")
    words = (*words, f"train.gradient_accumulation_steps={steps}")
    settings = [word for setting in words for word in ("--set", setting)]
    folder = train(eight, tmp_path / "model", *ONE_STEP, *settings)
    means, norm = _by_hand(_encode(eight, folder), folder, weight)
    logged = _first_step(folder)
    assert {name: logged[name] for name in means} == pytest.approx(means, rel=2e-4)
    assert set(means) == {"loss", "block_loss", "answer_loss"}
    assert logged["grad_norm"] == pytest.approx(norm, rel=2e-3)


def test_losses_of_a_baseline(eight: Path, tmp_path: Path) -> None:
    """A baseline's loss is that of the answer's tokens after the plain prompt."""
    folder = train(eight, tmp_path / "model", *ONE_STEP, "--strategy", "baseline")
    means, norm = _by_hand(_encode(eight, folder, marked=False), folder)
    logged = _first_step(folder)
    assert {name: logged[name] for name in means} == pytest.approx(means, rel=2e-4)
    assert set(means) == {"loss", "answer_loss"}
    assert logged["grad_norm"] == pytest.approx(norm, rel=2e-3)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str, int]]:
    """What the training data are asked for: epoch, example and number of tokens."""
    calls: list[tuple[int, str, int]] = []
    render, encode = Renderer.render, Encoder.encode
    epochs: dict[str, int] = {}

    def note(self: Renderer, example: MarkedExample, epoch: int = 0, place: float = 0.0) -> RenderedPair:
        epochs[example.id] = epoch
        return render(self, example, epoch, place)

    def count(self: Encoder, pairs: Sequence[RenderedPair]) -> list[Encoded]:
        made = encode(self, pairs)
        calls.extend((epochs[item.id], item.id, len(item.input_ids)) for item in made)
        return made

    monkeypatch.setattr(Renderer, "render", note)
    monkeypatch.setattr(Encoder, "encode", count)
    return calls


def test_baseline_sees_the_same_rows_in_the_same_order(
    marked: Path, tmp_path: Path, seen: list[tuple[int, str, int]]
) -> None:
    """Both strategies read the same rows in the same order; every epoch reads each row once, in an order of its own."""
    settings = ["--set", "train.max_steps=-1", "--set", "train.num_train_epochs=2"]
    orders, lengths = [], []
    for strategy in ("sft", "baseline"):
        seen.clear()
        train(marked, tmp_path / strategy, "--strategy", strategy, *settings)
        read = seen[-120:]  # what was encoded before belongs to the preparation
        orders.append([(epoch, name) for epoch, name, _ in read])
        lengths.append({(epoch, name): tokens for epoch, name, tokens in read})
    assert orders[0] == orders[1]
    epochs = [[name for epoch, name in orders[0] if epoch == number] for number in (0, 1)]
    assert [sorted(names) for names in epochs] == [sorted(f"r{number}" for number in range(60))] * 2
    assert epochs[0] != epochs[1]
    with_markers, without = lengths
    # dropout is drawn anew in each epoch, so prompts differ in length; a baseline's do not
    assert any(with_markers[0, name] != with_markers[1, name] for name in epochs[0])
    assert all(without[0, name] == without[1, name] for name in epochs[0])


def test_losses_of_markers(eight: Path, tmp_path: Path) -> None:
    """The loss of each marker is that of its tokens; accuracy counts whole values of dropped markers alone."""
    folder = train(eight, tmp_path / "model", *ONE_STEP)
    encoded, logged = _encode(eight, folder), _first_step(folder)
    model = make_model(SIZES["tiny"], load_tokenizer(str(folder)), seed=0).eval()
    losses: dict[int, list[float]] = {0: [], 1: []}
    hits: dict[int, list[bool]] = {0: [], 1: []}
    for item in encoded:
        logits = model(torch.tensor([item.input_ids])).logits[0, :-1]
        ids, marks = torch.tensor(item.input_ids[1:]), torch.tensor(item.marks[1:])
        each = torch.nn.functional.cross_entropy(logits, ids, reduction="none")
        right = logits.argmax(-1) == ids
        for marker in (0, 1):
            first = 1 + 4 * marker
            losses[marker] += each[(marks >= first) & (marks < first + 4)].tolist()
            if bool((value := marks == mark(marker, value=True, dropped=True)).any()):
                hits[marker].append(bool(right[value].all()))
    names = load_checkpoint(str(folder)).taxonomy.names
    for marker, name in enumerate(names):
        assert logged[f"loss.{name}"] == pytest.approx(sum(losses[marker]) / len(losses[marker]), rel=2e-4)
        assert logged[f"n.{name}"] == len(hits[marker]) > 0
        assert logged[f"accuracy.{name}"] == pytest.approx(sum(hits[marker]) / len(hits[marker]))
