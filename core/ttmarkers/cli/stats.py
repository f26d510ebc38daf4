"""``ttm stats``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import FILE, examples, json_option, set_option
from ttmarkers.cli.output import note, print_json, print_table
from ttmarkers.cli.parts import tell_lacks

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.annotation.stats import Stats
    from ttmarkers.cli import Context


@click.command(epilog=examples("ttm stats marked.jsonl", "ttm stats marked.jsonl --html stats.html"))
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@click.option("--html", type=FILE, metavar="FILE", help="Write a page with plots here.")
@set_option
@json_option
@click.pass_obj
def stats(
    context: Context, marked: tuple[str, ...], html: Path | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Count the values of every marker.

    MARKED are annotated rows. They are counted overall and by language; values under 5 % are the tail.
    """
    from ttmarkers.annotation.stats import count
    from ttmarkers.manifest import refuse_existing
    from ttmarkers.marked import read_marked
    from ttmarkers.taxonomies.sources import current_taxonomy

    tell_lacks(context, inputs=marked)
    config = context.config(overrides)
    if html:
        refuse_existing(html, "--html")
    taxonomy = current_taxonomy(context.plugins, config.markers)
    found = count(read_marked(marked, taxonomy, config.data.columns), taxonomy)
    if html:
        from ttmarkers.annotation.stats_page import stats_page
        from ttmarkers.report import write_page

        write_page(stats_page(found, marked), html)
        note(f"the page is {html}")
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Stats) -> None:
    data = found.to_json()
    click.echo(f"{found.rows} rows")
    numbers = [
        (
            name,
            entry["n"],
            entry["missing"],
            *(f"{entry['quantiles'].get(q, '-'):g}" for q in ("5", "25", "50", "75", "95")),
        )
        for name, entry in data["markers"].items()
        if "quantiles" in entry and entry["n"]
    ]
    if numbers:
        click.echo()
        print_table(("marker", "rows", "missing", "5 %", "25 %", "median", "75 %", "95 %"), numbers)
    for name, entry in data["markers"].items():
        if entry.get("values"):
            click.echo()
            click.echo(f"{name}: missing in {entry['missing']} rows ({entry['missing'] / max(found.rows, 1):.1%})")
            print_table(("value", "rows", "share", ""), [_line(value) for value in entry["values"]])
    empty = [name for name, entry in data["markers"].items() if entry["missing"] == found.rows]
    if empty:
        click.echo(f"\nin no row: {', '.join(empty)}")
    if found.languages:
        click.echo("\nby language")
        print_table(*_languages(data["languages"]))


def _line(value: dict[str, Any]) -> tuple[object, ...]:
    return (value["value"], value["count"], f"{value['share']:.1%}", "tail" if value["tail"] else "")


def _languages(languages: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    names = ("length_tokens", "length_sentences")
    rows: list[tuple[object, ...]] = []
    for language, part in languages.items():
        medians = [part["markers"].get(name, {}).get("quantiles", {}).get("50", "-") for name in names]
        values = part["markers"].get("task", {}).get("values", [])
        rows.append((language, part["rows"], *medians, values[0]["value"] if values else "-"))
    return ("language", "rows", *(f"median {name}" for name in names), "most frequent task"), rows
