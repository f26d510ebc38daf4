"""Strategies beside the paper's: markers in the prompt alone, and an adapter; the card that each model carries."""

from __future__ import annotations

import json
import shlex
import struct
from typing import TYPE_CHECKING

import pytest

from support import TRAIN, train, ttm, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ("--set", "decode.max_new_tokens=12", "--json")


@pytest.fixture(scope="module")
def prompt_only(folder: Path, marked: Path) -> Path:
    """A model trained with markers in prompts alone."""
    return train(marked, folder / "prompt-only", "--strategy", "prompt-only")


@pytest.fixture(scope="module")
def lora(folder: Path, marked: Path, sft: Path) -> Path:
    """An adapter on the model that was trained with markers."""
    pytest.importorskip("peft")
    output = folder / "lora"
    done = ttm(
        "train", marked, "--model", sft, "-o", output, "--strategy", "lora", "--set", "train.lora={r: 2}", *TRAIN
    )
    assert done.code == 0, done.err
    return output


def test_prompt_only_learns_no_block(prompt_only: Path) -> None:
    """No loss of a block is logged, and the checkpoint says that the model writes none."""
    log = json.loads((prompt_only / "log.json").read_text(encoding="utf-8"))
    steps = [entry for entry in log if "loss" in entry]
    assert steps
    assert all("answer_loss" in entry and "block_loss" not in entry for entry in steps)
    markers = json.loads((prompt_only / "markers.json").read_text(encoding="utf-8"))
    assert (markers["marked"], markers["writes"], markers["strategy"]) == (True, False, "prompt-only")


def test_asking_a_model_that_writes_no_block(prompt_only: Path) -> None:
    """Given markers go into the prompt and nothing is cut off the answer; inferring them is refused."""
    fixed = json.loads(ttm("generate", prompt_only, "Hello", "-m", "lang=English", *SHORT).out)
    assert fixed["policy"] == "fixed"
    assert fixed["text"] == fixed["raw"]
    assert fixed["markers"] == {"lang": "English"}
    assert fixed["stats"]["block_tokens"] == 0
    assert json.loads(ttm("generate", prompt_only, "Hello", *SHORT).out)["policy"] == "none"
    refused = ttm("generate", prompt_only, "Hello", "--policy", "inferred")
    assert (refused.code, refused.err) == (
        2,
        "ttm: the model reads markers and writes none: ask with -m, or use policy none\n",
    )


def test_adapter(lora: Path, sft: Path) -> None:
    """An adapter is saved and not the model; it carries its markers, and is used like a model."""
    assert (lora / "adapter_model.safetensors").exists()
    assert not (lora / "model.safetensors").exists()
    assert json.loads((lora / "adapter_config.json").read_text(encoding="utf-8"))["r"] == 2
    assert json.loads((lora / "markers.json").read_text(encoding="utf-8"))["strategy"] == "lora"
    words = ("-m", "lang=English", "--set", "decode.max_new_tokens=300", "--json")
    answer = json.loads(ttm("generate", lora, "Hello", *words).out)
    assert answer["markers"]["lang"] == "English"
    assert "base_model: " + str(sft) in (lora / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--strategy", "lora"),
            "strategy lora adapts a model that has learned something: name one with --model",
        ),
        (
            ("--set", "train.lora={r: 2}"),
            "train.lora is for the strategy lora: set train.strategy, or leave it out",
        ),
    ],
)
def test_adapters_that_cannot_be(marked: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    """What does not go together is refused in one sentence."""
    done = ttm("train", marked, "--model", "scratch:tiny", "-o", tmp_path / "out", *words, *TRAIN)
    assert (done.code, done.err.splitlines()[-1]) == (2, f"ttm: {message}")
    assert not (tmp_path / "out").exists()


def test_misspelt_key_of_an_adapter(marked: Path, sft: Path, tmp_path: Path) -> None:
    """A key that PEFT does not know is named, with a hint."""
    pytest.importorskip("peft")
    words = ("--strategy", "lora", "--set", "train.lora={lora_alhpa: 2}")
    done = ttm("train", marked, "--model", sft, "-o", tmp_path / "out", *words, *TRAIN)
    assert done.code == 2
    assert done.err.endswith("train.lora.lora_alhpa is no key of PEFT's LoraConfig: did you mean 'lora_alpha'?\n")


def test_card(sft: Path, baseline: Path) -> None:
    """The card names the markers with their counts and the losses, and shows the plot."""
    card = (sft / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| `lang` | categorical | 60 | " in card
    assert "| block_loss | " in card
    assert "![losses](losses.png)" in card
    assert (sft / "losses.png").read_bytes().startswith(b"\x89PNG")
    plain = (baseline / "README.md").read_text(encoding="utf-8")
    assert "# A model trained with no markers" in plain
    assert "## Markers" not in plain


def test_command_on_the_card(marked: Path, tmp_path: Path) -> None:
    """The card says which command trained the model, word for word, so that it can be pasted."""
    output = tmp_path / "a model"  # the shell needs it quoted
    words = ["train", marked, "--model", "scratch:tiny", "-o", output, "--set", "train.max_steps=1"]
    done = ttm_process(*words)
    assert done.code == 0, done.err
    lines = (output / "README.md").read_text(encoding="utf-8").splitlines()
    (command,) = [line for line in lines if line.startswith("$ ttm train ")]
    assert shlex.split(command) == ["$", "ttm", *map(str, words)]


def test_trackers(marked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged goes to a tracker as well, under the names of the log; standard output holds the folder alone."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    train(marked, tmp_path / "model", "--set", "train.report_to=tensorboard")
    (path,) = (tmp_path / "events").rglob("*tfevents*")
    data, place, tags = path.read_bytes(), 0, set()
    while place < len(data):  # length, checksum, event, checksum
        (size,) = struct.unpack("<Q", data[place : place + 8])
        event = event_pb2.Event()
        event.ParseFromString(data[place + 12 : place + 12 + size])
        tags |= {value.tag for value in event.summary.value}
        place += size + 16
    assert {"train/block_loss", "train/answer_loss", "train/loss.lang", "train/accuracy.lang"} <= tags
