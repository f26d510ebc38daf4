"""An experiment is run: rows annotated, models trained, answers written and scored, each once and kept.

An interrupted experiment goes on where it was, and one whose settings changed does again only what they touch.
Experiments that share a folder share their models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.evaluation.run import load_task
from ttmarkers.experiments.answers import Answered, answer_cell
from ttmarkers.experiments.paper import paper_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.config import EvaluateConfig
    from ttmarkers.evaluation.results import Scored
    from ttmarkers.experiments.file import Cell, Experiment, MeasureConfig
    from ttmarkers.experiments.lab import Lab
    from ttmarkers.records import Metric


@dataclass(frozen=True)
class Asked:
    """What one system answered and scored in a measure, at one point of the grid.

    Attributes:
        system: its name.
        variant: the point of the grid, for people.
        policy: under which it was asked.
        runs: scored cases, by seed.
        folders: where answers and scores lie, by seed.
        models: the models' folders or names, by seed.
        seeds: in the same order.
    """

    system: str
    variant: str
    policy: str
    runs: Sequence[Sequence[Scored]]
    folders: Sequence[Path]
    models: Sequence[str]
    seeds: Sequence[int]

    @property
    def label(self) -> str:
        """System and variant."""
        return f"{self.system}, {self.variant}" if self.variant else self.system


@dataclass
class Measured:
    """All systems in one measure.

    Attributes:
        name: of the measure.
        spec: its part of the experiment.
        metrics: what its task measures.
        asked: one for each system and variant; the first is what the others are compared with.
        seed: of the resampling.
        evaluate: the config's section.
    """

    name: str
    spec: MeasureConfig
    metrics: Mapping[str, Metric]
    asked: list[Asked]
    seed: int
    evaluate: EvaluateConfig


def run_experiment(lab: Lab, experiment: Experiment) -> list[Measured]:
    """Do what is not done yet, and return all results.

    Raises:
        ConfigError: if a name in the experiment does not exist.
    """
    return [_measure(lab, experiment, name, spec) for name, spec in experiment.spec.measures.items()]


def check_experiment(lab: Lab, experiment: Experiment) -> None:
    """Refuse what cannot be run before anything is.

    Raises:
        ConfigError: if a name in the experiment does not exist.
    """
    spec = experiment.spec
    for name in (*spec.rows, *spec.marked):
        lab.source(experiment, name)
    for name, measure in spec.measures.items():
        if measure.paper:
            paper_table(measure.paper)
        for source in (measure.data, measure.against):
            if source and source not in spec.systems:
                lab.source(experiment, source)
        cells = [cell for system in experiment.systems(measure) for cell in experiment.cells(measure, system)]
        for cell in cells:
            _check_cell(lab, experiment, cell)
        task = load_task(measure.task, lab.plugins.tasks(), cells[0].config)
        if task.metrics:  # some know theirs only when they are prepared
            check_metrics(name, measure, task.metrics)


def _check_cell(lab: Lab, experiment: Experiment, cell: Cell) -> None:
    if cell.policy:
        lab.plugins.policies().get(cell.policy, where=f"systems.{cell.system}.policy")
    if cell.model is None:
        if cell.config.train.model is None:
            raise ConfigError(f"{experiment.name}: config.train.model is missing: name a model to train")
        lab.plugins.strategies().get(cell.config.train.strategy, where="train.strategy")
    elif cell.model.startswith((".", "/", "~")) and not Path(cell.model).is_dir():
        raise ConfigError(f"{experiment.name}: systems.{cell.system}.model: there is no folder {cell.model}")


def check_metrics(name: str, spec: MeasureConfig, metrics: Mapping[str, Metric]) -> None:
    """Refuse a measure that names a metric which its task does not have."""
    for metric in spec.metrics:
        if metric not in metrics:
            raise ConfigError(f"measures.{name}.metrics: {metric!r}: {did_you_mean(metric, metrics)}")


def _measure(lab: Lab, experiment: Experiment, name: str, spec: MeasureConfig) -> Measured:
    names = experiment.systems(spec)
    if spec.against in experiment.spec.systems:  # it is asked first, and compared with
        names = [spec.against, *(system for system in names if system != spec.against)]
    answered: dict[str, list[Answered]] = {}
    for system in names:
        for cell in experiment.cells(spec, system):
            found = answer_cell(lab, experiment, name, spec, cell)
            check_metrics(name, spec, found.metrics)
            answered.setdefault(cell.label, []).append(found)
    asked = [
        Asked(
            each[0].cell.system,
            each[0].cell.variant.label,
            each[0].policy,
            [one.scored for one in each],
            [one.folder for one in each],
            [one.model for one in each],
            [one.cell.seed for one in each],
        )
        for each in answered.values()
    ]
    shown = [each for each in asked if each.system != spec.against]
    metrics = next(iter(answered.values()))[0].metrics
    return Measured(name, spec, metrics, shown, experiment.spec.seed, experiment.config().evaluate)
