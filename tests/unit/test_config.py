"""The config: unknown keys at every level, types, overrides; every message names the place and the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.config import Config, load_config, make_config
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def _file(folder: Path, text: str) -> Path:
    path = folder / "ttm.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults() -> None:
    """Without a file the config holds the paper's settings."""
    config = load_config()
    assert config == Config()
    assert (config.template, config.train.strategy, config.markers.taxonomy) == ("paper", "sft", "paper")
    paper = {"dataset": 0.5, "sample": 0.5, "mode": "independent", "each_epoch": True, "rates": {}, "tail": 0.0}
    assert config.dropout.model_dump() == {**paper, "border": 0.05, "schedule": []}
    assert config.dropout.make(7).seed == 7


@pytest.mark.parametrize(
    ("data", "key", "hint"),
    [
        ({"sede": 1}, "sede", "did you mean 'seed'?"),
        ({"data": {"column": {}}}, "data.column", "did you mean 'data.columns'?"),
        ({"markers": {"extractor": {}}}, "markers.extractor", "did you mean 'markers.extractors'?"),
        (
            {"markers": {"declared": {"lang": {"colum": "x"}}}},
            "markers.declared.lang.colum",
            "did you mean 'markers.declared.lang.column'?",
        ),
        ({"dropout": {"datasets": 0.1}}, "dropout.datasets", "did you mean 'dropout.dataset'?"),
        ({"evaluate": {"resample": 5}}, "evaluate.resample", "did you mean 'evaluate.resamples'?"),
        ({"sample": 0.7}, "sample", "did you mean 'dropout.sample'?"),
        ({"data": {"border": 0.1}}, "data.border", "did you mean 'dropout.border' or 'evaluate.border'?"),
        ({"evaluate": {"zzz": 5}}, "evaluate.zzz", "known: border, options, resamples, tail"),
    ],
)
def test_unknown_keys(data: dict[str, Any], key: str, hint: str) -> None:
    """An unknown key is an error at every level, with the same key of another section, or the nearest of its own."""
    with pytest.raises(ConfigError) as caught:
        make_config(data, "config ttm.yaml")
    assert str(caught.value) == f"unknown key {key!r} (config ttm.yaml): {hint}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("section", ["train", "decode"])
def test_keys_of_the_engines_pass_through(section: str) -> None:
    """Keys of train and decode that are not ours are kept for TRL and transformers, untouched."""
    config = make_config({section: {"learning_rate": 0.1, "top_p": 0.9}})
    assert getattr(config, section).engine_keys == {"learning_rate": 0.1, "top_p": 0.9}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seed": "many"}, "seed: "),
        ({"seed": -1}, "seed: "),
        ({"dropout": {"sample": 1.5}}, "dropout.sample: "),
        ({"dropout": {"mode": "sometimes"}}, "dropout.mode: "),
        ({"dropout": 0.5}, "dropout: "),
        ({"markers": {"use": "lang"}}, "markers.use: "),
        ({"markers": {"extractors": {"lang": "langid"}}}, "markers.extractors.lang: "),
        ({"train": {"overlong": "shorten"}}, "train.overlong: "),
        ({"train": {"held_out": 1.5}}, "train.held_out"),
        ({"dropout": {"schedule": [0.5]}}, "dropout.schedule"),
        ({"train": {"block_weight": -1}}, "train.block_weight: "),
        ({"decode": {"batch_size": 0}}, "decode.batch_size: "),
        ({"evaluate": {"resamples": 10}}, "evaluate.resamples: "),
        ({1: 2}, "1: "),
    ],
)
def test_wrong_types(data: dict[Any, Any], message: str) -> None:
    """A value that does not fit is named by its dotted key, in one sentence."""
    with pytest.raises(ConfigError) as caught:
        make_config(data, "config ttm.yaml")
    assert str(caught.value).startswith(f"config ttm.yaml: {message}")
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize("declared", [{}, {"column": "x", "constant": 1}, {"values": {"a": "French"}}])
def test_declared_needs_one_of_two(declared: dict[str, Any]) -> None:
    """What a data set says of a marker is a column or a constant, and not both."""
    with pytest.raises(ConfigError, match=r"config: markers\.declared\.lang: give either column or constant"):
        make_config({"markers": {"declared": {"lang": declared}}})


def test_file(tmp_path: Path) -> None:
    """A file sets what it names; the rest keeps its defaults; an empty file is the default config."""
    text = "seed: 3\nmarkers:\n  use: [lang]\n  declared:\n    lang: {column: is, values: {fra: French, und: null}}\n"
    config = load_config(_file(tmp_path, text))
    assert (config.seed, config.markers.use, config.template) == (3, ["lang"], "paper")
    assert config.markers.declared["lang"].values == {"fra": "French", "und": None}
    assert load_config(_file(tmp_path, "")) == Config()
    assert load_config(_file(tmp_path, "# nothing\n")) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: [1", "is no YAML: "),
        ("a: b: c", "is no YAML: "),
        ("- 1\n- 2\n", "it must hold keys with values, such as 'seed: 1'"),
        ("seed", "it must hold keys with values"),
        ("sede: 1", "unknown key 'sede' ({path}): did you mean 'seed'?"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    """A file that is no YAML, no mapping or has a wrong key is named."""
    path = _file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert message.format(path=path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is not there or no text is named."""
    with pytest.raises(ConfigError, match=r"gone\.yaml cannot be read: No such file"):
        load_config(tmp_path / "gone.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.yaml is no YAML"):
        load_config(path)


def test_overrides_win(tmp_path: Path) -> None:
    """Overrides come after the file, the last one last, and reach every level."""
    path = _file(tmp_path, "seed: 3\ndropout: {sample: 0.1, mode: exact}\n")
    overrides = ["seed=4", "seed=5", "dropout.sample=0.7", "markers.use=[lang, task]", "train.model=scratch:tiny"]
    config = load_config(path, [*overrides, "decode.markers.lang=French", "template="])
    assert (config.seed, config.dropout.sample, config.dropout.mode) == (5, 0.7, "exact")
    assert (config.markers.use, config.train.model, config.template) == (["lang", "task"], "scratch:tiny", "")
    assert config.decode.markers == {"lang": "French"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("2.5E4", 2.5e4),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("cosine", "cosine"),
    ],
)
def test_values_of_overrides(text: str, value: object) -> None:
    """Values are YAML, and 1e-3, which YAML reads as text, is the number that everybody means."""
    found = load_config(None, [f"train.learning_rate={text}"]).train.engine_keys["learning_rate"]
    assert found == value
    assert type(found) is type(value)


def test_exponents_in_a_file(tmp_path: Path) -> None:
    """1e-3 is a number in a file too, and inside a list or section."""
    path = _file(tmp_path, "train:\n  learning_rate: 1e-3\n  optim_args: [1e-8]\n")
    config = load_config(path, ["train.lr_scheduler_kwargs={min_lr: 1e-5}"])
    assert config.train.engine_keys == {
        "learning_rate": 1e-3,
        "optim_args": [1e-8],
        "lr_scheduler_kwargs": {"min_lr": 1e-5},
    }


def test_quoted_numbers_are_text() -> None:
    """A number in quotes is meant as text, and the words nan and inf are words."""
    overrides = ["train.a='1'", 'train.b="1e-3"', "train.c=nan", "train.d=infinity"]
    assert load_config(None, overrides).train.engine_keys == {"a": "1", "b": "1e-3", "c": "nan", "d": "infinity"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "--set 'seed': write key=value, such as dropout.sample=0.7"),
        ("=5", "--set '=5': write key=value"),
        ("seed=[1", "--set 'seed=[1': the value is no YAML: "),
        ("seed=1.5", "the options: seed: "),
        ("sede=1", "unknown key 'sede' (the options): did you mean 'seed'?"),
        ("template.name=x", "template"),
    ],
)
def test_bad_overrides(override: str, message: str) -> None:
    """An override that cannot be read or does not fit is shown as it was written."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert message in str(caught.value)


def test_override_below_a_value() -> None:
    """A dotted key that leads through a value, not a section, says which part is the value."""
    with pytest.raises(ConfigError, match=r"--set 'seed\.x=1': seed holds a value, not a section"):
        load_config(None, ["seed=1", "seed.x=1"])


def test_empty_sections(tmp_path: Path) -> None:
    """A section that stands in the file without content is the default section, and can be overridden."""
    path = _file(tmp_path, "train:\nmarkers:\n")
    assert load_config(path) == Config()
    assert load_config(path, ["train.model=scratch:tiny"]).train.model == "scratch:tiny"


def test_config_can_be_stored() -> None:
    """The filled config, as run.json holds it, is read back as the same config."""
    config = load_config(None, ["train.lr=0.1", "markers.declared.lang={column: x, values: {a: French}}"])
    assert make_config(config.model_dump(mode="json")) == config
