"""Name -> component, with the distribution that each came from."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ttmarkers.errors import ConfigError, PluginError, TtmError, told, unknown_name
from ttmarkers.plugins.requirements import needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ttmarkers.components import Component


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str:
        """The name that users write."""
        raise NotImplementedError


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A component and where it came from: a package's name and version, and the name of the package's plugin."""

    component: T
    distribution: str
    plugin: str = ""


class Registry(Generic[T]):
    """All components of one kind.

    Two components of one name are an error, raised when the name is used and not when it is listed, so that
    a listing can show both. ``broken`` holds the tracebacks of plugins that did not load, by plugin: a name that
    is not found may be one of theirs.

    Args:
        kind: what the components are, for messages: ``extractor``.
        entries: the components in any order.
        broken: plugin -> traceback.
    """

    def __init__(self, kind: str, entries: Iterable[Entry[T]], broken: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._broken = dict(broken or {})
        self._entries: dict[str, list[Entry[T]]] = {}
        for entry in entries:
            self._entries.setdefault(entry.component.name, []).append(entry)

    def __iter__(self) -> Iterator[Entry[T]]:
        for name in sorted(self._entries):
            yield from self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def owners(self, name: str) -> list[str]:
        """Return the distributions that offer a name."""
        return [entry.distribution for entry in self._entries.get(name, [])]

    def entry(self, name: str, *, where: str = "") -> Entry[T]:
        """Return the entry of a name.

        Args:
            name: as the user wrote it.
            where: the config key or option that it was written in, for the message.

        Raises:
            UnknownNameError: if there is none, with the nearest name.
            PluginError: if two distributions offer it, or none does and plugins failed to load.
        """
        entries = self._entries.get(name, [])
        if len(entries) > 1:
            owners = " and ".join(sorted(self.owners(name)))
            raise PluginError(f"{self.kind} {name!r} is offered twice, by {owners}: disable one with --no-plugin NAME")
        if entries:
            return entries[0]
        error = unknown_name(self.kind, name, self._entries, where=where)
        if self._broken:
            plugins = ", ".join(sorted(self._broken))
            traces = "\n".join(self._broken[plugin] for plugin in sorted(self._broken))
            raise PluginError(
                f"{error}; or it belongs to a plugin that failed to load ({plugins}):\n{traces}"
            ) from error
        raise error

    def get(self, name: str, *, where: str = "") -> T:
        """Return the component of a name; raises as `entry` does."""
        return self.entry(name, where=where).component

    def all(self) -> dict[str, T]:
        """Return every component by name; raises `PluginError` if any name is taken twice."""
        return {name: self.get(name) for name in self.names}


def build(component: Component, options: Mapping[str, Any] | None = None, *, where: str = "") -> Any:
    """Call a component's factory, importing its module first where it is named by a string.

    Args:
        component: what a hook yielded.
        options: keyword arguments for the factory, as the config gives them.
        where: the config key that the options come from, for the message.

    Raises:
        PluginError: if the module or attribute is not there, or code of another distribution than ours fails.
        ConfigError: if the factory does not take the options.
    """
    factory = resolve(component)
    try:
        return factory(**dict(options or {}))
    except (TypeError, ValueError) as error:
        place = where or component.name
        raise ConfigError(f"options of {place} do not fit {component.known_as}: {error}") from error
    except (TtmError, OSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not component.foreign:
            raise
        raise PluginError(f"{component.known_as} cannot be made ({told(error)}): --debug shows where") from error


def resolve(component: Component) -> Any:
    """Return the factory itself, imported if it is given as ``"module:attr"``."""
    if not isinstance(component.factory, str):
        return component.factory
    module_name, _, attribute = component.factory.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        why = needs(error, component.distribution) if isinstance(error, ModuleNotFoundError) else str(error)
        raise PluginError(f"{component.known_as} cannot be loaded from {component.factory!r}: {why}") from error
    except Exception as error:
        if not component.foreign:
            raise
        raise PluginError(
            f"{component.known_as} cannot be loaded from {component.factory!r} ({told(error)}): --debug shows where"
        ) from error
