"""Training that cannot begin, that leaves rows out, and that goes on from what is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from support import TRAIN, greetings, read_rows, train, ttm, write_rows

if TYPE_CHECKING:
    from pathlib import Path


def _refused(done: Any, code: int, message: str, output: Path) -> None:
    """Check that a run ended with a sentence, and left nothing in its output's place."""
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not output.exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "train.max_stps=4",
            "train.max_stps is a key neither of ttmarkers nor of TRL's SFTConfig: did you mean 'max_steps'?",
        ),
        ("train.output_dir=x", "train.output_dir is set by ttmarkers: leave it out"),
        ("train.padding_free=true", "train.padding_free is not supported: leave it out"),
        ("train.packing_strategy=wrapped", "train.packing_strategy = wrapped cuts examples: use bfd"),
        ("train.train_sampling_strategy=batch_rebalance", "is not supported: use random, sequential, group_by_length"),
        ("train.lr_scheduler_type=cosin", "TRL does not take these keys"),
        ("train.eval_strategy=steps", "train.eval_strategy needs rows: set train.held_out to a share of the rows"),
        ("train.report_to=no-such-tracker", "TRL does not take these keys: "),
        ("train.label_smoothing_factor=0.1", "train.block_weight needs the plain loss"),
        ("train.loss_type=dft", "train.block_weight needs the plain loss"),
        ("train.strategy=stf", "unknown strategy 'stf' (train.strategy): did you mean 'sft'?"),
        ("train.model=scratch:tniy", "there is no such size, did you mean 'tiny'?"),
        ("template=papr", "unknown template 'papr' (template): did you mean 'paper'?"),
        ("template=gone.jinja", "template 'gone.jinja' cannot be read: No such file or directory"),
        ("markers.use=[langs]", "unknown marker 'langs' (markers.use): did you mean 'lang'?"),
        ("markers.taxonomy=papr", "unknown taxonomy 'papr'"),
        ("dropout.sample=2", "dropout.sample"),
    ],
)
def test_wrong_settings(marked: Path, tmp_path: Path, setting: str, message: str) -> None:
    """A key or name that does not exist is exit 2 with the nearest one, and leaves no output behind."""
    output = tmp_path / "model"
    # what --set says of a model or template holds where no option does
    base = ("--set", "train.model=scratch:tiny", "--set", "train.block_weight=0.5")
    base = (*base, "--set", "train.packing=true") if "packing_strategy" in setting else base
    done = ttm("train", marked, "-o", output, *TRAIN, *base, "--set", setting)
    _refused(done, 2, message, output)


GOOD = {"prompt": "Hi", "completion": "Hello.", "markers": {"lang": "English"}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Hi", "completion": "Hello."}, "the row has no markers: annotate the file first with ttm annotate"),
        ({**GOOD, "markers": {"lang": "Klingon"}}, "lang = 'Klingon' is not in the taxonomy"),
        ({**GOOD, "completion": ""}, "the completion is empty"),
    ],
)
def test_bad_rows(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    """A row that was not annotated or holds an impossible value is named by file and number, exit 1."""
    rows = write_rows(tmp_path / "rows.jsonl", [GOOD, GOOD, row])
    done = ttm("train", rows, "--model", "scratch:tiny", "-o", tmp_path / "model", *TRAIN)
    _refused(done, 1, message, tmp_path / "model")
    assert f"{rows}, row 3" in done.err


def test_no_rows(tmp_path: Path) -> None:
    """A file without rows, or without a marker that is asked for, is named."""
    empty, bare = write_rows(tmp_path / "empty.jsonl", []), write_rows(tmp_path / "bare.jsonl", [GOOD])
    output = tmp_path / "model"
    _refused(ttm("train", empty, "--model", "scratch:tiny", "-o", output), 1, "there are no rows to train on", output)
    done = ttm("train", bare, "--model", "scratch:tiny", "-o", output, "--set", "markers.use=[task]")
    _refused(done, 1, "no row has a marker that markers.use names", output)


def test_markers_to_use(marked: Path, tmp_path: Path) -> None:
    """markers.use chooses the markers that are trained on and their order in the block."""
    folder = train(marked, tmp_path / "model", "--set", "markers.use=[lang, length_tokens]", "--template", "compact")
    data = json.loads((folder / "markers.json").read_bytes())
    assert [kind["name"] for kind in data["taxonomy"]] == ["lang", "length_tokens"]
    assert set(data["counts"]) == {"lang", "length_tokens"}
    words = ["-m", "lang=de", "-m", "length_tokens=12", "--json", "--set", "decode.max_new_tokens=40"]
    assert ttm("generate", folder, "Say hello.", *words).json()["raw"].startswith("[[lang=German; length_tokens=12]]\n")


def test_rows_that_are_too_long(tmp_path: Path) -> None:
    """Rows over max_length are left out and counted, or stop the run where the config says so; never cut."""
    rows = greetings(12)
    rows[4]["completion"] = "Hello! " * 300
    for row in rows:
        row["markers"] = {"lang": "English"}
    source, output = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "model"
    limit = ("--set", "train.max_length=200")
    stopped = ttm(
        "train", source, "--model", "scratch:tiny", "-o", output, *TRAIN, *limit, "--set", "train.overlong=stop"
    )
    _refused(stopped, 1, f"{source}, row 5: ", output)
    assert (
        "tokens are more than max_length = 200: raise train.max_length, or set train.overlong to drop or cut"
        in stopped.err
    )
    none = ttm("train", source, "--model", "scratch:tiny", "-o", output, *TRAIN, "--set", "train.max_length=5")
    _refused(none, 1, "all rows are longer than max_length = 5 tokens", output)
    done = ttm("train", source, "--model", "scratch:tiny", "-o", output, *TRAIN, *limit)
    assert done.code == 0, done.err
    assert "1 examples are longer than max_length and were left out (train.overlong)" in done.err
    data = json.loads((output / "markers.json").read_bytes())
    assert (data["rows"], data["overlong_rows"]) == (11, 1)
    assert sum(data["counts"]["lang"].values()) == 11


def test_training_twice_gives_the_same_model(marked: Path, sft: Path, tmp_path: Path) -> None:
    """The same rows, config and seed give the same weights; another seed gives others."""
    again, other = train(marked, tmp_path / "again"), train(marked, tmp_path / "other", "--set", "seed=1")
    first, second, third = (load_file(folder / "model.safetensors") for folder in (sft, again, other))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_loader_processes_change_nothing(marked: Path, tmp_path: Path) -> None:
    """Rows that are prepared in other processes are the same, in the same order, with each epoch's own dropout."""
    epochs = ("--set", "train.max_steps=-1", "--set", "train.num_train_epochs=2")
    folders = [
        train(marked, tmp_path / f"model-{workers}", *epochs, "--set", f"train.dataloader_num_workers={workers}")
        for workers in (0, 2)
    ]
    first, second = (json.loads((folder / "log.json").read_bytes())[:-1] for folder in folders)
    assert [entry["num_tokens"] for entry in first] == [entry["num_tokens"] for entry in second]
    assert [entry["loss"] for entry in first] == pytest.approx([entry["loss"] for entry in second], rel=1e-6)


def test_training_goes_on_from_a_model(sft: Path, marked: Path, tmp_path: Path) -> None:
    """A folder can be trained further: its tokenizer is kept, and TRL's own defaults hold."""
    output = tmp_path / "further"
    done = ttm("train", marked, "--model", sft, "-o", output, *TRAIN, "--set", "train.max_steps=1")
    assert done.code == 0, done.err
    assert (output / "tokenizer.json").read_bytes() == (sft / "tokenizer.json").read_bytes()
    assert ttm("generate", output, "Hi", "--set", "decode.max_new_tokens=4").code == 0


def test_resume_of_a_finished_run(sft: Path, marked: Path) -> None:
    """Resuming what is finished changes nothing and says so."""
    before = (sft / "model.safetensors").stat().st_mtime_ns
    done = ttm("train", marked, "--model", "scratch:tiny", "-o", sft, *TRAIN, "--resume")
    assert done.code == 0
    assert "is finished already" in done.err
    assert (sft / "model.safetensors").stat().st_mtime_ns == before


def test_resume_with_other_settings(marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is not resumed with another template or other rows: what differs is named."""

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "model"
    words = ["train", "--model", "scratch:tiny", "-o", output, *TRAIN, "--set", "train.save_steps=2"]
    with monkeypatch.context() as patch:
        patch.setattr("ttmarkers_plugins.strategies.sft.finish", die)
        assert ttm(*words, marked).code == 130
    assert (output / "checkpoints").is_dir()
    other = write_rows(tmp_path / "other.jsonl", read_rows(marked)[:30])
    for changed in ([*words, marked, "--template", "json"], [*words, other]):
        done = ttm(*changed, "--resume")
        assert done.code == 2, done.err
        assert "remove it to start anew without --resume" in done.err
    assert ttm(*words, marked, "--resume").code == 0
