"""Checks of commands that plugins add to ``ttm``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import COMMANDS, Context
from ttmarkers.testing.contract import Breach, check_name, hold, short, told

if TYPE_CHECKING:
    from collections.abc import Iterator

HELP = "--help"
NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


@dataclass
class Probe:
    """A command, with the commands below it."""

    component: click.Command

    def commands(self) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        """Yield the command and all below it, with the words that call each."""
        yield from _below((), self.component)


def check_command(command: click.Command) -> None:
    """Check a command: users can write its name, and it says how it is used.

    Args:
        command: what the hook yields, with all its subcommands.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> check_command(click.Command("mood", callback=lambda: click.echo(":-)"), help="Smile."))
    """
    hold(f"command {getattr(command, 'name', command)!r}", Probe(command), CHECKS)


def has_a_name_of_its_own(probe: Probe) -> None:
    """Users write the name, and no command of ttm's has it."""
    if not isinstance(probe.component, click.Command):
        raise Breach(f"it is {type(probe.component).__name__}: yield a click command")
    for words, command in probe.commands():
        check_name(command.name or "", NAME, "small letters, digits and dashes")
        if words and words[-1] != command.name:
            raise Breach(f"{' '.join(words)} is named {command.name!r} itself: use one name")
    if probe.component.name in COMMANDS:
        raise Breach(f"ttm has a command {probe.component.name!r} itself, which goes first: choose another name")


def says_what_it_does(probe: Probe) -> None:
    """The list of commands and the help show a line for each."""
    for words, command in probe.commands():
        if not command.get_short_help_str().strip():
            raise Breach(f"{_named(probe, words)} has no help: write a docstring, or help=")


def says_what_its_options_are(probe: Probe) -> None:
    """Every option has a line of help, and a long name."""
    for words, command in probe.commands():
        for parameter in command.params:
            if not isinstance(parameter, click.Option) or parameter.hidden:
                continue
            name = max(parameter.opts, key=len)
            if not parameter.help:
                raise Breach(f"option {name} of {_named(probe, words)} has no help: write help=")
            if not name.startswith("--"):
                raise Breach(f"option {name} of {_named(probe, words)} has no long name: add one with two dashes")


def shows_its_help(probe: Probe) -> None:
    """``--help`` works for the command and all below it."""
    for words, _ in probe.commands():
        code, out, error = _run(probe.component, [*words, HELP])
        if code:
            why = f" ({told(error)})" if error else ""
            raise Breach(f"{_named(probe, words)} {HELP} exits with {code}{why}: it must exit with 0")
        if not out.startswith("Usage:"):
            raise Breach(f"{_named(probe, words)} {HELP} prints {short(out[:60])}: let click write the help")


def refuses_what_it_does_not_know(probe: Probe) -> None:
    """An unknown option is a wrong command, which exits with 2 and says so on standard error."""
    for words, command in probe.commands():
        if command.context_settings.get("ignore_unknown_options"):
            continue
        code, out, _ = _run(probe.component, [*words, "--no-such-option"])
        if code != 2 or out.strip():
            raise Breach(f"{_named(probe, words)} takes an unknown option (exit {code}): let click refuse it, with 2")


def _below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        with click.Context(command, info_name=command.name, obj=Context()) as context:
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found is None:
                    raise Breach(f"{' '.join((*words, name))} is listed and not there: list what there is")
                yield from _below((*words, name), found)


def _run(command: click.Command, words: list[str]) -> tuple[int, str, BaseException | None]:
    """Run a command as ``ttm`` does, and return its exit code, what it printed, and the error that ended it."""
    from click.testing import CliRunner

    done = CliRunner().invoke(command, words, obj=Context(), prog_name=f"ttm {command.name}")
    error = None if isinstance(done.exception, SystemExit) else done.exception
    return done.exit_code, done.stdout, error


def _named(probe: Probe, words: tuple[str, ...]) -> str:
    return " ".join(["ttm", str(probe.component.name), *words])


CHECKS = (
    has_a_name_of_its_own,
    says_what_it_does,
    says_what_its_options_are,
    shows_its_help,
    refuses_what_it_does_not_know,
)
