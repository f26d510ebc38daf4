"""How likely given answers are behind what a policy lets stand before them: prompt and block, or the plain prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.splitting import Split
from ttmarkers.decoding.generation import Engine
from ttmarkers.decoding.writing import Answer
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ttmarkers.decoding.language_model import LanguageModel
    from ttmarkers.decoding.writing import Begun
    from ttmarkers.records import Message

NOTHING = dict.fromkeys(("forward_passes", "block_passes", "block_tokens", "answer_tokens"), 0)


@dataclass(frozen=True)
class Likelihood:
    """The log-probability of a text, and whether each of its tokens is the likeliest one."""

    value: float
    greedy: bool


class Beginning(Engine):
    """An engine that has blocks written and no answers, and keeps what the answers would have been written behind.

    Attributes:
        begun: by the request's id.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.begun: dict[str, Begun] = {}
        self._texts: dict[tuple[int, ...], str] = {}

    def read(self, prompt: Sequence[Message]) -> list[int]:
        """Return a prompt's tokens, and keep its text."""
        tokens = super().read(prompt)
        self._texts[tuple(tokens)] = self.encoder.prompt_text(prompt)
        return tokens

    def answer(self, begun: Sequence[Begun]) -> list[Answer]:
        """Return empty answers.

        Raises:
            ConfigError: if several are wanted to one request.
        """
        for each in begun:
            if each.request.id in self.begun:
                raise ConfigError(
                    "the policy answers a prompt several times, so there is no one block before an answer: "
                    "use another policy for tasks that score given answers"
                )
            self.begun[each.request.id] = each
        return [Answer("", Split("", {}, ""), {}, NOTHING, ()) for _ in begun]

    def following(self, begun: Begun, answer: str) -> list[int]:
        """Return the tokens of an answer behind prompt and block, cut as the tokenizer cuts the whole."""
        prompt = begun.tokens[: len(begun.tokens) - len(begun.block)]
        start = self._texts.get(tuple(prompt), "")
        plain = self.encoder.ids([start])[0]
        context = [*plain, *begun.block]  # without what the tokenizer puts before a text
        block = self.text(begun, [])[0] if begun.block else self.encoder.lead
        for head in (block, block[self.encoder.own_space :]):
            whole = self.encoder.ids([start + head + answer])[0]
            if start and whole[: len(context)] == context:
                return whole[len(context) :]
        return self.encoder.ids([answer])[0]


def score(model: LanguageModel, rows: Sequence[tuple[Begun, Sequence[int]]]) -> list[Likelihood]:
    """Return the likelihoods of tokens behind what stands before each; under guidance, those that it leads to."""
    sequences, counts = [], []
    for begun, tokens in rows:
        for before in (begun.tokens, *(branch.tokens for branch in begun.branches)):
            sequences.append([*before, *tokens[:-1]])
            counts.append(max(1, len(tokens)))
    logits = iter(model.logits(sequences, counts))
    found = []
    for begun, tokens in rows:
        chances = next(logits).log_softmax(-1)
        if begun.branches:
            mixed = (1.0 - sum(branch.weight for branch in begun.branches)) * chances
            for branch in begun.branches:
                mixed = mixed + branch.weight * next(logits).log_softmax(-1)
            chances = mixed.log_softmax(-1)
        found.append(_likelihood(chances, tokens))
    return found


def _likelihood(chances: Tensor, tokens: Sequence[int]) -> Likelihood:
    """Return the likelihood of tokens, given log-probabilities at the place of each."""
    if not tokens:
        return Likelihood(0.0, True)
    import torch

    wanted = torch.tensor(list(tokens))
    value = float(chances.gather(1, wanted[:, None]).double().sum())
    return Likelihood(value, bool((chances.argmax(-1) == wanted).all()))
