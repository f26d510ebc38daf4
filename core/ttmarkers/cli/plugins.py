"""``ttm plugins``: what is installed, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.options import Ordered, examples, json_option, kind_option
from ttmarkers.cli.output import print_json, print_table
from ttmarkers.cli.scaffold import new
from ttmarkers.plugins.kinds import CHANGE, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.cli import Context
    from ttmarkers.plugins.manager import PluginRecord, Plugins

_WORDS = {kind.replace(" ", "-"): kind for kind in KINDS}
"""Kinds as one word each."""


@click.group(cls=Ordered)
def plugins() -> None:
    """List plugins, and begin new ones."""


@plugins.command("list", epilog=examples("ttm plugins list --kind extractor", "ttm plugins list --timing"))
@kind_option(_WORDS, "Only components of this kind")
@click.option("--timing", is_flag=True, help="Show how long importing each plugin and calling its hooks took.")
@json_option
@click.pass_obj
def plugins_list(context: Context, as_json: bool, kinds: tuple[str, ...], timing: bool) -> None:
    """List every plugin with what it offers.

    Of those that did not load, the error is shown.
    """
    wanted = [_WORDS[word] for word in kinds or _WORDS]
    rows = [_row(record, context.plugins, wanted) for record in context.plugins.records]
    if as_json:
        print_json(rows)
        return
    if timing:
        print_table(("name", "distribution", "version", "status", "import", "hooks"), [_times(row) for row in rows])
    else:
        head = ("kind", "component", "plugin", "distribution", "version", "status")
        print_table(head, [line for row in rows for line in _lines(row, context.plugins)])
    for row in rows:
        for said in filter(None, [row["error"], *row["notes"]]):
            click.echo(f"{row['name']} ({row['distribution']} {row['version']}): {said}")


@plugins.command("hooks", epilog=examples("ttm plugins hooks --markdown > hooks.md"))
@click.option("--markdown", is_flag=True, help="Print all hooks and signatures as a page.")
@json_option
def plugins_hooks(as_json: bool, markdown: bool) -> None:
    """List the hooks that a plugin may implement.

    As JSON or as a page, all that plugins depend on is there: the hooks' arguments, the fields of components, the
    methods of what their factories return.
    """
    from ttmarkers.plugins.hooks_page import page
    from ttmarkers.plugins.signatures import signatures

    if markdown:
        click.echo(page(), nl=False)
    elif as_json:
        print_json(signatures())
    else:
        rows = [
            (name, ", ".join(hook["arguments"]) or "-", hook["yields"]) for name, hook in signatures()["hooks"].items()
        ]
        print_table(("hook", "arguments", "returns"), rows)


plugins.add_command(new)


def _row(record: PluginRecord, plugins: Plugins, kinds: Sequence[str]) -> dict[str, Any]:
    """Return what is known of a plugin, with its components of some kinds."""
    components = {
        KINDS[kind].plural: [
            entry.component.name
            for entry in plugins.registry(kind)
            if (entry.distribution, entry.plugin) == (record.source, record.name)
        ]
        for kind in kinds
    }
    return {
        "name": record.name,
        "distribution": record.distribution,
        "version": record.version,
        "status": record.status,
        "hooks": list(record.hooks),
        "components": {kind: names for kind, names in components.items() if names},
        "seconds": round(record.seconds, 4),
        "import_seconds": round(record.import_seconds, 4),
        "hook_seconds": round(record.hook_seconds, 4),
        "notes": list(record.notes),
        "error": record.error,
    }


def _lines(row: Mapping[str, Any], plugins: Plugins) -> Iterator[tuple[str, ...]]:
    """Yield a line for each component of a plugin; one alone for a plugin that could not be used."""
    from ttmarkers.cli import COMMANDS

    plugin = (row["name"], row["distribution"], row["version"])
    if row["status"] != "ok":
        yield ("-", "-", *plugin, row["status"])
    for word, kind in _WORDS.items():
        for name in row["components"].get(KINDS[kind].plural, ()):
            # several changes may have one name
            twice = kind != CHANGE and len(plugins.registry(kind).owners(name)) > 1
            hidden = kind == "command" and name in COMMANDS
            status = "hidden by ttm's own" if hidden else "offered twice" if twice else row["status"]
            yield (word, name, *plugin, status)


def _times(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = (row["name"], row["distribution"], row["version"], row["status"])
    return (*names, f"{row['import_seconds']:.3f} s", f"{row['hook_seconds']:.3f} s")
