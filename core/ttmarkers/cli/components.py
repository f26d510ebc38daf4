"""Commands that list what there is: ``ttm markers``, ``templates``, ``profiles`` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.output import json_option, print_json, print_table, warn_of_failed
from ttmarkers.taxonomy import Taxonomy, make_taxonomy

if TYPE_CHECKING:
    from ttmarkers.cli import Context
    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.registry import Registry


def _list(registry: Registry[Any], as_json: bool) -> None:
    rows = [
        {"name": entry.component.name, "summary": entry.component.summary, "distribution": entry.distribution}
        for entry in registry
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(("name", "summary", "from"), [tuple(row.values()) for row in rows])


@click.group()
def markers() -> None:
    """List marker types and their values."""


@markers.command("list")
@json_option
@click.option("--markdown", is_flag=True, help="Print the whole taxonomy as a page.")
@click.pass_obj
def markers_list(context: Context, as_json: bool, markdown: bool) -> None:
    """List the marker types in the order in which a block writes them."""
    registry = context.plugins.marker_types()
    # not by Registry.all: a listing shows both of two types with one name
    order = make_taxonomy({entry.component.name: entry.component for entry in registry}).names
    entries = sorted(registry, key=lambda entry: order.index(entry.component.name))
    warn_of_failed(context.plugins)
    if markdown:
        click.echo(_page([entry.component for entry in entries], context))
        return
    if as_json:
        print_json(
            [{**Taxonomy((entry.component,)).to_json()[0], "distribution": entry.distribution} for entry in entries]
        )
        return
    kinds = [entry.component for entry in entries]
    print_table(
        ("name", "kind", "values", "summary"),
        [(kind.name, kind.kind, len(kind.values) or kind.unit or "-", kind.summary) for kind in kinds],
    )


def _page(kinds: list[MarkerType], context: Context) -> str:
    """Return the reference page of marker types."""
    extractors = list(context.plugins.extractors())
    lines = [
        "# Taxonomy",
        "",
        "Written by `ttm markers list --markdown`; the order is that of a block. `ttm annotate` finds a marker by the",
        "data set's own word first (`markers.declared`), then by the extractors named here, in this order.",
    ]
    for kind in kinds:
        lines += ["", f"## `{kind.name}`", "", f"{kind.summary} Kind: {kind.kind}."]
        if kind.values:
            lines += ["", ", ".join(f"`{value}`" for value in kind.values)]
        if kind.unit or kind.minimum is not None:
            least = f"; the least is {kind.minimum:g}" if kind.minimum is not None else ""
            lines += ["", f"In {kind.unit or 'points'}{least}."]
        if kind.aliases:
            lines += ["", "Also written " + ", ".join(f"`{a}` = {v}" for a, v in sorted(kind.aliases.items())) + "."]
        found = _finders(kind, [e.component for e in extractors])
        lines += ["", *(f"- `{c.name}`{'' if c.default else ' (when named)'}: {c.summary}" for c in found)]
        if not found:
            lines += ["No extractor finds it: the data set must say it."]
    return "\n".join(lines)


def _finders(kind: MarkerType, components: list[ExtractorComponent]) -> list[ExtractorComponent]:
    """Return the extractors of a marker type; where none is asked unnamed, those of any category too."""
    own = [component for component in components if kind.name in component.markers]
    if not kind.values or any(component.default for component in own):
        return own
    return [*own, *(component for component in components if not component.markers)]


@markers.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def markers_show(context: Context, name: str, as_json: bool) -> None:
    """Show one marker type: its values and who finds it."""
    kind = context.plugins.marker_types().get(name)
    finders = [c.name for c in _finders(kind, [e.component for e in context.plugins.extractors()])]
    if as_json:
        data = next(entry for entry in make_taxonomy({name: kind}).to_json())
        print_json({**data, "extractors": finders})
        return
    click.echo(f"{kind.name} ({kind.kind}): {kind.summary}")
    if kind.values:
        click.echo(f"values: {', '.join(kind.values)}")
    if kind.aliases:
        click.echo(f"aliases: {', '.join(f'{alias} = {value}' for alias, value in kind.aliases.items())}")
    click.echo(f"extractors: {', '.join(finders) or 'none: declare it in the config (markers.declared)'}")


@click.group()
def templates() -> None:
    """List block templates."""


@templates.command("list")
@json_option
@click.pass_obj
def templates_list(context: Context, as_json: bool) -> None:
    """List the block templates."""
    _list(context.plugins.templates(), as_json)


@templates.command("show")
@click.argument("name")
@click.pass_obj
def templates_show(context: Context, name: str) -> None:
    """Show a template's source and a block that it writes."""
    from ttmarkers.template import load_template
    from ttmarkers.template_source import read_source

    component = context.plugins.templates().get(name)
    taxonomy = make_taxonomy(context.plugins.marker_types().all())
    template = load_template(component, taxonomy)
    click.echo(read_source(component).rstrip())
    click.echo()
    click.echo(template.render({"length_tokens": 199, "task": "OpenEnded", "lang": "French"}))


def _simple_group(name: str, what: str) -> click.Group:
    """Return a group with the one command ``list``."""

    @click.command("list", help=f"List {what}.")
    @json_option
    @click.pass_obj
    def list_command(context: Context, as_json: bool) -> None:
        _list(getattr(context.plugins, name)(), as_json)

    return click.Group(name, commands=[list_command], help=f"List {what}.")


profiles = _simple_group("profiles", "profiles of data sets")


@profiles.command("show")
@click.argument("name")
@click.pass_obj
def profiles_show(context: Context, name: str) -> None:
    """Show what a profile says, as a part of the config."""
    from ttmarkers.components import read_data

    click.echo(read_data(context.plugins.profiles().get(name).source).rstrip())


guides = _simple_group("guides", "guides of markers")


@guides.command("show")
@click.argument("name")
@click.pass_obj
def guides_show(context: Context, name: str) -> None:
    """Show a guide as it is written."""
    from ttmarkers.components import read_data

    click.echo(read_data(context.plugins.guides().get(name).source).rstrip())


strategies = _simple_group("strategies", "training strategies")
policies = _simple_group("policies", "decoding policies")
tasks = _simple_group("tasks", "evaluation tasks")
extractors = _simple_group("extractors", "extractors")
