"""Plugins that fail: they are kept with their error, stop no listing, and stop every run that may need them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import distribution, read_rows, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("mood", "How the answer feels.", "categorical", ("happy", "sad"))


"""
BROKEN = {
    "import-error": (
        "import no_such_module_anywhere\n",
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    "syntax-error": ("def hook(:\n", "SyntaxError: "),
    "raises": ("raise RuntimeError('first line\\nsecond line')\n", "RuntimeError: first line"),
    "exit": ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    "hook-raises": (
        HEAD + "@hookimpl\ndef ttm_extractors():\n    raise ValueError('no smileys')\n    yield\n",
        "ValueError: no smileys",
    ),
    "hook-exits": (HEAD + "@hookimpl\ndef ttm_extractors():\n    raise SystemExit(3)\n    yield\n", "SystemExit: 3"),
    "hook-yields-text": (
        HEAD + "@hookimpl\ndef ttm_extractors():\n    yield 'mood'\n",
        "TypeError: ttm_extractors yields ExtractorComponent, not str",
    ),
    "hook-returns-nothing": (HEAD + "@hookimpl\ndef ttm_extractors():\n    pass\n", "TypeError: "),
    "misspelt-hook": (HEAD + "@hookimpl\ndef ttm_extracters():\n    yield\n", "ttm_extracters"),
    "unmarked-hook": (HEAD + "def ttm_extractors():\n    yield\n", "ttm_extractors is not marked with @hookimpl"),
    "hook-with-argument": (HEAD + "@hookimpl\ndef ttm_extractors(config):\n    yield\n", "ttm_extractors"),
}
GOOD = """
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("zeal", "How eager the answer is.", "int")
"""


@pytest.fixture(params=sorted(BROKEN))
def broken(request: pytest.FixtureRequest, site: Path) -> tuple[Path, str]:
    """A folder with one broken plugin and a good one that is loaded after it, and the broken one's error."""
    source, error = BROKEN[request.param]
    distribution(site, "ttmarkers-bad", {"bad_plugin": source}, points={"bad": "bad_plugin"})
    distribution(site, "ttmarkers-zeal", {"zeal_plugin": GOOD}, points={"zeal": "zeal_plugin"})
    return site, error


def test_listings_survive(broken: tuple[Path, str], tmp_path: Path) -> None:
    """Help and lists work, the error is shown with the distribution, and the good plugin is there."""
    site, error = broken
    listed = ttm_process("plugins", "list", "--json", site=site)
    assert (listed.code, listed.err) == (0, "")
    builtin, bad, zeal = listed.json()
    assert (builtin["status"], zeal["status"], zeal["components"]) == ("ok", "ok", {"marker_types": ["zeal"]})
    assert (bad["name"], bad["distribution"], bad["status"]) == ("bad", "ttmarkers-bad", "failed")
    assert error in bad["error"]
    assert "\n" not in bad["error"]
    shown = ttm_process("plugins", "list", site=site)
    assert shown.code == 0
    assert error in shown.out
    helped = ttm_process("--help", site=site)
    assert (helped.code, helped.err) == (0, "")
    assert "annotate" in helped.out
    for words in (["markers", "list"], ["extractors", "list"], ["train", "--help"], ["templates", "show", "paper"]):
        done = ttm_process(*words, site=site)
        assert done.code == 0, done.err
        assert "Traceback" not in done.err


def test_annotate_stops(broken: tuple[Path, str], tmp_path: Path) -> None:
    """Without --markers nobody knows which markers are missing: the run stops, names the plugin and three ways out."""
    site, error = broken
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello."}])
    words = ["annotate", rows, "-o", tmp_path / "out.jsonl"]
    stopped = ttm_process(*words, site=site)
    assert (stopped.code, stopped.out) == (2, "")
    assert "plugin bad (ttmarkers-bad 1.0) did not load" in stopped.err
    assert error in stopped.err
    assert "mend it, leave it out with --no-plugin bad, or name the markers with --markers" in stopped.err
    assert not (tmp_path / "out.jsonl").exists()


def test_annotate_goes_on_when_told(broken: tuple[Path, str], tmp_path: Path) -> None:
    """With the markers named, or the plugin left out, the run goes on."""
    site, _ = broken
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello."}])
    named = ttm_process("annotate", rows, "-o", tmp_path / "a.jsonl", "--markers", "length_paragraphs", site=site)
    assert named.code == 0, named.err
    assert read_rows(tmp_path / "a.jsonl")[0]["markers"] == {"length_paragraphs": 1}
    words = ["annotate", rows, "-o", tmp_path / "b.jsonl", "--markers", "zeal,length_paragraphs"]
    left_out = ttm_process("--no-plugin", "bad", *words, site=site)
    assert left_out.code == 0, left_out.err
    assert read_rows(tmp_path / "b.jsonl")[0]["markers"] == {"length_paragraphs": 1}


@pytest.mark.parametrize("fault", ["raise ValueError('no smile')", "raise SystemExit(3)"])
def test_broken_commands(fault: str, site: Path) -> None:
    """A hook for commands that fails or exits stops neither help nor a misspelt command's hint."""
    source = HEAD + f"@hookimpl\ndef ttm_commands():\n    {fault}\n    yield\n"
    distribution(site, "ttmarkers-bad", {"bad_plugin": source}, points={"bad": "bad_plugin"})
    helped, misspelt = ttm_process("--help", site=site), ttm_process("trian", site=site)
    assert (helped.code, helped.err) == (0, "")
    assert "annotate" in helped.out
    assert misspelt.code == 2
    assert "did you mean 'train'?" in misspelt.err
    bad = ttm_process("plugins", "list", "--json", site=site).json()[1]
    assert (bad["status"], bad["components"]) == ("failed", {})


NAMING: dict[str, list[str]] = {
    "marker": ["annotate", "ROWS", "-o", "OUT", "--markers", "grin"],
    "extractor": ["annotate", "ROWS", "-o", "OUT", "--markers", "lang", "--set", "markers.extractors.lang=[grin]"],
    "template": ["preview", "MARKED", "--template", "grin"],
    "strategy": ["train", "MARKED", "-o", "OUT", "--model", "scratch:tiny", "--strategy", "grin"],
    "task": ["evaluate", "--task", "grin", "--generations", "ROWS"],
    "marker shown": ["markers", "show", "grin"],
    "template shown": ["templates", "show", "grin"],
}


@pytest.mark.parametrize("kind", sorted(NAMING))
def test_naming_a_missing_component(kind: str, site: Path, tmp_path: Path) -> None:
    """A run that names a component which a broken plugin may hold stops with that plugin's own traceback."""
    source = "def deep_inside():\n    raise RuntimeError('my own bug')\n\n\ndeep_inside()\n"
    distribution(site, "ttmarkers-bad", {"bad_plugin": source}, points={"bad": "bad_plugin"})
    rows = [{"prompt": "Hi", "completion": "Hello.", "markers": {"lang": "English"}}]
    places = {
        "ROWS": write_rows(tmp_path / "rows.jsonl", [{**rows[0], "markers": {}}]),
        "MARKED": write_rows(tmp_path / "marked.jsonl", rows),
        "OUT": tmp_path / "out.jsonl",
    }
    done = ttm_process(*(places.get(word, word) for word in NAMING[kind]), site=site)
    assert (done.code, done.out) == (2, "")
    assert f"unknown {kind.split()[0]} 'grin'" in done.err
    assert "a plugin that failed to load (bad of ttmarkers-bad 1.0)" in done.err
    for part in ("bad_plugin.py", "in deep_inside", "RuntimeError: my own bug"):
        assert part in done.err
    assert not places["OUT"].exists()


def test_naming_what_is_there(site: Path) -> None:
    """A broken plugin does not stop a run that names what the others hold."""
    distribution(site, "ttmarkers-bad", {"bad_plugin": "raise RuntimeError\n"}, points={"bad": "bad_plugin"})
    done = ttm_process("templates", "show", "paper", site=site)
    assert done.code == 0
    assert "RuntimeError" not in done.err


def test_two_faults_in_one_plugin(site: Path) -> None:
    """A plugin that fails half-way through its hooks leaves nothing behind that fails the next one."""
    both = "@hookimpl\ndef ttm_a_misspelt_one():\n    yield\n\n\n@hookimpl\ndef ttm_extractors(config):\n    yield\n"
    distribution(site, "ttmarkers-bad", {"bad_plugin": HEAD + both}, points={"bad": "bad_plugin"})
    distribution(site, "ttmarkers-zeal", {"zeal_plugin": GOOD}, points={"zeal": "zeal_plugin"})
    _, bad, zeal = ttm_process("plugins", "list", "--json", site=site).json()
    assert (bad["status"], zeal["status"]) == ("failed", "ok")


def test_factory_that_is_not_there(site: Path, tmp_path: Path) -> None:
    """A component whose factory cannot be imported is named with the place, when it is used and not before."""
    lines = 'yield ExtractorComponent("mood", "", "no_such_module:Mood", markers=("mood",))\n'
    source = HEAD + "@hookimpl\ndef ttm_extractors():\n    " + lines
    distribution(site, "ttmarkers-mood", {"mood_plugin": source})
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello."}])
    assert ttm_process("extractors", "list", site=site).code == 0
    done = ttm_process("annotate", rows, "-o", tmp_path / "out.jsonl", "--markers", "mood", site=site)
    assert done.code == 2
    assert (
        "'mood' of ttmarkers-mood 1.0 cannot be loaded from 'no_such_module:Mood': No module named 'no_such_module'"
        in done.err
    )
