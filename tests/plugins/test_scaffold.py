"""Plugins as ``ttm plugins new`` writes them: built, installed, listed, checked by their own tests and by our tools."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from support import environment, ok, ttm, ttm_process
from ttmarkers import testing
from ttmarkers.plugins import kinds as plugin_kinds
from ttmarkers.scaffold import KINDS, USUAL, names_of, plugin_files, write_plugin

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
BEGUN: Mapping[str, tuple[str, ...]] = {
    **{f"only-{kind}": (kind,) for kind in KINDS},
    "usual": USUAL,
    "with-guide": ("marker", "guide"),
    "with-policy": ("marker", "policy"),
    "whole": tuple(KINDS),
}
"""Plugins that are begun, by name: each kind alone, pairs of which one uses the other, and all together."""


def run(*words: object, site: Path | None = None, cwd: Path | None = None, **variables: str) -> str:
    """Run a program of this Python as a plugin's author would, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        env=environment(site, PYTHONDONTWRITEBYTECODE="1", **variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder: Path, site: Path) -> None:
    """Build a distribution and unpack it, which is what pip does."""
    (wheel,) = WheelBuilder(str(folder)).build(directory=str(site.parent / "wheels"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of begun plugins."""
    home = tmp_path_factory.mktemp("begun")
    for name, kinds in BEGUN.items():
        write_plugin(plugin_files(names_of(name), kinds), home / name)
    return home


@pytest.fixture(scope="module")
def installed(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all of them are installed."""
    site = tmp_path_factory.mktemp("installed") / "site"
    for name in BEGUN:
        install(begun / name, site)
    return site


def test_listed(installed: Path) -> None:
    """Each is loaded, and offers one component of each of its kinds."""
    done = ok(ttm_process("plugins", "list", "--json", site=installed))
    assert done.err == ""
    found = {entry["distribution"]: entry for entry in done.json() if entry["distribution"] != "ttmarkers"}
    assert set(found) == {f"ttmarkers-{name}" for name in BEGUN}
    for name, kinds in BEGUN.items():
        entry = found[f"ttmarkers-{name}"]
        assert (entry["name"], entry["status"], entry["error"]) == (name, "ok", "")
        assert entry["components"] == {
            plugin_kinds.KINDS[kind].plural: [names_of(name).component(kind)] for kind in kinds
        }


def test_own_tests(begun: Path, installed: Path) -> None:
    """What each tests of its own components holds, where it is installed."""
    words = ["-k", "not conformance", "--import-mode=importlib", "-p", "no:cacheprovider"]
    out = run("pytest", *words, *(begun / name / "tests" for name in BEGUN), site=installed, cwd=begun)
    (passed,) = re.findall(r"^(\d+) passed, (\d+) deselected", out, re.MULTILINE)
    tests = [path for name in BEGUN for path in (begun / name / "tests").iterdir()]
    assert int(passed[1]) == len(BEGUN)
    assert int(passed[0]) >= len(tests)


def test_usual_plugin_conforms(begun: Path, installed: Path) -> None:
    """The pair that is begun by default passes every check that `ttmarkers.testing` has for it."""
    out = run("pytest", "-p", "no:cacheprovider", "-k", "conformance", site=installed, cwd=begun / "usual")
    assert re.search(r"^1 passed", out, re.MULTILINE)


@pytest.mark.parametrize("kind", ["marker", "template", "task", "profile", "guide", "command"])
def test_component_conforms(kind: str, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does each kind alone whose checks take no model (for the others see `test_installed_by_pip`)."""
    monkeypatch.syspath_prepend(installed)
    module = importlib.import_module(names_of(f"only-{kind}").module)
    (hook,) = (value for name, value in vars(module).items() if name.startswith("ttm_"))
    (component,) = hook()
    check = getattr(testing, "check_marker_type" if kind == "marker" else f"check_{kind}")
    check(component, **({} if kind == "command" else {"plugins": testing.plugins_with(installed=False)}))


def test_style(begun: Path) -> None:
    """Ruff finds nothing by the settings that are written with a plugin, and would format nothing otherwise."""
    assert "All checks passed" in run("ruff", "check", "--no-cache", begun)
    run("ruff", "format", "--no-cache", "--check", begun)


def test_refused_once_installed(installed: Path, tmp_path: Path) -> None:
    """A name that an installed plugin has is refused by it, as is that of a component of its."""
    for words, message in (
        (["usual"], "plugin 'usual' exists already, of ttmarkers-usual 0.1.0: uninstall it, or"),
        (["ask-whole", "--kind", "policy"], ""),
        (["usual", "--kind", "task"], "plugin 'usual' exists already"),
    ):
        done = ttm_process("plugins", "new", *words, site=installed, cwd=tmp_path)
        assert (done.code == 0) == (not message), done.err
        assert message in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["ttmarkers-ask-whole"]


def test_wheel_of_ttmarkers_has_what_plugins_are_written_from(tmp_path: Path) -> None:
    """Who installs ttmarkers can begin a plugin."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    home = ROOT / "templates"
    sources = {path.relative_to(home).as_posix() for path in (home / "ttmarkers_templates" / "plugin").iterdir()}
    assert len(sources) > 20
    assert sources <= held


@pytest.mark.slow
def test_types(begun: Path) -> None:
    """Mypy finds nothing in strict mode, by the settings that are written with a plugin."""
    others = [begun / name / "src" for name in BEGUN if name != "whole"]
    words = ("--cache-dir", begun / "cache", "src", "tests", *others)
    out = run("mypy", *words, cwd=begun / "whole", MYPYPATH=os.pathsep.join(map(str, others)))
    assert "Success: no issues found" in out


@pytest.mark.parametrize(
    "name", [name if name == "whole" else pytest.param(name, marks=pytest.mark.slow) for name in BEGUN]
)
def test_installed_by_pip(name: str, tmp_path: Path) -> None:
    """As a user does it: begun by the command, installed by pip, and all of its tests pass at once."""
    kinds = [word for kind in BEGUN[name] for word in ("--kind", kind)]
    folder, site = tmp_path / "plugin", tmp_path / "site"
    ok(ttm("plugins", "new", name, *kinds, "-o", folder))
    run("pip", "install", folder, "--target", site, "--no-deps", "--no-build-isolation", "--no-index")
    assert "passed" in run("pytest", site=site, cwd=folder)


@pytest.mark.slow
def test_components_in_use(begun: Path, installed: Path, tmp_path: Path) -> None:
    """The components of one plugin together through the loop: annotate, train, generate, evaluate."""
    names = names_of("whole")
    rows = [
        {"prompt": f"Tell me of {number}.", "completion": f"It is {number}." + " Is it not?" * (number % 3)}
        for number in range(60)
    ]
    diary = [{"question": row["prompt"], "reply": row["completion"], "kind": "qa"} for row in rows]
    source, marked, model = tmp_path / "rows.jsonl", tmp_path / "marked.jsonl", tmp_path / "model"
    config = tmp_path / "config.yaml"
    config.write_text("data: {profile: whole}", encoding="utf-8")
    source.write_text("".join(json.dumps(row) + "\n" for row in diary), encoding="utf-8")

    def use(*words: object) -> Any:
        return ok(ttm_process("-c", config, *words, site=installed))

    use("annotate", source, "-o", marked, "--markers", f"{names.marker},task,source")
    counted = use("whole", marked, "--json").json()
    assert counted == {
        "marker": names.marker,
        "missing": 0,
        "values": [{"value": value, "rows": 20} for value in range(3)],
    }
    short = ("--set", "train.max_steps=4", "--set", "train.logging_steps=1")
    use("train", marked, "--model", "scratch:tiny", "-o", model, "--strategy", "whole", "--template", "whole", *short)
    asked = ("--policy", "ask-whole", "--set", "decode.options.ask-whole.value=2", "--set", "decode.max_new_tokens=8")
    answer = use("generate", model, "Tell me of 7.", *asked, "--json").json()
    assert (answer["policy"], answer["fault"], answer["markers"][names.marker]) == ("ask-whole", "", 2)
    assert answer["raw"].startswith("[whole] ")
    scored = use("evaluate", model, "--task", "whole", *asked, "--json").json()
    assert (scored["task"], scored["n"]) == ("whole", 4)
