"""``ttm plugins new``: a plugin to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli.options import examples, json_option, kind_option, output_option
from ttmarkers.cli.output import note, print_json
from ttmarkers.plugins import kinds as plugin_kinds
from ttmarkers.scaffold import KINDS, chosen, names_of, plugin_files, refuse_taken, write_plugin

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.command("new", epilog=examples("ttm plugins new mood", "ttm plugins new terse --kind template -o ../terse"))
@click.argument("name")
@kind_option(KINDS, "What it offers, by default marker and extractor")
@output_option("Folder of the plugin; by default ttmarkers-NAME.")
@json_option
@click.pass_obj
def new(context: Context, name: str, kinds: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write a plugin to begin with.

    NAME is a short word for it. It is the distribution ttmarkers-NAME, which installs and passes its own tests.
    """
    from ttmarkers.cli import COMMANDS
    from ttmarkers.manifest import refuse_existing

    names, offered = names_of(name), chosen(kinds)
    folder = Path(names.distribution) if output is None else output
    refuse_existing(folder)
    refuse_taken(names, offered, context.plugins, COMMANDS)
    files = plugin_files(names, offered)
    write_plugin(files, folder)
    if as_json:
        components = {plugin_kinds.KINDS[kind].plural: [names.component(kind)] for kind in offered}
        found = {"name": names.name, "distribution": names.distribution, "module": names.module}
        print_json({**found, "folder": str(folder), "components": components, "files": sorted(files)})
        return
    click.echo(folder)
    note(f"{names.distribution} has {', '.join(offered)}: install and test it, then change it")
    note(f"  cd {shlex.quote(str(folder))} && pip install -e '.[dev]' && pytest")
