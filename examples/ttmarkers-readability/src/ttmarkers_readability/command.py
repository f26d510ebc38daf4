"""``ttm readability``: the readability of a data set at a glance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.options import json_option, set_option
from ttmarkers.cli.output import print_json, print_table
from ttmarkers_readability.formula import LEVELS, lix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.cli import Context
    from ttmarkers.records import MarkedExample

STEP = 10  # of the score, in one row of the table
BAR = 40  # characters of the longest bar


@click.command()
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...")
@set_option
@json_option
@click.pass_obj
def readability(context: Context, marked: tuple[str, ...], overrides: tuple[str, ...], as_json: bool) -> None:
    """Show how the readability scores (LIX) of annotated rows are spread."""
    from ttmarkers.marked import read_marked
    from ttmarkers.taxonomies.sources import current_taxonomy

    config = context.config(overrides)
    taxonomy = current_taxonomy(context.plugins, config.markers)
    found = spread(read_marked(marked, taxonomy, config.data.columns))
    if as_json:
        print_json(found)
    else:
        _show(found)


def spread(examples: Iterable[MarkedExample]) -> dict[str, Any]:
    """Count the levels of rows, and the scores of those that have one."""
    from ttmarkers.annotation.stats import quantiles

    rows, levels, scores = 0, Counter(dict.fromkeys(LEVELS, 0)), Counter[int]()
    for example in examples:
        rows += 1
        level, score = example.markers.get("readability"), lix(example.completion)
        if level is not None and score is not None:
            levels[str(level)] += 1
            scores[round(score)] += 1
    steps = Counter[int]()
    for rounded, count in sorted(scores.items()):
        steps[rounded // STEP * STEP] += count
    return {
        "rows": rows,
        "told": scores.total(),
        "levels": dict(levels),
        "quantiles": quantiles({float(score): count for score, count in scores.items()}),
        "scores": [{"from": start, "below": start + STEP, "rows": count} for start, count in steps.items()],
    }


def _show(found: dict[str, Any]) -> None:
    click.echo(f"{found['rows']} rows, readability is known of {found['told']}")
    if not found["told"]:
        return
    levels = [(name, count, f"{count / found['told']:.1%}") for name, count in found["levels"].items()]
    print_table(("level", "rows", "share"), levels)
    click.echo()
    most = max(step["rows"] for step in found["scores"])
    bars = [(step["from"], step["rows"], "█" * round(BAR * step["rows"] / most)) for step in found["scores"]]
    print_table(("LIX from", "rows", ""), bars)
