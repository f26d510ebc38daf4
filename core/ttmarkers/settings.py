"""Settings in YAML: read, laid over each other, set by dotted keys, and what is wrong with them in one sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import ValidationError


class _Loader(yaml.SafeLoader):
    """YAML that reads 1e-3 as a number, as YAML 1.2 does; PyYAML reads YAML 1.1, which wants 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)


def read_yaml(text: str, where: str) -> Any:
    """Return what a text in YAML 1.2 says.

    Raises:
        ConfigError: if it is none; ``where`` says what it is.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is no YAML: {' '.join(str(error).split())}") from error


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, section by section; what one marker declares is replaced as a whole."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both and not {"column", "constant"} & value.keys() else value
    return merged


def override(data: dict[str, Any], key: str, value: Any, *, where: str) -> None:
    """Put a value at a dotted key.

    Raises:
        ConfigError: if what stands above the key is no section.
    """
    place = data
    *parents, last = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise ConfigError(f"{where}: {parent} holds a value, not a section")
    place[last] = value


def sentence(error: ValidationError, name: str, root: type[BaseModel]) -> str:
    """Return what is wrong in one sentence; ``root`` is the model that was validated."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith(("constrained-", "list["))]  # of a union
    if first["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)!r} ({name}): {_meant(path, root)}"
    return f"{name}: {'.'.join(path) or 'the config'}: {first['msg'].removeprefix('Value error, ')}"


def keys(root: type[BaseModel], path: Sequence[str] = ()) -> dict[str, bool]:
    """Return the keys of the section at a path, none if it leads to no section, and whether more stand below each."""
    section, any_key = root, False
    for part in path:
        if any_key:  # of a mapping of sections
            any_key = False
            continue
        below = _section(section, [part])
        if part not in section.model_fields or below is section:
            return {}
        any_key = get_origin(section.model_fields[part].annotation) is dict
        section = below
    return {
        key: _section(section, [key]) is not section or get_origin(field.annotation) is dict
        for key, field in section.model_fields.items()
    }


def choices(root: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the values that the key at a path may have, as YAML; none where they are not a short list."""
    field = _section(root, path[:-1]).model_fields.get(path[-1])
    if field is None:
        return []
    if field.annotation is bool:
        return ["true", "false"]
    return [str(value) for value in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []


def _meant(path: Sequence[str], root: type[BaseModel]) -> str:
    """Return a hint for a key that does not exist: the same key of another section, or the nearest of its own."""
    *section, last = path
    elsewhere = [".".join(place) for place in _places(root) if place[-1] == last]
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    return did_you_mean(last, _section(root, section).model_fields, before="".join(f"{part}." for part in section))


def _places(root: type[BaseModel], path: Sequence[str] = ()) -> Iterator[list[str]]:
    """Yield the paths of all keys, those of mappings' sections left out."""
    for key, field in _section(root, path).model_fields.items():
        yield [*path, key]
        if _is_section(field.annotation):
            yield from _places(root, [*path, key])


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _section(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """Return the model of the section at a path, as far as the path leads into sections."""
    for part in path:
        field = model.model_fields.get(part)
        kind = field.annotation if field else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            model = kind
        elif inner := next((a for a in getattr(kind, "__args__", ()) if _is_section(a)), None):
            model = inner  # a mapping of sections: the next part is its key
    return model
