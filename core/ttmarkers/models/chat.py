r"""How a model's chat template writes a conversation, found out once by asking it.

A template is asked for a prompt, and for the same prompt with an answer. What it writes before the answer belongs to
the prompt; what it writes after it, up to the token that ends a turn, to the target. So training text is always the
prompt that the model will be asked, then exactly what it should write, however the template re-wraps an answer::

    <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n        the prompt
    <MARKER_LIST> ... </MARKER_LIST>\nHello!<|im_end|>                                      the target

Reasoning is left out: a template that opens ``<think>`` in the prompt, or writes an empty one before an answer, is
asked for the form without (``enable_thinking=False``, or its own empty section). The block comes after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

QUESTION, ANSWER = "ttm-probe-question", "ttm-probe-answer"
OPENED = "<think>"


class ChatForm:
    """What a chat template writes around prompts and answers.

    Attributes:
        lead: white space that an answer begins with, written by the model.
        suffix: what ends an answer, up to the token that ends a turn.

    Raises:
        ConfigError: if the template writes a prompt otherwise when an answer follows, or no answer at all.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._system = self._takes_system()
        question = [Message("user", QUESTION)]
        try:
            asked = self._render(question, generate=True)
            told = self._render([*question, Message("assistant", ANSWER)], generate=False)
        except DataError as error:
            raise ConfigError(str(error)) from error
        at = told.rfind(ANSWER)
        if at < 0:
            raise ConfigError("the model's chat template does not write an answer as it is: use one that does")
        before, after = told[:at], told[at + len(ANSWER) :]
        added, self._cut = self._border(asked, before)
        self._added = added.rstrip(" ")
        self.lead = added[len(self._added) :]  # a space belongs to the first token of the answer
        self.suffix = self._ending(after)

    def prompt(self, turns: Sequence[Message]) -> str:
        """Return the text after which the model writes.

        Raises:
            DataError: if the template refuses the conversation or changes its last turn, which may hold a block.
        """
        text = self._render(turns if self._system else _folded(turns), generate=True)
        if turns[-1].content.strip() not in text:
            raise DataError(
                "the chat template changes the text of the last turn, so a block in it could not be read: "
                "use a template that writes turns as they are"
            )
        return text.removesuffix(self._cut) + self._added

    def _border(self, asked: str, before: str) -> tuple[str, str]:
        """Return what is added to a prompt, and what is cut off it, to make it what stands before an answer."""
        if before.startswith(asked):
            return before[len(asked) :], ""
        opened = asked[len(before) :]
        if asked.startswith(before) and opened.strip() == OPENED:
            return "", opened  # what the template's own answers do without
        at = next((place for place, (a, b) in enumerate(zip(asked, before, strict=False)) if a != b), len(before))
        tokens = [
            self._tokenizer.convert_ids_to_tokens(
                self._tokenizer(text[at : at + 60], add_special_tokens=False).input_ids
            )
            for text in (asked, before)
        ]
        raise ConfigError(
            "the model's chat template writes the prompt otherwise when an answer follows "
            f"({asked[at : at + 30]!r} becomes {before[at : at + 30]!r}; tokens {tokens[0][:4]} become "
            f"{tokens[1][:4]}): use a template that only appends"
        )

    def _ending(self, after: str) -> str:
        """Return what ends an answer: up to the first special token, or the end of sequence if there is none."""
        tokenizer = self._tokenizer
        special = set(tokenizer.all_special_tokens) | {
            str(token) for token in tokenizer.added_tokens_decoder.values() if token.special
        }
        ends = [after.index(token) + len(token) for token in special if token and token in after]
        return after[: min(ends)] if ends else after.rstrip() + str(tokenizer.eos_token)

    def _takes_system(self) -> bool:
        turns = [Message("system", QUESTION), Message("user", QUESTION)]
        try:
            return self._render(turns, generate=True).count(QUESTION) == len(turns)
        except DataError:
            return False

    def _render(self, turns: Sequence[Message], *, generate: bool) -> str:
        said: list[dict[str, Any]] = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    said, tokenize=False, add_generation_prompt=generate, enable_thinking=False
                )
            )
        except Exception as error:  # a template raises what it likes
            raise DataError(f"the model's chat template refuses a conversation: {error}") from error


def _folded(turns: Sequence[Message]) -> Sequence[Message]:
    """Put a system turn at the head of the first user turn, for templates that have none."""
    place = next((number for number, turn in enumerate(turns) if turn.role == "user"), 0)
    if turns[0].role != "system" or not place:
        return turns
    first = Message("user", f"{turns[0].content}\n\n{turns[place].content}")
    return [*turns[1:place], first, *turns[place + 1 :]]
