"""What is asked about plugins: whether each works, has what it asks for, and is declared rightly."""

from __future__ import annotations

import functools
import importlib.metadata
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ttmarkers.doctor.findings import Answer
from ttmarkers.plugins.discovery import GROUP, discover
from ttmarkers.plugins.requirements import normal, unmet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ttmarkers.doctor.findings import Question
    from ttmarkers.plugins.manager import PluginRecord, Plugins

SECTION = "Plugins"
LIKE = 0.7  # a group so like ours is a slip


def plugin_questions(plugins: Callable[[], Plugins]) -> Iterator[Question]:
    """Yield a question for all plugins, and one for what looks like a plugin and is none."""
    yield SECTION, "plugins", functools.partial(_plugins, plugins)
    yield SECTION, "entry points", _mistaken


def _plugins(plugins: Callable[[], Plugins]) -> Iterator[Answer]:
    for record in plugins().records:
        yield _plugin(record)
        lacking = unmet(record.requires)
        for wanted, version in lacking.items():
            there = f"there is {version}" if version else "not installed"
            text = f"{record.source} asks for {wanted}: {there}"
            yield Answer(record.name, text, "warning", f"pip install '{wanted}'")
        for noted in record.notes:
            yield Answer(record.name, noted, "warning", "tell its author")


def _plugin(record: PluginRecord) -> Answer:
    if record.status == "failed":
        how = f"mend it, pip uninstall {record.distribution}, or leave it out with --no-plugin {record.name}"
        return Answer(record.name, f"{record.source}: {record.error}", "failed", how)
    if record.status == "disabled":
        return Answer(record.name, f"{record.source} is disabled")
    return Answer(record.name, f"{record.source}, {len(record.hooks)} hooks, {record.seconds:.2f} s")


def _mistaken() -> Iterator[Answer]:
    """Find distributions whose entry points nobody reads."""
    right = {normal(candidate.distribution) for candidate in discover()}
    found = False
    for distribution in importlib.metadata.distributions():
        name = distribution.name or "?"
        groups = {point.group for point in distribution.entry_points} - {GROUP}
        for group in sorted(groups):
            if group.startswith((f"{GROUP}.", "ttm")) or get_close_matches(group, [GROUP], cutoff=LIKE):
                found = True
                text = f"{name} has entry points in the group {group!r}, which nobody reads"
                yield Answer("entry points", text, "warning", f"call the group {GROUP!r}, and install it again")
        if normal(name).startswith(f"{GROUP}-") and normal(name) not in right:
            found = True
            text = f"{name} declares no plugin"
            yield Answer("entry points", text, "warning", f"give it an entry point of the group {GROUP!r}")
    if not found:
        yield Answer("entry points", f"all of the group {GROUP!r}")
