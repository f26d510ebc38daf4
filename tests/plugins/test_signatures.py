"""What plugins depend on stands on its page, and changes only so that older plugins go on working."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import ok, ttm
from ttmarkers import __version__
from ttmarkers.plugins.hooks_page import page
from ttmarkers.plugins.kinds import KINDS
from ttmarkers.plugins.signatures import breaks, signatures

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"
GOLDEN = Path(__file__).parents[1] / "golden" / "hooks.json"

Change = Callable[[dict[str, Any]], object]


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def test_page() -> None:
    """Write it anew with ``ttm plugins hooks --markdown > docs/reference/hooks.md``."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_page_names_everything() -> None:
    """Each hook, class, field and method stands on the page."""
    text = PAGE.read_text(encoding="utf-8")
    now = signatures()
    for hook in now["hooks"]:
        assert f"## `{hook}`" in text
    for part in ("components", "protocols", "records"):
        for name, members in now[part].items():
            section = text.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
            for member, facts in members.items():
                shown = f"| `{member}` |" if isinstance(facts, dict) else f"- `{member}"
                assert shown in section, f"{name}.{member}"


def test_command() -> None:
    """The page and the data are printed by a command, and a short list of the hooks."""
    assert ok(ttm("plugins", "hooks", "--markdown")).out == page()
    assert ok(ttm("plugins", "hooks", "--json")).json() == signatures()
    lines = ok(ttm("plugins", "hooks")).out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(signatures()["hooks"])


def test_every_hook_is_called() -> None:
    """What is specified is what the loader calls, and each yields what its specification says."""
    assert {kind.hook: f"Iterable[{kind.yields.__name__}]" for kind in KINDS.values()} == {
        name: facts["yields"].replace("click.", "") for name, facts in signatures()["hooks"].items()
    }


def test_since_the_last_release(request: pytest.FixtureRequest) -> None:
    """Nothing that a plugin for the last minor release stands on is lost; with a new one the snapshot is taken anew."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(signatures()))
    assert breaks(golden, now, __version__) == []
    if golden["hooks"] != now["hooks"]:
        assert now["api"] > golden["api"], "hooks were added or changed: let hookspecs.API grow"
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(json.dumps({"version": __version__, **now}, indent=1) + "\n", encoding="utf-8")
    else:
        assert _minor(golden["version"]) == _minor(__version__), "a new release: take it anew with --update-golden"


def _now() -> dict[str, Any]:
    return copy.deepcopy(signatures())


def _tasks(facts: dict[str, Any]) -> dict[str, Any]:
    hook: dict[str, Any] = facts["hooks"]["ttm_tasks"]
    return hook


REQUIRED = {"type": "str", "default": "required"}
OPTIONAL = {"type": "str", "default": "''"}

BREAKS: dict[str, tuple[Change, str]] = {
    "hook": (lambda f: f["hooks"].pop("ttm_tasks"), "ttm_tasks is gone, and was not old"),
    "yields": (lambda f: _tasks(f).update(yields="Task"), "ttm_tasks yielded Iterable[TaskComponent], and now Task"),
    "class": (lambda f: f["components"].pop("MarkerType"), "MarkerType is gone"),
    "field": (lambda f: f["components"]["MarkerType"].pop("unit"), "MarkerType lost its field unit"),
    "default": (
        lambda f: f["components"]["MarkerType"]["unit"].update(default="required"),
        "MarkerType.unit lost its default",
    ),
    "new field": (
        lambda f: f["components"]["MarkerType"].update(extra=REQUIRED),
        "MarkerType gained the field extra without a default",
    ),
    "order": (
        lambda f: f["records"].update(Found={"extra": OPTIONAL, **f["records"]["Found"]}),
        "Found has its fields in another order",
    ),
    "method": (lambda f: f["protocols"]["Task"].pop("score"), "Task lost score"),
    "new method": (lambda f: f["protocols"]["Task"].update(extra="() -> int"), "Task gained extra"),
    "argument": (
        lambda f: f["protocols"]["Extractor"].update(extract="(batch, more) -> int"),
        "Extractor.extract was (batch: Sequence[Subject]) -> ",
    ),
}
ALLOWED: dict[str, Change] = {
    "nothing": lambda f: None,
    "hook": lambda f: f["hooks"].update(ttm_more={"arguments": ["config"], "yields": "Iterable[int]"}),
    "hook's argument": lambda f: _tasks(f)["arguments"].append("config"),
    "field": lambda f: f["components"]["MarkerType"].update(extra=OPTIONAL),
    "inherited field": lambda f: f["components"].update(
        TaskComponent={"extra": {**OPTIONAL, "by name": True}, **f["components"]["TaskComponent"]}
    ),
    "class": lambda f: f["records"].update(More={"a": REQUIRED}),
    "protocol": lambda f: f["protocols"].update(More={"a": "() -> int"}),
    "what plugins are given": lambda f: f["protocols"]["Subject"].update(extra="int"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks(name: str) -> None:
    """Each change that would break an older plugin is found, and nothing else."""
    change, said = BREAKS[name]
    later = _now()
    change(later)
    (found,) = breaks(signatures(), later, __version__)
    assert found.startswith(said)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed(name: str) -> None:
    """What an older plugin need not know of may be added."""
    later = _now()
    ALLOWED[name](later)
    assert breaks(signatures(), later, __version__) == []


OLD: dict[str, tuple[Change, Change]] = {
    "hook": (lambda f: _tasks(f).update({"old since": "0.3"}), lambda f: f["hooks"].pop("ttm_tasks")),
    "argument": (
        lambda f: _tasks(f).update({"arguments": ["config"], "old arguments": {"config": "0.3"}}),
        lambda f: _tasks(f).update({"arguments": []}),
    ),
    "field": (
        lambda f: f["components"]["MarkerType"]["unit"].update({"old since": "0.3"}),
        lambda f: f["components"]["MarkerType"].pop("unit"),
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_what_is_old_may_go_in_time(name: str) -> None:
    """What became old in 0.3 may be lost from 0.5 on, and not before."""
    mark, lose = OLD[name]
    before, later = _now(), _now()
    mark(before)
    lose(later)
    assert len(breaks(before, later, "0.4.9")) == 1
    assert breaks(before, later, "0.5.0") == []
    assert breaks(before, later, "1.0.0") == []
