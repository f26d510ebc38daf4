"""How long scoring stored answers takes, from the command's start to its figures.

    python benchmarks/scoring.py [--answers 10000]

Synthetic answers are written to a file, and `ttm evaluate --generations` scores them on tasks length and language,
bootstrap and slices included. Seconds, and what they are to a plain pass over the same words with `str.split`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ttmarkers.synthetic import corpus
from ttmarkers.synthetic.words import vocabulary


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        for task, rows in (("length", lengths(arguments.answers)), ("language", languages(arguments.answers))):
            path = Path(name) / f"{task}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            words = [sys.executable, "-c", "from ttmarkers.cli import main; main()", "evaluate", "--task", task]
            start = time.perf_counter()
            done = subprocess.run(
                [*words, "--data", path, "--generations", path, "--json"], check=True, capture_output=True
            )
            seconds = time.perf_counter() - start
            found = json.loads(done.stdout)
            plain = split(rows)
            print(f"{task}: {found['n']} answers in {seconds:.1f} s, {seconds / plain:.0f} times a str.split of all")


def lengths(many: int) -> list[dict[str, object]]:
    """Return answers of 20 to 200 words with limits."""
    rows = corpus.training_rows(many, 0)
    texts = [" ".join([str(row["completion"])] * (1 + place % 4)) for place, row in enumerate(rows)]
    return [
        {
            "id": f"a{place}",
            "instruction": f"Use {20 + place % 90} words or less. {row['prompt']}",
            "original_instruction": row["prompt"],
            "max_len": 20 + place % 90,
            "text": text,
        }
        for place, (row, text) in enumerate(zip(rows, texts, strict=True))
    ]


def languages(many: int) -> list[dict[str, object]]:
    """Return answers of several lines in seven languages."""
    rows = corpus.training_rows(many, 1)
    return [
        {
            "id": f"a{place}",
            "prompt": row["prompt"],
            "target_lang": vocabulary()[str(row["language"])].iso,
            "setting": "monolingual",
            "source": f"part {place % 3}",
            "text": "\n\n".join([str(row["completion"])] * (1 + place % 4)),
        }
        for place, row in enumerate(rows)
    ]


def split(rows: list[dict[str, object]]) -> float:
    """Return the seconds that a plain pass over all words takes."""
    start = time.perf_counter()
    for row in rows:
        str(row["text"]).split()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
