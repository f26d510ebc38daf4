"""Whose code raised an error: found out by the frames of its traceback."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import told
from ttmarkers.hookspecs import PROJECT
from ttmarkers.plugins.manager import BUILTIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from ttmarkers.components import Component
    from ttmarkers.plugins.manager import PluginRecord, Plugins
    from ttmarkers.plugins.registry import Entry


@dataclass(frozen=True)
class Culprit:
    """A plugin whose code raised an error, and its component if that can be told: ``policy 'happy'``."""

    plugin: str
    source: str
    component: str = ""

    def sentence(self, error: BaseException) -> str:
        """Return what a user is told of the error."""
        what = self.component or f"plugin {self.plugin}"
        return (
            f"{what} of {self.source} failed ({told(error)}): --debug shows where, --no-plugin {self.plugin} leaves "
            "the plugin out"
        )


def culprit(error: BaseException, plugins: Plugins, command: Entry[Any] | None = None) -> Culprit | None:
    """Return whose code raised an error; None if it was the framework's own.

    Args:
        error: what was raised.
        plugins: all plugins.
        command: the plugin's command that was run, if it was one.
    """
    components = list(_components(plugins))
    owners = _owners(plugins, components)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    theirs = [frame for frame in reversed(frames) if _root(frame) in owners]
    if theirs:
        record = owners[_root(theirs[0])]
        own = [(component, kind) for component, of, kind in components if of is record]
        name = next(filter(None, (_made_by(frame, own) for frame in theirs)), "") or _only(theirs[0], own)
        if name or command is None:
            return Culprit(record.name, record.source, name)
    if command is None:
        return None
    return Culprit(command.plugin, command.distribution, f"command {command.component.name!r}")


def _components(plugins: Plugins) -> Iterator[tuple[Component, PluginRecord, str]]:
    """Yield the components with code of all plugins but the built-in one, with what they are called."""
    records = {(record.source, record.name): record for record in plugins.records if record.distribution != PROJECT}
    for registry in (plugins.extractors(), plugins.strategies(), plugins.policies(), plugins.tasks()):
        for entry in registry:
            if (entry.distribution, entry.plugin) in records:
                yield entry.component, records[entry.distribution, entry.plugin], registry.kind


def _owners(plugins: Plugins, components: Sequence[tuple[Component, PluginRecord, str]]) -> dict[str, PluginRecord]:
    """Return the packages of plugins, each with its plugin."""
    found = {record.module.partition(".")[0]: record for record in plugins.records if record.distribution != PROJECT}
    for component, record, _ in components:
        found.setdefault(_module(component).partition(".")[0], record)
    # a plugin may offer a factory that is not its own
    return {root: found[root] for root in found.keys() - {PROJECT, BUILTIN, *sys.stdlib_module_names}}


def _module(component: Component) -> str:
    factory = component.factory
    return factory.partition(":")[0] if isinstance(factory, str) else str(getattr(factory, "__module__", ""))


def _attribute(component: Component) -> str:
    factory = component.factory
    return factory.partition(":")[2] if isinstance(factory, str) else str(getattr(factory, "__qualname__", ""))


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _made_by(frame: FrameType, own: list[tuple[Component, str]]) -> str:
    """Return the component whose method, or factory, a frame is in."""
    kind = type(frame.f_locals.get("self"))
    module = frame.f_globals.get("__name__", "")
    for component, title in own:
        place = _module(component), _attribute(component)
        if (kind.__module__, kind.__qualname__) == place or (module, frame.f_code.co_name) == place:
            return f"{title} {component.name!r}"
    return ""


def _only(frame: FrameType, own: list[tuple[Component, str]]) -> str:
    """Return the one component whose code is in a frame's module; nothing if there are others in it."""
    found = [f"{title} {c.name!r}" for c, title in own if _module(c) == frame.f_globals.get("__name__", "")]
    return found[0] if len(found) == 1 else ""
