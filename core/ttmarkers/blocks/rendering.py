"""Marked example -> text: where the block stands in prompt and target, after dropout.

The prompt is the conversation with the kept markers' block after the last user turn; the target is the whole block
and then the answer. An empty block is not written into a prompt, and always written into a target.

The one block of a prompt is ours, and the last thing in it. Of earlier turns nothing stays: an earlier answer stands
there without its block, and whatever else reads like one is rewritten (`ttmarkers.blocks.guard`), in training and
afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.records import Message, RenderedPair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.blocks.template import Template
    from ttmarkers.dropout import Dropout
    from ttmarkers.records import MarkedExample, Value


def without_blocks(prompt: tuple[Message, ...], template: Template) -> tuple[Message, ...]:
    """Return a conversation that holds no block: earlier answers lose theirs, what users typed is made harmless."""
    return tuple(_without_block(turn, template) for turn in prompt)


def _without_block(turn: Message, template: Template) -> Message:
    content = turn.content
    if turn.role == "assistant" and content.lstrip().startswith(template.opening.strip()):
        split = template.split(content)
        content = content if split.fault else split.text
    cleaned = template.guard.clean(content)
    return turn if cleaned == turn.content else Message(turn.role, cleaned)


def ask(
    prompt: tuple[Message, ...],
    markers: Mapping[str, Value],
    template: Template,
    others: Mapping[str, Sequence[Value]] | None = None,
) -> tuple[Message, ...]:
    """Return a prompt whose last turn ends with the block of the given markers; without markers, as it is."""
    if not markers:
        return prompt
    return _behind(prompt, template.render(markers, others), template)


def _behind(prompt: tuple[Message, ...], block: str, template: Template) -> tuple[Message, ...]:
    *history, last = prompt
    return (*history, Message(last.role, last.content + template.before + block))


@dataclass(frozen=True)
class Renderer:
    """Renders examples for training.

    Attributes:
        template: how blocks are written; None renders without markers (a baseline).
        dropout: which markers leave the prompt; None for none.
        writes: whether the target begins with the block.
        plain_from: from which place in the run on, from 0 to 1, examples are rendered without markers.
        spans: whether to say where markers stand, which takes its time.
    """

    template: Template | None
    dropout: Dropout | None
    writes: bool = True
    plain_from: float = 1.0
    spans: bool = True

    def render(self, example: MarkedExample, epoch: int = 0, place: float = 0.0) -> RenderedPair:
        """Return the texts of one example.

        Args:
            example: with all its markers.
            epoch: which one, from 0; dropout differs by it.
            place: how far the run has come, from 0 to below 1.
        """
        template = self.template
        if template is None:
            return RenderedPair(example.id, example.prompt, "", example.completion)
        asked = without_blocks(example.prompt, template)
        if place >= self.plain_from:
            return RenderedPair(example.id, asked, "", example.completion)
        markers = {name: example.markers[name] for name in template.names if name in example.markers}
        kept = tuple(markers)
        if self.dropout is not None:
            kept = self.dropout.kept(kept, example.id, epoch, markers, place)
        if self.spans:
            block, spans = template.render_with_spans(markers, example.others)
        else:
            block, spans = template.render(markers, example.others), ()
        if len(kept) == len(markers):
            prompt = _behind(asked, block, template) if markers else asked
        else:
            prompt = ask(asked, {name: markers[name] for name in kept}, template, example.others)
        return RenderedPair(
            id=example.id,
            prompt=prompt,
            block=block + template.after if self.writes else "",
            answer=example.completion,
            dropped=tuple(name for name in markers if name not in kept),
            spans=spans if self.writes else (),
        )
