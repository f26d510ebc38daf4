"""Markers with several values: kept by annotation, written by a template that writes several, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import write_rows
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import Template, load_template
from ttmarkers.components import MarkerType
from ttmarkers.dropout import Dropout
from ttmarkers.errors import ConfigError
from ttmarkers.marked import pack, read_marked, unpack
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pathlib import Path

VALUES = ("a", "b,c", "d e", "%", "</odd>", "ж")
KINDS = Taxonomy((MarkerType("odd", "", "categorical", VALUES), MarkerType("n", "", "int")))
SEVERAL = load_template(create_plugins(third_party=False).templates().get("several"), KINDS)


@given(values=st.lists(st.sampled_from(VALUES), min_size=1, unique=True), number=st.integers(0, 10**8))
def test_all_values_come_back(values: list[str], number: int) -> None:
    """A block gives back every value in order, whatever characters they have."""
    block = SEVERAL.render({"odd": values[0], "n": number}, {"odd": values[1:]})
    markers, others = SEVERAL.parse_all(block)
    assert markers == {"odd": values[0], "n": number}
    assert others.get("odd", ()) == tuple(values[1:])
    assert SEVERAL.split(block + SEVERAL.after + "x").others == others


def test_other_templates_write_the_first(taxonomy: Taxonomy) -> None:
    """The paper's template writes one value."""
    paper = load_template(create_plugins(third_party=False).templates().get("paper"), taxonomy)
    assert paper.render({"format": "Markdown"}, {"format": ["Enumeration"]}) == paper.render({"format": "Markdown"})


def test_rows_keep_their_values(tmp_path: Path, taxonomy: Taxonomy) -> None:
    """What annotation kept is read, packed, and written into prompt and target."""
    row = {"id": "1", "prompt": "q", "completion": "a", "markers": {"format": "Markdown"},
           "markers_meta": {"format": {"others": ["Enumeration", "Tabular"]}}}  # fmt: skip
    (example,) = read_marked([str(write_rows(tmp_path / "m.jsonl", [row]))], taxonomy)
    template = load_template(create_plugins(third_party=False).templates().get("several"), taxonomy)
    pair = Renderer(template, Dropout(seed=0, dataset=0, sample=0)).render(unpack(pack(example)))
    assert "<format> Markdown,Enumeration,Tabular </format>" in pair.block
    assert "<format> Markdown,Enumeration,Tabular </format>" in pair.prompt[-1].content


@pytest.mark.parametrize("source", ['{% set several = "x" %}', '{% set several = "," %}{% set codec = "json" %}'])
def test_what_cannot_stand_between_values(source: str) -> None:
    """Letters could belong to a value, and JSON has its own rules."""
    macros = ("opening() %}[", "marker(name, value) %}{{ name }}={{ value }};", "closing() %}]")
    rest = "".join("{% macro " + macro + "{% endmacro %}" for macro in macros)
    with pytest.raises(ConfigError, match="several must be punctuation"):
        Template("t", source + rest, KINDS)
