"""Errors that a user can mend, each one sentence: what, where, how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TtmError(Exception):
    """An error for the user. The command line prints its text alone and exits with ``exit_code``."""

    exit_code = 1


class DataError(TtmError):
    """A row, file or text cannot be used as it is."""


class NoRoomError(DataError):
    """A prompt with its block fills a model's context."""


class ConfigError(TtmError):
    """The command, the config or a name in them is wrong."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """A name that nothing is registered under.

    Attributes:
        kind: of component, such as ``extractor``; empty if it is not known.
        name: that was asked for.
    """

    kind = ""
    name = ""


class OutputExistsError(ConfigError):
    """An output is there already, and nothing is overwritten without being told."""


class CheckpointError(ConfigError):
    """A model does not carry the markers that a command needs, or carries others."""


class StoppedError(TtmError):
    """A run stops before its end and keeps what is done: money is spent, or a server does not answer."""


class PluginError(ConfigError):
    """A component that is needed belongs to a plugin that did not load, or two plugins collide."""


def did_you_mean(name: str, known: Iterable[str], *, before: str = "") -> str:
    """Return a hint for a misspelt name, or the list of what there is; ``before`` is written before the name.

    >>> did_you_mean("frensh", ["French", "German"])
    "did you mean 'French'?"
    >>> did_you_mean("x", ["French", "German"])
    'known: French, German'
    """
    import difflib

    options = sorted(known)
    lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean {before + lower[close[0]]!r}?"
    return f"known: {', '.join(options)}" if options else "none is known"


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str = "") -> UnknownNameError:
    """Return the error for a name of a ``kind`` that does not exist; ``where`` says where it was written."""
    place = f" ({where})" if where else ""
    error = UnknownNameError(f"unknown {kind} {name!r}{place}: {did_you_mean(name, known)}")
    error.kind, error.name = kind, name
    return error


def told(error: BaseException) -> str:
    """Return an error's class and the first line of its text; of a `TtmError` the text alone.

    >>> told(ValueError("no smileys"))
    'ValueError: no smileys'
    """
    try:
        lines = str(error).strip().splitlines() or [""]
    except Exception:  # the class is a plugin's
        lines = ["its text cannot be made"]
    if isinstance(error, TtmError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}".removesuffix(": ")
