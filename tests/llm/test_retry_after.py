"""A server that asks to wait: all requests do, no longer than it asks, and a worker that waits does not hang."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from endpoint_server import Call, refuses, times
from support import ttm
from ttmarkers.annotation import local_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from endpoint_server import Annotate, Fault, Server


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
