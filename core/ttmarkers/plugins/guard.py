"""What plugins do to the process while they are loaded, beside what they should: noticed, put back, named.

Loading a plugin means importing its module and calling its hooks. What it prints meanwhile goes to standard error. What
it replaces in the framework or in the standard library is put back, and so are the settings that all parts of a process
share. What it does later, in a command or a component, is its own business.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from operator import is_not
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from ttmarkers.plugins.shared_settings import restore, shared_settings

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

_WATCHED = """
abc builtins collections contextlib copy csv dataclasses datetime enum functools gzip hashlib http.client importlib
inspect io itertools json logging math multiprocessing operator os pathlib pickle posixpath queue random re shutil
signal socket ssl string subprocess sys tempfile threading time traceback types urllib.request uuid warnings zipfile
"""
STANDARD = frozenset(_WATCHED.split())
"""Modules of the standard library that are watched; what nobody imported is not."""

_MISSING = object()


@dataclass
class Seen:
    """What a plugin did while it was loaded.

    Attributes:
        patched: what it replaced, such as ``json.dumps``.
        notes: what else should be known of it, a few words each.
    """

    patched: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Guard:
    """Watches plugins while they are loaded.

    Args:
        packages: those whose modules nobody may change, beside the standard library's.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = frozenset(packages)
        self._originals: list[tuple[str, ModuleType | type[Any], dict[str, Any]]] = []
        self._finder = _Finder(self)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Take note of what is there before the first plugin is loaded."""
        for name, module in list(sys.modules.items()):
            if self.watches(name):
                self.note(module)
        sys.meta_path.insert(0, self._finder)
        try:
            yield
        finally:
            with suppress(ValueError):
                sys.meta_path.remove(self._finder)

    @contextmanager
    def plugin(self) -> Iterator[Seen]:
        """Watch a plugin that is loaded within."""
        seen, noticed = Seen(), list[str]()
        shared, threads = shared_settings(), _threads()
        try:
            with _streams() as noticed:
                yield seen
        finally:
            seen.patched += self._put_back()
            seen.notes += [f"changed {what} (put back)" for what in restore(shared)]
            seen.notes += dict.fromkeys(noticed)
            if started := [thread.name for thread in _threads() if thread not in threads]:
                seen.notes.append(f"started {len(started)} threads ({', '.join(started)})")

    def watches(self, name: str) -> bool:
        """Tell whether a module's content is nobody's to change."""
        return name in STANDARD or name.partition(".")[0] in self._packages

    def note(self, module: ModuleType) -> None:
        """Take note of a module's functions and classes, and of these classes' methods."""
        name = module.__name__
        values = {key: value for key, value in vars(module).items() if callable(value)}
        if name not in STANDARD:
            values |= {key: value for key, value in vars(module).items() if key.isupper()}
        self._originals.append((name, module, values))
        for key, kind in values.items():
            # classes of native code cannot be changed
            if isinstance(kind, type) and kind.__module__ == name and kind.__flags__ & HEAP_TYPE:
                methods = {part: value for part, value in vars(kind).items() if _is_method(part, value)}
                self._originals.append((f"{name}.{key}", kind, methods))

    def _put_back(self) -> list[str]:
        found = []
        for owner, place, values in self._originals:
            now = vars(place)
            if not any(map(is_not, map(now.get, values), values.values())):
                continue
            for key, value in values.items():
                if now.get(key, _MISSING) is not value:
                    found.append(f"{owner}.{key}")
                    setattr(place, key, value)
        return found


HEAP_TYPE = 1 << 9  # of a class's flags: it was made at run time


def _is_method(name: str, value: Any) -> bool:
    if isinstance(value, FunctionType):
        return value.__module__ != "typing"  # protocols get an __init__ when they are first made
    return not name.startswith("__") and isinstance(value, classmethod | staticmethod | property)


def _threads() -> list[threading.Thread]:
    """Return all threads but the first one."""
    module = sys.modules.get("threading")
    return [thread for thread in module.enumerate() if thread is not module.main_thread()] if module else []


class _Finder:
    """Takes note of watched modules that a plugin is the first to import, as soon as they are whole."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Find a watched module as Python does, with a loader that takes note of it."""
        if not self._guard.watches(name):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        spec.loader = _Loader(spec.loader.name, spec.loader.path, self._guard)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, guard: Guard) -> None:
        super().__init__(name, path)
        self._guard = guard

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        self._guard.note(module)


_NOBODY = io.StringIO()
"""Takes what is printed where there is no standard error."""


class _Telling:
    """Stands in for ``sys.stdout``: passes all to standard error, and tells that something was written."""

    def __init__(self, printed: list[str]) -> None:
        self._printed = printed

    def __getattr__(self, name: str) -> Any:
        if name in ("write", "writelines", "buffer"):
            self._printed.append(PRINTED)
        return getattr(sys.stderr or _NOBODY, name)


PRINTED = "printed to standard output, which went to standard error"
_REPLACED: list[Any] = []
"""Streams that plugins put in the place of ours: one that is thrown away would close what is below it."""


@contextmanager
def _streams() -> Iterator[list[str]]:
    """Lead what is printed to standard error, and put the streams back; yields a list of what was noticed."""
    noticed: list[str] = []
    before = sys.stdin, sys.stdout, sys.stderr
    ours = _Telling(noticed)
    sys.stdout = ours
    try:
        with _native_prints(noticed):
            yield noticed
    finally:
        now = sys.stdin, sys.stdout, sys.stderr
        for name, stream, expected in zip(
            ("stdin", "stdout", "stderr"), now, (before[0], ours, before[2]), strict=True
        ):
            if stream is not expected:
                _REPLACED.append(stream)
                noticed.append(f"replaced sys.{name} (put back)")
        sys.stdin, sys.stdout, sys.stderr = before


@contextmanager
def _native_prints(noticed: list[str]) -> Iterator[None]:
    """Lead what native code and child processes print to standard error.

    It is noticed where the system has files in memory.
    """
    moved = _move()
    try:
        yield
    finally:
        if moved is not None:
            before, holder = moved
            with suppress(OSError, ValueError, AttributeError):
                sys.__stdout__.flush()  # type: ignore[union-attr]
            os.dup2(before, 1)
            os.close(before)
            if holder is not None:
                size = os.fstat(holder).st_size
                if size:
                    noticed.append(PRINTED)
                    if sys.__stderr__ is not None:  # else 2 may be any file's number
                        os.write(2, os.pread(holder, size, 0))
                os.close(holder)


def _move() -> tuple[int, int | None] | None:
    """Put something else in the place of descriptor 1; returns what was there, and the file that is there now."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        before = os.dup(1)
    except (OSError, ValueError):
        return None  # there is no standard output
    try:
        holder = os.memfd_create("ttm") if sys.platform == "linux" else None
        os.dup2(2 if holder is None else holder, 1)
    except OSError:
        os.close(before)
        return None
    return before, holder
