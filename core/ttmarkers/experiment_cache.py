"""What is done in an experiment is found again by a key: a hash of the settings and files that it depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers import __version__
from ttmarkers.checkpoint import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def key(kind: str, stamps: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return a hash of what something depends on."""
    text = orjson.dumps([kind, __version__, list(stamps), settings], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()


def stamp(name: str) -> str:
    """Return a hash of a file's content; of another source its name."""
    path = Path(name)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else name


def model_stamp(model: str) -> str:
    """Return what tells a model from another one: its folder's name and its ``run.json``."""
    path = Path(model) / "run.json"
    return f"{Path(model).name} {stamp(str(path))}" if path.is_file() else f"{model} {find(model)}"


def has_key(path: Path, key: str) -> bool:
    """Say whether a ``run.json`` is there and of this key."""
    try:
        return bool(orjson.loads(path.read_bytes())["key"] == key)
    except (OSError, orjson.JSONDecodeError, KeyError):
        return False


def slug(label: str) -> str:
    """Return a folder's name for a label."""
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in label).replace("--", "-")
