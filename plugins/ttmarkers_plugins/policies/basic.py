"""Policies ``none``, ``inferred`` and ``fixed``: the paper's ways to ask (D'souza et al. 2025, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError
from ttmarkers.records import Generation
from ttmarkers.rendering import ask
from ttmarkers.template import Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.decoding import Engine
    from ttmarkers.records import Message, Request


class Plain:
    """Asks the plain prompt and takes the whole text as the answer."""

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests; markers that they ask for are refused."""
        for request in requests:
            if request.markers:
                raise ConfigError("policy none asks without markers: leave out -m, or use policy fixed")
        written = engine.complete([request.prompt for request in requests])
        for request, completion in zip(requests, written, strict=True):
            text = completion.text
            stats = {
                "forward_passes": completion.tokens,
                "block_tokens": 0,
                "answer_tokens": completion.tokens,
            }
            yield Generation(request.id, request.prompt, text, "", {}, text, "none", stats=stats)


class Inferred:
    """Gives no marker: the model writes the whole block, held to the template's grammar, then the answer."""

    name = "inferred"

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests, the block split off."""
        prompts = [self.prompt(engine, request) for request in requests]
        # given markers stand in the written block as they were given: a small model may fail to copy them
        template = engine.template  # refuses a model without markers
        writes = engine.checkpoint is not None and engine.checkpoint.writes
        grammars = [template.grammar(request.markers) for request in requests] if writes else None
        for request, completion in zip(requests, engine.complete(prompts, grammars), strict=True):
            split = template.split(completion.text) if writes else Split("", dict(request.markers), completion.text)
            block = engine.count_tokens(split.block + engine.template.after) if split.block else 0
            stats = {
                "forward_passes": completion.tokens,
                "block_tokens": block,
                "answer_tokens": max(completion.tokens - block, 0),
            }
            yield Generation(
                id=request.id,
                prompt=request.prompt,
                raw=completion.text,
                block=split.block,
                markers=split.markers,
                text=split.text,
                policy=self.name,
                fault=split.fault,
                stats=stats,
            )

    def prompt(self, engine: Engine, request: Request) -> tuple[Message, ...]:
        """Return what the model is asked: the prompt as it is."""
        if engine.checkpoint is not None and engine.checkpoint.marked and not engine.checkpoint.writes:
            raise ConfigError("the model reads markers and writes none: ask with -m, or use policy none")
        if request.markers:
            raise ConfigError("policy inferred is given no markers: leave out -m, or use policy fixed")
        return request.prompt


class Fixed(Inferred):
    """Puts the given markers into the prompt and holds them in the written block; the model infers the others."""

    name = "fixed"

    def prompt(self, engine: Engine, request: Request) -> tuple[Message, ...]:
        """Return the prompt with the block of the given markers."""
        if not request.markers:
            raise ConfigError("policy fixed needs markers: give them with -m name=value, or use policy inferred")
        return ask(request.prompt, request.markers, engine.template)
