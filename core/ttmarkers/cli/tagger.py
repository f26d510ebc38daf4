"""``ttm tagger train`` and ``ttm tagger check``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import Ordered, examples, file_option, json_option, output_option, set_option, types_option
from ttmarkers.cli.output import note, print_json, print_table
from ttmarkers.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.annotation.agreement import Agreement
    from ttmarkers.cli import Context
    from ttmarkers.records import Origin
    from ttmarkers.taxonomies.taxonomy import Taxonomy

SHOWN = 12  # values in a confusion table for people


@click.group(cls=Ordered)
def tagger() -> None:
    """Train taggers on tagged rows, and check taggers."""


@tagger.command(
    "train",
    epilog=examples(
        "ttm tagger train tagged.jsonl -o tagger", "ttm tagger train tagged.jsonl -o tagger --markers task"
    ),
)
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@output_option("Folder of the tagger.", required=True)
@types_option("Only these marker types; by default all categories that the rows have.")
@click.option(
    "--extractor",
    default="distilled",
    show_default=True,
    metavar="NAME",
    help="Extractor that is trained.",
    shell_complete=completing.names("extractors"),
)
@click.option(
    "--encoder",
    metavar="MODEL",
    help="Also use embeddings of this model: better with few rows, and many times slower.",
    shell_complete=completing.models,
)
@set_option
@json_option
@click.pass_obj
def train(
    context: Context,
    marked: tuple[str, ...],
    output: Path,
    use: list[str],
    extractor: str,
    encoder: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a small classifier on tagged rows.

    MARKED are rows that were tagged by a language model or by people.
    """
    from ttmarkers.annotation.earlier import input_parts
    from ttmarkers.annotation.guides import read_guides, spoken_of
    from ttmarkers.annotation.tagging import TaggerJob
    from ttmarkers.manifest import manifest, refuse_existing, write_json
    from ttmarkers.marked import read_marked
    from ttmarkers.plugins.registry import resolve
    from ttmarkers.protocols import TrainableExtractor
    from ttmarkers.provenance import find_parts
    from ttmarkers.taxonomies.sources import current_taxonomy

    config = context.config(overrides)
    refuse_existing(output)
    taxonomy = current_taxonomy(context.plugins, config.markers)
    factory = resolve(context.plugins.extractors().get(extractor, where="--extractor"))
    if not isinstance(factory, TrainableExtractor):
        raise ConfigError(f"extractor {extractor!r} cannot be trained: it has no method train")
    rows = list(read_marked(marked, taxonomy, config.data.columns))
    names = use or _categories(taxonomy, {name for row in rows for name in row.markers})
    types = tuple(taxonomy.get(name, where="--markers") for name in names)
    guides = read_guides(
        context.plugins.guides().all().values(), [Path(name) for name in config.markers.guides], taxonomy
    )
    options = {"encoder": encoder} if encoder else {}
    report = factory.train(TaggerJob(rows, types, guides, output, config.seed, options))
    guide = [entry.component.name for entry in context.plugins.guides() if spoken_of(entry.component) & set(names)]
    parts = [*find_parts(context.plugins, extractor=[extractor], marker=names, guide=guide), *input_parts(marked)]
    write_json(output / "run.json", manifest("tagger train", config, context.plugins, marked, parts, rows=len(rows)))
    for name, reason in report.skipped.items():
        note(f"{name} was not learnt: {reason}")
    note(f"the tagger is in {output}; agreement with held-out rows:")
    if as_json:
        print_json({"output": str(output), **report.to_json()})
    else:
        _show(report.markers)


@tagger.command("check", epilog=examples("ttm tagger check marked.jsonl --gold right.jsonl --markers task,domain"))
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@file_option("--gold", "The same rows with the right markers.", required=True)
@types_option("Only these marker types; by default all categories that the rows have.")
@set_option
@json_option
@click.pass_obj
def check(
    context: Context,
    marked: tuple[str, ...],
    gold: str,
    use: list[str],
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare a tagger's markers with right ones.

    MARKED are rows that the tagger annotated. Shown are agreement, calibration and confusion.
    """
    from ttmarkers.annotation.agreement import agree
    from ttmarkers.taxonomies.sources import current_taxonomy

    config = context.config(overrides)
    taxonomy = current_taxonomy(context.plugins, config.markers)
    right = _read([gold], taxonomy, config.data.columns)
    said = _read(marked, taxonomy, config.data.columns)
    shared = [key for key in right if key in said]
    if not shared:
        raise DataError(f"{gold} and {', '.join(marked)} have no row in common: ids or texts must be the same")
    if len(shared) < len(right):
        note(f"{len(right) - len(shared)} of {len(right)} rows of {gold} are not in {', '.join(marked)}")
    names = use or _categories(taxonomy, {name for row in right.values() for name in row})
    found = {}
    for name in names:
        taxonomy.get(name, where="--markers")
        rows = [key for key in shared if name in right[key]]
        if not rows:
            raise DataError(f"{gold} has no row with {name}")
        found[name] = agree(
            [right[key][name][0] for key in rows],
            [said[key][name][0] if name in said[key] else None for key in rows],
            [said[key][name][1] if name in said[key] else 0.0 for key in rows],
            seed=config.seed,
        )
    if as_json:
        print_json({"rows": len(shared), "markers": {name: entry.to_json() for name, entry in found.items()}})
    else:
        _show(found, confusion=True)


def _categories(taxonomy: Taxonomy, found: set[str]) -> list[str]:
    return [kind.name for kind in taxonomy if kind.values and kind.name in found]


def _read(
    inputs: Sequence[str], taxonomy: Taxonomy, columns: Mapping[str, str]
) -> dict[str, dict[str, tuple[str, float]]]:
    """Return value and confidence of each marker of each row, by the row's id."""
    from ttmarkers.datasets import rows, to_example

    found: dict[str, dict[str, tuple[str, float]]] = {}
    for origin, row in rows(inputs):
        markers, meta = row.get("markers"), row.get("markers_meta")
        if not isinstance(markers, dict):
            raise DataError(f"{origin}: the row has no markers: annotate the file first with ttm annotate")
        known = taxonomy.check({n: v for n, v in markers.items() if v is not None}, where=str(origin))
        found[to_example(row, origin, columns).id] = {
            name: (str(value), _confidence(meta, name, origin)) for name, value in known.items()
        }
    return found


def _confidence(meta: object, name: str, origin: Origin) -> float:
    entry = meta.get(name) if isinstance(meta, dict) else None
    sure = entry.get("confidence") if isinstance(entry, dict) else None
    if sure is None:  # the data set's own word
        return 1.0
    if not isinstance(sure, (int, float)) or not 0 <= sure <= 1:
        raise DataError(f"{origin}: the confidence of {name} is {sure!r}: it must be a number from 0 to 1")
    return float(sure)


def _show(found: Mapping[str, Agreement], *, confusion: bool = False) -> None:
    for name, entry in found.items():
        click.echo(f"\n{name}, {entry.n} rows")
        print_table(("figure", "value [95 % interval]"), [(m, getattr(entry, m).text()) for m in entry.METRICS])
        head = ("value", "rows", "said", "precision", "recall", "confidence")
        print_table(head, [_line(value, figures) for value, figures in entry.values.items()])
        if confusion:
            _show_confusion(entry.confusion)


def _line(value: str, figures: Mapping[str, float]) -> tuple[Any, ...]:
    shares = (f"{figures[key]:.2f}" if key in figures else "-" for key in ("precision", "recall", "confidence"))
    return (value, int(figures["n"]), int(figures["said"]), *shares)


def _show_confusion(confusion: Mapping[str, Mapping[str, int]]) -> None:
    pairs = [
        (count, right, said or "nothing")
        for right, row in confusion.items()
        for said, count in row.items()
        if right != said
    ]
    if pairs:
        click.echo("most frequent confusions")
        rows = [(right, said, count) for count, right, said in sorted(pairs, key=lambda p: (-p[0], p[1:]))[:SHOWN]]
        print_table(("right", "said", "rows"), rows)
