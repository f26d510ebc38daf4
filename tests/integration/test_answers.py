"""Where an answer ends, by the command line, and that it is streamed as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import ok, ttm

if TYPE_CHECKING:
    from pathlib import Path

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


def test_hard_length(sft: Path) -> None:
    """An answer that would be longer than asked is cut, and says so; a free one is not."""
    words = ["generate", sft, "Say hello to Bob.", "-m", "length_tokens=3", "--set", "decode.max_new_tokens=40"]
    free = ok(ttm(*words, "--json")).json()
    cut = ok(ttm(*words, "--json", "--hard-length")).json()
    assert "enforced" not in free
    assert cut["enforced"] == {"length_tokens": 3}
    assert free["text"].startswith(cut["text"])
    assert 0 < len(cut["text"]) < len(free["text"])
    assert cut["stats"]["answer_tokens"] < free["stats"]["answer_tokens"]
    assert "1: cut to 3 length_tokens" in ok(ttm(*words, "--hard-length")).err
    words_only = ok(ttm(*words, "--json", "--set", "decode.max_words=2")).json()
    assert words_only["enforced"] == {"words": 2}


@pytest.mark.parametrize("more", STREAMED, ids=" ".join)
def test_stream(sft: Path, prompts: Path, more: list[str]) -> None:
    """What is streamed is each answer without its block, the same as without streaming, of one prompt and of many."""
    for asked in (["Say hello to Bob."], ["--input", prompts]):
        words = ["generate", sft, *asked, "--set", "decode.max_new_tokens=40", *more]
        assert ok(ttm(*words, "--stream")).out == ok(ttm(*words)).out


def test_stop_strings_end_the_answer_only(sft: Path) -> None:
    """A stop string inside the block ends nothing; in the answer it does, and is not part of the text."""
    words = ["generate", sft, "Say hello to Bob.", "--json", "--set", "decode.max_new_tokens=40", "--set"]
    free = ok(ttm(*words[:-1])).json()
    inside = ok(ttm(*words, "decode.stop_strings=['</MARKER_LIST>', 'MARKER']")).json()
    assert (inside["text"], inside["fault"]) == (free["text"], "")
    middle = free["text"][len(free["text"]) // 2 :][:3]
    ended = ok(ttm(*words, f"decode.stop_strings={json.dumps([middle])}")).json()
    assert ended["text"] == free["text"].partition(middle)[0]


def test_cut_answers_are_told_by_a_task(sft: Path) -> None:
    """A task whose answers were cut says how many: they kept the limit by force."""
    words = ["evaluate", sft, "--task", "control", "--limit", "4", "--policy", "fixed", "--json"]
    words += ["--set", "decode.max_new_tokens=40", "--set", "evaluate.options.control.lengths=[3]"]
    assert "enforced" not in ok(ttm(*words)).json()["metrics"]
    cut = ok(ttm(*words, "--hard-length")).json()["metrics"]
    assert cut["enforced"]["value"] > 0
    assert cut["length"]["value"] <= 3
