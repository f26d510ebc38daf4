"""Older plugins under a newer framework, shown by made-up specifications; and what is old warns, and goes in time."""

from __future__ import annotations

import ast
import sys
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import ttmarkers
import ttmarkers_plugins
from support import distribution, python_process
from ttmarkers import __version__
from ttmarkers.compat import Deprecation, TtmDeprecationWarning, deprecated, old, old_field, old_in_component
from ttmarkers.components import Component, MarkerType
from ttmarkers.hookspecs import hookimpl, hookspec
from ttmarkers.plugins import loading as plugin_loading
from ttmarkers.plugins.discovery import Candidate
from ttmarkers.plugins.loading import Hooks
from ttmarkers.plugins.manager import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCES = (Path(ttmarkers.__file__).parent, Path(ttmarkers_plugins.__file__).parent)
MARKERS = ("old", "old_field", "deprecated")
"""The functions of `ttmarkers.compat` by which something becomes old."""


class Specs:
    """Specifications as a later version might have them."""

    @staticmethod
    @hookspec
    def ttm_marker_types(config: dict[str, str], folder: Path) -> Iterator[MarkerType]:
        """Yield marker types, told more than today."""

    @staticmethod
    @hookspec(warn_on_impl=old("hook ttm_tasks", since="0.3", use="ttm_measures"))
    def ttm_tasks() -> Iterator[Any]:
        """Yield tasks."""

    @staticmethod
    @hookspec(warn_on_impl_args={"word": old("argument word of ttm_guides", since="0.4", use="text")})
    def ttm_guides(word: str, text: str) -> Iterator[Any]:
        """Yield guides."""


ARGUMENTS = {"config": {"name": "mood"}, "folder": Path("/somewhere"), "word": "w", "text": "t"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plugins]:
    """Load hook functions as the plugin ``made-up`` of ``ttmarkers-made 1.0`` under the later specifications."""

    def loaded(**functions: Any) -> Plugins:
        module = ModuleType("made_up_for_compat")
        for name, function in functions.items():
            setattr(module, name, hookimpl(function))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        plugins = Plugins(Hooks(Specs, ARGUMENTS))
        plugins.load(Candidate("made-up", module.__name__, "ttmarkers-made", "1.0"))
        return plugins

    return loaded


def _by_none() -> list[MarkerType]:
    return [MarkerType("plain", "", "int")]


def _by_one(config: dict[str, str]) -> list[MarkerType]:
    return [MarkerType(config["name"], "", "int")]


def _by_other(folder: Path, config: dict[str, str]) -> list[MarkerType]:
    return [MarkerType(f"{folder.name}_{config['name']}", "", "int")]


@pytest.mark.parametrize(("function", "name"), [(_by_none, "plain"), (_by_one, "mood"), (_by_other, "somewhere_mood")])
def test_hooks_gain_arguments(load: Callable[..., Plugins], function: Any, name: str) -> None:
    """A plugin takes as many of a hook's arguments as it was written for, in any order."""
    plugins = load(ttm_marker_types=function)
    assert plugins.records[0].error == ""
    assert plugins.marker_types().names == [name]


def test_arguments_of_a_newer_version(load: Callable[..., Plugins]) -> None:
    """A plugin that takes an argument which this version does not give fails, with the reason."""

    def newer(config: Any, hologram: Any) -> list[MarkerType]:
        return []

    (record,) = load(ttm_marker_types=newer).records
    assert record.status == "failed"
    assert "ttm_marker_types of ttmarkers" in record.error
    assert "is called without 'hologram'" in record.error


def test_old_hook_warns(load: Callable[..., Plugins]) -> None:
    """A plugin with an old hook works, and is named with the version, the replacement and the end."""
    sentence = (
        "plugin made-up of ttmarkers-made 1.0 uses the hook ttm_tasks, which is old since ttmarkers 0.3 and goes in "
        "0.5: use ttm_measures"
    )
    with pytest.warns(TtmDeprecationWarning) as caught:
        plugins = load(ttm_tasks=lambda: iter(()))
    assert [str(warning.message) for warning in caught] == [sentence]
    (record,) = plugins.records
    assert (record.status, record.notes) == ("ok", (sentence,))


def test_old_argument_warns(load: Callable[..., Plugins]) -> None:
    """Who takes an old argument is warned, and who takes the new one is not."""
    with pytest.warns(TtmDeprecationWarning, match=r"argument word of ttm_guides, which is old .* 0\.6: use text"):
        load(ttm_guides=lambda word: [])
    assert load(ttm_guides=lambda text: []).records[0].notes == ()


@dataclass(frozen=True)
class LaterTask(Component):
    """A component with an old field, as a later version might have it."""

    group: str = field(default="", metadata=old_field(since="0.3", use="slices"))
    kinds: list[str] = field(default_factory=list, metadata=old_field(since="0.3", use="slices"))
    slices: str = ""


def test_old_field_warns(load: Callable[..., Plugins], monkeypatch: pytest.MonkeyPatch) -> None:
    """A component that sets an old field warns; one that leaves it out does not."""
    later = plugin_loading.KINDS["marker"]._replace(component=LaterTask)
    monkeypatch.setattr(plugin_loading, "KINDS", {**plugin_loading.KINDS, "marker": later})
    with pytest.warns(TtmDeprecationWarning) as caught:
        load(ttm_marker_types=lambda: [LaterTask("t", "", "m:f", group="g", kinds=["a"])])
    assert [str(warning.message).partition(", which")[0] for warning in caught] == [
        "plugin made-up of ttmarkers-made 1.0 uses the field group of LaterTask",
        "plugin made-up of ttmarkers-made 1.0 uses the field kinds of LaterTask",
    ]
    assert load(ttm_marker_types=lambda: [LaterTask("t", "", "m:f", slices="g")]).records[0].notes == ()
    assert list(old_in_component(SimpleNamespace(group="g"))) == []


@deprecated(since="0.3", use="new_one")
def old_one(number: int, *, more: int = 0) -> int:
    """Add."""
    return number + more


def test_old_function_warns() -> None:
    """A function goes on working, keeps its name and text, and names the module that calls it."""
    with pytest.warns(TtmDeprecationWarning) as caught:
        assert old_one(1, more=2) == 3
    (warning,) = caught
    assert str(warning.message) == (
        f"{__name__} uses the function {__name__}.old_one, which is old since ttmarkers 0.3 and goes in 0.5: "
        "use new_one"
    )
    assert warning.filename == __file__
    assert (old_one.__name__, old_one.__doc__) == ("old_one", "Add.")


def test_warnings_are_shown(site: Path) -> None:
    """Users see the warning without asking for it, once, and the plugin's file with it."""
    hooks = """
        from ttmarkers.hookspecs import hookimpl

        @hookimpl
        def ttm_tasks():
            return []
    """
    distribution(site, "ttmarkers-aged", {"aged": hooks})
    code = """
        from ttmarkers import hookspecs
        from ttmarkers.compat import old
        from ttmarkers.plugins.manager import create_plugins

        hookspecs.ttm_tasks.ttmarkers_spec["warn_on_impl"] = old("hook ttm_tasks", since="0.3", use="ttm_measures")
        print(*[record.status for record in create_plugins().records])
    """
    done = python_process(code, site=site)
    assert done.out == "ok ok\n"
    assert done.err.count("TtmDeprecationWarning: plugin aged of ttmarkers-aged 1.0 uses the hook ttm_tasks") == 1
    assert f"{site / 'aged.py'}:1: TtmDeprecationWarning" in done.err


def _old_things(source: str) -> Iterator[Deprecation]:
    """Yield what code marks as old."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MARKERS:
            said = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg in ("since", "use")}
            if "since" in said:
                yield Deprecation(ast.unparse(node), said["since"], said["use"])


MADE_UP = """
@hookspec(warn_on_impl=old("hook ttm_a", since="0.3", use="b"))
def ttm_a(): ...

class C:
    x: int = field(default=0, metadata=compat.old_field(since="0.4", use="y"))

@deprecated(since="1.0", use="g")
def f(): ...
"""


@pytest.mark.parametrize(
    ("version", "overdue"), [("0.3.0", []), ("0.4.9", []), ("0.5.0", ["0.3"]), ("0.6.1", ["0.3", "0.4"]),
                             ("1.0.0", ["0.3", "0.4"]), ("1.1.0", ["0.3", "0.4"]), ("1.2.0", ["0.3", "0.4", "1.0"]),
                             ("2.0.0", ["0.3", "0.4", "1.0"])]
)  # fmt: skip
def test_overdue_is_found(version: str, overdue: list[str]) -> None:
    """What is old goes after two minor releases, or with the next major one."""
    found = [thing for thing in _old_things(MADE_UP) if thing.overdue(version)]
    assert sorted(thing.since for thing in found) == overdue


def test_nothing_outlives_its_time() -> None:
    """What became old two minor releases ago is gone."""
    paths = [path for folder in SOURCES for path in folder.rglob("*.py") if path.stem != "compat"]
    things = [thing for path in paths for thing in _old_things(path.read_text(encoding="utf-8"))]
    assert [f"{thing.what} goes in {thing.gone}" for thing in things if thing.overdue(__version__)] == []


def test_nothing_is_said_where_nothing_is_old() -> None:
    """The built-ins use nothing that is old, and are loaded without a warning."""
    from ttmarkers.plugins.manager import create_plugins

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins = create_plugins(candidates=[])
    assert [record.notes for record in plugins.records] == [()]
    component = next(iter(plugins.tasks())).component
    assert list(old_in_component(replace(component, summary="other"))) == []
