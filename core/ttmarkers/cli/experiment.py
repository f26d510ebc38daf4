"""``ttm experiment``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, output_option, setting_option
from ttmarkers.cli.output import note, print_json, print_table, progress

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.command(epilog=examples("ttm experiment experiment.yaml -o runs --set config.train.max_steps=100"))
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="CONFIG...",
    type=click.Path(path_type=Path),
    shell_complete=completing.files,
)
@output_option("Folder of models, answers and the report.", required=True)
@setting_option(completing.experiment_settings)
@json_option
@click.pass_obj
def experiment(
    context: Context, files: tuple[Path, ...], output: Path, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Train and measure a grid of systems, and report.

    CONFIG is a file that names systems, measures and a grid; what the systems share stands there under config. What is
    done is kept in the folder: run again, it goes on where it was.
    """
    from ttmarkers.experiments.file import read_experiment

    experiments = [read_experiment(path, overrides, context.profile) for path in files]
    note("importing torch and TRL ...")
    from ttmarkers.experiments.report import run_experiments

    found = run_experiments(experiments, output, context.plugins, note, progress)
    if as_json:
        print_json(found.to_json())
        return
    for title, table in found.tables():
        click.echo(f"\n{title}")
        print_table(table.head, table.rows)
    click.echo(f"\n{found.seconds:.0f} s; the report is {found.report}")
