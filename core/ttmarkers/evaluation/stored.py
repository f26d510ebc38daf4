"""Answers on disk: written as they are scored, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import DataError
from ttmarkers.evaluation.results import Scored
from ttmarkers.manifest import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ttmarkers.records import Generation, Score

ANSWERS = "generations.jsonl"
"""The file of answers in a run's folder."""


def write_generations(path: Path, scored: Iterable[Scored]) -> None:
    """Write each answer with its prompt, raw text and markers, and its case's scores and slices, a row a line.

    A case without an answer (a judge is compared with people) is a row too.
    """
    with atomic(path) as stream:
        for item in scored:
            rows = [generation_row(generation) for generation in item.answers] or [{"id": item.id}]
            for place, row in enumerate(rows):
                entry = {
                    **row,
                    **({"case": item.id, "sample": place} if len(rows) > 1 else {}),
                    "scores": dict(item.scores),
                    "slices": dict(item.slices),
                    **({"group": item.group} if item.group not in ("", item.id) else {}),
                }
                stream.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


def read_scored(path: Path) -> list[Scored]:
    """Read the scores that `write_generations` wrote, without the answers.

    Raises:
        DataError: if there are none.
    """
    found: dict[str, Scored] = {}
    try:
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            name = str(row.get("case", row["id"]))
            found.setdefault(name, Scored(name, (), _scores(row["scores"]), row["slices"], row.get("group", "")))
    except OSError:
        raise DataError(f"{path} is missing: name folders that ttm evaluate -o wrote") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error}): evaluate again") from None
    return list(found.values())


def _scores(row: Mapping[str, Any]) -> dict[str, Score]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


def generation_row(generation: Generation) -> dict[str, Any]:
    """Return a generation as ``ttm generate --json`` prints it."""
    turns = [{"role": turn.role, "content": turn.content} for turn in generation.prompt]
    plain = len(turns) == 1 and turns[0]["role"] == "user"
    return {
        "id": generation.id,
        "prompt": turns[0]["content"] if plain else turns,
        "text": generation.text,
        "markers": dict(generation.markers),
        "raw": generation.raw,
        "policy": generation.policy,
        "fault": generation.fault,
        "stats": dict(generation.stats),
        **({"chances": _rounded(generation.chances)} if generation.chances else {}),
        **({"enforced": generation.enforced} if generation.enforced else {}),
        **({"asked": dict(generation.asked)} if generation.asked else {}),
    }


def _rounded(chances: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return probabilities to six digits: what lies behind them depends on the batch."""
    return {name: {value: round(chance, 6) for value, chance in found.items()} for name, found in chances.items()}
