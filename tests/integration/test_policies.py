"""Decoding policies by the command line: what holds, and what is told."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reward_model import save_reward_model
from support import SHORT, distribution, ok, ttm, ttm_process
from ttmarkers.annotation.extraction import Row
from ttmarkers.records import Example, Message, Origin
from ttmarkers_plugins.extractors.quality import RewardModelExtractor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "own-policy.md"


@pytest.mark.parametrize("policy", ["inferred", "posterior", "best-of"])
@pytest.mark.parametrize("temperature", [0, 3])
def test_every_block_is_valid(sft: Path, prompts: Path, policy: str, temperature: float) -> None:
    """Whatever the policy and the temperature, a block is read without a fault and the answer comes without it."""
    words = ["--input", prompts, "--policy", policy, "--set", f"decode.temperature={temperature}", *SHORT, "--json"]
    for row in ok(ttm("generate", sft, *words)).lines():
        assert row["fault"] == ""
        assert row["raw"].startswith("<MARKER_LIST> ")
        assert row["raw"].partition("</MARKER_LIST>\n")[2] == row["text"]
        if policy == "inferred":
            assert row["stats"]["block_passes"] <= row["stats"]["block_tokens"]


def test_rows_ask_for_their_own_markers(sft: Path, prompts: Path) -> None:
    """In one batch each row gets what it asks for, over what all ask for."""
    words = ["--input", prompts, "--markers-column", "ask", "-m", "length_paragraphs=1", *SHORT, "--json"]
    rows = ok(ttm("generate", sft, *words)).lines()
    assert [row["markers"]["length_paragraphs"] for row in rows] == [1] * len(rows)
    assert rows[0]["markers"]["lang"] == "French"
    assert (rows[1]["markers"]["length_tokens"], rows[1]["markers"]["lang"]) == (5, "German")
    assert rows[3]["markers"]["length_bucket"] == "concise"
    assert rows[4]["markers"]["length_tokens"] == 2


def test_batches_change_nothing(sft: Path, prompts: Path) -> None:
    """A row is answered the same alone and in a batch, drawn at random or not, under every policy."""
    for policy, more in (
        ("fixed", []),
        ("guided", []),
        ("posterior", []),
        ("inferred", ["--set", "decode.temperature=1"]),
    ):
        words = ["--input", prompts, "--policy", policy, *SHORT, *more, "--json"]
        if policy in ("fixed", "guided"):
            words += ["-m", "lang=French"]
        one, many = (ok(ttm("generate", sft, *words, "--set", f"decode.batch_size={size}")).out for size in (1, 5))
        assert one == many


def test_explain(sft: Path) -> None:
    """--explain tells the likeliest values of each category, on standard error or in the JSON."""
    done = ok(ttm("generate", sft, "Say hello to Bob.", "--explain", "-m", "lang=French", *SHORT))
    assert re.search(r"^length_bucket: concise \d+\.\d%, ", done.err, re.MULTILINE)
    data = ok(ttm("generate", sft, "Say hello to Bob.", "--explain", "--json", *SHORT)).json()
    assert data["policy"] == "posterior"
    for name, chances in data["chances"].items():
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
        assert list(chances.values()) == sorted(chances.values(), reverse=True)
        assert data["markers"][name] == next(iter(chances))


def test_abstaining(sft: Path) -> None:
    """A marker of which the model is not sure enough is left out of the block; one that is given stays."""
    words = ["generate", sft, "Say hello to Bob.", "--policy", "posterior", "-m", "lang=French", "--json", *SHORT]
    sure = ok(ttm(*words)).json()
    unsure = ok(ttm(*words, "--set", "decode.options.posterior.threshold=1")).json()
    assert "length_bucket" in sure["markers"]
    assert set(unsure["markers"]) == set(sure["markers"]) - set(sure["chances"]) | {"lang"}
    named = ["--set", "decode.options.posterior.markers=[task]", "--set", "decode.options.posterior.threshold=1"]
    assert "unknown marker 'task'" in ttm(*words, *named).err


def test_calibrate(sft: Path, marked: Path, tmp_path: Path) -> None:
    """Temperatures are fitted on rows and kept in markers.json; what is explained afterwards has them."""
    model = tmp_path / "model"
    shutil.copytree(sft, model)
    before = ok(ttm("generate", model, "Say hello to Bob.", "--explain", "--json", *SHORT)).json()["chances"]
    found = ok(ttm("calibrate", model, marked, "--json")).json()
    assert found["lang"]["n"] == 60
    assert found["lang"]["ece_after"] <= found["lang"]["ece_before"] + 0.02
    assert json.loads((model / "markers.json").read_bytes())["calibration"] == found
    after = ok(ttm("generate", model, "Say hello to Bob.", "--explain", "--json", *SHORT)).json()["chances"]
    heat = found["lang"]["temperature"]
    raised = {value: chance ** (1 / heat) for value, chance in before["lang"].items()}
    assert after["lang"] == pytest.approx({value: r / sum(raised.values()) for value, r in raised.items()}, abs=1e-4)
    assert "rows are too few" in ttm("calibrate", model, marked, "--limit", "5").err


def test_what_is_led_away_from_stands_in_no_block(sft: Path) -> None:
    """A category's value that the answer is led away from is not in the block either."""
    words = ["generate", sft, "Say hello to Bob.", "--json", *SHORT]
    found = ok(ttm(*words, "--policy", "posterior")).json()["markers"]
    led = ok(ttm(*words, "--not", f"length_bucket={found['length_bucket']}")).json()
    assert led["policy"] == "guided"
    assert led["markers"].get("length_bucket") != found["length_bucket"]


def test_guidance_of_strength_one_is_fixed(sft: Path) -> None:
    """A strength of 1 adds nothing to what the markers do by themselves, and more changes the scores."""
    words = ["generate", sft, "Say hello to Bob.", "-m", "lang=French", "-m", "length_tokens=5", "--json", *SHORT]
    fixed = ok(ttm(*words)).json()
    one = ok(ttm(*words, "--strength", "1")).json()
    assert (one["policy"], one["raw"]) == ("guided", fixed["raw"])
    for more in (["--strength", "3"], ["--strength", "lang=3"], ["--not", "length_bucket=long"]):
        led = ok(ttm(*words, *more)).json()
        assert (led["policy"], led["markers"]) == ("guided", fixed["markers"])


def test_best_of(sft: Path, tmp_path: Path) -> None:
    """The program's favourite among the candidates is what comes back."""
    program = tmp_path / "longest.py"
    program.write_text(
        "import json, sys\nasked = json.load(sys.stdin)\nassert asked['prompt'][-1]['role'] == 'user'\n"
        "print(json.dumps([len(answer) for answer in asked['answers']]))\n",
        encoding="utf-8",
    )
    words = ["generate", sft, "Say hello to Bob.", "--policy", "best-of", "--json", *SHORT]
    likeliest = ok(ttm(*words, "--set", "decode.options.best-of.candidates=1")).json()
    assert likeliest["raw"] == ok(ttm("generate", sft, "Say hello to Bob.", "--json", *SHORT)).json()["raw"]
    by_program = ["--set", "decode.options.best-of.scorer=program", "--set"]
    longest = ok(ttm(*words, *by_program, f"decode.options.best-of.command={sys.executable} {program}")).json()
    assert longest["stats"]["candidates"] == 4
    assert longest["stats"]["score"] == len(longest["text"]) >= len(likeliest["text"])
    for command, message in (
        ("no-such-program", "cannot be run"),
        (f"{sys.executable} -c 'print([1])'", "it must print a JSON list of 4 numbers"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "failed for request 1 (exit 3)"),
    ):
        done = ttm(*words, *by_program, f"decode.options.best-of.command={command}")
        assert done.code != 0
        assert message in done.err


def test_best_of_by_a_reward_model(sft: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """The answer that a reward model scores highest comes back, with its score."""
    save_reward_model(tmp_path / "reward", tokenizer)
    words = ["generate", sft, "Say hello to Bob.", "--policy", "best-of", "--json", *SHORT]
    words += ["--set", "decode.options.best-of.scorer=reward-model"]
    best = ok(ttm(*words, "--set", f"decode.options.best-of.model={tmp_path / 'reward'}")).json()
    row = Row(Example("1", (Message("user", best["prompt"]),), best["text"], {}, Origin("rows", 1)))
    (found,) = RewardModelExtractor(str(tmp_path / "reward")).extract([row])
    assert best["stats"]["candidates"] == 4
    assert best["stats"]["score"] == pytest.approx(found["quality"].value, abs=1e-3)
    assert "scorer 'reward-model' needs a model" in ttm(*words).err


def test_policy_of_the_guide(sft: Path, site: Path) -> None:
    """The policy that the guide writes works as it stands there."""
    code = next(
        code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL) if "Brief" in code
    )
    distribution(site, "ttmarkers-brief", {"ttmarkers_brief": code})
    words = ["generate", sft, "Say hello to Bob.", "--policy", "brief", "--json", *SHORT, "--set"]
    option = "decode.options.brief.factor"
    planned, half = (
        ok(ttm_process(*words, f"{option}={factor}", site=site)).json()["markers"]["length_tokens"]
        for factor in (1, 0.5)
    )
    assert half == max(1, int(planned * 0.5))


def test_tasks_under_the_new_policies(sft: Path) -> None:
    """A task is asked with its markers under guided, and without under posterior and best-of."""
    for policy in ("guided", "posterior", "best-of"):
        words = ["evaluate", sft, "--task", "length", "--limit", "2", "--policy", policy, "--json", *SHORT]
        assert ok(ttm(*words)).json()["policy"] == policy
