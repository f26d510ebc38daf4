"""The contract of a template file: what breaks it is refused in one sentence, before anything is written with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ttmarkers.blocks.template import Template, load_template
from ttmarkers.components import TemplateComponent
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

MARKERS: dict[str, Value] = {"lang": "French", "task": "CodeFix", "length_tokens": 199, "quality": 0.5}
OPEN = "{% macro opening() %}<{% endmacro %}"
MARKER = "{% macro marker(name, value) %}{{ name }}={{ value }};{% endmacro %}"
CLOSE = "{% macro closing() %}>{% endmacro %}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% macro", "is no Jinja template"),
        ("{{ 1 / 0 }}" + OPEN + MARKER + CLOSE, "is no Jinja template"),
        ("{% for i in range(10 ** 9) %}{% endfor %}" + OPEN + MARKER + CLOSE, "is no Jinja template"),
        (OPEN + CLOSE, "lacks the macro marker"),
        (MARKER + CLOSE, "lacks the macro opening"),
        (OPEN + MARKER, "lacks the macro closing"),
        (OPEN + "{% macro marker(name) %}{{ name }}{% endmacro %}" + CLOSE, "macro marker"),
        (OPEN + MARKER.replace("{{ value }}", "{{ value }}{{ value }}") + CLOSE, "write the value once"),
        (OPEN + MARKER.replace("{{ value }}", "{{ value | lower }}") + CLOSE, "once and unchanged"),
        (OPEN + MARKER.replace("{{ value }}", "") + CLOSE, "write the value once"),
        (OPEN + MARKER.replace(";", "{{ value | length }};") + CLOSE, "may not depend on it"),
        (OPEN + MARKER.replace("{{ name }}", "x") + CLOSE, "write the marker's name"),
        (OPEN + MARKER.replace("{{ name }}", "{{ nam }}") + CLOSE, "macro marker: 'nam' is undefined"),
        (OPEN + MARKER.replace(";", "") + CLOSE, "between"),
        (OPEN.replace("<", " ") + MARKER + CLOSE, "more than white space"),
        ("{% set codec = 'xml' %}" + OPEN + MARKER + CLOSE, "codec 'xml' is unknown"),
    ],
)
def test_broken_contract(source: str, message: str, taxonomy: Taxonomy) -> None:
    """A source that breaks the contract is refused by the template's name, in one sentence."""
    with pytest.raises(ConfigError, match="template 'mine'") as caught:
        Template("mine", source, taxonomy)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_are_enough(taxonomy: Taxonomy) -> None:
    """A template of one's own that keeps the contract is read back."""
    template = Template("mine", OPEN + MARKER + CLOSE, taxonomy)
    assert template.render(MARKERS) == "<quality=0.5;length_tokens=199;task=CodeFix;lang=French;>"
    assert template.parse(template.render(MARKERS)) == {
        name: MARKERS[name] for name in taxonomy.names if name in MARKERS
    }


def test_templates_run_in_a_sandbox(taxonomy: Taxonomy) -> None:
    """A template that reaches for Python's internals is refused."""
    source = OPEN + MARKER + CLOSE + "{{ ''.__class__.__mro__ }}"
    with pytest.raises(ConfigError, match=r"template 'mine' is no Jinja template: .*unsafe"):
        Template("mine", source, taxonomy)


def test_missing_file(taxonomy: Taxonomy) -> None:
    """A component whose file is not there is named with the place."""
    component = TemplateComponent("gone", "", "ttmarkers_templates:blocks/gone.jinja")
    with pytest.raises(ConfigError, match=r"template 'gone' is not at 'ttmarkers_templates:blocks/gone\.jinja'"):
        load_template(component, taxonomy)


def test_hash_tells_templates_apart(taxonomy: Taxonomy) -> None:
    """The hash is of the source alone, so that a changed template is noticed."""
    source = OPEN + MARKER + CLOSE
    mine = Template("mine", source, taxonomy)
    assert mine.hash == Template("other", source, taxonomy).hash
    assert mine.hash != Template("mine", source + " ", taxonomy).hash
