"""The grammar of a template accepts what the template writes and nothing else, by llguidance's automaton."""

from __future__ import annotations

from typing import TYPE_CHECKING

import llguidance
import llguidance.hf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import markers_of, taxonomies
from shipped import PAPER, SHIPPED, SOURCES, templates
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.errors import DataError, UnknownNameError
from ttmarkers.taxonomies.taxonomy import Taxonomy
from ttmarkers.testing.templates import Acceptor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.blocks.grammar import BlockGrammar
    from ttmarkers.records import Value

BYTES = llguidance.LLTokenizer("byte")


def accepts(grammar: BlockGrammar, text: str, tokenizer: llguidance.LLTokenizer = BYTES) -> bool:
    """Whether a text is a sentence of a grammar, from its first byte to its last."""
    return Acceptor(grammar, tokenizer)(text)


@given(values=st.lists(st.sampled_from(PAPER.get("format").values), min_size=1, max_size=6, unique=True))
def test_accepts_several_values(values: list[str]) -> None:
    """A marker may have up to four values where none is fixed; a fixed one stands alone."""
    template = SHIPPED["several"]
    first, *others = values
    text = template.render({"format": first, "lang": "French"}, {"format": others}) + template.after
    assert accepts(template.grammar({"lang": "French"}), text) == (len(values) <= 4)
    assert accepts(template.grammar({"format": first}), text) == (not others)


@templates
@given(markers=markers_of(PAPER))
def test_accepts_what_is_written(name: str, markers: Mapping[str, Value]) -> None:
    """Every block of the paper's taxonomy is accepted, also where any of its markers are fixed."""
    template = SHIPPED[name]
    text = template.render(markers) + template.after
    fixed = {kind: value for kind, value in markers.items() if len(kind) % 2}
    assert accepts(template.grammar(), text)
    assert accepts(template.grammar(fixed), text)
    assert accepts(template.grammar(markers, required=markers), text)


@templates
@given(data=st.data())
def test_accepts_hostile_values(name: str, data: st.DataObject) -> None:
    """The same holds for values that look like the template's own text."""
    taxonomy = data.draw(taxonomies())
    markers = data.draw(markers_of(taxonomy))
    template = Template(name, SOURCES[name], taxonomy)
    text = template.render(markers) + template.after
    assert accepts(template.grammar(), text)
    assert accepts(template.grammar(markers), text)


@templates
def test_value_that_begins_another(name: str) -> None:
    """A value that is the beginning of another one, with a space after it, is told from it."""
    kinds = (MarkerType("style", "", "categorical", ("Formal", "Formal English")), MarkerType("n", "", "float"))
    template = Template(name, SOURCES[name], Taxonomy(kinds))
    for markers in ({"style": "Formal"}, {"style": "Formal English"}, {"style": "Formal", "n": 5.0}, {"n": 0.25}):
        assert accepts(template.grammar(), template.render(markers) + template.after)


@templates
@given(markers=markers_of(PAPER))
def test_accepts_nothing_unfinished(name: str, markers: Mapping[str, Value]) -> None:
    """A block without its end is not accepted, and neither is one with something after its end."""
    template = SHIPPED[name]
    text = template.render(markers) + template.after
    assert not accepts(template.grammar(), text[:-1])
    assert not accepts(template.grammar(), text + "x")


def block(name: str, *pairs: tuple[str, Value]) -> str:
    """Write a block as a template would, but with any markers in any order."""
    template = SHIPPED[name]
    pieces = []
    for marker, value in pairs:
        if name in ("paper", "several"):
            pieces.append(f"<{marker}> {value} </{marker}> ")
        elif name == "compact":
            pieces.append(f"{marker}={value}")
        else:
            pieces.append(f'"{marker}": "{value}"' if isinstance(value, str) else f'"{marker}": {value}')
    return template.opening + template.joiner.join(pieces) + template.closing + template.after


@templates
def test_the_helper_writes_as_the_template_does(name: str) -> None:
    """What `block` writes in order is what the template writes, so that the rejections below mean something."""
    pairs: list[tuple[str, Value]] = [("length_tokens", 199), ("task", "CodeFix"), ("lang", "French")]
    assert block(name, *pairs) == SHIPPED[name].render(dict(pairs)) + SHIPPED[name].after
    assert accepts(SHIPPED[name].grammar(), block(name, *pairs))


@templates
@pytest.mark.parametrize(
    "pairs",
    [
        [("lang", "French"), ("task", "CodeFix")],
        [("lang", "French"), ("lang", "French")],
        [("mood", "happy")],
        [("lang", "Klingon")],
        [("lang", "french")],
        [("lang", "fr")],
        [("length_tokens", "many")],
        [("length_tokens", "007")],
        [("length_tokens", "1.5")],
        [("length_tokens", "-3")],
        [("length_tokens", "9" * 30)],
        [("quality", ".5")],
        [("quality", "nan")],
    ],
    ids=lambda pairs: "-".join(f"{name}={value}" for name, value in pairs),
)
def test_rejects_other_blocks(name: str, pairs: list[tuple[str, str]]) -> None:
    """Markers out of order, twice or unknown, and values that no marker has, are rejected."""
    bare: list[tuple[str, Value]] = [(marker, value) for marker, value in pairs]
    text = block(name, *bare)
    if name == "json" and pairs[0][0] in ("length_tokens", "quality"):
        text = text.replace(f'"{pairs[0][1]}"', pairs[0][1])
    assert not accepts(SHIPPED[name].grammar(), text)


@templates
def test_fixed_values_are_held(name: str) -> None:
    """A fixed marker stands in the block with its value and no other; the others stay free."""
    grammar = SHIPPED[name].grammar({"length_tokens": 50, "lang": "fr"})
    assert accepts(grammar, block(name, ("length_tokens", 50), ("lang", "French")))
    assert accepts(grammar, block(name, ("length_tokens", 50), ("task", "CodeFix"), ("lang", "French")))
    assert not accepts(grammar, block(name, ("length_tokens", 50), ("lang", "German")))
    assert not accepts(grammar, block(name, ("length_tokens", 5), ("lang", "French")))
    assert not accepts(grammar, block(name, ("length_tokens", 500), ("lang", "French")))
    assert not accepts(grammar, block(name, ("length_tokens", 50)))
    assert not accepts(grammar, block(name))


@templates
def test_required_markers(name: str) -> None:
    """A required marker stands in the block with any of its values."""
    grammar = SHIPPED[name].grammar(required=["task"])
    assert accepts(grammar, block(name, ("task", "CodeFix")))
    assert accepts(grammar, block(name, ("task", "Rewrite"), ("lang", "Greek")))
    assert not accepts(grammar, block(name, ("lang", "Greek")))


@templates
def test_what_cannot_be_fixed(name: str) -> None:
    """A fixed or required marker that does not exist and a value that no marker has are refused by name."""
    with pytest.raises(UnknownNameError, match="mood"):
        SHIPPED[name].grammar({"mood": "happy"})
    with pytest.raises(UnknownNameError, match="mood"):
        SHIPPED[name].grammar(required=["mood"])
    with pytest.raises(DataError, match="lang = 'Klingon'"):
        SHIPPED[name].grammar({"lang": "Klingon"})


@templates
def test_with_a_models_tokenizer(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """The tokens of a model's own tokenizer are accepted as bytes are."""
    tokens = llguidance.hf.from_tokenizer(tokenizer)
    text = block(name, ("length_tokens", 123456789), ("task", "CodeFix"), ("lang", "Vietnamese"))
    assert accepts(SHIPPED[name].grammar(), text, tokens)
    assert not accepts(SHIPPED[name].grammar({"lang": "French"}), text, tokens)
