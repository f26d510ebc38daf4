"""``ttm annotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.output import json_option, note, print_json, print_table, progress, set_option
from ttmarkers.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.cli import Context
    from ttmarkers.config import Config
    from ttmarkers.plan import Plan
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
    from ttmarkers.datasets import expand
    from ttmarkers.earlier import carried
    from ttmarkers.worker import AnnotationJob

    plan = _plan(context, config)
    return AnnotationJob(
        options["inputs"],
        options["output"],
        plan,
        carried=carried(expand(options["inputs"]), plan),
        columns=config.data.columns,
        quarantine=options["quarantine"],
        limit=options["limit"],
        workers=options["workers"] or int(options["engine"] == "local"),
        engine=options["engine"],
        row_seconds=config.data.row_seconds,
        resume=options["resume"],
        fitted=Path(config.markers.fitted) if config.markers.fitted else None,
        fit_where=config.markers.fit_where,
        max_chars=config.data.max_chars,
        parallel=config.data.parallel.make() if config.data.parallel else None,
        max_cost=options["max_cost"],
    )


def _plan(context: Context, config: Config) -> Plan:
    from ttmarkers.plan import brief, make_plan
    from ttmarkers.taxonomy import make_taxonomy

    types, extractors = context.plugins.marker_types(), context.plugins.extractors()
    for key in ("use", "declared", "extractors"):
        for name in getattr(config.markers, key) or ():
            types.get(name, where=f"markers.{key}")
    # after all hooks were called, for a plugin may fail in one
    if context.plugins.failed and config.markers.use is None:
        record = context.plugins.failed[0]
        raise PluginError(
            f"plugin {record.name} ({record.source}) did not load ({record.error}), so markers may be missing: "
            f"mend it, leave it out with --no-plugin {record.name}, or name the markers with --markers"
        )
    taxonomy = make_taxonomy(types.all(), profile=config.markers.taxonomy, order=config.markers.use)
    everything = make_taxonomy(types.all(), profile=config.markers.taxonomy)
    plan = make_plan(everything, config.markers.model_copy(update={"use": list(taxonomy.names)}), extractors)
    return brief(plan, context.plugins.guides().all().values(), [Path(name) for name in config.markers.guides])


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
