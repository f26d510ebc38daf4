"""``ttm checkpoint``: what a model knows of its markers, and how it is brought to today's taxonomy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import Ordered, examples, json_option, output_option, set_option
from ttmarkers.cli.output import note, print_json, print_table
from ttmarkers.cli.parts import tell_lacks
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.checkpoints.migration import MarkerMapping
    from ttmarkers.cli import Context


@click.group(cls=Ordered)
def checkpoint() -> None:
    """Show what a model knows of markers; migrate it."""


@checkpoint.command("show", epilog=examples("ttm checkpoint show model"))
@click.argument("model", shell_complete=completing.files)
@json_option
@click.pass_obj
def checkpoint_show(context: Context, model: str, as_json: bool) -> None:
    """Show what a model knows of its markers.

    MODEL is a folder or a Hub name. Shown is also what users call its values, where that has changed.
    """
    from ttmarkers.checkpoints.checkpoint import load_checkpoint
    from ttmarkers.checkpoints.migration import describe
    from ttmarkers.provenance import lacks

    found = load_checkpoint(model)
    mapping = describe(found.wording)
    lacking = {part: lack for lack in lacks(found.parts, context.plugins) for part in lack.parts}
    if as_json:
        print_json(_to_json(found, mapping))
        return
    knows = (
        "knows markers and writes blocks" if found.writes else "knows markers" if found.marked else "knows no markers"
    )
    click.echo(f"{model}: trained by {found.strategy} on {found.rows} rows; it {knows}, template {found.template_name}")
    click.echo()
    print_table(
        ("marker", "kind", "values"), [(kind.name, kind.kind, len(kind.values) or "-") for kind in found.taxonomy]
    )
    if mapping:
        click.echo()
        _show(mapping)
    if found.parts:
        click.echo()
        rows = [
            (part.kind, part.name, f"{part.distribution} {part.version}", lacking.get(part)) for part in found.parts
        ]
        print_table(("part", "name", "from", ""), [(*row, lack.reason if lack else "") for *row, lack in rows])


def _to_json(found: Checkpoint, mapping: Sequence[MarkerMapping]) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "marked": found.marked,
        "writes": found.writes,
        "rows": found.rows,
        "template": found.template_name,
        "taxonomy": found.taxonomy.to_json(),
        "migrated": found.migrated is not None,
        "mapping": [each.to_json() for each in mapping],
        "parts": [part.to_json() for part in found.parts],
    }


_MAP = "What a value of today is to the model (may be repeated); nothing for OLD says that it never saw NEW."


@checkpoint.command(
    "migrate",
    epilog=examples(
        "ttm checkpoint migrate model --dry-run", "ttm checkpoint migrate model -o model-new --map domain.Law=Legal"
    ),
)
@click.argument("model", type=click.Path(path_type=Path), shell_complete=completing.files)
@output_option("Folder of the migrated model: a copy with a markers.json of its own.")
@click.option("--in-place", is_flag=True, help="Write MODEL's own markers.json; no other file changes.")
@click.option("--map", "given", multiple=True, metavar="MARKER.NEW=OLD", help=_MAP)
@click.option("--dry-run", is_flag=True, help="Say what would be mapped, and write nothing.")
@set_option
@json_option
@click.pass_obj
def checkpoint_migrate(
    context: Context,
    model: Path,
    output: Path | None,
    in_place: bool,
    given: tuple[str, ...],
    dry_run: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Bring a model to today's taxonomy.

    MODEL is a folder. Values that plugins or the config have renamed or split since it was trained are asked for and
    shown by today's words. The model goes on writing its own; no weight changes.
    """
    from ttmarkers.checkpoints.checkpoint import load_checkpoint
    from ttmarkers.checkpoints.migration import describe, migrated, write_migrated
    from ttmarkers.manifest import refuse_existing
    from ttmarkers.provenance import KEY, find_parts, to_json
    from ttmarkers.taxonomies.sources import current_taxonomy

    if not model.is_dir():
        raise ConfigError(f"{model} is no folder: migrate a model that lies here, then upload it")
    if output:
        refuse_existing(output)
    if not dry_run and (output is None) != in_place:
        raise ConfigError("give either -o NEW or --in-place, or --dry-run to see what would be mapped")
    config = context.config(overrides)
    tell_lacks(context, model=str(model))
    found = migrated(load_checkpoint(str(model)), current_taxonomy(context.plugins, config.markers), given)
    parts = [*found.parts, *find_parts(context.plugins, marker=found.taxonomy.names)]
    found = replace(found, facts={**found.facts, KEY: to_json(parts)})
    mapping = describe(found.wording)
    folder = None if dry_run else write_migrated(found, model, output)
    if as_json:
        print_json({"model": str(folder) if folder else None, "mapping": [each.to_json() for each in mapping]})
        return
    _show(mapping)
    note("nothing was written" if folder is None else f"the model is {folder}")


def _show(mapping: Sequence[MarkerMapping]) -> None:
    """Print how users' words lead to the model's; an arrow each way."""
    if not mapping:
        click.echo("users and model use the same words")
    rows: list[tuple[str, str, str]] = []
    for each in mapping:
        if each.new:
            continue
        back = {shown: word for word, shown in each.shown.items()}
        rows += [
            (
                each.marker,
                value,
                word + ("" if back.get(value) == word else f" (read back as {each.shown.get(word, word)})"),
            )
            for value, word in each.words.items()
        ]
        rows += [
            (each.marker, shown, f"{word} (read back only)")
            for word, shown in each.shown.items()
            if shown not in each.words
        ]
        rows += [(each.marker, value, "never seen: train the model further") for value in each.unseen]
        asked = set(each.words.values())
        rows += [(each.marker, f"{word} (no value today)", word) for word in each.former if word not in asked]
    if rows:
        print_table(("marker", "users say", "the model says"), rows)
    if new := [each.marker for each in mapping if each.new]:
        click.echo(f"markers that no row of its training had: {', '.join(new)}")
