"""The command ``ttm``. Commands are imported when they are run, so that ``ttm --help`` stays fast."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers import __version__
from ttmarkers.cli import completing
from ttmarkers.errors import TtmError, UnknownNameError, did_you_mean, unknown_name
from ttmarkers.plugins.manager import Plugins, create_plugins
from ttmarkers.plugins.requirements import normal
from ttmarkers.plugins.standard_output import StandardOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.config import Config
    from ttmarkers.plugins.registry import Entry
    from ttmarkers.provenance import Part

COMMANDS = {
    "quickstart": "Run the whole loop on a small synthetic corpus and report.",
    "annotate": "Find the markers of a data set.",
    "tagger": "Train taggers on tagged rows, and check taggers.",
    "stats": "Count the values of every marker.",
    "lint": "Find rows whose markers cannot be right.",
    "preview": "Show rows as the model will see them.",
    "train": "Fine-tune a model on annotated rows.",
    "generate": "Answer prompts, steered by markers.",
    "calibrate": "Make the probabilities of markers fit held-out rows.",
    "checkpoint": "Show what a model knows of markers; migrate it.",
    "evaluate": "Measure a model, or stored answers, on a task.",
    "experiment": "Train and measure a grid of systems, and report.",
    "report": "Merge evaluated runs into one HTML page.",
    "markers": "List marker types and their values.",
    "templates": "List block templates.",
    "strategies": "List training strategies.",
    "policies": "List decoding policies.",
    "tasks": "List evaluation tasks.",
    "extractors": "List extractors.",
    "profiles": "List profiles of data sets.",
    "guides": "List what taggers are told of markers.",
    "plugins": "List plugins, and begin new ones.",
    "doctor": "Look whether all is there that ttm needs.",
    "completion": "Print the script by which a shell completes ttm's words.",
}
SLOW = 1.0  # seconds in which a plugin should be loaded
_MODULES = dict.fromkeys(
    ("markers", "templates", "strategies", "policies", "tasks", "extractors", "profiles", "guides"),
    "components",
)


@dataclass
class Context:
    """What every command gets: the global options, and plugins and config made on first use."""

    config_path: Path | None = None
    disabled: tuple[str, ...] = ()
    third_party: bool = True
    debug: bool = False
    typed: tuple[str, ...] = ()  # while a shell completes a word: those before it
    output: StandardOutput = field(default_factory=StandardOutput)
    parts: list[Part] = field(default_factory=list)  # of what the command is given
    command: Entry[Any] | None = None  # of a plugin, once it is known that it is to be run

    @cached_property
    def plugins(self) -> Plugins:
        """The loaded plugins."""
        loaded = create_plugins(disabled=self.disabled, third_party=self.third_party)
        for record in loaded.records:
            if record.seconds > SLOW:
                click.echo(
                    f"plugin {record.name} ({record.source}) took {record.seconds:.1f} s to load: see ttm plugins list "
                    f"--timing, leave it out with --no-plugin {record.name}",
                    err=True,
                )
        for name in self.disabled:
            known = [word for record in loaded.records for word in (record.name, record.distribution)]
            if normal(name) not in map(normal, known):
                click.echo(f"--no-plugin {name}: no plugin has this name: {did_you_mean(name, known)}", err=True)
        return loaded

    def config(self, overrides: Sequence[str] = ()) -> Config:
        """Return the config file with overrides applied."""
        from ttmarkers.config import load_config

        return load_config(self.config_path, overrides, self.profile)

    def profile(self, name: str) -> str:
        """Return the YAML of a profile."""
        from ttmarkers.components import read_data

        return read_data(self.plugins.profiles().get(name, where="data.profile").source)


class Group(click.Group):
    """Commands by name: ours are imported when asked for, those of plugins come from their hooks."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our commands in the order of the loop, then those of plugins by name."""
        return [*COMMANDS, *(name for name in self._plugins(ctx).commands().names if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"ttmarkers.cli.{_MODULES.get(cmd_name, cmd_name)}")
            command: click.Command = getattr(module, cmd_name)
            return command
        commands = self._plugins(ctx).commands()
        if cmd_name in commands:
            added: click.Command = commands.get(cmd_name)
            return added
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a hint if its name is misspelt."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            error = unknown_name("command", args[0], self.list_commands(ctx))
            if failed := [record.name for record in self._plugins(ctx).failed]:
                raise type(error)(f"{error} (plugins that did not load: {', '.join(failed)}; see ttm plugins list)")
            raise error
        if args and args[0] not in COMMANDS and args[0] in self._plugins(ctx).commands():
            context = ctx.ensure_object(Context)
            context.command = self._plugins(ctx).commands().entry(args[0])
            context.output.give_back()  # a plugin's command prints what it likes
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        added = self._plugins(ctx).commands()
        rows = [*COMMANDS.items()]
        for entry in added:
            if entry.component.name not in COMMANDS:
                rows.append((entry.component.name, entry.component.get_short_help_str()))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    @staticmethod
    def _plugins(ctx: click.Context) -> Plugins:
        return ctx.ensure_object(Context).plugins


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Begin with ttm quickstart. What a command does, with examples: ttm COMMAND --help.",
)
@click.option("-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="Config file in YAML.")
@click.option(
    "--no-plugin",
    multiple=True,
    metavar="NAME",
    help="Do not load this plugin (may be repeated).",
    shell_complete=completing.plugins,
)
@click.option("--no-plugins", is_flag=True, help="Load no plugins but the built-ins.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="ttm")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, no_plugin: tuple[str, ...], no_plugins: bool, debug: bool) -> None:
    """Training-time markers: annotate, train, steer, measure."""
    context = ctx.ensure_object(Context)
    context.config_path, context.disabled = config, no_plugin
    context.third_party, context.debug = not no_plugins, debug


def _early(context: Context, arguments: Sequence[str]) -> None:
    """Read the options that decide which plugins are imported, before click does anything with plugins."""
    words = iter(arguments)
    disabled = []
    for word in words:
        if word == "--no-plugins":
            context.third_party = False
        elif word == "--debug":
            context.debug = True
        elif word == "--no-plugin":
            disabled.append(next(words, ""))
        elif word.startswith("--no-plugin="):
            disabled.append(word.partition("=")[2])
    context.disabled = tuple(disabled)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``ttm`` and exit: 0 done, 1 the work failed, 2 the command, config or a name is wrong, 130 interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    context = Context()
    if asked := os.environ.get("_TTM_COMPLETE"):
        from ttmarkers.cli.completion import answer

        sys.exit(answer(cli, asked, context, partial(_early, context)))
    _early(context, words)
    context.output.keep()
    try:
        code = _run(words, context)
    finally:
        # a process that ends leaves it as it is: what plugins print at its end is not ours either
        if arguments is None:
            context.output.end()
        else:
            context.output.give_back()
    sys.exit(code)


def _run(words: list[str], context: Context) -> int:
    """Run a command and return the exit code; an error is told in one sentence."""
    try:
        code = cli.main(args=words, prog_name="ttm", standalone_mode=False, obj=context)
        context.output.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        from ttmarkers.cli.usage import usage_sentence

        click.echo(f"ttm: {usage_sentence(error, cli, words)}", err=True)
        return error.exit_code
    except TtmError as error:
        return _tell(error, context)
    except (click.Abort, KeyboardInterrupt):
        click.echo("ttm: interrupted", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing is left to say
        return 1
    except BaseException as error:
        sentence = _blamed(error, context)
        if not sentence and isinstance(error, OSError):
            place = f"{error.filename}: " if error.filename else ""
            sentence = f"{place}{error.strerror or error}"
        if not sentence:
            raise  # our own mistake, or the end that a plugin's command wants
        if context.debug:
            traceback.print_exception(error)
        click.echo(f"ttm: {sentence}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _blamed(error: BaseException, context: Context) -> str:
    """Return what is told of an error in a plugin's code; nothing if it is another's."""
    if "plugins" not in vars(context) or (isinstance(error, SystemExit) and context.command):
        return ""
    from ttmarkers.plugins.blame import culprit

    found = culprit(error, context.plugins, context.command)
    return found.sentence(error) if found else ""


def _tell(error: TtmError, context: Context) -> int:
    if context.debug:
        traceback.print_exception(error)
    click.echo(f"ttm: {_from_where(error, context) or error}", err=True)
    return error.exit_code


def _from_where(error: TtmError, context: Context) -> str:
    """Return what is told of a missing component that had a part in what the command is given; nothing of others."""
    missing = error if isinstance(error, UnknownNameError) else error.__cause__
    if not context.parts or not isinstance(missing, UnknownNameError):
        return ""
    from ttmarkers.provenance import hint

    found = hint(context.parts, context.plugins, missing.kind, missing.name)
    return f"{missing}; {found}" if found else ""
