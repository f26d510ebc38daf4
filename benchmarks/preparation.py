"""What preparing rows costs against tokenising them alone, and how much memory it takes.

    python benchmarks/preparation.py MARKED... [--rows 50000] [--tokenizer FOLDER] [--memory 50000 500000]

Preparing is what ``ttm train`` does to every row before it begins: render with all markers, encode, check that the
prompt's tokens are a prefix, measure. Tokenising alone is the tokenizer's own call on the same rendered texts, in the
same batches. Both are run in turn, and the ratio of each turn is taken. Without ``--tokenizer`` one of 6,000 tokens is
fitted on the rows. ``--memory`` prepares so many rows (the files' rows again and again) in a process of its own each,
and prints its peak.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TURNS = 5
LONGEST = 1_000_000


def job_of(files: list[str], folder: Path, model: str) -> Any:
    """Return a training job on files."""
    from ttmarkers.config import make_config
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.training.job import TrainingJob

    config = make_config({"train": {"model": model}}, "benchmark")
    return TrainingJob(tuple(files), model, folder, config, create_plugins(third_party=False))


def compare(files: list[str], rows: int, tokenizer_name: str | None, folder: Path) -> None:
    """Print the ratios."""
    from ttmarkers.blocks.rendering import Renderer
    from ttmarkers.blocks.template import load_template
    from ttmarkers.marked import RowWriter, read_marked, read_packed
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.models.loading import load_tokenizer, make_tokenizer
    from ttmarkers.taxonomies.taxonomy import make_taxonomy
    from ttmarkers.training.row_checker import BATCH, RowChecker

    job = job_of(files, folder, "scratch:small")
    full = make_taxonomy(job.plugins.marker_types().all())
    template = load_template(job.plugins.templates().get("paper"), full)
    examples = list(itertools.islice(read_marked(files, full), rows))
    with RowWriter(folder / "rows.arrow") as writer:
        for example in examples:
            writer.write(example)
    renderer = Renderer(template, None)
    pairs = [renderer.render(example) for example in examples]
    prompts = ["".join(turn.content + "\n" for turn in pair.prompt) for pair in pairs]
    texts = [prompt + pair.completion for prompt, pair in zip(prompts, pairs, strict=True)]
    tokenizer = load_tokenizer(tokenizer_name) if tokenizer_name else make_tokenizer(texts[:20_000], 6000)
    encoder = Encoder(tokenizer)
    texts = [encoder.prompt_text(pair.prompt) + pair.completion for pair in pairs]
    turns = []
    for _ in range(TURNS):
        start = time.perf_counter()
        for first in range(0, len(texts), BATCH):
            tokenizer(texts[first : first + BATCH], add_special_tokens=False)
        alone = time.perf_counter() - start
        start = time.perf_counter()
        kept = RowChecker(job, full, template, tokenizer, LONGEST).check(folder / "rows.arrow", 0.0)[0]
        whole = time.perf_counter() - start
        start = time.perf_counter()
        read = sum(1 for _ in read_packed(folder / "rows.arrow"))
        reading = time.perf_counter() - start
        turns.append((alone, whole, reading))
        print(f"tokenising {alone:6.2f} s   preparing {whole:6.2f} s   ratio {whole / alone:.2f}", flush=True)
        if read != len(kept):
            sys.exit("rows were lost")
    ratios = [whole / alone for alone, whole, _ in turns]
    print(
        f"{len(texts)} rows, {sum(map(len, texts)) / 1e6:.1f} million characters: preparing takes "
        f"{statistics.median(ratios):.2f} times tokenising ({min(ratios):.2f} to {max(ratios):.2f}, n = {TURNS}); "
        f"reading the rows from disk is {statistics.median(turn[2] for turn in turns):.2f} s of it"
    )


def peak(files: list[str], rows: int, folder: Path) -> None:
    """Prepare so many rows and print the peak memory of this process."""
    from ttmarkers.training.preparation import prepare

    target = folder / "rows.jsonl"
    with target.open("wb") as stream:
        lines = (line for name in itertools.cycle(files) for line in Path(name).read_bytes().splitlines(keepends=True))
        for line in itertools.islice(lines, rows):
            stream.write(line)
    prepared = prepare(job_of([str(target)], folder / "model", "scratch:small"), 1024)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "kept": len(prepared.rows), "MB": round(used)}))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("marked", nargs="+")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--tokenizer")
    parser.add_argument("--memory", type=int, nargs="*", default=())
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    with tempfile.TemporaryDirectory() as name:
        if options.peak:
            peak(options.marked, options.peak, Path(name))
            return
        if not options.memory:
            compare(options.marked, options.rows, options.tokenizer, Path(name))
        for rows in options.memory:
            subprocess.run([sys.executable, __file__, *options.marked, "--peak", str(rows)], check=True)


if __name__ == "__main__":
    main()
