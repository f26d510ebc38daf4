"""The model class that the harness uses: registered as ``ttmarkers``, see docs/how-to/lm-evaluation-harness.md."""

from __future__ import annotations

import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from ttmarkers.config import Config, load_config, make_config
from ttmarkers.errors import ConfigError
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.records import Message
from ttmarkers_plugins.lm_eval.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lm_eval.api.instance import Instance

    from ttmarkers.records import Generation

_log = logging.getLogger(__name__)

TURNS = "ttmarkers-turns:"
"""What a context begins with that is a conversation, as JSON; the harness hands contexts on as texts."""


class MarkersLM(LM):  # type: ignore[misc] # the harness ships no types
    """A model trained with markers, or its baseline, under a decoding policy.

    Args:
        pretrained: the model's folder or Hub name.
        policy: a decoding policy; by default what fits the model and the markers.
        markers: to ask for, ``lang=French;length_tokens=20`` or a mapping.
        config: a config file of ttmarkers, of which the sections ``decode`` and ``seed`` are used.
        seed: of what is drawn at random.
        batch_size: prompts that are answered together; ``auto`` for the config's.
        max_batch_size: not used.
        device: where the model runs.
        dtype: of its weights.
        decode: further keys of the section ``decode``, over the config's.
    """

    def __init__(
        self,
        pretrained: str,
        policy: str | None = None,
        markers: str | Mapping[str, Any] | None = None,
        config: str | None = None,
        seed: int | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        **decode: Any,
    ) -> None:
        super().__init__()
        given = {**decode, "policy": policy, "markers": _markers(markers)}
        if str(batch_size or "auto").partition(":")[0] != "auto":
            given["batch_size"] = batch_size
        self._name = pretrained
        options = {"dtype": dtype} if dtype else {}
        plugins = create_plugins()
        self._backend = Backend(pretrained, _config(config, given, seed), plugins, options, _usable(device))
        self.tokenizer = self._backend.tokenizer

    @property
    def tokenizer_name(self) -> str:
        """What the harness keeps prepared requests under."""
        return f"ttmarkers__{self._name}".replace("/", "__")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Return a conversation as one text; the model's own chat template is applied when it is asked.

        Raises:
            ConfigError: for a task that begins the answer (``gen_prefix``): a block could not stand before it.
        """
        if not add_generation_prompt:
            raise ConfigError("the task begins the answer itself (gen_prefix): leave out --apply_chat_template")
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in chat_history]
        return TURNS + json.dumps(turns, ensure_ascii=False)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return answers without their blocks; stop texts end the answer and not the block."""
        answers: dict[int, str] = {}
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True, default=str), []).append(number)
        faults = 0
        with tqdm(total=len(requests), desc="generate_until", disable=disable_tqdm) as bar:
            for numbers in groups.values():
                asked = [requests[number] for number in numbers]
                for number, generation in zip(numbers, self._generate(asked), strict=True):
                    answers[number] = generation.text
                    faults += bool(generation.fault)
                    self.cache_hook.add_partial("generate_until", requests[number].args, generation.text)
                    bar.update(1)
        if faults:
            _log.warning("ttmarkers: %d of %d answers had a faulty block or no room", faults, len(requests))
        return [answers[number] for number in range(len(requests))]

    def _generate(self, requests: Sequence[Instance]) -> Iterator[Generation]:
        """Yield answers to requests that share their settings."""
        settings = dict(normalize_gen_kwargs(requests[0].args[1], self._backend.most))
        stops = [stop for stop in settings.pop("until") if stop]
        most = settings.pop("max_gen_toks")
        prompts = dict(zip(_names(requests), (_turns(request.args[0]) for request in requests), strict=True))
        return self._backend.generate(prompts, stops, most, settings)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return how likely answers are behind prompt and block, and whether greedy decoding would write them.

        White space before an answer is left out: a model that was trained on prompts and answers writes none there.
        """
        names: dict[str, str] = {}
        for request, name in zip(requests, _names(requests), strict=True):
            names.setdefault(request.args[0], name)
        prompts = {name: _turns(context) for context, name in names.items()}
        answers = [(names[request.args[0]], request.args[1].lstrip()) for request in requests]
        with tqdm(total=len(requests), desc="loglikelihood", disable=disable_tqdm) as bar:
            found = self._backend.likelihoods(prompts, answers, bar.update)
        results = [(each.value, each.greedy) for each in found]
        for request, result in zip(requests, results, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, result)
        return results

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return the log-probabilities of whole texts, which no prompt and so no block stands before.

        Raises:
            ConfigError: under any policy but ``none``.
        """
        if self._backend.policy != "none":
            raise ConfigError(
                "a text alone (loglikelihood_rolling) has no prompt, so no block can stand before it: use policy=none"
            )
        found = []
        first = self.tokenizer.bos_token_id
        first = self.tokenizer.eos_token_id if first is None else first
        for request in tqdm(requests, desc="loglikelihood_rolling", disable=disable_tqdm):
            tokens = self._backend.tokens(request.args[0])
            most = self._backend.context or len(tokens) or 1
            windows = get_rolling_token_windows(tokens, first, most, 1)
            value = sum(self._backend.plain([make_disjoint_window(window) for window in windows]))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, value)
            found.append(value)
        return found

    def get_model_info(self) -> dict[str, Any]:
        """Return what the harness writes beside its results."""
        backend = self._backend
        return {"ttmarkers": version("ttmarkers"), "policy": backend.policy, "markers": dict(backend.markers)}


def _names(requests: Sequence[Instance]) -> list[str]:
    """Return a name for each request that is the same in every run; what is drawn at random depends on it."""
    seen: dict[str, int] = {}
    names = []
    for number, request in enumerate(requests):
        known = request.task_name is not None and request.doc_id is not None
        name = f"{request.task_name}-{request.doc_id}-{request.idx}" if known else f"request-{number}"
        seen[name] = seen.get(name, -1) + 1
        names.append(f"{name}#{seen[name]}" if seen[name] else name)
    return names


def _turns(context: str) -> tuple[Message, ...]:
    """Return the turns of a context; a plain text is one of the user."""
    if context.startswith(TURNS):
        return tuple(Message(turn["role"], turn["content"]) for turn in json.loads(context.removeprefix(TURNS)))
    return (Message("user", context),)


def _config(path: str | None, given: Mapping[str, Any], seed: int | None) -> Config:
    """Return the config with what the arguments say of decoding over it."""
    below = load_config(Path(path) if path else None)
    said = {key: value for key, value in given.items() if value is not None}
    decode = {**below.decode.model_dump(exclude_unset=True), **said}
    return make_config({"seed": below.seed if seed is None else seed, "decode": decode}, "--model_args")


def _markers(given: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not isinstance(given, str):
        return dict(given) if given else None
    found = {}
    for word in filter(None, given.split(";")):
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"markers={given}: write NAME=VALUE, several with ; between them")
        found[name.strip()] = value.strip()
    return found


def _usable(device: str | None) -> str | None:
    """Return a device, or none for a GPU where there is none: the harness asks for one by default."""
    import torch

    return None if device and device.startswith("cuda") and not torch.cuda.is_available() else device
