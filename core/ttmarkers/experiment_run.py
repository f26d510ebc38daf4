"""An experiment is run: rows annotated, models trained, answers written and scored, each once and kept.

What is done is found again by a key: a hash of the settings and files that it depends on. So an interrupted experiment
goes on where it was, and one whose settings changed does again only what they touch. Experiments that share a folder
share their models.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.annotation import annotate
from ttmarkers.annotation_job import annotation_job
from ttmarkers.checkpoint import load_checkpoint
from ttmarkers.datasets import expand, rows
from ttmarkers.errors import CheckpointError, ConfigError, did_you_mean
from ttmarkers.evaluation import answer, chosen, load_task, prepare, read_cases, samples, score
from ttmarkers.experiment_cache import has_key, key, model_stamp, slug, stamp
from ttmarkers.manifest import atomic, manifest, write_json
from ttmarkers.paper import paper_table
from ttmarkers.protocols import Setting
from ttmarkers.results import Scored, summarise
from ttmarkers.steering import Wish, steer
from ttmarkers.stored import ANSWERS, match_generations, read_scored, write_generations
from ttmarkers.synthetic.sources import PREFIX, synthetic_rows
from ttmarkers.training import TrainingJob, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.config import Config
    from ttmarkers.experiment import Cell, Experiment, MeasureConfig
    from ttmarkers.plugins import Plugins
    from ttmarkers.protocols import Task
    from ttmarkers.records import Generation, Metric

TRAINING = ("seed", "data", "markers", "template", "dropout", "train")
"""The sections of the config that a model depends on."""


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
        resamples: number of bootstrap samples.
    """

    name: str
    spec: MeasureConfig
    metrics: Mapping[str, Metric]
    asked: list[Asked]
    seed: int
    resamples: int


@dataclass
class Lab:
    """Where an experiment is run.

    Attributes:
        folder: of everything that is written.
        plugins: the loaded plugins.
        say: takes lines for people.
        progress: gets a title and a number of steps, and returns a context with a function that is told of each.
        seconds: spent by step, in this call.
    """

    folder: Path
    plugins: Plugins
    say: Callable[[str], None]
    progress: Callable[[str, int], Any]
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, experiment: Experiment) -> list[Measured]:
        """Do what is not done yet, and return all results.

        Raises:
            ConfigError: if a name in the experiment does not exist.
        """
        self._check(experiment)
        return [self._measure(experiment, name, spec) for name, spec in experiment.spec.measures.items()]

    def _check(self, experiment: Experiment) -> None:
        """Refuse what cannot be run before anything is."""
        for name in (*experiment.spec.rows, *experiment.spec.marked):
            expand([self._source(experiment, name)])
        for name, spec in experiment.spec.measures.items():
            if spec.paper:
                paper_table(spec.paper)
            if spec.data:
                expand([self._source(experiment, spec.data)])
            for system in experiment.systems(spec):
                for cell in experiment.cells(spec, system):
                    self._check_cell(experiment, cell)
            task = load_task(spec.task, self.plugins.tasks(), next(experiment.cells(spec, system)).config)
            if task.metrics:  # some know theirs only when they are prepared
                check_metrics(name, spec, task.metrics)

    def _check_cell(self, experiment: Experiment, cell: Cell) -> None:
        if cell.policy:
            self.plugins.policies().get(cell.policy, where=f"systems.{cell.system}.policy")
        if cell.model is None:
            if cell.config.train.model is None:
                raise ConfigError(f"{experiment.name}: config.train.model is missing: name a model to train")
            self.plugins.strategies().get(cell.config.train.strategy, where="train.strategy")

    def _measure(self, experiment: Experiment, name: str, spec: MeasureConfig) -> Measured:
        names = experiment.systems(spec)
        if spec.against in experiment.spec.systems and spec.against not in names:
            names = [spec.against, *names]
        asked: dict[str, list[tuple[Cell, Path, str, list[Scored]]]] = {}
        metrics: Mapping[str, Metric] = {}
        for system in names:
            for cell in experiment.cells(spec, system):
                model = cell.model or str(self._model(experiment, cell.config))
                folder, scored, metrics = self._answers(experiment, name, spec, cell, model)
                asked.setdefault(cell.label, []).append((cell, folder, model, scored))
        found = [
            Asked(
                each[0][0].system,
                each[0][0].variant.label,
                orjson.loads((each[0][1] / "run.json").read_bytes())["policy"],
                [scored for *_, scored in each],
                [folder for _, folder, *_ in each],
                [model for _, _, model, _ in each],
                [cell.seed for cell, *_ in each],
            )
            for each in asked.values()
        ]
        shown = [each for each in found if each.system != spec.against]
        evaluate = experiment.config().evaluate
        return Measured(name, spec, metrics, shown, experiment.spec.seed, evaluate.resamples)

    # ---- rows and models

    def _rows(self, experiment: Experiment, config: Config) -> tuple[str, ...]:
        """Return the annotated files that models are trained on."""
        spec = experiment.spec
        if spec.marked:
            return tuple(expand([self._source(experiment, name) for name in spec.marked]))
        inputs = tuple(self._source(experiment, name) for name in spec.rows)
        sections = config.model_dump(mode="json", include={"data", "markers"})
        own = key("rows", [stamp(name) for name in expand(inputs)], sections)
        target = self.folder / "data" / f"marked-{own[:8]}.jsonl"
        if not target.exists():
            with self._timed(f"annotating {', '.join(spec.rows)}"):
                resume = any(target.parent.glob(f"{target.name}.parts*"))
                annotate(annotation_job(config, self.plugins, inputs, target, resume=resume))
        return (str(target),)

    def _source(self, experiment: Experiment, name: str) -> str:
        """Return the file of a source; synthetic rows are written into the folder."""
        if not name.startswith(PREFIX):
            path = experiment.folder / name
            return str(path) if path.exists() else name
        path = self.folder / "data" / f"{name.removeprefix(PREFIX).replace(':', '-')}-seed-{experiment.spec.seed}.jsonl"
        if not path.exists():
            made = synthetic_rows(name, experiment.spec.seed)
            with atomic(path) as stream:
                stream.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in made))
        return str(path)

    def _model(self, experiment: Experiment, config: Config) -> Path:
        """Return the folder of a trained model, trained now if it is not there."""
        inputs = self._rows(experiment, config)
        sections = config.model_dump(mode="json", include=set(TRAINING))
        own = key("model", [stamp(name) for name in inputs], sections)
        folder = self.folder / "models" / f"{config.train.strategy}-seed-{config.seed}-{own[:8]}"
        if (folder / "run.json").exists():
            return folder
        resume = folder.exists() and any(folder.iterdir())
        with self._timed(f"training {folder.name}"):
            job = TrainingJob(inputs, str(config.train.model), folder, config, self.plugins, resume, self.say)
            train(job)
        return folder

    # ---- answers

    def _answers(
        self, experiment: Experiment, name: str, spec: MeasureConfig, cell: Cell, model: str
    ) -> tuple[Path, list[Scored], Mapping[str, Metric]]:
        """Return the folder, the scored cases and the metrics of a cell."""
        data = None if spec.data is None else self._source(experiment, spec.data)
        against = self._against(experiment, name, spec, cell)
        sections = cell.config.model_dump(mode="json", include={"seed", "decode", "evaluate", "markers"})
        facts = {"task": spec.task, "policy": cell.policy, "limit": spec.limit}
        stamps = [stamp(each) for each in (data, against) if each]
        own = key("answers", stamps, {**sections, **facts, "model": model_stamp(model)})
        folder = self.folder / "answers" / name / slug(cell.label) / f"seed-{cell.seed}"
        task = load_task(spec.task, self.plugins.tasks(), cell.config)
        asks = self.plugins.policies().get(cell.policy).asks if cell.policy else "fixed"
        found = read_cases(task, None if data is None else [row for _, row in rows([data])])
        cases = chosen(task, found, asks)[: spec.limit]
        setting = self._setting(task, cell.config, model, cases, against)
        prepare(task, setting)
        check_metrics(name, spec, task.metrics)
        if has_key(folder / "run.json", own):
            return folder, read_scored(folder / ANSWERS), task.metrics
        (folder / "run.json").unlink(missing_ok=True)
        with self._timed(f"{name}: {cell.label}, seed {cell.seed}"):
            policy, answers = self._ask(task, cases, cell, model, folder, own)
            bare = [Scored(str(case.id), found, {}, {}) for case, found in zip(cases, answers, strict=True)]
            scored = bare if cell.system == spec.against else score(task, cases, answers, setting)
        write_generations(folder / ANSWERS, scored)
        evaluate = cell.config.evaluate
        result = summarise(spec.task, policy, task.metrics, [scored], resamples=evaluate.resamples, seed=cell.seed)
        write_json(folder / "result.json", {"model": model, **result.to_json()})
        inputs = [each for each in (data, against) if each]
        written = {**facts, "model": model, "policy": policy, "system": cell.label, "key": own}
        write_json(folder / "run.json", manifest("experiment", cell.config, self.plugins, inputs, **written))
        return folder, scored, task.metrics

    def _against(self, experiment: Experiment, name: str, spec: MeasureConfig, cell: Cell) -> str | None:
        """Return the file of answers that a cell is compared with."""
        if spec.against is None or cell.system == spec.against:
            return None
        if spec.against not in experiment.spec.systems:
            return self._source(experiment, spec.against)
        others = experiment.cells(spec, spec.against)
        other = next(each for each in others if (each.variant, each.seed) == (cell.variant, cell.seed))
        return str(self.folder / "answers" / name / slug(other.label) / f"seed-{other.seed}" / ANSWERS)

    def _setting(self, task: Task, config: Config, model: str, cases: Sequence[Any], against: str | None) -> Setting:
        try:
            checkpoint = load_checkpoint(model)
        except CheckpointError:
            checkpoint = None
        other = {}
        if against:
            cases = chosen(task, cases, "none")
            matched = match_generations(cases, rows([against]))
            other = {str(case.id): found[0].text for case, found in zip(cases, matched, strict=True)}
        return Setting(config, self.plugins, checkpoint, other, self.say)

    def _ask(
        self, task: Task, cases: list[Any], cell: Cell, model: str, folder: Path, own: str
    ) -> tuple[str, list[list[Generation]]]:
        """Return the policy and the answers; they are kept before they are scored, for a judge may fail."""
        kept = folder / "asked.json"
        if has_key(kept, own):
            found = match_generations(cases, rows([str(folder / ANSWERS)]), samples(task))
            return str(orjson.loads(kept.read_bytes())["policy"]), found
        steered = steer(self.plugins, cell.config, model, Wish(policy=cell.policy))
        with self.progress(cell.label, len(cases) * samples(task)) as advance:
            registry = self.plugins.policies()
            answers = answer(task, cases, steered.policy, steered.engine, registry, advance, steered)
        bare = [Scored(str(case.id), found, {}, {}) for case, found in zip(cases, answers, strict=True)]
        write_generations(folder / ANSWERS, bare)
        write_json(kept, {"key": own, "policy": steered.policy})
        return steered.policy, answers

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self.say(f"{step} ...")
        start = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - start


def check_metrics(name: str, spec: MeasureConfig, metrics: Mapping[str, Metric]) -> None:
    """Refuse a measure that names a metric which its task does not have."""
    for metric in spec.metrics:
        if metric not in metrics:
            raise ConfigError(f"measures.{name}.metrics: {metric!r}: {did_you_mean(metric, metrics)}")
