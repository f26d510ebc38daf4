"""Why a plugin did not load, in one sentence for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ttmarkers import __version__
from ttmarkers.errors import did_you_mean, told
from ttmarkers.plugins.requirements import asked_for, newer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UPGRADE = "pip install -U ttmarkers"


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
    return f"{text}: {asked_for(name, source, requires)}"


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
