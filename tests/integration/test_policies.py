"""Decoding policies by the command line: what holds, what is told, what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import Outcome, distribution, ttm, ttm_process, write_rows
from ttmarkers.extraction import Row
from ttmarkers.records import Example, Message, Origin
from ttmarkers_plugins.extractors.quality import RewardModelExtractor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedTokenizerBase

SHORT = ("--set", "decode.max_new_tokens=12")
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "steering.md"
PROMPTS = ("Say hello to Bob.", "Dis bonjour à Anne.", "Sag Tom guten Tag.", "Hello!", "Bonjour ?")


def _ok(done: Outcome) -> Outcome:
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts that each ask for markers of their own, and one that asks for none."""
    asks: list[Mapping[str, object] | None] = [
        {"lang": "French"}, {"length_tokens": 5, "lang": "de"}, None, {"length_bucket": "concise"}, {"length_tokens": 2}
    ]  # fmt: skip
    rows = [
        {"id": f"p{n}", "prompt": prompt, "ask": ask} for n, (prompt, ask) in enumerate(zip(PROMPTS, asks, strict=True))
    ]
    return write_rows(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows)


@pytest.mark.parametrize("policy", ["inferred", "posterior", "best-of"])
@pytest.mark.parametrize("temperature", [0, 3])
def test_every_block_is_valid(sft: Path, prompts: Path, policy: str, temperature: float) -> None:
    """Whatever the policy and the temperature, a block is read without a fault and the answer comes without it."""
    words = ["--input", prompts, "--policy", policy, "--set", f"decode.temperature={temperature}", *SHORT, "--json"]
    for row in _ok(ttm("generate", sft, *words)).lines():
        assert row["fault"] == ""
        assert row["raw"].startswith("<MARKER_LIST> ")
        assert row["raw"].partition("</MARKER_LIST>\n")[2] == row["text"]
        if policy == "inferred":
            assert row["stats"]["block_passes"] <= row["stats"]["block_tokens"]


def test_rows_ask_for_their_own_markers(sft: Path, prompts: Path) -> None:
    """In one batch each row gets what it asks for, over what all ask for."""
    words = ["--input", prompts, "--markers-column", "ask", "-m", "length_paragraphs=1", *SHORT, "--json"]
    rows = _ok(ttm("generate", sft, *words)).lines()
    assert [row["markers"]["length_paragraphs"] for row in rows] == [1] * len(rows)
    assert rows[0]["markers"]["lang"] == "French"
    assert (rows[1]["markers"]["length_tokens"], rows[1]["markers"]["lang"]) == (5, "German")
    assert rows[3]["markers"]["length_bucket"] == "concise"
    assert rows[4]["markers"]["length_tokens"] == 2


def test_own_markers_that_cannot_be(sft: Path, tmp_path: Path) -> None:
    """A row whose markers are wrong stops the command, and is named."""
    for ask, message in (
        ({"lang": "Klingon"}, "lang = 'Klingon' is not in the taxonomy"),
        ({"length_bucket": "concise", "length_tokens": 5000}, "length_bucket = concise cannot be with length_tokens"),
        ("French", "ask is no mapping of markers"),
    ):
        source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi"}, {"prompt": "Hi", "ask": ask}])
        done = ttm("generate", sft, "--input", source, "--markers-column", "ask")
        assert done.code != 0
        assert f"{source}, row 2" in done.err
        assert message in done.err


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
        one, many = (_ok(ttm("generate", sft, *words, "--set", f"decode.batch_size={size}")).out for size in (1, 5))
        assert one == many


def test_explain(sft: Path) -> None:
    """--explain tells the likeliest values of each category, on standard error or in the JSON."""
    done = _ok(ttm("generate", sft, "Say hello to Bob.", "--explain", "-m", "lang=French", *SHORT))
    assert re.search(r"^length_bucket: concise \d+\.\d%, ", done.err, re.MULTILINE)
    data = _ok(ttm("generate", sft, "Say hello to Bob.", "--explain", "--json", *SHORT)).json()
    assert data["policy"] == "posterior"
    for name, chances in data["chances"].items():
        assert sum(chances.values()) == pytest.approx(1, abs=1e-4)
        assert list(chances.values()) == sorted(chances.values(), reverse=True)
        assert data["markers"][name] == next(iter(chances))


def test_abstaining(sft: Path) -> None:
    """A marker of which the model is not sure enough is left out of the block; one that is given stays."""
    words = ["generate", sft, "Say hello to Bob.", "--policy", "posterior", "-m", "lang=French", "--json", *SHORT]
    sure = _ok(ttm(*words)).json()
    unsure = _ok(ttm(*words, "--set", "decode.options.posterior.threshold=1")).json()
    assert "length_bucket" in sure["markers"]
    assert set(unsure["markers"]) == set(sure["markers"]) - set(sure["chances"]) | {"lang"}
    named = ["--set", "decode.options.posterior.markers=[task]", "--set", "decode.options.posterior.threshold=1"]
    assert "unknown marker 'task'" in ttm(*words, *named).err


def test_calibrate(sft: Path, marked: Path, tmp_path: Path) -> None:
    """Temperatures are fitted on rows and kept in markers.json; what is explained afterwards has them."""
    model = tmp_path / "model"
    shutil.copytree(sft, model)
    before = _ok(ttm("generate", model, PROMPTS[0], "--explain", "--json", *SHORT)).json()["chances"]
    found = _ok(ttm("calibrate", model, marked, "--json")).json()
    assert found["lang"]["n"] == 60
    assert found["lang"]["ece_after"] <= found["lang"]["ece_before"] + 0.02
    assert json.loads((model / "markers.json").read_bytes())["calibration"] == found
    after = _ok(ttm("generate", model, PROMPTS[0], "--explain", "--json", *SHORT)).json()["chances"]
    heat = found["lang"]["temperature"]
    raised = {value: chance ** (1 / heat) for value, chance in before["lang"].items()}
    assert after["lang"] == pytest.approx({value: r / sum(raised.values()) for value, r in raised.items()}, abs=1e-4)
    assert "rows are too few" in ttm("calibrate", model, marked, "--limit", "5").err


def test_what_is_led_away_from_stands_in_no_block(sft: Path) -> None:
    """A category's value that the answer is led away from is not in the block either."""
    words = ["generate", sft, "Say hello to Bob.", "--json", *SHORT]
    found = _ok(ttm(*words, "--policy", "posterior")).json()["markers"]
    led = _ok(ttm(*words, "--not", f"length_bucket={found['length_bucket']}")).json()
    assert led["policy"] == "guided"
    assert led["markers"].get("length_bucket") != found["length_bucket"]


def test_a_column_that_is_not_there(sft: Path, prompts: Path) -> None:
    """A column of markers that no row has is named."""
    done = ttm("generate", sft, "--input", prompts, "--markers-column", "nope", "-m", "lang=French")
    assert done.code == 1
    assert "no row has the column 'nope'" in done.err


def test_guidance_of_strength_one_is_fixed(sft: Path) -> None:
    """A strength of 1 adds nothing to what the markers do by themselves, and more changes the scores."""
    words = ["generate", sft, "Say hello to Bob.", "-m", "lang=French", "-m", "length_tokens=5", "--json", *SHORT]
    fixed = _ok(ttm(*words)).json()
    one = _ok(ttm(*words, "--strength", "1")).json()
    assert (one["policy"], one["raw"]) == ("guided", fixed["raw"])
    for more in (["--strength", "3"], ["--strength", "lang=3"], ["--not", "length_bucket=long"]):
        led = _ok(ttm(*words, *more)).json()
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
    likeliest = _ok(ttm(*words, "--set", "decode.options.best-of.candidates=1")).json()
    assert likeliest["raw"] == _ok(ttm("generate", sft, "Say hello to Bob.", "--json", *SHORT)).json()["raw"]
    by_program = ["--set", "decode.options.best-of.scorer=program", "--set"]
    longest = _ok(ttm(*words, *by_program, f"decode.options.best-of.command={sys.executable} {program}")).json()
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
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForSequenceClassification(config).save_pretrained(tmp_path / "reward")
    tokenizer.save_pretrained(tmp_path / "reward")
    words = ["generate", sft, "Say hello to Bob.", "--policy", "best-of", "--json", *SHORT]
    words += ["--set", "decode.options.best-of.scorer=reward-model"]
    best = _ok(ttm(*words, "--set", f"decode.options.best-of.model={tmp_path / 'reward'}")).json()
    row = Row(Example("1", (Message("user", best["prompt"]),), best["text"], {}, Origin("rows", 1)))
    (found,) = RewardModelExtractor(str(tmp_path / "reward")).extract([row])
    assert best["stats"]["candidates"] == 4
    assert best["stats"]["score"] == pytest.approx(found["quality"].value, abs=1e-3)
    assert "scorer 'reward-model' needs a model" in ttm(*words).err


def test_hard_length(sft: Path) -> None:
    """An answer that would be longer than asked is cut, and says so; a free one is not."""
    words = ["generate", sft, "Say hello to Bob.", "-m", "length_tokens=3", "--set", "decode.max_new_tokens=40"]
    free = _ok(ttm(*words, "--json")).json()
    cut = _ok(ttm(*words, "--json", "--hard-length")).json()
    assert "enforced" not in free
    assert cut["enforced"] == {"length_tokens": 3}
    assert free["text"].startswith(cut["text"])
    assert 0 < len(cut["text"]) < len(free["text"])
    assert cut["stats"]["answer_tokens"] < free["stats"]["answer_tokens"]
    assert "1: cut to 3 length_tokens" in _ok(ttm(*words, "--hard-length")).err
    words_only = _ok(ttm(*words, "--json", "--set", "decode.max_words=2")).json()
    assert words_only["enforced"] == {"words": 2}


STREAMED: tuple[list[str], ...] = (
    [],
    ["--policy", "none"],
    ["-m", "lang=French"],
    ["-m", "length_tokens=3", "--hard-length"],
    ["--set", "decode.max_words=2"],
    ["--set", "decode.stop_strings=[a, lo]"],
    ["--policy", "none", "--set", "decode.stop_strings=[a, lo]"],
    ["--policy", "none", "--set", "decode.max_words=2"],
    ["--policy", "best-of"],
    ["--policy", "guided", "-m", "lang=French"],
)


@pytest.mark.parametrize("more", STREAMED, ids=" ".join)
def test_stream(sft: Path, prompts: Path, more: list[str]) -> None:
    """What is streamed is each answer without its block, the same as without streaming, of one prompt and of many."""
    for asked in (["Say hello to Bob."], ["--input", prompts]):
        words = ["generate", sft, *asked, "--set", "decode.max_new_tokens=40", *more]
        assert _ok(ttm(*words, "--stream")).out == _ok(ttm(*words)).out


def test_stop_strings_end_the_answer_only(sft: Path) -> None:
    """A stop string inside the block ends nothing; in the answer it does, and is not part of the text."""
    words = ["generate", sft, "Say hello to Bob.", "--json", "--set", "decode.max_new_tokens=40", "--set"]
    free = _ok(ttm(*words[:-1])).json()
    inside = _ok(ttm(*words, "decode.stop_strings=['</MARKER_LIST>', 'MARKER']")).json()
    assert (inside["text"], inside["fault"]) == (free["text"], "")
    middle = free["text"][len(free["text"]) // 2 :][:3]
    ended = _ok(ttm(*words, f"decode.stop_strings={json.dumps([middle])}")).json()
    assert ended["text"] == free["text"].partition(middle)[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["-m", "length_bucket=concise", "-m", "length_tokens=5000"],
            "cannot be with length_tokens = 5000, which means long",
        ),
        (
            ["-m", "length_sentences=9", "-m", "length_tokens=3"],
            "length_sentences = 9 cannot be with length_tokens = 3",
        ),
        (["-m", "lang=French", "--not", "lang=French"], "-m and --not both name lang = French"),
        (
            ["--not", "lang=French", "--policy", "fixed", "-m", "length_tokens=3"],
            "policy fixed leads away from no markers",
        ),
        (["--not", "lang=Frensh"], "--not: lang = 'Frensh' is not in the taxonomy"),
        (["--strength", "2"], "policy guided needs markers"),
        (["-m", "lang=French", "--strength", "much"], "--strength 'much': write a number"),
        (
            ["-m", "lang=French", "--strength", "length_tokens=2"],
            "--strength length_tokens: the marker is not asked for",
        ),
        (
            ["-m", "lang=French", "--strength", "-3"],
            "decode.options.guided.strength = -3.0: give a number from 0 to 100",
        ),
        (["--policy", "posterior", "--set", "decode.options.posterior.threshold=2"], "give a probability from 0 to 1"),
        (
            ["--policy", "best-of", "--set", "decode.options.best-of.scorer=taste"],
            "scorer = 'taste': known: likelihood",
        ),
        (["--policy", "best-of", "--set", "decode.options.best-of.candidates=0"], "give a number from 1 to 64"),
        (["--policy", "best-of", "--set", "decode.options.best-of.scorer=program"], "scorer 'program' needs a command"),
        (["--set", "decode.options.guidid.strength=2"], "unknown policy 'guidid' (decode.options)"),
        (["--policy", "fixed", "--set", "decode.options.fixed.speed=2", "-m", "lang=fr"], "do not fit 'fixed'"),
        (["--stream", "--json"], "--stream prints text as it comes"),
        (["--markers-column", "ask"], "--markers-column names a column of --input"),
        (["--set", "decode.max_words=0"], "decode.max_words"),
        (["--set", "decode.top_p=3"], "decode.top_p = 3"),
        (["--set", "decode.top_p=.nan"], "decode.top_p = nan: give a number"),
        (["--set", "decode.temperature=[1]"], "decode.temperature = [1]: give a number"),
        (["--set", "decode.stop_strings=['']"], "decode.stop_strings = ['']: give a text"),
        (["--set", "decode.stop_strings=5"], "decode.stop_strings = 5: give a text"),
        (["--set", "decode.max_new_tokens=0"], "decode.max_new_tokens = 0: give a whole number from 1 on"),
        (["--set", "decode.do_sample=maybe"], "decode.do_sample = 'maybe': give true or false"),
        (["--set", "decode.use_cache=false"], "decode.use_cache = False is not supported"),
        (["--set", "decode.guidance_scale=2"], "decode.guidance_scale = 2 is not supported"),
        (["--policy", "fixed", "-m", "lang=French", "--strength", "2"], "--strength is for policy guided, not fixed"),
        (["--policy", "inferred", "--explain"], "--explain is for policy posterior, not inferred"),
        (["--policy", "guided", "-m", "lang=fr", "--set", "decode.options.guided.strength=abc"], "strength = 'abc'"),
        (["--policy", "guided", "-m", "lang=fr", "--set", "decode.options.guided.strength.x=2"], "unknown marker 'x'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_asking_wrongly(sft: Path, words: list[str], message: str) -> None:
    """What cannot be is one sentence and nothing is generated."""
    done = ttm("generate", sft, "Say hello.", *SHORT, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_one_prompt_without_room(sft: Path, tmp_path: Path) -> None:
    """A prompt that fills the context stops the command before anything is generated."""
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi"}, {"prompt": "Hello, dear friend! " * 800}])
    done = ttm("generate", sft, "--input", source, "-o", tmp_path / "out.jsonl")
    assert done.code == 1
    assert "fills the model's context" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_policy_of_the_guide(sft: Path, site: Path) -> None:
    """The policy that the guide writes works as it stands there."""
    code = next(
        code for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL) if "Brief" in code
    )
    distribution(site, "ttmarkers-brief", {"ttmarkers_brief": code})
    words = ["generate", sft, PROMPTS[0], "--policy", "brief", "--json", *SHORT, "--set"]
    option = "decode.options.brief.factor"
    planned, half = (
        _ok(ttm_process(*words, f"{option}={factor}", site=site)).json()["markers"]["length_tokens"]
        for factor in (1, 0.5)
    )
    assert half == max(1, int(planned * 0.5))


def test_tasks_under_the_new_policies(sft: Path) -> None:
    """A task is asked with its markers under guided, and without under posterior and best-of."""
    for policy in ("guided", "posterior", "best-of"):
        words = ["evaluate", sft, "--task", "length", "--limit", "2", "--policy", policy, "--json", *SHORT]
        assert _ok(ttm(*words)).json()["policy"] == policy


def test_cut_answers_are_told_by_a_task(sft: Path) -> None:
    """A task whose answers were cut says how many: they kept the limit by force."""
    words = ["evaluate", sft, "--task", "control", "--limit", "4", "--policy", "fixed", "--json"]
    words += ["--set", "decode.max_new_tokens=40", "--set", "evaluate.options.control.lengths=[3]"]
    assert "enforced" not in _ok(ttm(*words)).json()["metrics"]
    cut = _ok(ttm(*words, "--hard-length")).json()["metrics"]
    assert cut["enforced"]["value"] > 0
    assert cut["length"]["value"] <= 3
