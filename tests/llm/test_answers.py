"""What a model answers: usable or not, sure or not, refused or fenced."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import Call, always, says
from support import greetings, read_rows, write_rows
from ttmarkers_plugins.llm.questions import confidences

if TYPE_CHECKING:
    from pathlib import Path

    from endpoint_server import Annotate, Server

GOOD = {"task": "Summarization", "domain": "Culture"}
UNUSABLE = {
    "prose": "I think that this is about culture.",
    "outside": json.dumps({**GOOD, "task": "Cooking"}),
    "missing": json.dumps({"task": "Rewrite"}),
    "extra": json.dumps({**GOOD, "mood": "happy"}),
    "list": json.dumps([GOOD]),
    "no text": json.dumps({**GOOD, "task": ["Rewrite"]}),
    "empty": "",
    "cut": '{"task": "Rewr',
    "twice": json.dumps(GOOD) * 2,
}


def unusable(call: Call) -> str:
    """Return an answer that cannot be used, another one for each row."""
    return next(text for number, text in enumerate(UNUSABLE.values()) if f"friend {number}" in call.user)


def test_unusable_once(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """An answer that cannot be used is asked for once more, with what was wrong."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(len(UNUSABLE)))
    server.say = lambda call: json.dumps(GOOD) if len(call.body["messages"]) > 2 else unusable(call)
    assert annotate(source).code == 0
    first = {call.user: call for call in server.calls if len(call.body["messages"]) == 2}
    again = [call for call in server.calls if len(call.body["messages"]) > 2]
    assert (len(first), len(again)) == (len(UNUSABLE), len(UNUSABLE))
    for call in again:
        assert [turn["role"] for turn in call.body["messages"]] == ["system", "user", "assistant", "user"]
        assert call.body["messages"][:2] == first[call.user].body["messages"]
        assert call.body["messages"][2]["content"] == unusable(call)
        assert call.body["messages"][3]["content"].startswith("That could not be used: ")
        assert call.schema == first[call.user].schema
    for row in read_rows(tmp_path / "out.jsonl"):
        assert row["markers"] == GOOD
        assert row["markers_meta"]["task"] == {"confidence": 1.0, "source": "extractor:llm"}


def test_unusable_always(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """After the second such answer the marker is Unspecified where it has that value, with no confidence, or absent."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(len(UNUSABLE)))
    server.say = unusable
    assert annotate(source).code == 0
    assert len(server.calls) == 2 * len(UNUSABLE)
    for row in read_rows(tmp_path / "out.jsonl"):
        assert row["markers"] == {"domain": "Unspecified"}
        assert row["markers_meta"] == {"domain": {"confidence": 0.0, "source": "extractor:llm"}}
    server.calls.clear()
    assert annotate(source, "again.jsonl").code == 0
    assert not server.calls


def test_refusal(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A model that refuses gives no usable answer: it is asked once more, and the server is not called broken."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    body = {"choices": [{"message": {"role": "assistant", "content": None, "refusal": "I cannot help."}}]}
    server.fault = always(says(json.dumps(body)))
    assert annotate(source).code == 0
    assert len(server.calls) == 2
    assert read_rows(tmp_path / "out.jsonl")[0]["markers"] == {"domain": "Unspecified"}


def test_model_that_cannot_tell(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Unspecified is an answer: a value of domain, and no task."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    server.say = lambda call: json.dumps({"task": "unspecified", "domain": "Unspecified"})
    assert annotate(source).code == 0
    assert len(server.calls) == 1
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert (row["markers"], row["markers_meta"]["domain"]["confidence"]) == ({"domain": "Unspecified"}, 1.0)


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```", "\n {}\n"])
def test_fences(server: Server, annotate: Annotate, tmp_path: Path, fence: str) -> None:
    """JSON in a fence is taken, and so is another case of letters."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    server.say = lambda call: fence.replace("{}", json.dumps(GOOD).lower().replace("summ", "SUMM"))
    assert annotate(source).code == 0
    assert read_rows(tmp_path / "out.jsonl")[0]["markers"] == GOOD


def test_confidence(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """The confidence is the probability of the value's tokens, of those alone."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    sure = [
        ('{"task": "', 0.5),
        ("Summ", 0.9),
        ("arization", 0.8),
        ('", "domain": "', 0.5),
        ("Cul", 0.7),
        ('ture"}', 0.6),
    ]

    server.say = lambda call: json.dumps(GOOD)
    server.logprobs = lambda text: [(token, math.log(value)) for token, value in sure]
    assert annotate(source).code == 0
    meta = read_rows(tmp_path / "out.jsonl")[0]["markers_meta"]
    assert {name: entry["confidence"] for name, entry in meta.items()} == {"task": 0.72, "domain": 0.42}


@pytest.mark.parametrize(
    ("text", "name", "sure"),
    [
        ('{"a": "x"}', "a", [("{", 0.5), ('"a": "', 0.5), ("x", 0.25), ('"}', 0.5)]),
        ('{"a": "x, y"}', "a", [('{"a": "', 0.5), ("x", 0.5), (", y", 0.5), ('"}', 0.5)]),
        ('{"a": "x}y"}', "a", [('{"a": "', 0.5), ("x}", 0.5), ("y", 0.5), ('"}', 0.5)]),
        ('{"a": 5\n}', "a", [('{"a":', 0.5), (" 5", 0.25), ("\n", 0.5), ("}", 0.5)]),
        ('{"b": "a", "a": "x"}', "a", [('{"b": "a", "a": "', 0.5), ('x"}', 0.25)]),
        ('{"aa": "z", "a": "x"}', "a", [('{"aa": "z', 0.5), ('", "a": "', 0.5), ("x", 0.25), ('"}', 0.5)]),
    ],
)
def test_confidence_of_tokens(text: str, name: str, sure: list[tuple[str, float]]) -> None:
    """Just the tokens of the value count, however they are cut and whatever signs the value has."""
    assert "".join(token for token, _ in sure) == text
    assert confidences([name], text, [(token, math.log(value)) for token, value in sure]) == {name: 0.25}


@pytest.mark.parametrize("form", ["none", "null", "other", "without number"])
def test_logprobs_that_do_not_fit(server: Server, annotate: Annotate, tmp_path: Path, form: str) -> None:
    """Without log-probabilities of just this text the confidence is 1."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    given: dict[str, Any] = {
        "none": {},
        "null": {"logprobs": None},
        "other": {"logprobs": {"content": [{"token": "Hello", "logprob": -1.0}]}},
        "without number": {"logprobs": {"tokens": ["a"], "token_logprobs": [-1.0]}},
    }
    body = {"choices": [{"message": {"role": "assistant", "content": json.dumps(GOOD)}, **given[form]}]}
    server.fault = always(says(json.dumps(body)))
    assert annotate(source).code == 0
    (row,) = read_rows(tmp_path / "out.jsonl")
    assert row["markers"] == GOOD
    assert {entry["confidence"] for entry in row["markers_meta"].values()} == {1.0}
