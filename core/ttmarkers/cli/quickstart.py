"""``ttm quickstart``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.options import examples, json_option, output_option
from ttmarkers.cli.output import note, print_json, print_table, progress

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.cli import Context
    from ttmarkers.evaluation.results import Result
    from ttmarkers.experiments.report import Reported

MARKERS = ("lang", "task", "domain", "format")


@click.command(epilog=examples("ttm quickstart", "ttm quickstart -o first-run --seed 1 --json"))
@output_option("Folder of models, answers and the report.", "--out", default="quickstart", show_default=True)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), metavar="N", help="Seed of everything random."
)
@json_option
@click.pass_obj
def quickstart(context: Context, output: Path, seed: int, as_json: bool) -> None:
    """Run the whole loop on a small synthetic corpus and report.

    It takes a few minutes on two cores, and nothing is downloaded.
    """
    import importlib.resources

    from ttmarkers.experiments.file import read_experiment
    from ttmarkers.manifest import refuse_existing

    refuse_existing(output)
    note("importing torch and TRL ...")
    from ttmarkers.experiments.report import run_experiments

    source = importlib.resources.files("ttmarkers_templates").joinpath("experiments/quickstart.yaml")
    with importlib.resources.as_file(source) as path:
        experiment = read_experiment(path, [f"seed={seed}"])
    found = run_experiments([experiment], output, context.plugins, note, progress)
    if as_json:
        print_json(summary(found))
        return
    for title, table in found.tables():
        click.echo(f"\n{title}")
        print_table(table.head, table.rows)
    click.echo(f"\n{found.seconds:.0f} s; the report is {found.report}")


def summary(found: Reported) -> dict[str, Any]:
    """Return what ``ttm quickstart --json`` prints."""
    results = {each.measured.name: each.results for each in found.found["quickstart"]}

    def figures(measure: str, metric: str, part: str = "") -> dict[str, Any]:
        return {
            system: metrics[metric].to_json()
            for system, result in results[measure].items()
            if metric in (metrics := _metrics(result, part))
        }

    accuracy = results["markers"]["inferred"].metrics
    return {
        "seconds": round(found.seconds, 1),
        "report": str(found.report),
        "violations": figures("length", "violations"),
        "language": figures("language", "lpr"),
        "prediction": {name: accuracy[f"accuracy.{name}"].to_json() for name in MARKERS},
        **{
            part: {"violations": figures("length", "violations", part), "language": figures("language", "lpr", part)}
            for part in ("head", "tail")
        },
        "steps": {name: round(value, 1) for name, value in found.steps.items()},
    }


def _metrics(result: Result, part: str) -> Any:
    found = result.slice("frequency", part) if part else None
    if part:
        return found.metrics if found else {}
    return result.metrics
