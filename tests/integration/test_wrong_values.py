"""Values that fit no key of training: one sentence before any row is read, and no folder is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import TRAIN, ttm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.max_length=abc", "train.max_length = 'abc': it takes a number"),
        ("train.learning_rate=fast", "train.learning_rate = 'fast': it takes a number"),
        ("train.per_device_train_batch_size=0", "train.per_device_train_batch_size = 0: it is at least 1"),
        ("train.gradient_accumulation_steps=0", "train.gradient_accumulation_steps = 0: it is at least 1"),
        ("train.packing=maybe", "train.packing = 'maybe': it takes true or false"),
        ("train.max_steps=0", "train.max_steps is at least 1"),
        ("train.dataloader_num_workers=-1", "no worker is less than 0"),
        ("train.model_init_kwargs=3", "train.model_init_kwargs holds keys with values"),
        ("train.report_to=comet_ml", "train: TRL does not take these keys: "),
        ("train.cooldown=0.5", "train.cooldown is for the strategy cooldown: set train.strategy, or leave it out"),
        ("train.chat_template_path=x", "train.chat_template_path is not supported: leave it out"),
        ("train.push_to_hub=true", "train.push_to_hub is not supported: leave it out"),
        ("train.data_seed=3", "train.data_seed is set by ttmarkers: leave it out"),
        ("dropout.rates={langg: 0.9}", "unknown marker 'langg' (dropout.rates): did you mean 'lang'?"),
        ("train.model=/no/such/folder", "model '/no/such/folder': there is no such folder"),
    ],
)
def test_wrong_values(marked: Path, tmp_path: Path, setting: str, message: str) -> None:
    """What is wrong is said by its key, and how to mend it."""
    output = tmp_path / "model"
    done = ttm("train", marked, "-o", output, *TRAIN, "--set", "train.model=scratch:tiny", "--set", setting)
    assert (done.code, done.out, output.exists()) == (2, "", False)
    assert message in done.err
    assert "Traceback" not in done.err


def test_adapter_as_a_base(sft: Path, marked: Path, tmp_path: Path) -> None:
    """An adapter is not trained further as if it were a model."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{sft}"}}', encoding="utf-8")
    done = ttm("train", marked, "--model", adapter, "-o", tmp_path / "model", *TRAIN)
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert "is an adapter: train its base, or merge them first" in done.err


def test_repository_that_cannot_be(marked: Path, tmp_path: Path) -> None:
    """A name that the Hub would refuse is told before anything is trained."""
    done = ttm("train", marked, "--model", "scratch:tiny", "-o", tmp_path / "model", *TRAIN, "--push-to", "bad name!")
    assert (done.code, (tmp_path / "model").exists()) == (2, False)
    assert "--push-to 'bad name!': write OWNER/NAME" in done.err
