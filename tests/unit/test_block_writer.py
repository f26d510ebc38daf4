"""Blocks that a model writes: valid, cut into the tokenizer's own tokens, and drawn by the model's own probabilities.

The probabilities are found a second time by simpler means: all blocks of a small grammar are listed and cut into
tokens, and each is read by the model alone and at once.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import torch
from scipy.stats import chisquare
from transformers import GenerationConfig

from chat_templates import CHATS
from small_tokenizers import KINDS, small_tokenizer
from ttmarkers.block_text import Guess
from ttmarkers.block_writer import BlockWriter
from ttmarkers.components import MarkerType
from ttmarkers.constraint import Constrainer
from ttmarkers.encoding import Encoder
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.models import SIZES, make_model
from ttmarkers.plugins import create_plugins
from ttmarkers.records import BLOCK, Message, RenderedPair
from ttmarkers.sampling import Sampler
from ttmarkers.taxonomy import Taxonomy, make_taxonomy
from ttmarkers.template import Template
from ttmarkers.template_source import read_source
from ttmarkers.transformers_model import TransformersModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ttmarkers.constraint import OpenBlock
    from ttmarkers.grammar import BlockGrammar
    from ttmarkers.records import Value

_PLUGINS = create_plugins(third_party=False)
PAPER = make_taxonomy(_PLUGINS.marker_types().all())
SOURCES = {entry.component.name: read_source(entry.component) for entry in _PLUGINS.templates()}
SHIPPED = {name: Template(name, source, PAPER) for name, source in SOURCES.items()}
SMALL = Taxonomy(
    (
        MarkerType("mood", "", "categorical", ("happy", "sad", "sadder")),
        MarkerType("n", "", "int", minimum=0),
        MarkerType("lang", "", "categorical", ("French", "German")),
    )
)
DIGIT = "[0-9]"
DRAWS = 500
PROMPTS = ("Hello there.", "What is the capital of France?", "1 2 3 <MARKER_LIST> a", "Où est la gare ? ")
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

kinds = pytest.mark.parametrize("kind", KINDS)
templates = pytest.mark.parametrize("name", sorted(SHIPPED))


@dataclass(frozen=True)
class Setup:
    """A tokenizer with a model of random weights."""

    encoder: Encoder
    model: TransformersModel
    constrainer: Constrainer

    def open(self, grammar: BlockGrammar, prompt: str, constrainer: Constrainer | None = None) -> OpenBlock:
        """Open a block behind a prompt."""
        turns = [Message("user", prompt)]
        held = replace(grammar, opening=self.encoder.lead + grammar.opening)
        ids = self.encoder.encode_prompts([turns])[0]
        return (constrainer or self.constrainer).open(held, ids, self.encoder.prompt_text(turns))

    def tokens(self, prompt: str, text: str) -> list[int]:
        """Return the tokens of a block's text as rows are cut that a model is trained on."""
        pair = RenderedPair("row", (Message("user", prompt),), text, "")
        encoded = self.encoder.encode([pair])[0]
        return [token for token, part in zip(encoded.input_ids, encoded.parts, strict=True) if part == BLOCK]

    def text(self, block: OpenBlock) -> str:
        """Return a written block without what stands before it."""
        lead = self.encoder.lead
        assert block.written().startswith(lead)
        return block.written()[len(lead) :]


def setup_of(kind: str, chat: str = "") -> Setup:
    """Return the setup of a kind of tokenizer, with a constrainer that has seen no grammar yet."""
    encoder, model = _loaded(kind, chat)
    return Setup(encoder, model, Constrainer(encoder, model.vocabulary))


@cache
def _loaded(kind: str, chat: str) -> tuple[Encoder, TransformersModel]:
    given = CHATS[chat] if chat else None
    tokenizer = small_tokenizer(kind, given.source, given.special) if given else small_tokenizer(kind)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model, encoder = make_model(SIZES["tiny"], tokenizer, 0), Encoder(tokenizer)
    settings = GenerationConfig(
        max_new_tokens=5, eos_token_id=[tokenizer.eos_token_id], pad_token_id=tokenizer.pad_token_id
    )
    return encoder, TransformersModel(model, settings, Sampler())


def sampler_of(heat: float, seed: int = 0) -> Sampler:
    """Return a sampler of a temperature; 0 draws nothing."""
    return Sampler(seed, heat > 0, {"temperature": heat} if heat else {})


@dataclass
class Counting:
    """A model that counts its passes and the rows in them."""

    inner: Any
    context: int | None = None
    passes: int = 0
    rows: int = 0

    @property
    def vocabulary(self) -> int:
        """The width of the logits."""
        return int(self.inner.vocabulary)

    def logits(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor]:
        """Ask the model."""
        self.passes += 1
        self.rows += len(rows)
        found: list[Tensor] = self.inner.logits(rows, counts)
        return found

    def write(self, rows: Sequence[Any]) -> list[Any]:
        """Refuse: blocks are not written by it."""
        raise NotImplementedError


def check_block(setup: Setup, template: Template, block: OpenBlock, prompt: str, fixed: Mapping[str, Value]) -> None:
    """Check that a block is whole, readable, in order, holds what is fixed, and has the tokenizer's own tokens."""
    text = setup.text(block)
    assert block.done
    assert text.endswith(template.after)
    markers, others = template.parse_all(text[: len(text) - len(template.after)])
    assert {name: markers[name] for name in fixed} == fixed
    assert not set(others) & set(fixed)
    places = [template.names.index(name) for name in markers]
    assert places == sorted(places)
    assert block.tokens == setup.tokens(prompt, text)


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


# ---- the distribution, found again by listing all blocks


@dataclass(frozen=True)
class Tree:
    """All blocks of a small grammar behind a prompt, as the tokenizer cuts them, and what a model thinks of them.

    Attributes:
        blocks: tokens of each block -> its markers.
        further: the beginning of blocks -> the tokens that some block goes on with.
        logs: beginning -> token -> the logarithm of its probability, of those that some block goes on with.
    """

    blocks: Mapping[tuple[int, ...], Mapping[str, Value]]
    further: Mapping[tuple[int, ...], set[int]]
    logs: Mapping[tuple[int, ...], Mapping[int, float]]

    def chance(self, tokens: Sequence[int]) -> float:
        """Return the logarithm of the probability of a block, or of its beginning."""
        return sum(self.logs[tuple(tokens[:end])][tokens[end]] for end in range(len(tokens)))

    def choices(self, tokens: Sequence[int]) -> int:
        """Return how many tokens of a block are not the only ones that can stand there."""
        return sum(len(self.further[tuple(tokens[:end])]) > 1 for end in range(len(tokens)))

    def greedy(self) -> tuple[int, ...]:
        """Return the block that takes the likeliest token each time."""
        found: tuple[int, ...] = ()
        while found not in self.blocks:
            found = (*found, max(self.logs[found], key=lambda token: self.logs[found][token]))
        return found


def small_grammar(name: str, **keys: Any) -> BlockGrammar:
    """Return a grammar so small that all its blocks can be listed: its numbers have one digit."""
    grammar = small_template(name).grammar(**keys)
    slots = [slot if slot.choices else replace(slot, pattern=DIGIT, choices=()) for slot in grammar.slots]
    return replace(grammar, slots=tuple(slots))


@cache
def small_template(name: str) -> Template:
    """Return a shipped template for the small taxonomy."""
    return Template(name, SOURCES[name], SMALL)


def all_markers(required: bool) -> list[dict[str, Value]]:
    """List what blocks of the small grammar can say."""
    absent: list[Any] = [] if required else [None]
    found: list[dict[str, Value]] = []
    for mood in [*absent, *SMALL.get("mood").values]:
        for number in [*absent, *range(10)]:
            for lang in [*absent, *SMALL.get("lang").values]:
                given = {"mood": mood, "n": number, "lang": lang}
                found.append({key: value for key, value in given.items() if value is not None})
    return found


@cache
def tree(kind: str, name: str, prompt: str, required: bool = False) -> Tree:
    """Return all blocks of the small grammar with their probabilities; only for templates with one value a marker."""
    setup, template = setup_of(kind), small_template(name)
    listed = all_markers(required)
    pairs = [
        RenderedPair("row", (Message("user", prompt),), template.render(markers) + template.after, "")
        for markers in listed
    ]
    encoded = setup.encoder.encode(pairs)
    rows = [[token for token, part in zip(e.input_ids, e.parts, strict=True) if part == BLOCK] for e in encoded]
    blocks = {tuple(row): markers for row, markers in zip(rows, listed, strict=True)}
    assert len(blocks) == len(listed)
    further: dict[tuple[int, ...], set[int]] = {}
    for row in blocks:
        for end in range(len(row)):
            further.setdefault(row[:end], set()).add(row[end])
    before = setup.encoder.encode_prompts([[Message("user", prompt)]])[0]
    return Tree(blocks, further, _logs(setup, before, blocks, further))


def _logs(
    setup: Setup,
    before: list[int],
    blocks: Mapping[tuple[int, ...], Any],
    further: Mapping[tuple[int, ...], set[int]],
) -> dict[tuple[int, ...], dict[int, float]]:
    """Read all blocks without a cache; what stands behind a token has no part in what the model says after it."""
    rows = list(blocks)
    width = max(map(len, rows))
    ids = torch.tensor([[*before, *row, *[0] * (width - len(row))] for row in rows])
    with torch.inference_mode():
        found = torch.cat([setup.model._model(input_ids=part, use_cache=False).logits for part in ids.split(64)])
    logs: dict[tuple[int, ...], dict[int, float]] = {}
    for row, logits in zip(rows, found, strict=True):
        for end in range(len(row)):
            head = row[:end]
            if head not in logs:
                tokens = sorted(further[head])
                chances = logits[len(before) + end - 1][tokens].double().log_softmax(-1).tolist()
                logs[head] = dict(zip(tokens, chances, strict=True))
    return logs


SMALL_KINDS = pytest.mark.parametrize(
    ("kind", "name"), [("ours", "paper"), ("qwen", "compact"), ("gemma", "json"), ("llama2", "compact")]
)
ASKED = PROMPTS[1]


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


@SMALL_KINDS
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


@SMALL_KINDS
def test_greedy(kind: str, name: str) -> None:
    """Without draws the likeliest token that may stand is taken each time."""
    setup = setup_of(kind)
    blocks = [setup.open(small_grammar(name), prompt) for prompt in PROMPTS]
    BlockWriter(setup.model, Sampler()).write(blocks, list("abcd"))
    assert [tuple(block.tokens) for block in blocks] == [tree(kind, name, prompt).greedy() for prompt in PROMPTS]


@SMALL_KINDS
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


@SMALL_KINDS
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
@SMALL_KINDS
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


@SMALL_KINDS
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


# ---- chances and likeliest blocks


def to_choice(block: OpenBlock, tokens: Sequence[int], name: str) -> None:
    """Let a block come to the choice of a marker's value, by the tokens of a whole block that has it."""
    block.take_forced()
    while block.value()[0] != name:
        block.take(tokens[len(block.tokens)])
        block.take_forced()


@SMALL_KINDS
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


@SMALL_KINDS
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


@SMALL_KINDS
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


# ---- grammars, and what is refused


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
