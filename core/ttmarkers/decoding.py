"""Decoding: load a model with its markers, choose a policy, and run it over prompts."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ttmarkers.checkpoint import load_checkpoint
from ttmarkers.encoding import Encoder
from ttmarkers.errors import CheckpointError, ConfigError, NoRoomError
from ttmarkers.generation import Engine
from ttmarkers.models import load_model, load_tokenizer
from ttmarkers.protocols import Policy
from ttmarkers.records import Generation
from ttmarkers.registry import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ttmarkers.checkpoint import Checkpoint
    from ttmarkers.components import PolicyComponent
    from ttmarkers.config import DecodeConfig
    from ttmarkers.records import Request, Value
    from ttmarkers.registry import Registry

WINDOW = 16  # batches whose prompts are sorted by length together


def load_engine(model: str, config: DecodeConfig, *, policy: str | None = None, seed: int = 0) -> Engine:
    """Load a model with its tokenizer and ``markers.json``; under policy ``none`` it needs no markers.

    Raises:
        CheckpointError: if it has no markers and the policy needs them.
        ConfigError: if it cannot be loaded.
    """
    from ttmarkers.decode_settings import decode_settings
    from ttmarkers.transformers_model import TransformersModel

    try:
        checkpoint = load_checkpoint(model)
    except CheckpointError:
        if policy != "none":
            raise
        checkpoint = None
    tokenizer = load_tokenizer(model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    encoder, loaded = Encoder(tokenizer), load_model(model)
    settings, sampler = decode_settings(config, loaded, encoder.end_ids, int(tokenizer.pad_token_id), seed)
    return Engine(TransformersModel(loaded, settings, sampler), encoder, checkpoint, sampler, config)


def choose_policy(name: str | None, engine: Engine, markers: Mapping[str, Value]) -> str:
    """Return the policy to use: the one named, or what fits the model and the markers that are given."""
    return name or default_policy(engine.checkpoint, markers)


def default_policy(checkpoint: Checkpoint | None, markers: Mapping[str, object]) -> str:
    """Return the policy that fits a model and the markers that are given, where none is named."""
    if checkpoint is None or not checkpoint.marked:
        return "none"
    if markers:
        return "fixed"
    return "inferred" if checkpoint.writes else "none"


def run_policy(
    name: str,
    registry: Registry[PolicyComponent],
    engine: Engine,
    requests: Iterable[Request],
    options: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[Generation]:
    """Answer requests with a policy, in order; it is given prompts of alike lengths, a batch at a time.

    Raises:
        ConfigError: if there is no such policy, or its options do not fit.

    A request whose block turns out to leave no room is answered by nothing, and says why in its ``fault``.
    """
    component = registry.get(name, where="decode.policy")
    for other in options or {}:
        registry.get(other, where="decode.options")
    policy = build(component, (options or {}).get(name, {}), where=f"decode.options.{name}")
    if not isinstance(policy, Policy):
        raise ConfigError(f"policy {component.name!r} has no method generate")
    pending = iter(requests)
    while window := list(islice(pending, 1 if engine.listener else WINDOW * engine.batch_size)):
        lengths = [sum(len(turn.content) for turn in request.prompt) for request in window]
        order = sorted(range(len(window)), key=lengths.__getitem__)
        results: dict[int, Generation] = {}
        for start in range(0, len(order), engine.batch_size):
            batch = order[start : start + engine.batch_size]
            answered = _answered(policy, engine, [window[number] for number in batch], name)
            results.update(zip(batch, answered, strict=True))
        yield from (results[number] for number in range(len(window)))


def _answered(policy: Policy, engine: Engine, requests: Sequence[Request], name: str) -> list[Generation]:
    """Return the generations of a batch; if one has no room, each is asked alone, so that the others are answered."""
    try:
        return list(policy.generate(engine, requests))
    except NoRoomError as error:
        if len(requests) == 1:
            (request,) = requests
            return [Generation(request.id, request.prompt, "", "", {}, "", name, fault=str(error))]
    return [found for request in requests for found in _answered(policy, engine, [request], name)]
