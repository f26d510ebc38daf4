"""The command line: help, hints, exit codes, listings; and that looking around imports nothing heavy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support import HEAVY, greetings, python_process, ttm, ttm_process, write_rows
from ttmarkers import __version__
from ttmarkers.cli import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

GROUPS = ("markers", "templates", "strategies", "policies", "tasks", "extractors", "plugins")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        *([group, "list"] for group in GROUPS),
        ["markers", "show", "lang"],
        ["templates", "show", "paper"],
    ],
    ids=" ".join,
)
def test_looking_around_imports_nothing_heavy(words: list[str]) -> None:
    """Help and listings import neither torch nor any other heavy package."""
    code = """
        import json, sys
        from ttmarkers.cli import main
        try:
            main(sys.argv[2:])
        except SystemExit as stop:
            loaded = [name for name in json.loads(sys.argv[1]) if name in sys.modules]
            print("LOADED", stop.code, loaded)
    """
    done = python_process(code, json.dumps(HEAVY), *words)
    assert done.out.splitlines()[-1:] == ["LOADED 0 []"], done


def test_help_lists_every_command() -> None:
    """Help shows every command with its line, in the order of the loop."""
    done = ttm("--help")
    assert (done.code, done.err) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.out.split("Commands:\n")[1].partition("\n\n")[0].splitlines()]
    assert [(name, text) for name, text in lines if name in COMMANDS] == list(COMMANDS.items())


def test_installed_command() -> None:
    """The installed command runs, and prints results on standard output alone."""
    done = ttm_process("--version")
    assert (done.code, done.out, done.err) == (0, f"ttm, version {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "x.jsonl", "-o", "y"], "no model is named: give --model, such as scratch:tiny"),
        (["train", "x.jsonl", "-o", "y", "--model", "scratch:tniy"], "did you mean 'tiny'?"),
        (["evaluate", "--task", "length"], "give either MODEL or --generations FILE"),
        (["annotate", "gone.jsonl", "-o", "out.jsonl"], "input 'gone.jsonl': there is no such file"),
        (["annotate", "gone.jsonl", "-o", "out.jsonl", "--set", "seed"], "write key=value"),
        (["-c", "gone.yaml", "annotate", "x.jsonl", "-o", "out.jsonl"], "config gone.yaml cannot be read"),
        (["generate", "m", "hi", "-m", "lang"], "-m 'lang': write NAME=VALUE, such as lang=French"),
        (["generate", "m", "hi", "-m", "lang=fr", "-m", "lang=de"], "lang is given twice"),
        (["generate", "m", "hi", "--input", "x.jsonl"], "give either PROMPT or --input, not both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_commands(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong command, option or name is exit 2 and one sentence on standard error, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = ttm(*words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    """With --debug the traceback stands before the sentence."""
    words = ["annotate", tmp_path / "gone.jsonl", "-o", tmp_path / "out.jsonl"]
    plain, debug = ttm(*words), ttm("--debug", *words)
    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last)" in debug.err
    assert debug.err.endswith(plain.err)
    assert debug.code == plain.code == 2


def test_interrupt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ctrl-C ends a command with 130 and a word, not with a traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ttmarkers.annotation.run.annotate", interrupt)
    rows = write_rows(tmp_path / "rows.jsonl", greetings(1))
    done = ttm("annotate", rows, "-o", tmp_path / "out.jsonl")
    assert done.code == 130
    assert "interrupted" in done.err
    assert "Traceback" not in done.err


def test_markers_list(taxonomy: Taxonomy) -> None:
    """The list holds the paper's thirteen marker types in block order, for people and as JSON."""
    shown = ttm("markers", "list")
    assert [line.split()[0] for line in shown.out.splitlines()] == ["name", *taxonomy.names]
    kinds = ttm("markers", "list", "--json").json()
    assert [kind["name"] for kind in kinds] == list(taxonomy.names)
    assert len(kinds) == 13
    assert sum(len(kind["values"]) for kind in kinds) == 87
    assert all(kind["distribution"].startswith("ttmarkers ") for kind in kinds)


def test_markers_show() -> None:
    """A marker is shown with its values, aliases and who finds it, or how to declare it."""
    lang = ttm("markers", "show", "lang")
    for part in ("lang (categorical)", "English, French", "fr = French", "extractors: langid"):
        assert part in lang.out
    assert "extractors: distilled, embedding, llm, lm" in ttm("markers", "show", "source").out
    data = ttm("markers", "show", "length_tokens", "--json").json()
    assert (data["kind"], data["minimum"], data["extractors"]) == ("int", 0, ["spacy-length"])


@pytest.mark.parametrize("name", ["paper", "compact", "json"])
def test_templates_show(name: str, plugins: Plugins) -> None:
    """A template is shown with its source and a block that it writes."""
    done = ttm("templates", "show", name)
    assert done.code == 0
    assert "{%- macro marker(name, value) -%}" in done.out
    assert "French" in done.out.splitlines()[-1]
    assert plugins.templates().get(name).summary in ttm("templates", "list").out


def test_a_template_of_a_file_is_shown(tmp_path: Path) -> None:
    """A file is shown as a registered template is; one that is not there is named."""
    path = tmp_path / "mine.jinja"
    path.write_text(ttm("templates", "show", "compact", "--json").json()["source"], encoding="utf-8")
    assert ttm("templates", "show", path).out == ttm("templates", "show", "compact").out
    missing = ttm("templates", "show", tmp_path / "no.jinja")
    assert (missing.code, missing.out) == (2, "")
    assert "no.jinja' cannot be read: No such file or directory" in missing.err


@pytest.mark.parametrize("group", [group for group in GROUPS if group != "plugins"])
def test_lists_as_json(group: str) -> None:
    """Every listing prints one JSON document with name and distribution of each entry, and one line each for people."""
    done, shown = ttm(group, "list", "--json"), ttm(group, "list")
    assert (done.code, shown.code, done.err, shown.err) == (0, 0, "", "")
    entries = done.json()
    assert entries
    assert all({"name", "distribution"} <= set(entry) for entry in entries)
    assert len(shown.out.splitlines()) == len(entries) + 1


def test_plugins_list() -> None:
    """The built-ins are a plugin like any other, with status, hooks and what they offer."""
    (entry,) = ttm("--no-plugins", "plugins", "list", "--json").json()
    assert (entry["name"], entry["distribution"], entry["status"], entry["error"]) == ("builtin", "ttmarkers", "ok", "")
    assert "paper" in entry["components"]["templates"]
    assert "ttm_marker_types" in entry["hooks"]
