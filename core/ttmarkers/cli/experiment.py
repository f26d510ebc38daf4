"""``ttm experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli.output import json_option, note, print_json, print_table, progress, set_option

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="CONFIG...", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder; what is done is kept.")
@set_option
@json_option
@click.pass_obj
def experiment(
    context: Context, files: tuple[Path, ...], output: Path, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Train and measure what CONFIG says, and write one report; run again, it goes on where it was."""
    from ttmarkers.experiment import read_experiment

    experiments = [read_experiment(path, overrides, context.profile) for path in files]
    note("importing torch and TRL ...")
    from ttmarkers.experiment_report import run_experiments

    found = run_experiments(experiments, output, context.plugins, note, progress)
    if as_json:
        print_json(found.to_json())
        return
    for title, table in found.tables():
        click.echo(f"\n{title}")
        print_table(table.head, table.rows)
    click.echo(f"\n{found.seconds:.0f} s; the report is {found.report}")
