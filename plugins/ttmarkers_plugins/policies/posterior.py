"""Policy ``posterior``: each category by its probability, calibrated, and left out where the model is not sure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ttmarkers.decoding.posterior import walk
from ttmarkers.errors import ConfigError
from ttmarkers_plugins.policies.basic import refuse_negative

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.decoding.posterior import Walked
    from ttmarkers.decoding.writing import Begun
    from ttmarkers.records import Generation, Request


class Posterior:
    """Gives each categorical marker its likeliest value, given the prompt and the markers before it.

    Markers that are asked for are fixed. Numbers are written as under ``inferred``. After ``ttm calibrate`` the
    probabilities fit held-out rows.

    Args:
        threshold: a marker whose likeliest value has a lower probability is left out of the block.
        markers: those that the threshold is for; all by default.
    """

    name = "posterior"

    def __init__(self, threshold: float = 0.0, markers: Sequence[str] | None = None) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"decode.options.posterior.threshold = {threshold}: give a probability from 0 to 1")
        self._threshold, self._markers = threshold, markers

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests, with the chances of the values of their markers."""
        for request in requests:
            refuse_negative(request, self.name)
        if engine.marked and not engine.writes:
            raise ConfigError("the model reads markers and writes none: ask with -m, or use policy none")
        for name in self._markers or ():
            engine.template.taxonomy.get(name, where="decode.options.posterior.markers")
        walked = walk(engine, requests)
        begun = [self._begun(engine, *each) for each in zip(requests, walked, strict=True)]
        for each, answer, found in zip(begun, engine.answer(begun), walked, strict=True):
            yield replace(engine.generation(each, answer, self.name), chances=found.chances)

    def _begun(self, engine: Engine, request: Request, walked: Walked) -> Begun:
        """Return a request with its block, written again without what the model is not sure of."""
        begun = engine.begin(request, walked.block, walked.passes)
        unsure = {name for name, chances in walked.chances.items() if self._leaves_out(name, chances)}
        if not unsure:
            return begun
        kept = {name: value for name, value in begun.markers.items() if name not in unsure}
        block = engine.open(engine.prompt(request, request.markers), kept, only=kept)
        block.take_forced()
        return engine.begin(request, block, walked.passes)

    def _leaves_out(self, name: str, chances: Mapping[str, float]) -> bool:
        wanted = self._markers is None or name in self._markers
        return wanted and max(chances.values()) < self._threshold
