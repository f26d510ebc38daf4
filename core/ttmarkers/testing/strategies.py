"""Checks of training strategies: a tiny model is trained on few rows, and used."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.config import make_config
from ttmarkers.errors import TtmError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Strategy
from ttmarkers.testing.command_line import ttm
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold
from ttmarkers.testing.made_up import plugins_with
from ttmarkers.testing.tiny import MODEL, marked_rows, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ttmarkers.components import StrategyComponent
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.training.job import TrainingJob

STEPS = {"max_steps": 2, "logging_steps": 1, "per_device_train_batch_size": 4}
PROMPT = "Say hello to Bob."


@dataclass
class Probe:
    """A strategy, and what it trains."""

    component: StrategyComponent
    plugins: Plugins
    folder: Path
    rows: list[Mapping[str, Any]]
    model: str
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """The folder of the finished model."""
        return self.folder / "model"

    def job(self) -> TrainingJob:
        """Return what the strategy is given."""
        from ttmarkers.training.job import TrainingJob

        source = write_rows(self.folder / "rows.jsonl", self.rows)
        config = make_config({"train": {**STEPS, **self.keys, "strategy": self.component.name}})
        return TrainingJob((str(source),), self.model, self.output, config, self.plugins)


def check_strategy(
    component: StrategyComponent,
    *,
    rows: Iterable[Mapping[str, Any]] | None = None,
    model: Path | str = MODEL,
    train: Mapping[str, Any] | None = None,
    plugins: Plugins | None = None,
) -> None:
    """Check a strategy: it trains a tiny model for two steps, and what it leaves can be used.

    Args:
        component: what the hook yields.
        rows: annotated rows; made up by default.
        model: what is trained; a new one by default.
        train: keys of the config's section ``train``.
        plugins: where marker types and templates come from; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example::

        def test_preference(tmp_path):
            rows = [{**row, "rejected": "No."} for row in marked_rows()]
            check_strategy(PREFERENCE, rows=rows, model=tiny_model(tmp_path / "base"), train={"use_cpu": True})
    """
    with tempfile.TemporaryDirectory() as folder:
        probe = Probe(
            component,
            plugins or plugins_with(component),
            Path(folder),
            list(marked_rows() if rows is None else rows),
            str(model),
            dict(train or {}),
        )
        hold(f"strategy {component.name!r}", probe, CHECKS)


def is_a_strategy(probe: Probe) -> None:
    """It is made without options, and can train."""
    try:
        made = build(probe.component)
    except TtmError as error:
        raise Breach(
            f"it cannot be made without options ({error}): read what it needs from job.config.train"
        ) from error
    if not isinstance(made, Strategy):
        raise Breach(f"what its factory makes ({type(made).__name__}) has no method train: add it")


def trains(probe: Probe) -> None:
    """Training comes to its end, in the folder that was named."""
    from ttmarkers.training.job import train

    job = probe.job()
    folder = train(job)
    if folder != job.output or not folder.is_dir():
        raise Breach(f"it returns {str(folder)!r}, not the folder of the job: save to job.output and return that")


def leaves_what_models_carry(probe: Probe) -> None:
    """``markers.json`` and ``run.json`` say what was trained, on what."""
    for name in ("markers.json", "run.json", "log.json"):
        if not (probe.output / name).is_file():
            raise Breach(f"its folder has no {name}: end with ttmarkers.training.job.finish")
    checkpoint = load_checkpoint(str(probe.output))
    if checkpoint.strategy != probe.component.name:
        raise Breach(f"markers.json says strategy {checkpoint.strategy!r}: end with ttmarkers.training.job.finish")
    if not checkpoint.rows or checkpoint.rows > len(probe.rows):
        raise Breach(
            f"markers.json says {checkpoint.rows} rows of {len(probe.rows)}: train on ttmarkers.training.preparation's"
        )


def leaves_a_model_that_loads(probe: Probe) -> None:
    """Model and tokenizer lie in the folder, and belong together."""
    from ttmarkers.decoding.run import load

    loaded = load(str(probe.output), "none")
    width, words = int(loaded.model.config.get_text_config().vocab_size), len(loaded.encoder.tokenizer)
    if width < words:
        raise Breach(
            f"its model knows {width} tokens and its tokenizer {words}: save the tokenizer that was trained with"
        )


def leaves_nothing_of_its_work(probe: Probe) -> None:
    """What was needed only while training went on is gone."""
    left = sorted(path.name for path in probe.output.iterdir() if path.name.startswith("."))
    if left:
        raise Breach(f"its folder still holds {', '.join(left)}: keep files of the work in job.work, which is removed")


def leaves_a_model_that_answers(probe: Probe) -> None:
    """``ttm generate`` answers with it, with markers if it knows any."""
    checkpoint = load_checkpoint(str(probe.output))
    words: list[object] = ["generate", probe.output, PROMPT, "--json", "--set", "decode.max_new_tokens=8"]
    if checkpoint.marked:
        kind = next(iter(checkpoint.taxonomy))
        words += ["-m", f"{kind.name}={kind.values[0] if kind.values else int(kind.minimum or 0) + 5}"]
    done = ttm(*words)
    if done.code:
        line = (done.err.strip().splitlines() or ["nothing"])[-1]
        raise Breach(f"ttm generate does not answer with its model, and says {line!r}: save what was trained")
    if done.json()["fault"] and checkpoint.writes:
        raise Breach(f"its model's block is faulty ({done.json()['fault']}): say writes=False if it writes none")


CHECKS = (
    has_a_name_and_a_summary,
    is_a_strategy,
    trains,
    leaves_what_models_carry,
    leaves_a_model_that_loads,
    leaves_nothing_of_its_work,
    leaves_a_model_that_answers,
)
