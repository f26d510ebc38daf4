"""The reference page of the command line, from the commands themselves.

``python -m ttmarkers.cli.pages > docs/reference/cli.md`` writes it; a test holds the page to the code.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import Context, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# Command line

Written by `python -m ttmarkers.cli.pages` from the commands; a plugin's own are not here, `ttm --help` lists them too.

Every command has `-h` and `--help`. Results go to standard output, progress and messages to standard error. `--json`
prints one JSON document, or one a line for rows. Exit codes: 0 done; 1 the work failed, or a check found errors; 2 the
command, the config or a name is wrong; 130 interrupted.
"""


def cli_page() -> str:
    """Return the page: every command of ours with its arguments and options, in Markdown."""
    context = click.Context(cli, info_name="ttm", obj=Context(third_party=False), **cli.context_settings)
    return "\n".join([HEAD, *_sections(cli, context)])


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    level = "###" if context.parent and context.parent.parent else "##"
    yield f"{level} `{context.command_path}`\n"
    yield _help(command)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```\n"
    shown = [param for param in command.get_params(context) if isinstance(param, click.Option) and not param.hidden]
    if rows := [_row(option, context) for option in shown if "--help" not in option.opts]:
        yield "| option | meaning | default |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(below, info_name=name, parent=context, **below.context_settings)
                yield from _sections(below, inner)


def _help(command: click.Command) -> str:
    r"""Return a command's help; a paragraph that begins with ``\b`` keeps its lines."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    texts = []
    for paragraph in paragraphs:
        if not paragraph.startswith("\b"):
            texts.append(_plain(" ".join(paragraph.split())))
            continue
        title, *lines = paragraph.removeprefix("\b").strip("\n").splitlines()
        texts.append(f"{_plain(title)}\n\n```text\n" + "\n".join(line.strip() for line in lines) + "\n```")
    return "\n\n".join(texts) + "\n"


def _row(option: click.Option, context: click.Context) -> str:
    names, extra = ", ".join([*option.opts, *option.secondary_opts]), option.get_help_extra(context)
    metavar = "" if option.is_flag else f" {option.make_metavar(context)}"
    default = extra.get("default")
    notes = [text for text in (extra.get("range"), extra.get("required")) if text]
    meaning = " ".join([_plain(option.help or ""), *(f"[{_plain(note)}]" for note in notes)])
    cells = (f"`{names}{metavar}`".replace("|", "\\|"), meaning, f"`{default}`" if default is not None else "")
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Return a help text as Markdown that shows its signs as they are."""
    for sign in ("\\", "*", "_", "<", "[", "]", "|"):
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    click.echo(cli_page(), nl=False)
