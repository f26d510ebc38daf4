"""The house: built-ins have no privileges, and each room of core stands only on rooms below it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ttmarkers
import ttmarkers_plugins
from support import HEAVY

if TYPE_CHECKING:
    from collections.abc import Iterator

CORE, PLUGINS = Path(ttmarkers.__file__).parent, Path(ttmarkers_plugins.__file__).parent

HOUSE = (
    "errors",
    "records",
    "components",
    "protocols",
    "hookspecs",
    "standard_output",
    "requirements",
    "registry",
    "discovery",
    "shared_settings",
    "plugin_guard",
    "plugin_errors",
    "plugin_loading",
    "plugins",
    "blame",
    "manifest",
    "scaffold",
    "dropout",
    "settings",
    "config",
    "taxonomy",
    "taxonomy_changes",
    "taxonomy_sources",
    "guides",
    "datasets",
    "marked",
    "plan",
    "earlier",
    "extraction",
    "stats",
    "lint",
    "fitting",
    "shards",
    "worker",
    "spending",
    "child",
    "engine",
    "local_engine",
    "ray_engine",
    "annotation",
    "annotation_job",
    "grammar",
    "guard",
    "splitting",
    "codecs",
    "template_source",
    "template",
    "rendering",
    "chat",
    "token_texts",
    "encoding",
    "models",
    "wording",
    "checkpoint",
    "migration",
    "hub",
    "figures",
    "statistics",
    "processes",
    "cutting",
    "row_checker",
    "preparation",
    "tax",
    "model_card",
    "run_state",
    "training",
    "asking",
    "budget",
    "sequences",
    "block_text",
    "constraint",
    "language_model",
    "sampling",
    "prefix_cache",
    "transformers_model",
    "block_writer",
    "decode_settings",
    "writing",
    "generation",
    "decoding",
    "steering",
    "posterior",
    "agreement",
    "tagging",
    "sandbox_kernel",
    "sandbox_inside",
    "sandbox_child",
    "sandbox",
    "pass_at_k",
    "case_weights",
    "resampling",
    "results",
    "stored",
    "matching",
    "tail",
    "finding",
    "evaluation",
    "report",
    "result_tables",
    "runs_page",
    "stats_page",
    "synthetic",
    "paper",
    "experiment",
    "experiment_cache",
    "experiment_lab",
    "experiment_answers",
    "experiment_run",
    "experiment_page",
    "experiment_report",
    "cli",
    "testing",
)
"""The rooms from the ground up: a module imports only from those before its own."""

PRIVATE = ("cli", "experiment_report", "testing")
"""What plugins may not import: the rooms that stand on all others."""


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").parts[0]


def _runtime(node: ast.AST, *, top_only: bool = False) -> Iterator[str]:
    """Yield the dotted names that code imports when it runs; what only type checkers read is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _runtime(other, top_only=top_only)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{'.' * child.level}{child.module or ''}.{alias.name}" for alias in child.names)
        elif not (top_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
            yield from _runtime(child, top_only=top_only)


def _imports(path: Path, *, top_only: bool = False) -> list[str]:
    return list(_runtime(ast.parse(path.read_text(encoding="utf-8")), top_only=top_only))


def test_finder_sees_imports() -> None:
    """The finder sees imports inside functions and not those for type checkers."""
    code = "import a\nif TYPE_CHECKING:\n    import b\ndef f():\n    from c import d\n"
    assert list(_runtime(ast.parse(code))) == ["a", "c.d"]
    assert list(_runtime(ast.parse(code), top_only=True)) == ["a"]


@pytest.mark.parametrize("path", _files(CORE), ids=lambda path: str(path.relative_to(CORE)))
def test_rooms_stand_on_rooms_below(path: Path) -> None:
    """No module imports one that stands above it; a new module gets its place in the list."""
    room = _room(path)
    if room == "__init__":
        assert not [name for name in _imports(path) if name.startswith("ttmarkers")]
        return
    assert room in HOUSE, f"{room} has no place in HOUSE yet"
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] == "ttmarkers" and parts[1] in HOUSE and parts[1] != room:
            assert HOUSE.index(parts[1]) < HOUSE.index(room), f"{room} imports {parts[1]}, which stands above it"


def test_list_of_rooms_is_current() -> None:
    """Every room in the list is there."""
    rooms = {_room(path) for path in _files(CORE)} - {"__init__"}
    assert set(HOUSE) == rooms


def test_core_knows_the_built_ins_by_name_only() -> None:
    """Core imports no built-in: it loads them as it loads any plugin, except the place of their name."""
    mentions = {}
    for path in _files(CORE):
        assert not [name for name in _imports(path) if name.startswith("ttmarkers_plugins")]
        text = path.read_text(encoding="utf-8")
        if "ttmarkers_plugins" in text:
            mentions[_room(path)] = text.count("ttmarkers_plugins")
    assert mentions == {"plugins": 1}


@pytest.mark.parametrize("path", _files(PLUGINS), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_built_ins_have_no_privileges(path: Path) -> None:
    """A built-in imports from core only modules that third parties may import, and no private name of one."""
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] == "ttmarkers":
            assert parts[1] in HOUSE
            assert parts[1] not in PRIVATE
            assert not parts[-1].startswith("_")


@pytest.mark.parametrize("path", [*_files(CORE), *_files(PLUGINS)], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_relative_imports(path: Path) -> None:
    """Imports name their module in full."""
    assert not [name for name in _imports(path) if name.startswith(".")]


@pytest.mark.parametrize("path", [PLUGINS / "__init__.py", *_files(CORE / "cli")], ids=lambda path: path.stem)
def test_light_at_the_top(path: Path) -> None:
    """The list of built-ins and the command line import nothing heavy at their top."""
    assert not [name for name in _imports(path, top_only=True) if name.split(".")[0] in HEAVY]
