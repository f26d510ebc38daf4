"""Where an experiment is run, and what its models are trained on: sources, annotated rows, models, each made once."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.annotation.job import annotation_job
from ttmarkers.annotation.run import annotate
from ttmarkers.datasets import expand
from ttmarkers.experiments.cache import key, stamp
from ttmarkers.manifest import atomic
from ttmarkers.synthetic.sources import PREFIX, synthetic_rows
from ttmarkers.training.job import TrainingJob, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ttmarkers.config import Config
    from ttmarkers.experiments.file import Experiment
    from ttmarkers.plugins.manager import Plugins

TRAINING = ("seed", "data", "markers", "template", "dropout", "train")
"""The sections of the config that a model depends on."""


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
    _written: set[Path] = field(default_factory=set)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Tell of a step, and how long it took."""
        self.say(f"{step} ...")
        start = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - start

    def source(self, experiment: Experiment, name: str) -> list[str]:
        """Return the files of a source; synthetic rows are written into the folder.

        Files and globs are looked for beside the experiment's file, then where the command runs.

        Raises:
            ConfigError: if there are none.
        """
        if not name.startswith(PREFIX):
            beside = str(experiment.folder / name)
            is_there = (
                Path(beside).is_file() or any(experiment.folder.glob(name)) if not Path(name).is_absolute() else 0
            )
            return expand([beside if is_there else name])
        seed = experiment.spec.seed
        path = self.folder / "data" / f"{name.removeprefix(PREFIX).replace(':', '-')}-seed-{seed}.jsonl"
        if path not in self._written:  # one of an earlier version may hold other rows
            text = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in synthetic_rows(name, seed))
            if not path.exists() or path.read_bytes() != text:
                with atomic(path) as stream:
                    stream.write(text)
            self._written.add(path)
        return [str(path)]

    def rows(self, experiment: Experiment, config: Config) -> tuple[str, ...]:
        """Return the annotated files that models are trained on."""
        spec = experiment.spec
        if spec.marked:
            return tuple(file for name in spec.marked for file in self.source(experiment, name))
        inputs = tuple(file for name in spec.rows for file in self.source(experiment, name))
        sections = config.model_dump(mode="json", include={"data", "markers"})
        own = key("rows", [stamp(name) for name in inputs], sections)
        target = self.folder / "data" / f"marked-{own[:8]}.jsonl"
        if not target.exists():
            with self.timed(f"annotating {', '.join(spec.rows)}"):
                resume = any(target.parent.glob(f"{target.name}.parts*"))
                annotate(annotation_job(config, self.plugins, inputs, target, resume=resume))
        return (str(target),)

    def model(self, experiment: Experiment, config: Config) -> Path:
        """Return the folder of a trained model, trained now if it is not there."""
        inputs = self.rows(experiment, config)
        sections = config.model_dump(mode="json", include=set(TRAINING))
        own = key("model", [stamp(name) for name in inputs], sections)
        folder = self.folder / "models" / f"{config.train.strategy}-seed-{config.seed}-{own[:8]}"
        if (folder / "run.json").exists():
            return folder
        resume = folder.exists() and any(folder.iterdir())
        with self.timed(f"training {folder.name}"):
            train(TrainingJob(inputs, str(config.train.model), folder, config, self.plugins, resume, self.say))
        return folder
