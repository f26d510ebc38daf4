"""What text each token of a vocabulary stands for, where that does not depend on its neighbours.

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
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")
_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]  # bytes that byte-level BPE writes as they are
_HIDDEN = [byte for byte in range(256) if byte not in _PRINTED]
_BYTES = {**{chr(byte): byte for byte in _PRINTED}, **{chr(256 + place): byte for place, byte in enumerate(_HIDDEN)}}


def token_texts(tokenizer: PreTrainedTokenizerBase) -> list[bytes] | None:
    """Return the text of each token id, or None if the vocabulary is of another kind."""
    core = tokenizer.backend_tokenizer
    added = {token_id: str(token).encode() for token_id, token in tokenizer.added_tokens_decoder.items()}
    probe = core.encode(PROBE, add_special_tokens=False).ids
    for read in (_byte_level, _sentencepiece):
        texts = _table(core.get_vocab(with_added_tokens=True), read, added)
        # some write a space before a text; it is no part of it
        if b"".join(texts[token] for token in probe).lstrip(b" ") == PROBE.encode():
            return texts
    return None


def vocabulary_bytes(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    """Return the bytes of each token id as SentencePiece-like vocabularies write them, whatever the tokenizer does."""
    added = {token_id: str(token).encode() for token_id, token in tokenizer.added_tokens_decoder.items()}
    return _table(tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True), _sentencepiece, added)


def _table(vocabulary: dict[str, int], read: Callable[[str], bytes], added: dict[int, bytes]) -> list[bytes]:
    texts = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, token_id in vocabulary.items():
        texts[token_id] = added[token_id] if token_id in added else read(token)
    return texts


def _byte_level(token: str) -> bytes:
    return bytes(_BYTES[char] for char in token) if all(char in _BYTES for char in token) else token.encode()


def _sentencepiece(token: str) -> bytes:
    byte = _BYTE.match(token)
    return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()
