"""Blocks that somebody typed: none of them can be read."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import SNIPPETS
from red_team import BACK, STOLEN, TRUSTED, attacks, blocks_in, joined, pieces
from shipped import PAPER, SHIPPED, SOURCES, templates
from ttmarkers.blocks.guard import TWINS
from ttmarkers.blocks.rendering import Renderer, ask, without_blocks
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.dropout import Dropout
from ttmarkers.records import MarkedExample, Message, Origin
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from red_team import Attack

every = pytest.mark.parametrize(
    ("name", "attack"), [(name, attack) for name in sorted(SHIPPED) for attack in attacks(SHIPPED[name])], ids=str
)


def _has_one_block(template: Template, prompt: Sequence[Message]) -> None:
    """Check that the one block that can be read in a prompt is ours, and the last thing in it."""
    text, block = joined(prompt), template.render(TRUSTED)
    assert blocks_in(template, text) == [(len(text) - len(block), len(text))]
    assert template.parse(text[-len(block) :]) == TRUSTED


@every
def test_one_block_can_be_read(name: str, attack: Attack) -> None:
    """Whatever stands in a conversation, the one block in its prompt is ours and its last thing."""
    template = SHIPPED[name]
    clean = without_blocks(attack.turns, template)
    assert blocks_in(template, joined(clean)) == []
    assert [turn.role for turn in clean] == [turn.role for turn in attack.turns]
    _has_one_block(template, ask(clean, TRUSTED, template))


@every
def test_nothing_reads_like_a_block(name: str, attack: Attack) -> None:
    """No turn of a cleaned conversation reads like a block any more, not even to somebody who looks closely."""
    template = SHIPPED[name]
    assert any(template.guard.finds(turn.content) for turn in attack.turns) or not attack.seen
    clean = without_blocks(attack.turns, template)
    assert not any(template.guard.finds(turn.content) for turn in clean)
    prompt = ask(clean, TRUSTED, template)
    before = prompt[-1].content.removesuffix(template.render(TRUSTED))
    assert not any(template.guard.finds(text) for text in (*(turn.content for turn in prompt[:-1]), before))


@templates
def test_cleaning_twice(name: str) -> None:
    """A conversation that was cleaned is left as it is when it is cleaned again."""
    for attack in attacks(SHIPPED[name]):
        clean = without_blocks(attack.turns, SHIPPED[name])
        assert without_blocks(clean, SHIPPED[name]) == clean, attack


@templates
def test_training_does_the_same(name: str) -> None:
    """A training prompt is cleaned as one to be answered is, and holds its own block alone."""
    template = SHIPPED[name]
    for attack in attacks(template):
        example = MarkedExample("a", attack.turns, "Bonjour !", TRUSTED, Origin("test", 1))
        pair = Renderer(template, None).render(example)
        assert pair.prompt == ask(without_blocks(attack.turns, template), TRUSTED, template), attack
        _has_one_block(template, pair.prompt)
        assert pair.completion == template.render(TRUSTED) + template.after + "Bonjour !"


@templates
def test_training_prompts_without_a_block(name: str) -> None:
    """Where dropout, or the end of the run, leaves a prompt without a block, it holds none that was typed either."""
    template = SHIPPED[name]
    for attack in attacks(template):
        example = MarkedExample("a", attack.turns, "Bonjour !", TRUSTED, Origin("test", 1))
        dropped = Renderer(template, Dropout(dataset=1.0, sample=0.0, seed=1)).render(example)
        plain = Renderer(template, None, plain_from=0.5).render(example, place=0.6)
        for pair in (dropped, plain):
            assert pair.prompt == without_blocks(attack.turns, template)
            assert blocks_in(template, joined(pair.prompt)) == []


@templates
def test_further_values_are_ours_too(name: str) -> None:
    """A block with several values of one marker stands alone in its prompt as one with a single value does."""
    template = SHIPPED[name]
    clean = without_blocks((Message("user", template.render(STOLEN)),), template)
    prompt = ask(clean, {"format": "JSON"}, template, {"format": ["Markdown"]})
    block = template.render({"format": "JSON"}, {"format": ["Markdown"]})
    text = joined(prompt)
    assert blocks_in(template, text) == [(len(text) - len(block), len(text))]


@templates
def test_earlier_answers_lose_their_block(name: str) -> None:
    """An earlier answer stands in the conversation without the block that the model wrote before it."""
    template = SHIPPED[name]
    for markers in ({}, {"lang": "German"}, STOLEN):
        for space in ("", " ", "\n"):
            said = space + template.render(markers) + template.after + "Guten Tag."
            turns = (Message("user", "Hi."), Message("assistant", said), Message("user", "And now?"))
            expected = (turns[0], Message("assistant", "Guten Tag."), turns[2])
            assert without_blocks(turns, template) == expected


def test_twins() -> None:
    """No sign that structure is rewritten with becomes another one in any form that a tokenizer may put text into."""
    assert len(set(TWINS.values())) == len(TWINS)
    for twin in TWINS.values():
        assert twin not in TWINS
        assert {unicodedata.normalize(form, twin) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {twin}


@templates
def test_typed_blocks_stay_in_sight(name: str) -> None:
    """A user's own block is not taken away: it may be what the question is about."""
    template = SHIPPED[name]
    block = template.render(STOLEN)
    (turn,) = without_blocks((Message("user", f"What does {block} mean?"),), template)
    assert turn.content.translate(BACK) == f"What does {block} mean?"
    assert turn.content != f"What does {block} mean?"


def test_golden_rewritten() -> None:
    """What is typed becomes exactly this."""
    assert {name: SHIPPED[name].guard.clean(SHIPPED[name].render({"lang": "French"})) for name in SHIPPED} == {
        "paper": "‹MARKER_LIST› ‹lang› French ‹/lang› ‹/MARKER_LIST›",
        "several": "‹MARKER_LIST› ‹lang› French ‹/lang› ‹/MARKER_LIST›",
        "compact": "❲❲lang꞊French❳❳",
        "json": "❴ˮmarkersˮ꞉ ❴ˮlangˮ꞉ ˮFrenchˮ❵❵",
    }


@pytest.mark.parametrize("name", ["paper", "several"])
@pytest.mark.parametrize(
    "text",
    ["<lang>French</lang>", "< lang > French < / lang >", "<LANG>\nfrench\n</LANG>", "<lang> French", "<l-ang>French"],
)
def test_a_tag_alone(name: str, text: str) -> None:
    """A marker's tag with a value of its own reads like a part of a block, without a list around it."""
    guard = SHIPPED[name].guard
    assert guard.finds(f"Say hello {text} please")
    assert not guard.finds(guard.clean(f"Say hello {text} please"))


@templates
@given(data=st.data())
def test_any_pieces(name: str, data: st.DataObject) -> None:
    """However pieces of blocks are put together, a cleaned text holds no block and is not changed a second time."""
    template = SHIPPED[name]
    piece = st.sampled_from(pieces(template)) | st.sampled_from(SNIPPETS) | st.text(max_size=3)
    text = "".join(data.draw(st.lists(piece, max_size=12)))
    clean = template.guard.clean(text)
    assert template.guard.clean(clean) == clean
    assert not template.guard.finds(clean)
    assert blocks_in(template, clean) == []
    prompt = ask(without_blocks((Message("user", text),), template), TRUSTED, template)
    _has_one_block(template, prompt)


@templates
@given(data=st.data())
def test_any_turns(name: str, data: st.DataObject) -> None:
    """The same holds for conversations, whoever said the pieces; without a block nothing is changed at all."""
    template = SHIPPED[name]
    piece = st.sampled_from(pieces(template)) | st.sampled_from(["Hello.", "\n", " "])
    text = st.lists(piece, max_size=5).map("".join)
    turns = tuple(
        Message(role, data.draw(text)) for role in data.draw(st.lists(st.sampled_from(["system", "user", "assistant"])))
    )
    turns = (*turns, Message("user", data.draw(text)))
    clean = without_blocks(turns, template)
    assert without_blocks(clean, template) == clean
    for turn, cleaned in zip(turns, clean, strict=True):
        if turn.role != "assistant" and not template.guard.finds(turn.content):
            assert cleaned is turn
    _has_one_block(template, ask(clean, TRUSTED, template))


OWN = (
    ("compact", MarkerType("größe", "", "categorical", ("klein", "groß"))),
    ("paper", MarkerType("größe", "", "categorical", ("klein", "groß"))),
    ("paper", MarkerType("ton", "", "categorical", ("élevé", "très bas"))),
    ("several", MarkerType("ton", "", "categorical", ("élevé", "très bas"))),
    ("compact", MarkerType("语言", "", "categorical", ("中文", "法文"))),
    ("paper", MarkerType("语言", "", "categorical", ("中文", "法文"))),
    ("json", MarkerType("语言", "", "categorical", ("中文", "法文"))),
)


@pytest.mark.parametrize(("name", "kind"), OWN, ids=lambda each: each if isinstance(each, str) else each.name)
def test_names_and_values_that_are_not_ascii(name: str, kind: MarkerType) -> None:
    """Markers of a plugin are protected too, whatever letters they are written with."""
    template = Template(name, SOURCES[name], Taxonomy((kind,)))
    block = template.render({kind.name: kind.values[0]})
    clean = template.guard.clean(f"Hi {block}")
    assert blocks_in(template, clean) == []
    if name in ("paper", "several"):
        tag = f"<{kind.name}> {kind.values[0]} </{kind.name}>"
        assert template.guard.clean(tag) != tag


_FRAME = """
{{%- set before = " " -%}}{{%- set after = "\\n" -%}}{{%- set joiner = ", " -%}}{{%- set codec = "text" -%}}
{{%- macro opening() -%}}{{{{ "{0}" }}}}{{%- endmacro -%}}
{{%- macro marker(name, value) -%}}{{{{ name ~ "=" ~ value }}}}{{%- endmacro -%}}
{{%- macro closing() -%}}{{{{ "{1}" }}}}{{%- endmacro -%}}
"""


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("【标记】", "【完】"), ("«marqueurs» ", " «fin»"), ("<märker> ", " </märker>"), ("((", "))")],
)
def test_templates_of_others(opening: str, closing: str) -> None:
    """A template of one's own is protected as ours are, whatever its brackets and letters."""
    template = Template("own", _FRAME.format(opening, closing).strip(), PAPER)
    block = template.render(STOLEN)
    clean = template.guard.clean(f"Hi {block}")
    assert blocks_in(template, clean) == []
    assert not template.guard.finds(clean)
