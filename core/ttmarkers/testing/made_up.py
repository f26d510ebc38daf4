"""A plugin made up of components, so that they can be tested where nothing is installed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from ttmarkers import __version__
from ttmarkers.hookspecs import PROJECT, hookimpl
from ttmarkers.plugins.kinds import KINDS, kind_of
from ttmarkers.plugins.manager import Candidate, create_plugins, discover
from ttmarkers.taxonomies.taxonomy import Taxonomy, make_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.plugins.manager import Plugins

NAME = "ttmarkers_made_up_for_tests"


def plugins_with(*components: Any, installed: bool = True) -> Plugins:
    """Return the built-ins, the plugins that are installed, and given components beside them.

    A component that an installed plugin offers already is not added again.

    Args:
        components: marker types, extractors, templates, commands and so on.
        installed: whether the plugins of installed distributions are loaded.

    Raises:
        TypeError: if one is no component.
        AssertionError: if a plugin cannot offer them.

    Example:
        >>> mood = MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"))
        >>> "mood" in plugins_with(mood).marker_types()
        True
    """
    loaded = create_plugins(third_party=installed)
    new = [component for component in components if not _offered(component, loaded)]
    if not new:
        return loaded
    offers: dict[str, list[Any]] = {}
    for component in new:
        offers.setdefault(KINDS[kind_of(component)].hook, []).append(component)
    module = ModuleType(NAME)
    for hook, offered in offers.items():
        setattr(module, hook, hookimpl(_yielding(hook, offered)))
    # of the framework's own distribution: a model that is made with it asks nobody to install a plugin
    candidate = Candidate(NAME, NAME, PROJECT, __version__)
    with mock.patch.dict(sys.modules, {NAME: module}):
        plugins = create_plugins(candidates=[*(discover() if installed else ()), candidate])
    (record,) = [record for record in plugins.records if record.name == NAME]
    if record.status != "ok":
        raise AssertionError(f"the components cannot be offered by a plugin: {record.error}")
    return plugins


def taxonomy_of(plugins: Plugins) -> Taxonomy:
    """Return all marker types, the paper's first."""
    return make_taxonomy(plugins.marker_types().all())


def _offered(component: Any, plugins: Plugins) -> bool:
    return any(entry.component == component for entry in plugins.registry(kind_of(component)))


def _yielding(hook: str, offered: Iterable[Any]) -> Any:
    def implementation() -> Iterable[Any]:
        yield from offered

    implementation.__name__ = hook
    return implementation
