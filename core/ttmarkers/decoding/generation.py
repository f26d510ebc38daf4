"""What policies stand on: blocks opened and written, answers written behind them, and both taken apart again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.rendering import ask, without_blocks
from ttmarkers.checkpoints.wording import Wording
from ttmarkers.decoding.block_text import Guess
from ttmarkers.decoding.block_writer import BlockWriter
from ttmarkers.decoding.language_model import Continuation
from ttmarkers.decoding.writing import Answer, Begun, Writing, longest
from ttmarkers.errors import CheckpointError, NoRoomError
from ttmarkers.records import Generation
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ttmarkers.blocks.grammar import Slot
    from ttmarkers.blocks.template import Template
    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.components import MarkerType
    from ttmarkers.config import DecodeConfig
    from ttmarkers.decoding.budget import Budget, Budgets
    from ttmarkers.decoding.constraint import Constrainer, OpenBlock
    from ttmarkers.decoding.language_model import LanguageModel
    from ttmarkers.decoding.sampling import Sampler
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.records import Message, Request, Value


class Engine:
    """A language model with its markers.

    Args:
        model: the language model.
        encoder: its tokenizer and chat template.
        checkpoint: the content of its ``markers.json``; None if it has none.
        sampler: how tokens are chosen.
        config: the section ``decode``.

    Markers go in and out in users' words; what the model calls them is known here alone (module `wording`).

    Attributes:
        wording: between the words of users and those of the model.
        budgets: makes the limits that answers are cut to; None for no limits.
        listener: is told of each piece of an answer as it is written, with the request's id.
    """

    def __init__(
        self,
        model: LanguageModel,
        encoder: Encoder,
        checkpoint: Checkpoint | None,
        sampler: Sampler,
        config: DecodeConfig,
    ) -> None:
        self.model, self.encoder, self.checkpoint, self.sampler = model, encoder, checkpoint, sampler
        self.batch_size = config.batch_size
        self.budgets: Budgets | None = None
        self.listener: Callable[[str, str], None] | None = None
        self._most = int(config.engine_keys.get("max_new_tokens", 512))
        self.stops = _texts(config.engine_keys.get("stop_strings"))
        self.ends = frozenset(encoder.end_ids)
        self.wording = checkpoint.wording if checkpoint else Wording(Taxonomy(()))

    @property
    def marked(self) -> bool:
        """Whether the model knows markers."""
        return self.checkpoint is not None and self.checkpoint.marked

    @property
    def writes(self) -> bool:
        """Whether the model writes blocks."""
        return self.checkpoint is not None and self.checkpoint.writes

    @cached_property
    def template(self) -> Template:
        """The template that the model was trained with.

        Raises:
            CheckpointError: if the model was trained without markers.
        """
        if self.checkpoint is None or not self.checkpoint.marked:
            raise CheckpointError("the model was trained without markers: ask it with --policy none")
        return self.checkpoint.template()

    @cached_property
    def guesses(self) -> Mapping[str, Guess]:
        """What markers mostly were in training, as the template writes it."""
        if self.checkpoint is None:
            return {}
        slots, rows = self.template.grammar().slots, max(self.checkpoint.rows, 1)
        counts = self.checkpoint.counts
        pairs = zip(self.template.taxonomy, slots, strict=True)
        return {kind.name: _guess(kind, slot, counts.get(kind.name, {}), rows) for kind, slot in pairs}

    def spelling(self, name: str) -> dict[str, str]:
        """Return the values of a categorical marker, as users are shown them, by what the template writes for them."""
        kind = self.template.taxonomy.get(name)
        slot = next(slot for slot in self.template.grammar().slots if slot.name == name)
        values = [str(self.wording.to_user({name: value})[name]) for value in kind.values]
        return dict(zip(slot.choices, values, strict=True))

    @cached_property
    def constrainer(self) -> Constrainer:
        """What holds blocks to their grammar."""
        from ttmarkers.decoding.constraint import Constrainer

        return Constrainer(self.encoder, self.model.vocabulary)

    def writer(self) -> BlockWriter:
        """Return a writer of blocks, which counts its passes."""
        return BlockWriter(self.model, self.sampler, self.guesses)

    def prompt(self, request: Request, markers: Mapping[str, Value] | None = None) -> tuple[Message, ...]:
        """Return what the model is asked: no block but ours, and that as the last thing.

        Args:
            request: its prompt is taken.
            markers: those to put into the prompt.
        """
        if not self.marked:
            return request.prompt
        asked = self.wording.to_model(markers or {})
        return ask(without_blocks(request.prompt, self.template), asked, self.template)

    def open(
        self,
        prompt: Sequence[Message],
        fixed: Mapping[str, Value] | None = None,
        required: Iterable[str] = (),
        only: Iterable[str] | None = None,
        without: Mapping[str, Value] | None = None,
    ) -> OpenBlock:
        """Return a block to be written behind a prompt.

        Args:
            prompt: what the model is asked.
            fixed: markers that stand in the block with these values.
            required: markers that stand in it with any value.
            only: markers that may stand in it; all by default.
            without: values that categories may not have in it.

        Raises:
            NoRoomError: if the prompt fills the model's context.
        """
        held, barred = (self.wording.to_model(each or {}) for each in (fixed, without))
        grammar = self.template.grammar(held, required, only, barred)
        if self.encoder.lead:
            grammar = replace(grammar, opening=self.encoder.lead + grammar.opening)
        return self.constrainer.open(grammar, self.read(prompt), self.encoder.prompt_text(prompt))

    def read(self, prompt: Sequence[Message]) -> list[int]:
        """Return a prompt's tokens.

        Raises:
            NoRoomError: if they fill the model's context.
        """
        (tokens,) = self.encoder.encode_prompts([prompt])
        self.room(len(tokens))
        return tokens

    def markers(self, block: OpenBlock) -> dict[str, Value]:
        """Return what a written block says, in users' words."""
        return self.wording.to_user(self.template.split(block.written()[len(self.encoder.lead) :]).markers)

    def begin(self, request: Request, block: OpenBlock, passes: int) -> Begun:
        """Return a request whose block is written."""
        return Begun(request, block.sequence, block.tokens, self.markers(block), passes=passes)

    def answer(self, begun: Sequence[Begun]) -> list[Answer]:
        """Have answers written, and return them in order.

        Raises:
            NoRoomError: if there is no room for one in the model's context.
        """
        answers: dict[int, Answer] = {}
        for batch in self._batches(begun):
            rows = [Writing(self, begun[number], self._budget(begun[number])) for number in batch]
            written = self.model.write([self._continuation(row) for row in rows])
            for number, row, found in zip(batch, rows, written, strict=True):
                answers[number] = row.ended(list(found.tokens), found.passes)
        return [answers[number] for number in range(len(begun))]

    def _batches(self, begun: Sequence[Begun]) -> Iterator[list[int]]:
        """Yield numbers of rows that are written together; one with little room left is written alone.

        A batch goes on until its last row ends, and none of them may come to the end of the context before.
        """
        rooms = [self.room(longest(each)) for each in begun]
        free = [number for number, room in enumerate(rooms) if room == self._most]
        for start in range(0, len(free), self.batch_size):
            yield free[start : start + self.batch_size]
        yield from ([number] for number, room in enumerate(rooms) if room < self._most)

    def generation(self, begun: Begun, answer: Answer, policy: str) -> Generation:
        """Return what becomes of a request."""
        given = begun.markers
        if self.marked and not self.writes:
            given = self.wording.to_user(self.wording.to_model(begun.request.markers))
        return Generation(
            id=begun.request.id,
            prompt=begun.request.prompt,
            raw=answer.raw,
            block=answer.split.block,
            markers=dict(given) or self.wording.to_user(answer.split.markers),
            text=answer.split.text,
            policy=policy,
            fault=answer.split.fault,
            stats=answer.stats,
            enforced=answer.enforced,
            asked=dict(begun.request.markers) if self.marked else {},
        )

    def room(self, tokens: int) -> int:
        """Return how many tokens an answer may have behind so many.

        Raises:
            NoRoomError: if there is no room for one.
        """
        context = self.model.context
        if context is not None and tokens >= context:
            raise NoRoomError(
                f"a prompt of {tokens} tokens, its block among them, fills the model's context of {context}: shorten it"
            )
        return self._most if context is None else min(self._most, context - tokens)

    def _budget(self, begun: Begun) -> Budget | None:
        return self.budgets.make(begun.request.markers, begun.markers) if self.budgets else None

    def _continuation(self, row: Writing) -> Continuation:
        begun = row.begun
        watch = row.watch if row.needed else None
        return Continuation(begun.request.id, begun.tokens, self.room(longest(begun)), watch, begun.branches)

    def text(self, begun: Begun, tokens: Sequence[int]) -> tuple[str, str]:
        """Return the text of a block, and of the tokens behind it."""
        decode = self.encoder.tokenizer.decode
        head = str(decode(list(begun.block), skip_special_tokens=True)) if begun.block else ""
        whole = str(decode([*begun.block, *tokens], skip_special_tokens=True))
        return head, whole[len(head) :]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Tell no listener of what is written meanwhile."""
        listener, self.listener = self.listener, None
        try:
            yield
        finally:
            self.listener = listener


def _guess(kind: MarkerType, slot: Slot, counts: Mapping[str, Any], rows: int) -> Guess:
    """Return how often a marker stands, and its most frequent value, by the counts of the training rows."""
    if not kind.values:
        total, mode = counts.get("n", 0), counts.get("mode")  # markers.json of 0.1 has none
        return Guess(total / rows, repr(mode["value"]), mode["count"] / total) if mode else Guess(total / rows)
    total = sum(counts.values())
    best = max(kind.values, key=lambda value: counts.get(value, 0))
    text = slot.choices[kind.values.index(best)]
    return Guess(total / rows, text, counts.get(best, 0) / total if total else 0.0)


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(each) for each in value]  # type: ignore[attr-defined]
