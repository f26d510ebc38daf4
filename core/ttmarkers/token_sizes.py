"""How many bytes of a text each token of a vocabulary stands for, where that does not depend on its neighbours.

With it a text's tokens can be laid over the text without the offsets that a tokenizer computes, which take a third of
its time. Byte-level BPE writes every byte as one character; SentencePiece-like vocabularies write a space as ``▁`` and
what they lack as ``<0x41>``. Other tokenizers have no such table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerBase

PROBE = "Ab 12\n\n  <tag> é 漢字 </tag>: 'x'\t_9."
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>\Z")


def token_sizes(tokenizer: PreTrainedTokenizerBase) -> list[int] | None:
    """Return the number of bytes of each token id, or None if the vocabulary is of another kind."""
    core = tokenizer.backend_tokenizer
    added = {token_id: len(str(token).encode()) for token_id, token in tokenizer.added_tokens_decoder.items()}
    probe = core.encode(PROBE, add_special_tokens=False).ids
    for size in (len, _sentencepiece_size):
        sizes = _table(core.get_vocab(with_added_tokens=True), size, added)
        dummy = size is _sentencepiece_size and str(core.id_to_token(probe[0])).startswith(
            "▁"
        )  # before a text, never in it
        if sum(sizes[token] for token in probe) - dummy == len(PROBE.encode()):
            return sizes
    return None


def _table(vocabulary: dict[str, int], size: Callable[[str], int], added: dict[int, int]) -> list[int]:
    sizes = [0] * (max(vocabulary.values(), default=-1) + 1)
    for token, token_id in vocabulary.items():
        sizes[token_id] = added[token_id] if token_id in added else size(token)
    return sizes


def _sentencepiece_size(token: str) -> int:
    return 1 if _BYTE.match(token) else len(token.replace("▁", " ").encode())
