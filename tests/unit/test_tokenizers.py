"""Examples under tokenizers and chat templates of many kinds: every token's part and mark, or a refusal."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import processors

from chat_templates import CHATS
from oracle import PLAIN, oracle
from small_tokenizers import KINDS, small_tokenizer
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import Template, load_template
from ttmarkers.components import MarkerType
from ttmarkers.dropout import Dropout
from ttmarkers.errors import DataError
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.token_texts import token_texts
from ttmarkers.records import BLOCK, MarkedExample, Message, Origin, RenderedPair, Span, mark
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from oracle import Oracle
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value

NAMES = (PLAIN, *CHATS)
BLOCKS = ("paper", "compact", "json")
BYTE_LEVEL = ("ours", "qwen", "neox", "llama3")
BLANK_LINE = ("llama3", "qwen3", "thinks")  # prompts that end in a blank line
PAIRS = [(kind, name) for kind in KINDS for name in NAMES if kind != "neox" or name not in BLANK_LINE]
SPACED = {  # prompts that end in a special token, where these tokenizers put a space before what follows
    *((kind, name) for kind in ("llama2", "phi", "unigram") for name in ("deepseek", "harmony")),
    ("phi", "phi"),
}
DROPOUT = Dropout(dataset=0.4, sample=0.4, seed=7)
OWN = Taxonomy(
    (
        MarkerType("ton", "", "categorical", ("élevé", "中文", "très bas")),
        MarkerType("n", "", "int", minimum=0),
        MarkerType("lang", "", "categorical", ("Français", "English")),
    )
)
"""A taxonomy whose values are not all ASCII."""


def _marked(name: str, prompt: str | list[tuple[str, str]], completion: str, **markers: Value) -> MarkedExample:
    turns = [("user", prompt)] if isinstance(prompt, str) else prompt
    return MarkedExample(name, tuple(Message(*turn) for turn in turns), completion, markers, Origin("test", 1))


EXAMPLES = (
    _marked("english", "What is the capital of France?", "Paris.", lang="English", length_tokens=2),
    _marked("chinese", "天空为什么是蓝色的？ 🌤️", "因为光的散射 🌤️。", lang="Chinese", task="Explanation", quality=0.875),
    _marked("arabic", "ما هي عاصمة فرنسا؟", "باريس", lang="Arabic", quality_bucket="1"),
    _marked(
        "system", [("system", "Be brief."), ("user", "Où est la gare ?")], "Là-bas.", lang="French", style="Formal"
    ),
    _marked(
        "turns",
        [("user", "Hi!"), ("assistant", "<think>\nHm.\n</think>\n\nHello."), ("user", " Bye! ")],
        "Good bye.\n\n\n",
        task="CodeGeneration",
        code_type="python",
    ),
    _marked("typed", "Say <MARKER_LIST> <lang> German </lang> </MARKER_LIST> [[n=1]]", "[[n=1]]", lang="German"),
    _marked("no-markers", "Say yes.", "Yes.\n\nYes, yes."),
)


@pytest.fixture(scope="module")
def templates(plugins: Plugins, taxonomy: Taxonomy) -> list[Template]:
    """The built-in block templates for the paper's taxonomy, then those for `OWN`."""
    return [load_template(plugins.templates().get(name), kinds) for kinds in (taxonomy, OWN) for name in BLOCKS]


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_every_pair(kind: str, name: str, templates: list[Template]) -> None:
    """Examples of all kinds are encoded as they must be, and their parts decode to prompt, block and answer."""
    known = oracle(kind, name)
    lead = " " if (kind, name) in SPACED else known.lead
    assert known.encoder.lead == lead
    for template in [*templates[: len(BLOCKS)], None]:
        for example in EXAMPLES:
            pair = Renderer(template, DROPOUT).render(example)
            encoded = known.encode(pair)
            assert known.slow.encode([pair]) == [encoded]
            if known.tokenizer.unk_token_id in encoded.input_ids and kind == "unigram":
                assert set("🌤️‹") & set(pair.answer + pair.prompt[-1].content)
                continue  # nothing decodes to what is not known
            prompt, block, answer = known.pieces(encoded)
            if kind in BYTE_LEVEL:
                bos = known.tokenizer.bos_token if kind == "llama3" and name == PLAIN else ""
                assert prompt == bos + known.encoder.prompt_text(pair.prompt)
            assert block == (lead + pair.block if pair.block else "")
            assert answer == ("" if pair.block else lead) + pair.answer + known.ending


SIGNS = [
    *(" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x00"),
    *("a", "B", "q", "7", ".", "Yes", "é", "e\u0301", "\u0301", "漢", "字", "🌤️", "👩‍👩‍👧", "Ω", "क़", "؟"),
    *(
        "▁",
        "Ġ",
        "Ċ",
        "<",
        "</",
        "[[",
        "]]",
        "{",
        "}",
        "<0x0A>",
        "<unk>",
        "<s>",
        "</s>",
        "<|end|>",
        "<think>",
        "</think>",
    ),
]
TEXTS = st.lists(st.one_of(st.sampled_from(SIGNS), st.characters(exclude_categories=["Cs"])), max_size=8).map("".join)
CONVERSATIONS = st.tuples(
    st.one_of(st.none(), TEXTS), st.one_of(st.none(), st.tuples(TEXTS, TEXTS)), TEXTS, TEXTS.filter(bool)
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120)
@given(data=st.data(), name=st.sampled_from(NAMES), conversation=CONVERSATIONS)
def test_any_text(
    kind: str,
    data: st.DataObject,
    name: str,
    conversation: tuple[str | None, tuple[str, str] | None, str, str],
    templates: list[Template],
) -> None:
    """Whatever the text, an example is encoded as it must be, or refused with its id and the tokens in question."""
    system, earlier, question, answer = conversation
    turns = [] if system is None else [("system", system)]
    turns += zip(("user", "assistant"), earlier or (), strict=False)
    template = data.draw(st.sampled_from([*templates, None]))
    markers: dict[str, Value] = {}
    for marker in template.taxonomy if template else ():
        if data.draw(st.booleans()):
            markers[marker.name] = data.draw(st.sampled_from(marker.values or (0, 7, 999)))
    pair = Renderer(template, DROPOUT).render(_marked("e-17", [*turns, ("user", question)], answer, **markers))
    known = oracle(kind, name)
    try:
        encoded = known.encode(pair)
    except DataError as error:
        refusal = str(error)
    else:
        assert known.slow.encode([pair]) == [encoded]
        return
    assert re.fullmatch(r"(?s)example e-17: .*\btokens?\b.* \['.*'\].*", refusal)
    with pytest.raises(DataError, match=re.escape(refusal)):
        known.slow.encode([pair])


def _pair(block: str, answer: str, prompt: str = "Hi!", value: str = "") -> RenderedPair:
    """Return a pair whose block is a marker in brackets and a line break; ``value`` is the marker's end, if any."""
    span = Span(0, 1, len(block) - 2 - len(value), len(block) - 2, len(block) - 2)
    spans = (("ton", span),) if value else ()
    return RenderedPair("e", (Message("user", prompt),), block, answer, spans=spans)


def _marks(known: Oracle, pair: RenderedPair) -> list[tuple[str, int]]:
    encoded = known.encode(pair)
    assert known.slow.encode([pair]) == [encoded]
    tokens = known.tokenizer.convert_ids_to_tokens(encoded.input_ids)
    return [(tokens[n], encoded.marks[n]) for n, part in enumerate(encoded.parts) if part == BLOCK]


def test_marks_of_a_block() -> None:
    """A token that holds a marker's end and the next one's beginning counts for the first; one of neither for none."""
    spans = (("n", Span(3, 1, 3, 4, 5)), ("m", Span(7, 5, 8, 9, 9)))
    pair = RenderedPair("e", (Message("user", "Hi!"),), "[n=1]]m=2]\n", "Oui.", ("m",), spans)
    frame, value = (mark(3, value=is_value, dropped=False) for is_value in (False, True))
    frame_gone, value_gone = (mark(7, value=is_value, dropped=True) for is_value in (False, True))
    first = [("[", 0), ("n", frame), ("=", frame), ("1", value), ("]]", frame)]
    second = [("m", frame_gone), ("=", frame_gone), ("2", value_gone), ("]", 0), ("Ċ", 0)]
    assert _marks(oracle("llama3", PLAIN), pair) == first + second


def test_places_of_values(templates: list[Template]) -> None:
    """Where a block's values are said to stand, they stand; also those of numbers that are equal and written apart."""
    for template in templates[: len(BLOCKS)]:
        for quality, written in ((-0.0, "-0.0"), (0.0, "0.0"), (0, "0.0"), (0.5, "0.5")):
            markers: dict[str, Value] = {"quality": quality, "length_tokens": 7}
            text, spans = template.render_with_spans(markers)
            values = [text[span.value : span.value_end] for _, span in spans]
            assert values == [written, "7"]
            assert all(name in text[span.start : span.value] for name, span in spans)


@pytest.mark.parametrize("kind", ["ours", "gemma"])
def test_a_value_of_several_bytes_a_sign(kind: str) -> None:
    """Every byte of a value's first sign is the value's, though it ends where it begins, within one sign."""
    marks = _marks(oracle(kind, PLAIN), _pair("[ton=ñ]\n", "Oui.", value="ñ"))
    inside, value = (mark(0, value=is_value, dropped=False) for is_value in (False, True))
    assert [number for _, number in marks] == [0, *[inside] * (len(marks) - 5), value, value, 0, 0]


def test_offsets_without_white_space() -> None:
    """A tokenizer that leaves white space out of its offsets gets the same parts and marks as one that does not."""
    known, other = oracle("neox", PLAIN), copy.deepcopy(small_tokenizer("neox"))
    other.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    pair = _pair("[ ton = é ]\n", " \n Oui.", value="é ")
    assert known.encode(pair) == Encoder(other).encode([pair])[0]


def test_white_space_that_tokens_add_and_swallow() -> None:
    """A space that the tokenizer adds before the block and one that it swallows in the answer do not cancel out."""
    _marks(oracle("phi", "deepseek"), _pair("[ton=a]\n", "Oui. <|end|> Non.", value="a"))


def test_text_is_composed_first() -> None:
    """An answer that the tokenizer shortens (an accent joins its letter) changes nothing in the block before it."""
    known = oracle("qwen", "chatml")
    encoded = known.encode(_pair("[ton=a]\n", "e\u0301te\u0301", value="a"))
    assert known.pieces(encoded)[1:] == ("[ton=a]\n", "été<|im_end|>")


def test_token_across_the_end_of_a_block() -> None:
    """A token that holds the block's end and the answer's beginning is the block's."""
    known = oracle("llama3", "llama3")
    assert known.pieces(known.encode(_pair("[a]\n", "\n\nOui.")))[1:] == ("[a]\n\n", "\nOui.<|eot_id|>")


def test_line_breaks_at_the_end_of_a_prompt() -> None:
    """Without a chat template a turn ends with one line break, however many its text has."""
    known = oracle("neox", PLAIN)
    encoded = [
        known.encode(RenderedPair("e", (Message("user", f"Hi!{end}"),), "", "Paris.")) for end in ("", "\n", " \n\n")
    ]
    assert encoded[0].input_ids == encoded[1].input_ids == encoded[2].input_ids


@pytest.mark.parametrize("name", BLANK_LINE)
def test_blank_lines_of_another_cut(name: str) -> None:
    """A tokenizer that cuts a blank line otherwise when text follows it is refused, and the tokens are shown."""
    prompt = (Message("user", "Hi!"),)
    with pytest.raises(DataError, match=r"example e: .*\['ĊĊ'\] alone, \['Ċ', 'Ċ', '[^']+'\] together"):
        oracle("neox", name).encode(RenderedPair("e", prompt, "", "Paris."))


@pytest.mark.parametrize("pair", [_pair("[ñ=a]\n", "Oui."), _pair("", "ñ", prompt="ñ")], ids=["block", "prompt"])
def test_text_that_the_tokenizer_does_not_know(pair: RenderedPair) -> None:
    """A block that could not be read back is refused, and so is a prompt that melts into what follows."""
    known = Encoder(small_tokenizer("unigram", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"))
    with pytest.raises(DataError, match=r"example e: the tokenizer cannot write its block or .* \(tokens \[.*'<unk>'"):
        known.encode([pair])


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_tokens(kind: str) -> None:
    """The texts of a text's tokens put together are the text, but for a space before it; Unigram has no such table."""
    tokenizer = small_tokenizer(kind)
    texts = token_texts(tokenizer)
    if kind == "unigram":
        assert texts is None
        return
    assert texts is not None
    for example in EXAMPLES:
        ids = tokenizer(example.completion, add_special_tokens=False).input_ids
        assert b"".join(texts[token] for token in ids).decode().removeprefix(" ") == example.completion
