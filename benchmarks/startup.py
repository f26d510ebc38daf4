"""How long `ttm --help` takes with plugins installed, beside the start of Python itself.

    python benchmarks/startup.py [--plugins 10] [--repeat 15]

Made-up distributions are written into a folder as pip would install them, each with a marker type, an extractor, a task
and a command. The commands are run in turn; the least of each is told, in seconds on the clock and of computing, since
other work on the machine can only add to them.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOOKS = """
import click
from ttmarkers.components import ExtractorComponent, MarkerType, TaskComponent
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("mood_N", "How the answer feels.", "categorical", ("happy", "sad"))


@hookimpl
def ttm_extractors():
    yield ExtractorComponent("mood-N", "Counts smileys.", "plugin_N.extract:Mood", markers=("mood_N",))


@hookimpl
def ttm_tasks():
    yield TaskComponent("mood-N", "Share of happy answers.", "plugin_N.tasks:Mood")


@hookimpl
def ttm_commands():
    yield click.Command("smile-N", callback=print, help="Print a smiley.")
"""
PYTHON = [sys.executable, "-c", "pass"]
TTM = [sys.executable, "-c", "from ttmarkers.cli import main; main()", "--help"]


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        install(Path(name), arguments.plugins)
        with_plugins = {**os.environ, "PYTHONPATH": name}
        cases = {
            "python -c pass": (PYTHON, None),
            "ttm --help": (TTM, None),
            f"ttm --help, {arguments.plugins} plugins": (TTM, with_plugins),
        }
        found = measure(cases, arguments.repeat)
    least = next(iter(found.values()))
    for title, (clock, computing) in found.items():
        ratio = f"{computing / least[1]:.1f} times a start of Python"
        print(f"{title:28}{clock:.3f} s on the clock, {computing:.3f} s of computing, {ratio}")


def install(folder: Path, many: int) -> None:
    """Write distributions with a plugin each."""
    for place in range(many):
        info = folder / f"ttmarkers_plugin_{place}-1.0.dist-info"
        info.mkdir()
        said = f"Metadata-Version: 2.1\nName: ttmarkers-plugin-{place}\nVersion: 1.0\nRequires-Dist: ttmarkers>=0.1\n"
        (info / "METADATA").write_text(said, encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[ttmarkers]\np{place} = plugin_{place}\n", encoding="utf-8")
        (folder / f"plugin_{place}.py").write_text(HOOKS.replace("N", str(place)), encoding="utf-8")


def measure(cases: dict[str, tuple[list[str], dict[str, str] | None]], repeat: int) -> dict[str, tuple[float, float]]:
    """Return the least seconds of each command, on the clock and of computing."""
    found = dict.fromkeys(cases, (float("inf"), float("inf")))
    for _ in range(repeat):
        for title, (command, environment) in cases.items():
            start, before = time.perf_counter(), computed()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            clock, computing = time.perf_counter() - start, computed() - before
            found[title] = (min(found[title][0], clock), min(found[title][1], computing))
    return found


def computed() -> float:
    """Return the seconds that ended child processes have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
