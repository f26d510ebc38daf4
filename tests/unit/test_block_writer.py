"""Blocks that a model writes: valid, cut into the tokenizer's own tokens, and drawn by the model's own probabilities.

The probabilities are found a second time by listing all blocks of a small grammar (see `block_tree`).
"""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from scipy.stats import chisquare

from block_setup import (
    ASKED,
    PROMPTS,
    SMALL,
    Counting,
    check_block,
    kinds,
    sampler_of,
    setup_of,
    small_grammar,
    small_kinds,
    small_template,
)
from block_tree import tree
from shipped import PAPER, SHIPPED, templates
from ttmarkers.decoding.block_text import Guess
from ttmarkers.decoding.block_writer import BlockWriter
from ttmarkers.decoding.sampling import Sampler
from ttmarkers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from block_setup import Setup
    from ttmarkers.blocks.grammar import BlockGrammar
    from ttmarkers.decoding.constraint import OpenBlock
    from ttmarkers.records import Value

DRAWS = 500
ALL: dict[str, Value] = {
    "quality": 0.75, "quality_bucket": "4", "length_tokens": 199, "length_sentences": 3, "length_paragraphs": 1,
    "length_bucket": "concise", "task": "Explanation", "domain": "Sciences", "code_type": "python", "format": "Tabular",
    "source": "Human", "style": "Formal", "lang": "French",
}  # fmt: skip
GUESSES = {
    "right-ish": {"mood": Guess(0.9, "sad", 0.9), "n": Guess(1.0, "1", 0.8), "lang": Guess(0.8, "French", 0.7)},
    "wrong": {"mood": Guess(1.0, "cheerful", 1.0), "n": Guess(1.0, "x", 1.0), "lang": Guess(1.0, "Klingon", 1.0)},
    "strange": {"n": Guess(1.0, "-1.5", 1.0), "height": Guess(1.0)},
    "absent": {"mood": Guess(0.0), "n": Guess(0.0), "lang": Guess(0.0)},
}


@templates
@kinds
def test_blocks_are_valid_and_canonical(kind: str, name: str) -> None:
    """Greedy and hot, each block of a batch holds what it must and is cut as the tokenizer cuts its whole text."""
    setup, template = setup_of(kind), SHIPPED[name]
    some: dict[str, Value] = {"lang": "German", "length_tokens": 7, "task": "Explanation"}
    everything = template.grammar(ALL, only=ALL)
    for heat in (0.0, 1.0, 5.0):
        grammars = [
            (template.grammar(), {}),
            (template.grammar(some), some),
            (everything, ALL),
            (template.grammar(required=PAPER.names if heat > 1 else ["task", "quality"]), {}),
        ]
        blocks = [setup.open(grammar, prompt) for (grammar, _), prompt in zip(grammars, PROMPTS, strict=True)]
        names = [f"{heat}-{number}" for number in range(len(blocks))]
        passes = BlockWriter(setup.model, sampler_of(heat)).write(blocks, names)
        for block, (_, fixed), prompt, count in zip(blocks, grammars, PROMPTS, passes, strict=True):
            check_block(setup, template, block, prompt, fixed)
            assert count <= block.choices < len(block.tokens)
        assert passes[2] == 0
    assert set(template.parse(setup.text(blocks[3]).removesuffix(template.after))) == set(PAPER.names)


@pytest.mark.parametrize(
    ("kind", "chat"), [("qwen", "chatml"), ("llama2", "llama2"), ("phi", "phi"), ("gemma", "gemma"), ("ours", "words")]
)
@templates
def test_blocks_behind_chat_templates(name: str, kind: str, chat: str) -> None:
    """The same behind the opening of an answer, with the white space that chat template and tokenizer put there."""
    setup, template = setup_of(kind, chat), SHIPPED[name]
    blocks = [setup.open(template.grammar({"lang": "French"}), prompt) for prompt in PROMPTS]
    BlockWriter(setup.model, sampler_of(2.0)).write(blocks, list("abcd"))
    for block, prompt in zip(blocks, PROMPTS, strict=True):
        check_block(setup, template, block, prompt, {"lang": "French"})


def written(setup: Setup, grammar: BlockGrammar, names: Sequence[str], **keys: Any) -> list[OpenBlock]:
    """Write blocks behind one prompt under several names."""
    blocks = [setup.open(grammar, ASKED) for _ in names]
    for start in range(0, len(names), 250):
        end = start + 250
        BlockWriter(setup.model, sampler_of(1.0), **keys).write(blocks[start:end], names[start:end])
    return blocks


@pytest.mark.parametrize(("kind", "name"), [("ours", "paper"), ("llama2", "compact")])
def test_frequencies(kind: str, name: str) -> None:
    """Blocks are drawn as often as their tokens' probabilities say, each renormalised over what may stand."""
    setup, known = setup_of(kind), tree(kind, name, ASKED)
    drawn = written(setup, small_grammar(name), [f"request {number}" for number in range(DRAWS)])
    counts = Counter(tuple(block.tokens) for block in drawn)
    assert set(counts) <= set(known.blocks)
    expected = {tokens: DRAWS * math.exp(known.chance(tokens)) for tokens in known.blocks}
    assert sum(expected.values()) == pytest.approx(DRAWS)
    often = [tokens for tokens, number in expected.items() if number >= 8]
    rest = DRAWS - sum(expected[tokens] for tokens in often)
    found, wanted = [counts[tokens] for tokens in often], [expected[tokens] for tokens in often]
    assert len(often) >= 3
    assert chisquare([*found, DRAWS - sum(found)], [*wanted, rest]).pvalue > 1e-4


@small_kinds
@pytest.mark.parametrize("required", [False, True])
def test_options(kind: str, name: str, required: bool) -> None:
    """Where more than one token may stand, these are what some block goes on with, with their probabilities."""
    setup, known = setup_of(kind), tree(kind, name, ASKED, required)
    grammar = small_grammar(name, required=SMALL.names if required else ())
    writer = BlockWriter(setup.model, Sampler())
    for tokens in random.Random(0).sample(sorted(known.blocks), 8):
        block, chance = setup.open(grammar, ASKED), 0.0
        block.take_forced()
        while not block.done:
            options = writer.options(block, writer.logits([block.sequence], [1])[0][-1])
            head = tuple(block.tokens)
            assert head == tokens[: len(head)]
            assert {token for token, _ in options} == known.further[head]
            assert dict(options) == pytest.approx(known.logs[head], abs=1e-4)
            assert [more for _, more in options] == sorted((more for _, more in options), reverse=True)
            chance += dict(options)[tokens[len(head)]]
            block.take(tokens[len(head)])
            block.take_forced()
        assert tuple(block.tokens) == tokens
        assert chance == pytest.approx(known.chance(tokens), abs=1e-3)


@small_kinds
def test_greedy(kind: str, name: str) -> None:
    """Without draws the likeliest token that may stand is taken each time."""
    setup = setup_of(kind)
    blocks = [setup.open(small_grammar(name), prompt) for prompt in PROMPTS]
    BlockWriter(setup.model, Sampler()).write(blocks, list("abcd"))
    assert [tuple(block.tokens) for block in blocks] == [tree(kind, name, prompt).greedy() for prompt in PROMPTS]


@small_kinds
def test_one_pass_for_each_choice(kind: str, name: str) -> None:
    """The model is run no more often than the longest block has real choices, and never for what is determined."""
    setup, known = setup_of(kind), tree(kind, name, ASKED)
    grammar = small_grammar(name)
    for number in range(12):
        model = Counting(setup.model)
        block = setup.open(grammar, ASKED)
        writer = BlockWriter(model, sampler_of(3.0))
        (passes,) = writer.write([block], [f"name {number}"])
        assert passes == model.passes == writer.passes <= block.choices
        assert passes <= known.choices(block.tokens)


@small_kinds
def test_what_is_determined_needs_no_pass(kind: str, name: str) -> None:
    """A block of which all is fixed is written without the model, in the tokenizer's own tokens."""
    setup, template = setup_of(kind), small_template(name)
    fixed: dict[str, Value] = {"mood": "sadder", "lang": "German"}
    model = Counting(setup.model)
    block = setup.open(template.grammar(fixed, only=fixed), ASKED)
    assert BlockWriter(model, Sampler()).write([block], ["a"]) == [0]
    assert model.passes == 0
    check_block(setup, template, block, ASKED, fixed)
    assert block.choices == 0


@pytest.mark.parametrize("kind", ["ours", "llama2"])
@templates
def test_far_fewer_passes_than_tokens(kind: str, name: str) -> None:
    """With every category asked for, most tokens come without a pass."""
    setup, template = setup_of(kind), SHIPPED[name]
    only = [marker.name for marker in PAPER if marker.kind == "categorical"]
    block = setup.open(template.grammar(required=only, only=only), ASKED)
    (passes,) = BlockWriter(setup.model, Sampler()).write([block], ["a"])
    assert passes < len(block.tokens) / 2


@templates
def test_batches_change_nothing(name: str) -> None:
    """A request alone, in any batch, and again gets the same block."""
    setup, template = setup_of("ours"), SHIPPED[name]
    grammars = [
        template.grammar(),
        template.grammar({"lang": "French"}),
        template.grammar(required=["task"]),
    ]
    asked = [(grammars[number % 3], PROMPTS[number % 4], f"r{number}") for number in range(6)]

    def write(chosen: Sequence[tuple[BlockGrammar, str, str]]) -> list[list[int]]:
        blocks = [setup.open(grammar, prompt) for grammar, prompt, _ in chosen]
        BlockWriter(setup.model, sampler_of(1.5, 3)).write(blocks, [request for *_, request in chosen])
        return [block.tokens for block in blocks]

    together = write(asked)
    assert write(asked[::-1]) == together[::-1]
    assert write(asked[2:5]) == together[2:5]
    assert [write([each])[0] for each in asked] == together


@pytest.mark.parametrize("heat", [0.0, 1.0, 4.0])
@small_kinds
def test_guesses_change_nothing(kind: str, name: str, heat: float) -> None:
    """With right, wrong and foolish guesses the blocks are the same, in no more passes than choices."""
    setup = setup_of(kind)
    names = [f"g{number}" for number in range(10)]

    def write(guesses: Mapping[str, Guess]) -> tuple[list[list[int]], list[int]]:
        blocks = [setup.open(small_grammar(name), PROMPTS[number % 4]) for number in range(len(names))]
        passes = BlockWriter(setup.model, sampler_of(heat), guesses).write(blocks, names)
        assert all(count <= block.choices for block, count in zip(blocks, passes, strict=True))
        return [block.tokens for block in blocks], [block.choices for block in blocks]

    plain = write({})
    assert all(write(guesses) == plain for guesses in GUESSES.values())


@templates
def test_guesses_change_nothing_in_the_paper_taxonomy(name: str) -> None:
    """The same with all marker types, each guessed to stand with one of its values."""
    setup, template = setup_of("llama3"), SHIPPED[name]
    rng = random.Random(4)
    slots = template.grammar().slots
    guesses = {slot.name: Guess(rng.random(), rng.choice(slot.choices or ("", "1")), rng.random()) for slot in slots}
    found = []
    for given in ({}, guesses, {slot.name: Guess(1.0, (slot.choices or ("1",))[0], 1.0) for slot in slots}):
        blocks = [setup.open(template.grammar({"lang": "French"}), prompt) for prompt in PROMPTS]
        BlockWriter(setup.model, sampler_of(1.2), given).write(blocks, list("abcd"))
        found.append([block.tokens for block in blocks])
    assert found[0] == found[1] == found[2]


@small_kinds
def test_right_guesses_save_passes(kind: str, name: str) -> None:
    """Where the model writes what is guessed, one pass is enough for many choices."""
    setup = setup_of(kind)
    grammar = small_grammar(name, required=["mood", "n", "lang"])
    plain = setup.open(grammar, ASKED)
    (many,) = BlockWriter(setup.model, Sampler()).write([plain], ["a"])
    text = setup.text(plain).removesuffix(small_template(name).after)
    quoted = '"{}"' if name == "json" else "{}"
    spelled = {"mood": quoted, "n": "{}", "lang": quoted}
    markers = small_template(name).parse(text)
    guesses = {key: Guess(1.0, spelled[key].format(markers[key]), 1.0) for key in markers}
    block = setup.open(grammar, ASKED)
    (few,) = BlockWriter(setup.model, Sampler(), guesses).write([block], ["a"])
    assert block.tokens == plain.tokens
    assert many >= 2
    assert few == 1


def test_guesses_do_not_overrun_the_context() -> None:
    """A block that fits into the model's context is written with guesses too, though these would not fit."""
    setup, grammar = setup_of("ours"), small_grammar("paper")
    sampler = sampler_of(1.0)
    names = [f"short {number}" for number in range(60)]
    blocks = written(setup, grammar, names)
    number = min(range(len(names)), key=lambda place: len(blocks[place].tokens))
    model = Counting(setup.model, context=len(blocks[number].sequence))
    guesses = {slot.name: Guess(1.0, (slot.choices or ("1",))[0], 1.0) for slot in grammar.slots}
    found = []
    for given in ({}, guesses):
        block = setup.open(grammar, ASKED)
        BlockWriter(model, sampler, given).write([block], [names[number]])
        found.append(block.tokens)
    assert found == [blocks[number].tokens] * 2


def test_prompt_that_leaves_no_room() -> None:
    """A prompt that leaves no room for a block is refused, in one sentence that says what to do."""
    setup = setup_of("ours")
    block = setup.open(SHIPPED["paper"].grammar(), "word " * 2000)
    with pytest.raises(DataError, match=r"the model reads 1024: shorten the prompt$") as caught:
        BlockWriter(setup.model, Sampler()).write([block], ["a"])
    assert "\n" not in str(caught.value)


def test_prompt_that_leaves_too_little_room() -> None:
    """The same where the block's beginning fits and its end does not."""
    setup = setup_of("ours")
    short = setup.open(SHIPPED["paper"].grammar(required=PAPER.names), ASKED)
    model = Counting(setup.model, context=len(short.prompt) + 40)
    with pytest.raises(DataError, match="shorten the prompt"):
        BlockWriter(model, Sampler()).write([short], ["a"])
    assert model.passes > 0
