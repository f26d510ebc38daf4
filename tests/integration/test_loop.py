"""What a trained model leaves behind, and how it is asked: markers.json, the logs, and the decoding policies."""

from __future__ import annotations

import hashlib
import json
import statistics
from typing import TYPE_CHECKING

import pytest

from support import SHORT, read_rows, ttm, write_rows
from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILES = {
    "README.md",
    "losses.png",
    "config.json",
    "generation_config.json",
    "log.json",
    "markers.json",
    "model.safetensors",
    "run.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def test_files(sft: Path, baseline: Path) -> None:
    """A finished model is a plain folder that transformers can load, with ours beside it and no leftovers."""
    for folder in (sft, baseline):
        assert {path.name for path in folder.iterdir()} == FILES


def test_markers_json(sft: Path, marked: Path) -> None:
    """markers.json holds all that is needed to use the model, and what it was trained on, value by value."""
    data = json.loads((sft / "markers.json").read_bytes())
    rows = read_rows(marked)
    lengths = sorted(row["markers"]["length_tokens"] for row in rows)
    assert (data["format"], data["strategy"], data["marked"], data["rows"]) == (1, "sft", True, 60)
    names = ["length_tokens", "length_sentences", "length_paragraphs", "length_bucket", "lang"]
    assert [kind["name"] for kind in data["taxonomy"]] == names
    assert data["counts"]["lang"] == {"English": 20, "French": 20, "German": 20}
    assert data["counts"]["length_bucket"] == {"concise": 60}
    middle = (lengths[29] + lengths[30]) / 2
    mode = {"value": statistics.mode(lengths), "count": lengths.count(statistics.mode(lengths))}
    summary = {"n": 60, "min": lengths[0], "median": middle, "max": lengths[-1], "mode": mode}
    assert data["counts"]["length_tokens"] == summary
    template = data["template"]
    assert (template["name"], template["hash"]) == ("paper", hashlib.sha256(template["source"].encode()).hexdigest())
    dropout = {"dataset": 0.5, "sample": 0.5, "mode": "independent", "seed": 0, "each_epoch": True}
    assert data["dropout"] == {**dropout, "rates": {}, "tail": 0.0, "border": 0.05, "schedule": []}
    assert min(data["tokens"].values()) > 0
    assert set(data["tokens"]) == {"prompt", "block", "answer"}
    assert data["versions"]["ttmarkers"] == data["ttmarkers"]
    assert data["plugins"][0].startswith("ttmarkers ")


def test_markers_json_is_read_back(sft: Path, tmp_path: Path) -> None:
    """A checkpoint that is written again has the same content, and needs no template or plugin but itself."""
    checkpoint = load_checkpoint(str(sft))
    checkpoint.save(tmp_path)
    assert json.loads((tmp_path / "markers.json").read_bytes()) == json.loads((sft / "markers.json").read_bytes())
    template = checkpoint.template()
    assert template.parse(template.render({"lang": "French"})) == {"lang": "French"}


def test_baseline_knows_that_it_has_no_markers(baseline: Path, sft: Path) -> None:
    """A baseline's markers.json says so; its counts are those of the same rows."""
    data, other = (json.loads((folder / "markers.json").read_bytes()) for folder in (baseline, sft))
    assert (data["marked"], data["strategy"]) == (False, "baseline")
    assert (data["counts"], data["rows"]) == (other["counts"], other["rows"])


def test_logs(sft: Path, baseline: Path) -> None:
    """Every step logs the loss of block and answer apart; without markers there is no block to log."""
    steps = [entry for entry in json.loads((sft / "log.json").read_bytes()) if "loss" in entry]
    assert [entry["step"] for entry in steps] == [1, 2, 3, 4]
    for entry in steps:
        assert (
            min(entry["block_loss"], entry["answer_loss"])
            < entry["loss"]
            < max(entry["block_loss"], entry["answer_loss"])
        )
    plain = [entry for entry in json.loads((baseline / "log.json").read_bytes()) if "loss" in entry]
    assert len(plain) == 4
    for entry in plain:
        assert "block_loss" not in entry
        assert entry["answer_loss"] == pytest.approx(entry["loss"], rel=1e-4)


def test_run_json(sft: Path, marked: Path) -> None:
    """run.json holds the filled config, the inputs and the template's hash."""
    run = json.loads((sft / "run.json").read_bytes())
    assert (run["command"], run["model"], run["rows"], run["seed"]) == ("train", "scratch:tiny", 60, 0)
    assert run["config"]["train"]["max_steps"] == 4
    assert run["config"]["dropout"]["dataset"] == 0.5
    assert run["inputs"] == [{"name": str(marked), "bytes": marked.stat().st_size}]
    assert run["template_hash"] == json.loads((sft / "markers.json").read_bytes())["template"]["hash"]
    assert run["parameters"] > 100_000


def test_generate_inferred(sft: Path) -> None:
    """Without markers the model writes the block; the answer comes without it and the raw text stays beside it."""
    done = ttm("generate", sft, "Say hello to Bob.", "--json", "--set", "decode.max_new_tokens=160")
    assert done.code == 0, done.err
    data = done.json()
    assert {"prompt", "text", "markers", "raw", "policy", "stats"} <= set(data)
    assert (data["prompt"], data["policy"], data["fault"]) == ("Say hello to Bob.", "inferred", "")
    assert data["raw"].startswith("<MARKER_LIST> ")
    block, _, text = data["raw"].partition("</MARKER_LIST>\n")
    assert text == data["text"]
    assert all(f"<{name}> " in block for name in data["markers"])
    stats = data["stats"]
    assert stats["forward_passes"] == stats["block_passes"] + stats["answer_tokens"]
    assert 0 < stats["block_passes"] < stats["block_tokens"]
    assert stats["answer_tokens"] <= 160


def test_generate_fixed(sft: Path) -> None:
    """Given markers stand in the written block as they were given, in the taxonomy's spelling."""
    words = ["-m", "lang=fr", "-m", "length_tokens=7", "--json", "--set", "decode.max_new_tokens=200"]
    data = ttm("generate", sft, "Say hello to Bob.", *words).json()
    assert data["policy"] == "fixed"
    assert (data["markers"]["lang"], data["markers"]["length_tokens"], data["fault"]) == ("French", 7, "")
    assert "<lang> French </lang>" in data["raw"]
    assert data["raw"].partition("</MARKER_LIST>\n")[2] == data["text"]


def test_generate_none(sft: Path, baseline: Path) -> None:
    """Policy none takes the whole text as the answer; it is what a baseline is asked under by itself."""
    for words in ([sft, "Say hello.", "--policy", "none"], [baseline, "Say hello."]):
        data = ttm("generate", *words, "--json", *SHORT).json()
        assert (data["policy"], data["markers"]) == ("none", {})
        assert data["raw"] == data["text"]
        assert data["stats"]["block_tokens"] == 0
        assert data["stats"]["answer_tokens"] == data["stats"]["forward_passes"] <= 12


def test_generate_for_people(sft: Path) -> None:
    """Without --json the answer alone is printed; the limit of new tokens is the answer's, a block does not count."""
    done = ttm("generate", sft, "Say hello.", "--set", "decode.max_new_tokens=5")
    assert (done.code, done.err) == (0, "")
    assert done.out.strip()
    assert "MARKER" not in done.out
    assert ttm("generate", sft, *SHORT, "--policy", "none", stdin="Say hello.").out == (
        ttm("generate", sft, "Say hello.", *SHORT, "--policy", "none").out
    )


def test_generate_many(sft: Path, tmp_path: Path) -> None:
    """Rows of a file are answered in order, in any row form, the same in batches of any size."""
    rows = [
        {"id": "a", "prompt": "Say hello to Bob."},
        {"instruction": "Dis bonjour", "input": "à Anne", "output": "x"},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
                      {"role": "user", "content": "Sag Tom guten Tag, und zwar mit vielen Worten."}]},
    ]  # fmt: skip
    source = write_rows(tmp_path / "prompts.jsonl", rows)
    found = []
    for size in (1, 3):
        output = tmp_path / f"answers-{size}.jsonl"
        done = ttm("generate", sft, "--input", source, "-o", output, *SHORT, "--set", f"decode.batch_size={size}")
        assert (done.code, done.out) == (0, ""), done.err
        found.append(read_rows(output))
        run = json.loads((tmp_path / f"{output.name}.run.json").read_bytes())
        assert (run["command"], run["policy"], run["inputs"][0]["name"]) == ("generate", "inferred", str(source))
    assert found[0] == found[1]
    assert [row["id"] for row in found[0]] == ["a", "2", "3"]
    assert found[0][1]["prompt"] == "Dis bonjour\n\nà Anne"
    assert [turn["content"] for turn in found[0][2]["prompt"]] == ["Hi", "Hello", rows[2]["messages"][2]["content"]]
    printed = ttm("generate", sft, "--input", source, "--json", *SHORT)
    assert printed.lines() == found[0]


def test_sampling_depends_on_the_seed(sft: Path) -> None:
    """Sampling with one seed gives one answer, with another one another."""
    words = ["generate", sft, "Say hello.", "--policy", "none", "--set", "decode.temperature=1.5", *SHORT, "--set"]
    first, again, other = (ttm(*words, f"seed={seed}").out for seed in (1, 1, 2))
    assert first == again != other


def test_temperature_zero_is_greedy(sft: Path) -> None:
    """A temperature of 0 means the likeliest token, as everywhere else."""
    words = ["generate", sft, "Say hello.", "--policy", "none", *SHORT]
    assert ttm(*words, "--set", "decode.temperature=0").out == ttm(*words).out


@pytest.fixture
def bare(tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
    """A model of transformers without markers.json."""
    model.save_pretrained(tmp_path / "bare")
    tokenizer.save_pretrained(tmp_path / "bare")
    return tmp_path / "bare"


def test_model_without_markers_json(bare: Path) -> None:
    """A model that was not trained by us can be asked without markers, and says how to get them."""
    done = ttm("generate", bare, "Say hello.")
    assert done.code == 2
    assert "has no markers.json" in done.err
    assert "train it with ttm train, or use --policy none" in done.err
    asked = ttm("generate", bare, "Say hello.", "--policy", "none", "--json", *SHORT)
    assert (asked.code, asked.json()["policy"]) == (0, "none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("{}", "is damaged"),
        ("[]", "is damaged"),
        ('{"format": 99}', "is of format 99, newer than this ttmarkers: update it"),
    ],
)
def test_damaged_markers_json(bare: Path, text: str, message: str) -> None:
    """A markers.json that cannot be read, or is newer than we are, is named with the way to mend it."""
    (bare / "markers.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"markers.json {message}"):
        load_checkpoint(str(bare))


def test_models_that_are_not_there(tmp_path: Path) -> None:
    """A model that is no folder, while the Hub cannot be reached, or a folder without a model, is named."""
    for name in ("no-such-model-anywhere", str(tmp_path)):
        done = ttm("generate", name, "Say hello.", "--policy", "none")
        assert (done.code, done.out) == (2, "")
        assert name in done.err
        assert "Traceback" not in done.err
