"""``ttm plugins list``: each component, what became of each plugin, and how long it took; what is not installed."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support import TTM, distribution, environment, ok, python_process, ttm_process
from ttmarkers import __version__

if TYPE_CHECKING:
    from pathlib import Path

TYPE = """
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("NAME", "", "int")
"""
SLOW = "import time\ntime.sleep(1.3)\n" + TYPE.replace("    yield", "    time.sleep(0.2)\n    yield")

LACKING: dict[str, tuple[str, tuple[str, ...], str]] = {
    "asked": (
        "import no_such_smile",
        ("no-such-smile>=2", "click>=8"),
        "'no_such_smile': ttmarkers-asked 1.0 asks for no-such-smile>=2, not installed: pip install 'no-such-smile>=2'",
    ),
    "other-name": (
        "import no_such_smile.deep",
        ("no-such-distribution[all]>=2; python_version > '3'", "no-such-extra; extra == 'more'"),
        "asks for no-such-distribution[all]>=2, not installed: pip install 'no-such-distribution[all]>=2'",
    ),
    "silent": (
        "import no_such_smile",
        ("click",),
        "ttmarkers-silent 1.0 does not say which distribution has it: install that, and tell its author",
    ),
    "newer": (
        TYPE,
        ("click", "ttmarkers >=99.1, <100"),
        f"ttmarkers-newer 1.0 asks for ttmarkers >=99.1, <100, and this is {__version__}: pip install -U ttmarkers",
    ),
    "fitting": (TYPE, (f"ttmarkers>={__version__}", "ttmarkers[ray]>=99; extra == 'more'"), ""),
}
"""A plugin's code, what its distribution asks for, and what is said of it."""


def _plugins(site: Path) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in ok(ttm_process("plugins", "list", "--json", site=site)).json()}


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The plugins above as they are listed."""
    site = tmp_path_factory.mktemp("lacking")
    for name, (source, requires, _) in LACKING.items():
        module = f"lacking_{name.replace('-', '_')}"
        code = source.replace("NAME", module)
        distribution(site, f"ttmarkers-{name}", {module: code}, points={name: module}, requires=requires)
    return _plugins(site)


@pytest.mark.parametrize("name", LACKING)
def test_what_is_not_installed(name: str, lacking: dict[str, dict[str, Any]]) -> None:
    """The error says which package is missing or too old, who asks for it, and how it is installed."""
    error = LACKING[name][2]
    assert lacking[name]["status"] == ("failed" if error else "ok")
    assert lacking[name]["error"].endswith(error)


def test_half_installed(site: Path) -> None:
    """Distributions whose files are not all there are named, and hide no other."""
    distribution(site, "ttmarkers-gone", {"gone": ""}, points={"gone": "gone"})
    (site / "gone.py").unlink()
    distribution(site, "ttmarkers-bare", {"bare": ""}, points={"bare": "bare"})
    (site / "bare.py").unlink()
    (site / "bare").mkdir()
    distribution(site, "ttmarkers-nameless", {"nameless": TYPE.replace("NAME", "a")}, version="")
    distribution(site, "ttmarkers-attribute", {"attribute": TYPE}, points={"attribute": "attribute:hooks"})
    distribution(site, "ttmarkers-scribbled", {"scribbled": TYPE})
    (site / "ttmarkers_scribbled-1.0.dist-info" / "entry_points.txt").write_text("[ttmarkers]\nno equals sign\n")
    distribution(site, "ttmarkers-empty", {"empty": TYPE.replace("NAME", "b")})
    (site / "ttmarkers_empty-1.0.dist-info" / "METADATA").unlink()
    distribution(site, "ttmarkers-good", {"good": TYPE.replace("NAME", "c")})
    found = _plugins(site)
    again = "is only half installed: pip install --force-reinstall ttmarkers-"
    assert found["gone"]["error"].endswith(f"No module named 'gone': ttmarkers-gone 1.0 {again}gone")
    assert found["bare"]["error"].endswith(f"bare is a folder without __init__.py: ttmarkers-bare 1.0 {again}bare")
    assert "names 'attribute:hooks': it must name a module alone" in found["attribute"]["error"]
    assert (found["nameless"]["status"], found["nameless"]["version"]) == ("ok", "?")
    assert found["nameless"]["notes"] == ["its metadata names no version"]
    assert (found["empty"]["status"], found["good"]["status"]) == ("ok", "ok")


def test_slow(site: Path) -> None:
    """A plugin that takes long is told of on standard error, measured, and nothing else is made of it."""
    distribution(site, "ttmarkers-slow", {"slow_plugin": SLOW.replace("NAME", "snail")}, points={"slow": "slow_plugin"})
    distribution(site, "ttmarkers-fast", {"fast_plugin": TYPE.replace("NAME", "hare")}, points={"fast": "fast_plugin"})
    done = ok(ttm_process("plugins", "list", "--json", site=site))
    (line,) = done.err.splitlines()
    assert line.startswith("plugin slow (ttmarkers-slow 1.0) took 1.")
    assert line.endswith("see ttm plugins list --timing, leave it out with --no-plugin slow")
    _, fast, slow = done.json()
    assert 1.3 <= slow["import_seconds"] < 10
    assert 0.2 <= slow["hook_seconds"] < 1.3
    assert slow["seconds"] == pytest.approx(slow["import_seconds"] + slow["hook_seconds"], abs=1e-3)
    assert fast["seconds"] < 1
    timed = ok(ttm_process("plugins", "list", "--timing", site=site)).out.splitlines()
    assert timed[0].split() == ["name", "distribution", "version", "status", "import", "hooks"]
    (row,) = [line.split() for line in timed if line.startswith("slow")]
    assert row[:4] == ["slow", "ttmarkers-slow", "1.0", "ok"]
    assert float(row[4]) >= 1.3
    assert ttm_process("--no-plugin", "slow", "plugins", "list", site=site).err == ""


@pytest.fixture
def several(site: Path) -> Path:
    """Plugins of which one is broken, one is disabled, and two offer the same name."""
    for name in ("anna", "bert"):
        distribution(site, f"ttmarkers-{name}", {name: TYPE.replace("NAME", "mood")})
    distribution(site, "ttmarkers-bad", {"bad": "print('[noise]')\nraise RuntimeError('my own bug')"})
    distribution(site, "ttmarkers-off", {"off": TYPE.replace("NAME", "off")})
    return site


def test_table(several: Path) -> None:
    """There is a row for each component, one for each plugin without any, and the errors stand below."""
    listed = ok(ttm_process("plugins", "list", "--kind", "marker", site=several, TTM_DISABLED_PLUGINS="off"))
    lines = listed.out.splitlines()
    assert lines[0].split() == ["kind", "component", "plugin", "distribution", "version", "status"]
    rows = [line.split(maxsplit=5) for line in lines]
    assert ["marker", "mood", "anna", "ttmarkers-anna", "1.0", "offered twice"] in rows
    assert ["marker", "mood", "bert", "ttmarkers-bert", "1.0", "offered twice"] in rows
    assert ["-", "-", "bad", "ttmarkers-bad", "1.0", "failed"] in rows
    assert ["-", "-", "off", "ttmarkers-off", "1.0", "disabled"] in rows
    assert {row[0] for row in rows} == {"kind", "marker", "-", "bad"}
    assert lines[-2:] == [
        "bad (ttmarkers-bad 1.0): RuntimeError: my own bug",
        "bad (ttmarkers-bad 1.0): printed to standard output, which went to standard error",
    ]
    assert max(len(line) for line in lines) <= 100


def test_kinds_are_those_of_hooks() -> None:
    """Each kind of component that hooks yield can be listed, by its name and by the method of its own."""
    from ttmarkers.plugins.kinds import KINDS
    from ttmarkers.plugins.manager import create_plugins

    plugins = create_plugins(candidates=[])
    for name, kind in KINDS.items():
        assert (plugins.registry(name).kind, plugins.registry(name).names) == (
            name,
            getattr(plugins, kind.plural)().names,
        )


def test_json_of_one_kind(several: Path) -> None:
    """With a kind, each plugin is there with its components of that kind alone."""
    done = ok(ttm_process("plugins", "list", "--kind", "task", "--json", site=several)).json()
    assert [(entry["name"], list(entry["components"])) for entry in done] == [
        ("builtin", ["tasks"]),
        *((name, []) for name in ("anna", "bad", "bert", "off")),
    ]


def test_interrupted_while_loading(site: Path) -> None:
    """Ctrl-C while a plugin is imported is the user's, not an error of the plugin."""
    distribution(site, "ttmarkers-long", {"long_plugin": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)"})
    done = ttm_process("markers", "list", site=site)
    assert (done.code, done.out) == (130, "")
    assert done.err.strip() == "ttm: interrupted"


def test_library_is_guarded_too(site: Path) -> None:
    """Who loads plugins in a program of their own keeps their standard output."""
    distribution(site, "ttmarkers-loud", {"loud": "import os\nprint('[a]')\nos.write(1, b'[b]\\n')"})
    code = """
        import sys
        from ttmarkers.plugins.manager import create_plugins

        before = sys.stdout, list(sys.meta_path)
        create_plugins()
        assert before == (sys.stdout, list(sys.meta_path))
        print("mine")
    """
    done = ok(python_process(code, site=site))
    assert done.out == "mine\n"
    assert sorted(done.err.split()) == ["[a]", "[b]"]


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-", "<&-"])
def test_closed_streams(site: Path, closed: str) -> None:
    """A plugin that prints fails nothing where there is nobody to print to."""
    distribution(site, "ttmarkers-loud", {"loud": "import os\nprint('[a]')\nos.write(1, b'[b]\\n')"})
    command = ["sh", "-c", f'"$0" plugins list --json {closed}', str(TTM)]
    done = subprocess.run(command, env=environment(site), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if "1>" in closed:
        assert done.stdout == ""
    else:
        assert [entry["status"] for entry in json.loads(done.stdout)] == ["ok", "ok"]
