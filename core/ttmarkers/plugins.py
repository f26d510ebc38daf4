"""Find, load, isolate and disable plugins; typed access to what they offer.

A plugin that fails, on import or in a hook, is kept with its error and never stops a listing; a run that needs one
of its components stops with the plugin's own traceback (see `Registry.entry`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import time
import traceback
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy

from ttmarkers import __version__, hookspecs
from ttmarkers.components import (
    ExtractorComponent,
    GuideComponent,
    MarkerType,
    PolicyComponent,
    ProfileComponent,
    StrategyComponent,
    TaskComponent,
    TaxonomyChange,
    TemplateComponent,
)
from ttmarkers.registry import Entry, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP = hookspecs.PROJECT
PREFIX = "ttm_"
BUILTIN = "ttmarkers_plugins"
DISABLE_VARIABLE = "TTM_DISABLED_PLUGINS"


@dataclass(frozen=True)
class Candidate:
    """A plugin that could be loaded: an entry point's name and target, and the package that declares it."""

    name: str
    module: str
    distribution: str
    version: str


@dataclass(frozen=True)
class PluginRecord:
    """What became of a plugin. ``status`` is ``ok``, ``failed`` or ``disabled``; ``error`` is one line."""

    name: str
    distribution: str
    version: str
    status: str = "ok"
    hooks: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def source(self) -> str:
        """Distribution and version, as messages name a plugin's origin."""
        return f"{self.distribution} {self.version}"


def discover() -> list[Candidate]:
    """Return the plugins that installed distributions declare, sorted by name."""
    found = []
    for point in importlib.metadata.entry_points(group=GROUP):
        dist = point.dist
        found.append(
            Candidate(point.name, point.value, dist.name if dist else "unknown", dist.version if dist else "?")
        )
    return sorted(found, key=lambda candidate: (candidate.name, candidate.distribution))


def disabled_by_environment() -> set[str]:
    """Return the names in ``TTM_DISABLED_PLUGINS``, separated by commas."""
    return {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",") if name.strip()}


class Plugins:
    """The plugins of one process, and registries of what they offer. Made by `create_plugins`, passed down."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}
        self._offers: dict[str, dict[str, list[Any]]] = {}

    @property
    def records(self) -> list[PluginRecord]:
        """Every plugin that was seen, loaded or not; the built-ins first."""
        return list(self._records.values())

    @property
    def failed(self) -> list[PluginRecord]:
        """The plugins that did not load or whose hook raised."""
        return [record for record in self._records.values() if record.status == "failed"]

    def skip(self, candidate: Candidate) -> None:
        """Note a plugin that was disabled; nothing of it is imported."""
        self._records[self._key(candidate)] = PluginRecord(
            candidate.name, candidate.distribution, candidate.version, status="disabled"
        )

    def load(self, candidate: Candidate) -> None:
        """Import and register one plugin and call its hooks; an error of any kind is kept in its record.

        The hooks are called now, and not when their components are asked for, so that a plugin is whole or failed
        whatever is asked first.
        """
        key = self._key(candidate)
        record = PluginRecord(candidate.name, candidate.distribution, candidate.version)
        start = time.perf_counter()
        try:
            module = importlib.import_module(candidate.module)
            self.register(key, module)
            offers = {hook: self._call(hook, wanted, module) for hook, wanted in _kinds().items()}
        except (Exception, SystemExit) as error:
            self._fail(key, record, error)
        else:
            self._offers[key] = offers
            hooks = tuple(sorted(caller.name for caller in self._manager.get_hookcallers(module) or []))
            self._records[key] = replace(record, hooks=hooks, seconds=time.perf_counter() - start)

    def register(self, key: str, module: object) -> None:
        """Register a module's hooks; a name that is no hook, or a hook without ``hookimpl``, is an error."""
        unmarked = [
            name
            for name, value in vars(module).items()
            if name.startswith(PREFIX) and callable(value) and not hasattr(value, f"{hookspecs.PROJECT}_impl")
        ]
        if unmarked:
            raise pluggy.PluginValidationError(module, f"{unmarked[0]} is not marked with @hookimpl")
        self._manager.register(module, name=key)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            self._manager.unregister(module)
            raise

    def marker_types(self) -> Registry[MarkerType]:
        """Return all marker types."""
        return self._collect("ttm_marker_types", "marker")

    def taxonomy_changes(self) -> Registry[TaxonomyChange]:
        """Return all changes of marker types; several may have one name, so go through its entries."""
        return self._collect("ttm_taxonomy_changes", "taxonomy change")

    def extractors(self) -> Registry[ExtractorComponent]:
        """Return all extractors."""
        return self._collect("ttm_extractors", "extractor")

    def templates(self) -> Registry[TemplateComponent]:
        """Return all block templates."""
        return self._collect("ttm_templates", "template")

    def strategies(self) -> Registry[StrategyComponent]:
        """Return all training strategies."""
        return self._collect("ttm_training_strategies", "strategy")

    def policies(self) -> Registry[PolicyComponent]:
        """Return all decoding policies."""
        return self._collect("ttm_decoding_policies", "policy")

    def tasks(self) -> Registry[TaskComponent]:
        """Return all evaluation tasks."""
        return self._collect("ttm_tasks", "task")

    def profiles(self) -> Registry[ProfileComponent]:
        """Return all profiles of data sets."""
        return self._collect("ttm_profiles", "profile")

    def guides(self) -> Registry[GuideComponent]:
        """Return all guides of markers."""
        return self._collect("ttm_guides", "guide")

    def commands(self) -> Registry[Any]:
        """Return the `click.Command` objects that plugins add to ``ttm``."""
        return self._collect("ttm_commands", "command")

    def _collect(self, hook: str, kind: str) -> Registry[Any]:
        entries: list[Entry[Any]] = []
        for key, offers in self._offers.items():
            record = self._records[key]
            entries.extend(Entry(item, record.source, record.name) for item in offers[hook])
        broken = {f"{record.name} of {record.source}": record.traceback for record in self.failed}
        return Registry(kind, entries, broken)

    def _call(self, hook: str, wanted: type[Any], module: object) -> list[Any]:
        caller = getattr(self._manager.hook, hook)
        found = [
            item
            for implementation in caller.get_hookimpls()
            if implementation.plugin is module
            for item in implementation.function()
        ]
        for item in found:
            if not isinstance(item, wanted):
                raise TypeError(f"{hook} yields {wanted.__name__}, not {type(item).__name__}")
        return found

    def _fail(self, key: str, record: PluginRecord, error: BaseException) -> None:
        lines = str(error).strip().splitlines() or [""]
        self._records[key] = replace(
            record,
            status="failed",
            error=f"{type(error).__name__}: {lines[0]}",
            traceback="".join(traceback.format_exception(error)),
        )

    @staticmethod
    def _key(candidate: Candidate) -> str:
        return f"{candidate.distribution}:{candidate.name}"


def _kinds() -> dict[str, type[Any]]:
    """Return what each hook yields."""
    import click

    return {
        "ttm_marker_types": MarkerType,
        "ttm_taxonomy_changes": TaxonomyChange,
        "ttm_extractors": ExtractorComponent,
        "ttm_templates": TemplateComponent,
        "ttm_training_strategies": StrategyComponent,
        "ttm_decoding_policies": PolicyComponent,
        "ttm_tasks": TaskComponent,
        "ttm_profiles": ProfileComponent,
        "ttm_guides": GuideComponent,
        "ttm_commands": click.Command,
    }


def create_plugins(
    *,
    disabled: Iterable[str] = (),
    third_party: bool = True,
    candidates: Sequence[Candidate] | None = None,
) -> Plugins:
    """Load the built-ins, then the plugins of installed distributions.

    Args:
        disabled: names of entry points or distributions that are not imported, beside those in the environment
            variable ``TTM_DISABLED_PLUGINS``.
        third_party: whether any but the built-ins are loaded.
        candidates: what to load in place of what `discover` finds.
    """
    plugins = Plugins()
    plugins.load(Candidate("builtin", BUILTIN, "ttmarkers", __version__))
    off = set(disabled) | disabled_by_environment()
    for candidate in discover() if candidates is None else candidates:
        if not third_party or candidate.name in off or candidate.distribution in off:
            plugins.skip(candidate)
        else:
            plugins.load(candidate)
    return plugins
