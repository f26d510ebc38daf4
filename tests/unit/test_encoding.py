"""From marked example to tokens: golden files, the loss mask token by token, and the prefix check."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import CHATML
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import load_template
from ttmarkers.dropout import Dropout
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.models.encoding import Encoder
from ttmarkers.records import ANSWER, BLOCK, PROMPT, MarkedExample, Message, Origin, RenderedPair

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

GOLDEN = Path(__file__).parents[1] / "golden"


def _marked(name: str, prompt: str | list[tuple[str, str]], completion: str, **markers: Value) -> MarkedExample:
    turns = [("user", prompt)] if isinstance(prompt, str) else prompt
    return MarkedExample(name, tuple(Message(*turn) for turn in turns), completion, markers, Origin("test", 1))


EXAMPLES = (
    _marked("english", "What is the capital of France?", "Paris.", lang="English", length_tokens=2),
    _marked("french", "Où est la gare ?", "Là-bas, à côté du café.", lang="French", length_tokens=8),
    _marked("chinese", "天空为什么是蓝色的？", "因为光的散射 🌤️。", lang="Chinese", task="Explanation"),
    _marked("arabic", "ما هي عاصمة فرنسا؟", "باريس", lang="Arabic", quality=0.875, quality_bucket="1"),
    _marked(
        "turns",
        [("system", "Be brief."), ("user", "Hi!"), ("assistant", "Hello."), ("user", "Write hello in Python.")],
        "```python\nprint('hello')\n```\n",
        code_type="python",
        task="CodeGeneration",
    ),
    _marked("no-markers", "Say yes.", "Yes.\n\nYes, yes."),
    _marked("dropped", "Warum ist der Himmel blau?", "Wegen der Streuung.", lang="German", domain="Sciences"),
    _marked("typed", "Translate <MARKER_LIST> </MARKER_LIST>\n", "<MARKER_LIST> </MARKER_LIST>", task="Translation"),
)
"""With `DROPOUT`, the block of example ``dropped`` leaves the prompt, and others lose some markers or none."""

DROPOUT = Dropout(dataset=0.4, sample=0.4, seed=7)


@pytest.fixture(scope="module")
def chat_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tests' tokenizer with a chat template like ChatML."""
    chat = copy.deepcopy(tokenizer)
    chat.chat_template = CHATML
    return chat


def _renderer(plugins: Plugins, taxonomy: Taxonomy, name: str = "paper") -> Renderer:
    return Renderer(load_template(plugins.templates().get(name), taxonomy), DROPOUT)


def _shown(encoder: Encoder, pair: RenderedPair) -> dict[str, Any]:
    (encoded,) = encoder.encode([pair])
    return {
        "id": pair.id,
        "prompt": encoder.prompt_text(pair.prompt),
        "completion": pair.completion,
        "dropped": list(pair.dropped),
        "tokens": encoder.tokenizer.convert_ids_to_tokens(encoded.input_ids),
        "parts": "".join(map(str, encoded.parts)),
    }


@pytest.mark.parametrize("name", ["paper", "compact", "json"])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_golden(
    name: str,
    chat: bool,
    request: pytest.FixtureRequest,
    plugins: Plugins,
    taxonomy: Taxonomy,
    tokenizer: PreTrainedTokenizerBase,
    chat_tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Texts, dropped markers, tokens and mask of eight examples are exactly those of the golden file."""
    renderer = _renderer(plugins, taxonomy, name)
    encoder = Encoder(chat_tokenizer if chat else tokenizer)
    found = [_shown(encoder, renderer.render(example)) for example in EXAMPLES]
    path = GOLDEN / f"{name}-{'chat' if chat else 'plain'}.json"
    if request.config.getoption("--update-golden"):
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in found)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == found


def test_examples_cover_dropout(plugins: Plugins, taxonomy: Taxonomy) -> None:
    """The golden examples hold a whole block, a shortened one and one that is gone; the target always has all."""
    renderer = _renderer(plugins, taxonomy)
    pairs = {pair.id: pair for pair in map(renderer.render, EXAMPLES)}
    kept = {example.id: len(example.markers) - len(pairs[example.id].dropped) for example in EXAMPLES}
    assert kept["dropped"] == 0
    assert "MARKER_LIST" not in pairs["dropped"].prompt[-1].content
    assert any(0 < kept[e.id] < len(e.markers) for e in EXAMPLES)
    assert any(0 < kept[e.id] == len(e.markers) for e in EXAMPLES)
    for example in EXAMPLES:
        assert renderer.template is not None
        assert renderer.template.split(pairs[example.id].completion).markers == example.markers


@pytest.mark.parametrize("name", ["paper", "compact", "json"])
def test_mask_token_by_token(
    name: str, plugins: Plugins, taxonomy: Taxonomy, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Prompt tokens carry no loss, block tokens are the block and nothing else, the end token is answer."""
    renderer, encoder = _renderer(plugins, taxonomy, name), Encoder(tokenizer)
    pairs = [renderer.render(example) for example in EXAMPLES]
    for pair, encoded in zip(pairs, encoder.encode(pairs), strict=True):
        assert sorted(encoded.parts) == encoded.parts
        pieces = {
            part: tokenizer.decode([i for i, p in zip(encoded.input_ids, encoded.parts, strict=True) if p == part])
            for part in (PROMPT, BLOCK, ANSWER)
        }
        assert pieces == {
            PROMPT: encoder.prompt_text(pair.prompt),
            BLOCK: pair.block,
            ANSWER: pair.answer + tokenizer.eos_token,
        }
        labels = [label for label in encoded.labels if label != -100]
        assert tokenizer.decode(labels) == pair.completion + tokenizer.eos_token
        assert [label == -100 for label in encoded.labels] == [part == PROMPT for part in encoded.parts]
        assert encoder.encode_prompts([pair.prompt])[0] == encoded.input_ids[: encoded.parts.count(PROMPT)]


def test_without_markers(tokenizer: PreTrainedTokenizerBase) -> None:
    """A baseline's pair has no block: prompt and answer as they are, and no token of part block."""
    pair = Renderer(None, DROPOUT).render(EXAMPLES[0])
    (encoded,) = Encoder(tokenizer).encode([pair])
    assert (pair.prompt, pair.completion, pair.dropped) == (EXAMPLES[0].prompt, "Paris.", ())
    assert BLOCK not in encoded.parts
    assert tokenizer.decode(encoded.input_ids) == "What is the capital of France?\nParis.<|end|>"


def _plain_pair(name: str = "e-17", prompt: str = "Say yes. ", block: str = "<B> </B>\n") -> RenderedPair:
    return RenderedPair(name, (Message("user", prompt),), block, "Yes.")


def _merging_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer without pre-tokenisation, which merges the prompt's line break with the block's first sign."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=262, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(["\n<B"] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|end|>")


def test_prefix_check_finds_a_merge_across_the_border() -> None:
    """A prompt whose tokens change when the completion follows stops the run with the example and the tokens."""
    encoder = Encoder(_merging_tokenizer())
    good, bad = _plain_pair("good", block="[B]\n"), _plain_pair("e-17")
    assert encoder.encode([good])[0].id == "good"
    with pytest.raises(DataError) as caught:
        encoder.encode([good, bad])
    message = str(caught.value)
    assert message.startswith("example e-17: its prompt's tokens change when the completion follows")
    assert "['Ċ'] alone" in message
    assert "'Ċ<" in message
    assert "use a block template or chat template whose prompt ends at a token border" in message


def test_tokenizers_that_cannot_be_used(tokenizer: PreTrainedTokenizerBase) -> None:
    """A tokenizer without an end token is refused with a way to mend it."""
    bare = copy.deepcopy(tokenizer)
    bare.eos_token = None
    with pytest.raises(ConfigError, match=r"has no end-of-sequence token.*set its eos_token"):
        Encoder(bare)


def test_beginning_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """A tokenizer that begins every text with a token does so once, in front of the prompt, without loss."""
    from tokenizers.processors import TemplateProcessing

    begin = copy.deepcopy(tokenizer)
    begin.add_special_tokens({"bos_token": "<|start|>"})
    number = begin.convert_tokens_to_ids("<|start|>")
    begin.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|start|> $A", special_tokens=[("<|start|>", number)]
    )
    encoder, pair = Encoder(begin), _plain_pair()
    (encoded,) = encoder.encode([pair])
    assert encoded.input_ids.count(number) == 1
    assert (encoded.input_ids[0], encoded.parts[0]) == (number, PROMPT)
    assert encoder.encode_prompts([pair.prompt])[0] == encoded.input_ids[: encoded.parts.count(PROMPT)]
    assert begin.decode([label for label in encoded.labels if label != -100]) == pair.completion + "<|end|>"
