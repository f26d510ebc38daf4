"""Distributions that change marker types of others: what they add is used, and their quarrels name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import distribution, ok, read_rows, sentence, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

HOOKS = """
from ttmarkers.components import TaxonomyChange
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_taxonomy_changes():
    yield TaxonomyChange("it", "Why.", MARKER, **PARTS)
"""


def _changes(site: Path, name: str, parts: str, marker: str = "domain") -> None:
    source = HOOKS.replace("MARKER", repr(marker)).replace("PARTS", parts)
    distribution(site, f"ttmarkers-{name}", {f"plugin_{name}": source}, points={name: f"plugin_{name}"})


def test_two_plugins_add_the_same_value(site: Path, tmp_path: Path) -> None:
    """Two distributions that add one value agree; the value is annotated with, and shown with where it comes from."""
    _changes(site, "anna", "{'add': ('Robotics',)}")
    _changes(site, "bert", "{'add': ('Robotics', 'Cooking'), 'rename': {'Legal': 'Law'}}")
    shown = ok(ttm_process("markers", "show", "domain", site=site)).out
    assert "changed: ttmarkers-anna 1.0 adds Robotics\n" in shown
    assert "changed: ttmarkers-bert 1.0 adds Robotics, Cooking; renames Legal to Law\n" in shown
    assert "domain: ttmarkers-anna 1.0 adds Robotics" in ok(ttm_process("markers", "list", site=site)).out
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b", "markers": {"domain": "legal"}}])
    out = tmp_path / "out.jsonl"
    ok(ttm_process("annotate", rows, "-o", out, "--markers", "domain", site=site))
    assert read_rows(out)[0]["markers"] == {"domain": "Law"}


def test_quarrels_are_told_when_used_and_not_when_listed(site: Path, tmp_path: Path) -> None:
    """Two distributions that contradict each other are listed; a command that needs the type names both."""
    _changes(site, "anna", "{'rename': {'Legal': 'Law'}}")
    _changes(site, "bert", "{'rename': {'Legal': 'Justice'}}")
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello."}])
    done = ttm_process("annotate", rows, "-o", tmp_path / "out.jsonl", site=site)
    said = "ttmarkers-anna 1.0 renames it to 'Law', and ttmarkers-bert 1.0 renames it to 'Justice': disable one with"
    assert (done.code, said in sentence(done.err)) == (2, True)
    listed = ok(ttm_process("markers", "list", site=site))
    assert said in listed.err
    assert "domain" in listed.out
    ok(ttm_process("--no-plugin", "bert", "annotate", rows, "-o", tmp_path / "out.jsonl", site=site))


def test_change_of_nothing(site: Path) -> None:
    """A change of a marker type that does not exist stops nothing; the listing of types names its distribution."""
    _changes(site, "anna", "{'add': ('A',)}", marker="domian")
    ok(ttm_process("templates", "show", "paper", site=site))
    said = ok(ttm_process("markers", "list", site=site)).err
    assert "ttmarkers-anna 1.0 changes the marker 'domian', which does not exist: did you mean 'domain'?" in said


def test_a_quarrel_over_an_unused_type_stops_nothing(site: Path, tmp_path: Path) -> None:
    """Two plugins contradict each other over a marker that nobody asks for: the others are found all the same."""
    _changes(site, "anna", "{'rename': {'Legal': 'Law'}}")
    _changes(site, "bert", "{'rename': {'Legal': 'Right'}}")
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello there."}])
    words = ["annotate", rows, "-o", tmp_path / "out.jsonl", "--markers"]
    refused = ttm_process(*words, "domain", site=site)
    assert (refused.code, "ttmarkers-anna 1.0" in refused.err, "ttmarkers-bert 1.0" in refused.err) == (2, True, True)
    ok(ttm_process(*words, "length_paragraphs", site=site))
    assert read_rows(tmp_path / "out.jsonl")[0]["markers"] == {"length_paragraphs": 1}


def test_a_broken_change_fails_its_plugin(site: Path) -> None:
    """A change that contradicts itself fails the plugin that yields it, and nothing else."""
    _changes(site, "anna", "{'split': {'Legal': ('Legal', 'Law')}}")
    (record,) = [r for r in ok(ttm_process("plugins", "list", "--json", site=site)).json() if r["name"] == "anna"]
    assert record["status"] == "failed"
    assert "may not have its name" in record["error"]
