"""Small tokenizers of the kinds that models have, and chat templates that behave as theirs do.

All are made here, from a few lines of text: what matters is how each cuts, begins and normalises text, not its words.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from conftest import FIT_TEXTS
from ttmarkers.models.loading import make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers import PreTrainedTokenizerBase

TEXTS = (
    *FIT_TEXTS,
    '{"markers": {"task": "Translation", "lang": "French", "length_tokens": 12}}\n',
    "[[task=Explanation; length_bucket=Concise; lang=German]]\n",
    "user\nassistant\nsystem\nmodel\n\nUser: Hi! Assistant: Hello, how are you today?\n\n",
    "Où est la gare ? Là-bas, à côté du café.\n    print('hello')\n",
    "天空为什么是蓝色的？因为光的散射。\n",
    "ما هي عاصمة فرنسا؟ باريس\n",
    "".join(map(chr, range(32, 127))) + "\n",
)
"""What the tokenizers are fitted on."""

VOCABULARY = 600
SPACE = "▁"
WORDS = r"'(?i:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level(words: str, specials: Sequence[str]) -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(specials), initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(TEXTS, trainer)
    return core


def _sentencepiece(words: str, specials: Sequence[str], normalizer: Any, texts: Sequence[str]) -> Tokenizer:
    """Return BPE that falls back to bytes; ``words`` bounds merges while it is fitted, and is not kept."""
    fitted = Tokenizer(models.BPE())
    fitted.normalizer = normalizers.Replace(" ", SPACE)
    fitted.pre_tokenizer = pre_tokenizers.Split(Regex(words), "isolated")
    fitted.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=VOCABULARY - 256, show_progress=False))
    learned = json.loads(fitted.to_str())["model"]
    tokens = [*specials, *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = [tuple(pair) for pair in learned["merges"]]
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    core.add_special_tokens(list(specials))
    core.normalizer = normalizer
    return core


def _begun(core: Tokenizer, bos: str) -> Any:
    return processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))])


def _wrapped(core: Tokenizer, **named: str) -> PreTrainedTokenizerBase:
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **named)


def _ours() -> PreTrainedTokenizerBase:
    """As ``scratch:`` models have."""
    return make_tokenizer(TEXTS, VOCABULARY)


def _qwen() -> PreTrainedTokenizerBase:
    """Byte-level BPE that puts text into the composed form first and has no beginning."""
    core = _byte_level(LLAMA_WORDS, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    core.normalizer = normalizers.NFC()
    return _wrapped(core, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _neox() -> PreTrainedTokenizerBase:
    """Byte-level BPE whose offsets leave out white space; one token begins and ends texts and stands for unknowns."""
    core = _byte_level(WORDS, ["<|endoftext|>"])
    core.post_processor = processors.ByteLevel(trim_offsets=True)
    return _wrapped(core, eos_token="<|endoftext|>", bos_token="<|endoftext|>", unk_token="<|endoftext|>")


def _llama3() -> PreTrainedTokenizerBase:
    """Byte-level BPE whose pieces end in line breaks, and that begins every text with a token."""
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    core = _byte_level(LLAMA_WORDS, specials)
    core.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), _begun(core, "<|begin_of_text|>")]
    )
    return _wrapped(core, eos_token="<|eot_id|>", bos_token="<|begin_of_text|>", pad_token="<|end_of_text|>")


def _gemma() -> PreTrainedTokenizerBase:
    """SentencePiece's BPE without a space in front; line breaks are tokens."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    core = _sentencepiece(rf"\n+|{SPACE}*[^{SPACE}\n]+|{SPACE}+", specials, normalizers.Replace(" ", SPACE), TEXTS)
    core.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    core.post_processor = _begun(core, "<bos>")
    return _wrapped(core, eos_token="<eos>", bos_token="<bos>", pad_token="<pad>", unk_token="<unk>")


def _llama2() -> PreTrainedTokenizerBase:
    """SentencePiece's BPE with a space in front; line breaks are bytes."""
    before = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    texts = [line for text in TEXTS for line in text.split("\n")]
    core = _sentencepiece(rf"{SPACE}*[^{SPACE}]+|{SPACE}+", ["<unk>", "<s>", "</s>"], before, texts)
    core.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    core.post_processor = _begun(core, "<s>")
    return _wrapped(core, eos_token="</s>", bos_token="<s>", unk_token="<unk>")


def _phi() -> PreTrainedTokenizerBase:
    """As `_llama2`, with tokens that swallow the white space after them."""
    tokenizer = _llama2()
    names = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    tokenizer.add_tokens([AddedToken(name, rstrip=True, special=True, normalized=False) for name in names])
    return tokenizer


def _unigram() -> PreTrainedTokenizerBase:
    """Unigram without a fallback: signs that it never saw are unknown, several in a row one token."""
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    core.train_from_iterator(TEXTS, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", core.token_to_id("</s>"))]
    )
    return _wrapped(core, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


_MAKERS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "ours": _ours,
    "qwen": _qwen,
    "neox": _neox,
    "llama3": _llama3,
    "gemma": _gemma,
    "llama2": _llama2,
    "phi": _phi,
    "unigram": _unigram,
}
KINDS = tuple(_MAKERS)
"""Names of the tokenizers."""


@cache
def _made(kind: str) -> PreTrainedTokenizerBase:
    return _MAKERS[kind]()


def small_tokenizer(kind: str, chat: str = "", special: Sequence[str] = ()) -> PreTrainedTokenizerBase:
    """Return a tokenizer of one of `KINDS`.

    Args:
        kind: its name.
        chat: its chat template; none by default.
        special: tokens that the template writes; those that it lacks are added.
    """
    tokenizer = copy.deepcopy(_made(kind))
    tokenizer.chat_template = chat or None
    lacking = [token for token in special if token not in tokenizer.get_vocab()]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in lacking])
    return tokenizer
