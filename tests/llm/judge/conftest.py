"""The task winrate with a judge on the server that misbehaves on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import KEY
from ttmarkers_plugins.llm import endpoint
from ttmarkers_plugins.tasks.winrate import WinrateTask

if TYPE_CHECKING:
    from pathlib import Path

    from endpoint_server import Server
    from judge_support import Make


@pytest.fixture(autouse=True)
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the key and a cache of the test's own, and pause shortly between tries."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.02)


@pytest.fixture
def options(server: Server) -> dict[str, Any]:
    """Options of a judge on the server."""
    return {"model": "m", "base_url": server.url, "retries": 2, "timeout": 5}


@pytest.fixture
def make(options: dict[str, Any]) -> Make:
    """Make the task; keywords are further options."""
    return lambda **more: WinrateTask(**{**options, **more})
