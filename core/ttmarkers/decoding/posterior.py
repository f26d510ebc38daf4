"""How likely a model finds each value of its markers, and the temperatures that make these probabilities honest.

A block is written marker by marker. Where a category is to be chosen, the probability of all its values is found,
given the prompt and the markers before it, and the likeliest one is written. A temperature for each marker, fitted on
rows that the model was not trained on (Guo et al. 2017, arXiv 1706.04599), is kept in ``markers.json``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.decoding.block_text import Guess
from ttmarkers.statistics import Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ttmarkers.decoding.constraint import OpenBlock
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.records import Request

KEY = "calibration"
LEAST = 1e-12  # a probability that is not quite 0
BINS = 10
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Walked:
    """A block that was written by its likeliest values.

    Attributes:
        block: it.
        chances: marker -> value (as the taxonomy spells it) -> probability, the likeliest first.
        passes: how often the model was run for it.
    """

    block: OpenBlock
    chances: Mapping[str, Mapping[str, float]]
    passes: int


def temperatures(engine: Engine) -> dict[str, float]:
    """Return the temperature of each marker that was calibrated."""
    facts = engine.checkpoint.facts.get(KEY, {}) if engine.checkpoint else {}
    return {name: float(found["temperature"]) for name, found in facts.items()}


def walk(
    engine: Engine,
    requests: Sequence[Request],
    progress: Callable[[int], None] | None = None,
    *,
    calibrated: bool = True,
    required: Sequence[Iterable[str]] | None = None,
) -> list[Walked]:
    """Write the block of each request by its likeliest values; markers that are asked for are fixed.

    Args:
        engine: the model.
        requests: what is asked.
        progress: is told how many are done.
        calibrated: whether to use the temperatures that the model carries.
        required: for each request, markers that must stand in its block.
    """
    found: dict[int, Walked] = {}
    heat = temperatures(engine) if calibrated else {}
    lengths = [sum(len(turn.content) for turn in request.prompt) for request in requests]
    order = sorted(range(len(requests)), key=lengths.__getitem__)
    for start in range(0, len(order), engine.batch_size):
        batch = order[start : start + engine.batch_size]
        musts = [required[number] if required else () for number in batch]
        found.update(zip(batch, _walk(engine, [requests[number] for number in batch], musts, heat), strict=True))
        if progress:
            progress(len(batch))
    return [found[number] for number in range(len(requests))]


def _walk(
    engine: Engine, requests: Sequence[Request], musts: Sequence[Iterable[str]], heat: Mapping[str, float]
) -> list[Walked]:
    blocks = [
        engine.open(engine.prompt(request, request.markers), request.markers, must)
        for request, must in zip(requests, musts, strict=True)
    ]
    chances: list[dict[str, Mapping[str, float]]] = [{} for _ in blocks]
    passes = [0] * len(blocks)
    writer = engine.writer()
    # only what stands where is guessed: every value is wanted with its probability
    writer.guesses = {name: Guess(guess.present) for name, guess in engine.guesses.items()}
    for block in blocks:
        block.take_forced()
    while left := [number for number, block in enumerate(blocks) if not block.done]:
        asked = {number: blocks[number].value()[0] for number in left}
        choosing = [number for number in left if asked[number] and asked[number] not in chances[number]]
        if choosing:
            for number, each in zip(choosing, writer.chances([blocks[n] for n in choosing]), strict=True):
                name = asked[number]
                spelling = engine.spelling(name)
                tempers = tempered(each.values, heat.get(name, 1.0))
                chances[number][name] = _by_value(tempers, spelling)
                blocks[number] = each.blocks[next(iter(tempers))]
                passes[number] += each.passes
        else:
            writer.step([blocks[n] for n in left], [requests[n].id for n in left])
            for number in left:
                passes[number] += 1
    return [Walked(*each) for each in zip(blocks, chances, passes, strict=True)]


def _by_value(chances: Mapping[str, float], spelling: Mapping[str, str]) -> dict[str, float]:
    """Return the chances of values by those of what is written; several writings may mean one value."""
    found: dict[str, float] = {}
    for text, chance in chances.items():
        found[spelling[text]] = found.get(spelling[text], 0.0) + chance
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def tempered(chances: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Return probabilities at another temperature, the likeliest first.

    >>> tempered({"a": 0.1, "b": 0.9}, 1.0)
    {'b': 0.9, 'a': 0.1}
    """
    raised = {value: max(chance, LEAST) ** (1 / temperature) for value, chance in chances.items()}
    total = sum(raised.values())
    ranked = sorted(raised.items(), key=lambda item: (-item[1], item[0]))
    return {value: chance / total for value, chance in ranked}


@dataclass(frozen=True)
class Calibration:
    """How a marker's probabilities fit rows.

    Attributes:
        temperature: that fits them best.
        n: number of rows.
        accuracy: share of rows whose value was the likeliest.
        before: expected calibration error without the temperature.
        after: with it.
    """

    temperature: float
    n: int
    accuracy: Estimate
    before: float
    after: float

    def to_json(self) -> dict[str, Any]:
        """Return it as ``markers.json`` stores it."""
        return {
            "temperature": round(self.temperature, 4),
            "n": self.n,
            "accuracy": self.accuracy.to_json(),
            "ece_before": round(self.before, 4),
            "ece_after": round(self.after, 4),
        }


def calibrate(chances: Sequence[Mapping[str, float]], right: Sequence[str], *, seed: int = 0) -> Calibration:
    """Fit the temperature at which the right values are likeliest.

    Args:
        chances: value -> probability, for each row.
        right: the value that each row has.
        seed: of the interval.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        heat = math.exp(log_temperature)
        found = [tempered(each, heat).get(value, LEAST) for each, value in zip(chances, right, strict=True)]
        # a weak pull towards 1, or rows that are all right would make the model certain for ever
        return (log_temperature**2 - sum(math.log(max(chance, LEAST)) for chance in found)) / len(found)

    best = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    temperature = math.exp(float(best.x)) if best.fun < loss(0.0) else 1.0
    hits = [float(max(each, key=lambda v: each[v]) == value) for each, value in zip(chances, right, strict=True)]
    after = [tempered(each, temperature) for each in chances]
    return Calibration(
        temperature, len(right), mean(hits, share=True, seed=seed), error(chances, right), error(after, right)
    )


def error(chances: Sequence[Mapping[str, float]], right: Sequence[str]) -> float:
    """Return the expected calibration error: how far, on average, a probability is from how often it comes true.

    The likeliest value of each row counts, in `BINS` bins of equal width (Naeini et al. 2015).
    """
    bins: dict[int, list[tuple[float, float]]] = {}
    for each, value in zip(chances, right, strict=True):
        best = max(each, key=lambda v: each[v])
        bins.setdefault(min(int(each[best] * BINS), BINS - 1), []).append((each[best], float(best == value)))
    gaps = (abs(sum(sure for sure, _ in rows) - sum(hit for _, hit in rows)) for rows in bins.values())
    return sum(gaps) / len(right) if right else 0.0
