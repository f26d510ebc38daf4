"""The paper's dropout table in miniature: which markers models write when none is given, by how they were trained.

    python benchmarks/dropout.py MARKED... [--model scratch:small] [--rows 20000] [--held-out 600] [--out FOLDER]

MARKED are annotated files. Their rows are pooled and put in an order that depends on their ids alone; the last ones are
held out, but for those of more than 2,000 characters, which small models cannot read. One model is trained for each
setting, on the same rows in the same order. The held-out prompts are then asked without any marker, greedily: *held*
with the written block held to its grammar, as ``ttm generate`` does, and *free*, where a model that writes no block
gets none. A marker counts only on rows that have it. A finished model is kept, so that the command can be repeated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TTM = [sys.executable, "-c", "from ttmarkers.cli import main; main()"]
MARKERS = ("lang", "task", "format", "length_bucket")
LONGEST = 2_000
SETTINGS = {
    "0_50": ("dropout.dataset=0",),
    "0_50 exact": ("dropout.dataset=0", "dropout.mode=exact"),
    "50_50": (),
    "70_50": ("dropout.dataset=0.7",),
}


def pooled(files: list[str], rows: int, held_out: int, folder: Path) -> tuple[Path, Path]:
    """Write the rows to train on and the rows to ask, and return the two files."""
    lines = [line for name in files for line in Path(name).read_bytes().splitlines()]
    lines.sort(key=lambda line: hashlib.sha256(json.loads(line)["id"].encode()).digest())
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    train.write_bytes(b"\n".join(lines[:-held_out][:rows]) + b"\n")
    test.write_bytes(b"\n".join(line for line in lines[-held_out:] if len(line.decode()) <= LONGEST) + b"\n")
    return train, test


def trained(name: str, settings: tuple[str, ...], train: Path, folder: Path, more: list[str], model: str) -> Path:
    """Train a model, or find it; return its folder."""
    output = folder / name.replace(" ", "_")
    if (output / "markers.json").exists():
        return output
    words = ["train", str(train), "--model", model, "-o", str(output)]
    words += [word for setting in (*settings, *more) for word in ("--set", setting)]
    words += ["--resume"] if output.exists() else []
    start = time.monotonic()
    with (folder / f"{output.name}.log").open("w") as log:
        subprocess.run([*TTM, *words], check=True, stdout=log, stderr=log)
    print(f"# {name}: trained in {(time.monotonic() - start) / 60:.1f} min", file=sys.stderr, flush=True)
    return output


def asked(model: Path, test: Path) -> tuple[dict[str, str], float]:
    """Ask the held-out prompts; return the figures by marker and way, and the share of free answers with a block."""
    from ttmarkers.config import make_config
    from ttmarkers.decoding import load_engine, run_policy
    from ttmarkers.evaluation import load_task
    from ttmarkers.plugins import create_plugins
    from ttmarkers.statistics import mean

    config = make_config({"decode": {"max_new_tokens": 160, "batch_size": 64}}, "benchmark")
    plugins = create_plugins(third_party=False)
    task = load_task("prediction", plugins.tasks(), config)
    cases = task.cases(json.loads(line) for line in test.read_bytes().splitlines())
    engine = load_engine(str(model), config.decode)
    requests = [task.request(case, "inferred") for case in cases]
    held = [item.markers for item in run_policy("inferred", plugins.policies(), engine, requests)]
    free = [engine.template.split(item.text) for item in engine.complete([request.prompt for request in requests])]
    figures = {}
    for way, written in (("held", held), ("free", [split.markers for split in free])):
        for marker in MARKERS:
            pairs = [(case.markers[marker], said) for case, said in zip(cases, written, strict=True)
                     if marker in case.markers]  # fmt: skip
            figures[f"{way} {marker}"] = mean([float(said.get(marker) == true) for true, said in pairs]).text()
    return figures, sum(bool(split.block) for split in free) / len(free)


def majorities(test: Path) -> str:
    """Return, by marker, how many held-out rows have it and the share of its most frequent value."""
    rows: list[dict[str, Any]] = [json.loads(line)["markers"] for line in test.read_bytes().splitlines()]
    said = []
    for marker in MARKERS:
        counts = Counter(row[marker] for row in rows if marker in row)
        said.append(f"{marker} n = {counts.total()}, majority {max(counts.values()) / counts.total():.1%}")
    return "; ".join(said)


def main() -> None:
    """Train the models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("marked", nargs="+")
    parser.add_argument("--model", default="scratch:small")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--held-out", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("dropout"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for ttm train")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    options.out.mkdir(parents=True, exist_ok=True)
    train, test = pooled(options.marked, options.rows, options.held_out, options.out)
    print(majorities(test))
    print("| dropout | block | " + " | ".join(MARKERS) + " |\n|---|---|" + "---|" * len(MARKERS), flush=True)
    for name, settings in SETTINGS.items():
        figures, blocks = asked(trained(name, settings, train, options.out, options.set, options.model), test)
        for way, said in (("held", "held to its grammar"), ("free", f"free, {blocks:.1%} wrote one")):
            cells = " | ".join(figures[f"{way} {marker}"] for marker in MARKERS)
            print(f"| {name} | {said} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
