"""Decoding: load a model with its markers, choose a policy, and run it over prompts.

Policies see the model through `Engine` alone: token ids in, text out. So another engine can be put under them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from ttmarkers.checkpoint import load_checkpoint
from ttmarkers.encoding import Encoder
from ttmarkers.errors import CheckpointError, ConfigError, DataError, did_you_mean
from ttmarkers.models import load_model, load_tokenizer
from ttmarkers.protocols import Policy
from ttmarkers.registry import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers.checkpoint import Checkpoint
    from ttmarkers.components import PolicyComponent
    from ttmarkers.config import DecodeConfig
    from ttmarkers.constraint import Constrainer
    from ttmarkers.grammar import BlockGrammar
    from ttmarkers.records import Generation, Message, Request, Value
    from ttmarkers.registry import Registry
    from ttmarkers.template import Template

DEFAULTS = {"max_new_tokens": 512, "do_sample": False}
WINDOW = 16  # batches whose prompts are sorted by length together


@dataclass(frozen=True)
class Completion:
    """What a model wrote: its text without special tokens, and how many tokens that took."""

    text: str
    tokens: int


class Engine:
    """A causal language model of transformers with its markers.

    Attributes:
        checkpoint: the content of its ``markers.json``; None if it has none.
        encoder: its tokenizer and chat template.
        batch_size: prompts that are decoded together.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        checkpoint: Checkpoint | None,
        config: DecodeConfig,
        seed: int = 0,
    ) -> None:
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.checkpoint = checkpoint
        self.encoder = Encoder(tokenizer)
        self._model = model.eval()
        self._settings = _settings(config, model, self.encoder.end_ids, int(tokenizer.pad_token_id))
        self.batch_size = config.batch_size
        self._seed = seed
        self._template: Template | None = None

    @property
    def template(self) -> Template:
        """The template that the model was trained with.

        Raises:
            CheckpointError: if the model was trained without markers.
        """
        if self.checkpoint is None or not self.checkpoint.marked:
            raise CheckpointError("the model was trained without markers: ask it with --policy none")
        if self._template is None:
            self._template = self.checkpoint.template()
        return self._template

    def complete(
        self, prompts: Sequence[Sequence[Message]], grammars: Sequence[BlockGrammar] | None = None
    ) -> list[Completion]:
        """Return what the model writes after each prompt, in order.

        Args:
            prompts: conversations that end with a user's turn.
            grammars: what the text after each prompt begins with; nothing is prescribed without.

        Raises:
            DataError: if a prompt fills the model's whole context.
        """
        ids = self.encoder.encode_prompts(prompts)
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        if grammars and self.encoder.lead:
            grammars = [replace(grammar, opening=self.encoder.lead + grammar.opening) for grammar in grammars]
        results: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            held = [grammars[index] for index in batch] if grammars else None
            for index, completion in zip(batch, self._batch([ids[index] for index in batch], held), strict=True):
                results[index] = completion
        return [results[index] for index in range(len(ids))]

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return len(self.encoder.tokenizer(text, add_special_tokens=False).input_ids)

    @cached_property
    def _constrainer(self) -> Constrainer:
        from ttmarkers.constraint import Constrainer

        return Constrainer(self.encoder.tokenizer, int(self._model.config.get_text_config().vocab_size))

    def _batch(self, ids: list[list[int]], grammars: Sequence[BlockGrammar] | None) -> list[Completion]:
        import torch

        width = max(map(len, ids))
        context = getattr(self._model.config, "max_position_embeddings", None)
        room = context - width if context else self._settings.max_new_tokens
        if room <= 0:
            raise DataError(f"a prompt of {width} tokens fills the model's context of {context}: shorten it")
        pad = self.encoder.tokenizer.pad_token_id
        device = self._model.device
        padded = torch.tensor([[pad] * (width - len(row)) + row for row in ids], device=device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=device)
        settings = copy.deepcopy(self._settings)
        settings.max_new_tokens = min(room, settings.max_new_tokens or room)
        if settings.do_sample:
            torch.manual_seed(self._seed + sum(map(sum, ids)) % 2**31)
        with torch.inference_mode():
            try:
                written = self._model.generate(
                    input_ids=padded,
                    attention_mask=mask,
                    generation_config=settings,
                    logits_processor=[self._constrainer.processor(grammars, width)] if grammars else None,
                )
            except ValueError as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"decode: transformers does not take these settings: {reason}") from error
        return [self._completion(row) for row in written[:, width:].tolist()]

    def _completion(self, row: list[int]) -> Completion:
        ends = set(_as_list(self._settings.eos_token_id))
        length = next((index for index, token in enumerate(row) if token in ends), len(row))
        text = self.encoder.tokenizer.decode(row[:length], skip_special_tokens=True)
        return Completion(str(text), min(length + 1, len(row)))


def _as_list(value: int | list[int] | None) -> list[int]:
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)


def _settings(config: DecodeConfig, model: PreTrainedModel, end_ids: Sequence[int], pad_id: int) -> GenerationConfig:
    """Return transformers' generation settings: ours, all tokens that end an answer, and the config's keys."""
    from transformers import GenerationConfig

    given = config.engine_keys
    known = set(GenerationConfig().to_dict()) | {"max_new_tokens", "do_sample"}
    for key in given:
        if key not in known:
            ours = set(type(config).model_fields)
            raise ConfigError(
                f"decode.{key} is a key neither of ttmarkers nor of transformers' GenerationConfig: "
                f"{did_you_mean(key, known | ours)}"
            )
    for key in ("num_beams", "num_return_sequences"):
        if given.get(key, 1) != 1:
            raise ConfigError(f"decode.{key} = {given[key]} is not supported yet: leave it out")
    if given.get("temperature") == 0:
        given.pop("temperature")  # the limit of sampling, which transformers does not take as a number
        given["do_sample"] = False
    elif any(key in given for key in ("temperature", "top_p", "top_k", "min_p")):
        given.setdefault("do_sample", True)
    ends = sorted({*_as_list(model.generation_config.eos_token_id), *end_ids})
    base = {**DEFAULTS, "eos_token_id": ends, "pad_token_id": pad_id}
    try:
        return GenerationConfig(**{**base, **given})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"decode: transformers does not take these keys: {' '.join(str(error).split())}") from error


def load_engine(model: str, config: DecodeConfig, *, policy: str | None = None, seed: int = 0) -> Engine:
    """Load a model with its tokenizer and ``markers.json``; under policy ``none`` it needs no markers.

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
    return Engine(load_model(model), tokenizer, checkpoint, config, seed)


def choose_policy(name: str | None, engine: Engine, markers: Mapping[str, Value]) -> str:
    """Return the policy to use: the one named, or what fits the model and the markers that are given."""
    if name:
        return name
    if engine.checkpoint is None or not engine.checkpoint.marked:
        return "none"
    if markers:
        return "fixed"
    return "inferred" if engine.checkpoint.writes else "none"


def check_markers(markers: Mapping[str, object], checkpoint: Checkpoint | None) -> dict[str, Value]:
    """Check markers that a user asks for against the model's taxonomy.

    Raises:
        ConfigError: for a marker or value that the model does not know.
    """
    if not markers:
        return {}
    if checkpoint is None or not checkpoint.marked:
        raise CheckpointError("the model was trained without markers, so none can be asked for: leave out -m")
    try:
        return checkpoint.taxonomy.check(markers, where="-m")
    except DataError as error:
        raise ConfigError(str(error)) from error


def run_policy(
    name: str, registry: Registry[PolicyComponent], engine: Engine, requests: Iterable[Request]
) -> Iterator[Generation]:
    """Answer requests with a policy, in order, a window of batches at a time."""
    component = registry.get(name, where="decode.policy")
    policy = build(component)
    if not isinstance(policy, Policy):
        raise ConfigError(f"policy {component.name!r} has no method generate")
    pending = iter(requests)
    while window := list(islice(pending, WINDOW * engine.batch_size)):
        yield from policy.generate(engine, window)
