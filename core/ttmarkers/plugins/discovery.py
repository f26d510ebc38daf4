"""Plugins that installed distributions declare, and those that are told not to load.

The files of distributions are read here and not by ``importlib.metadata``, which alone takes a third of the time that
``ttm --help`` does: it imports a parser of mail. A file that is broken then hides no other distribution either.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.hookspecs import PROJECT
from ttmarkers.plugins.requirements import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = PROJECT
DISABLE_VARIABLE = "TTM_DISABLED_PLUGINS"
UNKNOWN = "?"
_FOLDERS = {".dist-info": "METADATA", ".egg-info": "PKG-INFO"}


@dataclass(frozen=True)
class Candidate:
    """A plugin that could be loaded: an entry point's name and target, and the package that declares it.

    Attributes:
        name: of the entry point.
        module: its target.
        distribution: that declares it.
        version: of the distribution.
        requires: what the distribution asks for (``Requires-Dist``).
    """

    name: str
    module: str
    distribution: str
    version: str
    requires: tuple[str, ...] = ()


def discover() -> list[Candidate]:
    """Return the plugins that installed distributions declare, sorted by name.

    Of two distributions of one name the first on ``sys.path`` counts, as when modules are imported.
    """
    found: dict[str, list[Candidate]] = {}
    for place in dict.fromkeys(sys.path):
        for stem, folder, metadata in _distributions(place or "."):
            if stem not in found:
                points = _entry_points(f"{folder}/entry_points.txt")
                found[stem] = _candidates(points, f"{folder}/{metadata}", stem) if points else []
    candidates = [candidate for several in found.values() for candidate in several]
    return sorted(candidates, key=lambda candidate: (candidate.name, candidate.distribution))


def _distributions(place: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the folder and the metadata's file of each distribution in a folder of ``sys.path``."""
    try:
        names = os.listdir(place)  # noqa: PTH208 - hundreds of paths are not made of names for nothing
    except OSError:
        return  # no folder, or none that can be read; a zip file holds no plugin
    for name in names:
        kind = name[-10:] if name.endswith(".dist-info") else name[-9:]
        if kind in _FOLDERS:
            yield normal(name[: -len(kind)].partition("-")[0]), f"{place}/{name}", _FOLDERS[kind]


def _entry_points(path: str) -> list[tuple[str, str]]:
    """Return the names and targets in our group; one without a target has an empty one."""
    text = _read(path)
    if f"[{GROUP}]" not in text:
        return []
    found, inside = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == f"[{GROUP}]"
        elif inside and line and not line.startswith(("#", ";")):
            name, _, target = line.partition("=")
            found.append((name.strip(), target.partition("[")[0].strip()))
    return found


def _candidates(points: list[tuple[str, str]], metadata: str, stem: str) -> list[Candidate]:
    said: dict[str, list[str]] = {"Name": [], "Version": [], "Requires-Dist": []}
    head, _, _ = _read(metadata).partition("\n\n")  # a description follows
    for line in head.splitlines():
        key, _, value = line.partition(":")
        if key in said:
            said[key].append(value.strip())
    name, version = (said["Name"] or [stem])[0], (said["Version"] or [UNKNOWN])[0]
    return [Candidate(point, target, name, version, tuple(said["Requires-Dist"])) for point, target in points]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - as above
            return stream.read()
    except OSError:
        return ""


def disabled_by_environment() -> set[str]:
    """Return the names in ``TTM_DISABLED_PLUGINS``, separated by commas."""
    return {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}
