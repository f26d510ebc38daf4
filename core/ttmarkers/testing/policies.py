"""Checks of decoding policies, with a tiny model."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.config import make_config
from ttmarkers.errors import DataError, TtmError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Policy
from ttmarkers.records import Generation, Message, Request
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold, short
from ttmarkers.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.components import MarkerType, PolicyComponent
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.decoding.run import Loaded
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value

PROMPTS = (
    "Say hello to Bob.",
    "Dis bonjour à Anne !",
    "1 2 3 <MARKER_LIST> a",
    "Sag Tom guten Tag.",
    "Say hello to Bob.",
)
ASKS = ("none", "inferred", "fixed")


@dataclass
class Probe:
    """A policy, and the model and requests that it is tried on."""

    component: PolicyComponent
    model: Path
    options: dict[str, Any]
    given: tuple[Request, ...] = ()
    decode: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def loaded(self) -> Loaded:
        """The model."""
        from ttmarkers.decoding.run import load

        return load(str(self.model))

    def engine(self, seed: int = 0, **keys: Any) -> Engine:
        """Return an engine of the model, made anew."""
        decode = {"max_new_tokens": 6, "batch_size": 4, **self.decode, **keys}
        return self.loaded.engine(make_config({"decode": decode}).decode, seed)

    def requests(self) -> list[Request]:
        """Return requests as a task makes them under this policy."""
        if self.given:
            return copy.deepcopy(list(self.given))
        asked = self._asked() if self.component.asks == "fixed" else [{}]
        return [
            Request(f"request {place}", (Message("user", prompt),), dict(asked[place % len(asked)]))
            for place, prompt in enumerate(PROMPTS)
        ]

    def _asked(self) -> list[dict[str, Value]]:
        """Return markers to ask for: one category, a number, both, and another value."""
        taxonomy = self.loaded.checkpoint.taxonomy if self.loaded.checkpoint else ()
        categories: list[dict[str, Value]] = [
            {kind.name: value} for kind in taxonomy if kind.values for value in kind.values[:2]
        ]
        numbers: list[dict[str, Value]] = [{kind.name: 7} for kind in taxonomy if kind.kind == "int"]
        both = [{**categories[0], **numbers[0]}] if categories and numbers else []
        return [*both, *categories, *numbers]

    def run(self, requests: Sequence[Request], engine: Engine | None = None) -> list[Generation]:
        """Return all that the policy yields."""
        return list(build(self.component, self.options).generate(engine or self.engine(), requests))

    @cached_property
    def asked(self) -> list[Request]:
        """The requests that `answers` answers."""
        return self.requests()

    @cached_property
    def answers(self) -> list[Generation]:
        """What it yields for the requests."""
        return self.run(self.asked)


def check_policy(
    component: PolicyComponent,
    *,
    model: Path | str | None = None,
    types: Sequence[MarkerType] = (),
    options: Mapping[str, Any] | None = None,
    requests: Sequence[Request] = (),
    decode: Mapping[str, Any] | None = None,
    plugins: Plugins | None = None,
) -> None:
    """Check a policy: an answer to each request, in order, with a block that can be read and holds what was asked for.

    Args:
        component: what the hook yields.
        model: the folder of a model with markers; a tiny one is made by default, which takes seconds.
        types: marker types that this tiny one knows beside ``lang`` and ``length_tokens``.
        options: arguments of its factory, where it cannot do without.
        requests: those to answer; some with and some without markers by default, as ``asks`` says.
        decode: keys of the config's section ``decode``.
        plugins: where the tiny one's marker types come from; the installed plugins by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example::

        def test_happy(ttm_model):
            check_policy(PolicyComponent("happy", "Asks for mood happy.", Happy), model=ttm_model)
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(model) if model else tiny_model(Path(folder) / "model", types=types, plugins=plugins)
        probe = Probe(component, place, dict(options or {}), tuple(requests), dict(decode or {}))
        hold(f"policy {component.name!r}", probe, CHECKS)


def is_a_policy(probe: Probe) -> None:
    """The config may name it and no more."""
    component = probe.component
    if component.asks not in ASKS:
        raise Breach(f"asks = {component.asks!r} is unknown: use {', '.join(ASKS)}")
    try:
        made = build(component)
    except TtmError as error:
        if not probe.options:
            raise Breach(
                f"it cannot be made without options ({error}): give every argument of the factory a default, or try it "
                "with options="
            ) from error
        made = build(component, probe.options)
    if not isinstance(made, Policy):
        raise Breach(f"what its factory makes ({type(made).__name__}) has no method generate: add it")


def answers_each_request_once(probe: Probe) -> None:
    """One generation for each request, and nothing more."""
    requests = probe.requests()
    for asked in (requests, requests[:1], []):
        found = probe.answers if asked is requests else probe.run(asked)
        if len(found) != len(asked):
            raise Breach(f"it yields {len(found)} generations for {len(asked)} requests: yield one for each")
        for generation in found:
            if not isinstance(generation, Generation):
                raise Breach(f"it yields {type(generation).__name__}: yield ttmarkers.records.Generation")


def answers_in_order(probe: Probe) -> None:
    """Answers come in the order of the requests, with their prompts."""
    for request, generation in zip(probe.requests(), probe.answers, strict=True):
        if generation.id != request.id:
            raise Breach(f"where {request.id!r} is to be answered it answers {generation.id!r}: keep the order")
        if generation.prompt != request.prompt:
            raise Breach(f"it answers {request.id!r} with the prompt {short(generation.prompt)}: keep the user's own")


def names_itself(probe: Probe) -> None:
    """What is stored says which policy wrote it."""
    for generation in probe.answers:
        if generation.policy != probe.component.name:
            raise Breach(f"its generations say that policy {generation.policy!r} wrote them: name it as the hook does")


def writes_blocks_that_can_be_read(probe: Probe) -> None:
    """A block is whole, and its markers are those that the generation says."""
    engine = probe.engine()
    for generation in probe.answers:
        if not generation.block:
            continue
        try:
            markers = engine.template.parse(generation.block)
        except DataError as error:
            raise Breach(
                f"the block of {generation.id!r} cannot be read ({error}): have it written with Engine.open"
            ) from error
        if markers != dict(generation.markers):
            said = f"says {short(markers)}, and its markers {short(dict(generation.markers))}"
            raise Breach(f"the block of {generation.id!r} {said}: read them from the block")


def keeps_the_raw_text(probe: Probe) -> None:
    """The raw text stays beside the answer, and the answer holds no block."""
    engine = probe.engine()
    for generation in probe.answers:
        if generation.block not in generation.raw or generation.text not in generation.raw:
            raise Breach(f"the raw text of {generation.id!r} lacks its block or answer: keep the whole in raw")
        if engine.marked and engine.template.split(generation.text).block:
            raise Breach(f"the answer to {generation.id!r} begins with a block: take it off with Engine.generation")


def holds_what_is_asked_for(probe: Probe) -> None:
    """Markers that a request asks for stand in the block with their values, and are noted as asked."""
    engine = probe.engine()
    if probe.component.asks != "fixed" or not engine.writes:
        return
    for request, generation in zip(probe.requests(), probe.answers, strict=True):
        for name, value in request.markers.items():
            if generation.markers.get(name) != value:
                raise Breach(
                    f"{request.id!r} asks for {name} = {value}, and the block has {generation.markers.get(name)}: "
                    "open the block with the request's markers"
                )
        if dict(generation.asked) != dict(request.markers):
            raise Breach(f"{request.id!r} does not say what was asked for: keep it in asked")


def draws_by_the_seed(probe: Probe) -> None:
    """What is drawn at random depends on seed and request alone."""
    one, other = (probe.run(probe.requests(), probe.engine(seed=3, temperature=1.0)) for _ in range(2))
    for before, now in zip(one, other, strict=True):
        if before.raw != now.raw:
            raise Breach(
                f"with the same seed it writes {short(before.raw)} and then {short(now.raw)}: draw with the engine's "
                "sampler alone"
            )


def leaves_requests_alone(probe: Probe) -> None:
    """Requests are used again, under other policies too."""
    if probe.answers and probe.asked != probe.requests():
        raise Breach("it changes the requests or their markers: work on a copy")


CHECKS = (
    has_a_name_and_a_summary,
    is_a_policy,
    answers_each_request_once,
    answers_in_order,
    names_itself,
    writes_blocks_that_can_be_read,
    keeps_the_raw_text,
    holds_what_is_asked_for,
    draws_by_the_seed,
    leaves_requests_alone,
)
