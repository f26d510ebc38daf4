"""What authors of plugins call: light to import, a tiny model, fixtures, made-up plugins, the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import HEAVY, python_process
from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.components import MarkerType, TemplateComponent
from ttmarkers.errors import DataError, PluginError
from ttmarkers.taxonomies.taxonomy import make_taxonomy
from ttmarkers.testing import marked_rows, plugins_with, tiny_model, ttm, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins

MOOD = MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"))
ROUND = TemplateComponent(
    "round",
    "Round.",
    "{% set after = '\n' %}{% macro opening() %}({% endmacro %}{% macro closing() %}){% endmacro %}"
    "{% macro marker(name, value) %}{{ name }}:{{ value }}|{% endmacro %}",
)
SHORT = ("--set", "decode.max_new_tokens=4")


def test_it_is_light() -> None:
    """Nothing heavy is imported before a check needs it, and no pytest: plugins may be checked without."""
    code = f"import sys, ttmarkers.testing; print([m for m in {(*HEAVY, 'pytest')!r} if m in sys.modules])"
    done = python_process(code)
    assert done.out == "[]\n", done.err


def test_all_that_is_named_is_there() -> None:
    """The list of names is right, and everything in it says what it does."""
    from ttmarkers import testing

    for name in testing.__all__:
        assert name == "ROWS" or getattr(testing, name).__doc__


def test_a_tiny_model_knows_what_no_plugin_offers(tmp_path: Path) -> None:
    """A marker type and a template of one's own are in the model, which needs no plugin to be used."""
    model = tiny_model(tmp_path / "model", types=[MOOD], template=ROUND)
    checkpoint = load_checkpoint(str(model))
    assert checkpoint.taxonomy.names == ("length_tokens", "lang", "mood")
    assert (checkpoint.template_name, checkpoint.template_source) == ("round", ROUND.source)
    done = ttm("generate", model, "Hello!", "-m", "mood=happy", "--json", *SHORT)
    assert (done.code, done.json()["fault"]) == (0, ""), done.err
    assert "mood:happy|" in done.json()["raw"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_tiny_model_is_the_same_each_time(tmp_path: Path) -> None:
    """Its weights depend on rows and seed alone; training changes them."""
    rows = marked_rows(number=9)
    folders = [
        tiny_model(tmp_path / "one", rows=rows),
        tiny_model(tmp_path / "same", rows=rows),
        tiny_model(tmp_path / "other", rows=rows, seed=1),
        tiny_model(tmp_path / "trained", rows=rows, steps=3),
    ]
    one, same, other, trained = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert one == same
    assert len({one, other, trained}) == 3
    log = json.loads((folders[-1] / "log.json").read_bytes())
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]


def test_a_tiny_model_of_bad_rows(tmp_path: Path) -> None:
    """Rows that cannot be trained on are told of as in training, and nothing is left lying about."""
    with pytest.raises(DataError, match="row 1: the row has no markers"):
        tiny_model(tmp_path / "model", rows=[{"prompt": "a", "completion": "b"}])
    assert not list(tmp_path.glob("*.jsonl"))


def test_rows_have_all_markers_that_are_asked_for() -> None:
    """Made-up rows have every marker of a taxonomy, with values that differ and that it holds."""
    taxonomy = make_taxonomy(plugins_with(MOOD, installed=False).marker_types().all())
    rows = marked_rows(taxonomy)
    for kind in taxonomy:
        assert len({row["markers"][kind.name] for row in rows}) == min(len(kind.values) or 3, 3)
    for row in rows:
        assert taxonomy.check(row["markers"]) == row["markers"]


def test_made_up_plugins() -> None:
    """Components stand beside the built-ins; what is offered already is not added, what collides is told."""
    found = plugins_with(MOOD, ROUND, installed=False)
    assert "mood" in found.marker_types()
    assert "round" in found.templates()
    assert {record.source.split()[0] for record in found.records} == {"ttmarkers"}
    lang = found.marker_types().get("lang")
    assert plugins_with(lang, installed=False).marker_types().get("lang") == lang
    with pytest.raises(PluginError, match="'lang' is offered twice"):
        plugins_with(MarkerType("lang", "Another.", "int"), installed=False).marker_types().get("lang")
    with pytest.raises(TypeError, match="'mood' is no component"):
        plugins_with("mood")


def test_fixtures(
    ttm: Callable[..., Any],
    ttm_plugins: Plugins,
    ttm_rows: list[dict[str, Any]],
    ttm_marked: Path,
    ttm_model: Path,
) -> None:
    """The fixtures belong together: the rows are annotated rows of the markers that the model knows."""
    assert "sft" in ttm_plugins.strategies()
    counted = ttm("stats", ttm_marked, "--json").json()
    assert counted["rows"] == len(ttm_rows)
    assert load_checkpoint(str(ttm_model)).taxonomy.names == ("length_tokens", "lang")
    answer = ttm("generate", ttm_model, ttm_rows[0]["prompt"], "-m", "lang=fr", "--json", *SHORT)
    assert answer.json()["markers"]["lang"] == "French"


def test_the_tests_of_a_plugin_run(tmp_path: Path) -> None:
    """In a project of somebody else's the fixtures are there by one line, where every warning is an error."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["ttmarkers.testing.fixtures"]\n', encoding="utf-8")
    test = (
        "import ttmarkers.testing\n\ndef test_rows(ttm_rows, ttm):\n    assert ttm_rows and not ttm('--version').code\n"
    )
    (tmp_path / "test_mine.py").write_text(test, encoding="utf-8")
    words = ["-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = python_process(f"import pytest, sys; sys.exit(pytest.main({words!r}))")
    assert (done.code, "1 passed" in done.out) == (0, True), done.out + done.err


def test_the_command_line_runs_here(tmp_path: Path) -> None:
    """Paths and numbers are words, standard input is read, and errors come with their exit code."""
    rows = write_rows(tmp_path / "rows.jsonl", marked_rows(number=3))
    assert ttm("stats", rows, "--json").json()["rows"] == 3
    assert len(ttm("preview", rows, "-n", 2, "--json").lines()) == 2
    wrong = ttm("stats", tmp_path / "gone.jsonl")
    assert (wrong.code, wrong.out) == (2, "") or wrong.code == 1
    assert "gone.jsonl" in wrong.err
