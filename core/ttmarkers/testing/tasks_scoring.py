"""Checks of how tasks score: right answers at the top, and no answer that stops them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ttmarkers.evaluation.resampling import estimate
from ttmarkers.evaluation.results import Scored, units
from ttmarkers.protocols import BatchTask
from ttmarkers.records import Generation
from ttmarkers.testing.contract import Breach, short, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.protocols import Task
    from ttmarkers.records import Metric, Score

CLOSE = 1e-6
STRANGE = ("", "  \n", "No.", "e\u0301\u200b\u202e \ufffd 日本 \u0000", "```python\ndef f(:\n```", "word " * 400)


class Probe(Protocol):
    """What the checks of scoring need of a task's probe."""

    top: tuple[str, ...]

    @property
    def scored(self) -> tuple[Task, list[Any]]:
        """The task with the cases that are asked."""
        raise NotImplementedError

    def gold_of(self, case: Any) -> Generation | None:
        """Return the right answer to a case; None if none is known."""
        raise NotImplementedError


def scores_any_answer(probe: Probe) -> None:
    """An answer that is empty or strange is scored like any other."""
    for text in STRANGE:
        try:
            _scores(probe, [_said(case, text) for case in probe.scored[1]])
        except Breach:
            raise
        except Exception as error:
            what = "an empty answer" if not text.strip() else f"the answer {short(text, 40)}"
            raise Breach(f"{what} makes it raise {told(error)}: score whatever a model writes") from error


def scores_what_it_declares(probe: Probe) -> None:
    """Scores are finite numbers of declared metrics, shares between 0 and 1."""
    task, cases = probe.scored
    for text in STRANGE[:3]:
        for case, found in zip(cases, _scores(probe, [_said(case, text) for case in cases]), strict=True):
            for name, score in found.items():
                if name not in task.metrics:
                    raise Breach(f"it scores {name!r}, which is no metric of its own: declare it in metrics")
                _check_score(case, name, score, task.metrics[name])


def scores_the_same_twice(probe: Probe) -> None:
    """The same answers have the same scores."""
    answers = [_said(case, "No, it is a matter of light.") for case in probe.scored[1]]
    first, again = _scores(probe, answers), _scores(probe, answers)
    if first != again:
        raise Breach("it scores the same answers otherwise the second time: let nothing depend on chance or time")


def scores_its_gold_at_the_top(probe: Probe) -> None:
    """Right answers reach the end of each share's scale, and no wrong answer beats them in anything."""
    _, cases = probe.scored
    gold = [probe.gold_of(case) for case in cases]
    right = [answer for answer in gold if answer is not None]
    if len(right) < len(cases):
        raise Breach("its right answers are not known: give gold=, or cases an attribute gold or reference")
    metrics = _ranked(probe)
    best = _figures(probe, right)
    for name, metric in metrics.items():
        end = 1.0 if metric.better == "higher" else 0.0
        if metric.share and name in best and abs(best[name] - end) > CLOSE:
            raise Breach(
                f"its own gold has {name} = {best[name]:g}, not {end:g}: mend the scoring, the gold, or say top="
            )
    turned = [*right[1:], *right[:1]]
    for what, texts in (("empty answers", ["" for _ in cases]), ("the gold of other cases", [a.text for a in turned])):
        _compare(metrics, best, _figures(probe, [_said(*each) for each in zip(cases, texts, strict=True)]), what)


def _compare(metrics: Mapping[str, Metric], best: Mapping[str, float], other: Mapping[str, float], what: str) -> None:
    """Raise `Breach` if wrong answers beat the gold in a metric, or are as good in all."""
    common = [name for name in metrics if name in best and name in other]
    for name in common:
        ahead = (other[name] - best[name]) * (1 if metrics[name].better == "higher" else -1)
        if ahead > CLOSE:
            raise Breach(f"{what} have {name} = {other[name]:g}, and its own gold {best[name]:g}: mend the scoring")
    if what.startswith("empty") and common and all(abs(other[name] - best[name]) <= CLOSE for name in common):
        raise Breach("empty answers score as well as its own gold in every metric: let one tell them apart")


def _ranked(probe: Probe) -> dict[str, Metric]:
    """Return the metrics in which gold should be at the top."""
    metrics = probe.scored[0].metrics
    return {name: metrics[name] for name in probe.top or metrics if metrics[name].better != "neither"}


def _said(case: Any, text: str) -> Generation:
    return Generation(str(case.id), (), text, "", {}, text, "inferred")


def _scores(probe: Probe, answers: Sequence[Generation]) -> list[Mapping[str, Score]]:
    """Return the scores of one answer to each case; as many as it wants, all the same."""
    task, cases = probe.scored
    if isinstance(task, BatchTask):
        found = task.score_all(cases, [[answer] * task.samples for answer in answers])
    else:
        found = [task.score(case, answer) for case, answer in zip(cases, answers, strict=True)]
    if len(found) != len(cases) or not all(isinstance(scores, Mapping) for scores in found):
        raise Breach(f"it gives {len(found)} scores for {len(cases)} cases: return a mapping for each, in order")
    return list(found)


def _check_score(case: Any, name: str, score: object, metric: Metric) -> None:
    numbers = score if isinstance(score, tuple) else (score,)
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise Breach(f"case {case.id!r} has {name} = {short(score)}: leave a metric out that does not apply")
    if isinstance(score, tuple) != (metric.combine is not None):
        raise Breach(
            f"case {case.id!r} has {name} = {short(score)}: a tuple goes with Metric(combine=), a number without"
        )
    if metric.share and not metric.combine and not 0 <= float(numbers[0]) <= 1:
        raise Breach(f"case {case.id!r} has {name} = {score}, which is no share: say share=False")


def _figures(probe: Probe, answers: Sequence[Generation]) -> dict[str, float]:
    """Return the figures over all cases as ``ttm evaluate`` makes them."""
    task, cases = probe.scored
    scored = [
        Scored(case.id, (answer,), scores, task.slices(case), str(getattr(case, "group", "")))
        for case, answer, scores in zip(cases, answers, _scores(probe, answers), strict=True)
    ]
    figures = {}
    for name, metric in task.metrics.items():
        part = units([scored], name, metric, range(len(scored)))
        if any(value is not None for value in part.runs[0]):
            figures[name] = estimate(part.runs, part.metric, part.cells, resamples=2).value
    return figures


SCORING_CHECKS = (scores_any_answer, scores_what_it_declares, scores_the_same_twice, scores_its_gold_at_the_top)
