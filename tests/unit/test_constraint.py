"""What holds a block to its grammar: compiled once, the same whatever was seen before, and strict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from block_setup import ASKED, check_block, sampler_of, setup_of, small_grammar
from shipped import SHIPPED, templates
from ttmarkers.decoding.block_writer import BlockWriter
from ttmarkers.decoding.constraint import Constrainer
from ttmarkers.decoding.sampling import Sampler
from ttmarkers.errors import ConfigError


def test_grammars_are_compiled_once() -> None:
    """A grammar that was seen before is not compiled again, though it was made anew."""
    setup = setup_of("ours")
    constrainer = Constrainer(setup.encoder, setup.model.vocabulary)
    for _ in range(3):
        for fixed in ({}, {"lang": "French"}, {"lang": "German"}):
            block = setup.open(SHIPPED["paper"].grammar(fixed), ASKED, constrainer)
            BlockWriter(setup.model, Sampler()).write([block], ["a"])
            check_block(setup, SHIPPED["paper"], block, ASKED, fixed)
    assert constrainer.compiled == 3


@templates
@pytest.mark.parametrize("kind", ["ours", "gemma"])
def test_other_grammars_leave_no_trace(kind: str, name: str) -> None:
    """What one constrainer has seen of other grammars does not change which tokens it takes for the tokenizer's."""
    setup, template = setup_of(kind), SHIPPED[name]
    only = ["style", "lang"]
    grammars = [
        template.grammar(only=["lang", "task"]),
        template.grammar(only=only, required=["lang"]),
        template.grammar({"style": "Formal"}, only=only),
        template.grammar(only=["lang"]),
    ]
    found = []
    for order in (grammars, grammars[::-1]):
        constrainer = Constrainer(setup.encoder, setup.model.vocabulary)
        seen = {}
        for grammar in order:
            block = setup.open(grammar, ASKED, constrainer)
            writer = BlockWriter(setup.model, sampler_of(3.0))
            block.take_forced()
            steps = []
            while not block.done:
                steps.append([token for token in map(int, block.allowed()) if block.is_canonical(token)])
                writer.step([block], ["x"])
            seen[grammar] = steps
        found.append(seen)
    assert found[0] == found[1]


def test_grammar_that_is_refused() -> None:
    """A grammar that the automaton does not take is a fault of the config, in one sentence."""
    setup = setup_of("ours")
    grammar = small_grammar("paper")
    broken = replace(grammar, slots=tuple(replace(slot, choices=(), pattern="(") for slot in grammar.slots))
    with pytest.raises(ConfigError, match=r"^the block's grammar is refused by llguidance: "):
        setup.open(broken, ASKED)


def test_tokens_outside_the_grammar() -> None:
    """A token that may not stand is no way to go on."""
    block = setup_of("ours").open(small_grammar("paper"), ASKED)
    block.take_forced()
    token = next(token for token in range(setup_of("ours").model.vocabulary) if token not in set(block.allowed()))
    with pytest.raises(RuntimeError, match="is none of the grammar"):
        block.take(token)


def test_copies_are_independent() -> None:
    """What is written into a copy of a block does not stand in the block."""
    setup = setup_of("ours")
    block = setup.open(small_grammar("paper"), ASKED)
    block.take_forced()
    before = list(block.tokens)
    other = block.copy()
    BlockWriter(setup.model, Sampler()).write([other], ["a"])
    assert other.done
    assert block.tokens == before
    assert not block.done
    BlockWriter(setup.model, Sampler()).write([block], ["a"])
    assert block.tokens == other.tokens
