"""The chances of a marker's values, and the likeliest blocks, held against all blocks of a small grammar."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from block_setup import ASKED, SMALL, Counting, kinds, setup_of, small_grammar, small_kinds, small_template
from block_tree import tree
from shipped import PAPER, SHIPPED, SOURCES, templates
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.decoding.block_writer import BlockWriter
from ttmarkers.decoding.sampling import Sampler
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.decoding.constraint import OpenBlock


def to_choice(block: OpenBlock, tokens: Sequence[int], name: str) -> None:
    """Let a block come to the choice of a marker's value, by the tokens of a whole block that has it."""
    block.take_forced()
    while block.value()[0] != name:
        block.take(tokens[len(block.tokens)])
        block.take_forced()


@small_kinds
@pytest.mark.parametrize("marker", ["mood", "lang"])
def test_chances(kind: str, name: str, marker: str) -> None:
    """The chances of a marker's values sum to 1, and are those of the blocks that go on with them."""
    setup, known = setup_of(kind), tree(kind, name, ASKED, True)
    grammar = small_grammar(name, required=SMALL.names)
    tokens = next(iter(known.blocks))
    blocks = [setup.open(grammar, ASKED) for _ in range(2)]
    for block in blocks:
        to_choice(block, tokens, marker)
    head = tuple(blocks[0].tokens)
    first, second = BlockWriter(setup.model, Sampler()).chances(blocks)
    assert first.values == pytest.approx(second.values)
    assert sum(first.values.values()) == pytest.approx(1)
    expected: Counter[str] = Counter()
    for whole, markers in known.blocks.items():
        if whole[: len(head)] == head:
            expected[str(markers[marker])] += math.exp(known.chance(whole) - known.chance(head))  # type: ignore[assignment]
    spelled = {value.strip('"'): chance for value, chance in first.values.items()}
    assert spelled == pytest.approx(dict(expected), abs=1e-4)
    for value, reached in first.blocks.items():
        further = next(
            whole
            for whole, markers in known.blocks.items()
            if whole[: len(head)] == head and markers[marker] == value.strip('"')
        )
        assert reached.tokens == list(further[: len(reached.tokens)])


@kinds
@templates
def test_chances_of_the_paper_taxonomy(kind: str, name: str) -> None:
    """Of every categorical marker, all values have a chance, and they sum to 1."""
    setup, template = setup_of(kind), SHIPPED[name]
    for marker in ("quality_bucket", "style", "lang", *(["code_type"] if name != "several" else [])):
        block = setup.open(template.grammar(required=[marker], only=[marker]), ASKED)
        block.take_forced()
        found, values = block.value()
        assert found == marker
        assert len(values) == len(PAPER.get(marker).values)
        (chances,) = BlockWriter(setup.model, Sampler()).chances([block])
        assert set(chances.values) == set(chances.blocks) == set(values)
        assert sum(chances.values.values()) == pytest.approx(1)
        for value, reached in chances.blocks.items():
            assert value in reached.ahead()


@small_kinds
def test_chances_come_with_the_likeliest_blocks(kind: str, name: str) -> None:
    """Where a value is told from a longer one by what follows it, its block goes on in the likeliest way."""
    setup, known = setup_of(kind), tree(kind, name, ASKED)
    block = setup.open(small_grammar(name), ASKED)
    tokens = next(whole for whole, markers in known.blocks.items() if markers.get("mood") == "sad")
    to_choice(block, tokens, "mood")
    head = len(block.tokens)
    (found,) = BlockWriter(setup.model, Sampler()).chances([block])
    for value, reached in found.blocks.items():
        mood = value.strip('"')
        for end in range(head, len(reached.tokens)):
            start = tuple(reached.tokens[:end])
            same = {
                whole[end]
                for whole, markers in known.blocks.items()
                if whole[:end] == start and markers.get("mood") == mood
            }
            assert known.logs[start][reached.tokens[end]] == max(known.logs[start][token] for token in same)


@pytest.mark.parametrize("kind", ["ours", "llama2"])
def test_chances_of_the_first_of_several(kind: str) -> None:
    """A marker that may have several values is settled with its first one, also if that begins another value."""
    setup = setup_of(kind)
    taxonomy = Taxonomy((MarkerType("code", "", "categorical", ("c", "cobol", "csharp", "java", "javascript")),))
    template = Template("several", SOURCES["several"], taxonomy)
    block = setup.open(template.grammar(required=["code"]), ASKED)
    block.take_forced()
    model = Counting(setup.model)
    (found,) = BlockWriter(model, Sampler()).chances([block])
    assert sum(found.values.values()) == pytest.approx(1)
    assert set(found.values) == set(taxonomy.get("code").values)
    for value, reached in found.blocks.items():
        assert reached.ahead().split("<code> ")[1].startswith(value)
        assert reached.ahead().count(",") <= 1
    assert model.rows <= 20


@small_kinds
@pytest.mark.parametrize("most", [1, 2, 5, 12])
def test_likeliest(kind: str, name: str, most: int) -> None:
    """The likeliest blocks are whole, distinct and sorted by their chance, which is the one found by listing all."""
    setup, known = setup_of(kind), tree(kind, name, ASKED)
    found = BlockWriter(setup.model, Sampler()).likeliest(setup.open(small_grammar(name), ASKED), most)
    assert len(found) == most
    assert len({tuple(block.tokens) for block in found}) == most
    assert all(block.done for block in found)
    chances = [block.chance for block in found]
    assert chances == sorted(chances, reverse=True)
    assert chances == pytest.approx([known.chance(block.tokens) for block in found], abs=1e-3)
    greedy = known.greedy()
    assert chances[0] >= known.chance(greedy) - 1e-4
    if most == 1:
        assert tuple(found[0].tokens) == greedy


@templates
def test_likeliest_are_as_many_as_there_are(name: str) -> None:
    """Fewer are returned where there are no more, each with its chance; together they are all there is."""
    setup = setup_of("ours")
    template = small_template(name)
    grammar = template.grammar(required=["lang"], only=["lang"])
    grammar = replace(grammar, slots=tuple(replace(slot, several="") for slot in grammar.slots))
    found = BlockWriter(setup.model, Sampler()).likeliest(setup.open(grammar, ASKED), 9)
    texts = {setup.text(block) for block in found}
    assert texts == {template.render({"lang": value}) + template.after for value in SMALL.get("lang").values}
    assert sum(math.exp(block.chance) for block in found) == pytest.approx(1, abs=1e-4)
