"""The report of an experiment: figures, comparisons, the paper's tables beside them, and where each figure is from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.checkpoints.checkpoint import find, load_checkpoint
from ttmarkers.evaluation.results import Compared, Result, correct, differences, meanings, summarise
from ttmarkers.evaluation.tables import METHOD, differences_table, figures_table, metric_plots, slices_table
from ttmarkers.evaluation.tail import make_tail
from ttmarkers.experiments.paper import paper_table
from ttmarkers.figures import bar_plot, loss_plot
from ttmarkers.report import Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.experiments.run import Asked, Measured
    from ttmarkers.records import Metric


class Findings:
    """A measure's figures and comparisons, worked out once.

    Attributes:
        measured: what was asked and scored.
        results: label -> figures.
        compared: every system with the first one.
    """

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        spec, resamples, seed = measured.spec, measured.evaluate.resamples, measured.seed
        self.metrics = _chosen(measured)
        self.results: dict[str, Result] = {
            each.label: summarise(spec.task, each.policy, self.metrics, each.runs, resamples=resamples, seed=seed)
            for each in measured.asked
        }
        first = measured.asked[0] if measured.asked else None
        found: list[Compared] = []
        for each in measured.asked[1:]:
            base = _partner(measured.asked, each) or first
            if base is not None and base is not each:
                pair = ((base.label, base.runs), (each.label, each.runs))
                found += differences(*pair, self.metrics, spec.slices, resamples=resamples, seed=seed)
        self.compared = correct(found)

    @property
    def title(self) -> str:
        """What the section is called."""
        return self.measured.spec.title or self.measured.name

    def to_json(self, folder: Path) -> dict[str, Any]:
        """Return all figures, and the files that each comes from."""
        spec = self.measured.spec
        return {
            "task": spec.task,
            "paper": spec.paper,
            "systems": {
                each.label: {
                    **self.results[each.label].to_json(),
                    "files": [_within(path / "generations.jsonl", folder) for path in each.folders],
                    "models": [_within(model, folder) for model in each.models],
                    "seeds": list(each.seeds),
                }
                for each in self.measured.asked
            },
            "compared": [each.to_json() for each in self.compared],
        }


def _chosen(measured: Measured) -> dict[str, Metric]:
    names = measured.spec.metrics or list(measured.metrics)
    found = {name: measured.metrics[name] for name in names if name in measured.metrics}
    runs = [run for asked in measured.asked for run in asked.runs]
    return {**found, **{name: metric for name, metric in meanings({}, runs).items() if name not in found}}


def _partner(asked: Sequence[Asked], each: Asked) -> Asked | None:
    """Return the first system at the same point of the grid."""
    same = (other for other in asked if (other.system, other.variant) == (asked[0].system, each.variant))
    return None if each.system == asked[0].system else next(same, None)


def _within(path: Path | str, folder: Path) -> str:
    text, start = str(path), f"{folder}/"
    return text.removeprefix(start)


def experiment_sections(found: Sequence[Findings], folder: Path) -> list[Section]:
    """Return a section for each measure.

    Args:
        found: one for each measure.
        folder: the experiment's, from which files are named.
    """
    return [section(each, folder) for each in found]


def closing_sections(found: Sequence[Findings], folder: Path) -> list[Section]:
    """Return what stands at a report's end: what models were trained on, and how to read the figures."""
    return [*_trained(found, folder), Section("How to read the figures", [METHOD])]


def _trained(found: Sequence[Findings], folder: Path) -> Iterator[Section]:
    """Yield a section on what the models were trained on, and how their losses fell."""
    models = dict.fromkeys(model for each in found for asked in each.measured.asked for model in asked.models)
    logs, counted = {}, None
    for model in models:
        path = Path(model)
        if (path / "log.json").is_file():
            logs[_within(path, folder).removeprefix("models/")] = orjson.loads((path / "log.json").read_bytes())
        if counted is None and find(model):
            counted = load_checkpoint(model)
    if counted is None:
        return
    evaluate = found[0].measured.evaluate
    tail = make_tail(counted, evaluate.tail, evaluate.border)
    rows = [
        [name, value, str(n), f"{n / counted.rows:.1%}", "tail" if tail.rare(name, value) else "head"]
        for name in tail.names
        for value, n in sorted(counted.counts.get(name, {}).items(), key=lambda item: -item[1])
    ]
    text = (
        f"{counted.rows} rows. A value is in the tail if it holds under {tail.border:.0%} of them; its bar is hatched."
    )
    bars = [(f"{name}: {value}", 100 * int(n) / counted.rows, part == "tail") for name, value, n, _, part in rows]
    plots = [bar_plot(bars, "share of the training rows, per cent")] if bars else []
    table = Table(["marker", "value", "rows", "share", ""], rows)
    yield Section("What the models were trained on", [text], [table], [*plots, *([loss_plot(logs)] if logs else [])])


def section(found: Findings, folder: Path) -> Section:
    """Return the section of one measure."""
    spec, results = found.measured.spec, found.results
    text = list(spec.text)
    tables = [main_table(found), slices_table(results, found.metrics, spec.slices), differences_table(found.compared)]
    if spec.paper:
        paper = paper_table(spec.paper)
        tables.append(Table(["the paper", *paper.head], [["", *row] for row in paper.rows]))
        text.append(f"The paper: {paper.title}. {paper.says}")
    tables.append(_files(found, folder))
    plots = list(metric_plots(results, found.metrics, spec.slices))
    return Section(found.title, text, [table for table in tables if table], plots, list(_passages(found)))


def main_table(found: Findings) -> Table:
    """Return the main table of a measure: each system with all its metrics."""
    return figures_table(found.results, found.metrics)


def _files(found: Findings, folder: Path) -> Table:
    rows = [
        [each.label, str(seed), _within(path / "generations.jsonl", folder), _within(model, folder)]
        for each in found.measured.asked
        for seed, path, model in zip(each.seeds, each.folders, each.models, strict=True)
    ]
    return Table(["figures of", "seed", "answers and scores", "model"], rows)


def _passages(found: Findings) -> Iterator[tuple[str, str]]:
    """Yield an answer of each system to the first case, as it was written."""
    for each in found.measured.asked:
        path = each.folders[0] / "generations.jsonl"
        with path.open("rb") as stream:
            row = orjson.loads(stream.readline())
        if "raw" not in row:  # no model was asked
            continue
        asked = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"]
        yield f"{each.label}: {' / '.join(line for line in asked.splitlines() if line)[:300]}", str(row["raw"])[:1500]
