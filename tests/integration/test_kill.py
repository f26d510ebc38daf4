"""Training that is killed and resumed ends with the weights of an undisturbed run."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

from support import TTM, environment, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 12  # three epochs of sixty rows, sixteen at a time, so that dropout is drawn anew
SETTINGS = ("--set", f"train.max_steps={STEPS}", "--set", "train.save_steps=2", "--set", "train.logging_steps=1")


def _words(marked: Path, output: Path, *more: str) -> list[object]:
    return ["train", marked, "--model", "scratch:tiny", "-o", output, *SETTINGS, *more]


def test_killed_and_resumed(marked: Path, tmp_path: Path) -> None:
    """``kill -9`` after some checkpoint and ``--resume`` give the same bytes of weights."""
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
    done = ttm_process(*_words(marked, output, "--resume"))
    assert done.code == 0, done.err
    whole, resumed = (folder / "model.safetensors" for folder in (tmp_path / "whole", output))
    assert whole.read_bytes() == resumed.read_bytes()
