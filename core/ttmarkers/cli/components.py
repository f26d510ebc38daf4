"""Commands that list what there is: ``ttm markers``, ``templates``, ``profiles`` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option
from ttmarkers.cli.output import note, print_json, print_table, warn_of_failed
from ttmarkers.taxonomies.sources import check_names, current_changes, current_taxonomy, list_types
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from ttmarkers.cli import Context
    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.taxonomies.sources import Listed


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
    listed, faults = list_types(context.plugins, context.config().markers)
    warn_of_failed(context.plugins)
    for fault in faults:
        note(fault)
    kinds = [each.kind for each in listed]
    if markdown:
        click.echo(_page(kinds, context))
        return
    if as_json:
        print_json([_listed(each) for each in listed])
        return
    print_table(
        ("name", "kind", "values", "summary"),
        [(kind.name, kind.kind, len(kind.values) or kind.unit or "-", kind.summary) for kind in kinds],
    )
    for change in (change for each in listed for change in each.changes):
        click.echo(f"{change.change.marker}: {change}")


def _listed(each: Listed) -> dict[str, Any]:
    changes = {"changes": [change.to_json() for change in each.changes]} if each.changes else {}
    return {**Taxonomy((each.kind,)).to_json()[0], "distribution": each.source, **changes}


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


@markers.command("show", epilog=examples("ttm markers show lang"))
@click.argument("name", shell_complete=completing.names("marker_types"))
@json_option
@click.pass_obj
def markers_show(context: Context, name: str, as_json: bool) -> None:
    """Show one marker type: its values and who finds it.

    NAME is one of those that ttm markers list shows.
    """
    config = context.config()
    check_names([name], context.plugins, config.markers, where="")
    kind = current_taxonomy(context.plugins, config.markers).get(name)
    changes = current_changes(context.plugins, config.markers).get(name, [])
    finders = [c.name for c in _finders(kind, [e.component for e in context.plugins.extractors()])]
    if as_json:
        made = {"changes": [change.to_json() for change in changes]} if changes else {}
        print_json({**Taxonomy((kind,)).to_json()[0], "extractors": finders, **made})
        return
    click.echo(f"{kind.name} ({kind.kind}): {kind.summary}")
    if kind.values:
        click.echo(f"values: {', '.join(kind.values)}")
    if kind.aliases:
        click.echo(f"aliases: {', '.join(f'{alias} = {value}' for alias, value in kind.aliases.items())}")
    for change in changes:
        click.echo(f"changed: {change}")
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


@templates.command("show", epilog=examples("ttm templates show compact", "ttm templates show mine.jinja"))
@click.argument("name", shell_complete=completing.names("templates", files=True))
@json_option
@click.pass_obj
def templates_show(context: Context, name: str, as_json: bool) -> None:
    """Show a template's source and a block that it writes.

    NAME is one of those that ttm templates list shows, or a .jinja file.
    """
    from ttmarkers.blocks.source import read_source, template_component
    from ttmarkers.blocks.template import load_template

    component = template_component(name, context.plugins, where="")
    taxonomy = current_taxonomy(context.plugins, context.config().markers)
    template = load_template(component, taxonomy)
    block = template.render({"length_tokens": 199, "task": "OpenEnded", "lang": "French"})
    if as_json:
        print_json({"name": name, "source": read_source(component), "block": block})
    else:
        click.echo(f"{read_source(component).rstrip()}\n\n{block}")


def _simple_group(name: str, what: str) -> click.Group:
    """Return a group with the one command ``list``."""

    @click.command("list", help=f"List {what}.")
    @json_option
    @click.pass_obj
    def list_command(context: Context, as_json: bool) -> None:
        _list(getattr(context.plugins, name)(), as_json)

    return click.Group(name, commands=[list_command], help=f"List {what}.")


def _with_source(name: str, what: str, kind: str, example: str) -> click.Group:
    """Return a group whose components are data: ``list``, and ``show`` for the text of one."""
    group = _simple_group(name, what)

    @group.command(
        "show",
        help=f"Show a {kind} as it is written.\n\nNAME is one of those that ttm {name} list shows.",
        epilog=examples(f"ttm {name} show {example}"),
    )
    @click.argument("name", metavar="NAME", shell_complete=completing.names(name))
    @json_option
    @click.pass_obj
    def show_command(context: Context, name: str, as_json: bool) -> None:
        from ttmarkers.components import read_data

        source = read_data(getattr(context.plugins, group.name or "")().get(name).source)
        if as_json:
            print_json({"name": name, "source": source})
        else:
            click.echo(source.rstrip())

    return group


profiles = _with_source("profiles", "profiles of data sets", "profile", "dolly")
guides = _with_source("guides", "what taggers are told of markers", "guide", "en")
strategies = _simple_group("strategies", "training strategies")
policies = _simple_group("policies", "decoding policies")
tasks = _simple_group("tasks", "evaluation tasks")
extractors = _simple_group("extractors", "extractors")
