"""``ttm annotate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ttmarkers.cli.output import json_option, note, print_json, print_table, progress, set_option
from ttmarkers.errors import PluginError

if TYPE_CHECKING:
    from ttmarkers.cli import Context


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
@set_option
@json_option
@click.pass_obj
def annotate(
    context: Context,
    inputs: tuple[str, ...],
    output: Path,
    profile: str | None,
    fitted: str | None,
    use: str | None,
    workers: int | None,
    engine: Literal["local", "ray"],
    limit: int | None,
    resume: bool,
    quarantine: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find the markers of INPUT (files, globs, hf:NAME[:SPLIT]) and write its rows with them."""
    from ttmarkers.annotation import annotate as run
    from ttmarkers.extraction import make_plan
    from ttmarkers.manifest import manifest, refuse_existing, write_json
    from ttmarkers.taxonomy import make_taxonomy
    from ttmarkers.worker import AnnotationJob

    if use:
        overrides = (*overrides, f"markers.use=[{use}]")
    if profile:
        overrides = (*overrides, f"data.profile={profile}")
    if fitted:
        overrides = (*overrides, f"markers.fitted={fitted}")
    config = context.config(overrides)
    refuse_existing(output)
    if quarantine:
        refuse_existing(quarantine, "--quarantine")
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
    plan = make_plan(
        everything,
        config.markers.model_copy(update={"use": list(taxonomy.names)}),
        extractors,
    )
    job = AnnotationJob(
        inputs,
        output,
        plan,
        columns=config.data.columns,
        quarantine=quarantine,
        limit=limit,
        workers=workers or int(engine == "local"),
        engine=engine,
        row_seconds=config.data.row_seconds,
        resume=resume,
        fitted=Path(config.markers.fitted) if config.markers.fitted else None,
        fit_where=config.markers.fit_where,
        max_chars=config.data.max_chars,
        parallel=config.data.parallel.make() if config.data.parallel else None,
    )
    try:
        with progress("annotating") as advance:
            result = run(job, advance)
    except KeyboardInterrupt:
        note(f"what is done is kept in {job.parts}: go on with --resume")
        raise
    facts = {"rows": result.rows, "bad_rows": result.bad, "found": result.found}
    write_json(
        output.with_name(output.name + ".run.json"),
        manifest("annotate", config, context.plugins, inputs, sources=plan.sources(), **facts),
    )
    if quarantine:
        note(f"{result.bad} bad rows went to {quarantine}")
    note(f"{result.rows} rows are in {output}")
    if as_json:
        print_json({"output": str(output), **facts})
    else:
        shares = [(name, count, f"{count / max(result.rows, 1):.1%}") for name, count in result.found.items()]
        print_table(("marker", "rows", "share"), shares)
