"""A server that is busy, broken or wrong: what is tried again, what makes a bad row, and what ends the run."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import Call, drip, refuses, reset, says, silence, times, where
from support import greetings, read_rows, sentence, write_rows
from ttmarkers_plugins.llm import endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from endpoint_server import Annotate, Fault, Server

PASSING: dict[str, Fault] = {
    "429": refuses(429, "slow down"),
    "500": refuses(500, "oops"),
    "503": refuses(503, "oops"),
    "reset": reset,
    "cut short": says('{"id": "x", "choices": [{"mess'),
    "no JSON": says("<html>busy</html>", "text/html"),
    "no JSON in name only": says("busy"),
    "other JSON": says('{"choices": []}'),
    "null": says("null"),
    "silence": silence,
    "drip": drip,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_passing_faults(server: Server, annotate: Annotate, source: Path, fault: Fault) -> None:
    """What may be gone at the next try is tried again, and then all rows have their markers."""
    server.fault = times(4, fault)
    done = annotate(source, timeout=1 if fault in (silence, drip) else 5)
    assert done.code == 0, done.err
    assert len(server.calls) == 10
    assert all(set(row["markers"]) == {"task", "domain"} for row in read_rows(source.with_name("out.jsonl")))


def test_lasting_faults_of_rows(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A row that cannot be had after all tries goes to the quarantine with its reason; the others go on."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(len(PASSING) + 4))
    faults = {f"friend {number}.": fault for number, fault in enumerate(PASSING.values())}
    faults |= {f"friend {number} ": fault for number, fault in enumerate(PASSING.values())}
    server.fault = lambda call: next((fault for name, fault in faults.items() if name in call.user), None)
    bad = tmp_path / "bad.jsonl"
    done = annotate(source, "out.jsonl", "--quarantine", bad, timeout=0.7)
    assert done.code == 0, done.err
    assert len(server.calls) == 3 * len(PASSING) + 4
    entries = read_rows(bad)
    assert [entry["content"]["id"] for entry in entries] == [f"r{number}" for number in range(len(PASSING))]
    for entry in entries:
        assert f"rows.jsonl, row {entry['row']}: extractor 'llm': {server.url} gave no answer (" in entry["reason"]
    assert "429 - slow down" in entries[0]["reason"]
    assert "no whole answer within 0.7 s" in entries[-1]["reason"]
    assert [row["id"] for row in read_rows(tmp_path / "out.jsonl")] == [f"r{len(PASSING) + n}" for n in range(4)]


def test_lasting_fault_without_quarantine(server: Server, annotate: Annotate, source: Path) -> None:
    """Without a quarantine the run ends with one sentence; the other answers are kept and not asked for again."""
    server.fault = where("friend 2", refuses(500, "oops"))
    done = annotate(source)
    assert done.code == 1
    assert "row 3: extractor 'llm': " in sentence(done.err)
    assert "500 - oops" in done.err
    server.fault = lambda call: None
    server.calls.clear()
    assert annotate(source, "out.jsonl", "--resume").code == 0
    assert [("friend 2" in call.user) for call in server.calls] == [True]


def test_connection_refused(server: Server, annotate: Annotate, source: Path) -> None:
    """An address where nobody listens is named, and why; no row is blamed for it, with a quarantine neither."""
    done = annotate(
        source, "out.jsonl", "--quarantine", source.with_name("bad.jsonl"), base_url="http://127.0.0.1:9/v1"
    )
    assert done.code == 1
    assert sentence(done.err).startswith("ttm: nothing answers at http://127.0.0.1:9/v1 ([Errno 111] Connect")
    assert not source.with_name("bad.jsonl").exists()


def test_given_up(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """After many failures in a row the run stops; what is done is kept, and a resumed run asks for the rest."""
    count = endpoint.GIVE_UP + 30
    source = write_rows(tmp_path / "rows.jsonl", greetings(count))
    server.fault = lambda call: None if sum(c.status == 200 for c in server.calls) < 10 else refuses(500, "oops")
    done = annotate(source, "out.jsonl", "--quarantine", tmp_path / "bad.jsonl", concurrency=2, retries=1)
    assert done.code == 1
    line = sentence(done.err)
    assert f"{server.url} failed {endpoint.GIVE_UP} requests in a row, the last with: Error code: 500" in line
    assert "go on with --resume" in line
    known = {call.user for call in server.good}
    assert len(server.calls) <= 10 + 2 * (endpoint.GIVE_UP + 2)
    assert not (tmp_path / "out.jsonl").exists()
    server.fault = lambda call: None
    server.calls.clear()
    done = annotate(source, "out.jsonl", "--quarantine", tmp_path / "bad.jsonl", "--resume", concurrency=2, retries=1)
    assert done.code == 0, done.err
    assert len(server.calls) == count - len(known)
    assert not known & {call.user for call in server.calls}
    assert len(read_rows(tmp_path / "out.jsonl")) == count


def test_failures_with_answers_between_them(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Many failures are no reason to stop while other requests are answered."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(3 * endpoint.GIVE_UP))
    server.fault = lambda call: None if "Sag " in call.user else refuses(500, "oops")
    bad = tmp_path / "bad.jsonl"
    assert annotate(source, "out.jsonl", "--quarantine", bad, retries=0, concurrency=1).code == 0
    assert len(read_rows(bad)) == 2 * endpoint.GIVE_UP


def test_bad_request_is_not_tried_again(server: Server, annotate: Annotate, source: Path) -> None:
    """What the server calls a bad request is the fault of its row, which is sent once."""
    server.fault = where("friend 2", refuses(400, "the prompt is too long"))
    bad = source.with_name("bad.jsonl")
    assert annotate(source, "out.jsonl", "--quarantine", bad).code == 0
    assert len(server.calls) == 6
    assert "the prompt is too long" in read_rows(bad)[0]["reason"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("response_format", "'response_format' of type 'json_schema' is not supported"),
        ("logprobs", "Logprobs are not supported with this model"),
    ],
)
def test_servers_that_take_less(server: Server, annotate: Annotate, source: Path, key: str, message: str) -> None:
    """A key that the server does not take is left out from then on; the answer is read as strictly as before."""
    server.fault = lambda call: refuses(400, message) if key in call.body else None
    done = annotate(source, concurrency=1)
    assert done.code == 0, done.err
    assert [key in call.body for call in server.calls] == [True, *[False] * 6]
    assert all(set(row["markers"]) == {"task", "domain"} for row in read_rows(source.with_name("out.jsonl")))


def test_server_that_takes_neither(server: Server, annotate: Annotate, source: Path) -> None:
    """Both keys are left out, one after the other, also while several requests are under way."""

    def fault(call: Call) -> Fault | None:
        if "response_format" in call.body:
            return refuses(422, "response_format: extra field")
        return refuses(400, "unknown key logprobs") if "logprobs" in call.body else None

    server.fault = fault
    assert annotate(source, concurrency=4).code == 0
    assert len(server.good) == 6
    assert len(server.calls) <= 6 + 2 * 4


def test_cache_that_fails(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """When answers can be kept no longer the run stops: what cannot be kept is not paid for row after row."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(30))
    cache = tmp_path / "answers.sqlite"

    def fault(call: Call) -> Fault | None:
        if len(server.calls) == 10:
            with closing(sqlite3.connect(cache)) as database:
                database.execute("DROP TABLE answers")
        return None

    server.fault = fault
    bad = tmp_path / "bad.jsonl"
    done = annotate(source, "out.jsonl", "--quarantine", bad, concurrency=2, cache=str(cache))
    assert done.code == 1
    assert f"the cache {cache} fails (no such table: answers)" in sentence(done.err)
    assert len(server.calls) <= 12


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 7}, {"prompt_tokens": None, "completion_tokens": None}])
def test_usage_that_is_not_there(server: Server, annotate: Annotate, tmp_path: Path, usage: Any) -> None:
    """An answer is as good without a count of tokens; with --max-cost the estimate stands for it."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(2))

    def fault(call: Call) -> Fault:
        body = {**server.completion(call), "usage": usage}
        return says(json.dumps(body))

    server.fault = fault
    done = annotate(source, "out.jsonl", "--max-cost", "1", price_in=1, price_out=1)
    assert done.code == 0, done.err
    assert len(server.calls) == 2


def test_concurrency(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """The server never sees more requests at once than the option says, and that many it does see."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(30))
    server.pause = 0.05
    server.fault = times(5, refuses(500, "oops"))
    assert annotate(source, concurrency=5).code == 0
    assert server.most == 5
