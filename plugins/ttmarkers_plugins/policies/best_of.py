"""Policy ``best-of``: an answer to each of the likeliest blocks, of which a scorer takes the best.

So candidates differ in what markers mean, not at random.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers_plugins.policies.basic import refuse_negative
from ttmarkers_plugins.policies.scorers import SCORERS, Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.decoding.writing import Begun
    from ttmarkers.records import Generation, Request


class BestOf:
    """Answers to the likeliest blocks, and keeps the best answer.

    Args:
        candidates: how many blocks.
        scorer: ``likelihood``, ``reward-model`` or ``program``.
        options: arguments of the scorer: ``model`` for a reward model, ``command`` for a program.
    """

    name = "best-of"

    def __init__(self, candidates: int = 4, scorer: str = "likelihood", **options: Any) -> None:
        if type(candidates) is not int or not 1 <= candidates <= 64:
            raise ConfigError(f"decode.options.best-of.candidates = {candidates!r}: give a number from 1 to 64")
        if scorer not in SCORERS:
            raise ConfigError(f"decode.options.best-of.scorer = {scorer!r}: {did_you_mean(scorer, SCORERS)}")
        self._most = candidates
        try:
            self._scorer: Scorer = SCORERS[scorer](**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"decode.options.best-of: these do not fit scorer {scorer!r}: {error}") from error

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the best generation of each request; ``candidates`` and ``score`` stand in its stats."""
        if engine.marked and not engine.writes:
            raise ConfigError("the model reads markers and writes none: ask with -m, or use policy none")
        for request in requests:
            refuse_negative(request, self.name)
            yield self._best(engine, request)

    def _best(self, engine: Engine, request: Request) -> Generation:
        writer = engine.writer()
        block = engine.open(engine.prompt(request, request.markers), request.markers)
        blocks = writer.likeliest(block, self._most)
        begun: list[Begun] = [engine.begin(request, each, writer.passes) for each in blocks]
        with engine.quiet():
            answers = engine.answer(begun)
        found = [engine.generation(*each, self.name) for each in zip(begun, answers, strict=True)]
        scores = self._scorer.score(engine, request, begun, answers)
        best = max(range(len(found)), key=lambda number: (scores[number], -number))
        passes = writer.passes + max(answer.stats["answer_tokens"] for answer in answers)
        stats = {
            **found[best].stats,
            "forward_passes": passes,
            "candidates": len(found),
            "chosen": best + 1,
            "score": scores[best],
        }
        if engine.listener:
            engine.listener(request.id, found[best].text)
        return replace(found[best], stats=stats)
