"""What the tests of written blocks share: tokenizers with small models, small grammars, and the check of a block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from transformers import GenerationConfig

from chat_templates import CHATS
from shipped import SOURCES
from small_tokenizers import KINDS, small_tokenizer
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.decoding.constraint import Constrainer
from ttmarkers.decoding.sampling import Sampler
from ttmarkers.decoding.transformers_model import TransformersModel
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import SIZES, make_model
from ttmarkers.records import BLOCK, Message, RenderedPair
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ttmarkers.blocks.grammar import BlockGrammar
    from ttmarkers.decoding.constraint import OpenBlock
    from ttmarkers.records import Value

SMALL = Taxonomy(
    (
        MarkerType("mood", "", "categorical", ("happy", "sad", "sadder")),
        MarkerType("n", "", "int", minimum=0),
        MarkerType("lang", "", "categorical", ("French", "German")),
    )
)
DIGIT = "[0-9]"
PROMPTS = ("Hello there.", "What is the capital of France?", "1 2 3 <MARKER_LIST> a", "Où est la gare ? ")
ASKED = PROMPTS[1]

kinds = pytest.mark.parametrize("kind", KINDS)
small_kinds = pytest.mark.parametrize(
    ("kind", "name"), [("ours", "paper"), ("qwen", "compact"), ("gemma", "json"), ("llama2", "compact")]
)


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


def small_grammar(name: str, **keys: Any) -> BlockGrammar:
    """Return a grammar so small that all its blocks can be listed: its numbers have one digit."""
    grammar = small_template(name).grammar(**keys)
    slots = [slot if slot.choices else replace(slot, pattern=DIGIT, choices=()) for slot in grammar.slots]
    return replace(grammar, slots=tuple(slots))


@cache
def small_template(name: str) -> Template:
    """Return a shipped template for the small taxonomy."""
    return Template(name, SOURCES[name], SMALL)
