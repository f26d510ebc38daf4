"""A training strategy of another distribution: the example that the repository ships, as it would be installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import TRAIN, distribution, read_rows, train, ttm, ttm_process, write_rows

SOURCE = Path(__file__).parents[2] / "examples" / "ttmarkers-preference" / "src" / "ttmarkers_preference"


@pytest.fixture
def installed(site: Path) -> Path:
    """The example, installed into a folder."""
    code = (SOURCE / "__init__.py").read_text(encoding="utf-8")
    distribution(site, "ttmarkers-preference", {"ttmarkers_preference": code})
    (site / "ttmarkers_preference.py").unlink()
    package = site / "ttmarkers_preference"
    package.mkdir()
    for path in SOURCE.glob("*.py"):
        (package / path.name).write_bytes(path.read_bytes())
    return site


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotated rows with an answer that is not preferred."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [
        {"prompt": f"Say hello to {name}.", "completion": f"Hello, dear {name}!", "rejected": f"What, {name}?"}
        for name in ("Ann", "Bob", "Cid", "Dee", "Eve", "Fay", "Gus", "Hal")
    ]
    done = ttm("annotate", write_rows(folder / "rows.jsonl", rows), "-o", folder / "marked.jsonl")
    assert done.code == 0, done.err
    return folder / "marked.jsonl"


def test_preference_training(installed: Path, pairs: Path, tmp_path: Path) -> None:
    """The strategy is listed, trains a marked model further, and the result is used like any other."""
    listed = ttm_process("strategies", "list", site=installed)
    assert "preference" in listed.out
    base = train(pairs, tmp_path / "base")
    settings = (
        "train.max_steps=2",
        "train.logging_steps=1",
        "train.per_device_train_batch_size=4",
        "train.use_cpu=true",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    output = tmp_path / "preferred"
    done = ttm_process(
        "train", pairs, "--model", base, "-o", output, "--strategy", "preference", *words, site=installed
    )
    assert done.code == 0, done.err
    markers = json.loads((output / "markers.json").read_bytes())
    assert (markers["strategy"], markers["rows"]) == ("preference", 8)
    log = json.loads((output / "log.json").read_bytes())
    assert log[0]["loss"] == pytest.approx(0.6931, abs=1e-3)  # ln 2: at first neither answer is preferred
    answer = ttm("generate", output, "Say hello to Ann.", "--json", "--set", "decode.max_new_tokens=200").json()
    assert answer["fault"] == ""
    assert answer["markers"]


def test_rows_that_are_too_long(installed: Path, pairs: Path, tmp_path: Path) -> None:
    """Where a row is cut and one left out, each of the others still has its own answer that is not preferred."""
    base = train(pairs, tmp_path / "base")
    rows = read_rows(pairs)
    rows[2]["completion"] = "Hello, dear Cid! " * 2000
    rows[4]["prompt"] = "Say hello to Eve. " * 2000
    del rows[4]["rejected"]  # nobody asks for it: the row is left out
    words = ("--strategy", "preference", "--set", "train.overlong=cut", "--set", "train.max_steps=1")
    output, long = tmp_path / "preferred", write_rows(tmp_path / "long.jsonl", rows)
    words = (*words, "--set", "train.max_length=256", "--set", "train.use_cpu=true")
    done = ttm_process("train", long, "--model", base, "-o", output, *words, site=installed)
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    markers = json.loads((output / "markers.json").read_bytes())
    assert (markers["rows"], markers["cut_rows"], markers["overlong_rows"]) == (7, 1, 1)


def test_errors_of_the_strategy(installed: Path, pairs: Path, tmp_path: Path) -> None:
    """What is wrong with its rows or with the model it goes on from is one sentence, and nothing is left behind."""
    base = train(pairs, tmp_path / "base", "--template", "compact")
    rows = read_rows(pairs)
    del rows[4]["rejected"]
    bare = write_rows(tmp_path / "bare.jsonl", rows)
    common = ("--model", base, "-o", tmp_path / "out", "--strategy", "preference")
    other = ttm_process("train", pairs, *common, site=installed)
    assert other.code == 2
    assert "the model was trained with template 'compact'" in other.err
    missing = ttm_process("train", bare, *common, "--template", "compact", site=installed)
    assert missing.code == 1
    assert f"{bare}, row 5: there is no column 'rejected'" in missing.err
    assert not (tmp_path / "out").exists()


def test_a_model_is_not_trained_further_with_other_markers(pairs: Path, sft: Path, tmp_path: Path) -> None:
    """Our own strategies refuse it too: by the template, or by the marker whose values differ."""
    output = tmp_path / "out"
    done = ttm("train", pairs, "--model", sft, "-o", output, *TRAIN, "--template", "json")
    assert (done.code, output.exists()) == (2, False)
    assert "the model was trained with template 'paper'" in done.err
