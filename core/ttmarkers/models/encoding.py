r"""Rendered pair -> token ids and the part that each token belongs to, with the prefix check.

What a model reads at inference is the tokens of the prompt alone. If the tokens of prompt and completion together do
not begin with exactly those, it was trained on another prompt than it will be asked, and a mask by length is wrong.
So every example is tokenised both ways and compared; a difference stops the run and shows the tokens.

With a chat template the text is the template's own (`ttmarkers.models.chat`). Without one, every turn is followed by a
line break::

    What is the capital of France? <MARKER_LIST> ... </MARKER_LIST>\n
    <MARKER_LIST> ... </MARKER_LIST>\n
    Paris.<end of sequence>
"""

from __future__ import annotations

import copy
from functools import cached_property
from itertools import accumulate, pairwise, takewhile
from typing import TYPE_CHECKING

from ttmarkers.blocks.guard import Plain
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.models.chat import ChatForm
from ttmarkers.models.token_texts import token_texts
from ttmarkers.records import ANSWER, BLOCK, PROMPT, Encoded, Message, Sizes, mark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

    from ttmarkers.records import RenderedPair

TURN_END = "\n"
TAIL = 16  # tokens
AROUND = 24  # characters


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
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        self._plain = Plain([*tokenizer.all_special_tokens, *added])

    @cached_property
    def lead(self) -> str:
        """White space that the model writes before a block or an answer: its chat template's and its tokenizer's own.

        Some tokenizers put a space before what follows a special token, and the model learns to write it.
        """
        prompt = self.prompt_text([Message("user", "a")])
        asked, told = (str(self.tokenizer.decode(ids)) for ids in self.ids([prompt, prompt + self._lead + "a"]))
        written = told.removeprefix(asked).removesuffix("a")
        return self._lead if written.strip() else written

    @property
    def own_space(self) -> int:
        """How many characters of `lead` the tokenizer writes by itself, without being given them."""
        return len(self.lead) - len(self._lead)

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer: the end of sequence, and what the chat template ends a turn with."""
        ends = {int(self.tokenizer.eos_token_id)}
        if self._chat:
            ends.add(self.tokenizer(self._chat.suffix, add_special_tokens=False).input_ids[-1])
        return tuple(sorted(ends))

    def prompt_text(self, prompt: Sequence[Message]) -> str:
        """Return the text after which the model writes; special tokens that somebody typed are none in it."""
        said = [Message(turn.role, self._plain.clean(turn.content)) for turn in prompt]
        if self._chat is None:
            # one line break and no more: some tokenizers cut a row of them otherwise when text follows
            return "".join(turn.content.rstrip() + TURN_END for turn in said)
        return self._chat.prompt(said)

    def encode_prompts(self, prompts: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Return the token ids of prompts as the model is asked."""
        return [self._start + ids for ids in self.ids([self.prompt_text(prompt) for prompt in prompts])]

    def encode(self, pairs: Sequence[RenderedPair]) -> list[Encoded]:
        """Encode pairs and check every one.

        Raises:
            DataError: for the first pair whose prompt is no prefix, with the tokens that differ.
        """
        texts, prompts, targets = self._tokenised(pairs)
        return [self._encoded(*each) for each in zip(pairs, texts, prompts, targets, strict=True)]

    def measure(self, pairs: Sequence[RenderedPair]) -> list[Sizes]:
        """Check pairs as `encode` does, and return only how many tokens their parts have.

        Raises:
            DataError: as `encode` does.
        """
        found = []
        ends = 0 if self._chat else 1
        for pair, text, prompt, target in zip(pairs, *self._tokenised(pairs), strict=True):
            block = self._block_size(pair, text, target) if pair.block else 0
            self._check_known(pair, prompt, target[:block])
            found.append(Sizes(len(self._start) + len(prompt), block, len(target) - block + ends))
        return found

    def check_borders(self, pairs: Sequence[RenderedPair], prompts: Sequence[Sequence[Message]]) -> None:
        """Check that no token crosses from other prompts into the pairs' targets, on the text about the border alone.

        Args:
            pairs: their targets are taken.
            prompts: what stands before each.

        Raises:
            DataError: for the first pair where one does, with the tokens that differ.
        """
        starts = [self.prompt_text(prompt)[-AROUND:] for prompt in prompts]
        wholes = [
            start + (self._lead + pair.completion[:AROUND] + self.suffix)[:AROUND]
            for start, pair in zip(starts, pairs, strict=True)
        ]
        found = self.ids([*starts, *wholes])
        for pair, prompt, whole in zip(pairs, found[: len(pairs)], found[len(pairs) :], strict=True):
            if whole[: len(prompt)] != prompt:
                raise DataError(self._mismatch(pair, prompt, whole))

    @cached_property
    def _start(self) -> list[int]:
        """What the tokenizer itself puts before a plain text; a chat template writes its own."""
        bos = self.tokenizer.bos_token_id
        if self._chat or bos is None:
            return []
        ids = self.tokenizer("a").input_ids
        return [bos] if ids and ids[0] == bos else []

    @property
    def _lead(self) -> str:
        return self._chat.lead if self._chat else ""

    @cached_property
    def suffix(self) -> str:
        """What a chat template writes after an answer, up to the token that ends the turn; empty without one."""
        return self._chat.suffix if self._chat else ""

    def _start_text(self, pair: RenderedPair) -> str:
        try:
            return self.prompt_text(pair.prompt)
        except DataError as error:
            raise DataError(f"example {pair.id}: {error}") from error

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of texts, nothing put before or behind them."""
        # the tokenizer's core, without the offsets that its own call computes whether they are wanted or not
        core = self.tokenizer.backend_tokenizer
        core.no_padding()
        core.no_truncation()
        return [found.ids for found in core.encode_batch_fast(texts, add_special_tokens=False)]

    def _tokenised(
        self, pairs: Sequence[RenderedPair]
    ) -> tuple[list[tuple[str, str]], list[list[int]], list[list[int]]]:
        """Return texts, prompt tokens and target tokens of pairs, the former being what the whole begins with.

        A prompt is not tokenised a second time but for its last tokens: if these come out the same with the rest
        behind them, nothing before them can differ either. Where they do not, the whole is tokenised.
        """
        starts = [self._start_text(pair) for pair in pairs]
        ends = [self._lead + pair.completion + self.suffix for pair in pairs]
        prompts = self.ids(starts)
        tails = [self._tail(start, prompt) for start, prompt in zip(starts, prompts, strict=True)]
        targets: list[list[int]] = []
        again: list[int] = []
        found = self.ids([tail + end for (tail, _), end in zip(tails, ends, strict=True)])
        for number, ((_, count), ids, prompt) in enumerate(zip(tails, found, prompts, strict=True)):
            if ids[:count] != prompt[len(prompt) - count :]:
                again.append(number)
            targets.append(ids[count:])
        for number, whole in zip(again, self.ids([starts[number] + ends[number] for number in again]), strict=True):
            prompt = prompts[number]
            if whole[: len(prompt)] != prompt:
                raise DataError(self._mismatch(pairs[number], prompt, whole))
            targets[number] = whole[len(prompt) :]
        return list(zip(starts, ends, strict=True)), prompts, targets

    def tail(self, text: str, prompt: list[int]) -> tuple[str, int]:
        """Return the end of a prompt that can be cut into tokens by itself, and how many it has; all, if need be."""
        prompt = prompt[len(self._start) :]
        tail, count = self._tail(text, prompt)
        if count < len(prompt) and self.ids([tail])[0] == prompt[len(prompt) - count :]:
            return tail, count
        return text, len(prompt)

    def _tail(self, start: str, prompt: list[int]) -> tuple[str, int]:
        """Return the end of a prompt that is tokenised again, and how many of its tokens that is; all, if need be."""
        texts = self._texts
        if texts is not None and len(prompt) > 2 * TAIL:
            # from a token that begins with white space on, so that no word is cut
            count = next((n for n in range(TAIL, 2 * TAIL) if texts[prompt[-n]][:1] in (b" ", b"\n")), TAIL)
            tail = b"".join([texts[token] for token in prompt[-count:]])
            try:
                text = tail.decode()
            except UnicodeDecodeError:  # the first token begins within a sign
                return start, len(prompt)
            if start.endswith(text):
                return text, count
        return start, len(prompt)

    def _encoded(self, pair: RenderedPair, text: tuple[str, str], prompt: list[int], target: list[int]) -> Encoded:
        extents = self._extents(pair, text, target) if pair.block else []
        block = len(extents)
        self._check_known(pair, prompt, target[:block])
        first = [] if self._chat else self._start
        last = [] if self._chat else [int(self.tokenizer.eos_token_id)]
        before = len(first) + len(prompt)
        rest = len(target) - block + len(last)
        return Encoded(
            pair.id,
            [*first, *prompt, *target, *last],
            [PROMPT] * before + [BLOCK] * block + [ANSWER] * rest,
            [0] * before + _marks(pair, extents) + [0] * rest,
        )

    def _extents(self, pair: RenderedPair, text: tuple[str, str], target: list[int]) -> list[tuple[int, int]]:
        """Return where in the block its tokens begin and end, in characters; they are the first ones of the target.

        A token that holds the block's end and the answer's beginning is the block's.
        """
        lead, count = self._lead, self._quick_size(pair, target)
        if count is not None and self._texts is not None:
            return list(pairwise(accumulate((len(self._texts[token]) for token in target[:count]), initial=-len(lead))))
        start, end = text
        found = self._whole_offsets.encode(start + end, add_special_tokens=False)
        zero = len(start) + len(lead)
        extents = [(left - zero, right - zero) for left, right in found.offsets[len(found.ids) - len(target) :]]
        return list(takewhile(lambda extent: extent[0] < len(pair.block), extents))

    def _block_size(self, pair: RenderedPair, text: tuple[str, str], target: list[int]) -> int:
        count = self._quick_size(pair, target)
        return len(self._extents(pair, text, target)) if count is None else count

    def _quick_size(self, pair: RenderedPair, target: list[int]) -> int | None:
        """Return how many of the target's tokens are the block's, by their texts; None where these do not tell."""
        texts, head = self._texts, self._lead + pair.block
        if texts is None or not head.isascii():
            return None
        length = count = 0
        for token in target:
            if length >= len(head):
                break
            length += len(texts[token])
            count += 1
        return count if b"".join([texts[token] for token in target[:count]]).startswith(head.encode()) else None

    @cached_property
    def _texts(self) -> list[bytes] | None:
        return token_texts(self.tokenizer)

    @cached_property
    def _whole_offsets(self) -> Tokenizer:
        """The tokenizer's core without its last step, which may cut white space off the offsets."""
        core: Tokenizer = copy.deepcopy(self.tokenizer.backend_tokenizer)
        core.post_processor = None
        return core

    @cached_property
    def _unknown(self) -> int | None:
        """The token that stands for any text that the vocabulary lacks, if there is one."""
        unknown = self.tokenizer.unk_token_id
        return None if unknown in (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id) else unknown

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

    def _check_known(self, pair: RenderedPair, prompt: list[int], block: list[int]) -> None:
        """Refuse a block that the tokenizer cannot write, or a prompt that melts into what follows it."""
        if self._unknown is None or self._unknown not in (ids := [*prompt[-1:], *block]):
            return
        place = ids.index(self._unknown)
        tokens = self.tokenizer.convert_ids_to_tokens(ids[max(0, place - 2) : place + 3])
        raise DataError(
            f"example {pair.id}: the tokenizer cannot write its block or the end of its prompt (tokens {tokens}): "
            "use a block template of signs that the tokenizer knows"
        )


def _marks(pair: RenderedPair, extents: Sequence[tuple[int, int]]) -> list[int]:
    """Return the mark of each of a block's tokens, which stand at ``extents``."""
    marks = [0] * len(extents)
    token = 0
    for name, span in pair.spans:
        dropped = name in pair.dropped
        while token < len(extents) and extents[token][0] < span.end:
            left, right = extents[token]
            if right > span.start:
                value = right > span.value and left < span.value_end
                marks[token] = mark(span.index, value=value, dropped=dropped)
            token += 1
    return marks
