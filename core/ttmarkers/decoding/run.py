"""Decoding: load a model with its markers, choose a policy, and run it over prompts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ttmarkers.checkpoints.checkpoint import load_checkpoint
from ttmarkers.decoding.generation import Engine
from ttmarkers.errors import CheckpointError, ConfigError, NoRoomError
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import load_model, load_tokenizer
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Policy
from ttmarkers.records import Generation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from transformers import PreTrainedModel

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.components import PolicyComponent
    from ttmarkers.config import DecodeConfig
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.records import Request

E = TypeVar("E", bound=Engine)
WINDOW = 16  # batches whose prompts are sorted by length together


@dataclass(frozen=True)
class Loaded:
    """A model with its tokenizer and the content of its ``markers.json``, None if it has none."""

    model: PreTrainedModel
    encoder: Encoder
    checkpoint: Checkpoint | None

    def engine(self, config: DecodeConfig, seed: int = 0, kind: type[E] = Engine) -> E:  # type: ignore[assignment]
        """Return an engine of the model; several may stand on one.

        Args:
            config: the section ``decode``.
            seed: of what is drawn at random.
            kind: of engine.
        """
        from ttmarkers.decoding.settings import decode_settings
        from ttmarkers.decoding.transformers_model import TransformersModel

        pad = int(self.encoder.tokenizer.pad_token_id)
        settings, sampler = decode_settings(config, self.model, self.encoder.end_ids, pad, seed)
        return kind(TransformersModel(self.model, settings, sampler), self.encoder, self.checkpoint, sampler, config)


def load(model: str, policy: str | None = None, **options: Any) -> Loaded:
    """Load a model with its tokenizer and ``markers.json``; under policy ``none`` it needs no markers.

    It is put on the GPU if there is one, unless the options say where it goes (``device_map``).

    Args:
        model: its folder or Hub name.
        policy: under which it is asked.
        options: for ``from_pretrained``.

    Raises:
        CheckpointError: if it has no markers and the policy needs them.
        ConfigError: if it cannot be loaded.
    """
    try:
        checkpoint = load_checkpoint(model)
    except CheckpointError:
        if policy != "none":
            raise
        checkpoint = None
    tokenizer = load_tokenizer(model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Loaded(_placed(load_model(model, **options), options), Encoder(tokenizer), checkpoint)


def _placed(model: PreTrainedModel, options: Mapping[str, Any]) -> PreTrainedModel:
    import torch

    if "device_map" in options or not torch.cuda.is_available():
        return model
    moved: PreTrainedModel = cast("Any", model).to("cuda")
    return moved


def load_engine(model: str, config: DecodeConfig, *, policy: str | None = None, seed: int = 0) -> Engine:
    """Return an engine of a model that is loaded for it; raises as `load` does."""
    return load(model, policy).engine(config, seed)


def choose_policy(name: str | None, checkpoint: Checkpoint | None, markers: Mapping[str, object]) -> str:
    """Return the policy to use: the one named, or what fits the model and the markers that are given."""
    if name:
        return name
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
        raise ConfigError(f"policy {component.known_as} has no method generate")
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
