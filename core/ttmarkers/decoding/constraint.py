"""Blocks that are being written, each held to its grammar by llguidance's automaton and to the tokenizer's own tokens.

What the grammar determines comes as tokens at once (`OpenBlock.take_forced`); only real choices are left. A grammar
also allows texts cut into tokens that the tokenizer would not give, and that no model was trained on; such tokens are
refused one by one when they are about to be chosen (`OpenBlock.is_canonical`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import llguidance.hf
import numpy
from llguidance import LLMatcher, LLTokenizer, grammar_from

from ttmarkers.decoding.block_text import BlockText
from ttmarkers.errors import ConfigError
from ttmarkers.models.token_texts import vocabulary_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.blocks.grammar import BlockGrammar
    from ttmarkers.decoding.block_text import Guess
    from ttmarkers.models.encoding import Encoder

NEAR = 48  # characters of a block that decide how the next ones are cut into tokens
SEEN = 50_000  # answers that are kept for a grammar
FEW = 8  # tokens that may stand, of which it is asked whether only one is the tokenizer's own
SPACE = "▁"


class Constrainer:
    """Opens blocks for one tokenizer; grammars that were seen before are not compiled again.

    Args:
        encoder: the model's tokenizer and chat template.
        vocabulary: width of the model's logits, which may exceed the tokenizer's.

    Attributes:
        compiled: number of grammars that were compiled.
    """

    def __init__(self, encoder: Encoder, vocabulary: int) -> None:
        self._encoder = encoder
        self._tokenizer = _automaton_tokenizer(encoder.tokenizer, vocabulary)
        self._grammars = lru_cache(maxsize=256)(self._compile)
        self.compiled = 0

    def open(self, grammar: BlockGrammar, prompt: Sequence[int], prompt_text: str) -> OpenBlock:
        """Return a block that follows a prompt, nothing of it written yet."""
        compiled = self._grammars(grammar)
        before = self._encoder.tail(prompt_text, list(prompt))
        return OpenBlock(self, compiled, compiled.matcher.deep_copy(), list(prompt), before)

    def _compile(self, grammar: BlockGrammar) -> _Compiled:
        matcher = LLMatcher(self._tokenizer, grammar_from("lark", grammar.to_lark()))
        if matcher.is_error():
            raise ConfigError(f"the block's grammar is refused by llguidance: {matcher.get_error()}")
        self.compiled += 1
        return _Compiled(matcher, BlockText(grammar), {})

    def text(self, tokens: Sequence[int]) -> str | None:
        """Return the text of tokens, or None if it ends within a character."""
        try:
            return bytes(self._tokenizer.decode_bytes(list(tokens))).decode()
        except UnicodeDecodeError:
            return None

    def tokens(self, block: OpenBlock, text: str) -> list[int]:
        """Return the tokens of a block's text behind the end of its prompt, as the tokenizer cuts them."""
        # the model learned to write white space that its tokenizer adds, and that no text holds
        return self._encoder.ids([block.before[0] + text[self._encoder.own_space :]])[0]

    def is_canonical(self, block: OpenBlock, token: int) -> bool:
        """Say whether the tokenizer cuts any whole block into the tokens so far, this one, and more."""
        text = self.text([*block.tokens, token])
        if text is None:
            return True  # what follows decides
        key, seen = (text[-NEAR:], token), block.seen
        found = seen.get(key)
        if found is None:
            if len(seen) >= SEEN:
                seen.clear()
            found = seen[key] = self._check(block, token, text)
        return found

    def _check(self, block: OpenBlock, token: int, text: str) -> bool:
        wanted = [*block.known, token]
        return any(self.tokens(block, text + rest)[: len(wanted)] == wanted for rest in block.text.rests(text))


@dataclass(frozen=True)
class _Compiled:
    """A grammar: its automaton, what reads its blocks, and which tokens were found to be canonical."""

    matcher: Any
    text: BlockText
    seen: dict[tuple[str, int], bool]


class OpenBlock:
    """A block that is being written behind a prompt.

    Attributes:
        prompt: the tokens before it.
        tokens: its own so far.
        before: the end of the prompt's text, and how many tokens that is.
        text: reads it.
        seen: which tokens were found to be canonical where.
        choices: how many tokens were chosen so far.
        chance: the logarithm of the probability of what was chosen.
    """

    def __init__(
        self, owner: Constrainer, compiled: _Compiled, matcher: Any, prompt: list[int], before: tuple[str, int]
    ) -> None:
        self._owner, self._compiled, self._matcher = owner, compiled, matcher
        self.text, self.seen, self.prompt, self.before = compiled.text, compiled.seen, prompt, before
        self.tokens: list[int] = []
        self.choices = 0
        self.chance = 0.0
        self._allowed: numpy.ndarray | None = None

    @property
    def sequence(self) -> list[int]:
        """Prompt and block."""
        return [*self.prompt, *self.tokens]

    @property
    def known(self) -> list[int]:
        """The tokens of the end of the prompt, and of the block."""
        return [*self.prompt[len(self.prompt) - self.before[1] :], *self.tokens]

    @property
    def done(self) -> bool:
        """Whether the block is closed, and what belongs behind it written."""
        return bool(self._matcher.is_accepting())

    def copy(self) -> OpenBlock:
        """Return a block of its own that has come as far."""
        other = OpenBlock(self._owner, self._compiled, self._matcher.deep_copy(), self.prompt, self.before)
        other.tokens, other.choices, other.chance = list(self.tokens), self.choices, self.chance
        return other

    def written(self) -> str:
        """Return the text so far, without a character that is not whole yet."""
        return bytes(self._owner._tokenizer.decode_bytes(self.tokens)).decode(errors="ignore")

    def ahead(self) -> str:
        """Return the text so far with what the grammar determines behind it."""
        return self.written() + bytes(self._matcher.compute_ff_bytes()).decode(errors="ignore")

    def value(self) -> tuple[str, list[str]]:
        """Return the categorical marker whose value is to be chosen, and the values that it may have; or neither."""
        return ("", []) if self.done else self.text.values(self.ahead())

    def decided(self, name: str) -> str | None:
        """Return the value of a marker that was being chosen, once no other is possible; None before."""
        place, values = self.value() if not self.done else ("", [])
        if place == name:
            return values[0] if len(values) == 1 else None
        return self.text.last_value(self.written(), name)

    def counts(self) -> bool:
        """Say whether a number is being written."""
        return self.text.in_number(self.ahead())

    def take(self, token: int) -> None:
        """Write a token.

        Raises:
            RuntimeError: if the grammar forbids it.
        """
        if not self._matcher.consume_token(token):
            raise RuntimeError(f"token {token} is none of the grammar: {self._matcher.get_error()}")
        self.tokens.append(token)
        self._allowed = None

    def take_forced(self) -> list[int]:
        """Write what grammar and tokenizer determine, and return it."""
        written: list[int] = []
        while not self.done:
            forced = [int(token) for token in self._matcher.compute_ff_tokens()] or self._only_one()
            if not forced:
                break
            for token in forced:
                self.take(token)
            written += forced
        return written

    def _only_one(self) -> list[int]:
        """Return the only token that may stand next, if there is but one that the tokenizer would write."""
        allowed = self.allowed()
        if len(allowed) > FEW:
            return []
        left = [int(token) for token in allowed if self.is_canonical(int(token))]
        return left if len(left) == 1 else []

    def allowed(self) -> numpy.ndarray:
        """Return the tokens that the grammar allows next, of shape (tokens)."""
        if self._allowed is None:
            mask = numpy.frombuffer(self._matcher.compute_bitmask(), numpy.uint8)
            self._allowed = numpy.flatnonzero(numpy.unpackbits(mask, bitorder="little"))
        return self._allowed

    def is_canonical(self, token: int) -> bool:
        """Say whether the tokenizer would write this token here."""
        return self._owner.is_canonical(self, token)

    def likely(self, guesses: Mapping[str, Guess]) -> list[int]:
        """Return tokens that the block most likely goes on with; perhaps none."""
        text = self._owner.text(self.tokens)
        rest = "" if text is None else self.text.likely(text, guesses)
        if not rest or text is None:
            return []
        known = self.known
        ids = self._owner.tokens(self, text + rest)
        if ids[: len(known)] != known:
            return []
        # what follows may melt into the last one
        return ids[len(known) : -1]


def _automaton_tokenizer(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> Any:
    """Return llguidance's view of a tokenizer: its own reading, or else one of the vocabulary as bytes."""
    try:
        return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)
    except ValueError:
        return LLTokenizer(_Vocabulary(tokenizer, vocabulary), n_vocab=vocabulary)


class _Vocabulary:
    """A tokenizer as llguidance takes it from Python."""

    is_tokenizer_wrapper = True

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int) -> None:
        self._core = tokenizer.backend_tokenizer
        found = vocabulary_bytes(tokenizer)
        self.tokens = found + [b""] * (size - len(found))
        self.eos_token_id, self.bos_token_id = tokenizer.eos_token_id, tokenizer.bos_token_id
        added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self.special_token_ids = sorted({*tokenizer.all_special_ids, *added})

    def __call__(self, text: str | bytes) -> list[int]:
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        # the model alone: what goes before it would put a space in front, and this is no beginning
        return [token.id for token in self._core.model.tokenize(words.replace(" ", SPACE))]
