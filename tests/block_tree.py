"""The probabilities of blocks, found by simpler means than the block writer's.

All blocks of a small grammar are listed and cut into tokens, and each is read by the model alone and at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from block_setup import SMALL, setup_of, small_template
from ttmarkers.records import BLOCK, Message, RenderedPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from block_setup import Setup
    from ttmarkers.records import Value


@dataclass(frozen=True)
class Tree:
    """All blocks of a small grammar behind a prompt, as the tokenizer cuts them, and what a model thinks of them.

    Attributes:
        blocks: tokens of each block -> its markers.
        further: the beginning of blocks -> the tokens that some block goes on with.
        logs: beginning -> token -> the logarithm of its probability, of those that some block goes on with.
    """

    blocks: Mapping[tuple[int, ...], Mapping[str, Value]]
    further: Mapping[tuple[int, ...], set[int]]
    logs: Mapping[tuple[int, ...], Mapping[int, float]]

    def chance(self, tokens: Sequence[int]) -> float:
        """Return the logarithm of the probability of a block, or of its beginning."""
        return sum(self.logs[tuple(tokens[:end])][tokens[end]] for end in range(len(tokens)))

    def choices(self, tokens: Sequence[int]) -> int:
        """Return how many tokens of a block are not the only ones that can stand there."""
        return sum(len(self.further[tuple(tokens[:end])]) > 1 for end in range(len(tokens)))

    def greedy(self) -> tuple[int, ...]:
        """Return the block that takes the likeliest token each time."""
        found: tuple[int, ...] = ()
        while found not in self.blocks:
            found = (*found, max(self.logs[found], key=lambda token: self.logs[found][token]))
        return found


def all_markers(required: bool) -> list[dict[str, Value]]:
    """List what blocks of the small grammar can say."""
    absent: list[Any] = [] if required else [None]
    found: list[dict[str, Value]] = []
    for mood in [*absent, *SMALL.get("mood").values]:
        for number in [*absent, *range(10)]:
            for lang in [*absent, *SMALL.get("lang").values]:
                given = {"mood": mood, "n": number, "lang": lang}
                found.append({key: value for key, value in given.items() if value is not None})
    return found


@cache
def tree(kind: str, name: str, prompt: str, required: bool = False) -> Tree:
    """Return all blocks of the small grammar with their probabilities; only for templates with one value a marker."""
    setup, template = setup_of(kind), small_template(name)
    listed = all_markers(required)
    pairs = [
        RenderedPair("row", (Message("user", prompt),), template.render(markers) + template.after, "")
        for markers in listed
    ]
    encoded = setup.encoder.encode(pairs)
    rows = [[token for token, part in zip(e.input_ids, e.parts, strict=True) if part == BLOCK] for e in encoded]
    blocks = {tuple(row): markers for row, markers in zip(rows, listed, strict=True)}
    assert len(blocks) == len(listed)
    further: dict[tuple[int, ...], set[int]] = {}
    for row in blocks:
        for end in range(len(row)):
            further.setdefault(row[:end], set()).add(row[end])
    before = setup.encoder.encode_prompts([[Message("user", prompt)]])[0]
    return Tree(blocks, further, _logs(setup, before, blocks, further))


def _logs(
    setup: Setup,
    before: list[int],
    blocks: Mapping[tuple[int, ...], Any],
    further: Mapping[tuple[int, ...], set[int]],
) -> dict[tuple[int, ...], dict[int, float]]:
    """Read all blocks without a cache; what stands behind a token has no part in what the model says after it."""
    rows = list(blocks)
    width = max(map(len, rows))
    ids = torch.tensor([[*before, *row, *[0] * (width - len(row))] for row in rows])
    with torch.inference_mode():
        found = torch.cat([setup.model._model(input_ids=part, use_cache=False).logits for part in ids.split(64)])
    logs: dict[tuple[int, ...], dict[int, float]] = {}
    for row, logits in zip(rows, found, strict=True):
        for end in range(len(row)):
            head = row[:end]
            if head not in logs:
                tokens = sorted(further[head])
                chances = logits[len(before) + end - 1][tokens].double().log_softmax(-1).tolist()
                logs[head] = dict(zip(tokens, chances, strict=True))
    return logs
