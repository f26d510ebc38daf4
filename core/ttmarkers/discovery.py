"""Plugins that installed distributions declare, and those that are told not to load."""

from __future__ import annotations

import importlib.metadata
import os
from contextlib import suppress
from dataclasses import dataclass

from ttmarkers.hookspecs import PROJECT

GROUP = PROJECT
DISABLE_VARIABLE = "TTM_DISABLED_PLUGINS"
UNKNOWN = "?"


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
    """Return the plugins that installed distributions declare, sorted by name."""
    found = [_candidate(point) for point in _entry_points()]
    return sorted(found, key=lambda candidate: (candidate.name, candidate.distribution))


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    try:
        return list(importlib.metadata.entry_points(group=GROUP))
    except Exception:  # a distribution whose files are broken does not hide the others
        found: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
        for distribution in importlib.metadata.distributions():
            with suppress(Exception):
                for point in distribution.entry_points.select(group=GROUP):
                    found.setdefault((distribution.name, point.name), point)
        return list(found.values())


def _candidate(point: importlib.metadata.EntryPoint) -> Candidate:
    try:
        metadata = point.dist.metadata if point.dist else None
    except Exception:
        metadata = None
    if metadata is None:
        return Candidate(point.name, point.value, UNKNOWN, UNKNOWN)
    # read once: the distribution's own properties read the file again each time
    said = {key: metadata.get_all(key) or [UNKNOWN] for key in ("Name", "Version")}
    requires = tuple(metadata.get_all("Requires-Dist") or ())
    return Candidate(point.name, point.value, said["Name"][0], said["Version"][0], requires)


def disabled_by_environment() -> set[str]:
    """Return the names in ``TTM_DISABLED_PLUGINS``, separated by commas."""
    return {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}
