"""Policies ``none``, ``inferred`` and ``fixed``: the paper's ways to ask (D'souza et al. 2025, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.decoding.writing import Begun
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.records import Generation, Message, Request


class Plain:
    """Asks the plain prompt. What the model writes is the answer; a block that it begins with is taken off."""

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests; markers that they ask for are refused."""
        for request in requests:
            refuse_markers(request, "none")
        begun = [Begun(request, engine.read(engine.prompt(request))) for request in requests]
        for each, answer in zip(begun, engine.answer(begun), strict=True):
            yield engine.generation(each, answer, "none")


class Inferred:
    """Gives no marker: the model writes the whole block, held to the template's grammar, then the answer."""

    name = "inferred"

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests, the block split off."""
        prompts = [self.prompt(engine, request) for request in requests]
        begun = begin(engine, requests, prompts)
        for each, answer in zip(begun, engine.answer(begun), strict=True):
            yield engine.generation(each, answer, self.name)

    def prompt(self, engine: Engine, request: Request) -> tuple[Message, ...]:
        """Return what the model is asked: the prompt as it is."""
        if engine.marked and not engine.writes:
            raise ConfigError("the model reads markers and writes none: ask with -m, or use policy none")
        refuse_markers(request, self.name)
        return engine.prompt(request)


class Fixed(Inferred):
    """Puts the given markers into the prompt and holds them in the written block; the model infers the others."""

    name = "fixed"

    def prompt(self, engine: Engine, request: Request) -> tuple[Message, ...]:
        """Return the prompt with the block of the given markers; without any, as it is."""
        refuse_negative(request, self.name)
        return engine.prompt(request, request.markers)


def begin(engine: Engine, requests: Sequence[Request], prompts: Sequence[Sequence[Message]]) -> list[Begun]:
    """Have the blocks of requests written: what is asked for stands in them, the model infers the rest.

    Given markers are held in the written block too, because a small model may fail to copy them.
    """
    engine.template  # noqa: B018 - refuses a model without markers
    if not engine.writes:
        return [Begun(request, engine.read(prompt)) for request, prompt in zip(requests, prompts, strict=True)]
    blocks = [engine.open(prompt, request.markers) for request, prompt in zip(requests, prompts, strict=True)]
    passes = engine.writer().write(blocks, [request.id for request in requests])
    return [engine.begin(*each) for each in zip(requests, blocks, passes, strict=True)]


def refuse_markers(request: Request, policy: str) -> None:
    """Raise `ConfigError` if a request asks for markers, under a policy that gives none."""
    if request.markers:
        raise ConfigError(f"policy {policy} is given no markers: leave out -m, or use policy fixed")
    refuse_negative(request, policy)


def refuse_negative(request: Request, policy: str) -> None:
    """Raise `ConfigError` if a request leads away from markers, under a policy that cannot."""
    if request.negative:
        raise ConfigError(f"policy {policy} leads away from no markers: leave out --not, or use policy guided")
