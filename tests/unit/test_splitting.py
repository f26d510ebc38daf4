"""Splitting a text that streams: cut anywhere, it comes apart as the whole does, and the answer never waits."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hostile import SNIPPETS, markers_of, taxonomies
from ttmarkers.blocks.source import read_source
from ttmarkers.blocks.splitting import AGAIN, LONGEST, NO_BLOCK, UNCLOSED, Split, Splitter, split
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.taxonomies.taxonomy import Taxonomy, make_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypothesis.strategies import SearchStrategy

    from ttmarkers.records import Value

_PLUGINS = create_plugins(third_party=False)
PAPER = make_taxonomy(_PLUGINS.marker_types().all())
SOURCES = {entry.component.name: read_source(entry.component) for entry in _PLUGINS.templates()}
SHIPPED = {name: Template(name, source, PAPER) for name, source in SOURCES.items()}

templates = pytest.mark.parametrize("name", sorted(SHIPPED))

ANSWERS = (
    "Paris.", "Hello there! I am here.", "", " ", "\n", "\n\n  Paris.\n", "a < b", "<", "[", "{", "<b>x</b>", "[1, 2]",
    "</MARKER_LIST>", "]]", "}}", "<MARKER", "<MARKER_LIST", '{"', '{"markers"', "因为光的散射。", "```\n<lang>\n```",
)  # fmt: skip

answers = st.sampled_from(ANSWERS) | st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=6), max_size=6).map("".join)


def _cut(text: str, places: Iterable[int]) -> list[str]:
    """Cut a text; a place that stands twice makes an empty piece."""
    borders = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[left:right] for left, right in pairwise(borders)]


def _streamed(template: Template, pieces: Iterable[str]) -> Split:
    splitter = Splitter(template)
    answer = "".join([splitter.feed(piece) for piece in pieces]) + splitter.finish()
    return Split(splitter.block, dict(splitter.markers), answer, splitter.fault, dict(splitter.others))


def _parts(found: Split) -> tuple[object, ...]:
    """Return what a text was split into, and whether there was a fault, but not its words."""
    return found.block, found.markers, found.text, found.others, bool(found.fault)


def _begins(template: Template, text: str) -> bool:
    return text.lstrip().startswith(template.opening.strip())


@st.composite
def _blocks(draw: st.DrawFn, template: Template) -> str:
    """Draw a block of the template with markers of its taxonomy, some of them with several values."""
    markers = draw(markers_of(template.taxonomy))
    formats = draw(st.lists(st.sampled_from(PAPER.get("format").values), max_size=3))
    return template.render(markers, {"format": formats})


@st.composite
def _texts(draw: st.DrawFn, template: Template) -> str:
    """Draw what a model may write: a block that is whole, cut off, damaged, written twice, or none."""
    whole, answer = draw(_blocks(template)), draw(answers)
    space = draw(st.sampled_from(["", "", " ", "\n", " \n "]))
    unclosed = whole.removesuffix(template.closing)
    damaged = whole.replace("French", "Klingon").replace("lang", draw(st.sampled_from(["lang", "mood", "la ng"])))
    place = draw(st.integers(0, len(whole)))
    between = draw(st.sampled_from([template.after, "", " ", "\n\n"]))
    filler = draw(st.sampled_from(["x", "x ", "<lang> ", "[[", '"', "French "]))
    return space + draw(
        st.sampled_from(
            [
                whole + template.after + answer,
                whole + answer,
                answer,
                template.opening + answer,
                template.opening.rstrip() + answer,
                unclosed + answer,
                unclosed + "\n" + answer,
                whole[:place] + answer,
                whole[:place],
                damaged + template.after + answer,
                whole[:place] + draw(st.text(max_size=2)) + whole[place:] + template.after + answer,
                whole + between + whole + template.after + answer,
                whole + between + damaged + template.after + answer,
                whole + template.after + whole[:place] + answer,
                unclosed + filler * (LONGEST // len(filler) + draw(st.integers(-3, 3))) + answer,
                whole + between + template.opening + filler * (LONGEST // len(filler)) + answer,
            ]
        )
    )


def _places() -> SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 200) | st.integers(0, 2 * LONGEST), max_size=12)


@templates
@given(data=st.data(), places=_places())
def test_cut_anywhere(name: str, data: st.DataObject, places: list[int]) -> None:
    """Whatever pieces a text comes in, block, markers, further values and answer are those of the whole text."""
    template = SHIPPED[name]
    text = data.draw(_texts(template))
    assert _parts(_streamed(template, _cut(text, places))) == _parts(template.split(text))


@templates
@given(data=st.data())
def test_sign_by_sign(name: str, data: st.DataObject) -> None:
    """A text that comes one character at a time, the smallest pieces there are, comes apart as the whole does."""
    template = SHIPPED[name]
    text = data.draw(_texts(template).filter(lambda text: len(text) < LONGEST // 4))
    assert _parts(_streamed(template, text)) == _parts(template.split(text))


@templates
@pytest.mark.parametrize("bad", ["Klingon", "", "French, German", "mood"])
def test_same_words_of_a_fault(name: str, bad: str) -> None:
    """What is said of a fault does not depend on the pieces that the text came in."""
    template = SHIPPED[name]
    whole = template.render({"length_tokens": 7, "lang": "French"})
    damaged = whole.replace("lang", "mood") if bad == "mood" else whole.replace("French", bad)
    for text in (damaged + template.after + "Hello world", damaged + " " + damaged, damaged, whole[:-5] + "\nHello"):
        assert _streamed(template, text) == template.split(text)


@templates
@given(text=st.text(), places=_places(), opened=st.booleans())
def test_any_text(name: str, text: str, places: list[int], opened: bool) -> None:
    """Any text at all is split without an error, in one piece or in many, and nothing of it is made up."""
    template = SHIPPED[name]
    text = (template.opening if opened else "") + text
    found = _streamed(template, _cut(text, places))
    assert _parts(found) == _parts(split(template, text))
    assert text.endswith(found.text)
    assert found.block in text
    if not opened and not _begins(template, text):
        assert (found.block, found.markers, found.text, found.fault) == ("", {}, text, NO_BLOCK)


@templates
@given(data=st.data())
def test_hostile_values_cut_anywhere(name: str, data: st.DataObject) -> None:
    """Values that look like the template's own text make no difference, wherever the block is cut."""
    template = Template(name, SOURCES[name], data.draw(taxonomies()))
    markers = data.draw(markers_of(template.taxonomy))
    text = template.render(markers) + template.after + "Paris."
    expected: tuple[object, ...] = (template.render(markers), markers, "Paris.", {}, False)
    assert _parts(template.split(text)) == expected
    assert _parts(_streamed(template, text)) == expected


def test_a_value_that_holds_the_closing() -> None:
    """The end of a JSON block inside one of its values is not taken for the block's own when the text streams."""
    kinds = Taxonomy((MarkerType("tone", "", "categorical", ("a}}b", "c")),))
    template = Template("json", SOURCES["json"], kinds)
    text = template.render({"tone": "a}}b"}) + "\nHello."
    assert _streamed(template, text) == template.split(text) == Split(text[:-7], {"tone": "a}}b"}, "Hello.")


def test_a_long_block_that_is_closed() -> None:
    """A block of more characters than an unclosed one may have is read in pieces as it is read whole."""
    template = SHIPPED["several"]
    values = ",".join(["Markdown"] * (LONGEST // 8))
    text = f"<MARKER_LIST> <format> {values} </format> </MARKER_LIST>\nHello."
    assert _parts(_streamed(template, _cut(text, range(0, len(text), 100)))) == _parts(template.split(text))


@templates
@given(data=st.data(), answer=answers, places=_places())
def test_nothing_of_a_block_is_released(name: str, data: st.DataObject, answer: str, places: list[int]) -> None:
    """Of a whole block no character ever reaches the user; what is released is the answer, from its beginning on."""
    template = SHIPPED[name]
    assume(not _begins(template, answer))
    block = data.draw(_blocks(template)) + template.after
    splitter = Splitter(template)
    fed, told = 0, ""
    for piece in _cut(block + answer, places):
        told += splitter.feed(piece)
        fed += len(piece)
        assert answer[: max(0, fed - len(block))].startswith(told)
    assert told + splitter.finish() == answer
    assert not splitter.fault
    assert splitter.block + template.after == block


@templates
@given(data=st.data(), answer=answers, blocks=st.integers(0, 2))
def test_the_answer_streams(name: str, data: st.DataObject, answer: str, blocks: int) -> None:
    """No more of an answer is ever held back than could begin a block; once one piece is out, none is held."""
    template = SHIPPED[name]
    assume(not _begins(template, answer))
    splitter = Splitter(template)
    for _ in range(blocks):
        assert splitter.feed(data.draw(_blocks(template)) + template.after) == ""
    held = ""
    for sign in answer:
        told = splitter.feed(sign)
        held = "" if told else held + sign
        assert template.opening.strip().startswith(held.strip())
        if told:
            break
    if held != answer:
        for piece in ("Hello", " ", template.opening, template.render({"lang": "French"}), "\n", ""):
            assert splitter.feed(piece) == piece
        assert splitter.finish() == ""
    else:
        assert splitter.finish() == answer


@templates
def test_the_first_token_is_released_at_once(name: str) -> None:
    """With a block before it or without, the first word of an answer is released in the step in which it comes."""
    template = SHIPPED[name]
    for before in ("", template.render({}), template.render({"lang": "French"})):
        splitter = Splitter(template)
        for sign in before + (template.after if before else ""):
            assert splitter.feed(sign) == ""
        assert [splitter.feed(piece) for piece in ("Bonjour", " !", "", "\n")] == ["Bonjour", " !", "", "\n"]
        assert splitter.finish() == ""
        assert splitter.block == before


@templates
def test_before_anything_came(name: str) -> None:
    """A text of no pieces, or of empty ones, has no block and no answer."""
    splitter = Splitter(SHIPPED[name])
    assert (splitter.block, splitter.fault, splitter.markers, splitter.others) == ("", NO_BLOCK, {}, {})
    assert splitter.feed("") + splitter.feed("") + splitter.finish() == ""
    assert (splitter.block, splitter.fault) == ("", NO_BLOCK)


@templates
def test_an_answer_on_the_line_of_an_unclosed_block(name: str) -> None:
    """What stands on the line of a block that is never closed, behind its markers, is delivered."""
    template = SHIPPED[name]
    written: tuple[dict[str, Value], ...] = ({}, {"lang": "French"}, {"length_tokens": 7, "lang": "French"})
    for markers in written[name == "compact" :]:  # two brackets alone begin no block
        unclosed = template.render(markers).removesuffix(template.closing)
        for answer in ("Hello there!", "Hello there!\nI am here.", "<b>Hello there!</b>"):
            text = f"{unclosed.rstrip()} {answer}"
            for found in (template.split(text), _streamed(template, text)):
                assert found.text.endswith(answer)
                assert found.fault == UNCLOSED


def test_an_answer_on_the_line_of_an_unclosed_block_of_the_paper() -> None:
    """The paper's tags are taken off, and no more."""
    found = SHIPPED["paper"].split("<MARKER_LIST> <lang> French </lang> Hello there!")
    assert (found.text, found.markers, found.fault) == ("Hello there!", {"lang": "French"}, UNCLOSED)


@templates
@pytest.mark.parametrize("left", [1, 2, 3])
def test_a_marker_that_is_left_open(name: str, left: int) -> None:
    """Of a text that ends within a marker nothing is shown: half a marker is no answer."""
    template = SHIPPED[name]
    unclosed = template.render({"length_tokens": 7, "lang": "French"}).removesuffix(template.closing).rstrip()
    for end in (-left, unclosed.index("French") + left):
        for rest in ("", "\nBonjour."):
            found = template.split(unclosed[:end] + rest)
            assert found.text == rest.strip()
            assert found.markers["length_tokens"] == 7
            assert found.fault == UNCLOSED


@templates
def test_a_very_long_unclosed_block(name: str) -> None:
    """A block that is opened and never closed, on one line without end, holds back so much and then no more."""
    template = SHIPPED[name]
    splitter = Splitter(template)
    told = splitter.feed(template.render({"lang": "French"}).removesuffix(template.closing))
    for _ in range(LONGEST // 10):
        told += splitter.feed("Hello you ")
    assert told
    assert splitter.feed("Hello") == "Hello"
    assert splitter.fault == UNCLOSED
    assert splitter.finish() == ""


@templates
@pytest.mark.parametrize("between", ["after", "", " ", "\n\n"])
def test_a_block_written_twice(name: str, between: str) -> None:
    """Blocks that follow the first one are taken off, the first one's markers hold, and it is said."""
    template = SHIPPED[name]
    between = template.after if between == "after" else between
    first, second = template.render({"lang": "French"}), template.render({"lang": "German", "task": "Rewrite"})
    for number in (1, 2):
        text = first + (between + second) * number + template.after + "Bonjour."
        for found in (template.split(text), _streamed(template, text)):
            assert (found.text, found.markers, found.fault) == ("Bonjour.", {"lang": "French"}, AGAIN)
            assert found.block == text.removesuffix(template.after + "Bonjour.")


@templates
def test_a_block_further_down_is_left(name: str) -> None:
    """A block in the middle of an answer belongs to it: only what stands at its head is ours."""
    template = SHIPPED[name]
    block = template.render({"lang": "French"})
    for before in ("", block + template.after):
        found = _streamed(template, before + f"Write {block} for French.")
        assert found.text == f"Write {block} for French."
        assert found.fault == ("" if before else NO_BLOCK)


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("answer", ["[[1, 2], [3, 4]]", "[[1, 2], [3, 4]]\nis a matrix.", "[[x] for x in y]"])
def test_a_list_of_lists_is_an_answer(answer: str, marked: bool) -> None:
    """An answer that begins with a list of lists is delivered, though a compact block begins as it does."""
    template = SHIPPED["compact"]
    text = (template.render({"lang": "French"}) + template.after if marked else "") + answer
    assert (template.split(text).text, _streamed(template, text).text) == (answer, answer)


@templates
def test_damaged_values(name: str) -> None:
    """A block with a value or a marker that nobody knows ends at its closing tag, however it is cut."""
    template = SHIPPED[name]
    whole = template.render({"length_tokens": 199, "lang": "French"})
    for good, bad in (("French", "Klingon"), ("199", "many"), ("lang", "mood")):
        text = whole.replace(good, bad) + template.after + "Bonjour."
        for found in (template.split(text), _streamed(template, text)):
            assert found.block == whole.replace(good, bad)
            assert found.text == "Bonjour."
            assert found.fault
