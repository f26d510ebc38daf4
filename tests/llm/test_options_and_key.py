"""Options and the key: what cannot be is named in one sentence, and the key stands nowhere."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import KEY, Call, always, echo, refuses, says, silence, where
from support import greetings, sentence, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from endpoint_server import Annotate, Fault, Server


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
