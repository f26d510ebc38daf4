"""One YAML file, validated: an unknown key is an error, and the filled config is stored beside every output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ttmarkers.errors import ConfigError
from ttmarkers.settings import merge, override, read_yaml, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.dropout import Dropout
    from ttmarkers.records import Parallel, Value

    Profiles = Callable[[str], str]


class Section(BaseModel):
    """A part of the config; keys that it does not know are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ParallelConfig(Section):
    """Rows of parallel sentences: ``languages`` maps a column to its language, ``sources`` are translated from."""

    languages: dict[str, str]
    sources: list[str]

    @model_validator(mode="after")
    def _known(self) -> ParallelConfig:
        for source in self.sources:
            if source not in self.languages:
                raise ValueError(f"sources names {source!r}, which languages does not")
        return self

    def make(self) -> Parallel:
        """Return what `ttmarkers.datasets.unfold` takes."""
        from ttmarkers.records import Parallel

        return Parallel(self.languages, tuple(self.sources))


class DataConfig(Section):
    """Rows in.

    Attributes:
        profile: the name of a profile, which stands below the rest of this config.
        columns: our name of a column -> the file's (``{prompt: question}``).
        max_chars: rows with more characters of text are bad.
        row_seconds: what an extractor may take for each row, beside a minute for a batch; rows at which it takes
            longer are bad.
        parallel: rows hold one sentence in several languages; each pair becomes an example.
    """

    profile: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    max_chars: int = Field(1_000_000, ge=1)
    row_seconds: float = Field(2.0, gt=0)
    parallel: ParallelConfig | None = None


class Declared(Section):
    """What a data set says of itself about one marker: a column, or one value for all rows.

    ``values`` maps what stands in the column to the taxonomy's values; ``null`` means that nothing is known.
    Without ``values`` the column holds the taxonomy's values itself.
    """

    column: str | None = None
    constant: str | int | float | None = None
    values: dict[str, str | int | float | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_two(self) -> Declared:
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either column or constant")
        return self


class MarkerTypeConfig(Section):
    """A change of a marker type, or, with ``kind`` or ``values``, a new one.

    Attributes:
        kind: of a new type; ``categorical`` if it has ``values``.
        values: of a new categorical type.
        minimum: the least value of a new type of numbers.
        unit: what a number of a new type counts.
        summary: one line for ``ttm markers list``.
        aliases: other spelling -> value.
        add: values that the type did not have.
        rename: old value -> new value; the old one stays as an alias.
        split: old value -> the values that take its place.
    """

    kind: Literal["categorical", "int", "float"] | None = None
    values: list[str] = Field(default_factory=list)
    minimum: float | None = None
    unit: str = ""
    summary: str = ""
    aliases: dict[str, str] = Field(default_factory=dict)
    add: list[str] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict)
    split: dict[str, list[str]] = Field(default_factory=dict)


class MarkersConfig(Section):
    """Which markers are found, and how.

    Attributes:
        taxonomy: ``paper`` or ``paper-strict``.
        types: marker type -> how it differs from what plugins define, or what it is (`ttmarkers.taxonomies.changes`).
        use: the marker types to write, in this order; all by default.
        declared: what the data set says of itself, by marker; asked before any extractor.
        extractors: the extractors of a marker, in the order in which they are asked.
        options: arguments of an extractor, by its name.
        fitted: a file of fitted states (``OUT.fitted.json`` of the training rows) to apply instead of fitting.
        guides: files that say more, or other things, of markers than the plugins' guides do.
        least_confidence: marker -> the confidence below which an extractor's word does not count.
        fit_where: column -> value of the rows to fit on, such as ``{split: train}``; all by default.
    """

    taxonomy: str = "paper"
    types: dict[str, MarkerTypeConfig] = Field(default_factory=dict)
    use: list[str] | None = None
    declared: dict[str, Declared] = Field(default_factory=dict)
    extractors: dict[str, list[str]] = Field(default_factory=dict)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    fitted: str | None = None
    fit_where: dict[str, str | int] = Field(default_factory=dict)
    guides: list[str] = Field(default_factory=list)
    least_confidence: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)


class DropoutConfig(Section):
    """Dual dropout of the prompt's markers (see `ttmarkers.dropout.Dropout`).

    Attributes:
        dataset: share of examples whose block leaves the prompt.
        sample: share of markers that leave it in the others.
        mode: ``independent`` draws, or an ``exact`` share.
        each_epoch: draw anew in each epoch.
        rates: marker -> its own share instead of ``sample``.
        tail: share of the drops that rare values are spared.
        border: a value is rare under this share of the rows.
        schedule: points ``[place in the run, factor]`` that thin markers out, such as ``[[0.9, 1], [0.9, 0]]``.
    """

    dataset: float = Field(0.5, ge=0, le=1)
    sample: float = Field(0.5, ge=0, le=1)
    mode: Literal["independent", "exact"] = "independent"
    each_epoch: bool = True
    rates: dict[str, float] = Field(default_factory=dict)
    tail: float = Field(0.0, ge=0, le=1)
    border: float = Field(0.05, ge=0, le=1)
    schedule: list[tuple[float, float]] = Field(default_factory=list)

    def make(self, seed: int, shares: Mapping[str, Mapping[Value, float]] | None = None) -> Dropout:
        """Return the dropout of these settings; ``shares`` says which values are rare, for ``tail``."""
        from ttmarkers.dropout import Dropout

        return Dropout(seed=seed, shares=shares or {}, **self.model_dump())


class TrainConfig(Section):
    """Training. Keys that are not listed here go to TRL's ``SFTConfig`` untouched, under TRL's own names.

    Attributes:
        model: a path, a Hub name, ``scratch:tiny`` or ``scratch:small``.
        strategy: a training strategy's name.
        block_weight: weight of the block's tokens in the loss; 1 is the paper's.
        lora: keys of PEFT's ``LoraConfig``, for the strategy ``lora``.
        cooldown: share of the run at its end that is trained without markers, for the strategy ``cooldown``.
        overlong: what happens to an example of more tokens than ``max_length``: ``drop`` it (and say how many),
            ``cut`` its answer and extract its markers again, or ``stop``.
        held_out: annotated files to measure on while training (``eval_strategy`` says when), or a share of the rows
            that is kept out of training for it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    model: str | None = None
    strategy: str = "sft"
    block_weight: float = Field(1.0, ge=0)
    lora: dict[str, Any] = Field(default_factory=dict)
    cooldown: float = Field(0.1, gt=0, lt=1)
    overlong: Literal["drop", "cut", "stop"] = "drop"
    held_out: Annotated[float, Field(gt=0, lt=1)] | list[str] | None = None

    @field_validator("held_out", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def engine_keys(self) -> dict[str, Any]:
        """The keys for TRL."""
        return dict(self.model_extra or {})


class DecodeConfig(Section):
    """Decoding. Keys that are not listed here go to ``transformers``' generation config under its own names.

    Attributes:
        policy: a decoding policy's name; by default ``fixed`` if markers are given, else ``inferred``.
        markers: markers to ask for.
        negative: markers to lead away from, for the policy ``guided``.
        batch_size: prompts that are decoded together.
        options: arguments of a policy, by its name.
        hard_length: whether a number that is asked for (``length_tokens`` ...) is a limit that answers are cut to.
        max_words: a limit of words that answers are cut to.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    policy: str | None = None
    markers: dict[str, str | int | float] = Field(default_factory=dict)
    negative: dict[str, str | int | float] = Field(default_factory=dict)
    batch_size: int = Field(16, ge=1)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    hard_length: bool = False
    max_words: int | None = Field(None, ge=1)

    @property
    def engine_keys(self) -> dict[str, Any]:
        """The keys for transformers."""
        return dict(self.model_extra or {})


class EvaluateConfig(Section):
    """Evaluation.

    Attributes:
        options: arguments of a task, by its name.
        resamples: how often the bootstrap draws.
        tail: the markers whose values are told apart as head and tail; all categories by default.
        border: a value is in the tail under this share of the training rows.
    """

    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    resamples: int = Field(2000, ge=100)
    tail: list[str] | None = None
    border: float = Field(0.05, ge=0, le=1)


class Config(Section):
    """The whole config, filled with defaults."""

    seed: int = Field(0, ge=0)
    data: DataConfig = DataConfig()
    markers: MarkersConfig = MarkersConfig()
    template: str = "paper"
    dropout: DropoutConfig = DropoutConfig()
    train: TrainConfig = TrainConfig()
    decode: DecodeConfig = DecodeConfig()
    evaluate: EvaluateConfig = EvaluateConfig()


def load_config(path: Path | None = None, overrides: Sequence[str] = (), profiles: Profiles | None = None) -> Config:
    """Read a config file and apply ``key=value`` overrides with dotted keys.

    Args:
        path: the file; without it all keys have their defaults.
        overrides: dotted keys with values in YAML.
        profiles: returns the YAML of a profile by name, for ``data.profile``.

    Raises:
        ConfigError: if the file cannot be read, a key does not exist or a value does not fit, in one sentence
            that names file and key.
    """
    data: Any = {}
    name = str(path) if path else "the options"
    if path:
        try:
            data = read_yaml(path.read_text(encoding="utf-8"), f"config {path}") or {}
        except OSError as error:
            raise ConfigError(f"config {path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"config {path} is no YAML: {error}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"config {path}: it must hold keys with values, such as 'seed: 1'")
    data = {key: value for key, value in data.items() if value is not None}  # a section that holds only comments
    for setting in overrides:
        _set(data, setting)
    return make_config(over_profile(data, profiles), name)


def over_profile(data: dict[str, Any], profiles: Profiles | None) -> dict[str, Any]:
    """Return a config laid over the profile that it names (``data.profile``), if it names one.

    Args:
        data: of the config.
        profiles: returns the YAML of a profile by name.
    """
    section = data.get("data")
    profile = section.get("profile") if isinstance(section, dict) else None
    if profile is None or profiles is None:
        return data
    below = read_yaml(profiles(str(profile)), f"profile {profile}") or {}
    make_config(below, f"profile {profile}")
    return merge(below, data)


def make_config(data: Mapping[str, Any], name: str = "config") -> Config:
    """Validate a mapping as `load_config` does."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentence(error, name, Config)) from error


def _set(data: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {setting!r}: write key=value, such as dropout.sample=0.7")
    override(data, key, read_yaml(text, f"--set {setting!r}: the value") if text else "", where=f"--set {setting!r}")
