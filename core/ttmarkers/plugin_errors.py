"""Why a plugin did not load, in one sentence for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ttmarkers import __version__
from ttmarkers.errors import TtmError, did_you_mean
from ttmarkers.requirements import missing, name_of, newer, normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UPGRADE = "pip install -U ttmarkers"


def told(error: BaseException) -> str:
    """Return an error's class and the first line of its text, whatever its class does to it.

    >>> told(ValueError("no smileys"))
    'ValueError: no smileys'
    """
    try:
        lines = str(error).strip().splitlines() or [""]
    except Exception:
        lines = ["its text cannot be made"]
    if isinstance(error, TtmError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}".removesuffix(": ")


def explain(error: BaseException, module: str, source: str, requires: Sequence[str]) -> str:
    """Return why a plugin could not be imported, and how to mend it.

    Args:
        error: what importing raised.
        module: the plugin's module.
        source: its distribution and version.
        requires: what its distribution asks for.
    """
    text = told(error)
    if not isinstance(error, ImportError):
        return text
    name = (error.name or "").partition(".")[0]
    if name == "ttmarkers":
        return f"{text}: {source} may be written for a newer ttmarkers than {__version__}: {UPGRADE}"
    if not isinstance(error, ModuleNotFoundError):
        return text
    if name == module.partition(".")[0]:
        distribution = source.rpartition(" ")[0]
        return f"{text}: {source} is only half installed: pip install --force-reinstall {distribution}"
    lacking = missing(requires)
    lacking = [wanted for wanted in lacking if name_of(wanted) == normal(name)] or lacking
    if not lacking:
        return f"{text}: {source} does not say which package has it: install that, and tell its author"
    those = " ".join(f"'{wanted}'" for wanted in lacking)
    return f"{text}: {source} asks for {' and '.join(lacking)}, not installed: pip install {those}"


def too_old(source: str, requires: Sequence[str]) -> str:
    """Return why a plugin asks for more than this version of ttmarkers; empty if it does not."""
    wanted = newer(requires, "ttmarkers", __version__)
    return f"{source} asks for {wanted}, and this is {__version__}: {UPGRADE}" if wanted else ""


def unknown_hook(text: str, hooks: Iterable[str]) -> str:
    """Return what pluggy complains of in a hook, as a sentence for people.

    Args:
        text: pluggy's own.
        hooks: the names of all hooks.
    """
    unknown = re.search(r"unknown hook '(\w+)'", text)
    if unknown:
        hint = did_you_mean(unknown[1], hooks)
        return f"{unknown[1]} is no hook of ttmarkers {__version__}: {hint}; or it is one of a newer version: {UPGRADE}"
    extra = re.search(r"for hook '(\w+)'.*Argument\(s\) \{(.+?)\}", text, re.DOTALL)
    if extra:
        return (
            f"{extra[1]} of ttmarkers {__version__} is called without {extra[2]}, which the plugin takes: "
            f"it may be written for a newer version ({UPGRADE})"
        )
    return text
