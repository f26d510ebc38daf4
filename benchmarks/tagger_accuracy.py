"""How right the local taggers are on labelled prompts: domain of exam questions, task of instructions.

    python benchmarks/tagger_accuracy.py FOLDER [--dolly dolly_15k.jsonl] [--encoder NAME]

FOLDER holds ``domain_mcq.jsonl`` (``prompt``, ``label``) and ``task.jsonl`` (also ``completion`` and ``group``).
``embedding`` sees no labels and is measured on all rows. ``distilled`` is trained on half of the rows, split by prompt
for domain and by ``group`` for task, so that no instruction is on both sides, and measured on the other half. With
``--dolly`` its rows, their categories mapped to tasks, are trained on too, but for instructions of the held-out half.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
TTM = [sys.executable, "-c", "from ttmarkers.cli import main; main()"]
FILES = {"domain": ("domain_mcq.jsonl", "prompt"), "task": ("task.jsonl", "group")}


def ttm(*words: object) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run([*TTM, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return done.stdout


def write(path: Path, rows: list[dict[str, Any]], marker: str | None = None) -> Path:
    """Write rows, with the marker if it is named."""
    lines = []
    for row in rows:
        line = {"id": row["id"], "prompt": row["prompt"], "completion": row.get("completion") or "-"}
        if marker:
            line |= {"markers": {marker: row["label"]}, "markers_meta": {}}
        lines.append(json.dumps(line) + "\n")
    path.write_text("".join(lines))
    return path


def check(folder: Path, name: str, marker: str, rows: list[dict[str, Any]], *options: str) -> None:
    """Tag rows by an extractor, compare with their labels, print a line."""
    stem = folder / f"{marker}-{name}"
    plain, gold = write(Path(f"{stem}.plain.jsonl"), rows), write(Path(f"{stem}.gold.jsonl"), rows, marker)
    said = Path(f"{stem}.said.jsonl")
    chain = f"markers.extractors={{{marker}: [{name.partition('-')[0]}]}}"
    ttm("annotate", plain, "-o", said, "--markers", marker, "--set", chain, *options)
    entry = json.loads(ttm("tagger", "check", said, "--gold", gold, "--json"))["markers"][marker]
    majority = max(Counter(row["label"] for row in rows).values()) / len(rows)
    figures = [
        f"{100 * m['value']:5.1f} [{100 * m['low']:4.1f}, {100 * m['high']:4.1f}]"
        for m in (entry["metrics"][key] for key in ("accuracy", "macro_f1", "calibration_error"))
    ]
    print(f"{marker:7} {name:20} {entry['n']:4}  {100 * majority:5.1f}    {'  '.join(figures)}", flush=True)


def upper_half(text: str) -> bool:
    """Put a text on one of two sides, always the same."""
    return bool(hashlib.sha256(text.encode()).digest()[0] % 2)


def dolly(path: Path, target: Path, held_out: set[str]) -> Path:
    """Write the rows of dolly with their category as task, without instructions of the held-out half."""
    kept = target.with_suffix(".kept.jsonl")
    lines = [line for line in path.read_text().splitlines() if json.loads(line)["instruction"].strip() not in held_out]
    kept.write_text("\n".join(lines))
    bad = target.with_suffix(".bad.jsonl")
    ttm("annotate", kept, "-o", target, "--profile", "dolly", "--markers", "task", "--quarantine", bad)
    return target


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dolly", type=Path)
    parser.add_argument("--encoder", default=ENCODER)
    options = parser.parse_args()
    print("marker  tagger                  n  majority  accuracy            macro F1            calibration error")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for marker, (file, group) in FILES.items():
            rows = [json.loads(line) for line in (options.folder / file).read_text().splitlines()]
            rows = [{**row, "id": f"{marker}{number}"} for number, row in enumerate(rows)]
            encoder = f"markers.options.embedding={{model: {options.encoder}}}"
            check(folder, "embedding", marker, rows, "--set", encoder)
            held_out = [row for row in rows if upper_half(row[group])]
            train = [row for row in rows if not upper_half(row[group])]
            sources = [write(folder / f"{marker}.train.jsonl", train, marker)]
            if marker == "task" and options.dolly:
                groups = {row["group"].removeprefix("dolly:").strip() for row in held_out}
                sources.append(dolly(options.dolly, folder / "dolly.jsonl", groups))
            for tagger, more in (("distilled", ()), ("distilled-encoder", ("--encoder", options.encoder))):
                if marker == "task" and more:
                    continue
                place = folder / f"{marker}-{tagger}"
                ttm("tagger", "train", *sources, "-o", place, "--markers", marker, *more)
                check(folder, tagger, marker, held_out, "--set", f"markers.options.distilled.tagger={place}")


if __name__ == "__main__":
    main()
