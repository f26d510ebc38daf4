"""The files of public use, which make types checks against the installed package, also do what they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import greetings, write_rows
from ttmarkers.config import make_config
from ttmarkers.plugins.discovery import Candidate
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.testing import check_plugin, check_policy, marked_rows

if TYPE_CHECKING:
    from types import ModuleType

    from ttmarkers.plugins.manager import Plugins

TYPED = Path(__file__).parents[1] / "typed"


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that uses the library."""
    monkeypatch.syspath_prepend(str(TYPED))
    return importlib.import_module("public_use")


@pytest.fixture
def with_plugin(use: ModuleType) -> Plugins:
    """The built-ins and the plugin of these files."""
    plugins = create_plugins(candidates=[Candidate("public", "public_plugin", "ttmarkers-public", "1.0")])
    assert not plugins.failed
    return plugins


def test_library(use: ModuleType, with_plugin: Plugins, tmp_path: Path) -> None:
    """What needs no model runs, with the plugin: its marker is found, a row's and a file's."""
    rows = write_rows(tmp_path / "rows.jsonl", greetings(6))
    found = use.cheap(rows, tmp_path, with_plugin)
    assert found["lang"] == "English"
    assert "mood" not in found
    assert (tmp_path / "marked.run.json").is_file()
    assert {"mood", "guided", "still"} <= set(use.look_around(with_plugin))


def test_plugin(with_plugin: Plugins) -> None:
    """The plugin keeps the contracts that plugins' own tests check."""
    gold = {"gold": lambda case: ":-)" if case.mood == "happy" else ":-("}
    # the strategy trains nothing, and the policy asks a model, which takes seconds
    check_plugin("public_plugin", arguments={"smiles": gold}, leave_out=["still", "cheerful"])


@pytest.mark.slow
def test_policy(with_plugin: Plugins) -> None:
    """The plugin's policy keeps its contract with a model."""
    check_policy(with_plugin.policies().get("cheerful"))


@pytest.mark.slow
def test_loop(use: ModuleType, with_plugin: Plugins, tmp_path: Path) -> None:
    """Training, asking and measuring from Python come to a page."""
    marked = write_rows(tmp_path / "marked.jsonl", marked_rows())
    checkpoint = use.train_model(marked, tmp_path / "model", with_plugin, 2)
    assert checkpoint.marked
    config = make_config({"decode": {"max_new_tokens": 8}})
    first, second = use.generate(str(tmp_path / "model"), with_plugin, config)
    assert (first.policy, second.policy, second.markers["length_tokens"]) == ("inferred", "fixed", 5)
    result = use.evaluate(str(tmp_path / "model"), "length", with_plugin, config, tmp_path / "run")
    assert result.n == 4
    assert (tmp_path / "run" / "page.html").is_file()
