"""Answers from anywhere, matched to a task's cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.errors import DataError
from ttmarkers.records import Generation, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.blocks.template import Template
    from ttmarkers.checkpoints.wording import Wording

COLUMNS = ("text", "output", "completion")
PROMPTS = ("prompt", "instruction")


class Matcher:
    """Finds the stored answers to cases, by prompt where that belongs to one case alone, else by id.

    Args:
        rows: origins and rows with ``id`` or ``prompt``, and ``text``, ``output`` or ``completion``, which may hold a
            list of several answers; several rows of one case are several answers too.
        samples: how many answers a task wants; it gets as many as there are.
        template: takes blocks off answers that still begin with one.
        others: templates whose blocks no answer may begin with.
        wording: of the model whose blocks ``template`` takes off.

    Raises:
        DataError: for a row without an answer.
    """

    def __init__(
        self,
        rows: Iterable[tuple[Any, Mapping[str, Any]]],
        samples: int = 1,
        template: Template | None = None,
        others: Sequence[Template] = (),
        wording: Wording | None = None,
    ) -> None:
        self._samples, self._template, self._wording = samples, template, wording
        self._openings = [opening for each in others if len(opening := each.grammar().opening.strip()) > 1]
        self._by_id: dict[str, list[dict[str, Any]]] = {}
        self._by_prompt: dict[str, list[dict[str, Any]]] = {}
        for origin, row in rows:
            answers = list(_answers(row))
            if not answers:
                raise DataError(f"{origin}: there is no answer: use a column text, output or completion")
            for key in ("case", "id"):
                if isinstance(row.get(key), str | int):
                    self._by_id.setdefault(str(row[key]), []).extend(answers)
            for key in PROMPTS:
                if isinstance(row.get(key), str):
                    self._by_prompt.setdefault(row[key], []).extend(answers)

    def match(self, cases: Sequence[Any], *, partial: bool = False) -> dict[int, list[Generation]]:
        """Return the answers to each case that has any, by its place.

        Args:
            cases: of the task.
            partial: whether cases may have no answer.

        Raises:
            DataError: for a case that no row answers, or that has several answers where the task takes one.
        """
        owners: dict[str, set[str]] = {}
        for case in cases:
            for prompt in getattr(case, "prompts", ()):
                owners.setdefault(prompt, set()).add(str(case.id))
        found, missing = {}, []
        for place, case in enumerate(cases):
            rows = self._rows(case, owners)
            if rows:
                found[place] = [self._generation(str(case.id), row) for row in self._taken(case, rows)]
            else:
                missing.append(case.id)
        if missing and not partial:
            more = f" (and to {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise DataError(
                f"no stored answer belongs to case {missing[0]!r}{more}: answers are matched by id or prompt; "
                "--partial scores the cases that have one"
            )
        if not found:
            raise DataError("no stored answer belongs to any case: answers are matched by id or prompt")
        return found

    def _rows(self, case: Any, owners: Mapping[str, set[str]]) -> list[dict[str, Any]]:
        name, prompts = str(case.id), getattr(case, "prompts", ())
        own = [
            row
            for prompt in dict.fromkeys(prompts)
            if len(owners[prompt]) == 1
            for row in self._by_prompt.get(prompt, [])
        ]
        if own:
            return [row for row in own if str(row.get("id")) == name] or own
        # a row number may be the same in another file: where both say what was asked, they must agree
        return [row for row in self._by_id.get(name, []) if not prompts or _asked(row) in ("", *prompts)]

    def _taken(self, case: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._samples > 1:
            return rows
        if len({row["text"] for row in rows}) > 1:
            raise DataError(f"case {case.id!r} has {len(rows)} different answers, and the task takes one: leave one")
        return rows[-1:]

    def _generation(self, name: str, row: Mapping[str, Any]) -> Generation:
        text, markers, raw = row["text"], row.get("markers"), row.get("raw")
        if not isinstance(raw, str):  # what the row says of markers is true of it, and none of a block's
            raw, markers = text, {}
            if self._template is not None:
                split = self._template.split(text)
                text, markers = split.text, split.markers
                markers = self._wording.to_user(markers) if self._wording else markers
            elif any(text.lstrip().startswith(opening) for opening in self._openings):
                raise DataError(f"the answer to case {name!r} begins with a block: name its model with --counts")
        return Generation(
            str(row["id"]) if "case" in row else name,
            _turns(row.get("prompt")),
            raw,
            "",
            markers if isinstance(markers, dict) else {},
            text,
            str(row.get("policy") or "stored"),
            fault=str(row.get("fault") or ""),
            stats=row.get("stats") or {},
            chances=row.get("chances") or {},
            enforced=row.get("enforced") or {},
            asked=row.get("asked") or {},
        )


def _answers(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for key in COLUMNS:
        value = row.get(key)
        if isinstance(value, str):
            return [{**row, "text": value}]
        if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
            return [{**{name: row[name] for name in ("id", *PROMPTS) if name in row}, "text": text} for text in value]
    return []


def _asked(row: Mapping[str, Any]) -> str:
    """Return what a row says was asked, if it says it as one text."""
    return next((row[key] for key in PROMPTS if isinstance(row.get(key), str)), "")


def _turns(said: Any) -> tuple[Message, ...]:
    if isinstance(said, str):
        return (Message("user", said),)
    if isinstance(said, list) and all(isinstance(turn, dict) and {"role", "content"} <= turn.keys() for turn in said):
        return tuple(Message(str(turn["role"]), str(turn["content"])) for turn in said)
    return ()
