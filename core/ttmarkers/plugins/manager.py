"""Find, load, isolate and disable plugins; typed access to what they offer.

A plugin that fails, on import or in a hook, is kept with its error and never stops a listing; a run that needs one
of its components stops with the plugin's own traceback (see `Registry.entry`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ttmarkers import __version__, hookspecs
from ttmarkers.plugins.discovery import Candidate, disabled_by_environment, discover
from ttmarkers.plugins.kinds import CHANGE, KINDS
from ttmarkers.plugins.loading import Hooks, Loading, PluginRecord, key_of, record_of
from ttmarkers.plugins.registry import Entry, Registry
from ttmarkers.plugins.requirements import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    from ttmarkers.plugins.guard import Guard

__all__ = ["Candidate", "PluginRecord", "Plugins", "create_plugins", "discover"]

BUILTIN = "ttmarkers_plugins"


class Plugins:
    """The plugins of one process, and registries of what they offer. Made by `create_plugins`, passed down.

    Args:
        hooks: those that are called; the framework's by default.
    """

    def __init__(self, hooks: Hooks | None = None) -> None:
        self._hooks = hooks or Hooks()
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
        self._records[key_of(candidate)] = replace(record_of(candidate), status="disabled")

    def load(self, candidate: Candidate, guard: Guard | None = None) -> None:
        """Import and register one plugin and call its hooks; an error of any kind is kept in its record.

        The hooks are called now, and not when their components are asked for, so that a plugin is whole or failed
        whatever is asked first.

        Args:
            candidate: the plugin.
            guard: watches what it does beside that.
        """
        key, loading = key_of(candidate), Loading(candidate)
        if guard is None:
            loading.run(self._hooks)
        else:
            with guard.plugin() as seen:
                loading.run(self._hooks)
            loading.note(seen.patched, seen.notes)
        self._records[key] = loading.record
        if loading.record.status == "ok":
            self._offers[key] = loading.offers

    def marker_types(self) -> Registry[MarkerType]:
        """Return all marker types."""
        return self.registry("marker")

    def taxonomy_changes(self) -> Registry[TaxonomyChange]:
        """Return all changes of marker types; several may have one name, so go through its entries."""
        return self.registry(CHANGE)

    def extractors(self) -> Registry[ExtractorComponent]:
        """Return all extractors."""
        return self.registry("extractor")

    def templates(self) -> Registry[TemplateComponent]:
        """Return all block templates."""
        return self.registry("template")

    def strategies(self) -> Registry[StrategyComponent]:
        """Return all training strategies."""
        return self.registry("strategy")

    def policies(self) -> Registry[PolicyComponent]:
        """Return all decoding policies."""
        return self.registry("policy")

    def tasks(self) -> Registry[TaskComponent]:
        """Return all evaluation tasks."""
        return self.registry("task")

    def profiles(self) -> Registry[ProfileComponent]:
        """Return all profiles of data sets."""
        return self.registry("profile")

    def guides(self) -> Registry[GuideComponent]:
        """Return all guides of markers."""
        return self.registry("guide")

    def commands(self) -> Registry[Any]:
        """Return the `click.Command` objects that plugins add to ``ttm``."""
        return self.registry("command")

    def registry(self, kind: str) -> Registry[Any]:
        """Return all components of a kind of `ttmarkers.plugins.kinds.KINDS`."""
        entries: list[Entry[Any]] = []
        for key, offers in self._offers.items():
            record = self._records[key]
            entries.extend(Entry(item, record.source, record.name) for item in offers[KINDS[kind].hook])
        broken = {f"{record.name} of {record.source}": record.traceback for record in self.failed}
        return Registry(kind, entries, broken)


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
    off = {normal(name) for name in {*disabled, *disabled_by_environment()}}
    wanted = []
    for candidate in discover() if candidates is None else candidates:
        if not third_party or off & {normal(candidate.name), normal(candidate.distribution)}:
            plugins.skip(candidate)
        else:
            wanted.append(candidate)
    if wanted:
        from ttmarkers.plugins.guard import Guard

        guard = Guard((hookspecs.PROJECT, BUILTIN, "click", "pluggy"))
        with guard.loading():
            for candidate in wanted:
                plugins.load(candidate, guard)
    return plugins
