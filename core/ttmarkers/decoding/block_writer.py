"""Writing blocks with a language model: one pass for each real choice, fewer where a guess is right.

What the grammar determines is appended and read along with the next choice. Behind it stands a guess (the value that
is mostly there, the marker that mostly follows): the pass gives the logits at each of its tokens too, and as long as
the model chooses what was guessed, no further pass is needed. The choices are the model's own all the same: each is
made from its logits, renormalised over what may stand, after exactly the tokens that stand before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ttmarkers.errors import NoRoomError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from ttmarkers.decoding.block_text import Guess
    from ttmarkers.decoding.constraint import OpenBlock
    from ttmarkers.decoding.language_model import LanguageModel
    from ttmarkers.decoding.sampling import Sampler


@dataclass(frozen=True)
class Chances:
    """How likely a model finds the values of one marker, given what stands before it.

    Attributes:
        values: value -> probability; they sum to 1.
        blocks: value -> the block with it.
        passes: how often the model was run for them.
    """

    values: Mapping[str, float]
    blocks: Mapping[str, OpenBlock]
    passes: int


@dataclass
class BlockWriter:
    """Writes blocks.

    Attributes:
        model: whose logits decide.
        sampler: how a token is chosen.
        guesses: what markers mostly are, for the guesses.
        passes: how often the model was run.
    """

    model: LanguageModel
    sampler: Sampler
    guesses: Mapping[str, Guess] = field(default_factory=dict)
    passes: int = 0

    def write(self, blocks: Sequence[OpenBlock], names: Sequence[str]) -> list[int]:
        """Write blocks to their ends, and return in how many passes each.

        Args:
            blocks: open ones.
            names: of the requests; what is drawn at random depends on them.
        """
        passes = [0] * len(blocks)
        for block in blocks:
            block.take_forced()
        while left := [number for number, block in enumerate(blocks) if not block.done]:
            guessed = {number: self._guess(blocks[number]) for number in left}
            rows = [[*block.sequence, *guessed.get(number, [])] for number, block in enumerate(blocks)]
            counts = [1 + len(guessed.get(number, [])) for number in range(len(blocks))]
            logits = self.logits(rows, counts)
            for number in left:
                passes[number] += 1
                self._advance(blocks[number], names[number], logits[number], guessed[number])
        return passes

    def chances(self, blocks: Sequence[OpenBlock]) -> list[Chances]:
        """Return how likely the model finds each value of the categorical marker that each block has come to.

        A value's probability is that of the tokens that tell it from the others, each renormalised over what may
        stand: the probability that `write` draws it with at a temperature of 1.
        """
        values: list[dict[str, float]] = [{} for _ in blocks]
        ends: list[dict[str, OpenBlock]] = [{} for _ in blocks]
        passes = [0] * len(blocks)
        open_ones = [(number, block, 0.0) for number, block in enumerate(blocks)]
        while open_ones:
            for number in {number for number, _, _ in open_ones}:
                passes[number] += 1
            rows = [block.sequence for _, block, _ in open_ones]
            further = []
            for (number, block, chance), logits in zip(open_ones, self.logits(rows, [1] * len(rows)), strict=True):
                name, _ = block.value()
                for token, more in self.options(block, logits[-1]):
                    child = block.copy()
                    child.take(token)
                    child.choices += 1
                    child.take_forced()
                    child.chance = block.chance + more
                    value = child.decided(name)
                    if value is None:
                        further.append((number, child, chance + more))
                        continue
                    values[number][value] = values[number].get(value, 0.0) + math.exp(chance + more)
                    if value not in ends[number] or child.chance > ends[number][value].chance:
                        ends[number][value] = child
            open_ones = further
        return [Chances(*each) for each in zip(values, ends, passes, strict=True)]

    def likeliest(self, block: OpenBlock, most: int) -> list[OpenBlock]:
        """Return the likeliest ways to write a block, the best first, by beam search.

        They differ in categories and in which markers stand; a number is the likeliest one each time.

        Args:
            block: an open one.
            most: how many to return, fewer if there are no more.
        """
        block.take_forced()
        beams = [block]
        while any(not beam.done for beam in beams):
            left = [beam for beam in beams if not beam.done]
            found = [beam for beam in beams if beam.done]
            for beam, logits in zip(left, self.logits([b.sequence for b in left], [1] * len(left)), strict=True):
                width = 1 if beam.counts() else most
                for token, chance in self.options(beam, logits[-1])[:width]:
                    child = beam.copy()
                    child.take(token)
                    child.choices, child.chance = beam.choices + 1, beam.chance + chance
                    child.take_forced()
                    found.append(child)
            beams = sorted(found, key=lambda beam: -beam.chance)[:most]
        return beams

    def step(self, blocks: Sequence[OpenBlock], names: Sequence[str]) -> None:
        """Let blocks come one real choice further."""
        rows = [block.sequence for block in blocks]
        for block, name, logits in zip(blocks, names, self.logits(rows, [1] * len(rows)), strict=True):
            self._advance(block, name, logits, [])

    def logits(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor]:
        """Ask the model, and count.

        Raises:
            NoRoomError: if a row is longer than the model reads.
        """
        context, longest = self.model.context, max(map(len, rows))
        if context is not None and longest > context:
            raise NoRoomError(
                f"prompt and block have {longest} tokens, and the model reads {context}: shorten the prompt"
            )
        self.passes += 1
        return self.model.logits(rows, counts)

    def _guess(self, block: OpenBlock) -> list[int]:
        """Return tokens that most likely follow, as many as the model can read."""
        guess = block.likely(self.guesses)
        return guess if self.model.context is None else guess[: max(0, self.model.context - len(block.sequence))]

    def _advance(self, block: OpenBlock, name: str, logits: Tensor, guessed: list[int]) -> None:
        """Choose as long as the logits are those after what was chosen: at least once."""
        place = 0
        while True:
            token = self._choose(block, logits[place], name)
            if place >= len(guessed) or guessed[place] != token:
                break
            place += 1
            forced = block.take_forced()
            if block.done or guessed[place : place + len(forced)] != forced:
                break
            place += len(forced)
        block.take_forced()

    def _choose(self, block: OpenBlock, logits: Tensor, name: str) -> int:
        """Choose a token that may stand, and write it; one that the tokenizer would not write is taken out."""
        import torch

        allowed = torch.from_numpy(block.allowed())
        if self.sampler.narrows:  # what is likely enough is to be told among what may stand, and nothing else
            allowed = torch.tensor(
                [token for token in allowed.tolist() if block.is_canonical(token)] or allowed.tolist()
            )
        scores, tries = logits[allowed].float().clone(), 0
        while True:
            # a number for each try, or what is taken out would leave its share to whatever stands beside it
            place = self.sampler.choose(scores[None], [(name, "block", block.choices, tries)])[0]
            token = int(allowed[place])
            if block.is_canonical(token):
                break
            scores[place], tries = -torch.inf, tries + 1
            if not torch.isfinite(scores).any():
                # some tokenizers cut a text by what follows far behind: then a valid block goes before its own tokens
                place = self.sampler.choose(logits[allowed].float()[None], [(name, "block", block.choices, tries)])[0]
                token = int(allowed[place])
                break
        block.choices += 1
        block.take(token)
        return token

    def options(self, block: OpenBlock, logits: Tensor) -> list[tuple[int, float]]:
        """Return the tokens that may stand next, with the logarithms of their probabilities, the likeliest first."""
        import torch

        allowed = [int(token) for token in block.allowed() if block.is_canonical(int(token))]
        chances = logits[torch.tensor(allowed)].float().log_softmax(-1)
        found = [(token, float(chance)) for token, chance in zip(allowed, chances, strict=True)]
        return sorted(found, key=lambda option: -option[1])
