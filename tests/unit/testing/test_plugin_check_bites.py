"""The check of a whole plugin: broken ones are found, by their module or by the component that is broken."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from biting import Bite, all_bitten, bites, fails
from ttmarkers.testing import check_plugin, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD = """
from ttmarkers.components import *
from ttmarkers.hookspecs import hookimpl
from ttmarkers.records import Found
"""
TYPES = """
@hookimpl
def ttm_marker_types():
    yield MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"))
"""
SOUND = (
    TYPES
    + """
class Mood:
    def extract(self, batch):
        return [{"mood": Found("happy")} if ":-)" in subject.example.completion else {} for subject in batch]

@hookimpl
def ttm_extractors():
    yield ExtractorComponent("mood", "Smiles.", Mood, markers=("mood",))

@hookimpl
def ttm_guides():
    yield GuideComponent("mood", "What moods are.", "markers: {mood: {question: How does it feel?}}")

@hookimpl
def ttm_profiles():
    yield ProfileComponent("glad", "All are happy.", "markers: {declared: {mood: {constant: happy}}}")

@hookimpl
def ttm_templates():
    yield TemplateComponent("round", "Round.", "{% set after = '\\n' %}{% macro opening() %}({% endmacro %}"
        "{% macro marker(name, value) %}{{ name }}:{{ value }}|{% endmacro %}{% macro closing() %}){% endmacro %}")

@hookimpl
def ttm_commands():
    import click
    yield click.Command("smile", callback=lambda: click.echo(":-)"), help="Smile.")
"""
)


@pytest.fixture
def write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], str]]:
    """Write a module, and return its name; nothing of it is left afterwards."""
    name = f"ttmarkers_mine_{abs(hash(request.node.name))}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def module(source: str) -> str:
        (tmp_path / f"{name}.py").write_text(HEAD + textwrap.dedent(source), encoding="utf-8")
        return name

    yield module
    sys.modules.pop(name, None)


PLUGINS = (
    Bite("imports-by-name", "it cannot be imported (ModuleNotFoundError", "import no_such_module"),
    Bite("imports-by-name", "it cannot be imported (ZeroDivisionError", "1 / 0"),
    Bite("marks-its-hooks", "ttm_extractors is not marked", "def ttm_extractors(): ..."),
    Bite("marks-its-hooks", "ttm_extracters is no hook", "@hookimpl\ndef ttm_extracters(): ..."),
    Bite("offers-something", "it does not load (TypeError", "@hookimpl\ndef ttm_tasks():\n    yield 1"),
    Bite("offers-something", "it does not load (ZeroDivisionError", "@hookimpl\ndef ttm_tasks():\n    yield 1 / 0"),
    Bite("offers-something", "its hooks yield nothing", "@hookimpl\ndef ttm_tasks():\n    return []"),
    Bite(
        "offers-names-that-are-free",
        "marker 'mood' is offered by itself",
        TYPES + '    yield MarkerType("mood", "", "int")',
    ),
    Bite(
        "offers-names-that-are-free",
        "marker 'lang' is offered by ttmarkers",
        '@hookimpl\ndef ttm_marker_types():\n    yield MarkerType("lang", "", "int")',
    ),
    Bite("is-quiet", "prints 'hello'", "import builtins\nbuiltins.print('hello')\n" + TYPES),
    Bite("imports-nothing-heavy", "it imports numpy at once", "import numpy\n" + TYPES),
    Bite("imports-nothing-heavy", "it imports numpy, scipy at once", TYPES + "    import scipy\n"),
    Bite("is-imported-in-no-time", "it takes 0.", "import time\ntime.sleep(0.6)\n" + TYPES),
)


@bites(PLUGINS)
def test_plugins(bite: Bite, write: Callable[[str], str]) -> None:
    """What would stop or slow down every command is found."""
    fails(bite._replace(component=write(bite.component)), check_plugin)


COMPONENTS = (
    Bite("has-a-plain-name", "marker type 'humör'", SOUND.replace('MarkerType("mood"', 'MarkerType("humör"', 1)),
    Bite(
        "abstains-on-an-empty-text",
        "extractor 'mood'",
        SOUND.replace(' if ":-)" in subject.example.completion else {}', ""),
    ),
    Bite("is-a-guide-of-markers", "guide 'mood'", SOUND.replace("{mood: {question", "{moods: {question")),
    Bite("declares-values-that-there-are", "profile 'glad'", SOUND.replace("constant: happy", "constant: glad")),
    Bite("reads-back-what-it-writes", "template 'round'", SOUND.replace("{{ name }}:", "{{ name }}")),
    Bite("says-what-it-does", "command 'smile'", SOUND.replace(', help="Smile."', "")),
)


@bites(COMPONENTS)
def test_components(bite: Bite, write: Callable[[str], str]) -> None:
    """Each component that a plugin yields is checked by the check of its kind."""
    fails(bite._replace(component=write(bite.component)), check_plugin)


def test_a_sound_plugin_passes(write: Callable[[str], str]) -> None:
    """The plugin that the broken ones are made of is sound, by its name and as a module."""
    name = write(SOUND)
    check_plugin(name)
    check_plugin(sys.modules[name], arguments={"guide mood": {}})
    rows = [{"prompt": "How are you?", "completion": "Fine :-)"}]
    check_plugin(name, arguments={"extractor mood": {"rows": rows}}, leave_out=["guide mood"])


def test_some_components_are_left_out(write: Callable[[str], str]) -> None:
    """A component that is left out is not checked, and one that there is not is told."""
    name = write(SOUND.replace(', help="Smile."', ""))
    check_plugin(name, leave_out=["smile"])
    with pytest.raises(AssertionError, match="offers no component 'smirk'"):
        check_plugin(name, leave_out=["smirk"])
    with pytest.raises(AssertionError, match="the name of marker and extractor and guide: say which, as"):
        check_plugin(name, leave_out=["mood"])


def test_a_policy_may_ask_for_its_own_marker(write: Callable[[str], str]) -> None:
    """The tiny model on which policies are tried knows the marker types of their plugin."""
    check_plugin(
        write(
            TYPES
            + """
from dataclasses import replace

from ttmarkers_plugins.policies.basic import Fixed

class Happy(Fixed):
    def generate(self, engine, requests):
        happy = [replace(request, markers={"mood": "happy", **request.markers}) for request in requests]
        yield from (replace(each, policy="always-happy") for each in super().generate(engine, happy))

@hookimpl
def ttm_decoding_policies():
    yield PolicyComponent("always-happy", "Asks for mood happy.", Happy)
"""
        )
    )


def test_every_check_bites() -> None:
    """No check is without a plugin above that it finds broken."""
    all_bitten(modules.CHECKS, PLUGINS)
