"""Tokens per second of ``ttm train`` against TRL's own `SFTTrainer` on the same rows, rendered and encoded beforehand.

    python benchmarks/training.py MARKED... [--model scratch:small] [--steps 40] [--turns 3] [--packing]

Both sides train a new model of the same weights on the same rows in the same order, by the same settings, each in a
process of its own, in turn; so their losses must agree. ``ttm`` renders rows with dropout, encodes and checks them
while it trains; TRL reads token ids and labels from disk. What is compared is tokens (padding not counted) per second
of training, without start and preparation. ``--packing`` packs on both sides, TRL with its own best-fit packing, which
wants FlashAttention to keep examples apart, so it is for the speed alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TTM = [sys.executable, "-c", "from ttmarkers.cli import main; main()"]
BATCH, LENGTH = 16, 320


def settings(steps: int) -> dict[str, Any]:
    """Return the settings of both sides."""
    return {
        "max_steps": steps, "per_device_train_batch_size": BATCH, "learning_rate": 1e-3, "max_length": LENGTH,
        "logging_steps": steps, "save_strategy": "no", "gradient_checkpointing": False, "weight_decay": 0.01,
        "train_sampling_strategy": "sequential", "use_cpu": True, "num_train_epochs": 1, "warmup_steps": 5,
        "lr_scheduler_type": "cosine", "adam_beta2": 0.98, "seed": 0, "bf16": False,
    }  # fmt: skip


def ours(files: list[str], model: str, steps: int, folder: Path, packing: bool) -> dict[str, float]:
    """Train by the command line; return its log's figures."""
    words = ["train", *files, "--model", model, "-o", str(folder)]
    given = {**settings(steps), "packing": packing}
    words += [word for key, value in given.items() for word in ("--set", f"train.{key}={json.dumps(value)}")]
    subprocess.run([*TTM, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return figures(json.loads((folder / "log.json").read_bytes()))


def figures(log: list[dict[str, Any]]) -> dict[str, float]:
    """Return seconds, tokens and loss of a log."""
    tokens = max(entry.get("num_tokens", 0) for entry in log)
    seconds = log[-1]["train_runtime"]
    return {"seconds": seconds, "tokens": tokens, "speed": tokens / seconds, "loss": log[0]["loss"]}


def theirs(marked: Path, work: Path, steps: int, packing: bool, keep: bool) -> None:
    """Train as a script of TRL's would, on rows encoded beforehand; print the figures.

    ``ttm train`` lets glibc keep the memory that a step frees, which a script could do as well: ``keep`` does it here.
    """
    import datasets
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from ttmarkers_plugins.strategies.sft import keep_freed_memory

    if keep:
        keep_freed_memory()
    rows = datasets.load_from_disk(str(marked))
    arguments = SFTConfig(
        str(work), report_to="none", disable_tqdm=True, packing=packing, dataloader_pin_memory=False, **settings(steps)
    )
    model = AutoModelForCausalLM.from_pretrained(work / "model")
    tokenizer = AutoTokenizer.from_pretrained(work / "model")
    trainer = SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    print("figures", json.dumps(figures(trainer.state.log_history)))


def encode(files: list[str], model: str, work: Path) -> Path:
    """Render and encode the rows of the first epoch, make the model, and write both; return the rows' folder."""
    import datasets

    from ttmarkers.blocks.rendering import Renderer
    from ttmarkers.config import make_config
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.models.loading import make_model, scratch_size
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.training.job import TrainingJob
    from ttmarkers.training.preparation import prepare
    from ttmarkers_plugins.strategies.rows import MarkedRows

    config = make_config({"train": {"model": model}}, "benchmark")
    job = TrainingJob(tuple(files), model, work / "job", config, create_plugins(third_party=False))
    prepared = prepare(job, LENGTH)
    tokenizer = prepared.load_tokenizer()
    rows = MarkedRows(prepared.rows, Renderer(prepared.template, prepared.dropout(job)), Encoder(tokenizer))
    units = list(rows)
    labels = [
        [token if part else -100 for token, part in zip(unit["input_ids"], unit["parts"], strict=True)]
        for unit in units
    ]
    data = datasets.Dataset.from_dict({"input_ids": [unit["input_ids"] for unit in units], "labels": labels})
    data.save_to_disk(work / "rows")
    make_model(scratch_size(model), tokenizer, 0).save_pretrained(work / "model")
    tokenizer.save_pretrained(work / "model")
    return work / "rows"


def main() -> None:
    """Measure in turn, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("marked", nargs="+")
    parser.add_argument("--model", default="scratch:small")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--packing", action="store_true")
    parser.add_argument("--theirs", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if options.theirs:
        theirs(Path(options.marked[0]), options.theirs, options.steps, options.packing, options.keep)
        return
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        rows = encode(options.marked, options.model, work)
        command = [sys.executable, __file__, str(rows), "--theirs", str(work), "--steps", str(options.steps)]
        command += ["--packing"] if options.packing else []
        ratios: dict[str, list[float]] = {}
        for turn in range(options.turns):
            mine = ours(options.marked, options.model, options.steps, work / f"ours-{turn}", options.packing)
            print(f"ttm {mine['speed']:.0f} tokens/s (loss {mine['loss']:.3f})", flush=True)
            for name, more in (("TRL", []), ("TRL that keeps freed memory", ["--keep"])):
                said = subprocess.run([*command, *more], check=True, capture_output=True, text=True).stdout
                other = json.loads(next(line for line in said.splitlines() if line.startswith("figures"))[8:])
                ratios.setdefault(name, []).append(mine["speed"] / other["speed"])
                print(f"  {name} {other['speed']:.0f} tokens/s (loss {other['loss']:.3f})   "
                      f"ratio {ratios[name][-1]:.3f}", flush=True)  # fmt: skip
    for name, found in ratios.items():
        middle = statistics.median(found)
        print(f"ttm against {name}: {middle:.3f} ({min(found):.3f} to {max(found):.3f}, n = {len(found)})")


if __name__ == "__main__":
    main()
