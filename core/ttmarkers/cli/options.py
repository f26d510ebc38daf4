"""What commands share: options of one name, one meaning, one type and one metavar; examples of use; groups in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ttmarkers.cli import completing
from ttmarkers.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

F = TypeVar("F", bound="Callable[..., Any]")

FILE = click.Path(path_type=Path, dir_okay=False)
"""A file that is written."""


def setting_option(completer: completing.Completer) -> Callable[[F], F]:
    """Return ``--set``; a completer knows its keys."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set a config key, such as seed=1 (may be repeated).",
        shell_complete=completer,
    )


set_option = setting_option(completing.settings)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
resume_option = click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
template_option = click.option(
    "--template",
    metavar="NAME",
    help="Block template (ttm templates list), or a .jinja file; by default the config's, else paper.",
    shell_complete=completing.names("templates", files=True),
)


class Ordered(click.Group):
    """A group whose commands are listed in the order in which they are written."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)


def file_option(name: str, text: str, **settings: Any) -> Callable[[F], F]:
    """Return an option that names a file of rows to read."""
    return click.option(name, metavar="FILE", help=text, shell_complete=completing.files, **settings)


def output_option(text: str, *more: str, **settings: Any) -> Callable[[F], F]:
    """Return ``-o/--output``: where a command writes; ``more`` are further names of it."""
    names = ("-o", "--output", *more, "output")
    return click.option(*names, type=click.Path(path_type=Path), metavar="PATH", help=text, **settings)


def limit_option(text: str, **settings: Any) -> Callable[[F], F]:
    """Return ``-n/--limit``: how many rows or cases are used, from the first on."""
    return click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help=text, **settings)


def types_option(text: str) -> Callable[[F], F]:
    """Return ``--markers``: names of marker types, separated by commas; it arrives as a list, empty without it."""
    return click.option(
        "--markers",
        "use",
        default="",
        show_default=False,
        metavar="A,B",
        callback=_split,
        help=text,
        shell_complete=completing.marker_lists,
    )


def kind_option(kinds: Iterable[str], text: str) -> Callable[[F], F]:
    """Return ``--kind``: kinds of components, named as users name them."""
    known = list(kinds)

    def check(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
        for kind in given:
            if kind not in known:
                raise unknown_name("kind", kind, known, where="--kind")
        return given

    return click.option(
        "--kind",
        "kinds",
        multiple=True,
        metavar="KIND",
        callback=check,
        help=f"{text} (may be repeated): {', '.join(known)}.",
        shell_complete=completing.of(known),
    )


def _split(_context: click.Context, _option: click.Parameter, names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def examples(*commands: str) -> str:
    """Return commands as the end of a help text; the first is also shown when an argument is missing."""
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)
