"""What is wrong with a command line, in one sentence: what, where, and how to mend it; for commands of plugins too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from ttmarkers.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VALUE = re.compile(r"(['\"])(?P<value>.*?)\1 is not one of ")


def usage_sentence(error: click.ClickException, root: click.Group, words: Sequence[str]) -> str:
    """Return what click found wrong as a sentence in the form of all our errors.

    Args:
        error: of click, raised by a command of ours or of a plugin.
        root: the command ``ttm``.
        words: behind ``ttm``, as they were typed.
    """
    if not isinstance(error, click.UsageError):
        return error.format_message().rstrip(".")
    context = error.ctx or _reached(root, words)
    where = context.command_path
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error.option_name, context)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"missing {_called(error.param, context)} ({where}): {_example(context)}"
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param, context)
    if (name := getattr(error, "command_name", None)) and isinstance(context.command, click.Group):
        return str(unknown_name("command", name, context.command.list_commands(context), where=where))
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]} ({where}): {_example(context)}"


def _reached(root: click.Group, words: Sequence[str]) -> click.Context:
    """Return the context of the command that words lead to, for an error that does not say it."""
    context = click.Context(root, info_name="ttm", **root.context_settings)
    for word in words:
        if isinstance(context.command, click.Group) and (found := context.command.get_command(context, word)):
            context = click.Context(found, info_name=word, parent=context)
    return context


def _no_such_option(name: str, context: click.Context) -> str:
    above = context.parent
    while above is not None:
        if name in _options(above):
            return (
                f"unknown option {name!r} ({context.command_path}): it belongs to {above.command_path}, "
                f"so write it before {context.command_path.removeprefix(above.command_path).split()[0]}"
            )
        above = above.parent
    return str(unknown_name("option", name, _options(context), where=context.command_path))


def _options(context: click.Context) -> list[str]:
    params = context.command.get_params(context)
    return [
        name
        for param in params
        if isinstance(param, click.Option) and not param.hidden
        for name in (*param.opts, *param.secondary_opts)
    ]


def _bad_value(error: click.BadParameter, param: click.Parameter, context: click.Context) -> str:
    name = _called(param, context)
    said = _VALUE.match(error.message)
    if said and isinstance(param.type, click.Choice):
        known: Iterable[str] = map(str, param.type.choices)
        return str(unknown_name("value", said["value"], known, where=f"{context.command_path}, {name}"))
    return f"{name} ({context.command_path}): {error.message.rstrip('.')}"


def _called(param: click.Parameter, context: click.Context) -> str:
    """Return a parameter as the help writes it: ``argument INPUT...`` or ``option -o/--output PATH``."""
    if isinstance(param, click.Option):
        value = "" if param.is_flag else f" {param.make_metavar(context)}"
        return f"option {'/'.join(param.opts)}{value}"
    return f"argument {param.make_metavar(context).strip('[]')}"


def _example(context: click.Context) -> str:
    """Return an example of use, from the help text's end, or the form that the command has."""
    for line in (context.command.epilog or "").splitlines():
        if f"{line.strip()} ".startswith(f"{context.command_path} "):
            return f"for example: {line.strip()}"
    return f"write {' '.join([context.command_path, *context.command.collect_usage_pieces(context)])}"
