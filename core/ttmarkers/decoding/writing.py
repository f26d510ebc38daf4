"""An answer while it is written: what of it may be told, when it is at its end, and how it is taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ttmarkers.blocks.splitting import Split, Splitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.decoding.budget import Budget
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.decoding.language_model import Branch
    from ttmarkers.records import Request, Value


@dataclass(frozen=True)
class Begun:
    """A request whose answer is to be written.

    Attributes:
        request: what is asked.
        tokens: prompt and block, after which the answer comes.
        block: the block's tokens, the last of ``tokens``.
        markers: what the block says.
        branches: sequences of guidance.
        passes: how often the model was run for the block.
    """

    request: Request
    tokens: Sequence[int]
    block: Sequence[int] = ()
    markers: Mapping[str, Value] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    passes: int = 0


@dataclass(frozen=True)
class Answer:
    """What was written behind a block.

    Attributes:
        raw: block and answer as they were written.
        split: these, taken apart.
        enforced: limits that the answer was cut to.
        stats: counts.
        tokens: the answer's tokens.
    """

    raw: str
    split: Split
    enforced: Mapping[str, int]
    stats: Mapping[str, int]
    tokens: Sequence[int]


class Writing:
    """An answer while it is written: what of it may be told, and when it is at its end."""

    def __init__(self, engine: Engine, begun: Begun, budget: Budget | None) -> None:
        self.begun = begun
        self._engine, self._budget = engine, budget
        self._splitter = Splitter(engine.template) if engine.writes else None
        self._read, self._told, self._text = 0, 0, ""
        self.needed = bool(budget or engine.listener or engine.stops)

    def watch(self, tokens: list[int]) -> bool:
        """Take the tokens so far, tell what is new of the answer, and say whether it is to end."""
        head, text = self._engine.text(self.begun, [token for token in tokens if token not in self._engine.ends])
        if text.endswith("\ufffd"):
            return False  # the last character is not whole yet
        piece = (head if not self._read else "") + text[max(0, self._read - len(head)) :]
        self._read = len(head) + len(text)
        before = len(self._text)
        self._text += self._splitter.feed(piece) if self._splitter else piece
        if any(stop in self._text for stop in self._engine.stops):
            return True
        if self._budget and len(self._text) > before and self._budget.exceeded(self._text):
            return True
        self._tell(self._text[: self._safe()])
        return False

    def ended(self, tokens: list[int], passes: int) -> Answer:
        """Return the whole answer."""
        head, text = self._engine.text(self.begun, tokens)
        split = self._split(head + text)
        answer = split.text
        for stop in self._engine.stops:
            answer = answer.partition(stop)[0]
        answer, enforced = self._budget.fit(answer) if self._budget else (answer, {})
        self._tell(answer)
        stats = {
            "forward_passes": self.begun.passes + passes,
            "block_passes": self.begun.passes,
            "block_tokens": len(self.begun.block),
            "answer_tokens": passes,
        }
        return Answer(head + text, replace(split, text=answer), enforced, stats, tokens)

    def _safe(self) -> int:
        """Return how much of the text can be told: nothing that a stop string or a limit may still take away."""
        if self._budget:
            return self._budget.settled(self._text)
        longest = max((len(stop) for stop in self._engine.stops), default=1)
        return max(0, len(self._text) - longest + 1)

    def _tell(self, text: str) -> None:
        if self._engine.listener and len(text) > self._told:
            self._engine.listener(self.begun.request.id, text[self._told :])
            self._told = len(text)

    def _split(self, raw: str) -> Split:
        """Take a block off, which a model with markers writes also when nobody asked for one."""
        if not self._engine.writes:
            return Split("", {}, raw)
        split = self._engine.template.split(raw)
        return split if self.begun.block or split.block else replace(split, fault="")


def longest(begun: Begun) -> int:
    """Return the length of the longest sequence that an answer is written behind."""
    return max([len(begun.tokens), *(len(branch.tokens) for branch in begun.branches)])
