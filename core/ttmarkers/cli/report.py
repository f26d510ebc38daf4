"""``ttm report``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, output_option, set_option
from ttmarkers.cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.cli import Context
    from ttmarkers.records import Metric


@click.command(epilog=examples("ttm report runs/fixed runs/inferred -o report.html --baseline fixed"))
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN...",
    type=click.Path(path_type=Path),
    shell_complete=completing.files,
)
@output_option("The HTML file.", required=True)
@click.option("--baseline", metavar="NAME", help="Run that the others are compared with; the first by default.")
@set_option
@json_option
@click.pass_obj
def report(
    context: Context,
    runs: tuple[Path, ...],
    output: Path,
    baseline: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Merge evaluated runs into one HTML page.

    RUN is a folder that ttm evaluate -o or ttm experiment wrote.
    """
    from ttmarkers.evaluation.runs_page import load_runs, merge_runs, runs_page
    from ttmarkers.manifest import manifest, refuse_existing, write_json
    from ttmarkers.report import write_page

    refuse_existing(output)
    config = context.config(overrides)
    numbers = {"resamples": config.evaluate.resamples, "seed": config.seed}
    merged = merge_runs(load_runs(runs, partial(_metrics, context), **numbers), baseline, **numbers)
    write_page(runs_page(merged), output)
    names = [str(run / "result.json") for run in runs]
    write_json(output.with_name(output.name + ".run.json"), manifest("report", config, context.plugins, names))
    if as_json:
        note(f"the page is {output}")
        print_json({each.task: each.to_json() for each in merged})
    else:
        click.echo(output)


def _metrics(context: Context, task: str) -> Mapping[str, Metric]:
    """Return what a task measures, as far as it says so without options."""
    from ttmarkers.errors import TtmError
    from ttmarkers.evaluation.run import load_task

    try:
        return load_task(task, context.plugins.tasks(), context.config()).metrics
    except TtmError:  # it wants options, or its plugin is gone: then its figures stand as they were written
        return {}
