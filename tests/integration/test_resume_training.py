"""Runs that end in the middle of saving, with a damaged checkpoint, or are resumed with something else."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file

from support import TRAIN, read_rows, train, ttm, write_rows
from ttmarkers.config import make_config
from ttmarkers.models.loading import load_model
from ttmarkers.training.job import TrainingJob
from ttmarkers.training.state import state_of

if TYPE_CHECKING:
    from ttmarkers.plugins.manager import Plugins

# at a constant rate a step too many, or too few, shows in the weights
CONSTANT = (*TRAIN, "--set", "train.lr_scheduler_type=constant", "--set", "train.save_steps=2")
CONSTANT = (*CONSTANT, "--set", "train.num_train_epochs=1.5")


@pytest.fixture(scope="module")
def whole(marked: Path, folder: Path) -> Path:
    """An undisturbed run."""
    return train(marked, folder / "undisturbed", *CONSTANT)


def _interrupted(
    marked: Path, output: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, *more: str
) -> list[Any]:
    """Train, and fail when the last files are written; return the command."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    words = ["train", marked, "--model", "scratch:tiny", "-o", output, *CONSTANT, *more]
    with monkeypatch.context() as patch:
        patch.setattr("ttmarkers_plugins.strategies.sft.finish", fail)
        assert ttm(*words).code != 0
    assert (output / "checkpoints").is_dir()
    return words


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_interrupted_while_saving(
    whole: Path, marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A run that was trained to its end and not saved is saved as it is: no step more, none again."""
    output = tmp_path / "model"
    words = _interrupted(marked, output, monkeypatch, error)
    done = ttm(*words, "--resume")
    assert done.code == 0, done.err
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    logs = [json.loads((folder / "log.json").read_bytes()) for folder in (output, whole)]
    assert [entry["loss"] for entry in logs[0] if "loss" in entry] == [
        entry["loss"] for entry in logs[1] if "loss" in entry
    ]
    assert {path.name for path in output.iterdir()} == {path.name for path in whole.iterdir()}


def test_checkpoint_that_was_cut_off(
    whole: Path, marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the newest checkpoint's state cannot be read, the one before is gone on from."""
    output = tmp_path / "model"
    words = _interrupted(marked, output, monkeypatch, KeyboardInterrupt())
    newest = output / "checkpoints" / "checkpoint-4" / "trainer_state.json"
    newest.write_bytes(newest.read_bytes()[:100])
    done = ttm(*words, "--resume")
    assert done.code == 0, done.err
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    tokens = [
        [entry["num_tokens"] for entry in json.loads((folder / "log.json").read_bytes()) if "loss" in entry]
        for folder in (output, whole)
    ]
    assert tokens[0] == tokens[1]


def test_another_folder(marked: Path, sft: Path, tmp_path: Path) -> None:
    """A folder that no run began is not written into."""
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("mine", encoding="utf-8")
    done = ttm("train", marked, "--model", "scratch:tiny", "-o", output, *TRAIN, "--resume")
    assert (done.code, [path.name for path in output.iterdir()]) == (2, ["notes.txt"])
    assert "holds no training run that was interrupted" in done.err
    other = ttm("train", marked, "--model", "scratch:tiny", "-o", sft, *TRAIN, "--set", "seed=3", "--resume")
    assert other.code == 2
    assert "is finished, with other settings or rows: name another output with -o" in other.err


def test_what_a_run_depends_on(marked: Path, tmp_path: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed template file, more rows behind a glob, other held-out rows, processes: each is named."""
    rows = tmp_path / "rows"
    rows.mkdir()
    write_rows(rows / "a.jsonl", read_rows(marked))
    held_out, template = write_rows(tmp_path / "held.jsonl", read_rows(marked)[:3]), tmp_path / "mine.jinja"
    template.write_text("{% macro opening() %}[{% endmacro %}", encoding="utf-8")
    config = make_config({"template": str(template), "train": {"held_out": str(held_out)}}, "test")
    job = TrainingJob((str(rows / "*.jsonl"),), "scratch:tiny", tmp_path / "model", config, plugins)
    first = state_of(job)
    assert state_of(job) == first
    changes: dict[str, Any] = {
        "template": lambda: template.write_text("{% macro opening() %}({% endmacro %}", encoding="utf-8"),
        "rows": lambda: write_rows(rows / "b.jsonl", read_rows(marked)),
        "held-out rows": lambda: write_rows(held_out, read_rows(marked)[:5]),
        "number of processes": lambda: monkeypatch.setenv("WORLD_SIZE", "2"),
    }
    for name, change in changes.items():
        before = state_of(job)
        change()
        assert {key for key, value in state_of(job).items() if before[key] != value} == {name}


def test_weights_are_trained_in_full_precision(sft: Path, marked: Path, tmp_path: Path) -> None:
    """A model that was saved in half precision is trained, and saved, in single: small steps would be lost."""
    base = tmp_path / "base"
    load_model(str(sft), dtype="bfloat16").save_pretrained(base)
    for path in Path(sft).glob("tokenizer*"):
        (base / path.name).write_bytes(path.read_bytes())
    assert str(next(iter(load_file(base / "model.safetensors").values())).dtype) == "torch.bfloat16"
    output = train(marked, tmp_path / "model", "--model", str(base), "--set", "train.learning_rate=2e-5")
    before, after = (load_file(folder / "model.safetensors") for folder in (base, output))
    assert all(str(weight.dtype) == "torch.float32" for weight in after.values())
    changed = sum(int((after[name] != before[name].float()).sum()) for name in after)
    assert changed > 0.9 * sum(weight.numel() for weight in after.values())
