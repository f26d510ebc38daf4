"""Training: what a strategy is given, how it is run, and what every trained model's folder holds in the end.

A strategy prepares its rows with `ttmarkers.training.preparation.prepare`, trains as it likes, saves model and
tokenizer into the output folder, and calls `finish`.
"""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.earlier import input_parts
from ttmarkers.annotation.fitting import SUFFIX, load_states
from ttmarkers.annotation.job import annotation_parts, annotation_plan
from ttmarkers.checkpoints.checkpoint import Checkpoint, find, load_checkpoint, model_parts
from ttmarkers.datasets import expand
from ttmarkers.errors import ConfigError, TtmError
from ttmarkers.manifest import manifest, refuse_existing, run_parts, versions, write_json
from ttmarkers.models.loading import is_scratch, scratch_size
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Strategy
from ttmarkers.provenance import KEY as PARTS
from ttmarkers.provenance import find_parts, read_parts, to_json
from ttmarkers.records import PART_NAMES
from ttmarkers.training.card import write_card
from ttmarkers.training.processes import is_first
from ttmarkers.training.state import begin, digest, is_finished, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ttmarkers.config import Config
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.provenance import Part
    from ttmarkers.training.preparation import Prepared

NEARLY_FULL = 1 << 20  # bytes


@dataclass(frozen=True)
class TrainingJob:
    """What to train, on what, and where to put it.

    Attributes:
        inputs: annotated files.
        model: a path, a Hub name or ``scratch:SIZE``.
        output: the folder of the finished model.
        config: filled with its defaults.
        plugins: where the template and the marker types come from.
        resume: go on from the last checkpoint in ``output``.
        say: takes lines for people.
    """

    inputs: tuple[str, ...]
    model: str
    output: Path
    config: Config
    plugins: Plugins
    resume: bool = False
    say: Callable[[str], None] = field(default=lambda line: None)

    @property
    def work(self) -> Path:
        """The folder of what is needed only while training goes on."""
        return self.output / ".work"


@dataclass(frozen=True)
class Trained:
    """What came of a training run.

    Attributes:
        marked: whether the model learned markers.
        writes: whether it learned to write blocks, and not only to read them.
        log: what was logged, an entry a step.
        facts: further figures for ``run.json``.
    """

    marked: bool = True
    writes: bool = True
    log: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def train(job: TrainingJob) -> Path:
    """Run a training job with the strategy that its config names, and return the folder of the model.

    Raises:
        OutputExistsError: if the output exists and the job is not resumed.
        ConfigError: if it is resumed with other rows or settings.
        TtmError: if the disk is full.
    """
    if not job.resume and is_first():
        refuse_existing(job.output)
    if is_scratch(job.model):
        scratch_size(job.model)  # a misspelt size is told before a long file is read
    component = job.plugins.strategies().get(job.config.train.strategy, where="train.strategy")
    strategy = build(component)
    if not isinstance(strategy, Strategy):
        raise ConfigError(f"strategy {component.known_as} has no method train")
    if is_finished(job):
        job.say(f"{job.output} is finished already")
        return job.output
    if is_first():
        begin(job)
    try:
        folder = strategy.train(job)
    except BaseException as error:
        full = _disk_is_full(error, job.output)
        if is_first() and not has_checkpoint(job):
            shutil.rmtree(job.output, ignore_errors=True)  # there is nothing to resume
        if full:
            raise TtmError(
                f"{job.output}: the disk is full: make room and go on with --resume, or name another -o"
            ) from error
        raise
    if is_first():
        shutil.rmtree(job.work, ignore_errors=True)
    return folder


def has_checkpoint(job: TrainingJob) -> bool:
    """Tell whether a run has come to something that it can be resumed from, or to its end."""
    whole = job.output.glob("checkpoints/checkpoint-*/trainer_state.json")
    return (job.output / "markers.json").exists() or any(whole)


def _disk_is_full(error: BaseException, output: Path) -> bool:
    """Tell whether an error comes of a full disk; the libraries that write weights say so each in its own way."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if isinstance(error, TtmError) or not isinstance(error, Exception):
        return False
    place = next((folder for folder in (output, *output.resolve().parents) if folder.exists()), None)
    return place is not None and shutil.disk_usage(place).free < NEARLY_FULL


def check_base(job: TrainingJob, prepared: Prepared) -> None:
    """Refuse to train a model further that knows its markers by another template, order or values, or lacks some.

    Raises:
        CheckpointError: with what differs.
    """
    if is_scratch(job.model) or find(job.model) is None:
        return
    base = load_checkpoint(job.model)
    if base.marked:
        base.require(template=prepared.template, taxonomy=prepared.taxonomy)


def finish(job: TrainingJob, prepared: Prepared, trained: Trained) -> None:
    """Write what a trained model's folder holds beside model and tokenizer; ``markers.json`` last.

    Args:
        job: what was asked for.
        prepared: what was trained on.
        trained: what came of it.
    """
    checkpoint = Checkpoint(
        strategy=job.config.train.strategy,
        marked=trained.marked,
        writes=trained.marked and trained.writes,
        taxonomy=prepared.taxonomy,
        template_name=prepared.template.name,
        template_source=prepared.template.source,
        dropout=job.config.dropout.make(job.config.seed).to_json(),
        rows=len(prepared.rows),
        counts=prepared.counts.to_json(prepared.taxonomy),
        facts={
            "tokens": {
                name: getattr(prepared.tokens, name) for name in PART_NAMES if trained.marked or name == "answer"
            },
            "fitted": _fitted(job),
            "overlong_rows": prepared.tokens.overlong,
            "cut_rows": prepared.tokens.cut,
            "held_out_rows": len(prepared.held_out or ()),
            "versions": versions(),
            "plugins": [record.source for record in job.plugins.records if record.status == "ok"],
            PARTS: to_json(_parts(job, prepared)),
        },
    )
    write_json(job.output / "log.json", list(trained.log))
    parts = read_parts(checkpoint.facts)
    facts = {"model": job.model, "rows": len(prepared.rows), "state": digest(state_of(job)), **trained.facts}
    write_json(
        job.output / "run.json",
        manifest("train", job.config, job.plugins, job.inputs, parts, template_hash=prepared.template.hash, **facts),
    )
    write_card(job, checkpoint, trained.log)
    checkpoint.save(job.output)  # this file says that the others are whole


def _parts(job: TrainingJob, prepared: Prepared) -> list[Part]:
    """Return what had a part in a model: in this training, in its rows, and in the model that it began with."""
    config = job.config
    own = find_parts(
        job.plugins, marker=prepared.taxonomy.names, template=[prepared.template.name], strategy=[config.train.strategy]
    )
    if prepared.tokens.cut:  # the markers of answers that were cut were found again
        own += annotation_parts(annotation_plan(config, job.plugins), job.plugins)
    before = [] if is_scratch(job.model) else model_parts(job.model)
    return [*own, *run_parts(job.plugins, config), *input_parts(expand(job.inputs)), *before]


def _fitted(job: TrainingJob) -> dict[str, Any]:
    """Return the fitted states of the annotated files, which new data needs; none where files differ in them."""
    states = [load_states(path) for name in job.inputs if (path := Path(name + SUFFIX)).is_file()]
    return states[0] if states and all(state == states[0] for state in states) else {}
