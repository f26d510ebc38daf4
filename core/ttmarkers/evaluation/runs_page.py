"""Evaluated runs merged into one page: side by side, task by task, and compared on the same prompts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.evaluation.results import Compared, Result, Scored, correct, differences, result_from_json, summarise
from ttmarkers.evaluation.stored import ANSWERS, read_scored
from ttmarkers.evaluation.tables import METHOD, differences_table, figures_table, metric_plots, slices_table
from ttmarkers.report import Page, Section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.records import Metric

    Metrics = Callable[[str], Mapping[str, Metric]]


SEED = re.compile(r"(.+)/seed-\d+")


@dataclass(frozen=True)
class Run:
    """A folder that ``ttm evaluate -o`` wrote, or those of one system's seeds that an experiment did.

    Attributes:
        name: of the run in tables.
        result: its figures.
        scored: its cases by seed; empty if there are no answers beside the figures.
    """

    name: str
    result: Result
    scored: Sequence[Sequence[Scored]]


def load_runs(folders: Sequence[Path], metrics: Metrics, *, resamples: int = 2000, seed: int = 0) -> list[Run]:
    """Return the runs of folders; one that holds no ``result.json`` itself stands for all folders in it that do.

    Args:
        folders: of runs or experiments.
        metrics: returns what a task measures, by its name; what figures are made of stands in no file.
        resamples: number of bootstrap samples, where figures are made of several seeds.
        seed: of the resampling.

    Raises:
        DataError: if a folder holds none.
    """
    found: dict[str, list[Run]] = {}
    for folder in folders:
        below = [folder] if (folder / "result.json").exists() else [path.parent for path in _results(folder)]
        if not below:
            raise DataError(f"{folder} holds no result.json: name folders that ttm evaluate -o wrote")
        for path in below:
            run = _load(path, folder.name if path == folder else str(path.relative_to(folder)), metrics)
            of_seeds = SEED.fullmatch(run.name)
            found.setdefault(of_seeds[1] if of_seeds else f"{run.name}\n{path}", []).append(run)
    return _named([_joined(name.partition("\n")[0], runs, resamples, seed) for name, runs in found.items()])


def _results(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("result.json"))


def _load(folder: Path, name: str, metrics: Metrics) -> Run:
    path, answers = folder / "result.json", folder / ANSWERS
    try:
        result = result_from_json(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): evaluate again") from None
    known = metrics(result.task)
    meaning = {
        each: replace(m, combine=known[each].combine) if each in known else m for each, m in result.meaning.items()
    }
    scored = [read_scored(answers)] if answers.exists() else []
    return Run(name.removeprefix("answers/"), replace(result, meaning=meaning), scored)


def _joined(name: str, runs: Sequence[Run], resamples: int, seed: int) -> Run:
    """Return the runs of several seeds as one."""
    first = runs[0]
    if len(runs) == 1:
        return replace(first, name=name)
    scored = [part for run in runs for part in run.scored]
    result = summarise(
        first.result.task,
        first.result.policy,
        _whole(first.result.meaning, scored),
        scored,
        resamples=resamples,
        seed=seed,
    )
    return Run(name, result, scored)


def _whole(meaning: Mapping[str, Metric], runs: Sequence[Sequence[Scored]]) -> dict[str, Metric]:
    """Return the metrics that can be made anew: not those of sums of which nobody says how they are combined."""
    sums = {n for run in runs for item in run for n, score in item.scores.items() if isinstance(score, tuple)}
    return {name: metric for name, metric in meaning.items() if metric.combine or name not in sums}


def _named(runs: Sequence[Run]) -> list[Run]:
    """Give runs of one task and one name numbers."""
    seen: dict[tuple[str, str], int] = {}
    named = []
    for run in runs:
        key = (run.result.task, run.name)
        seen[key] = seen.get(key, 0) + 1
        named.append(run if seen[key] == 1 else replace(run, name=f"{run.name} ({seen[key]})"))
    return named


@dataclass(frozen=True)
class Merged:
    """The runs of one task.

    Attributes:
        task: its name.
        results: by run.
        compared: every run with the first one, or the one that was named.
    """

    task: str
    results: dict[str, Result]
    compared: list[Compared]

    def to_json(self) -> dict[str, Any]:
        """Return the task's part of what ``ttm report --json`` prints."""
        runs = {name: result.to_json() for name, result in self.results.items()}
        return {"runs": runs, "compared": [each.to_json() for each in self.compared]}


def merge_runs(
    runs: Sequence[Run], baseline: str | None = None, *, resamples: int = 2000, seed: int = 0
) -> list[Merged]:
    """Put runs side by side, task by task.

    Args:
        runs: in the order in which they are shown.
        baseline: name of the run that the others are compared with; each task's first by default.
        resamples: number of bootstrap samples and permutations.
        seed: of the resampling.

    Raises:
        ConfigError: if no run has the baseline's name.
    """
    names = list(dict.fromkeys(run.name for run in runs))
    if baseline is not None and baseline not in names:
        raise ConfigError(f"--baseline {baseline!r} is none of the runs: {did_you_mean(baseline, names)}")
    tasks: dict[str, list[Run]] = {}
    for run in runs:
        tasks.setdefault(run.result.task, []).append(run)
    merged = []
    for task, group in tasks.items():
        first = next((run for run in group if run.name == baseline), group[0])
        found: list[Compared] = []
        for run in group:
            if run is not first and run.scored and first.scored:
                pair = ((first.name, first.scored), (run.name, run.scored))
                means = _whole(first.result.meaning, [*first.scored, *run.scored])
                found += differences(*pair, means, resamples=resamples, seed=seed)
        merged.append(Merged(task, {run.name: run.result for run in group}, correct(found)))
    return merged


def runs_page(merged: Sequence[Merged]) -> Page:
    """Return a page that shows the runs of all tasks."""
    return Page("Evaluation", METHOD, [_section(each) for each in merged])


def _section(merged: Merged) -> Section:
    meaning = {name: metric for result in merged.results.values() for name, metric in result.meaning.items()}
    tables = [
        figures_table(merged.results, meaning),
        slices_table(merged.results, meaning),
        differences_table(merged.compared),
    ]
    plots = list(metric_plots(merged.results, meaning))
    return Section(f"Task {merged.task}", (), [table for table in tables if table], plots)
