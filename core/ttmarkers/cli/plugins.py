"""``ttm plugins``: what is installed, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.output import json_option, print_json, print_table
from ttmarkers.cli.scaffold import new

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.group()
def plugins() -> None:
    """List plugins, and begin new ones."""


plugins.add_command(new)


@plugins.command("list")
@json_option
@click.option("--timing", is_flag=True, help="Show how long each plugin took to import.")
@click.pass_obj
def plugins_list(context: Context, as_json: bool, timing: bool) -> None:
    """List every plugin with what it offers.

    Of those that did not load, the error is shown.
    """
    offered = {
        kind: getattr(context.plugins, kind)()
        for kind in (
            "marker_types",
            "extractors",
            "templates",
            "strategies",
            "policies",
            "tasks",
            "profiles",
            "guides",
            "commands",
        )
    }
    rows = []
    for record in context.plugins.records:
        components = {
            kind: [
                entry.component.name
                for entry in registry
                if (entry.distribution, entry.plugin) == (record.source, record.name)
            ]
            for kind, registry in offered.items()
        }
        rows.append(
            {
                "name": record.name,
                "distribution": record.distribution,
                "version": record.version,
                "status": record.status,
                "hooks": list(record.hooks),
                "components": {kind: names for kind, names in components.items() if names},
                "seconds": round(record.seconds, 4),
                "error": record.error,
            }
        )
    if as_json:
        print_json(rows)
        return
    head = ("name", "distribution", "version", "status", *(("seconds",) if timing else ()), "offers or error")
    print_table(head, [_plugin_line(row, timing) for row in rows])


def _plugin_line(row: dict[str, Any], timing: bool) -> tuple[object, ...]:
    offers = ", ".join(f"{len(names)} {kind.replace('_', ' ')}" for kind, names in row["components"].items())
    start = (row["name"], row["distribution"], row["version"], row["status"])
    return (*start, *((f"{row['seconds']:.3f}",) if timing else ()), row["error"] or offers or "-")
