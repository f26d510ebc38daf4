"""``ttm doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ttmarkers.cli.options import examples, json_option
from ttmarkers.cli.output import print_json

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.command(epilog=examples("ttm doctor", "ttm doctor --json"))
@json_option
@click.pass_obj
def doctor(context: Context, as_json: bool) -> None:
    """Look whether all is there that ttm needs.

    Packages, optional parts, devices, programs, files, plugins and the terminal are looked at, and what can be
    installed for what is said. The exit code is 1 if something that is needed is broken.
    """
    from ttmarkers.doctor.checks import all_questions
    from ttmarkers.doctor.findings import examine

    found = examine(all_questions(lambda: context.plugins))
    if as_json:
        print_json(found.to_json())
    else:
        click.echo(found.text())
    if not found.sound:
        raise click.exceptions.Exit(1)
