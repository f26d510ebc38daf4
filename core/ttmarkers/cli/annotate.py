"""``ttm annotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.output import json_option, note, print_json, print_table, progress, set_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.cli import Context
    from ttmarkers.config import Config
    from ttmarkers.records import Spending
    from ttmarkers.worker import AnnotationJob


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Output: .jsonl or .parquet.")
@click.option("--profile", help="What is known of a well-known data set; see ttm profiles list.")
@click.option("--fitted", metavar="FILE", help="Use the quartiles of other rows (their OUT.fitted.json).")
@click.option("--markers", "use", metavar="A,B", help="Only these markers; all by default.")
@click.option("--workers", type=click.IntRange(1), help="Processes; 1 by default, on Ray all CPUs of the cluster.")
@click.option(
    "--engine", default="local", show_default=True, type=click.Choice(["local", "ray"]), help="What runs them."
)
@click.option("--limit", type=click.IntRange(1), help="Read at most this many rows.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--quarantine", type=click.Path(path_type=Path), help="Write bad rows with their reasons here.")
@click.option("--dry-run", is_flag=True, help="Say what paid extractors would take, and send nothing.")
@click.option("--max-cost", type=click.FloatRange(0), help="Stop before paid extractors spend more than this.")
@set_option
@json_option
@click.pass_obj
def annotate(context: Context, /, overrides: tuple[str, ...], as_json: bool, dry_run: bool, **options: Any) -> None:
    """Find the markers of INPUT (files, globs, hf:NAME[:SPLIT]) and write its rows with them."""
    from ttmarkers.manifest import refuse_existing

    given = {"markers.use": options["use"] and f"[{options['use']}]", "data.profile": options["profile"]}
    given["markers.fitted"] = options["fitted"]
    config = context.config((*overrides, *(f"{key}={value}" for key, value in given.items() if value)))
    refuse_existing(options["output"])
    if options["quarantine"]:
        refuse_existing(options["quarantine"], "--quarantine")
    job = _job(context, config, options)
    if dry_run:
        from ttmarkers.spending import estimate

        with progress("estimating") as advance:
            _show_spending(estimate(job, advance), as_json)
        return
    _run(context, config, job, as_json)


def _job(context: Context, config: Config, options: Mapping[str, Any]) -> AnnotationJob:
    from dataclasses import replace

    from ttmarkers.annotation_job import annotation_job
    from ttmarkers.datasets import expand
    from ttmarkers.earlier import carried

    more = {name: options[name] for name in ("quarantine", "limit", "engine", "resume", "max_cost")}
    workers = options["workers"] or int(options["engine"] == "local")
    job = annotation_job(config, context.plugins, options["inputs"], options["output"], workers=workers, **more)
    return replace(job, carried=carried(expand(options["inputs"]), job.plan))


def _run(context: Context, config: Config, job: AnnotationJob, as_json: bool) -> None:
    from ttmarkers.annotation import annotate as run
    from ttmarkers.earlier import KEY, RUN_SUFFIX
    from ttmarkers.manifest import manifest, write_json

    try:
        with progress("annotating") as advance:
            result = run(job, advance)
    except KeyboardInterrupt:
        note(f"what is done is kept in {job.parts}: go on with --resume")
        raise
    facts = {"rows": result.rows, "bad_rows": result.bad, "found": result.found}
    fingerprints = {KEY: job.plan.fingerprints()}
    write_json(
        job.output.with_name(job.output.name + RUN_SUFFIX),
        manifest("annotate", config, context.plugins, job.inputs, sources=job.plan.sources(), **fingerprints, **facts),
    )
    if job.quarantine:
        note(f"{result.bad} bad rows went to {job.quarantine}")
    note(f"{result.rows} rows are in {job.output}")
    if as_json:
        print_json({"output": str(job.output), **facts})
    else:
        shares = [(name, count, f"{count / max(result.rows, 1):.1%}") for name, count in result.found.items()]
        print_table(("marker", "rows", "share"), shares)


def _show_spending(spending: Mapping[str, Spending], as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json({name: asdict(entry) for name, entry in spending.items()})
        return
    if not spending:
        click.echo("no paid extractor is asked: nothing would be sent")
        return
    head = ("extractor", "requests", "known already", "about tokens in", "about tokens out", "about cost")
    rows = [
        (name, entry.requests, entry.known, entry.tokens_in, entry.tokens_out, _cost(entry))
        for name, entry in spending.items()
    ]
    print_table(head, rows)


def _cost(entry: Spending) -> str:
    return f"{entry.cost:.4f}" if entry.cost or not entry.requests else "no prices given"
