"""Evaluated runs merged into one page: side by side, task by task, and compared on the same prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.report import Page, Section
from ttmarkers.result_tables import METHOD, differences_table, figures_table, metric_plots, slices_table
from ttmarkers.results import Compared, Result, Scored, correct, differences, result_from_json
from ttmarkers.stored import read_scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A folder that ``ttm evaluate -o`` or an experiment wrote.

    Attributes:
        name: of the run in tables.
        result: its figures.
        scored: its cases, empty if there are no answers beside the figures.
    """

    name: str
    result: Result
    scored: Sequence[Scored]


def load_runs(folders: Sequence[Path]) -> list[Run]:
    """Return the runs of folders; one that holds no ``result.json`` itself stands for all folders in it that do.

    Raises:
        DataError: if one holds none.
    """
    found = []
    for folder in folders:
        below = [folder] if (folder / "result.json").exists() else [path.parent for path in _results(folder)]
        if not below:
            raise DataError(f"{folder} holds no result.json: name folders that ttm evaluate -o wrote")
        found += [_load(path, folder.name if path == folder else str(path.relative_to(folder))) for path in below]
    return _named(found)


def _results(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("result.json"))


def _load(folder: Path, name: str) -> Run:
    path, answers = folder / "result.json", folder / "generations.jsonl"
    try:
        result = result_from_json(orjson.loads(path.read_bytes()))
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}): evaluate again") from None
    return Run(name.removeprefix("answers/"), result, read_scored(answers) if answers.exists() else [])


def _named(runs: Sequence[Run]) -> list[Run]:
    """Give runs of one task and one name numbers."""
    seen: dict[tuple[str, str], int] = {}
    named = []
    for run in runs:
        key = (run.result.task, run.name)
        seen[key] = seen.get(key, 0) + 1
        named.append(run if seen[key] == 1 else Run(f"{run.name} ({seen[key]})", run.result, run.scored))
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
                pair = ((first.name, [first.scored]), (run.name, [run.scored]))
                found += differences(*pair, _means(first), resamples=resamples, seed=seed)
        merged.append(Merged(task, {run.name: run.result for run in group}, correct(found)))
    return merged


def _means(run: Run) -> dict[str, Any]:
    """Return the metrics that are means; how another one is made of its sums only its task knows."""
    sums = {name for item in run.scored for name, score in item.scores.items() if isinstance(score, tuple)}
    return {name: metric for name, metric in run.result.meaning.items() if name not in sums}


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
