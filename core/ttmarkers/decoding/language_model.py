"""The narrow interface below the policies: logits after sequences of tokens, and free writing after them.

Both are asked with whole sequences. What was computed for their beginnings is the model's business to keep: a cache of
keys and values, or a server's prefix cache. So a policy may go on with a sequence, drop its end or let it branch
without saying so, and another engine can be put under it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """Another sequence after which the same tokens are written; its logits are mixed in with a weight."""

    tokens: Sequence[int]
    weight: float


@dataclass(frozen=True)
class Continuation:
    """A sequence to go on with, freely.

    Attributes:
        name: of the request; what is drawn at random depends on it and on the seed alone.
        tokens: what the model has read and written so far.
        limit: the greatest number of new tokens.
        watch: sees the new tokens after each step, and returns true to stop.
        branches: sequences of guidance. The next token is chosen by the sum of weight times log-probability over
            these and the sequence itself, whose weight is what is left to 1.
    """

    name: str
    tokens: Sequence[int]
    limit: int
    watch: Callable[[list[int]], bool] | None = None
    branches: tuple[Branch, ...] = ()

    @property
    def weight(self) -> float:
        """The weight of the sequence itself."""
        return 1.0 - sum(branch.weight for branch in self.branches)


@dataclass(frozen=True)
class Written:
    """New tokens, without the one that ended them if there was one, and how often the model was run for them."""

    tokens: list[int]
    passes: int


class LanguageModel(Protocol):
    """A causal language model.

    ``vocabulary`` is the width of its logits, ``context`` the greatest number of tokens that it reads, if known.
    """

    @property
    def vocabulary(self) -> int:
        """The width of the logits."""
        raise NotImplementedError

    @property
    def context(self) -> int | None:
        """The greatest number of tokens."""
        raise NotImplementedError

    def logits(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor]:
        """Return, for each row, the logits after each of its last tokens.

        Args:
            rows: sequences of at least one token.
            counts: after how many of the last tokens, for each row.

        Returns:
            One tensor of shape (count, vocabulary) for each row, float32 on the CPU.
        """
        raise NotImplementedError

    def write(self, rows: Sequence[Continuation]) -> list[Written]:
        """Go on with sequences until each ends, in order."""
        raise NotImplementedError
