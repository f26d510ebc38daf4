"""Quality buckets against pandas, fitted states applied to new data, and a reward model made here."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import orjson
import pandas
import pytest

from reward_model import save_reward_model
from support import read_rows, write_rows
from ttmarkers.cli import main
from ttmarkers_plugins.extractors.quality import QualityBucketExtractor

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = "markers: {declared: {quality: {column: score}, lang: {column: lang}}, use: [quality, quality_bucket, lang]}\n"


def scored(number: int = 400) -> list[dict[str, Any]]:
    """Return rows with a score and a language, skewed so that one language is small."""
    chance = random.Random(5)
    languages = chance.choices(["English", "French", "Greek"], [10, 5, 1], k=number)
    return [
        {"prompt": f"q{n}", "completion": f"a{n}", "score": round(chance.gauss(3, 1), 2), "lang": lang}
        for n, lang in enumerate(languages)
    ]


def annotate(tmp_path: Path, rows: list[dict[str, Any]], name: str, *options: str) -> list[dict[str, Any]]:
    """Annotate rows through the command line."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    source, output = write_rows(tmp_path / f"{name}.in.jsonl", rows), tmp_path / f"{name}.jsonl"
    with pytest.raises(SystemExit) as end:
        main(["-c", str(tmp_path / "c.yaml"), "annotate", str(source), "-o", str(output), *options])
    assert end.value.code == 0
    return read_rows(output)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_quartiles_are_those_of_pandas(tmp_path: Path, workers: str) -> None:
    """Within a language the buckets are qcut's, 1 the best; small languages are pooled."""
    found = annotate(tmp_path, scored(), "a", "--workers", workers)
    table = pandas.DataFrame([row["markers"] for row in found])
    assert list(found[0]["markers"]) == ["quality", "quality_bucket", "lang"]
    table["group"] = table["lang"].where(table.groupby("lang")["lang"].transform("size") >= 50, "")
    for _, group in table.groupby("group"):
        wanted = pandas.qcut(group["quality"], 4, labels=["4", "3", "2", "1"])
        assert list(group["quality_bucket"]) == list(wanted)


def test_a_fitted_state_is_applied_to_new_rows(tmp_path: Path) -> None:
    """New rows are cut by the quartiles of the training rows, not by their own."""
    annotate(tmp_path, scored(), "train")
    state = orjson.loads((tmp_path / "train.jsonl.fitted.json").read_bytes())
    cuts = state["quality-quartiles"]["groups"]["English"]["cuts"]
    new = [{"prompt": "q", "completion": f"a{s}", "score": s, "lang": "English"} for s in (cuts[2] + 1, cuts[2] + 2)]
    found = annotate(tmp_path, new, "new", "--fitted", str(tmp_path / "train.jsonl.fitted.json"))
    assert [row["markers"]["quality_bucket"] for row in found] == ["1", "1"]
    assert not (tmp_path / "new.jsonl.fitted.json").exists()


def test_only_the_training_split_is_fitted_on(tmp_path: Path) -> None:
    """Rows of other splits get buckets by the training rows' quartiles."""
    rows = [{**row, "split": "train" if number % 2 else "test"} for number, row in enumerate(scored())]
    for row in rows:
        row["score"] += 100 * (row["split"] == "test")
    found = annotate(tmp_path, rows, "split", "--set", "markers.fit_where={split: train}")
    assert {row["markers"]["quality_bucket"] for row in found if row["split"] == "test"} == {"1"}
    assert {row["markers"]["quality_bucket"] for row in found if row["split"] == "train"} == {"1", "2", "3", "4"}


def test_equal_scores_have_no_quartiles() -> None:
    """Where all rows are alike there is nothing to tell."""
    extractor = QualityBucketExtractor(least=1)
    for _ in range(10):
        extractor.observe({"quality": 3.0, "lang": "English"})
    extractor.load(extractor.fit())
    assert extractor.find({"quality": 3.0, "lang": "English"}) == {}
    assert extractor.find({"lang": "English"}) == {}


def test_reward_model(tmp_path: Path) -> None:
    """A sequence-classification model scores rows, the same in any batch."""
    from ttmarkers.models.loading import make_tokenizer

    save_reward_model(tmp_path / "reward", make_tokenizer(["What is this? It is a test.", "one two three"], 300))
    rows = [{"prompt": f"What is {n}?", "completion": "It is a test. " * (n + 1)} for n in range(7)]
    options = ["--markers", "quality,quality_bucket", "--set", "markers.extractors.quality=[reward-model]"]
    options += ["--set", f"markers.options.reward-model={{model: {tmp_path / 'reward'}, batch_size: 3}}"]
    (tmp_path / "c.yaml").write_text("seed: 1\n")
    source = write_rows(tmp_path / "rows.jsonl", rows)
    scores = []
    for name, limit in (("all", "7"), ("some", "2")):
        with pytest.raises(SystemExit) as end:
            main(["annotate", str(source), "-o", str(tmp_path / f"{name}.jsonl"), "--limit", limit, *options])
        assert end.value.code == 0
        scores.append([row["markers"]["quality"] for row in read_rows(tmp_path / f"{name}.jsonl")])
    assert scores[0][:2] == pytest.approx(scores[1], abs=1e-3)
    assert len(set(scores[0])) > 1


def test_a_reward_model_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a model the message says which key to set."""
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(SystemExit) as end:
        main(
            [
                "annotate",
                str(source),
                "-o",
                str(tmp_path / "o.jsonl"),
                "--set",
                "markers.extractors.quality=[reward-model]",
            ]
        )
    assert end.value.code == 2
    assert "set markers.options.reward-model.model" in capsys.readouterr().err
