"""A server that misbehaves on demand, ``ttm annotate`` that asks it, and rows to ask about."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import KEY, Server
from support import ENGLISH, greetings, ttm, write_rows
from ttmarkers_plugins.llm import endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from endpoint_server import Annotate
    from support import Outcome
    from ttmarkers.annotation.worker import AnnotationJob


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers at once."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def words(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[object]]:
    """Make the words of a command that asks the server for task and domain; keywords are options of the extractor."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(
        source: Path, output: str = "out.jsonl", *more: object, markers: str = "task,domain", **options: Any
    ) -> list[object]:
        options = {"model": "m", "base_url": server.url, "retries": 2, "timeout": 5, **options}
        chains = {name: ["llm"] for name in markers.split(",")}
        settings = [f"markers.options.llm={json.dumps(options)}", f"markers.extractors={json.dumps(chains)}"]
        said = [word for setting in settings for word in ("--set", setting)]
        return ["annotate", source, "-o", tmp_path / output, "--markers", markers, *said, *more]

    return make


@pytest.fixture
def annotate(words: Callable[..., list[object]], monkeypatch: pytest.MonkeyPatch) -> Annotate:
    """Run the command, with one worker in this process, which starts at once and pauses shortly between tries."""
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.02)
    module = importlib.import_module("ttmarkers.cli.annotate")
    make = module._job

    def here(*arguments: Any) -> AnnotationJob:
        job: AnnotationJob = make(*arguments)
        return replace(job, workers=0) if job.workers == 1 else job

    monkeypatch.setattr(module, "_job", here)

    def run(*arguments: Any, before: tuple[str, ...] = (), **options: Any) -> Outcome:
        return ttm(*before, *words(*arguments, **options))

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six rows, no two of the same prompt."""
    return write_rows(tmp_path / "rows.jsonl", greetings(6))


@pytest.fixture
def english(tmp_path: Path) -> Path:
    """One row in English."""
    return write_rows(tmp_path / "rows.jsonl", [ENGLISH])
