"""What an experiment is: systems that are trained and asked, measures that they are put to, and a grid of settings."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from ttmarkers.config import Config, Section, make_config, over_profile
from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.settings import merge, override, read_yaml, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.config import Profiles

SEED = "seed"


class SystemConfig(Section):
    """One of the things that are compared.

    Attributes:
        policy: the decoding policy under which it is asked; what fits the model by default.
        set: dotted config keys with values, over the experiment's ``config``, such as ``{train.strategy: baseline}``.
        model: a folder or Hub name of a model that is there; by default one is trained.
    """

    policy: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None


class MeasureConfig(Section):
    """A task that systems are put to.

    Attributes:
        task: its name.
        title: of its section in the report.
        text: paragraphs of that section.
        data: the task's rows, a file or ``synthetic:NAME:N``; the task's embedded sample by default.
        systems: those that are asked; all by default.
        set: dotted config keys with values, such as ``{decode.temperature: 0.8}``.
        options: arguments of the task.
        limit: only the first cases.
        against: a system or a file of answers that paired tasks compare with.
        baseline: the system that the others are compared with; the first by default.
        metrics: those that are shown and compared; all by default.
        slices: the slices that are shown and compared, by the property's name; all by default.
        paper: the paper's table or figure that is shown beside (`ttmarkers.experiments.paper`).
    """

    task: str
    title: str = ""
    text: list[str] = Field(default_factory=list)
    data: str | None = None
    systems: list[str] = Field(default_factory=list)
    set: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    limit: int | None = Field(None, ge=1)
    against: str | None = None
    baseline: str | None = None
    metrics: list[str] = Field(default_factory=list)
    slices: list[str] | None = None
    paper: str | None = None


class ExperimentConfig(Section):
    """A whole experiment, as its file says.

    Attributes:
        title: of the report.
        text: its lead.
        seed: of data, dropout, weights, order and resampling; a grid over ``seed`` replaces it for training.
        rows: what is annotated and trained on: files, or ``synthetic:NAME:N``.
        marked: what is trained on, annotated already, in place of ``rows``.
        config: sections of the config that all systems share.
        systems: by name.
        measures: by name.
        grid: dotted config key -> its values; each combination is trained and asked. Several values of ``seed`` become
            one figure, whose interval is over seeds too.
    """

    title: str = "Experiment"
    text: list[str] = Field(default_factory=list)
    seed: int = Field(0, ge=0)
    rows: list[str] = Field(default_factory=list)
    marked: list[str] = Field(default_factory=list)
    config: dict[str, Any] = Field(default_factory=dict)
    systems: dict[str, SystemConfig] = Field(min_length=1)
    measures: dict[str, MeasureConfig] = Field(min_length=1)
    grid: dict[str, list[Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> ExperimentConfig:
        if self.rows and self.marked:
            raise ValueError("give either rows or marked")
        for name, measure in self.measures.items():
            known = list(self.systems)
            for system in (*measure.systems, *filter(None, (measure.baseline,))):
                if system not in self.systems:
                    raise ValueError(f"measures.{name} names the system {system!r}: {did_you_mean(system, known)}")
        for key, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{key} has no values")
            if key == SEED and not all(isinstance(value, int) and value >= 0 for value in values):
                raise ValueError(f"grid.seed holds whole numbers from 0 on, not {values}")
        if not (self.rows or self.marked):
            untrained = [name for name, system in self.systems.items() if system.model is None]
            if untrained:
                raise ValueError(f"there are no rows to train system {untrained[0]!r} on: give rows, or its model")
        return self


@dataclass(frozen=True)
class Variant:
    """One point of the grid, without its seed: dotted config keys with values."""

    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The settings for people, by the last part of each key."""
        return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in self.settings.items())


@dataclass(frozen=True)
class Cell:
    """One system at one point of the grid with one seed."""

    system: str
    variant: Variant
    seed: int
    config: Config
    policy: str | None
    model: str | None

    @property
    def label(self) -> str:
        """The system's name with the variant, whatever the seed."""
        return f"{self.system}, {self.variant.label}" if self.variant.settings else self.system


@dataclass(frozen=True)
class Experiment:
    """An experiment that was read and checked.

    Attributes:
        name: its file's, without the suffix.
        folder: where its file lies; files that it names are looked for there, then where the command runs.
        spec: what it says.
        profiles: returns the YAML of a profile by name, for ``config.data.profile``.
    """

    name: str
    folder: Path
    spec: ExperimentConfig
    profiles: Profiles | None = None

    @property
    def seeds(self) -> list[int]:
        """The seeds of its grid."""
        return list(self.spec.grid.get(SEED, [self.spec.seed]))

    @property
    def variants(self) -> list[Variant]:
        """The points of its grid."""
        axes = {key: values for key, values in self.spec.grid.items() if key != SEED}
        return [Variant(dict(zip(axes, point, strict=True))) for point in itertools.product(*axes.values())]

    def systems(self, measure: MeasureConfig) -> list[str]:
        """Return the systems that are put to a measure; the first one is what the others are compared with."""
        names = measure.systems or list(self.spec.systems)
        first = measure.baseline
        return [first, *(name for name in names if name != first)] if first in names else names

    def cells(self, measure: MeasureConfig, system: str) -> Iterator[Cell]:
        """Yield a system at each point of the grid, with each seed."""
        spec = self.spec.systems[system]
        for variant in self.variants:
            for seed in self.seeds:
                settings = {**variant.settings, **spec.set, **measure.set}
                yield Cell(system, variant, seed, self.config(settings, seed, measure), spec.policy, spec.model)

    def config(
        self, settings: Mapping[str, Any] | None = None, seed: int | None = None, measure: MeasureConfig | None = None
    ) -> Config:
        """Return the config with settings over it.

        Raises:
            ConfigError: if a key does not exist or a value does not fit.
        """
        data = copy.deepcopy(self.spec.config)
        data[SEED] = self.spec.seed if seed is None else seed
        for key, value in (settings or {}).items():
            override(data, key, value, where=self.name)
        if measure is not None and measure.options:
            data = merge(data, {"evaluate": {"options": {measure.task: measure.options}}})
        return make_config(over_profile(data, self.profiles), self.name)


def read_experiment(path: Path, settings: Sequence[str] = (), profiles: Profiles | None = None) -> Experiment:
    """Read an experiment's file; ``extends: FILE`` in it names one that it is laid over.

    Args:
        path: the file.
        settings: ``key=value`` with dotted keys of the experiment, over the file.
        profiles: see `Experiment`.

    Raises:
        ConfigError: if it cannot be read, a key does not exist or a value does not fit.
    """
    data = _extended(path, ())
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write key=value, such as config.train.model=scratch:small")
        override(data, key, read_yaml(text, f"--set {setting!r}"), where=f"--set {setting!r}")
    try:
        return Experiment(path.stem, path.parent, ExperimentConfig.model_validate(data), profiles)
    except ValidationError as error:
        raise ConfigError(sentence(error, str(path), ExperimentConfig)) from error


def _extended(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in above:
        raise ConfigError(f"experiment {path} extends itself")
    try:
        data = read_yaml(path.read_text(encoding="utf-8"), f"experiment {path}")
    except OSError as error:
        raise ConfigError(f"experiment {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"experiment {path} is no text: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"experiment {path}: it must hold keys with values, such as 'title: Length'")
    below = data.pop("extends", None)
    if below is None:
        return data
    return merge(_extended(path.parent / str(below), (*above, path.resolve())), data)


def dump(spec: ExperimentConfig) -> bytes:
    """Return an experiment as YAML, filled with its defaults."""
    return yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True).encode()
