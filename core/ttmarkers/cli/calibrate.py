"""``ttm calibrate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, limit_option, set_option
from ttmarkers.cli.output import note, print_json, print_table, progress
from ttmarkers.cli.parts import tell_lacks
from ttmarkers.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ttmarkers.cli import Context
    from ttmarkers.decoding.posterior import Calibration

FEWEST = 30  # rows below which a temperature says nothing


@click.command(
    epilog=examples("ttm calibrate model held_out.jsonl", "ttm generate model 'Hello!' --policy posterior --explain")
)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=completing.files)
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@limit_option("Only the first N rows.")
@set_option
@json_option
@click.pass_obj
def calibrate(
    context: Context, model: Path, marked: tuple[str, ...], limit: int | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Make the probabilities of markers fit held-out rows.

    MARKED are annotated rows that MODEL was not trained on. What is found is kept in MODEL's markers.json.
    """
    from itertools import islice

    from ttmarkers.decoding.posterior import KEY, walk
    from ttmarkers.decoding.posterior import calibrate as fit
    from ttmarkers.decoding.run import load_engine
    from ttmarkers.marked import read_marked
    from ttmarkers.records import Request
    from ttmarkers.taxonomies.sources import current_taxonomy

    if not model.is_dir():
        raise ConfigError(f"{model} is no folder: calibrate a model that lies here, then upload it")
    tell_lacks(context, model=str(model), inputs=marked)
    config = context.config(overrides)
    engine = load_engine(str(model), config.decode, seed=config.seed)
    if not engine.writes or engine.checkpoint is None:
        raise ConfigError(f"{model} writes no markers, so it gives them no probabilities")
    taxonomy = current_taxonomy(context.plugins, config.markers)
    examples = list(islice(read_marked(marked, taxonomy, config.data.columns), limit))
    requests = [Request(example.id, example.prompt) for example in examples]
    with progress("asking", len(requests)) as advance:
        types = [name for name in engine.template.names if engine.template.taxonomy.get(name).values]
        musts = [[name for name in types if name in example.markers] for example in examples]
        walked = walk(engine, requests, advance, calibrated=False, required=musts)
    found: dict[str, Calibration] = {}
    for kind in engine.checkpoint.taxonomy:
        pairs = [
            (each.chances[kind.name], str(engine.wording.view(kind.name, example.markers[kind.name])))
            for each, example in zip(walked, examples, strict=True)
            if kind.name in each.chances and kind.name in example.markers
        ]
        if len(pairs) >= FEWEST:
            found[kind.name] = fit([chances for chances, _ in pairs], [value for _, value in pairs], seed=config.seed)
        elif kind.values:
            note(f"{kind.name}: left as it is, {len(pairs)} rows are too few (at least {FEWEST})")
    if not found:
        raise DataError(f"no marker has {FEWEST} rows, so nothing was calibrated: give more annotated rows")
    known = engine.checkpoint.facts.get(KEY, {})
    facts = {**engine.checkpoint.facts, KEY: {**known, **{name: each.to_json() for name, each in found.items()}}}
    replace(engine.checkpoint, facts=facts).save(model)
    if as_json:
        print_json(facts[KEY])
        return
    head = ("marker", "n", "accuracy", "temperature", "error before", "after")
    print_table(head, [_line(name, each) for name, each in found.items()])


def _line(name: str, found: Calibration) -> tuple[str, int, str, str, str, str]:
    accuracy = found.accuracy.text(share=True)
    return name, found.n, accuracy, f"{found.temperature:.2f}", f"{found.before:.3f}", f"{found.after:.3f}"
