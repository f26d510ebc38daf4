"""Chat templates that behave as those of known models do, in words of our own.

Transformers cuts the line break after a block tag, so where a tag goes before, a line break is written as a value.
"""

from __future__ import annotations

from dataclasses import dataclass

END = "{eos}"
"""Stands for a tokenizer's end of sequence in `Chat.ending`."""

_REFUSE_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}"
)
_SAID = "{% if m.role == 'assistant' %}{% set said = m.content.split('</think>')[-1].lstrip('\n') %}"


@dataclass(frozen=True)
class Chat:
    """A chat template, and what is right for it.

    Attributes:
        source: the template.
        special: the tokens that it writes.
        ending: what ends an answer.
        lead: white space that an answer begins with.
        opening: what stands between the last turn and what the model writes.
        system: whether it takes a system turn.
        trims: whether it cuts white space off the ends of turns.
    """

    source: str
    special: tuple[str, ...] = ()
    ending: str = END
    lead: str = ""
    opening: str = ""
    system: bool = True
    trims: bool = False


CHATML = Chat(
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>{{ '\n' }}{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    opening="<|im_end|>\n<|im_start|>assistant\n",
)

LLAMA3 = Chat(
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>{{ '\n\n' }}{% endif %}",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    opening="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    trims=True,
)

GEMMA = Chat(
    "{{ bos_token }}" + _REFUSE_SYSTEM + "{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model{{ '\n' }}{% endif %}",
    ("<start_of_turn>", "<end_of_turn>"),
    "<end_of_turn>",
    opening="<end_of_turn>\n<start_of_turn>model\n",
    system=False,
    trims=True,
)

LLAMA2 = Chat(
    _REFUSE_SYSTEM + "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}",
    ending=" " + END,
    lead=" ",
    opening=" [/INST]",
    system=False,
)

QWEN3 = Chat(
    "{% for m in messages %}<|im_start|>{{ m.role }}{{ '\n' }}" + _SAID + "{% if loop.last %}"
    "<think>{{ '\n\n' }}</think>{{ '\n\n' }}{% endif %}{{ said }}{% else %}{{ m.content }}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>{{ '\n\n' }}</think>{{ '\n\n' }}"
    "{% endif %}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    opening="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)

THINKS = Chat(  # as QWEN3, and cannot be asked for the form without reasoning
    QWEN3.source.replace("enable_thinking is defined", "false"), QWEN3.special, QWEN3.ending, opening=QWEN3.opening
)

DEEPSEEK = Chat(
    "{{ bos_token }}{% for m in messages %}" + _SAID + "<|Assistant|>{{ said }}{{ eos_token }}"
    "{% elif m.role == 'user' %}<|User|>{{ m.content }}{% else %}{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|Assistant|><think>{{ '\n' }}{% endif %}",
    ("<|User|>", "<|Assistant|>"),
    opening="<|Assistant|>",
)

HARMONY = Chat(
    "<|start|>system<|message|>Valid channels: analysis, final.<|end|>{% for m in messages %}"
    "{% if m.role == 'assistant' %}<|start|>assistant<|channel|>final<|message|>{{ m.content }}"
    "{{ '<|return|>' if loop.last else '<|end|>' }}"
    "{% else %}<|start|>{{ 'developer' if m.role == 'system' else m.role }}<|message|>{{ m.content }}<|end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}",
    ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>"),
    "<|return|>",
    opening="<|end|><|start|>assistant<|channel|>final<|message|>",
)

PHI = Chat(
    "{% for m in messages %}<|{{ m.role }}|>{{ '\n' }}{{ m.content }}<|end|>{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{{ '\n' }}{% else %}{{ eos_token }}{% endif %}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "<|end|>",
    opening="<|end|>\n<|assistant|>\n",
)

WORDS = Chat(
    "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}",
    lead=" ",
    opening="\nAssistant:",
)

CHATS = {
    "chatml": CHATML,
    "llama3": LLAMA3,
    "gemma": GEMMA,
    "llama2": LLAMA2,
    "qwen3": QWEN3,
    "thinks": THINKS,
    "deepseek": DEEPSEEK,
    "harmony": HARMONY,
    "phi": PHI,
    "words": WORDS,
}
"""Templates that can be used."""

REWRITES = (
    "{% for m in messages %}{% if messages[-1].role == 'assistant' and loop.first %}Done. {% endif %}"
    "{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Writes the prompt otherwise when an answer follows."""

REFUSES = "{{ raise_exception('no conversation, please') }}"
"""Refuses everything."""


def changed(filtered: str) -> str:
    """Return a template that writes turns otherwise than they are.

    Args:
        filtered: what it writes for the content of turn ``m``, as a Jinja expression.
    """
    return CHATML.source.replace("{{ m.content }}", "{{ " + filtered + " }}")
