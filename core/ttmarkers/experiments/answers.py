"""A system is put to a measure: its answers and their scores, each made once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.datasets import rows
from ttmarkers.decoding.run import choose_policy
from ttmarkers.decoding.steering import Wish, steer
from ttmarkers.errors import CheckpointError
from ttmarkers.evaluation.matching import Matcher
from ttmarkers.evaluation.results import Scored, summarise
from ttmarkers.evaluation.run import answer, chosen, load_task, prepare, read_cases, samples, score
from ttmarkers.evaluation.stored import ANSWERS, read_scored, write_generations
from ttmarkers.experiments.cache import has_key, key, model_stamp, named_files, slug, stamp
from ttmarkers.manifest import manifest, write_json
from ttmarkers.protocols import Setting
from ttmarkers.provenance import find_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.experiments.file import Cell, Experiment, MeasureConfig
    from ttmarkers.experiments.lab import Lab
    from ttmarkers.protocols import Task
    from ttmarkers.records import Generation, Metric


@dataclass(frozen=True)
class Answered:
    """What one system answered to a measure, at one point of the grid with one seed.

    Attributes:
        cell: the system there.
        policy: under which it was asked.
        folder: where answers and scores lie.
        model: the model's folder or name.
        scored: cases with their scores.
        metrics: what the task measures.
    """

    cell: Cell
    policy: str
    folder: Path
    model: str
    scored: Sequence[Scored]
    metrics: Mapping[str, Metric]


def folder_of(lab: Lab, experiment: Experiment, measure: str, cell: Cell) -> Path:
    """Return where the answers of a cell lie."""
    return lab.folder / "answers" / slug(experiment.name) / slug(measure) / slug(cell.label) / f"seed-{cell.seed}"


def answer_cell(lab: Lab, experiment: Experiment, measure: str, spec: MeasureConfig, cell: Cell) -> Answered:
    """Return the answers and scores of a cell; what is not done yet is done now."""
    model = cell.model or str(lab.model(experiment, cell.config))
    try:
        checkpoint = load_checkpoint(model)
    except CheckpointError:
        checkpoint = None
    work = _Work(lab, experiment, measure, spec, cell, model, checkpoint)
    return work.done()


class _Work:
    """One cell of one measure."""

    def __init__(
        self,
        lab: Lab,
        experiment: Experiment,
        measure: str,
        spec: MeasureConfig,
        cell: Cell,
        model: str,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._lab, self._experiment, self._measure, self._spec = lab, experiment, measure, spec
        self._cell, self._model, self._checkpoint = cell, model, checkpoint
        decode = cell.config.decode
        self._policy = choose_policy(cell.policy or decode.policy, checkpoint, decode.markers)
        self._folder = folder_of(lab, experiment, measure, cell)
        self._data = [] if spec.data is None else lab.source(experiment, spec.data)
        self._opponent = cell.system == spec.against

    def done(self) -> Answered:
        task = load_task(self._spec.task, self._lab.plugins.tasks(), self._cell.config)
        asks = self._lab.plugins.policies().get(self._policy).asks
        found = read_cases(task, [row for _, row in rows(self._data)] if self._data else None)
        cases = chosen(task, found, asks)[: self._spec.limit]
        setting = self._setting(task, cases)
        prepare(task, setting)
        asked, own = self._keys()
        if not has_key(self._folder / "run.json", own):
            (self._folder / "run.json").unlink(missing_ok=True)
            with self._lab.timed(f"{self._measure}: {self._cell.label}, seed {self._cell.seed}"):
                self._write(task, cases, self._ask(task, cases, asked), setting, own)
        scored = read_scored(self._folder / ANSWERS)
        return Answered(self._cell, self._policy, self._folder, self._model, scored, task.metrics)

    def _keys(self) -> tuple[str, str]:
        """Return the keys of the answers, and of their scores."""
        config = self._cell.config
        decode = config.model_dump(mode="json", include={"seed", "decode"})
        options = config.evaluate.options.get(self._spec.task, {})
        facts = {"task": self._spec.task, "policy": self._policy, "limit": self._spec.limit, "options": options}
        model = {"model": model_stamp(self._model)}
        asked = key("answers", [stamp(name) for name in self._data], {**decode, **facts, **model})
        sections = config.model_dump(mode="json", include={"evaluate", "markers"})
        files = [*named_files(sections), *(stamp(name) for name in self._against())]
        return asked, key("scores", [asked, *files], {**sections, "opponent": self._opponent})

    def _against(self) -> list[str]:
        """Return the files of answers that the cell is compared with."""
        against = self._spec.against
        if against is None or self._opponent:
            return []
        if against not in self._experiment.spec.systems:
            return self._lab.source(self._experiment, against)
        others = self._experiment.cells(self._spec, against)
        same = (self._cell.variant, self._cell.seed)
        other = next(each for each in others if (each.variant, each.seed) == same)
        return [str(folder_of(self._lab, self._experiment, self._measure, other) / ANSWERS)]

    def _setting(self, task: Task, cases: Sequence[Any]) -> Setting:
        other = {}
        if files := self._against():
            plain = chosen(task, cases, "none")
            matched = Matcher(rows(files)).match(plain)
            other = {str(plain[place].id): found[0].text for place, found in matched.items()}
        return Setting(self._cell.config, self._lab.plugins, self._checkpoint, other, self._lab.say)

    def _ask(self, task: Task, cases: list[Any], own: str) -> list[list[Generation]]:
        """Return the answers; they are kept before they are scored, for a judge may fail."""
        kept, many = self._folder / "asked.json", samples(task)
        if many and has_key(kept, own):
            return list(Matcher(rows([str(self._folder / ANSWERS)]), many).match(cases).values())
        steered = steer(self._lab.plugins, self._cell.config, self._model, Wish(policy=self._policy))
        with self._lab.progress(self._cell.label, len(cases) * many) as advance:
            registry = self._lab.plugins.policies()
            answers = answer(task, cases, self._policy, steered.engine, registry, advance, steered)
        kept.unlink(missing_ok=True)
        write_generations(self._folder / ANSWERS, _bare(cases, answers))
        write_json(kept, {"key": own})
        return answers

    def _write(self, task: Task, cases: list[Any], answers: list[list[Generation]], setting: Setting, own: str) -> None:
        scored = _bare(cases, answers) if self._opponent else score(task, cases, answers, setting)
        write_generations(self._folder / ANSWERS, scored)
        config, facts = self._cell.config, {"task": self._spec.task, "model": self._model, "policy": self._policy}
        resamples = config.evaluate.resamples
        result = summarise(facts["task"], self._policy, task.metrics, [scored], resamples=resamples, seed=config.seed)
        write_json(self._folder / "result.json", {"model": self._model, **result.to_json()})
        inputs = [*self._data, *self._against()]
        facts = {**facts, "system": self._cell.label, "key": own}
        used = find_parts(self._lab.plugins, task=[self._spec.task], policy=[self._policy])
        parts = [*used, *setting.asked, *(self._checkpoint.parts if self._checkpoint else ())]
        write_json(self._folder / "run.json", manifest("experiment", config, self._lab.plugins, inputs, parts, **facts))


def _bare(cases: Sequence[Any], answers: Sequence[Sequence[Generation]]) -> list[Scored]:
    """Return answers without scores."""
    return [Scored(str(case.id), found, {}, {}) for case, found in zip(cases, answers, strict=True)]
