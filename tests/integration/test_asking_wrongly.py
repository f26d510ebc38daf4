"""What cannot be asked of a model, by the command line: one sentence, and nothing is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import SHORT, ttm, write_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "lnag=French"], "unknown marker 'lnag' (-m): did you mean 'lang'?"),
        (["-m", "domain=Legal"], "unknown marker 'domain' (-m): known: lang, length_bucket, length_paragraphs"),
        (["-m", "lang=Frensh"], "lang = 'Frensh' is not in the taxonomy: did you mean 'French'?"),
        (["-m", "length_tokens=few"], "length_tokens = 'few': it holds a whole number"),
        (["-m", "lang=French", "--policy", "inferred"], "policy inferred is given no markers"),
        (["-m", "lang=French", "--policy", "none"], "policy none is given no markers"),
        (["--policy", "fixed"], "policy fixed needs markers: give them with -m name=value"),
        (["--policy", "fixd"], "unknown policy 'fixd' (decode.policy): did you mean 'fixed'?"),
        (
            ["--set", "decode.max_new_token=5"],
            "decode.max_new_token is a key neither of ttmarkers nor of transformers'",
        ),
        (["--set", "decode.temperature=hot"], "temperature"),
        (["--set", "decode.num_beams=2"], "num_beams"),
        (["--set", "decode.num_return_sequences=2"], "num_return_sequences"),
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
    """A marker, value, policy or key that does not fit is exit 2 and one sentence, and nothing is generated."""
    done = ttm("generate", sft, "Say hello.", *SHORT, *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_asking_a_baseline_for_markers(baseline: Path) -> None:
    """A model without markers says so, whichever way it is asked for them."""
    for words in (["-m", "lang=French"], ["--policy", "inferred"]):
        done = ttm("generate", baseline, "Say hello.", *words)
        assert done.code == 2
        assert "the model was trained without markers" in done.err


def test_prompt_longer_than_the_context(sft: Path) -> None:
    """A prompt that fills the model's context is named with both numbers."""
    done = ttm("generate", sft, "Hello, dear friend! " * 800)
    assert (done.code, done.out) == (1, "")
    assert "fills the model's context of" in done.err


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


def test_a_column_that_is_not_there(sft: Path, prompts: Path) -> None:
    """A column of markers that no row has is named."""
    done = ttm("generate", sft, "--input", prompts, "--markers-column", "nope", "-m", "lang=French")
    assert done.code == 1
    assert "no row has the column 'nope'" in done.err


def test_one_prompt_without_room(sft: Path, tmp_path: Path) -> None:
    """A prompt that fills the context stops the command before anything is generated."""
    source = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi"}, {"prompt": "Hello, dear friend! " * 800}])
    done = ttm("generate", sft, "--input", source, "-o", tmp_path / "out.jsonl")
    assert done.code == 1
    assert "fills the model's context" in done.err
    assert not (tmp_path / "out.jsonl").exists()
