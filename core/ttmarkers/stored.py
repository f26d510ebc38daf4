"""Answers on disk: written as they are scored, read again, matched to cases wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import DataError
from ttmarkers.manifest import atomic
from ttmarkers.records import Generation, Message
from ttmarkers.results import Scored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.records import Score

ANSWERS = "generations.jsonl"
"""The file of answers in a run's folder."""

COLUMNS = ("text", "output", "completion")


def match_generations(
    cases: Sequence[Any], rows: Iterable[tuple[Any, Mapping[str, Any]]], samples: int = 1
) -> list[list[Generation]]:
    """Find the stored answers to each case, by ``id`` or else by ``prompt``.

    Args:
        cases: of the task.
        rows: origins and rows with ``id`` or ``prompt``, and ``text``, ``output`` or ``completion``, which may hold a
            list of several answers; several rows of one id are several answers too.
        samples: how many answers a task wants; it gets as many as there are, and of one only the last.

    Raises:
        DataError: for a row without an answer, or a case that no row answers.
    """
    stored: dict[str, list[dict[str, Any]]] = {}
    for origin, row in rows:
        answers = list(_answers(row))
        if not answers:
            raise DataError(f"{origin}: there is no answer: use a column text, output or completion")
        for key in ("case", "id", "prompt", "instruction"):
            if isinstance(row.get(key), str | int):
                stored.setdefault(f"{'id' if key == 'case' else key}={row[key]}", []).extend(answers)
    found = []
    for case in cases:
        prompts = getattr(case, "prompts", ())
        keys = [f"id={case.id}", *(f"{key}={prompt}" for key in ("prompt", "instruction") for prompt in prompts)]
        own = next((stored[key] for key in keys if key in stored), None)
        if own is None:
            raise DataError(f"no stored answer belongs to case {case.id!r}: answers are matched by id or prompt")
        found.append([_generation(str(case.id), answer) for answer in (own if samples > 1 else own[-1:])])
    return found


def _answers(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for key in COLUMNS:
        value = row.get(key)
        if isinstance(value, str):
            return [{**row, "text": value}]
        if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
            return [{"text": text} for text in value]
    return []


def _generation(name: str, row: Mapping[str, Any]) -> Generation:
    markers = row.get("markers") if isinstance(row.get("raw"), str) else None  # else they say what is true of the row
    return Generation(
        str(row["id"]) if "case" in row else name,
        _prompt(row.get("prompt")),
        str(row.get("raw") or row["text"]),
        "",
        markers if isinstance(markers, dict) else {},
        row["text"],
        str(row.get("policy") or "stored"),
        fault=str(row.get("fault") or ""),
        stats=row.get("stats") or {},
        chances=row.get("chances") or {},
        enforced=row.get("enforced") or {},
    )


def _prompt(said: Any) -> tuple[Message, ...]:
    if isinstance(said, str):
        return (Message("user", said),)
    if isinstance(said, list) and all(isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in said):
        return tuple(Message(str(turn["role"]), str(turn["content"])) for turn in said)
    return ()


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
            found.setdefault(name, Scored(name, (), _scores(row["scores"]), row["slices"]))
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
    }


def _rounded(chances: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return probabilities to six digits: what lies behind them depends on the batch."""
    return {name: {value: round(chance, 6) for value, chance in found.items()} for name, found in chances.items()}
