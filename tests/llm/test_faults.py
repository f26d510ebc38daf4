"""A server that is busy, broken or wrong: what is tried again, what makes a bad row, and what ends the run."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from contextlib import closing
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import (
    KEY,
    Call,
    always,
    drip,
    echo,
    refuses,
    reset,
    says,
    silence,
    times,
    where,
)
from support import greetings, read_rows, ttm, write_rows
from ttmarkers import local_engine
from ttmarkers_plugins.llm import endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six rows, no two of the same prompt."""
    return write_rows(tmp_path / "rows.jsonl", greetings(6))


def sentence(text: str) -> str:
    """Return the one line that ``ttm`` ended with."""
    (line,) = text.splitlines()
    assert line.startswith("ttm: ")
    return line


def pauses(server: Server) -> None:
    """Check that no call came between an answer with Retry-After and the end of what that asked for."""
    for asked, seconds in [(call, float(call.body["asked"])) for call in server.calls if "asked" in call.body]:
        early = [c.came - asked.answered for c in server.calls if 0.1 < c.came - asked.answered < seconds - 0.02]
        assert not early, f"calls {early} s after an answer that asked for {seconds} s"


def asks(seconds: float, until: float = 0.0, status: int = 429, pause: float = 0.0) -> Fault:
    """Refuse with Retry-After, and note it in the call."""

    async def fault(call: Call) -> web.StreamResponse:
        await asyncio.sleep(pause)
        call.body["asked"] = seconds or until - time.time() - 0.05
        return await refuses(status, "later", retry_after=str(seconds or formatdate(until, usegmt=True)))(call)

    return fault


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


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_seconds(server: Server, annotate: Annotate, source: Path, status: int) -> None:
    """What one request is asked to wait, all wait."""
    server.pause = 0.15  # or all is over before anybody could come too early
    server.fault = times(1, asks(1, status=status))
    assert annotate(source, concurrency=3).code == 0
    pauses(server)
    assert len(server.calls) == 7


def test_retry_after_date(server: Server, annotate: Annotate, source: Path) -> None:
    """A date is as good as seconds."""
    until = int(time.time()) + 3
    server.fault = times(1, asks(0, until))
    assert annotate(source, concurrency=1).code == 0
    pauses(server)
    assert time.time() >= until


def test_retry_after_is_extended(server: Server, annotate: Annotate, source: Path) -> None:
    """A request that waits already waits longer when another answer asks for more."""
    faults = iter([asks(0.6), asks(1.2, pause=0.3)])
    server.fault = lambda call: None if "friend 2" in call.user else next(faults, None)
    assert annotate(source, concurrency=3).code == 0
    pauses(server)


def test_retry_after_beyond_the_watch(
    server: Server, words: Callable[..., list[object]], source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that waits as long as the server asks is no worker that hangs."""
    monkeypatch.setattr(local_engine, "BATCH_SECONDS", 1.0)
    monkeypatch.setattr(local_engine, "ROW_SECONDS", 1.0)
    server.fault = times(1, asks(6))
    done = ttm(*words(source, "out.jsonl", "--set", "data.row_seconds=0.1"))
    pauses(server)
    assert done.code == 0, done.err


@pytest.mark.parametrize("header", ["", "soon", "nan", "-5", "Tue, 99 Foo 2024"])
def test_retry_after_that_says_nothing(server: Server, annotate: Annotate, source: Path, header: str) -> None:
    """A header that cannot be read, or lies in the past, counts as none."""
    server.fault = times(2, refuses(429, "later", retry_after=header))
    assert annotate(source).code == 0
    assert len(server.calls) == 8


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


@pytest.mark.parametrize(
    ("status", "mend"),
    [
        (401, "see the key in the environment variable OPENAI_API_KEY"),
        (403, "see the key in the environment variable OPENAI_API_KEY"),
        (404, "see markers.options.llm.model = 'm' and base_url"),
    ],
)
def test_wrong_key_or_model(server: Server, annotate: Annotate, tmp_path: Path, status: int, mend: str) -> None:
    """What no try can mend ends the run at once, with what to mend; a quarantine changes nothing."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(40))
    server.fault = always(refuses(status, "not so"))
    done = annotate(source, "out.jsonl", "--quarantine", tmp_path / "bad.jsonl", concurrency=4)
    assert done.code == 2
    assert "not so" in sentence(done.err)
    assert done.err.rstrip().endswith(mend)
    assert len(server.calls) <= 4
    assert not (tmp_path / "bad.jsonl").exists()


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "set markers.options.llm.model"),
        ({"base_url": "http://u:secret@h/v1"}, "put the key into the environment"),
        ({"base_url": "http://secret@h/v1"}, "put the key into the environment"),
        ({"base_url": "127.0.0.1:8000/v1"}, "http"),
        ({"base_url": "https://api.openai.com/v1", "key_variable": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"concurrency": 0}, "concurrency"),
        ({"timeout": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"price_in": "much"}, "price_in"),
        ({"temperature": 1}, "options of markers.options.llm do not fit"),
        ({"template": "/no/such.jinja"}, "template /no/such.jinja cannot be read"),
        ({"cache": "/proc/no/such"}, "name another with option cache"),
    ],
)
def test_wrong_options(server: Server, annotate: Annotate, source: Path, options: dict[str, Any], message: str) -> None:
    """An option that cannot be is exit 2 and one sentence, and nothing is sent."""
    done = annotate(source, **options)
    assert done.code == 2, done.err
    assert message in sentence(done.err)
    assert "secret" not in done.err
    assert not server.calls


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY} "])
def test_key_with_white_space(
    server: Server, annotate: Annotate, source: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """White space round a key, as files and shells leave it, does no harm."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert annotate(source).code == 0
    assert {call.headers["Authorization"] for call in server.calls} == {f"Bearer {KEY}"}


def test_key_that_cannot_be_sent(
    server: Server, annotate: Annotate, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with letters that no header takes is named as such, and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}…")
    done = annotate(source)
    assert done.code == 2
    assert "OPENAI_API_KEY" in sentence(done.err)
    assert KEY not in done.err


def _repeats(call: Call) -> str:
    return f"You sent {call.headers['Authorization']}"


async def _refused_key(call: Call) -> web.StreamResponse:
    return await refuses(401, f"wrong key {call.headers['Authorization']}")(call)


async def _bad_request(call: Call) -> web.StreamResponse:
    return await refuses(400, f"bad {call.headers['Authorization']}")(call)


LEAKS: dict[str, Callable[[Call], Fault | None]] = {
    "500": always(echo),
    "400": always(_bad_request),
    "401": always(_refused_key),
    "row": where("friend 2", echo),
    "silence": always(silence),
    "cut": always(says('{"id": "x", "choices": [{"mess')),
    "none": lambda call: None,
}


def test_key_is_nowhere(server: Server, annotate: Annotate, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, the key stands in no output, note, log, leftover or stored answer, nor in tracebacks."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(24))
    codes = {}
    with caplog.at_level(logging.DEBUG):
        for name, fault in LEAKS.items():
            for number in range(3 if name in ("401", "row") else 2):
                server.fault = fault
                more = ("--quarantine", tmp_path / f"{name}{number}.bad") if number else ()
                more += ("--workers", "2") if number > 1 else ()
                options: dict[str, Any] = {
                    "cache": str(tmp_path / f"{name}.sqlite"),
                    "timeout": 0.2 if name == "silence" else 5,
                    "retries": 0,
                }
                done = annotate(source, f"{name}{number}.jsonl", *more, before=("--debug",), **options)
                codes[name, number] = done.code
                assert KEY not in done.out + done.err + caplog.text
                assert ("Traceback" in done.err) == (done.code > 0)
    assert {name: (codes[name, 0], codes[name, 1]) for name in LEAKS} == {
        "500": (1, 1),
        "400": (1, 0),
        "401": (2, 2),
        "row": (1, 0),
        "silence": (1, 1),
        "cut": (1, 1),
        "none": (0, 0),
    }
    assert (codes["401", 2], codes["row", 2]) == (2, 0)
    server.fault = lambda call: None
    server.say = _repeats  # an answer that holds the key is not kept
    assert annotate(source, "repeats.jsonl", cache=str(tmp_path / "repeats.sqlite")).code == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".sqlite", ".bad", ".jsonl", ".json"} <= {path.suffix for path in files}
    assert [path.name for path in files if KEY.encode() in path.read_bytes()] == []
    assert "***" in (tmp_path / "row1.bad").read_text(encoding="utf-8")
