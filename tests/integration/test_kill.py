"""Training that is killed and resumed ends with the weights of an undisturbed run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from support import TTM, environment, ttm, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 12  # three epochs of sixty rows, sixteen at a time, so that dropout is drawn anew
SETTINGS = (
    f"train.max_steps={STEPS}",
    "train.save_steps=2",
    "train.logging_steps=1",
    "train.lr_scheduler_type=constant",  # a step too many would show: one that falls to nothing would hide it
)


def _words(marked: Path, output: Path, *more: str) -> list[object]:
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return ["train", marked, "--model", "scratch:tiny", "-o", output, *settings, *more]


def test_killed_and_resumed(marked: Path, tmp_path: Path) -> None:
    """``kill -9`` after some checkpoint and ``--resume`` give the same files, log and bytes of weights."""
    done = ttm_process(*_words(marked, tmp_path / "whole"))
    assert done.code == 0, done.err
    output = tmp_path / "killed"
    words = [TTM, *map(str, _words(marked, output))]
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not list((output / "checkpoints").glob("checkpoint-*/trainer_state.json")):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (output / "markers.json").exists()
    refused = ttm(*_words(marked, output))
    assert refused.code == 2
    assert f"{output} exists already" in refused.err
    # a checkpoint that was being written when the machine went down: newer than any whole one, and not to be used
    (output / "checkpoints" / f"checkpoint-{STEPS - 1}").mkdir()
    done = ttm_process(*_words(marked, output, "--resume"))
    assert done.code == 0, done.err
    whole = tmp_path / "whole"
    assert {path.name for path in output.iterdir()} == {path.name for path in whole.iterdir()}
    steps = [entry["step"] for entry in json.loads((output / "log.json").read_bytes()) if "loss" in entry]
    assert steps == list(range(1, STEPS + 1))
    assert (output / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
