"""Marker types as they stand today: what plugins define, changed by other plugins and by the config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.components import MarkerType, TaxonomyChange
from ttmarkers.errors import ConfigError, PluginError, did_you_mean
from ttmarkers.taxonomies.changes import CONFIG, KEY, Sourced, change_type
from ttmarkers.taxonomies.taxonomy import Taxonomy, make_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.config import MarkersConfig, MarkerTypeConfig
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.plugins.registry import Registry


@dataclass(frozen=True)
class Listed:
    """A marker type for a listing.

    Attributes:
        kind: with its changes made, or as its plugin defines it where they contradict each other.
        source: who defines it.
        changes: that were made.
        fault: why they could not be made.
    """

    kind: MarkerType
    source: str
    changes: tuple[Sourced, ...] = ()
    fault: str = ""


def current_taxonomy(
    plugins: Plugins, markers: MarkersConfig | None = None, *, order: Sequence[str] | None = None
) -> Taxonomy:
    """Return the taxonomy that plugins and config make together.

    Args:
        plugins: what defines and changes marker types.
        markers: the config's section ``markers``; None for its defaults.
        order: the types to use, in this order; all by default.

    Raises:
        PluginError: if two plugins contradict each other over a type that is used.
        ConfigError: if a change does not fit its marker type.
    """
    profile = markers.taxonomy if markers else "paper"
    return make_taxonomy(current_types(plugins, markers, order), profile=profile, order=order)


def sound_taxonomy(plugins: Plugins, markers: MarkersConfig | None = None) -> Taxonomy:
    """Return the taxonomy without the types over which plugins contradict each other; raises as `current_taxonomy`.

    It is for what stands beside the types that are used: a quarrel over a marker that nobody asks for stops nothing.
    """
    listed, _ = list_types(plugins, markers)
    names = [each.kind.name for each in listed]
    sound = [each.kind.name for each in listed if not each.fault and names.count(each.kind.name) == 1]
    return current_taxonomy(plugins, markers, order=sound)


def current_types(
    plugins: Plugins, markers: MarkersConfig | None = None, names: Iterable[str] | None = None
) -> dict[str, MarkerType]:
    """Return marker types by name, as `current_taxonomy` has them, all or those named; raises as that does.

    A plugin's change of a marker whose own plugin is not there changes nothing; ``ttm markers list`` says so.
    """
    registry = plugins.marker_types()
    mine = _new_types(dict.fromkeys(registry.names), markers)
    new = {kind.name: (kind, f"{KEY}.{kind.name} of {CONFIG}") for kind in mine}
    wanted = [*registry.names, *new] if names is None else [name for name in names if name in registry or name in new]
    types = {name: new.get(name) or _entry(registry, name) for name in wanted}
    found = {name: kind for name, (kind, _) in types.items()}
    for name, changes in current_changes(plugins, markers).items():
        if name in types:
            kind, owner = types[name]
            found[name] = change_type(kind, changes, owner)
        elif name not in registry and name not in new and any(each.source.endswith(CONFIG) for each in changes):
            raise PluginError(_stray(name, changes, [*registry.names, *new]))
    return found


def _entry(registry: Registry[MarkerType], name: str) -> tuple[MarkerType, str]:
    entry = registry.entry(name)
    return entry.component, entry.distribution


def list_types(plugins: Plugins, markers: MarkersConfig | None = None) -> tuple[list[Listed], list[str]]:
    """Return all marker types in the order of a block, and what is wrong: a listing shows both sides of a quarrel."""
    registry = plugins.marker_types()
    entries = [(entry.component, entry.distribution) for entry in registry]
    entries += [(kind, f"{KEY}.{kind.name} of {CONFIG}") for kind in _new_types(dict.fromkeys(registry.names), markers)]
    changes, faults, found = current_changes(plugins, markers), [], []
    for kind, source in entries:
        own = tuple(changes.get(kind.name, ()))
        try:
            found.append(Listed(change_type(kind, own, source) if own else kind, source, own))
        except ConfigError as error:
            found.append(Listed(kind, source, own, str(error)))
            faults.append(str(error))
    known = {kind.name: kind for kind, _ in entries}
    faults += [_stray(name, each, known) for name, each in changes.items() if name not in known]
    order = make_taxonomy(known).names
    return sorted(found, key=lambda each: order.index(each.kind.name)), faults


def check_names(names: Iterable[str], plugins: Plugins, markers: MarkersConfig | None, *, where: str) -> None:
    """Raise as `Registry.get` does for a name that is no marker type of plugins or config."""
    registry = plugins.marker_types()
    for name in names:
        if not (markers and name in markers.types):
            registry.get(name, where=where)


def current_changes(plugins: Plugins, markers: MarkersConfig | None = None) -> dict[str, list[Sourced]]:
    """Return the changes of each marker type, in an order that depends on their sources and names alone."""
    found = [Sourced(entry.component, entry.distribution) for entry in plugins.taxonomy_changes()]
    for name, section in (markers.types if markers else {}).items():
        if section.kind is None and not section.values:
            found.append(Sourced(_config_change(name, section), f"{KEY}.{name} of {CONFIG}"))
    by_marker: dict[str, list[Sourced]] = {}
    for each in sorted(found, key=lambda each: (each.source, each.change.name)):
        by_marker.setdefault(each.change.marker, []).append(each)
    return by_marker


def _config_change(name: str, section: MarkerTypeConfig) -> TaxonomyChange:
    extra = sorted(section.model_fields_set & {"minimum", "unit"})
    if extra:
        raise ConfigError(f"{KEY}.{name}.{extra[0]}: only a new marker type has it: give kind too, or leave it out")
    try:
        return TaxonomyChange(
            name,
            section.summary,
            name,
            tuple(section.add),
            section.aliases,
            section.rename,
            {old: tuple(parts) for old, parts in section.split.items()},
        )
    except ValueError as error:
        raise ConfigError(f"{KEY}.{name}: {error}") from error


def _new_types(known: Mapping[str, object], markers: MarkersConfig | None) -> Iterable[MarkerType]:
    """Yield the marker types that the config alone defines."""
    for name, section in (markers.types if markers else {}).items():
        if section.kind is None and not section.values:
            continue
        if name in known:
            key = "kind" if section.kind else "values"
            raise ConfigError(f"{KEY}.{name}.{key}: the marker {name!r} exists already: change it with add or rename")
        extra = sorted(section.model_fields_set & {"add", "rename", "split"})
        if extra:
            raise ConfigError(f"{KEY}.{name}.{extra[0]}: {name!r} is a new marker type: write its values under values")
        for alias, value in section.aliases.items():
            if value not in section.values:
                hint = did_you_mean(value, section.values)
                raise ConfigError(f"{KEY}.{name}.aliases: {alias!r} stands for {value!r}, which is no value: {hint}")
        try:
            yield MarkerType(
                name,
                section.summary or "Defined in the config.",
                section.kind or "categorical",
                tuple(section.values),
                section.aliases,
                section.minimum,
                section.unit,
            )
        except ValueError as error:
            raise ConfigError(f"{KEY}.{name}: {error}") from error


def _stray(name: str, changes: Sequence[Sourced], known: Iterable[str]) -> str:
    """Return what is wrong with changes of a marker type that does not exist."""
    said = " and ".join(sorted({each.source for each in changes}))
    mine = any(each.source.endswith(CONFIG) for each in changes)
    new = "; a new one needs kind, and values if it is categorical" if mine else ""
    return f"{said} changes the marker {name!r}, which does not exist: {did_you_mean(name, known)}{new}"
