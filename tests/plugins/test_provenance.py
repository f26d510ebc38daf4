"""What had a part in an output is named with its distribution; where it is gone, users are told what to install."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support import SHORT, TRAIN, distribution, ok, python_process, sentence, ttm, write_rows
from ttmarkers.plugins.manager import Candidate, create_plugins
from ttmarkers.provenance import Part, find_parts, hint, lacks, read_parts, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOOKS = """
import click
from ttmarkers.components import ExtractorComponent, MarkerType, PolicyComponent, ProfileComponent, TaskComponent
from ttmarkers.components import TaxonomyChange, TemplateComponent
from ttmarkers.hookspecs import hookimpl

TERSE = (
    "{% set before = ' ' %}{% set after = '\\n' %}{% macro opening() %}[[{% endmacro %}"
    "{% macro marker(name, value) %}{{ name }}:{{ value }}|{% endmacro %}{% macro closing() %}]]{% endmacro %}"
)


@hookimpl
def ttm_marker_types():
    yield MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"))
    yield MarkerType("unused", "Used by none.", "categorical", ("a", "b"))


@hookimpl
def ttm_taxonomy_changes():
    yield TaxonomyChange("mild", "Why.", "mood", add=("calm",))
    yield TaxonomyChange("robots", "Not used.", "domain", add=("Robotics",))


@hookimpl
def ttm_extractors():
    yield ExtractorComponent("smileys", "Counts.", "ttmarkers_mood_code:Mood", markers=("mood",))


@hookimpl
def ttm_templates():
    yield TemplateComponent("terse", "Square brackets.", TERSE)


@hookimpl
def ttm_profiles():
    yield ProfileComponent("diary", "Mine.", "markers: {use: [mood, length_tokens]}")


@hookimpl
def ttm_decoding_policies():
    yield PolicyComponent("happy", "As fixed.", "ttmarkers_plugins.policies.basic:Inferred")


@hookimpl
def ttm_commands():
    yield click.Command("smile", callback=lambda: click.echo(":-)"), help="Smile.")
"""
CODE = """
from ttmarkers.records import Found


class Mood:
    def extract(self, batch):
        return [{"mood": Found("happy" if ":-)" in s.example.completion else "sad")} for s in batch]
"""
MOOD = {"distribution": "ttmarkers-mood", "version": "2.3"}


@contextmanager
def _installed(site: Path) -> Iterator[None]:
    """Have what lies in a folder be installed meanwhile."""
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))
        for name in [name for name in sys.modules if name.startswith("ttmarkers_mood")]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installed distribution ttmarkers-mood."""
    folder = tmp_path_factory.mktemp("site")
    distribution(folder, "ttmarkers-mood", {"ttmarkers_mood": HOOKS, "ttmarkers_mood_code": CODE}, version="2.3")
    return folder


@pytest.fixture(scope="module")
def marked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that were annotated while it was installed."""
    folder = tmp_path_factory.mktemp("rows")
    rows = [{"prompt": f"Say {n}.", "completion": f"It is {n}." + " :-)" * (n % 2)} for n in range(24)]
    with _installed(site):
        words = ["--profile", "diary"]
        ok(ttm("annotate", write_rows(folder / "rows.jsonl", rows), "-o", folder / "marked.jsonl", *words))
    return folder / "marked.jsonl"


@pytest.fixture(scope="module")
def model(site: Path, marked: Path) -> Path:
    """A model that was trained on them, with the distribution's template."""
    output = marked.parent / "model"
    with _installed(site):
        ok(ttm("train", marked, "--model", "scratch:tiny", "--template", "terse", "-o", output, *TRAIN))
    return output


def _parts(path: Path) -> list[tuple[str, str, str]]:
    data = json.loads(path.read_bytes())
    return [(part["kind"], part["name"], part["distribution"]) for part in data["parts"]]


MINE = "ttmarkers-mood"
ANNOTATED = [
    ("marker", "length_tokens", "ttmarkers"),
    ("marker", "mood", MINE),
    ("taxonomy change", "mild", MINE),
    ("extractor", "smileys", MINE),
    ("profile", "diary", MINE),
]


def test_run_json_names_what_was_used(marked: Path) -> None:
    """What was asked and used is named, with its version, and nothing that was merely installed."""
    path = marked.with_name(marked.name + ".run.json")
    found = _parts(path)
    assert [part for part in found if part[2] == MINE] == [part for part in ANNOTATED if part[2] == MINE]
    assert ("marker", "length_tokens", "ttmarkers") in found
    assert ("marker", "domain", "ttmarkers") not in found
    extractors = [name for kind, name, _ in found if kind == "extractor"]
    assert "smileys" in extractors
    assert "code-type" not in extractors
    assert {part["version"] for part in json.loads(path.read_bytes())["parts"] if part["distribution"] == MINE} == {
        "2.3"
    }


def test_the_model_names_what_its_rows_were_made_with(model: Path) -> None:
    """markers.json and run.json name the training's own parts and those of the annotation."""
    found = _parts(model / "markers.json")
    assert found == _parts(model / "run.json")
    assert {*ANNOTATED, ("template", "terse", MINE), ("strategy", "sft", "ttmarkers")} <= set(found)
    assert len(found) == len(set(found))
    assert ("marker", "unused", MINE) not in found


def test_trained_further(model: Path, marked: Path, tmp_path: Path) -> None:
    """A model that is trained further keeps the parts of the one that it began with, though they are gone."""
    rows = [json.loads(line) for line in marked.read_text(encoding="utf-8").splitlines()]
    bare = [{**row, "markers": {"length_tokens": row["markers"]["length_tokens"]}} for row in rows]
    path = write_rows(tmp_path / "bare.jsonl", bare)
    template = tmp_path / "terse.jinja"
    template.write_text(json.loads((model / "markers.json").read_bytes())["template"]["source"], encoding="utf-8")
    done = ok(ttm("train", path, "--model", model, "--template", template, "-o", tmp_path / "next", *TRAIN))
    assert "and is not installed: pip install ttmarkers-mood==2.3\n" in done.err
    assert ("extractor", "smileys", MINE) in _parts(tmp_path / "next" / "markers.json")


@pytest.mark.parametrize("command", ["generate", "evaluate", "calibrate", "checkpoint"])
def test_a_plugin_that_is_gone(model: Path, marked: Path, tmp_path: Path, command: str) -> None:
    """A model whose plugin is gone works where it can, and says which distribution to install."""
    words: dict[str, list[Any]] = {
        "generate": ["generate", model, "Hi", "-m", "mood=calm", "-o", tmp_path / "out", *SHORT],
        "evaluate": ["evaluate", model, "--task", "length", "--limit", 2, "-o", tmp_path / "out", *SHORT],
        "calibrate": ["calibrate", model, marked],
        "checkpoint": ["checkpoint", "migrate", model, "--dry-run"],
    }
    done = ttm(*words[command])
    said = f"{model}: ttmarkers-mood 2.3 had a part in it (marker mood, taxonomy change mild, extractor smileys, "
    assert done.err.startswith(said), done.err
    assert "and is not installed: pip install ttmarkers-mood==2.3\n" in done.err
    assert done.err.count("had a part in it") == 1
    if command == "calibrate":  # its rows have a marker that is not there
        assert done.code == 2
        (line,) = [line for line in done.err.splitlines() if line.startswith("ttm: ")]
        assert "unknown marker 'mood'" in line
        assert line.endswith("it came from ttmarkers-mood 2.3, which is not installed: pip install ttmarkers-mood==2.3")
    else:
        assert done.code == 0, done.err
    if command in ("generate", "evaluate"):
        found = _parts(
            next(path for path in (tmp_path / "out.run.json", tmp_path / "out" / "run.json") if path.exists())
        )
        policy = "fixed" if command == "generate" else "inferred"
        assert ("policy", policy, "ttmarkers") in found
        assert ("template", "terse", MINE) in found
        assert (("task", "length", "ttmarkers") in found) == (command == "evaluate")


def test_extractors_that_a_task_asks(tmp_path: Path) -> None:
    """What finds markers in answers had a part in their scores, and a stored answer's policy did not."""
    answers = write_rows(tmp_path / "answers.jsonl", [{"prompt": "Hi", "text": "Hello."}])
    data = write_rows(tmp_path / "data.jsonl", [{"prompt": "Hi", "markers": {"length_sentences": 1}}])
    words = ["--task", "markers", "--data", data, "--generations", answers, "-o", tmp_path / "run"]
    ok(ttm("evaluate", *words))
    found = _parts(tmp_path / "run" / "run.json")
    assert {("task", "markers", "ttmarkers"), ("extractor", "spacy-length", "ttmarkers")} <= set(found)
    assert "policy" not in {kind for kind, _, _ in found}


def test_show(model: Path) -> None:
    """What a model's parts are, and which of them are gone, can be looked up."""
    shown = ok(ttm("checkpoint", "show", model)).out
    assert "template         terse          ttmarkers-mood 2.3  is not installed" in shown
    assert {"kind": "extractor", "name": "smileys", **MOOD} in ok(ttm("checkpoint", "show", model, "--json")).json()[
        "parts"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stats", "MARKED"], "unknown marker 'mood'"),
        (["preview", "MARKED", "--template", "terse"], "unknown template 'terse' (template)"),
        (["train", "MARKED", "--model", "MODEL", "--template", "terse", "-o", "OUT"], "unknown template 'terse'"),
        (["train", "MARKED", "--model", "MODEL", "-o", "OUT"], "unknown marker 'mood'"),
    ],
)
def test_a_component_that_is_needed(model: Path, marked: Path, tmp_path: Path, words: list[str], said: str) -> None:
    """Where a component is needed that is gone, the error says what to install."""
    places = {"MARKED": marked, "MODEL": model, "OUT": tmp_path / "out"}
    done = ttm(*(places.get(word, word) for word in words))
    line = done.err.splitlines()[-1]
    if "template" in said and words[0] == "preview":  # the rows were not made with it: nothing is known of it
        assert "pip install" not in line
    else:
        assert line.endswith("it came from ttmarkers-mood 2.3, which is not installed: pip install ttmarkers-mood==2.3")
    assert (done.code, said in line) == (2, True)
    assert "ttmarkers-mood 2.3 had a part in it" in done.err


def test_a_plugin_that_is_broken(model: Path, marked: Path, tmp_path: Path) -> None:
    """A plugin that does not load is named with its error; one that is disabled is the user's own wish."""
    broken = tmp_path / "site"
    distribution(broken, "ttmarkers-mood", {"ttmarkers_mood": "import nothing_of_that_name"}, version="2.4")
    with _installed(broken):
        done = ok(ttm("generate", model, "Hi", *SHORT))
        assert "had a part in it" in done.err
        assert "and did not load (" in done.err
        assert "nothing_of_that_name" in done.err
        failed = ttm("stats", marked)
        assert "it came from ttmarkers-mood 2.3, which did not load (" in sentence(failed.err.splitlines()[-1])
        assert ok(ttm("--no-plugin", "ttmarkers_mood", "generate", model, "Hi", *SHORT)).err == ""


def _lacks(version: str, installed: str) -> list[str]:
    plugins = create_plugins(candidates=[Candidate("mood", "json", "Ttmarkers.Mood", installed)])
    return [str(lack) for lack in lacks([Part("marker", "mood", "ttmarkers-mood", version)], plugins)]


@pytest.mark.parametrize(
    ("version", "installed", "told"),
    [
        ("2.3", "2.3", False),
        ("2.3", "2.9.1", False),
        ("2.3", "3.0", True),
        ("0.4.1", "0.4.9", False),
        ("0.4", "0.5", True),
        ("1!2", "", True),
    ],
)
def test_other_versions(version: str, installed: str, told: bool) -> None:
    """Another major release is told, and below 1.0 another minor one; no other is."""
    found = _lacks(version, installed)
    assert bool(found) == told
    if told:
        assert (
            f"is installed as {installed}: if it does otherwise now, pip install ttmarkers-mood=={version}" in found[0]
        )


def test_parts_are_sorted_and_unique() -> None:
    """A list of parts is the same whatever order they are found in, and is read back; what is damaged is left out."""
    plugins = create_plugins(third_party=False)
    parts = find_parts(plugins, marker=["lang", "task"], template=["paper", "of/a/file.jinja"], policy=["fixed"])
    assert [part.name for part in parts] == ["lang", "task", "paper", "fixed"]
    listed = to_json([*reversed(parts), *parts])
    assert [entry["name"] for entry in listed] == ["lang", "task", "paper", "fixed"]
    assert read_parts({"parts": listed}) == parts
    assert read_parts({"parts": [*listed, "x", {"kind": 1}, {}]}) == parts
    assert [read_parts(data) for data in ({}, [], None, {"parts": "x"}, {"parts": {"a": 1}})] == [[]] * 5
    assert lacks(parts, plugins) == []
    assert hint(parts, plugins, "template", "paper") == ""


def test_a_later_version_that_lacks_it(site: Path) -> None:
    """A distribution that is there and no longer offers a component is named with the version that did."""
    distribution(site, "ttmarkers-mood", {"mood_plugin": "from ttmarkers.hookspecs import hookimpl\n"}, version="2.4")
    code = """
        from ttmarkers.plugins.manager import create_plugins
        from ttmarkers.provenance import Part, hint
        print(hint([Part("marker", "mood", "ttmarkers-mood", "2.3")], create_plugins(), "marker", "mood"))
    """
    said = python_process(code, site=site).out.strip()
    assert said == "it came from ttmarkers-mood 2.3, and 2.4 does not offer it: pip install ttmarkers-mood==2.3"
