"""What a task found: figures with intervals over all cases and by slice, of one run or of several seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ttmarkers.evaluation.resampling import compare, corrected, estimate
from ttmarkers.records import Metric
from ttmarkers.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.evaluation.resampling import Difference
    from ttmarkers.records import Generation, Score

ENFORCED = "enforced"


@dataclass(frozen=True)
class Slice:
    """Results of the cases that share a property: ``by`` names it, ``value`` says what it is."""

    by: str
    value: str
    n: int
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Return the slice as ``ttm evaluate --json`` prints it."""
        metrics = {name: estimate.to_json() for name, estimate in self.metrics.items()}
        return {"by": self.by, "is": self.value, "n": self.n, "metrics": metrics}


@dataclass(frozen=True)
class Result:
    """A task's figures for one model under one policy.

    Attributes:
        task: its name.
        policy: how the model was asked.
        n: number of cases.
        metrics: figures over all cases.
        slices: figures of parts of them.
        meaning: what each metric is.
        runs: number of seeds.
    """

    task: str
    policy: str
    n: int
    metrics: Mapping[str, Estimate]
    slices: Sequence[Slice] = ()
    meaning: Mapping[str, Metric] = field(default_factory=dict)
    runs: int = 1

    def slice(self, by: str, value: str) -> Slice | None:
        """Return a slice, if there is one."""
        return next((part for part in self.slices if (part.by, part.value) == (by, value)), None)

    def to_json(self) -> dict[str, Any]:
        """Return the result as ``ttm evaluate --json`` prints it."""
        return {
            "task": self.task,
            "policy": self.policy,
            "n": self.n,
            "runs": self.runs,
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
            "slices": [part.to_json() for part in self.slices],
            "meaning": {name: metric.to_json() for name, metric in self.meaning.items()},
        }


@dataclass(frozen=True)
class Scored:
    """One case with its answers and its figures.

    Attributes:
        id: of the case.
        answers: to it.
        scores: metric -> score.
        slices: property -> value.
        group: what cases have in common that ask the same prompt; empty if no other does.
    """

    id: str
    answers: Sequence[Generation]
    scores: Mapping[str, Score]
    slices: Mapping[str, str]
    group: str = ""


def meanings(metrics: Mapping[str, Metric], runs: Sequence[Sequence[Scored]]) -> dict[str, Metric]:
    """Return what a task measures, and the share of answers that were cut to a limit if any was."""
    cut = any(ENFORCED in item.scores for run in runs for item in run)
    return {**metrics, **({ENFORCED: Metric("lower")} if cut else {})}


def summarise(
    task: str,
    policy: str,
    metrics: Mapping[str, Metric],
    runs: Sequence[Sequence[Scored]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Result:
    """Return the figures of scored cases: over all, and by each slice, with 95 % intervals over cases and seeds.

    Args:
        task: its name.
        policy: how the model was asked.
        metrics: what the task measures.
        runs: of one seed each, all with the same cases.
        resamples: number of bootstrap samples.
        seed: of the resampling.
    """
    meaning = meanings(metrics, runs)

    def figures(places: Sequence[int]) -> dict[str, Estimate]:
        found = {}
        for name, metric in meaning.items():
            part = units(runs, name, metric, places)
            if any(value is not None for run in part.runs for value in run):
                found[name] = estimate(part.runs, part.metric, part.cells, resamples=resamples, seed=seed)
        return found

    slices = [Slice(by, value, len(places), figures(places)) for by, value, places in groups(runs[0])]
    return Result(task, policy, len(runs[0]), figures(range(len(runs[0]))), slices, meaning, len(runs))


@dataclass(frozen=True)
class Units:
    """What is resampled: prompts, by run, with the cell that each belongs to, and the metric of their scores."""

    runs: list[list[Score | None]]
    metric: Metric
    cells: list[tuple[str, ...]]


def units(runs: Sequence[Sequence[Scored]], name: str, metric: Metric, places: Sequence[int]) -> Units:
    """Return one metric's scores by run and prompt.

    Cases that ask the same prompt are one unit, or a prompt that is asked four times would count as four.
    """
    scored = [[run[place].scores.get(name) for place in places] for run in runs]
    items = [runs[0][place] for place in places]
    cells = [tuple(item.slices.get(by, "") for by in metric.over) for item in items] if metric.over else []
    names = [(item.group or item.id, cells[place] if cells else ()) for place, item in enumerate(items)]
    together: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for place, unit in enumerate(names):
        together.setdefault(unit, []).append(place)
    if len(together) == len(items):
        return Units(scored, metric, cells)
    parts = list(together.values())
    summed, meaning = _grouped(scored, metric, parts)
    return Units(summed, meaning, [cells[part[0]] for part in parts] if cells else [])


def _grouped(
    scored: list[list[Score | None]], metric: Metric, parts: list[list[int]]
) -> tuple[list[list[Score | None]], Metric]:
    """Return the scores of groups of cases, and what the metric then is."""

    def known(run: list[Score | None], part: list[int]) -> list[Score]:
        return [value for place in part if (value := run[place]) is not None]

    groups = [[known(run, part) for part in parts] for run in scored]
    if metric.combine:
        return [[_sum(values) if values else None for values in run] for run in groups], metric
    if len({len(values) for run in groups for values in run if values}) <= 1:
        return [[_mean(values) if values else None for values in run] for run in groups], metric
    weighed = replace(metric, combine=lambda sums: sums[0] / sums[1])
    return [[(_sum(values)[0], float(len(values))) if values else None for values in run] for run in groups], weighed


def _sum(values: list[Score]) -> tuple[float, ...]:
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return tuple(math.fsum(column) for column in zip(*rows, strict=True))


def _mean(values: list[Score]) -> float:
    return _sum(values)[0] / len(values)


def groups(run: Sequence[Scored]) -> Iterator[tuple[str, str, list[int]]]:
    """Yield slices with the places of their cases."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, item in enumerate(run):
        for by, value in item.slices.items():
            found.setdefault((by, value), []).append(place)
    yield from ((by, value, places) for (by, value), places in sorted(found.items()))


@dataclass(frozen=True)
class Compared:
    """Two systems on the same cases, over all or within a slice.

    Attributes:
        system: the second one.
        against: the first one.
        by: the slice's property; empty over all cases.
        value: its value.
        metric: what is compared.
        share: whether the metric is a share.
        difference: second minus first.
        corrected: p, corrected for all comparisons that were made together.
    """

    system: str
    against: str
    by: str
    value: str
    metric: str
    share: bool
    difference: Difference
    corrected: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as ``ttm report --json`` prints it."""
        place = {"by": self.by, "is": self.value} if self.by else {}
        names = {"system": self.system, "against": self.against, "metric": self.metric}
        return {
            **names,
            **place,
            **self.difference.to_json(),
            "p_corrected": None if math.isnan(self.corrected) else round(self.corrected, 6),
        }


def differences(
    against: tuple[str, Sequence[Sequence[Scored]]],
    system: tuple[str, Sequence[Sequence[Scored]]],
    metrics: Mapping[str, Metric],
    by: Sequence[str] | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> list[Compared]:
    """Compare a system with another, metric by metric and slice by slice, on the cases that both have.

    Args:
        against: name and scored cases of the one, by seed.
        system: of the other.
        metrics: those to compare; one of which neither more nor less is better is left out.
        by: the slices to look into; all by default.
        resamples: number of bootstrap samples and permutations.
        seed: of the resampling.
    """
    first, second = _common(against[1], system[1])
    if not first[0]:
        return []
    parts = [("", "", list(range(len(first[0])))), *(g for g in groups(first[0]) if by is None or g[0] in by)]
    found = []
    for name, metric in metrics.items():
        if metric.better == "neither":
            continue
        for slice_by, value, places in parts:
            one, other = _alike(first, second, name, metric, places)
            if any(a is not None and b is not None for a, b in zip(one.runs[0], other.runs[0], strict=True)):
                difference = compare(one.runs, other.runs, one.metric, one.cells, resamples=resamples, seed=seed)
                found.append(Compared(system[0], against[0], slice_by, value, name, metric.share, difference))
    return found


def correct(found: Sequence[Compared]) -> list[Compared]:
    """Return comparisons with p corrected for all of them (Holm 1979)."""
    ps = corrected([each.difference.p for each in found])
    return [replace(each, corrected=p) for each, p in zip(found, ps, strict=True)]


def _alike(
    first: list[list[Scored]], second: list[list[Scored]], name: str, metric: Metric, places: Sequence[int]
) -> tuple[Units, Units]:
    """Return the units of two systems: the same, by the cases to which the metric applies in all runs of both."""
    whole = [
        place for place in places if all(run[place].scores.get(name) is not None for run in (*first, *second))
    ] or list(places)
    return units(first, name, metric, whole), units(second, name, metric, whole)


def _common(
    first: Sequence[Sequence[Scored]], second: Sequence[Sequence[Scored]]
) -> tuple[list[list[Scored]], list[list[Scored]]]:
    """Return the cases that both have, in the same order.

    If a system was asked each prompt once and the other several times, the one answer stands beside each of the other.
    """
    first = [_spread(run, second[0]) for run in first]
    second = [_spread(run, first[0]) for run in second]
    shared = {item.id for run in (*first, *second) for item in run}
    for run in (*first, *second):
        shared &= {item.id for item in run}
    order = [item.id for item in first[0] if item.id in shared]

    def taken(runs: Sequence[Sequence[Scored]]) -> list[list[Scored]]:
        by_id = [{item.id: item for item in run} for run in runs]
        return [[run[name] for name in order] for run in by_id]

    return taken(first), taken(second)


def _spread(run: Sequence[Scored], like: Sequence[Scored]) -> Sequence[Scored]:
    """Return a run with a case for each of another's, where each of its own cases is a whole group of the other."""
    own = {item.id: item for item in run}
    if any(item.id in own for item in like) or not any(item.group in own for item in like if item.group):
        return run
    return [
        replace(own[item.group], id=item.id, slices=item.slices, group=item.group) for item in like if item.group in own
    ]


def result_from_json(data: Mapping[str, Any]) -> Result:
    """Read what `Result.to_json` wrote."""

    def estimates(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
        return {name: Estimate(**entry) for name, entry in entries.items()}

    return Result(
        data["task"],
        data["policy"],
        data["n"],
        estimates(data["metrics"]),
        [Slice(part["by"], part["is"], part["n"], estimates(part["metrics"])) for part in data["slices"]],
        {
            name: Metric(entry["better"], entry["share"], tuple(entry.get("over", ())))
            for name, entry in data.get("meaning", {}).items()
        },
        data.get("runs", 1),
    )
