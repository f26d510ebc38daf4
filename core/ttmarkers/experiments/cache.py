"""What is done in an experiment is found again by a key: a hash of the settings and files that it depends on."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def key(kind: str, stamps: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return a hash of what something depends on."""
    text = orjson.dumps([kind, __version__, list(stamps), settings], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def stamp(name: str) -> str:
    """Return a hash of a file's content; of another source its name."""
    path = Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else name


def model_stamp(model: str) -> str:
    """Return what tells a model from another one: its name, and names, sizes and times of its folder's files."""
    path = Path(model)
    files = sorted(path.iterdir()) if path.is_dir() else []
    marks = [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files if file.is_file()]
    return f"{path.name} {marks}" if marks else model


def named_files(settings: Any) -> list[str]:
    """Return hashes of all files that settings name, also as words of a command, so that a changed one is noticed."""
    return sorted({stamp(name) for name in _texts(settings) if _is_file(name)})


def _texts(settings: Any) -> Iterator[str]:
    if isinstance(settings, str):
        yield settings
        try:
            yield from shlex.split(settings)
        except ValueError:
            return
    elif isinstance(settings, dict):
        for value in settings.values():
            yield from _texts(value)
    elif isinstance(settings, list | tuple):
        for value in settings:
            yield from _texts(value)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def has_key(path: Path, own: str) -> bool:
    """Say whether a JSON file is there and of this key."""
    try:
        return bool(orjson.loads(path.read_bytes())["key"] == own)
    except (OSError, orjson.JSONDecodeError, KeyError):
        return False


def slug(label: str) -> str:
    """Return a folder's name for a label; two labels never share one.

    >>> slug("fixed"), slug("../x").rpartition("-")[0]
    ('fixed', '--x')
    """
    plain = "".join(char if char.isalnum() or char in "._-" else "-" for char in label).replace("--", "-")
    plain = plain.replace("..", "-")[:80]
    if plain == label and plain not in (".", ""):
        return plain
    return f"{plain}-{hashlib.sha256(label.encode()).hexdigest()[:4]}"
