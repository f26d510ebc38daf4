"""Plugins that do to the process what they should not: each is named, the others and the framework go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import distribution, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("NAME", "", "int")
"""
HOOK = """
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    ACTION
    yield MarkerType("NAME", "", "int")
"""
CALM = "class Calm(BaseException):\n    pass\n\n\nclass Stop(KeyboardInterrupt):\n    pass\n\n\n"

FAILED: dict[str, tuple[str, list[str]]] = {
    "base": (CALM + "raise Calm('no')", ["Calm: no"]),
    "interrupt": (CALM + "raise Stop", ["Stop"]),
    "deep": ("def f():\n    f()\n\n\nf()", ["RecursionError: maximum recursion depth exceeded"]),
    "speechless": ("class Dumb(Exception):\n    def __str__(self):\n        return 1 / 0\n\n\nraise Dumb", ["Dumb: "]),
    "api": ("ttm_api = 99", ["asks for version 99 of the hooks", "pip install -U ttmarkers"]),
    "name": ("from ttmarkers.components import Hologram", ["Hologram", "newer ttmarkers", "pip install -U ttmarkers"]),
    "room": ("import ttmarkers.holograms", ["No module named 'ttmarkers.holograms'", "newer ttmarkers"]),
    "hook": (
        HOOK.replace("ttm_marker_types", "ttm_holograms").replace("ACTION", "pass"),
        ["ttm_holograms is no hook of ttmarkers ", "or it is one of a newer version: pip install -U ttmarkers"],
    ),
    "argument": (
        HOOK.replace("types()", "types(config)").replace("ACTION", "pass"),
        ["ttm_marker_types of ttmarkers ", "is called without 'config'", "newer version"],
    ),
    "stdlib": ("import json\njson.dumps = print", ["it replaces json.dumps, which all parts share (put back)"]),
    "fresh-stdlib": (
        # nobody else imports this one before
        "import sys\nassert 'http.client' not in sys.modules\nimport http.client\nhttp.client.parse_headers = print",
        ["it replaces http.client.parse_headers"],
    ),
    "builtins": ("import builtins\nbuiltins.sorted = list", ["it replaces builtins.sorted"]),
    "class": ("import pathlib\npathlib.Path.exists = print", ["it replaces pathlib.Path.exists"]),
    "removed": ("import shutil\ndel shutil.copy", ["it replaces shutil.copy"]),
    "ours": (
        "import ttmarkers.plugins.manager as p\np.create_plugins = print",
        ["ttmarkers.plugins.manager.create_plugins"],
    ),
    "our-method": (
        "import ttmarkers.plugins.manager as p\np.Plugins.tasks = print",
        ["ttmarkers.plugins.manager.Plugins.tasks"],
    ),
    "our-constant": ("import ttmarkers.hookspecs as h\nh.API = 99", ["ttmarkers.hookspecs.API"]),
    "fresh-ours": (
        "import sys\nassert 'ttmarkers.dropout' not in sys.modules\nimport ttmarkers.dropout as d\nd.Dropout = print",
        ["it replaces ttmarkers.dropout.Dropout"],
    ),
    "in-hook": (HOOK.replace("ACTION", "import json\n    json.loads = print"), ["it replaces json.loads"]),
}
"""What a plugin does, and what is said of it."""

NOTED: dict[str, tuple[str, str]] = {
    "print": ("print('<imported>')", "printed to standard output"),
    "native": ("import os\nos.write(1, b'<native>')", "printed to standard output"),
    "child": ("import subprocess\nsubprocess.run(['echo', '<child>'])", "printed to standard output"),
    "hook-print": (HOOK.replace("ACTION", "print('<hooked>')"), "printed to standard output"),
    "buffer": ("import sys\nsys.stdout.buffer.write(b'<bytes>')", "printed to standard output"),
    "stream": ("import sys, io\nsys.stdout = io.StringIO()", "replaced sys.stdout (put back)"),
    "rewrap": (
        "import sys, io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('<wrapped>', flush=True)",
        "replaced sys.stdout (put back)",
    ),
    "folder": ("import os\nos.chdir('/')", "changed the working folder (put back)"),
    "variable": ("import os\nos.environ['PATH'] = 'x'\nos.environ['NEW'] = '1'", "changed environment variables"),
    "filters": ("import warnings\nwarnings.simplefilter('ignore')", "changed the filters of all warnings (put back)"),
    "signals": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
        "changed what signals do (put back)",
    ),
    "logging": ("import logging\nlogging.basicConfig(level=10)", "changed the root logger (put back)"),
    "locale": ("import locale\nlocale.setlocale(locale.LC_CTYPE, 'C')", "changed the locale (put back)"),
    "thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True, name='nap').start()",
        "started 1 threads (nap)",
    ),
    "empty": ("X = 1", "implements no hook"),
}
"""What a plugin does that is put back, or does no harm, and what is said of it."""

PROBE = """
import builtins, http.client, json, locale, logging, os, pathlib, shutil, signal, sys, warnings
import click
from ttmarkers import dropout, hookspecs
from ttmarkers.plugins import manager as plugins
from ttmarkers.hookspecs import hookimpl


def look():
    functions = [json.dumps, json.loads, http.client.parse_headers, builtins.sorted, pathlib.Path.exists, shutil.copy]
    functions += [plugins.create_plugins, plugins.Plugins.tasks, dropout.Dropout]
    click.echo(json.dumps({
        "functions": sorted(f.__qualname__ for f in functions),
        "api": hookspecs.API,
        "folder": os.getcwd(),
        "path": os.environ["PATH"],
        "new": "NEW" in os.environ,
        "ignores": [f[0] for f in warnings.filters if f[1:4] == (None, Warning, None)],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "root": [logging.getLogger().level, len(logging.getLogger().handlers)],
        "locale": locale.setlocale(locale.LC_CTYPE),
        "stdout": [sys.stdout is sys.__stdout__, sys.stdout.fileno()],
    }))


@hookimpl
def ttm_commands():
    yield click.Command("look", callback=look)
"""


def _module(name: str) -> str:
    return f"isolated_{name.replace('-', '_')}"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all the plugins above, and after them one that is good and one that looks what is left of it."""
    site = tmp_path_factory.mktemp("crowd")
    for name, (action, _) in {**FAILED, **NOTED}.items():
        source = action.replace("NAME", _module(name))
        distribution(site, f"ttmarkers-{name}", {_module(name): source}, points={name: _module(name)})
    distribution(site, "ttmarkers-z-good", {"z_good": GOOD.replace("NAME", "zeal")}, points={"zz-good": "z_good"})
    distribution(site, "ttmarkers-z-probe", {"z_probe": PROBE}, points={"zz-probe": "z_probe"})
    return site


@pytest.fixture(scope="module")
def listed(crowd: Path) -> tuple[dict[str, Any], str]:
    """The plugins by name, as they are listed, and what stands on standard error."""
    done = ttm_process("plugins", "list", "--json", site=crowd, LC_ALL="C.UTF-8")
    assert done.code == 0, done.err
    return {entry["name"]: entry for entry in done.json()}, done.err


@pytest.mark.parametrize("name", FAILED)
def test_failed(name: str, listed: tuple[dict[str, Any], str]) -> None:
    """The plugin failed, for a reason that says what it did, in one line."""
    entry = listed[0][name]
    assert (entry["status"], entry["components"]) == ("failed", {})
    for part in FAILED[name][1]:
        assert part in entry["error"]
    assert "\n" not in entry["error"]


@pytest.mark.parametrize("name", NOTED)
def test_noted(name: str, listed: tuple[dict[str, Any], str]) -> None:
    """The plugin works, and what it did is noted."""
    entry = listed[0][name]
    assert (entry["status"], entry["error"]) == ("ok", "")
    assert any(note.startswith(NOTED[name][1]) for note in entry["notes"]), entry["notes"]


def test_prints_are_led_away(listed: tuple[dict[str, Any], str]) -> None:
    """All that plugins print stands on standard error."""
    for word in ("<imported>", "<native>", "<child>", "<hooked>", "<bytes>", "<wrapped>"):
        assert listed[1].count(word) == 1
    assert "Traceback" not in listed[1]


def test_good_ones_have_no_notes(listed: tuple[dict[str, Any], str]) -> None:
    """Nothing is said of those that do nothing wrong, the built-ins among them."""
    for name in ("builtin", "zz-good", "zz-probe"):
        assert (listed[0][name]["status"], listed[0][name]["notes"]) == ("ok", [])


def test_all_is_put_back(crowd: Path) -> None:
    """After all these plugins the process is what it was before them."""
    alone = ["--no-plugin=" + name for name in (*FAILED, *NOTED)]
    clean = ttm_process(*alone, "look", site=crowd, cwd=crowd, LC_ALL="C.UTF-8")
    after = ttm_process("look", site=crowd, cwd=crowd, LC_ALL="C.UTF-8")
    assert clean.code == after.code == 0, after.err
    assert after.json() == clean.json()
    assert clean.json()["folder"] == str(crowd)
    assert clean.json()["stdout"] == [True, 1]
    assert {"dumps", "Path.exists", "Plugins.tasks"} <= set(clean.json()["functions"])


def test_help_survives_the_crowd(crowd: Path) -> None:
    """Help is whole."""
    done = ttm_process("--help", site=crowd)
    assert done.code == 0
    assert "annotate" in done.out
    assert "look" in done.out
    assert "<" not in done.out
