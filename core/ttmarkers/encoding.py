r"""Rendered pair -> token ids and the part that each token belongs to, with the prefix check.

What a model reads at inference is the tokens of the prompt alone. If the tokens of prompt and completion together do
not begin with exactly those, it was trained on another prompt than it will be asked, and a mask by length is wrong.
So every example is tokenised both ways and compared; a difference stops the run and shows the tokens.

With a chat template the text is the template's own (`ttmarkers.chat`). Without one, every turn is followed by a line
break::

    What is the capital of France? <MARKER_LIST> ... </MARKER_LIST>\n
    <MARKER_LIST> ... </MARKER_LIST>\n
    Paris.<end of sequence>
"""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from ttmarkers.chat import ChatForm
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import ANSWER, BLOCK, PROMPT, Encoded, mark
from ttmarkers.token_sizes import token_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.records import Message, RenderedPair

TURN_END = "\n"


class Encoder:
    """Encodes prompts and pairs with a model's tokenizer and chat template.

    Raises:
        ConfigError: if the tokenizer gives no offsets or has no end-of-sequence token, or if its chat template cannot
            be used.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        if not tokenizer.is_fast:
            raise ConfigError(
                f"the tokenizer {tokenizer.name_or_path!r} gives no offsets, so no mask can be checked: "
                "use a model with a fast tokenizer (tokenizer.json)"
            )
        if tokenizer.eos_token_id is None:
            raise ConfigError(
                f"the tokenizer {tokenizer.name_or_path!r} has no end-of-sequence token, so answers would never end: "
                "set its eos_token"
            )
        self._chat = ChatForm(tokenizer) if tokenizer.chat_template else None

    @property
    def lead(self) -> str:
        """White space that the model writes before a block or an answer, as its chat template does."""
        return self._chat.lead if self._chat else ""

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer: the end of sequence, and what the chat template ends a turn with."""
        ends = {int(self.tokenizer.eos_token_id)}
        if self._chat:
            ends.add(self.tokenizer(self._chat.suffix, add_special_tokens=False).input_ids[-1])
        return tuple(sorted(ends))

    def prompt_text(self, prompt: Sequence[Message]) -> str:
        """Return the text after which the model writes."""
        if self._chat is None:
            return "".join(turn.content + TURN_END for turn in prompt)
        return self._chat.prompt(prompt)

    def encode_prompts(self, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Return the token ids of prompts as the model is asked."""
        return [self._start + ids for ids in self._ids([self.prompt_text(prompt) for prompt in prompts])]

    def encode(self, pairs: Sequence[RenderedPair]) -> list[Encoded]:
        """Encode pairs and check every one.

        Raises:
            DataError: for the first pair whose prompt is no prefix, with the tokens that differ.
        """
        starts = [self._start_text(pair) for pair in pairs]
        ends = [self.lead + pair.completion + self._suffix for pair in pairs]
        prompts = self._ids(starts)
        wholes = self._ids([start + end for start, end in zip(starts, ends, strict=True)])
        return [self._encoded(*each) for each in zip(pairs, starts, ends, prompts, wholes, strict=True)]

    @cached_property
    def _start(self) -> list[int]:
        """What the tokenizer itself puts before a plain text; a chat template writes its own."""
        bos = self.tokenizer.bos_token_id
        if self._chat or bos is None:
            return []
        ids = self.tokenizer("a").input_ids
        return [bos] if ids and ids[0] == bos else []

    @cached_property
    def _suffix(self) -> str:
        return self._chat.suffix if self._chat else ""

    def _start_text(self, pair: RenderedPair) -> str:
        try:
            return self.prompt_text(pair.prompt)
        except DataError as error:
            raise DataError(f"example {pair.id}: {error}") from error

    def _ids(self, texts: list[str]) -> list[list[int]]:
        # the tokenizer's core, without the offsets that its own call computes whether they are wanted or not
        core = self.tokenizer.backend_tokenizer
        core.no_padding()
        core.no_truncation()
        return [found.ids for found in core.encode_batch_fast(texts, add_special_tokens=False)]

    def _encoded(self, pair: RenderedPair, start: str, end: str, prompt: list[int], whole: list[int]) -> Encoded:
        count = len(prompt)
        if whole[:count] != prompt:
            raise DataError(self._mismatch(pair, prompt, whole))
        target = whole[count:]
        head = len(self.lead) + len(pair.block) if pair.block else 0
        places = self._places(start, end, head, target) if head else []
        block = next((number for number, place in enumerate(places) if place >= head), len(places))
        first = [] if self._chat else self._start
        last = [] if self._chat else [int(self.tokenizer.eos_token_id)]
        before = len(first) + count
        rest = len(target) - block + len(last)
        marks = _marks(pair, [place - len(self.lead) for place in places], block) if pair.spans else [0] * block
        return Encoded(
            pair.id,
            [*first, *whole, *last],
            [PROMPT] * before + [BLOCK] * block + [ANSWER] * rest,
            [0] * before + marks + [0] * rest,
        )

    def _places(self, start: str, end: str, head: int, target: list[int]) -> list[int]:
        """Return where in ``end`` the target's tokens begin, in characters; right for tokens that begin in its head."""
        sizes = self._sizes
        if sizes is not None and end[:head].isascii():
            lengths = [sizes[token] for token in target]
            if sum(lengths) == len(end.encode()):
                return list(accumulate(lengths, initial=0))[:-1]
        found = self.tokenizer.backend_tokenizer.encode_batch([start + end], add_special_tokens=False)[0]
        return [left - len(start) for left, _ in found.offsets[len(found.ids) - len(target) :]]

    @cached_property
    def _sizes(self) -> list[int] | None:
        return token_sizes(self.tokenizer)

    def _mismatch(self, pair: RenderedPair, prompt: list[int], whole: list[int]) -> str:
        same = 0
        while same < min(len(prompt), len(whole)) and prompt[same] == whole[same]:
            same += 1
        alone = self.tokenizer.convert_ids_to_tokens(prompt[same : same + 3])
        together = self.tokenizer.convert_ids_to_tokens(whole[same : same + 3])
        return (
            f"example {pair.id}: its prompt's tokens change when the completion follows (from token {same} on "
            f"{alone} alone, {together} together), so the loss mask would be wrong: use a block template or chat "
            "template whose prompt ends at a token border"
        )


def _marks(pair: RenderedPair, places: Sequence[int], block: int) -> list[int]:
    """Return the mark of each of a block's tokens, which begin at ``places``."""
    marks = [0] * block
    token = 0
    for name, span in pair.spans:
        dropped = name in pair.dropped
        while token < block and places[token] < span.end:
            end = places[token + 1] if token + 1 < len(places) else span.end
            if end > span.start:
                value = end > span.value and places[token] < span.value_end
                marks[token] = mark(span.index, value=value, dropped=dropped)
            token += 1
    return marks
