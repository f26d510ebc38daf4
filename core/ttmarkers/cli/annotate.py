"""``ttm annotate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import (
    FILE,
    examples,
    file_option,
    json_option,
    limit_option,
    output_option,
    resume_option,
    set_option,
    types_option,
)
from ttmarkers.cli.output import note, print_json, print_table, progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.annotation.worker import AnnotationJob
    from ttmarkers.cli import Context
    from ttmarkers.config import Config
    from ttmarkers.records import Spending


@click.command(
    epilog=examples(
        "ttm annotate rows.jsonl -o marked.jsonl",
        "ttm annotate --profile dolly dolly_15k.jsonl -o marked.jsonl --workers 2",
        "ttm annotate 'parts/*.parquet' -o marked.parquet --markers lang,length_tokens",
    )
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=completing.files)
@output_option("The annotated rows, .jsonl or .parquet.", required=True)
@click.option(
    "--profile",
    metavar="NAME",
    help="What is known of a well-known data set (ttm profiles list).",
    shell_complete=completing.names("profiles"),
)
@types_option("Only these marker types; all by default.")
@file_option("--fitted", "Use the quartiles of other rows (their OUT.fitted.json).")
@limit_option("Only the first N rows.")
@click.option("--quarantine", type=FILE, metavar="FILE", help="Write bad rows with their reasons here.")
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes; 1 by default, on Ray all CPUs of the cluster."
)
@click.option(
    "--engine", default="local", show_default=True, type=click.Choice(["local", "ray"]), help="What runs the processes."
)
@resume_option
@click.option("--dry-run", is_flag=True, help="Say what would be paid for, and send nothing.")
@click.option(
    "--max-cost", type=click.FloatRange(0), metavar="X", help="Stop before paid extractors spend more than this."
)
@set_option
@json_option
@click.pass_obj
def annotate(context: Context, /, overrides: tuple[str, ...], as_json: bool, dry_run: bool, **options: Any) -> None:
    """Find the markers of a data set.

    INPUT is a file (.jsonl, .jsonl.gz, .parquet, .csv), a glob, or hf:NAME[:SPLIT]; its rows are written with their
    markers. What a row shows by itself is found without a model call; what the data set says of itself comes from a
    profile or from the config.
    """
    from ttmarkers.manifest import refuse_existing

    given = {"markers.use": options["use"] and f"[{','.join(options['use'])}]", "data.profile": options["profile"]}
    given["markers.fitted"] = options["fitted"]
    config = context.config((*overrides, *(f"{key}={value}" for key, value in given.items() if value)))
    refuse_existing(options["output"])
    if options["quarantine"]:
        refuse_existing(options["quarantine"], "--quarantine")
    job = _job(context, config, options)
    if dry_run:
        from ttmarkers.annotation.spending import estimate

        with progress("estimating") as advance:
            _show_spending(estimate(job, advance), as_json)
        return
    _run(context, config, job, as_json)


def _job(context: Context, config: Config, options: Mapping[str, Any]) -> AnnotationJob:
    from dataclasses import replace

    from ttmarkers.annotation.earlier import carried
    from ttmarkers.annotation.job import annotation_job
    from ttmarkers.datasets import expand

    more = {name: options[name] for name in ("quarantine", "limit", "engine", "resume", "max_cost")}
    workers = options["workers"] or int(options["engine"] == "local")
    job = annotation_job(config, context.plugins, options["inputs"], options["output"], workers=workers, **more)
    return replace(job, carried=carried(expand(options["inputs"]), job.plan))


def _run(context: Context, config: Config, job: AnnotationJob, as_json: bool) -> None:
    from ttmarkers.annotation.earlier import KEY, RUN_SUFFIX, input_parts
    from ttmarkers.annotation.job import annotation_parts
    from ttmarkers.annotation.run import annotate as run
    from ttmarkers.datasets import expand
    from ttmarkers.manifest import manifest, write_json

    try:
        with progress("annotating") as advance:
            result = run(job, advance)
    except KeyboardInterrupt:
        note(f"what is done is kept in {job.parts}: go on with --resume")
        raise
    parts = [*annotation_parts(job.plan, context.plugins), *input_parts(expand(job.inputs))]
    facts = {"rows": result.rows, "bad_rows": result.bad, "found": result.found}
    fingerprints = {KEY: job.plan.fingerprints()}
    write_json(
        job.output.with_name(job.output.name + RUN_SUFFIX),
        manifest(
            "annotate", config, context.plugins, job.inputs, parts, sources=job.plan.sources(), **fingerprints, **facts
        ),
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
