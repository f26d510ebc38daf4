"""What a block costs: passes, time to the first token of the answer, the answer's speed, batches.

    python benchmarks/decoding.py MARKED.jsonl                  a scratch:small trained for a minute
    python benchmarks/decoding.py MARKED.jsonl --model FOLDER   any causal model, as it is

Each row is given all 13 markers, and every block must hold all 13. Those that it lacks are drawn at random, quartiles
alike often, other categories by Zipf's law. Against it stands transformers' ``generate`` on the same prompts, which
writes as many tokens one by one, held to nothing. All figures are ratios within one run, taken in turns; the median and
the range are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="annotated rows")
    parser.add_argument("--model", type=Path, help="a model's folder; by default a new scratch:small")
    parser.add_argument("--steps", type=int, default=150, help="of training, for the new model")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64, help="of an answer")
    parser.add_argument("--given", action="store_true", help="numbers are asked for, as the rows have them")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        filled = fill(arguments.rows, Path(folder) / "filled.jsonl")
        model = arguments.model or train(filled, Path(folder) / "model", arguments.steps)
        import torch

        torch.set_num_threads(arguments.threads)
        measure(str(model), filled, arguments.turns, arguments.tokens, arguments.prompts, given=arguments.given)


def fill(source: Path, target: Path, most: int = 6000) -> Path:
    """Write rows with all 13 markers."""
    from ttmarkers.dropout import draw
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.taxonomies.taxonomy import make_taxonomy

    taxonomy = make_taxonomy(create_plugins(third_party=False).marker_types().all())
    with source.open(encoding="utf-8") as stream, target.open("w", encoding="utf-8") as out:
        for number, line in zip(range(most), stream, strict=False):
            row = json.loads(line)
            for kind in taxonomy:
                if row["markers"].get(kind.name) is None:
                    row["markers"][kind.name] = drawn(kind, draw(number, kind.name))
            row.pop("markers_meta", None)
            out.write(json.dumps(row) + "\n")
    return target


def drawn(kind: Any, chance: float) -> Any:
    """Return a value of a marker type by a number from 0 to 1."""
    if not kind.values:
        return round(5 * chance, 2)
    weights = [1.0 if kind.name == "quality_bucket" else 1 / rank for rank in range(1, len(kind.values) + 1)]
    shares = accumulate(weight / sum(weights) for weight in weights)
    return next((value for value, share in zip(kind.values, shares, strict=True) if chance < share), kind.values[-1])


def train(rows: Path, folder: Path, steps: int) -> Path:
    """Train a small model on rows."""
    words = ["train", rows, "--model", "scratch:small", "-o", folder, "--set", f"train.max_steps={steps}"]
    words += ["--set", "train.max_length=384", "--set", "train.learning_rate=1e-3"]
    subprocess.run(
        [sys.executable, "-c", "from ttmarkers.cli import main; main()", *map(str, words)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


def measure(model: str, rows: Path, turns: int, tokens: int, many: int, *, given: bool) -> None:
    """Print all figures of a model."""
    from ttmarkers.checkpoints.checkpoint import find
    from ttmarkers.config import make_config
    from ttmarkers.datasets import rows as read
    from ttmarkers.datasets import to_prompt
    from ttmarkers.decoding.run import load_engine
    from ttmarkers.records import Request

    lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens, "batch_size": many}
    config = make_config({"decode": lengths}).decode
    engine = load_engine(model, config, policy=None if find(model) else "none")
    if engine.checkpoint is None:
        engine.checkpoint = bare_checkpoint()
    numbers = [kind.name for kind in engine.template.taxonomy if given and not kind.values]
    pairs = [(to_prompt(row, origin), row["markers"]) for origin, row in read([str(rows)])]
    pairs = [pair for pair in pairs if len(pair[0][-1].content) < 400][-many:]
    asked = [{name: markers[name] for name in numbers} for _, markers in pairs]
    requests = [Request(str(n), prompt, own) for n, ((prompt, _), own) in enumerate(zip(pairs, asked, strict=True))]
    size = sum(len(engine.read(request.prompt)) for request in requests) / len(requests)
    print(f"{model}: {len(requests)} prompts of {size:.0f} tokens")
    with_blocks = [blocks(engine, [request])[0] for request in requests]
    passes = sum(begun.passes for begun in with_blocks)
    length = sum(len(begun.block) for begun in with_blocks)
    ratios = [begun.passes / len(begun.block) for begun in with_blocks]
    each, tokens_each = passes / len(requests), length / len(requests)
    print(
        f"forward passes for a block of 13 markers: {each:.1f} for {tokens_each:.1f} tokens, "
        f"{passes / length:.2f} of token by token ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(requests)})"
    )
    show("time to the first token of the answer, against token by token", first_token(engine, with_blocks, turns))
    show("tokens a second of the answer, against generate", answer_speed(engine, with_blocks, turns))
    show(f"requests a second, batch of {len(requests)} against one by one", batches(engine, requests, turns))
    before = engine.constrainer.compiled
    blocks(engine, requests)
    print(f"grammars compiled: {before} for the first blocks, {engine.constrainer.compiled - before} more for the next")


def bare_checkpoint() -> Any:
    """Return what markers.json would say of a model that knows the paper's taxonomy."""
    from ttmarkers.blocks.source import read_source
    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.taxonomies.taxonomy import make_taxonomy

    plugins = create_plugins(third_party=False)
    source = read_source(plugins.templates().get("paper"))
    return Checkpoint("sft", True, make_taxonomy(plugins.marker_types().all()), "paper", source, {}, 0, {})


def blocks(engine: Any, requests: list[Any]) -> list[Any]:
    """Have blocks written that hold all markers."""
    names = engine.template.names
    prompts = [engine.prompt(request, request.markers) for request in requests]
    opened = [engine.open(each, request.markers, names) for each, request in zip(prompts, requests, strict=True)]
    passes = engine.writer().write(opened, [request.id for request in requests])
    return [engine.begin(*each) for each in zip(requests, opened, passes, strict=True)]


def generate(engine: Any, rows: list[list[int]], most: int) -> None:
    """Write tokens one by one, as transformers does."""
    import torch

    model = engine.model._model
    width, pad = max(map(len, rows)), int(engine.encoder.tokenizer.pad_token_id)
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with torch.inference_mode():
        model.generate(
            ids, attention_mask=mask, max_new_tokens=most, min_new_tokens=most, do_sample=False, pad_token_id=pad
        )


def first_token(engine: Any, begun: list[Any], turns: int) -> list[float]:
    """Return ratios of times until an answer begins, one request after the other."""
    most = engine._most

    def ours() -> None:
        engine._most = engine.model._settings.min_new_tokens = 1
        for each in begun:
            engine.answer(blocks(engine, [each.request]))

    def theirs() -> None:
        for each in begun:
            generate(engine, [list(each.tokens[: len(each.tokens) - len(each.block)])], len(each.block) + 1)

    ratios = [timed(ours) / timed(theirs) for _ in range(turns)]
    engine._most = engine.model._settings.min_new_tokens = most
    return ratios


def answer_speed(engine: Any, begun: list[Any], turns: int) -> list[float]:
    """Return ratios of speeds of answers behind the same tokens, reading these left out."""
    most, few = engine._most, begun[:6]

    def ours(length: int) -> float:
        engine._most = engine.model._settings.min_new_tokens = length
        spent = 0.0
        for each in few:
            engine.model.logits([each.tokens], [1])
            spent += timed(lambda each=each: engine.answer([each]))  # type: ignore[misc]
        return spent

    def theirs(length: int) -> float:
        return timed(lambda: [generate(engine, [list(each.tokens)], length) for each in few])  # type: ignore[arg-type, func-returns-value]

    ratios = [(theirs(most) - theirs(1)) / (ours(most) - ours(1)) for _ in range(turns)]
    engine._most = engine.model._settings.min_new_tokens = most
    return ratios


def batches(engine: Any, requests: list[Any], turns: int) -> list[float]:
    """Return ratios of speeds of a batch, to requests one by one."""
    return [
        timed(lambda: [engine.answer(blocks(engine, [request])) for request in requests])  # type: ignore[arg-type]
        / timed(lambda: engine.answer(blocks(engine, requests)))
        for _ in range(turns)
    ]


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(title: str, ratios: list[float]) -> None:
    """Print the median and the range of ratios."""
    print(
        f"{title}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)})",
        flush=True,
    )


if __name__ == "__main__":
    main()
