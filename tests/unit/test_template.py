"""Templates: what they write, that it can be read back whatever the values, and that damage never stops an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hostile import SNIPPETS, markers_of, taxonomies
from shipped import PAPER, SHIPPED, SOURCES, templates
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.errors import DataError, UnknownNameError
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from ttmarkers.records import Value

MARKERS: dict[str, Value] = {"lang": "French", "task": "CodeFix", "length_tokens": 199, "quality": 0.5}


def test_golden_blocks() -> None:
    """The shipped templates write exactly this."""
    assert {name: template.render(MARKERS) for name, template in SHIPPED.items()} == {
        "paper": "<MARKER_LIST> <quality> 0.5 </quality> <length_tokens> 199 </length_tokens> <task> CodeFix </task> "
        "<lang> French </lang> </MARKER_LIST>",
        "several": "<MARKER_LIST> <quality> 0.5 </quality> <length_tokens> 199 </length_tokens> <task> CodeFix </task> "
        "<lang> French </lang> </MARKER_LIST>",
        "compact": "[[quality=0.5; length_tokens=199; task=CodeFix; lang=French]]",
        "json": '{"markers": {"quality": 0.5, "length_tokens": 199, "task": "CodeFix", "lang": "French"}}',
    }


def test_golden_empty_blocks_and_borders() -> None:
    """Without markers the frame alone is written; what stands before and after a block is the template's own."""
    assert {name: (t.before, t.render({}), t.after) for name, t in SHIPPED.items()} == {
        "paper": (" ", "<MARKER_LIST> </MARKER_LIST>", "\n"),
        "several": (" ", "<MARKER_LIST> </MARKER_LIST>", "\n"),
        "compact": (" ", "[[]]", "\n"),
        "json": ("\n", '{"markers": {}}', "\n"),
    }


def test_golden_escapes() -> None:
    """What could be taken for the template's own characters is escaped, and spaces inside a value stay."""
    kind = MarkerType("tone", "", "categorical", ('so "very" [sad]', "</tone> 50% ;", " a  b ", "日本 é\n"))
    found = {
        name: [Template(name, source, Taxonomy((kind,))).render({"tone": value}) for value in kind.values]
        for name, source in SOURCES.items()
    }
    assert found == {
        "paper": [
            '<MARKER_LIST> <tone> so "very" [sad] </tone> </MARKER_LIST>',
            "<MARKER_LIST> <tone> %3C%2Ftone%3E 50%25 ; </tone> </MARKER_LIST>",
            "<MARKER_LIST> <tone> %20a %20b%20 </tone> </MARKER_LIST>",
            "<MARKER_LIST> <tone> 日本 é%0A </tone> </MARKER_LIST>",
        ],
        "several": [
            '<MARKER_LIST> <tone> so "very" [sad] </tone> </MARKER_LIST>',
            "<MARKER_LIST> <tone> %3C%2Ftone%3E 50%25 ; </tone> </MARKER_LIST>",
            "<MARKER_LIST> <tone> %20a %20b%20 </tone> </MARKER_LIST>",
            "<MARKER_LIST> <tone> 日本 é%0A </tone> </MARKER_LIST>",
        ],
        "compact": [
            '[[tone=so "very" %5Bsad%5D]]',
            "[[tone=</tone> 50%25 %3B]]",
            "[[tone=%20a %20b%20]]",
            "[[tone=日本 é%0A]]",
        ],
        "json": [
            '{"markers": {"tone": "so \\"very\\" [sad]"}}',
            '{"markers": {"tone": "</tone> 50% ;"}}',
            '{"markers": {"tone": " a  b "}}',
            '{"markers": {"tone": "日本 é\\n"}}',
        ],
    }


@templates
@given(markers=markers_of(PAPER))
def test_paper_markers_come_back(name: str, markers: dict[str, Value]) -> None:
    """Any markers of the paper's taxonomy are read back as they were, in the taxonomy's order."""
    found = SHIPPED[name].parse(SHIPPED[name].render(markers))
    assert found == markers
    assert list(found) == [kind for kind in PAPER.names if kind in markers]
    assert {kind: type(value) for kind, value in found.items()} == {k: type(v) for k, v in markers.items()}


@templates
@given(data=st.data())
def test_hostile_markers_come_back(name: str, data: st.DataObject) -> None:
    """The same holds for values that look like the template's own text, whatever the markers are called."""
    taxonomy = data.draw(taxonomies())
    markers = data.draw(markers_of(taxonomy))
    template = Template(name, SOURCES[name], taxonomy)
    assert template.parse(template.render(markers)) == markers


@templates
def test_lone_surrogates_come_back(name: str) -> None:
    """Half a surrogate pair in a value, which UTF-8 cannot hold, is read back too."""
    template = Template(name, SOURCES[name], Taxonomy((MarkerType("x", "", "categorical", ("a\ud83d", "b")),)))
    assert template.parse(template.render({"x": "a\ud83d"})) == {"x": "a\ud83d"}


def test_empty_value_is_no_value() -> None:
    """An empty text is no value of a marker type: a block could not tell it from nothing."""
    with pytest.raises(ValueError, match="empty"):
        MarkerType("x", "", "categorical", ("", "a"))


@templates
@given(markers=markers_of(PAPER), seed=st.randoms(use_true_random=False))
def test_order_is_canonical(name: str, markers: dict[str, Value], seed: object) -> None:
    """The order in which markers are given makes no difference."""
    items = list(markers.items())
    seed.shuffle(items)  # type: ignore[attr-defined]
    assert SHIPPED[name].render(dict(items)) == SHIPPED[name].render(markers)


@templates
@given(data=st.data(), answer=st.lists(st.sampled_from(SNIPPETS) | st.text()).map("".join))
def test_split_delivers_the_answer(name: str, data: st.DataObject, answer: str) -> None:
    """A whole block is taken off without a fault, and the answer is left as it was written."""
    taxonomy = data.draw(taxonomies())
    markers = data.draw(markers_of(taxonomy))
    template = Template(name, SOURCES[name], taxonomy)
    split = template.split(template.render(markers) + template.after + answer)
    assert (split.markers, split.text, split.fault) == (markers, answer, "")
    assert split.block == template.render(markers)


@templates
def test_split_without_block(name: str) -> None:
    """A text that does not begin with a block is all answer, white space included."""
    for text in ("Paris.", "", "  Paris.\n", f"Paris. {SHIPPED[name].render(MARKERS)}"):
        split = SHIPPED[name].split(text)
        assert (split.block, split.markers, split.text, split.fault) == ("", {}, text, "no block")


@templates
def test_split_of_an_unclosed_block(name: str) -> None:
    """A block that is never closed ends with its line; what can be read in it is read."""
    template = SHIPPED[name]
    whole = template.render({"length_tokens": 7, "lang": "French"})
    text = whole.removesuffix(template.closing) + "\nBonjour.\nÇa va ?"
    split = template.split(text)
    assert split.text == "Bonjour.\nÇa va ?"
    assert split.fault == "the block is never closed"
    assert split.markers["length_tokens"] == 7
    assert template.split(whole.removesuffix(template.closing)).text == ""


@templates
@pytest.mark.parametrize(
    ("good", "bad"), [("French", "Klingon"), ("199", "many"), ("task", "mood"), ("199", "-3"), ("task", "mytask")]
)
def test_split_of_a_damaged_block(name: str, good: str, bad: str) -> None:
    """An unknown value, word or marker is reported; the other markers are read and the answer is delivered."""
    template = SHIPPED[name]
    markers: dict[str, Value] = {"length_tokens": 199, "task": "CodeFix", "lang": "French"}
    broken = template.render(markers).replace(good, bad)
    split = template.split(broken + template.after + "Bonjour.")
    assert split.text == "Bonjour."
    assert split.block == broken
    assert split.fault
    lost = {"French": "lang", "199": "length_tokens", "task": "task"}[good]
    assert split.markers == {kind: value for kind, value in markers.items() if kind != lost}
    with pytest.raises(DataError):
        template.parse(broken)


DAMAGE = {
    "paper": "<MARKER_LIST> <{0}> {1} </{0}> </MARKER_LIST>",
    "several": "<MARKER_LIST> <{0}> {1} </{0}> </MARKER_LIST>",
    "compact": "[[{0}={1}]]",
    "json": '{{"markers": {{"{0}": {1}}}}}',
}


@templates
@pytest.mark.parametrize(
    ("marker", "value"),
    [
        ("lang", "%FF"),
        ("lang", "%ED%A0%80"),
        ("lang", '"\\x"'),
        ("lang", '"a\tb"'),
        ("lang", '"\\ud800"'),
        ("quality", "1e999"),
        ("length_tokens", "9" * 30),
        ("length_tokens", "9" * 400),
        ("length_tokens", "9" * 5000),
        ("quality", "9" * 400),
    ],
)
def test_damage_that_codecs_choke_on(name: str, marker: str, value: str) -> None:
    """Broken escapes and numbers beyond 64 bits are faults like any other: the answer is delivered without them."""
    template = SHIPPED[name]
    block = DAMAGE[name].format(marker, value)
    split = template.split(block + template.after + "Paris.")
    assert (split.markers, split.text) == ({}, "Paris.")
    assert split.fault
    with pytest.raises(DataError):
        template.parse(block)


PIECES = [
    *SNIPPETS,
    "%FF",
    "9" * 400,
    "\\x",
    "\\u12",
    "<lang>",
    "<length_tokens> ",
    " </length_tokens> ",
    "lang=",
    '"lang": "',
]


@templates
@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=5)), opened=st.booleans())
def test_any_text_is_split(name: str, pieces: list[str], opened: bool) -> None:
    """Whatever a model writes, splitting never fails and loses nothing: block and answer are pieces of the text."""
    template = SHIPPED[name]
    text = (template.opening if opened else "") + "".join(pieces)
    split = template.split(text)
    assert text.endswith(split.text)
    assert split.block in text
    rest = text.removesuffix(split.text)
    assert rest.strip() == split.block.strip() or rest == split.block + template.after
    if split.fault == "no block":
        assert split.text == text
    if not split.fault:
        assert template.parse(split.block) == split.markers


@templates
@example(text="")
@given(text=st.text())
def test_parse_of_anything_else(name: str, text: str) -> None:
    """A text that is no block is a data error, also when a block stands at its beginning."""
    for other in (text, SHIPPED[name].render(MARKERS) + "x" + text):
        with pytest.raises(DataError, match=f"template '{name}'"):
            SHIPPED[name].parse(other)


@templates
def test_twice_the_same_marker(name: str) -> None:
    """A marker that stands twice is a fault."""
    template = SHIPPED[name]
    one = template.render({"lang": "French"}).removeprefix(template.opening).removesuffix(template.closing)
    twice = template.opening + template.joiner.join([one, one]) + template.closing
    with pytest.raises(DataError, match="lang stands twice"):
        template.parse(twice)


def test_values_are_checked_before_they_are_written() -> None:
    """An unknown marker or value is refused with a hint; an alias is written in the taxonomy's spelling."""
    paper = SHIPPED["paper"]
    with pytest.raises(UnknownNameError, match=r"unknown marker 'langs'.*did you mean 'lang'"):
        paper.render({"langs": "French"})
    with pytest.raises(DataError, match="lang = 'Frensh' is not in the taxonomy: did you mean 'French'"):
        paper.render({"lang": "Frensh"})
    with pytest.raises(DataError, match="length_tokens = -1: the least value is 0"):
        paper.render({"length_tokens": -1})
    assert paper.render({"lang": "fr"}) == paper.render({"lang": "FRENCH"}) == paper.render({"lang": "French"})
