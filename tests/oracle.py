"""What an encoded example must be, found again by slower and simpler means."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING

from chat_templates import CHATS, END
from small_tokenizers import small_tokenizer
from ttmarkers.models.encoding import Encoder
from ttmarkers.records import ANSWER, BLOCK, PROMPT, mark

if TYPE_CHECKING:
    from ttmarkers.records import Encoded, RenderedPair

PLAIN = "plain"
"""In place of a chat template's name: no chat template."""


class Oracle:
    """An encoder, and what is known of its tokenizer and chat template.

    Attributes:
        encoder: what is tested.
        slow: the same without the table of tokens' texts.
        lead: white space that the chat template writes before an answer.
        ending: what ends an answer.
    """

    def __init__(self, kind: str, name: str) -> None:
        self.chat = None if name == PLAIN else CHATS[name]
        special = self.chat.special if self.chat else ()
        self.tokenizer = small_tokenizer(kind, self.chat.source if self.chat else "", special)
        self.encoder, self.slow = Encoder(self.tokenizer), Encoder(self.tokenizer)
        self.slow._texts = None
        eos = str(self.tokenizer.eos_token)
        self.lead = self.chat.lead if self.chat else ""
        self.ending = self.chat.ending.replace(END, eos) if self.chat else eos
        # offsets without a tokenizer's last step, which may cut white space off them
        self._core = copy.deepcopy(self.tokenizer.backend_tokenizer)
        self._core.post_processor = None

    def encode(self, pair: RenderedPair) -> Encoded:
        """Encode a pair and check every number of what comes out.

        A token belongs to the part that its first sign stands in: one that holds the block's end and the answer's
        beginning is a block token. No token may hold words of both the prompt and what follows it.
        """
        (encoded,) = self.encoder.encode([pair])
        ids, parts = encoded.input_ids, encoded.parts
        prompt = self.encoder.prompt_text(pair.prompt)
        text = prompt + self.lead + pair.completion + self.ending
        count = parts.count(PROMPT)
        assert encoded.id == pair.id
        assert ids == self._own(text)
        assert ids[:count] == self._own(prompt) == self.encoder.encode_prompts([pair.prompt])[0]
        assert ids[-1] in self.encoder.end_ids
        assert encoded.labels == [-100] * count + ids[count:]
        extents = self._extents(text, ids)
        start = len(prompt) + len(self.lead)
        expected = []
        for _, right in extents[:count]:
            assert not text[len(prompt) : right].strip()  # some tokens swallow the white space after them
            expected.append((PROMPT, 0))
        for left, right in extents[count:]:
            assert left >= len(prompt)
            inside = bool(pair.block) and left < start + len(pair.block)
            expected.append((BLOCK, _mark(pair, left - start, right - start)) if inside else (ANSWER, 0))
        assert list(zip(parts, encoded.marks, strict=True)) == expected
        for encoder in (self.encoder, self.slow):
            sizes = encoder.measure([pair])[0]
            assert (sizes.prompt, sizes.block, sizes.answer) == tuple(parts.count(part) for part in range(3))
            encoder.check_borders([pair], [pair.prompt])
        return encoded

    def pieces(self, encoded: Encoded) -> tuple[str, str, str]:
        """Return the text of each part as its tokens are decoded, special ones as they are written."""
        ends = [encoded.parts.count(PROMPT), len(encoded.parts) - encoded.parts.count(ANSWER), len(encoded.parts)]
        prompt, block, answer = (str(self.tokenizer.decode(encoded.input_ids[:end])) for end in ends)
        assert answer.startswith(block)
        assert block.startswith(prompt)
        return prompt, block[len(prompt) :], answer[len(block) :]

    def _own(self, text: str) -> list[int]:
        """Return the ids that the tokenizer itself gives a text, with its beginning if no chat template writes one."""
        ids = list(self.tokenizer(text, add_special_tokens=False).input_ids)
        bos = self.tokenizer.bos_token_id
        begins = self.chat is None and bos is not None and self.tokenizer(text).input_ids[:1] == [bos]
        return [bos, *ids] if begins else ids

    def _extents(self, text: str, ids: list[int]) -> list[tuple[int, int]]:
        found = self._core.encode(text, add_special_tokens=False)
        begun = len(ids) - len(found.ids)
        assert found.ids == ids[begun:]
        return [(0, 0)] * begun + list(found.offsets)


@cache
def oracle(kind: str, name: str) -> Oracle:
    """Return the oracle of a kind of tokenizer and the name of a chat template, or `PLAIN`."""
    return Oracle(kind, name)


def _mark(pair: RenderedPair, left: int, right: int) -> int:
    for name, span in pair.spans:
        if left < span.end and right > span.start:
            value = left < span.value_end and right > span.value
            return mark(span.index, value=value, dropped=name in pair.dropped)
    return 0
