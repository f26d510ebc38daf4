"""A judge's requests taken apart, verdicts made, and answers for it to judge."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ttmarkers.config import make_config
from ttmarkers.protocols import Setting
from ttmarkers.records import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from endpoint_server import Call
    from ttmarkers.records import Score
    from ttmarkers_plugins.tasks.winrate import WinrateTask

    Make = Callable[..., WinrateTask]

FIELD = re.compile(r"<judged_(\w+)>\n(.*?)\n</judged_\1>", re.DOTALL)


def rows(answers: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows with these answers of the other system."""
    return [{"id": f"c{n}", "prompt": f"Question {n}?", "output": answer} for n, answer in enumerate(answers)]


def judged(task: WinrateTask, ours: Sequence[str], theirs: Sequence[str]) -> list[Mapping[str, Score]]:
    """Return the scores of answers against those of the other system."""
    return task.score_all(task.cases(rows(theirs)), answers(ours))


def answers(texts: Sequence[str]) -> list[list[Generation]]:
    """Return one answer for each case."""
    return [[Generation(f"c{n}", (), text, "", {}, text, "test")] for n, text in enumerate(texts)]


def figure(scores: Sequence[Mapping[str, Any]], name: str) -> float:
    """Return a metric of all cases."""
    return sum(score[name] for score in scores) / len(scores)


def controlled(task: WinrateTask, scores: Sequence[Mapping[str, Any]]) -> float:
    """Return the length-controlled win rate."""
    combine = task.metrics["win_rate_lc"].combine
    assert combine is not None
    return combine([sum(column) for column in zip(*(score["win_rate_lc"] for score in scores), strict=True)])


def fields(call: Call) -> dict[str, str]:
    """Return what stands in the fields of a request."""
    return dict(FIELD.findall(call.user))


def better(choice: str) -> str:
    """Return a verdict as the schema has it."""
    return json.dumps({"better": choice})


def prefers(value: Callable[[str], float]) -> Callable[[Call], str]:
    """Judge by the greater value."""

    def say(call: Call) -> str:
        found = fields(call)
        first, second = value(found["answer_a"]), value(found["answer_b"])
        return better("tie" if first == second else "A" if first > second else "B")

    return say


def setting(plugins: Any = None, **against: str) -> Setting:
    """Return what surrounds the task."""
    return Setting(make_config({}), plugins, against=against)
