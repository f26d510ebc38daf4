"""Several processes that train together give what one gives: losses, accuracies, weights; sharded or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from support import TTM, Outcome, environment, read_rows, train, write_rows

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples" / "accelerate"
# 51 rows, eight at a time: two epochs and a bit, each of which ends in a short batch
SETTINGS = ("train.max_steps=16", "train.logging_steps=1", "train.num_train_epochs=9", "train.held_out=0.2")
SETTINGS = (*SETTINGS, "train.eval_strategy=steps", "train.eval_steps=8", "train.per_device_eval_batch_size=4")
SETTINGS = (*SETTINGS, "train.save_steps=2")
FIGURES = ("loss", "grad_norm", "learning_rate", "num_tokens")


def _launch(launcher: list[Any], *words: object) -> Outcome:
    """Run two processes by a launcher that is a module."""
    command = [sys.executable, "-m", *map(str, launcher), *map(str, words)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=150, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def _words(marked: Path, output: Path, batch: int) -> list[object]:
    settings = (*SETTINGS, f"train.per_device_train_batch_size={batch}")
    sets = [word for setting in settings for word in ("--set", setting)]
    return ["train", marked, "--model", "scratch:tiny", "-o", output, *sets]


@pytest.fixture(scope="module")
def alone(marked: Path, folder: Path) -> Path:
    """A model trained by one process, eight rows at once."""
    output = folder / "alone"
    train(marked, output, *map(str, _words(marked, output, 8)[6:]))
    return output


def _check_same(alone: Path, together: Path) -> None:
    """Compare all that was logged, and the weights, within what rounding makes of another order of sums."""
    one, two = (json.loads((folder / "log.json").read_bytes())[:-1] for folder in (alone, together))
    assert len(one) == len(two) == 18
    for first, second in zip(one, two, strict=True):
        assert set(first) == set(second)
        # the engine's own means over batches count a batch that was filled up like any other
        means = ("_runtime", "_per_second", "eval_entropy", "eval_mean_token_accuracy")
        names = [name for name in first if not name.endswith(means)]
        assert sum(name.startswith(("accuracy.", "eval_accuracy.")) for name in names) >= 3
        assert {name: first[name] for name in names} == pytest.approx({name: second[name] for name in names}, rel=2e-4)
    weights, others = (load_file(folder / "model.safetensors") for folder in (alone, together))
    assert set(weights) == set(others)
    assert all(torch.allclose(weights[name], others[name], atol=1e-4) for name in weights)
    assert {path.name for path in alone.iterdir()} == {path.name for path in together.iterdir()}
    facts = [json.loads((folder / "markers.json").read_bytes()) for folder in (alone, together)]
    assert facts[0] == facts[1]


def test_two_processes(alone: Path, marked: Path, tmp_path: Path) -> None:
    """Two processes with half the rows each do as one, and only the first speaks."""
    done = _launch(
        ["torch.distributed.run", "--nproc-per-node", 2, "--master-port", 29521, TTM],
        *_words(marked, tmp_path / "two", 4),
    )
    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'two'}\n"
    assert done.err.count("examples; tokens without dropout") == 1
    _check_same(alone, tmp_path / "two")


def test_two_processes_that_were_killed(alone: Path, marked: Path, tmp_path: Path) -> None:
    """Killed in the second epoch and resumed, they still do as one process that nothing disturbed."""
    output = tmp_path / "killed"
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29524", str(TTM)]
    words = [sys.executable, "-m", *launcher, *map(str, _words(marked, output, 4))]
    process = subprocess.Popen(
        words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (output / "checkpoints" / "checkpoint-8" / "trainer_state.json").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = _launch(launcher, *_words(marked, output, 4), "--resume")
    assert done.code == 0, done.err
    _check_same(alone, output)


def test_two_processes_that_share_the_weights(alone: Path, marked: Path, tmp_path: Path) -> None:
    """With the FSDP config of the examples each process holds a part of the weights, and one file is written."""
    settings = yaml.safe_load((EXAMPLES / "fsdp.yaml").read_text(encoding="utf-8"))
    settings |= {"num_processes": 2, "mixed_precision": "no", "use_cpu": True, "main_process_port": 29522}
    config = tmp_path / "fsdp.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = _launch(
        ["accelerate.commands.launch", "--config_file", config, HERE.parent / "fsdp_on_cpu.py"],
        *_words(marked, tmp_path / "shared", 4),
    )
    assert done.code == 0, done.err
    _check_same(alone, tmp_path / "shared")


def test_a_bad_row_ends_all_processes(marked: Path, tmp_path: Path) -> None:
    """What the first process finds wrong is said, all end, and nothing is left behind."""
    bad = write_rows(tmp_path / "bad.jsonl", [*read_rows(marked)[:9], {"prompt": "Hi", "completion": "Hello."}])
    done = _launch(
        ["torch.distributed.run", "--nproc-per-node", 2, "--master-port", 29523, TTM],
        *_words(bad, tmp_path / "model", 4),
    )
    assert done.code != 0
    assert f"{bad}, row 10: the row has no markers: annotate the file first" in done.err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_configs_of_accelerate(path: Path) -> None:
    """The launch configs that we ship are read by accelerate without complaint."""
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(path)).num_processes == 8
