"""Hypothesis strategies: markers of a taxonomy, and taxonomies whose values look like the templates' own text."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ttmarkers.components import MarkerType
from ttmarkers.taxonomies.taxonomy import GREATEST, Taxonomy

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from ttmarkers.records import Value

SNIPPETS = (
    "<", ">", "/", "\n", "\r\n", "\t", "\0", "</lang>", "<lang>", " </lang> ", "<MARKER_LIST> ", "</MARKER_LIST>",
    "{{", "}}", "{%", "%}", "{#", "%", "%25", "%FF", '"', "'", "\\", '\\"', "[[", "]]", "; ", "=", ", ", ":",
    '{"markers": {', " ", "  ", "\u00a0", "\u200b", "\u2028", "\u0085", "\ufeff", "🇫🇷", "👩‍👩‍👧", "😀", "עברית",
    "\u202e", "é",
    "e\u0301", "日本語", "null", "1", "-0.5", "_",
)  # fmt: skip


hostile_text = st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=4), min_size=1, max_size=5).map("".join)
encodable_text = hostile_text.filter(lambda text: text != "" and not any("\ud800" <= char <= "\udfff" for char in text))


def value_of(kind: MarkerType) -> SearchStrategy[Value]:
    """Return values that a marker type can hold."""
    if kind.kind == "categorical":
        return st.sampled_from(kind.values)
    least = kind.minimum
    if kind.kind == "int":
        return st.integers(-GREATEST if least is None else int(least), GREATEST)
    return st.floats(least, allow_nan=False, allow_infinity=False)


@st.composite
def markers_of(draw: st.DrawFn, taxonomy: Taxonomy) -> dict[str, Value]:
    """Draw a random subset of a taxonomy's types, in any order, with values."""
    chosen = draw(st.lists(st.sampled_from(taxonomy.types), unique_by=lambda kind: kind.name)) if len(taxonomy) else []
    return {kind.name: draw(value_of(kind)) for kind in chosen}


@st.composite
def taxonomies(draw: st.DrawFn) -> Taxonomy:
    """Draw a taxonomy of up to five types with hostile values and short names, some of them the start of others."""
    letters = string.ascii_letters + string.digits + "_"
    name = st.sampled_from(["lang", "lan", "language", "a", "ab", "marker", "Zz"]) | st.text(
        letters, min_size=1, max_size=6
    )
    names = draw(st.lists(name.filter(str.isidentifier), unique=True, min_size=1, max_size=5))
    return Taxonomy(tuple(draw(_type(name)) for name in names))


@st.composite
def _type(draw: st.DrawFn, name: str) -> MarkerType:
    kind = draw(st.sampled_from(["categorical", "categorical", "int", "float"]))
    if kind == "categorical":
        values = draw(st.lists(encodable_text, unique=True, min_size=1, max_size=5))
        return MarkerType(name, "", "categorical", tuple(values))
    minimum = draw(st.sampled_from([None, 0, -5]))
    return MarkerType(name, "", "int" if kind == "int" else "float", minimum=minimum)
