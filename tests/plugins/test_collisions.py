"""Two distributions that offer one name, and plugins that are told not to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import distribution, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

OFFER = """
import click
from ttmarkers.components import ExtractorComponent, MarkerType, TemplateComponent
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("MARKER", "", "int")


@hookimpl
def ttm_templates():
    yield TemplateComponent("TEMPLATE", "", "x{")


@hookimpl
def ttm_commands():
    yield click.Command("COMMAND", callback=lambda: click.echo("hello from MARKER"), help="Say hello.")
"""


def _offer(site: Path, name: str, *, marker: str, template: str, command: str) -> None:
    source = OFFER.replace("MARKER", marker).replace("TEMPLATE", template).replace("COMMAND", command)
    distribution(site, f"ttmarkers-{name}", {f"plugin_{name}": source}, points={name: f"plugin_{name}"})


@pytest.fixture
def twins(site: Path) -> Path:
    """Two distributions whose marker type, template and command have the same names."""
    for name in ("anna", "bert"):
        _offer(site, name, marker="mood", template="terse", command="smile")
    return site


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        (["templates", "show", "terse"], "template", "terse"),
        (["markers", "show", "mood"], "marker", "mood"),
        (["annotate", "ROWS", "-o", "OUT"], "marker", "mood"),
        (["smile"], "command", "smile"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_one_name_twice(twins: Path, tmp_path: Path, words: list[str], kind: str, name: str) -> None:
    """Using a name that two distributions offer names both of them and the way out."""
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "Hi", "completion": "Hello."}])
    places = {"ROWS": str(rows), "OUT": str(tmp_path / "out.jsonl")}
    done = ttm_process(*(places.get(word, word) for word in words), site=twins)
    assert (done.code, done.out) == (2, "")
    message = f"{kind} {name!r} is offered twice, by ttmarkers-anna 1.0 and ttmarkers-bert 1.0: disable one with"
    assert message in done.err
    assert "--no-plugin" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_listings_show_both(twins: Path) -> None:
    """Help and lists show both of a colliding pair."""
    assert ttm_process("--help", site=twins).code == 0
    listed = ttm_process("plugins", "list", "--json", site=twins)
    assert [entry["status"] for entry in listed.json()] == ["ok"] * 3
    for group, name in (("templates", "terse"), ("markers", "mood")):
        done = ttm_process(group, "list", "--json", site=twins)
        assert done.code == 0, done.err
        owners = [entry["distribution"] for entry in done.json() if entry["name"] == name]
        assert owners == ["ttmarkers-anna 1.0", "ttmarkers-bert 1.0"]


def test_way_out(twins: Path) -> None:
    """With one of the two left out the other is used."""
    done = ttm_process("--no-plugin", "anna", "markers", "show", "mood", site=twins)
    assert done.code == 0, done.err
    assert ttm_process("--no-plugin", "bert", "smile", site=twins).out == "hello from mood\n"


def test_name_of_a_built_in(site: Path, tmp_path: Path) -> None:
    """A plugin cannot replace a built-in: the collision names both, the built-in's distribution too."""
    _offer(site, "anna", marker="lang", template="paper", command="annotate")
    done = ttm_process("templates", "show", "paper", site=site)
    assert done.code == 2
    assert "template 'paper' is offered twice, by ttmarkers " in done.err
    assert "and ttmarkers-anna 1.0" in done.err
    assert "Usage: ttm annotate [OPTIONS] INPUT..." in ttm_process("annotate", "--help", site=site).out
    assert "hidden by ttm's own" in ttm_process("plugins", "list", "--kind", "command", site=site).out


def test_a_name_that_disables_nothing(site: Path) -> None:
    """A misspelt --no-plugin is told with the right name; distributions are named as pip compares them."""
    distribution(site, "ttmarkers-happy", {"happy_plugin": OFFER}, points={"happy": "happy_plugin"})
    done = ttm_process("--no-plugin", "hapy", "markers", "list", site=site)
    assert done.code == 0
    assert "--no-plugin hapy: no plugin has this name: did you mean 'happy'?" in done.err
    listed = ttm_process("--no-plugin", "TTMarkers_happy", "plugins", "list", "--json", site=site)
    assert (listed.err, listed.json()[1]["status"]) == ("", "disabled")


PROOF = """
import os, pathlib
pathlib.Path(os.environ["PROOF"]).touch()
""" + OFFER.replace("MARKER", "mood").replace("TEMPLATE", "terse").replace("COMMAND", "smile")


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (["--no-plugin", "happy"], {}),
        (["--no-plugin=happy"], {}),
        (["--no-plugin", "other", "--no-plugin", "happy"], {}),
        (["--no-plugin", "ttmarkers-happy"], {}),
        (["--no-plugins"], {}),
        ([], {"TTM_DISABLED_PLUGINS": "happy"}),
        ([], {"TTM_DISABLED_PLUGINS": "other, ttmarkers-happy"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "".join(value.values()) or "-",
)
@pytest.mark.parametrize("command", [["--help"], ["plugins", "list", "--json"], ["markers", "list"]], ids=" ".join)
def test_disabled_plugins_are_not_imported(
    site: Path, tmp_path: Path, words: list[str], variables: dict[str, str], command: list[str]
) -> None:
    """A plugin that is told not to load is not even imported, and is listed as disabled."""
    proof = tmp_path / "imported"
    distribution(site, "ttmarkers-happy", {"happy_plugin": PROOF}, points={"happy": "happy_plugin"})
    done = ttm_process(*words, *command, site=site, PROOF=str(proof), **variables)
    assert done.code == 0, done.err
    assert not proof.exists()
    assert "mood" not in done.out
    assert "smile" not in done.out
    if command[0] == "plugins":
        entry = done.json()[1]
        assert (entry["name"], entry["status"], entry["components"]) == ("happy", "disabled", {})


def test_proof_works(site: Path, tmp_path: Path) -> None:
    """The same plugin is imported where nobody tells it not to load."""
    proof = tmp_path / "imported"
    distribution(site, "ttmarkers-happy", {"happy_plugin": PROOF}, points={"happy": "happy_plugin"})
    done = ttm_process("--no-plugin", "other", "markers", "list", site=site, PROOF=str(proof))
    assert proof.exists()
    assert "mood" in done.out


def test_disabled_component_by_name(site: Path, tmp_path: Path) -> None:
    """A component of a disabled plugin does not exist, and the message does not blame a failure."""
    distribution(site, "ttmarkers-happy", {"happy_plugin": PROOF}, points={"happy": "happy_plugin"})
    done = ttm_process("--no-plugins", "markers", "show", "mood", site=site, PROOF=str(tmp_path / "imported"))
    assert done.code == 2
    assert "unknown marker 'mood'" in done.err
    assert "failed" not in done.err
