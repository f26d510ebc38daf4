"""``ttm`` starts fast with many plugins, and finds the plugins that Python's own way of finding them finds."""

from __future__ import annotations

import importlib.metadata
import resource
import statistics
from typing import TYPE_CHECKING

import pytest

from support import distribution, ok, python_process, ttm_process
from ttmarkers.plugins.discovery import GROUP, Candidate, discover

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 0.2
TRIES = 11
SOURCE = """
import click
from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.hookspecs import hookimpl


@hookimpl
def ttm_marker_types():
    yield MarkerType("NAME", "", "int")


@hookimpl
def ttm_extractors():
    yield ExtractorComponent("NAME", "", "NAME.extract:E", markers=("NAME",))


@hookimpl
def ttm_commands():
    yield click.Command("NAME", callback=print)
"""


@pytest.fixture
def ten(site: Path) -> Path:
    """A folder with ten plugins of ten distributions."""
    for number in range(10):
        name = f"tenth_{number}"
        distribution(site, f"ttmarkers-{name}", {name: SOURCE.replace("NAME", name)}, requires=["ttmarkers>=0.1"])
    return site


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_with_ten_plugins(ten: Path) -> None:
    """Help computes for less than a fifth of a second; what other work on the machine adds is left out."""
    took = []
    for _ in range(TRIES):
        before = _computed()
        done = ok(ttm_process("--help", site=ten))
        took.append(_computed() - before)
        assert done.out.count("tenth_") == 10
    assert statistics.median(took) < SECONDS


def test_nothing_heavy_is_imported(ten: Path) -> None:
    """Neither do slow parts of the standard library get in, nor anything of those that commands stand on."""
    code = """
        import sys
        from ttmarkers.cli import main

        try:
            main(["--help"])
        except SystemExit:
            print(*sorted(sys.modules), file=sys.stderr)
    """
    loaded = set(python_process(code, site=ten).err.split())
    assert "tenth_9" in loaded
    heavy = {"importlib.metadata", "email", "zipfile", "packaging", "yaml", "pydantic", "rich", "orjson", "numpy"}
    assert not heavy & loaded


def _by_python(path: str) -> list[Candidate]:
    """Return the plugins of a path as ``importlib.metadata`` finds them."""
    context = importlib.metadata.DistributionFinder.Context(path=path.split("\0"))
    found: dict[str, list[Candidate]] = {}
    for dist in importlib.metadata.MetadataPathFinder.find_distributions(context):
        requires = tuple(dist.requires or ())
        points = dist.entry_points.select(group=GROUP)
        made = [Candidate(point.name, point.module, dist.name, dist.version, requires) for point in points]
        found.setdefault(dist.name.lower().replace("_", "-"), made)
    return sorted((c for several in found.values() for c in several), key=lambda c: (c.name, c.distribution))


def test_finds_what_python_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Distributions as different tools write them are found alike; of two of one name the first counts."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    distribution(first, "ttmarkers-Anna_B", {"anna": ""}, points={"b": "anna", "a": "anna.more [extra]"})
    distribution(second, "ttmarkers-anna-b", {"old": ""}, version="0.9")
    distribution(second, "ttmarkers-cleo", {"cleo": ""}, requires=["click>=8", 'torch>=2; extra == "gpu"'])
    distribution(second, "other", {"other": ""})
    points = "[console_scripts]\nx = y:z\n\n[ttmarkers]\n# a comment\ncleo=cleo\n[gui_scripts]\nq = r:s\n"
    (second / "ttmarkers_cleo-1.0.dist-info" / "entry_points.txt").write_text(points)
    metadata = second / "ttmarkers_cleo-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "\nAbout\n\nName: not this one\n")
    (second / "other-1.0.dist-info" / "entry_points.txt").unlink()
    egg = third / "ttmarkers_egg.egg-info"
    egg.mkdir(parents=True)
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.2\nName: ttmarkers-egg\nVersion: 0.1\n")
    (egg / "entry_points.txt").write_text("[ttmarkers]\negg = egg_plugin\n")
    (third / "pinned-1.0.egg-info").write_text("Metadata-Version: 1.2\nName: pinned\nVersion: 1.0\n")
    paths = [str(path) for path in (first, tmp_path / "missing", second, third)]
    monkeypatch.setattr("sys.path", paths)
    found = discover()
    assert [candidate.name for candidate in found] == ["a", "b", "cleo", "egg"]
    assert [candidate.version for candidate in found] == ["1.0", "1.0", "1.0", "0.1"]
    assert found == _by_python("\0".join(paths))


def test_finds_what_is_installed_here() -> None:
    """In this very environment the same plugins are found too."""
    points = importlib.metadata.entry_points(group=GROUP)
    assert [c.name for c in discover()] == sorted(point.name for point in points)
