"""The signatures that plugins depend on, as data; and what may not change in them."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers import components, hookspecs, protocols, records
from ttmarkers.compat import FIELD, RELEASES, Deprecation, old_in_warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

SHOWN = ("components", "protocols", "records")
"""The modules whose classes plugins use, beside that of the hooks."""

REQUIRED = "required"
GIVEN = ("Subject",)
"""Protocols of what plugins are given: these may gain methods. What plugins write may not."""


def signatures() -> dict[str, Any]:
    """Return the hooks and the classes that they and their components stand on, as JSON."""
    return {
        "api": hookspecs.API,
        "hooks": {name: hook_facts(function) for name, function in hooks()},
        "components": {kind.__name__: fields_of(kind) for kind in classes(components)},
        "protocols": {kind.__name__: _class(kind) for kind in classes(protocols)},
        "records": {kind.__name__: fields_of(kind) for kind in classes(records)},
    }


def breaks(before: Mapping[str, Any], now: Mapping[str, Any], version: str) -> list[str]:
    """Return what would break a plugin that was written for earlier signatures, one line each.

    Hooks, arguments and fields may be lost only when they were old for long enough.

    Args:
        before: the signatures of an earlier version.
        now: those of today.
        version: today's.
    """
    found: list[str] = []
    for name, hook in before["hooks"].items():
        found += _hook_breaks(name, hook, now["hooks"].get(name), version)
    for part in SHOWN:
        for name, members in before[part].items():
            later = now[part].get(name)
            if later is None:
                found.append(f"{name} is gone")
            elif part == "protocols" and not _is_dataclass(members):
                found += _protocol_breaks(name, members, later)
            else:
                found += _field_breaks(name, members, later, version)
    return found


def hooks() -> list[tuple[str, Any]]:
    """Return the hooks with their specifications."""
    found = vars(hookspecs).items()
    return [(name, value) for name, value in found if hasattr(value, f"{hookspecs.PROJECT}_spec")]


def hook_facts(function: Any) -> dict[str, Any]:
    """Return what an implementation of a hook depends on."""
    signature = inspect.signature(function)
    spec = getattr(function, f"{hookspecs.PROJECT}_spec")
    found: dict[str, Any] = {"arguments": list(signature.parameters), "yields": str(signature.return_annotation)}
    if old := old_in_warning(spec["warn_on_impl"]):
        found["old since"] = old.since
    old_arguments = {name: old_in_warning(warning) for name, warning in (spec["warn_on_impl_args"] or {}).items()}
    if old_arguments:
        found["old arguments"] = {name: old.since for name, old in old_arguments.items() if old}
    return found


def classes(module: ModuleType) -> list[type[Any]]:
    """Return the classes that a module defines."""
    found = vars(module).values()
    return [value for value in found if isinstance(value, type) and value.__module__ == module.__name__]


def _class(kind: type[Any]) -> dict[str, Any]:
    return fields_of(kind) if is_dataclass(kind) else methods_of(kind)


def fields_of(kind: type[Any]) -> dict[str, Any]:
    """Return a dataclass's fields in their order, with type and default."""
    if not is_dataclass(kind):
        return methods_of(kind)
    found = {}
    for each in fields(kind):
        facts: dict[str, Any] = {"type": str(each.type), "default": _default(each)}
        if each.kw_only:
            facts["by name"] = True
        if FIELD in each.metadata:
            facts["old since"] = each.metadata[FIELD][0]
        found[each.name] = facts
    return found


def _default(each: Field[Any]) -> str:
    if each.default_factory is not MISSING:
        return f"{getattr(each.default_factory, '__name__', 'made')}()"
    return REQUIRED if each.default is MISSING else _shown(each.default)


def _shown(value: Any) -> str:
    return "function" if inspect.isfunction(value) else repr(value)


def methods_of(kind: type[Any]) -> dict[str, str]:
    """Return a class's public methods and properties, each with its signature."""
    found = {name: str(text) for name, text in inspect.get_annotations(kind).items()}
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property) and value.fget:
            found[name] = str(inspect.signature(value.fget).return_annotation)
        elif inspect.isfunction(value):
            found[name] = _signature(value)
    return found


def _signature(function: Any) -> str:
    """Return what a method is called with and returns, with types as they are written."""
    signature = inspect.signature(function)
    shown = []
    for each in list(signature.parameters.values())[1:]:
        stars = "*" * ((each.kind is each.VAR_POSITIONAL) + 2 * (each.kind is each.VAR_KEYWORD))
        default = "" if each.default is each.empty else f" = {_shown(each.default)}"
        shown.append(f"{stars}{each.name}: {each.annotation}{default}")
    return f"({', '.join(shown)}) -> {signature.return_annotation}"


def _is_dataclass(members: Mapping[str, Any]) -> bool:
    return any(isinstance(member, dict) for member in members.values())


def _may_go(since: str | None, version: str) -> bool:
    """Tell whether something that became old in a version may be gone in another."""
    return since is not None and Deprecation("", since, "").overdue(version)


def _hook_breaks(name: str, before: Mapping[str, Any], now: Mapping[str, Any] | None, version: str) -> Iterator[str]:
    if now is None:
        if not _may_go(before.get("old since"), version):
            yield f"{name} is gone, and was not old for {RELEASES} minor releases"
        return
    for argument in before["arguments"]:
        since = before.get("old arguments", {}).get(argument)
        if argument not in now["arguments"] and not _may_go(since, version):
            yield f"{name} lost its argument {argument}, which was not old for {RELEASES} minor releases"
    if before["yields"] != now["yields"]:
        yield f"{name} yielded {before['yields']}, and now {now['yields']}"


def _field_breaks(name: str, before: Mapping[str, Any], now: Mapping[str, Any], version: str) -> Iterator[str]:
    for field, facts in before.items():
        if field not in now:
            if not _may_go(facts.get("old since"), version):
                yield f"{name} lost its field {field}, which was not old for {RELEASES} minor releases"
        elif now[field]["default"] == REQUIRED != facts["default"]:
            yield f"{name}.{field} lost its default"
    for field in now.keys() - before.keys():
        if now[field]["default"] == REQUIRED:
            yield f"{name} gained the field {field} without a default"
    if _positions(now)[: len(kept := [field for field in _positions(before) if field in now])] != kept:
        yield f"{name} has its fields in another order: new ones come last, or by name alone"


def _positions(members: Mapping[str, Any]) -> list[str]:
    return [field for field, facts in members.items() if "by name" not in facts]


def _protocol_breaks(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for method, signature in before.items():
        if method not in now:
            yield f"{name} lost {method}"
        elif now[method] != signature:
            yield f"{name}.{method} was {signature}, and is {now[method]}: make a protocol of its own for it"
    if name not in GIVEN:
        for method in sorted(now.keys() - before.keys()):
            yield f"{name} gained {method}, which plugins do not have: make a protocol of its own for it"
