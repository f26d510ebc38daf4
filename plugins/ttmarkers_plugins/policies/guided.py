"""Policy ``guided``: classifier-free guidance by markers (Sanchez et al. 2023, arXiv 2306.17806).

Dropout has trained the model both with and without each marker in the prompt. So the difference that a marker makes to
the next token is known, and can be made larger, or turned about::

    log p = log p(all given) + sum of (strength - 1) * (log p(these) - log p(none))
                             - sum of strength * (log p(away) - log p(none))

The first sum is over groups of given markers of one strength, the second over markers to lead away from. Each branch
has its own prompt and block; the answer is written behind all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.decoding.language_model import Branch
from ttmarkers.decoding.sequences import common
from ttmarkers.decoding.writing import Begun
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.records import Generation, Request, Value

DEFAULT = 1.5
ALL = ""  # the name under which the strength of all other markers is given
SHARED = 32  # tokens that prompts must have in common to be read once


@dataclass(frozen=True)
class _Path:
    """One way to begin an answer: markers in prompt and block, and the weight of what follows."""

    markers: Mapping[str, Value]
    weight: float


class Guided:
    """Leads answers towards the given markers and away from others.

    Args:
        strength: one number, or marker -> number. 1 is what ``fixed`` does, more is stronger; for a marker to be led
            away from, 0 is nothing.
    """

    name = "guided"

    def __init__(self, strength: float | Mapping[str, float] = DEFAULT) -> None:
        given = dict(strength) if isinstance(strength, Mapping) else {ALL: strength}
        for name, number in given.items():
            if type(number) not in (int, float) or not 0 <= number <= 100:
                place = f"decode.options.guided.strength{'.' + name if name else ''}"
                raise ConfigError(f"{place} = {number!r}: give a number from 0 to 100")
        self._strength = given

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests."""
        for name in self._strength:
            if name:
                engine.template.taxonomy.get(name, where="decode.options.guided.strength")
        engine.template  # noqa: B018 - refuses a model without markers
        if not requests:
            return
        paths = [self._paths(request) for request in requests]
        begun = self._begun(engine, requests, paths)
        for each, answer in zip(begun, engine.answer(begun), strict=True):
            yield engine.generation(each, answer, self.name)

    def _paths(self, request: Request) -> list[_Path]:
        """Return the ways to begin: the one that is led, then those that lead it; with nothing asked for, one alone."""
        groups: dict[float, dict[str, Value]] = {}
        for name, value in request.markers.items():
            groups.setdefault(self._of(name) - 1.0, {})[name] = value
        weights = [(markers, extra) for extra, markers in groups.items() if extra]
        weights += [({name: value}, -self._of(name)) for name, value in request.negative.items() if self._of(name)]
        led = 1.0 + sum(weight for markers, weight in weights if markers == request.markers)
        paths = [_Path(markers, weight) for markers, weight in weights if markers != request.markers]
        plain = 1.0 - led - sum(path.weight for path in paths)
        if not request.markers:  # what leads it away starts from the plain prompt itself
            return [_Path({}, led + plain), *paths]
        return [_Path(request.markers, led), *paths, *([_Path({}, plain)] if weights else [])]

    def _of(self, name: str) -> float:
        return float(self._strength.get(name, self._strength.get(ALL, DEFAULT)))

    def _begun(self, engine: Engine, requests: Sequence[Request], paths: Sequence[Sequence[_Path]]) -> list[Begun]:
        flat = [(request, path) for request, each in zip(requests, paths, strict=True) for path in each]
        prompts = [engine.prompt(request, path.markers) for request, path in flat]
        if engine.writes:
            blocks = [
                engine.open(prompt, path.markers, without=request.negative)
                for prompt, (request, path) in zip(prompts, flat, strict=True)
            ]
            self._read_once(engine, [block.prompt for block in blocks], paths)
            # the same name draws the same numbers, so branches differ in their markers alone
            passes = engine.writer().write(blocks, [request.id for request, _ in flat])
            written = [
                engine.begin(request, block, count)
                for (request, _), block, count in zip(flat, blocks, passes, strict=True)
            ]
        else:
            written = [Begun(request, engine.read(prompt)) for (request, _), prompt in zip(flat, prompts, strict=True)]
        found, place = [], 0
        for request, each in zip(requests, paths, strict=True):
            first, *others = written[place : place + len(each)]
            branches = tuple(
                Branch(other.tokens, path.weight) for other, path in zip(others, each[1:], strict=True) if path.weight
            )
            most = max(one.passes for one in (first, *others))
            found.append(Begun(request, first.tokens, first.block, first.markers, branches, most))
            place += len(each)
        return found

    def _read_once(self, engine: Engine, prompts: Sequence[Sequence[int]], paths: Sequence[Sequence[_Path]]) -> None:
        """Have what the prompts of a request have in common read once."""
        shared, place = [], 0
        for each in paths:
            group = prompts[place : place + len(each)]
            length = min(common(group[0], other) for other in group)
            shared.append(list(group[0][:length]))
            place += len(each)
        if min(map(len, shared)) >= SHARED and len(prompts) > len(paths):
            engine.model.logits(shared, [1] * len(shared))
