"""The house, as far as .importlinter does not hold it: privileges, weight, the picture; and that the linter sees."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ttmarkers
import ttmarkers_plugins
from support import HEAVY, TTM, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

CORE, PLUGINS = Path(ttmarkers.__file__).parent, Path(ttmarkers_plugins.__file__).parent

ROOT = Path(__file__).parents[2]


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


def test_the_package_itself_imports_none_of_its_rooms() -> None:
    """Importing ttmarkers alone imports nothing else of ours; import-linter, which holds the rooms, leaves this out."""
    assert not [name for name in _imports(CORE / "__init__.py") if name.startswith("ttmarkers")]


@pytest.mark.parametrize(
    ("room", "line", "told"),
    [
        (
            "errors",
            "def late() -> None:\n    import ttmarkers.config\n",
            "ttmarkers.errors -> ttmarkers.config",
        ),
        ("attic", "", "ttmarkers.attic"),
        (
            "annotation/plan",
            "def late() -> None:\n    import ttmarkers_plugins\n",
            "ttmarkers.annotation.plan -> ttmarkers_plugins",
        ),
    ],
    ids=["function", "no-place", "built-in"],
)
def test_wrong_imports_are_found(room: str, line: str, told: str, tmp_path: Path) -> None:
    """The contracts of .importlinter, which make lint checks, find a wrong import in a function and a room unlisted."""
    for folder in (CORE, PLUGINS):
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "ttmarkers" / f"{room}.py").open("a", encoding="utf-8") as module:
        module.write(line)
    linter = [str(TTM.parent / "lint-imports"), "--no-cache", "--no-logo", "--config", str(ROOT / ".importlinter")]
    variables = {**environment(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(linter, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert told in done.stdout


def test_design_lists_the_rooms() -> None:
    """The picture of the house names every room of core and its modules, as they stand on each other."""
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter", encoding="utf-8")
    page = (ROOT / "docs" / "explanation" / "design.md").read_text(encoding="utf-8")
    picture = page.partition("    core/ttmarkers/\n")[2].partition("    plugins/ttmarkers_plugins/")[0]
    shown: dict[str, list[str]] = {"house": []}
    for indent, name in re.findall(r"^ {6}( {2})?(\w+)(?:\.py|/)", picture, re.MULTILINE):
        if indent:
            shown.setdefault(shown["house"][-1], []).append(name)
        else:
            shown["house"].append(name)
    assert shown == {
        section.rpartition(":")[2]: contract["layers"].split()
        for section, contract in config.items()
        if contract.get("type") == "layers" and contract["containers"].partition(".")[0] == "ttmarkers"
    }


def test_core_knows_the_built_ins_by_name_only() -> None:
    """Core names the built-ins in one place: it loads them as it loads any plugin."""
    mentions = {}
    for path in _files(CORE):
        text = path.read_text(encoding="utf-8")
        if "ttmarkers_plugins" in text:
            mentions[_room(path)] = text.count("ttmarkers_plugins")
    assert mentions == {"plugins": 1}


@pytest.mark.parametrize("path", _files(PLUGINS), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_built_ins_have_no_privileges(path: Path) -> None:
    """A built-in imports no private name of core."""
    assert not [name for name in _imports(path) if name.startswith("ttmarkers.") and "._" in name]


@pytest.mark.parametrize("path", [*_files(CORE), *_files(PLUGINS)], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_relative_imports(path: Path) -> None:
    """Imports name their module in full."""
    assert not [name for name in _imports(path) if name.startswith(".")]


@pytest.mark.parametrize("path", [PLUGINS / "__init__.py", *_files(CORE / "cli")], ids=lambda path: path.stem)
def test_light_at_the_top(path: Path) -> None:
    """The list of built-ins and the command line import nothing heavy at their top."""
    assert not [name for name in _imports(path, top_only=True) if name.split(".")[0] in HEAVY]
