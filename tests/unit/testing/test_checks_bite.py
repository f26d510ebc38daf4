"""Broken marker types, templates, profiles, guides and commands: each check finds what it is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import pytest

from biting import Bite, all_bitten, bites, fails
from ttmarkers.components import GuideComponent, MarkerType, ProfileComponent, TaxonomyChange, TemplateComponent
from ttmarkers.testing import (
    ConformanceError,
    check_command,
    check_guide,
    check_marker_type,
    check_profile,
    check_taxonomy_change,
    check_template,
    commands,
    data,
    marker_types,
    taxonomy_changes,
    templates,
)

if TYPE_CHECKING:
    from ttmarkers.plugins.manager import Plugins

VALUES = ("happy", "sad")


def mood(values: Any = VALUES, aliases: dict[str, str] | None = None, **keys: Any) -> MarkerType:
    """Return a marker type that is sound but for what is given."""
    return MarkerType(
        **{"name": "mood", "summary": "How it feels.", "kind": "categorical", **keys},
        values=values,
        aliases=aliases or {},
    )


MARKER_TYPES = (
    Bite("has-a-plain-name", "'humör' cannot be written", mood(name="humör")),
    Bite("has-a-plain-name", "no summary of one line", mood(summary="One.\nTwo.")),
    Bite("has-a-known-kind", "kind 'number' is unknown", MarkerType("n", "Some.", "number")),  # type: ignore[arg-type]
    Bite("has-a-known-kind", "neither minimum nor unit", mood(unit="smiles")),
    Bite("has-a-known-kind", "minimum -inf", MarkerType("n", "Some.", "int", minimum=float("-inf"))),
    Bite("has-values-that-differ", "'Happy' and 'happy' are the same", mood(("Happy", "happy"))),
    Bite("has-values-that-differ", "'sad ' begins or ends with white space", mood(("happy", "sad "))),
    Bite("has-values-that-differ", "value 1 is no text", mood((1, 2))),
    Bite("has-aliases-of-its-values", "':-)' stands for 'glad'", mood(aliases={":-)": "glad"})),
    Bite("has-aliases-that-collide-with-nothing", "is the value 'sad' itself", mood(aliases={"SAD": "happy"})),
    Bite("has-aliases-that-collide-with-nothing", "are one spelling", mood(aliases={"so": "happy", "So": "sad"})),
    Bite("is-stored-in-markers-json", "comes back from markers.json as another", mood(["happy", "sad"])),
    Bite(
        "is-written-by-every-template",
        "cannot write 10000000000",
        MarkerType("n", "Some.", "int", minimum=10_000_000_000),
    ),
)


@bites(MARKER_TYPES)
def test_marker_types(bite: Bite, plugins: Plugins) -> None:
    """What users cannot write, or models cannot carry, is found."""
    fails(bite, check_marker_type, plugins=plugins)


def block(
    marker: str = "{{ name }}={{ value }};", opening: str = "<", closing: str = ">", **strings: str
) -> TemplateComponent:
    """Return a template of its parts."""
    source = "".join(f"{{% set {name} = {value!r} %}}" for name, value in {"after": "\n", **strings}.items())
    for head, text in (("opening()", opening), ("marker(name, value)", marker), ("closing()", closing)):
        source += f"{{% macro {head} %}}{text}{{% endmacro %}}"
    return TemplateComponent("mine", "My own.", source)


TEMPLATES = (
    Bite("has-a-name-and-a-summary", "'my own' cannot be written", TemplateComponent("my own", "Mine.", "x")),
    Bite("has-a-name-and-a-summary", "no summary", TemplateComponent("mine", "", "x")),
    Bite("has-a-sound-source", "lacks the macro", TemplateComponent("mine", "Mine.", "{{ 1 }}")),
    Bite("has-a-sound-source", "gone.jinja", TemplateComponent("mine", "Mine.", "ttmarkers_templates:gone.jinja")),
    Bite("has-a-sound-source", "may not depend on it", block("{{ name }}={{ value }}{{ value | length }};")),
    Bite("reads-back-what-it-writes", "cannot read that", block("{{ name }}{{ value }};")),
    Bite("reads-back-what-it-writes", "cannot read that", block("{{ name }}={{ value }}", joiner="x")),
    Bite("reads-back-what-it-writes", "cannot read that", block("{{ name }}={{ value }}end", joiner=" ")),
    Bite("has-a-grammar-of-what-it-writes", "cannot be used", block(opening="<{{ '\\ud800' }}")),
    Bite("is-parted-from-the-answer", "for the answer", block(opening="(", closing=")", after="()")),
)


@bites(TEMPLATES)
def test_templates(bite: Bite) -> None:
    """A block that cannot be read back, or not be told from the answer, is found."""
    fails(bite, check_template, types=[mood(), MarkerType("n", "Some.", "int")])


def test_a_sound_template_passes() -> None:
    """The template that the broken ones are made of is sound."""
    check_template(block(), [mood(), MarkerType("n", "Some.", "int")])


def profile(source: str) -> ProfileComponent:
    """Return a profile."""
    return ProfileComponent("diary", "Mine.", source)


PROFILES = (
    Bite("has-a-name-and-a-summary", "no summary", ProfileComponent("diary", " ", "seed: 1")),
    Bite("is-found", "cannot be read", profile("ttmarkers_templates:profiles/gone.yaml")),
    Bite("is-found", "cannot be read", profile("no_such_package:diary.yaml")),
    Bite("is-found", "is empty", profile(" ")),
    Bite("is-a-part-of-a-config", "no keys with values", profile("- 1")),
    Bite(
        "is-a-part-of-a-config", "it is no part of a config", profile("markers: {declare: {source: {constant: Human}}}")
    ),
    Bite("is-a-part-of-a-config", "unknown marker 'sauce'", profile("markers: {declared: {sauce: {constant: Human}}}")),
    Bite(
        "declares-values-that-there-are",
        "source = 'Martian'",
        profile("markers: {declared: {source: {constant: Martian}}}"),
    ),
    Bite(
        "declares-values-that-there-are",
        "lang = 'Klingon'",
        profile("markers: {declared: {lang: {column: l, values: {k: Klingon}}}}"),
    ),
)


@bites(PROFILES)
def test_profiles(bite: Bite, plugins: Plugins) -> None:
    """A profile that a run would stop at is found before."""
    fails(bite, check_profile, plugins=plugins)


def guide(source: str) -> GuideComponent:
    """Return a guide."""
    return GuideComponent("mine", "Mine.", source)


GUIDES = (
    Bite("has-a-name-and-a-summary", "no summary", GuideComponent("mine", "", "markers: {}")),
    Bite("is-found", "cannot be read", guide("ttmarkers_templates:guides/gone.yaml")),
    Bite("is-a-guide-of-markers", "there is no such key", guide("markers: {task: {questions: What?}}")),
    Bite("is-a-guide-of-markers", "unknown marker 'tusk'", guide("markers: {tusk: {question: What?}}")),
    Bite(
        "is-a-guide-of-markers", "no value 'Fixing'", guide("markers: {task: {values: {Fixing: {definition: Mend.}}}}")
    ),
    Bite("says-something", "says nothing of any marker", guide("markers: {task: {}}")),
)


@bites(GUIDES)
def test_guides(bite: Bite, plugins: Plugins) -> None:
    """A guide of what there is not is found, though the framework itself passes over it."""
    fails(bite, check_guide, plugins=plugins)


def command(name: str = "smile", callback: Any = lambda: click.echo(":-)"), **keys: Any) -> click.Command:
    """Return a command that is sound but for what is given."""
    return click.Command(name, callback=callback, **{"help": "Smile.", **keys})


class Failing(click.Command):
    """A command whose help fails."""

    def get_help(self, ctx: click.Context) -> str:
        raise RuntimeError("no help")


class Mute(click.Command):
    """A command whose help is of another kind."""

    def get_help(self, ctx: click.Context) -> str:
        return "Guess!"


class Swallowing(click.Command):
    """A command that passes over what it does not know."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [word for word in args if word == "--help"])


class Lying(click.Group):
    """A group that lists what is not there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["gone"]


def group(*commands: click.Command, **named: click.Command) -> click.Group:
    """Return a group of commands."""
    found = click.Group("smile", help="Smile.", commands=commands)
    for name, added in named.items():
        found.add_command(added, name)
    return found


COMMANDS = (
    Bite("has-a-name-of-its-own", "yield a click command", print),
    Bite("has-a-name-of-its-own", "cannot be written", command("big smile")),
    Bite("has-a-name-of-its-own", "ttm has a command 'train' itself", command("train")),
    Bite("has-a-name-of-its-own", "is named 'grin' itself", group(laugh=command("grin"))),
    Bite("has-a-name-of-its-own", "is listed and not there", Lying("smile", help="Smile.")),
    Bite("says-what-it-does", "ttm smile has no help", command(help=None)),
    Bite("says-what-it-does", "ttm smile grin has no help", group(command("grin", help=None))),
    Bite("says-what-its-options-are", "option --wide of ttm smile", command(params=[click.Option(["--wide"])])),
    Bite("says-what-its-options-are", "no long name", command(params=[click.Option(["-w"], help="Wide.")])),
    Bite("shows-its-help", "exits with 1 (RuntimeError (no help))", Failing("smile", help="Smile.")),
    Bite("shows-its-help", "prints 'Guess!", Mute("smile", help="Smile.")),
    Bite(
        "refuses-what-it-does-not-know",
        "takes an unknown option",
        Swallowing("smile", help="Smile."),
    ),
)


@bites(COMMANDS)
def test_commands(bite: Bite) -> None:
    """A command that users cannot call, or not understand, is found."""
    fails(bite, check_command)


def test_sound_ones_pass(plugins: Plugins) -> None:
    """What the broken ones were made of is sound."""
    check_marker_type(mood(aliases={":-)": "happy"}), plugins=plugins)
    check_taxonomy_change(change(rename={"Sciences": "Science"}))
    check_profile(profile("markers: {declared: {source: {constant: Human}}}"), plugins=plugins)
    check_guide(guide("markers: {task: {question: What is asked?}}"), plugins=plugins)
    check_command(group(command("grin", params=[click.Option(["-w", "--wide"], help="Wide.")])))


def change(name: str = "robots", marker: str = "domain", **keys: Any) -> TaxonomyChange:
    """Return a change that is sound but for what is given."""
    return TaxonomyChange(name, **{"summary": "Robots are a domain.", "marker": marker, "add": ("Robotics",), **keys})


CHANGES = (
    Bite("has-a-name-and-a-summary", "the name 'two words' cannot be written", change("two words")),
    Bite("has-a-name-and-a-summary", "no summary of one line", change(summary="")),
    Bite("fits-what-is-there", "'domian'", change(marker="domian")),
    Bite("fits-what-is-there", "'Robots'", change(rename={"Robots": "Robotics"})),
    Bite(
        "fits-what-is-there",
        "'Sciences'",
        change(rename={"Sciences": "Science"}, split={}, aliases={"Sciences": "Law"}),
    ),
    Bite("has-values-that-differ", "begins or ends with white space", change(add=("Robotics ",))),
)


@bites(CHANGES)
def test_taxonomy_changes(bite: Bite) -> None:
    """A change that cannot be made, or of which nothing sound comes, is found."""
    fails(bite, check_taxonomy_change)


def test_every_check_bites() -> None:
    """No check is without a component above that it finds broken."""
    all_bitten(taxonomy_changes.CHECKS, CHANGES)
    all_bitten(marker_types.CHECKS, MARKER_TYPES)
    all_bitten(templates.CHECKS, TEMPLATES)
    all_bitten(data.PROFILE_CHECKS, PROFILES)
    all_bitten(data.GUIDE_CHECKS, GUIDES)
    all_bitten(commands.CHECKS, COMMANDS)


def test_printing_is_found(plugins: Plugins) -> None:
    """A component that prints is found by what it prints, whatever its kind."""

    class Loud(click.Command):
        def get_short_help_str(self, limit: int = 45) -> str:
            print("hello")
            return "Smile."

    with pytest.raises(ConformanceError, match=r"it prints 'hello' on standard output.*\(check prints-nothing\)"):
        check_command(Loud("smile", help="Smile."))
