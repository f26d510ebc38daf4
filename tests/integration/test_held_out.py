"""Rows held out of training: never trained on, measured at every evaluation, and told in log and card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import TRAIN, read_rows, train, ttm, write_rows
from ttmarkers.dropout import draw

if TYPE_CHECKING:
    from pathlib import Path

EVALUATE = ("--set", "train.eval_strategy=steps", "--set", "train.eval_steps=2")


def _evaluations(folder: Path) -> list[dict[str, Any]]:
    return [entry for entry in json.loads((folder / "log.json").read_bytes()) if "eval_loss" in entry]


@pytest.fixture(scope="module")
def share(marked: Path, folder: Path) -> Path:
    """A model trained with a fifth of the rows held out."""
    return train(marked, folder / "share", *EVALUATE, "--set", "train.held_out=0.2")


def test_share_of_the_rows(share: Path, marked: Path) -> None:
    """The rows that a seed and their ids choose are held out, and counted apart."""
    held = {row["id"] for row in read_rows(marked) if draw(0, "held-out", row["id"]) < 0.2}
    assert 5 < len(held) < 20
    data = json.loads((share / "markers.json").read_bytes())
    assert (data["rows"], data["held_out_rows"]) == (60 - len(held), len(held))
    languages = [row["markers"]["lang"] for row in read_rows(marked) if row["id"] not in held]
    assert data["counts"]["lang"] == {name: languages.count(name) for name in dict.fromkeys(data["counts"]["lang"])}


def test_figures(share: Path) -> None:
    """Each evaluation gives the loss of blocks, answers and markers, and accuracies with their number and interval."""
    found = _evaluations(share)
    assert [entry["step"] for entry in found] == [2, 4]
    for entry in found:
        assert {"eval_block_loss", "eval_answer_loss", "eval_loss.lang"} <= set(entry)
        held_out = json.loads((share / "markers.json").read_bytes())["held_out_rows"]
        assert 0 < entry["eval_n.lang"] <= held_out
        assert (
            0 <= entry["eval_accuracy.lang.low"] <= entry["eval_accuracy.lang"] <= entry["eval_accuracy.lang.high"] <= 1
        )
    assert found[0]["eval_n.lang"] == found[1]["eval_n.lang"]  # dropout of held-out rows is the same each time
    card = (share / "README.md").read_text(encoding="utf-8")
    assert f"| `lang` | {found[1]['eval_n.lang']} | " in card


def test_files(marked: Path, tmp_path: Path) -> None:
    """Rows of other files are measured on, and all rows of the first are trained on."""
    other = write_rows(tmp_path / "other.jsonl", read_rows(marked)[:7])
    folder = train(marked, tmp_path / "model", *EVALUATE, "--set", f"train.held_out=[{other}]")
    data = json.loads((folder / "markers.json").read_bytes())
    assert (data["rows"], data["held_out_rows"]) == (60, 7)


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ("0.0001", 1, "train.held_out: no row is held out: raise the share, or name a file with rows"),
        ("0.9999", 1, "all rows are held out: lower train.held_out"),
        ("[gone.jsonl]", 2, "input 'gone.jsonl': there is no such file"),
        ("1.5", 2, "train.held_out"),
    ],
)
def test_wrong_rows(marked: Path, tmp_path: Path, value: str, code: int, message: str) -> None:
    """Too small or too great a share, and files that are not there, are said in one sentence."""
    done = ttm(
        "train", marked, "--model", "scratch:tiny", "-o", tmp_path / "model", *TRAIN, "--set", f"train.held_out={value}"
    )
    assert done.code == code, done.err
    assert message in done.err
    assert not (tmp_path / "model").exists()
