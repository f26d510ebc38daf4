"""Chat templates: what is asked, what is learned, how a turn ends, and which templates are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chat_templates import CHATML, CHATS, DEEPSEEK, END, REFUSES, REWRITES, changed
from oracle import oracle
from small_tokenizers import small_tokenizer
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.models.encoding import Encoder
from ttmarkers.records import Message, RenderedPair

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK = "<B> b </B>"
SHORT = (("user", "Say yes."),)
LONG = (("user", "Hi!"), ("assistant", "Hello."), ("user", "Say <i>yes</i>."))
SYSTEM = (("system", "Be brief."), ("user", "Say yes."))


def _turns(*turns: tuple[str, str]) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in turns)


def _encoder(source: str, special: Sequence[str] = CHATML.special, kind: str = "llama3") -> Encoder:
    return Encoder(small_tokenizer(kind, source, special))


def _rendered(encoder: Encoder, turns: Sequence[tuple[str, str]], **options: Any) -> str:
    said = [{"role": role, "content": content} for role, content in turns]
    return str(encoder.tokenizer.apply_chat_template(said, tokenize=False, enable_thinking=False, **options))


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("turns", [SHORT, LONG, SYSTEM], ids=["short", "long", "system"])
def test_training_text_is_the_templates_own(name: str, turns: tuple[tuple[str, str], ...]) -> None:
    """Prompt, white space, answer and ending are what the template itself writes for the whole conversation.

    But for the end of sequence, which is added to templates that end a turn with no special token.
    """
    chat, encoder = CHATS[name], oracle("llama3", name).encoder
    if turns is SYSTEM and not chat.system:
        turns = (("user", "Be brief.\n\nSay yes."),)
    ending = "" if name == "words" else chat.ending.replace(END, str(encoder.tokenizer.eos_token))
    text = encoder.prompt_text(_turns(*turns)) + chat.lead + "Yes.\n\n- Yes, yes." + ending
    assert _rendered(encoder, [*turns, ("assistant", "Yes.\n\n- Yes, yes.")]).startswith(text)


@pytest.mark.parametrize("name", CHATS)
def test_prompt_is_what_a_model_is_asked(name: str) -> None:
    """A prompt is the template's own, but for opened reasoning, and for what it writes before every answer."""
    chat, encoder = CHATS[name], oracle("llama3", name).encoder
    text, asked = encoder.prompt_text(_turns(*LONG)), _rendered(encoder, LONG, add_generation_prompt=True)
    assert text.endswith(LONG[-1][1] + chat.opening)
    assert text == {
        "deepseek": asked.removesuffix("<think>\n"),
        "harmony": asked + "<|channel|>final<|message|>",
        "thinks": asked + "<think>\n\n</think>\n\n",
    }.get(name, asked)


@pytest.mark.parametrize("name", CHATS)
def test_ends(name: str) -> None:
    """An answer can end with the end of sequence and with what the template ends a turn with, and with nothing else."""
    encoder = oracle("gemma", name).encoder
    ending = CHATS[name].ending.replace(END, "<eos>").strip()
    assert set(encoder.tokenizer.convert_ids_to_tokens(list(encoder.end_ids))) == {"<eos>", ending}
    (encoded,) = encoder.encode([RenderedPair("e", _turns(*SHORT), BLOCK + "\n", "Yes.\n\n\n")])
    assert encoder.tokenizer.decode(encoded.input_ids).endswith("Yes.\n\n\n" + CHATS[name].ending.replace(END, "<eos>"))


@pytest.mark.parametrize("name", [name for name, chat in CHATS.items() if not chat.system])
def test_system_turn_is_folded(name: str) -> None:
    """A template that refuses a system turn gets it at the head of the first user turn."""
    encoder = oracle("llama2", name).encoder
    folded = (("user", "Be brief.\n\nHi!"), *LONG[1:])
    assert encoder.prompt_text(_turns(("system", "Be brief."), *LONG)) == encoder.prompt_text(_turns(*folded))


def test_system_turn_that_is_dropped() -> None:
    """A template that silently leaves a system turn out gets it folded too, behind an assistant that begins."""
    source = CHATML.source.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")
    encoder = _encoder(source)
    begun = (("assistant", "Hello."), ("user", "Say yes."))
    text = encoder.prompt_text(_turns(("system", "Be brief."), *begun))
    assert text.endswith(
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBe brief.\n\nSay yes."
        "<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("name", [name for name, chat in CHATS.items() if chat.trims])
def test_trimmed_turns(name: str) -> None:
    """A template that trims turns keeps a block at the end of one, and what is learned is not trimmed."""
    known = oracle("gemma", name)
    pair = RenderedPair("e", _turns(("user", f"  Say yes. {BLOCK} \n")), BLOCK + "\n", " Yes.\n\n")
    prompt, block, answer = known.pieces(known.encode(pair))
    assert f"\nSay yes. {BLOCK}<" in prompt
    assert (block, answer) == (BLOCK + "\n", " Yes.\n\n" + known.ending)


@pytest.mark.parametrize("name", ["qwen3", "thinks", "deepseek"])
def test_reasoning_of_earlier_answers(name: str) -> None:
    """Reasoning that a template strips from earlier answers is stripped; an answer to learn is left as it is."""
    known, thought = oracle("qwen", name), "<think>\nHm.\n</think>\n\nHello."
    turns = _turns(LONG[0], ("assistant", thought), LONG[2])
    assert known.encoder.prompt_text(turns) == known.encoder.prompt_text(_turns(*LONG))
    pair = RenderedPair("e", turns, BLOCK + "\n", thought)
    assert known.pieces(known.encode(pair))[1:] == (BLOCK + "\n", thought + known.ending)


def test_reasoning_that_is_opened_at_times() -> None:
    """A prompt in which a template opens no reasoning is not cut."""
    opens = (
        "{% if add_generation_prompt %}<|Assistant|>{% if '/no_think' not in messages[-1].content %}<think>{{ '\n' }}"
    )
    source = DEEPSEEK.source.split("{% if add_generation_prompt %}")[0] + opens + "{% endif %}{% endif %}"
    encoder = _encoder(source, DEEPSEEK.special)
    for content in ("Hi!", "Hi! /no_think"):
        assert encoder.prompt_text(_turns(("user", content))) == f"<|begin_of_text|><|User|>{content}<|Assistant|>"


@pytest.mark.parametrize(
    ("before", "asked", "lead"), [(" ", "", " "), ("Well: ", "Well:", " "), ("Well:\n", "Well:\n", "")]
)
def test_what_is_written_before_an_answer(before: str, asked: str, lead: str) -> None:
    """A space that a template writes before an answer is learned with it; words and line breaks are asked."""
    answer = "{{ '" + before.replace("\n", "\\n") + "' if m.role == 'assistant' }}{{ m.content }}"
    encoder = _encoder(CHATML.source.replace("{{ m.content }}", answer))
    pair = RenderedPair("e", _turns(*SHORT), BLOCK + "\n", "Yes.")
    learned = [label for label in encoder.encode([pair])[0].labels if label != -100]
    assert encoder.tokenizer.decode(learned) == f"{lead}{BLOCK}\nYes.<|im_end|>"
    assert encoder.lead == lead
    assert encoder.prompt_text(pair.prompt).endswith("<|im_start|>assistant\n" + asked)


def test_template_that_rewrites_the_prompt() -> None:
    """A template that writes the prompt otherwise once an answer follows is refused, with texts and tokens."""
    with pytest.raises(ConfigError) as caught:
        _encoder(REWRITES)
    message = str(caught.value)
    assert message.startswith(
        "the model's chat template writes the prompt otherwise when an answer follows ('user: ttm-"
    )
    assert "becomes 'Done. user: ttm-" in message
    assert "; tokens ['user', ':', 'Ġ', 't'] become ['D', 'on', 'e', '.']" in message
    assert message.endswith("use a template that only appends")


@pytest.mark.parametrize("answer", ["''", "m.content | upper", "'(answer)'"], ids=["dropped", "upper", "other"])
def test_template_that_writes_no_answer(answer: str) -> None:
    """A template that leaves answers out or rewrites them is refused."""
    with pytest.raises(ConfigError, match="the model's chat template does not write an answer as it is: use one that"):
        _encoder(changed(f"m.content if m.role != 'assistant' else {answer}"))


@pytest.mark.parametrize(
    "content",
    ["m.content.split('<B>')[0]", "m.content | replace('<B>', '')", "m.content | replace('<', '&lt;')"],
    ids=["cut", "tag", "escape"],
)
def test_template_that_changes_the_block(content: str) -> None:
    """A template that cuts or rewrites a block in the prompt is refused; a prompt without one is not."""
    encoder = _encoder(changed(content))
    with pytest.raises(DataError, match=r"example e-17: the chat template changes the text of the last turn.*a block"):
        encoder.encode([RenderedPair("e-17", _turns(("user", f"Say yes. {BLOCK}")), BLOCK, "Yes.")])
    assert encoder.encode([RenderedPair("e-18", _turns(*SHORT), BLOCK + "\n", "Yes.")])[0].id == "e-18"


def test_template_that_refuses() -> None:
    """What a template raises becomes a sentence: at once if it refuses everything, else with the example's id."""
    with pytest.raises(ConfigError, match="the model's chat template refuses a conversation: no conversation, please"):
        _encoder(REFUSES)
    encoder = oracle("gemma", "gemma").encoder
    two = RenderedPair("e-17", _turns(*SHORT, *SHORT), "", "Yes.")
    with pytest.raises(DataError, match=r"example e-17: the model's chat template refuses a conversation: .*alternate"):
        encoder.encode([two])


def test_template_is_asked_for_no_reasoning() -> None:
    """A template with a switch for reasoning is asked for the form without."""
    encoder = _encoder("{% if enable_thinking | default(true) %}Think first.\n{% endif %}" + CHATML.source)
    assert encoder.prompt_text(_turns(*SYSTEM)).startswith("<|im_start|>system\nBe brief.")
