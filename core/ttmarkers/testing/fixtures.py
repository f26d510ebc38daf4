"""Fixtures for the tests of plugins: a tiny model, annotated rows, the command line, the loaded plugins.

In ``conftest.py``::

    pytest_plugins = ["ttmarkers.testing.fixtures"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.testing.command_line import Outcome
from ttmarkers.testing.command_line import ttm as run_ttm
from ttmarkers.testing.made_up import plugins_with
from ttmarkers.testing.tiny import marked_rows, tiny_model, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins


@pytest.fixture
def ttm() -> Callable[..., Outcome]:
    """The command line, run in this process: ``ttm("markers", "list").out``."""
    return run_ttm


@pytest.fixture(scope="session")
def ttm_plugins() -> Plugins:
    """The built-ins, and the plugins that are installed."""
    return plugins_with()


@pytest.fixture
def ttm_rows() -> list[dict[str, Any]]:
    """Annotated rows in three languages, with the markers ``lang`` and ``length_tokens``."""
    return marked_rows()


@pytest.fixture
def ttm_marked(tmp_path: Path, ttm_rows: list[dict[str, Any]]) -> Path:
    """A file with `ttm_rows`."""
    return write_rows(tmp_path / "marked.jsonl", ttm_rows)


@pytest.fixture(scope="session")
def ttm_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that knows ``lang`` and ``length_tokens``. Do not change it."""
    return tiny_model(tmp_path_factory.mktemp("ttm") / "model")
