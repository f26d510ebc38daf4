"""The other system's answers, for tasks that compare the model with one."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("output", "reference")


def own_answer(row: Mapping[str, Any]) -> str | None:
    """Return the other system's answer that a row holds, if any.

    >>> own_answer({"prompt": "Why?", "reference": "So."})
    'So.'
    """
    return next((row[key] for key in COLUMNS if isinstance(row.get(key), str)), None)


def opponent(case: str, own: str | None, against: Mapping[str, str], *, task: str) -> str:
    """Return the other system's answer to a case: of ``--against``, or else of the row.

    Raises:
        ConfigError: if there is neither.
    """
    found = against.get(case, own)
    if found is None:
        raise ConfigError(
            f"task {task!r}: case {case!r} has no answer to compare with: give its row a column "
            f"{' or '.join(COLUMNS)}, or give --against FILE"
        )
    return found


def sample() -> list[dict[str, Any]]:
    """Return the embedded sample: a few prompts of our own, each with an answer to compare with."""
    text = importlib.resources.files("ttmarkers_plugins.tasks").joinpath("winrate_sample.jsonl").read_bytes()
    return [orjson.loads(line) for line in text.splitlines()]
