"""A plugin to begin with: its names, its files, and how they are written; `tests/plugins/test_scaffold.py` uses it."""

from __future__ import annotations

import ast
import json
import re
import string
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from support import python_process, sentence, ttm
from ttmarkers import __version__, hookspecs
from ttmarkers.components import MarkerType
from ttmarkers.errors import ConfigError, OutputExistsError
from ttmarkers.scaffold import KINDS, LONGEST, USUAL, chosen, names_of, plugin_files, requirement, write_plugin

if TYPE_CHECKING:
    from collections.abc import ItemsView, Iterator

DISTRIBUTION = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE)  # as packaging has it
MODULES = {
    "marker": set(),
    "extractor": {"extract.py"},
    "template": {"block.jinja"},
    "strategy": {"train.py"},
    "policy": {"decode.py"},
    "task": {"task.py", "sample.jsonl"},
    "profile": {"profile.yaml"},
    "guide": {"guide.yaml"},
    "command": {"command.py"},
}
"""What each kind adds to a plugin's module."""

words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=6)
good_names = (
    st.lists(words, min_size=1, max_size=4)
    .map("-".join)
    .filter(lambda name: name[0].isalpha() and len(name) <= LONGEST)
)
some_kinds = st.sets(st.sampled_from(sorted(KINDS)), min_size=1)


def refusal(name: str) -> str:
    """Return the name that is suggested where this one is refused; an empty text where it is good."""
    try:
        names_of(name)
    except ConfigError as error:
        (line,) = str(error).splitlines()
        return line.rpartition(" such as ")[2].strip("'")
    return ""


@given(st.text(max_size=50) | words | good_names)
@example("ttmarkers-")
@example("Späte Antworten")
@example("a" * (LONGEST + 1))
@example("--")
@example("mood\n")
def test_any_name(name: str) -> None:
    """A name is good for a distribution, a module and a marker type, or is refused with one that is."""
    hint = refusal(name)
    if hint:
        assert hint != name
        assert refusal(hint) == ""
    names = names_of(hint or name)
    assert DISTRIBUTION.fullmatch(names.distribution)
    assert names.module.isidentifier()
    assert MarkerType(names.marker, "", "int").name == names.marker
    assert f"{names.title}Task".isidentifier()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("Mood", "mood"), ("late_replies", "late-replies"), ("3d", "d"), ("a--b-", "a-b"), ("", "mood"), ("été", "ete")],
)
def test_suggested_names(wrong: str, right: str) -> None:
    """What is suggested is near to what was written."""
    with pytest.raises(ConfigError, match=f"such as '{right}'"):
        names_of(wrong)


def test_prefix_may_be_written() -> None:
    """Who writes the distribution's name means the plugin of it."""
    assert names_of("ttmarkers-mood") == names_of("mood")


@given(good_names, some_kinds)
def test_files_of_any_plugin(name: str, kinds: set[str]) -> None:
    """Whatever the name and the kinds: the files are whole, can be read, and keep their line length."""
    names = names_of(name)
    files = plugin_files(names, kinds)
    for path, text in files.items():
        assert "<%" not in text, path
        assert "%>" not in text, path
        assert not path.endswith((".py", ".toml", ".yaml")) or max(map(len, text.splitlines()), default=0) <= 120, path
        assert text == "" or text.endswith("\n"), path
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)), path
        elif path.endswith(".yaml"):
            assert yaml.safe_load(text), path
        elif path.endswith(".jsonl"):
            assert all(json.loads(line) for line in text.splitlines()), path
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == names.distribution
    assert project["entry-points"] == {"ttmarkers": {name: names.module}}
    assert f"src/{names.module}/py.typed" in files


@given(some_kinds)
def test_files_of_each_kind(kinds: set[str]) -> None:
    """A plugin holds what its kinds need and no more, and a test for each."""
    files = plugin_files(names_of("mood"), kinds)
    home = "src/ttmarkers_mood/"
    modules = {path.removeprefix(home) for path in files if path.startswith(home)}
    assert modules == {"__init__.py", "py.typed"}.union(*(MODULES[kind] for kind in kinds))
    hooks = {node.name for node in ast.parse(files[home + "__init__.py"]).body if isinstance(node, ast.FunctionDef)}
    assert len(hooks) == len(kinds)
    tests = [path for path in files if path.startswith("tests/")]
    assert len(tests) == 1 + len(kinds)
    others = set(files) - {home + name for name in modules} - set(tests)
    assert others == {"pyproject.toml", "README.md", ".gitignore"}
    # what uses a marker uses the plugin's own, if it has one
    for name, other in (("decode.py", "length_tokens"), ("guide.yaml", "source")):
        assert home + name not in files or (other in files[home + name]) == ("marker" not in kinds)


def test_every_hook_has_a_kind() -> None:
    """What a hook yields can be begun; changes of other plugins' marker types are written by hand."""
    hooks = {name for name in vars(hookspecs) if name.startswith("ttm_")} - {"ttm_taxonomy_changes"}
    files = plugin_files(names_of("mood"), KINDS)
    module = ast.parse(files["src/ttmarkers_mood/__init__.py"])
    assert {node.name for node in module.body if isinstance(node, ast.FunctionDef)} == hooks


def test_nobody_else_pays() -> None:
    """Jinja is imported when a plugin is written, not when commands or plugins are listed."""
    code = """
        import sys
        import ttmarkers.cli.plugins
        print(sorted({"jinja2", "ttmarkers_templates"} & set(sys.modules)))
    """
    assert python_process(code).out == "[]\n"


def test_kinds() -> None:
    """Kinds come in one order and once; a pair that works together if none is named."""
    assert chosen(["task", "marker", "task"]) == ("marker", "task")
    assert chosen([]) == USUAL


@given(st.integers(0, 9), st.integers(0, 40), st.integers(0, 9), st.sampled_from(["", "rc1", ".dev2", "a1"]))
def test_needed_versions(major: int, minor: int, patch: int, end: str) -> None:
    """A plugin takes the version that it was begun with, and those in which nothing can have gone that it uses."""
    needed = Requirement(requirement(f"{major}.{minor}.{patch}{end}"))
    assert needed.name == "ttmarkers"
    for good in (f"{major}.{minor}.{patch}{end}", f"{major}.{minor}.{patch}", f"{major}.{minor + 2}.7"):
        assert needed.specifier.contains(good, prereleases=True), good
    for bad in (f"{major}.{minor + 3}", f"{major + 1}.0", *([f"{major}.{minor - 1}.9"] if minor else [])):
        assert not needed.specifier.contains(bad), bad


def test_this_version_is_taken() -> None:
    """What is written can be installed beside what wrote it."""
    assert Requirement(requirement()).specifier.contains(__version__, prereleases=True)


def test_written_whole(tmp_path: Path) -> None:
    """All files are there as they were given, with the rights of any other, and nothing else is left."""
    files = plugin_files(names_of("mood"), KINDS)
    write_plugin(files, tmp_path / "new" / "mood")
    root = tmp_path / "new" / "mood"
    assert {str(path.relative_to(root)): path.read_text("utf-8") for path in root.rglob("*") if path.is_file()} == files
    assert list(root.parent.iterdir()) == [root]
    (tmp_path / "other").mkdir()
    assert root.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_interrupted(tmp_path: Path) -> None:
    """A fault on the way leaves nothing behind."""
    files = {**plugin_files(names_of("mood"), USUAL), "tests/unwritable.py": "\ud800"}
    with pytest.raises(UnicodeEncodeError):
        write_plugin(files, tmp_path / "mood")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder with something in it stays as it is, also one that comes to be meanwhile."""
    folder = tmp_path / "mood"

    class Meanwhile(dict[str, str]):
        def items(self) -> ItemsView[str, str]:
            folder.mkdir()
            (folder / "mine.txt").write_text("mine")
            return super().items()

    for files in (Meanwhile({"a.txt": "a"}), {"a.txt": "a"}):
        with pytest.raises(OutputExistsError, match=r"mood .*-o"):
            write_plugin(files, folder)
        assert [path.name for path in tmp_path.iterdir()] == ["mood"]
        assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_into_the_empty_folder_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is filled and not replaced: a shell may stand in it. What fails on the way is taken out again."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    node = empty.stat().st_ino
    write_plugin({"a.txt": "a", "b/c.txt": "c"}, Path())
    assert empty.stat().st_ino == node
    assert {path.name for path in Path.cwd().iterdir()} == {"a.txt", "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_filling_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one part cannot be moved, those before it are taken out: the folder is as empty as it was."""
    (tmp_path / "empty").mkdir()
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "c.txt":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        write_plugin({"a.txt": "a", "b/d.txt": "d", "c.txt": "c"}, tmp_path / "empty")
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, which the test must leave empty."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Mood"], "a plugin cannot be called 'Mood': write lower-case letters"),
        (["mood", "--kind", "extracter"], "unknown kind 'extracter' (--kind): did you mean 'extractor'?"),
        (["lang"], "marker 'lang' exists already, of ttmarkers"),
        (["layout"], "extractor 'layout' exists already, of ttmarkers"),
        (["json", "--kind", "template"], "template 'json' exists already, of ttmarkers"),
        (["sft", "--kind", "strategy"], "strategy 'sft' exists already, of ttmarkers"),
        (["length", "--kind", "task"], "task 'length' exists already, of ttmarkers"),
        (["dolly", "--kind", "profile"], "profile 'dolly' exists already, of ttmarkers"),
        (["fr", "--kind", "guide"], "guide 'fr' exists already, of ttmarkers"),
        (["train", "--kind", "command"], "command 'ttm train' exists already"),
        (["builtin", "--kind", "task"], "plugin 'builtin' exists already, of ttmarkers"),
        (["templates", "--kind", "task"], "module 'ttmarkers_templates' exists already"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_refused(inside: Path, words: list[str], message: str) -> None:
    """A name that something else has is refused with what has it; nothing is written."""
    done = ttm("--no-plugins", "plugins", "new", *words)
    assert (done.code, done.out) == (2, "")
    assert message in sentence(done.err)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is told on standard output, and what to do next beside it; a second run changes nothing."""
    monkeypatch.chdir(tmp_path)
    done = ttm("--no-plugins", "plugins", "new", "mood")
    assert (done.code, done.out) == (0, "ttmarkers-mood\n")
    assert "cd ttmarkers-mood && pip install -e '.[dev]' && pytest" in done.err
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = ttm("--no-plugins", "plugins", "new", "mood", "--kind", "task")
    assert (again.code, sentence(again.err)) == (
        2,
        "ttm: ttmarkers-mood exists already: remove it or name another output with -o",
    )
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    other = ttm("--no-plugins", "plugins", "new", "mood", "--kind", "policy", "-o", "a b/mood", "--json").json()
    assert (other["folder"], other["components"]) == ("a b/mood", {"policies": ["ask-mood"]})
    written = [path.relative_to(tmp_path / "a b/mood") for path in (tmp_path / "a b/mood").rglob("*")]
    assert sorted(other["files"]) == sorted(str(path) for path in written if (tmp_path / "a b/mood" / path).is_file())
