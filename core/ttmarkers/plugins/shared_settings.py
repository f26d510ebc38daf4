"""Settings that all parts of a process share, such as the working folder: read, compared and put back."""

from __future__ import annotations

import _locale  # what `locale` stands on, and a tenth of it to import
import os
import signal
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGALRM")


def shared_settings() -> dict[str, Any]:
    """Return the settings that all parts of a process share, by what they are called for people."""
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def restore(before: Mapping[str, Any]) -> list[str]:
    """Put settings back, and return those that were changed."""
    changed = []
    for name, (read, write) in _SETTINGS.items():
        if read() != before[name]:
            changed.append(name)
            with suppress(Exception):  # what cannot be put back is named all the same
                write(before[name])
    return changed


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a plain text can be compared and is cheap
    except OSError:
        return ""


def _set_environment(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@dataclass(frozen=True)
class _Filters:
    """The filters of warnings; those that hold for some modules or texts alone may be added to."""

    general: list[Any]
    all: list[Any] = field(compare=False)


def _is_general(entry: Any) -> bool:
    return entry[1] is None and entry[3] is None


def _filters() -> _Filters:
    return _Filters([entry for entry in warnings.filters if _is_general(entry)], list(warnings.filters))


def _set_filters(before: _Filters) -> None:
    added = [entry for entry in warnings.filters if not _is_general(entry) and entry not in before.all]
    warnings.filters[:] = [*added, *before.all]  # type: ignore[index]
    with warnings.catch_warnings():
        pass  # tells Python that the list is another one


def _signals() -> dict[str, Any]:
    return {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS if hasattr(signal, name)}


def _set_signals(before: Mapping[str, Any]) -> None:
    for name, handler in before.items():
        if handler is not None and handler != signal.getsignal(getattr(signal, name)):
            signal.signal(getattr(signal, name), handler)


def _logging() -> tuple[int, list[Any]]:
    if "logging" not in sys.modules:
        return 30, []  # as it is when it is imported: a warning is told
    root = sys.modules["logging"].getLogger()
    return root.level, list(root.handlers)


def _set_logging(before: tuple[int, list[Any]]) -> None:
    root = sys.modules["logging"].getLogger()
    root.setLevel(before[0])
    root.handlers[:] = before[1]


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the working folder": (_folder, os.chdir),
    "environment variables": (lambda: dict(os.environ), _set_environment),
    "the filters of all warnings": (_filters, _set_filters),
    "the locale": (lambda: _locale.setlocale(_locale.LC_ALL), lambda before: _locale.setlocale(_locale.LC_ALL, before)),
    "what signals do": (_signals, _set_signals),
    "the root logger": (_logging, _set_logging),
}
