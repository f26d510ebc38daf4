"""``ttm lint``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, set_option
from ttmarkers.cli.output import note, print_json, progress
from ttmarkers.cli.parts import tell_lacks

if TYPE_CHECKING:
    from ttmarkers.annotation.extraction import Extraction
    from ttmarkers.cli import Context
    from ttmarkers.taxonomies.taxonomy import Taxonomy

COLOURS = {"error": "red", "warning": "yellow"}


@click.command(epilog=examples("ttm lint marked.jsonl"))
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@click.option("--no-lengths", is_flag=True, help="Do not count the lengths again, which takes the longest.")
@set_option
@json_option
@click.pass_obj
def lint(
    context: Context, marked: tuple[str, ...], no_lengths: bool, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Find rows whose markers cannot be right.

    MARKED are annotated rows. Markers that teach little are warned of. The exit code is 1 if there are errors.
    """
    from ttmarkers.annotation.lint import Linter, batches
    from ttmarkers.datasets import rows, to_example
    from ttmarkers.taxonomies.sources import current_taxonomy

    tell_lacks(context, inputs=marked)
    config = context.config(overrides)
    taxonomy = current_taxonomy(context.plugins, config.markers)
    extraction = None if no_lengths else _lengths(context, taxonomy)
    linter = Linter(taxonomy, _openings(context, taxonomy), extraction)
    examples = (to_example(row, origin, config.data.columns) for origin, row in rows(marked))
    with progress("checking") as advance:
        for batch in batches(examples):
            linter.check(batch)
            advance(len(batch))
    findings = linter.findings()
    errors = sum(finding.level == "error" for finding in findings)
    if as_json:
        print_json({"rows": linter.rows, "errors": errors, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            level = click.style(finding.level, fg=COLOURS[finding.level])
            click.echo(f"{level}  {finding.check}: {finding.message} ({finding.count} rows)")
            for row in finding.rows:
                click.echo(f"       {row}")
        note(f"{linter.rows} rows: {errors} kinds of errors, {len(findings) - errors} warnings")
    click.get_current_context().exit(1 if errors else 0)


def _openings(context: Context, taxonomy: Taxonomy) -> dict[str, str]:
    from ttmarkers.blocks.template import load_template

    templates: dict[str, Any] = context.plugins.templates().all()
    openings = {name: load_template(component, taxonomy).opening.strip() for name, component in templates.items()}
    # a template whose blocks begin with one or two characters cannot be told from text
    return {name: opening for name, opening in openings.items() if len(opening) > 2}


def _lengths(context: Context, taxonomy: Taxonomy) -> Extraction | None:
    """Return an extraction of the counts that extractors find from the text and its language."""
    from ttmarkers.annotation.extraction import Extraction
    from ttmarkers.annotation.plan import make_plan
    from ttmarkers.config import MarkersConfig

    extractors = context.plugins.extractors()
    found = {name for component in extractors.all().values() if component.default for name in component.markers}
    counts = [kind.name for kind in taxonomy if kind.kind == "int" and kind.name in found]
    if not counts:
        return None
    return Extraction(make_plan(taxonomy, MarkersConfig(use=counts), extractors))
