"""Annotation against data-juicer: all markers that need no model call, against three counting filters.

Prints seconds and ratios of one run on one machine:

    python benchmarks/annotation.py DATA.jsonl --dj PATH/TO/dj-process [--text-key response] [--profile dolly]

``dj-process`` (py-data-juicer) is installed in an environment of its own. Without ``--dj`` only our own figures are
printed. ``--large N`` also annotates the file repeated until it has N rows, by two workers and by one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DJ_CONFIG = """
dataset_path: {source}
export_path: {folder}/dj-out/out.jsonl
np: 2
text_keys: {key}
process:
  - text_length_filter: {{min_len: 0, max_len: 100000000}}
  - words_num_filter: {{lang: en, tokenization: false, min_num: 0, max_num: 10000000}}
  - average_line_length_filter: {{min_len: 0, max_len: 100000000}}
"""


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; return its wall time in seconds and the largest process's peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{command[0]} failed:\n{errors.decode()[-2000:]}")
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def annotate(source: Path, folder: Path, workers: int, profile: str | None) -> tuple[float, float]:
    """Annotate a file with all markers, in a process of its own so that its memory is its own."""
    output = folder / f"out-{workers}-{time.monotonic_ns()}.jsonl"
    command = [
        sys.executable,
        "-c",
        "from ttmarkers.cli import main; main()",
        "annotate",
        str(source),
        "-o",
        str(output),
    ]
    command += [
        "--workers",
        str(workers),
        "--quarantine",
        f"{output}.bad",
        *(["--profile", profile] if profile else []),
    ]
    script = f"import sys; sys.argv = {[__file__, '--one', json.dumps(command)]!r}; exec(open({__file__!r}).read())"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    output.unlink()
    seconds, memory = json.loads(answer)
    return seconds, memory


def repeat(source: Path, target: Path, rows: int) -> None:
    """Write a file's rows again and again, each with an id of its own."""
    lines = source.read_bytes().splitlines()
    with target.open("wb") as stream:
        for number in range(rows):
            row = json.loads(lines[number % len(lines)])
            stream.write(json.dumps({**row, "id": f"r{number}"}).encode() + b"\n")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--dj", help="path of dj-process")
    parser.add_argument("--text-key", default="response")
    parser.add_argument("--profile")
    parser.add_argument("--large", type=int)
    options = parser.parse_args()
    rows = sum(1 for _ in options.source.open("rb"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, memory_one = annotate(options.source, folder, 1, options.profile)
        two, memory = annotate(options.source, folder, 2, options.profile)
        print(f"{rows} rows; all markers, 1 worker: {one:.1f} s, peak {memory_one:.0f} MB")
        print(
            f"2 workers: {two:.1f} s, peak {memory:.0f} MB in one process; 1 worker takes {one / two:.2f} times as long"
        )
        if options.dj:
            config = folder / "dj.yaml"
            config.write_text(DJ_CONFIG.format(source=options.source.resolve(), folder=folder, key=options.text_key))
            os.environ["HF_HUB_OFFLINE"], os.environ["HF_HOME"] = "1", str(folder / "hf")
            juicer, _ = timed([options.dj, "--config", str(config)])
            print(f"dj-process, three filters, np 2: {juicer:.1f} s; ours takes {two / juicer:.2f} of its time")
        if options.large:
            large = folder / "large.jsonl"
            repeat(options.source, large, options.large)
            two, memory_large = annotate(large, folder, 2, options.profile)
            growth = memory_large / memory
            print(f"{options.large} rows, 2 workers: {two:.0f} s, peak {memory_large:.0f} MB ({growth:.2f} times)")
            one, _ = annotate(large, folder, 1, options.profile)
            print(f"1 worker: {one:.0f} s, {one / two:.2f} times as long")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--one":
        print(json.dumps(timed(json.loads(sys.argv[2]))))
    else:
        main()
