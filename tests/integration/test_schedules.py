"""What changes over a run: markers that thin out, and a cooldown without them; and packs, which change nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import train, ttm

if TYPE_CHECKING:
    from pathlib import Path

ONE_EPOCH = ("train.max_steps=-1", "train.num_train_epochs=1", "train.logging_steps=1")


def _sets(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _steps(folder: Path) -> list[dict[str, Any]]:
    return [entry for entry in json.loads((folder / "log.json").read_bytes()) if "loss" in entry]


def test_cooldown(marked: Path, tmp_path: Path) -> None:
    """The end of a cooldown run has no block to learn; the rows and their order are those of any other run."""
    settings = (*ONE_EPOCH, "train.per_device_train_batch_size=6", "train.cooldown=0.3")
    folder = train(marked, tmp_path / "model", "--strategy", "cooldown", *_sets(*settings))
    steps = _steps(folder)
    assert ["block_loss" in entry for entry in steps] == [True] * 7 + [False] * 3
    assert all("answer_loss" in entry for entry in steps)
    data = json.loads((folder / "markers.json").read_bytes())
    assert (data["strategy"], data["marked"], data["writes"]) == ("cooldown", True, True)


@pytest.mark.parametrize("steps", [1, 3])
def test_cooldown_of_a_run_of_steps(marked: Path, tmp_path: Path, steps: int) -> None:
    """The end is the end of the run also where epochs end in short batches, and where steps are gathered."""
    settings = ("train.max_steps=20", "train.logging_steps=1", "train.per_device_train_batch_size=25")
    settings = (*settings, "train.cooldown=0.3", f"train.gradient_accumulation_steps={steps}")
    folder = train(marked, tmp_path / "model", "--strategy", "cooldown", *_sets(*settings))
    plain = ["block_loss" not in entry for entry in _steps(folder)]
    assert plain == [False] * 14 + [True] * 6


def test_markers_that_thin_out(marked: Path, tmp_path: Path) -> None:
    """A schedule takes markers out of prompts alone: where its factor is 0 no marker can be copied, all are learned."""
    settings = (*ONE_EPOCH, "train.per_device_train_batch_size=6", "dropout.dataset=0", "dropout.sample=0")
    folder = train(marked, tmp_path / "model", *_sets(*settings, "dropout.schedule=[[0.5, 1], [0.5, 0]]"))
    steps = _steps(folder)
    assert [entry.get("n.lang", 0) for entry in steps] == [0] * 5 + [6] * 5
    assert all("block_loss" in entry for entry in steps)
    assert json.loads((folder / "markers.json").read_bytes())["dropout"]["schedule"] == [[0.5, 1.0], [0.5, 0.0]]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packing_changes_nothing(marked: Path, sft: Path, tmp_path: Path, attention: str) -> None:
    """All rows in one step give the same losses, accuracies and gradient, packed or not, with each attention."""
    settings = (*ONE_EPOCH, "train.per_device_train_batch_size=60", "train.learning_rate=0", "train.max_length=300")
    settings = (*settings, f"train.model_init_kwargs={{attn_implementation: {attention}}}")
    entries = []
    for packing in ("false", "true"):
        output = tmp_path / packing
        done = ttm(
            "train", marked, "--model", sft, "-o", output, *_sets(*settings, f"train.packing={packing}",
            "train.bf16=false", "train.gradient_checkpointing=false")
        )  # fmt: skip
        assert done.code == 0, done.err
        (entry,) = _steps(output)
        entries.append(entry)
        assert ("examples are packed into" in done.err) == (packing == "true")
    plain, packed = entries
    assert set(plain) == set(packed)
    different = {"num_tokens", "mean_token_accuracy", "entropy", "epoch", "step"}
    for name in set(plain) - different:
        assert packed[name] == pytest.approx(plain[name], rel=2e-4, abs=1e-6), name


def test_packing_that_cuts_is_refused(marked: Path, sft: Path, tmp_path: Path) -> None:
    """Packing that would cut examples, and their blocks, is refused before anything is read."""
    words = _sets("train.packing=true", "train.packing_strategy=wrapped")
    done = ttm("train", marked, "--model", sft, "-o", tmp_path / "out", *words)
    assert (done.code, (tmp_path / "out").exists()) == (2, False)
    assert "train.packing_strategy = wrapped cuts examples: use bfd, which keeps them whole" in done.err
