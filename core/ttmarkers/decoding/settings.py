"""The config's section ``decode`` as what transformers and the sampler take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.decoding.sampling import WARPERS, Sampler
from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import GenerationConfig, PreTrainedModel

    from ttmarkers.config import DecodeConfig

DEFAULTS = {"max_new_tokens": 512}
ONE = ("num_beams", "num_return_sequences", "num_beam_groups")
UNSUPPORTED = (
    "use_cache", "cache_implementation", "prompt_lookup_num_tokens", "assistant_early_exit", "return_dict_in_generate",
    "output_scores", "output_logits", "output_attentions", "output_hidden_states", "guidance_scale", "penalty_alpha",
    "dola_layers",
)  # fmt: skip
"""Keys by which transformers decodes in other ways than a token at a time from what is cached."""


def decode_settings(
    config: DecodeConfig, model: PreTrainedModel, end_ids: Sequence[int], pad_id: int, seed: int
) -> tuple[GenerationConfig, Sampler]:
    """Return transformers' settings for an answer, which draw nothing at random, and the sampler that does.

    Raises:
        ConfigError: for a key that is neither ours nor transformers', or a value that it does not take.
    """
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
    for key in given:
        if key in UNSUPPORTED or (key in ONE and given[key] != 1):
            raise ConfigError(f"decode.{key} = {given[key]} is not supported: leave it out")
    _check(given)
    if given.get("temperature") == 0:
        given.pop("temperature")  # the limit of sampling, which transformers does not take as a number
        given["do_sample"] = False
    given.pop("stop_strings", None)  # the engine looks for them in the answer
    shaping = {key: given.pop(key) for key in WARPERS if key in given}
    sampler = Sampler(seed, bool(given.pop("do_sample", bool(shaping))), shaping)
    ends = sorted({*_as_list(model.generation_config.eos_token_id), *end_ids})
    try:
        settings = GenerationConfig(
            **{**DEFAULTS, "eos_token_id": ends, "pad_token_id": pad_id, **given, "do_sample": False}
        )
    except (TypeError, ValueError) as error:
        raise ConfigError(f"decode: transformers does not take these keys: {' '.join(str(error).split())}") from error
    return settings, sampler


def _check(given: dict[str, Any]) -> None:
    """Refuse values of the wrong kind, which transformers takes or stumbles over."""
    most = given.get("max_new_tokens", 1)
    if type(most) is not int or most < 1:
        raise ConfigError(f"decode.max_new_tokens = {most!r}: give a whole number from 1 on")
    if not isinstance(given.get("do_sample", True), bool):
        raise ConfigError(f"decode.do_sample = {given['do_sample']!r}: give true or false")
    stops = given.get("stop_strings") or []
    if not isinstance(stops, str | list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise ConfigError(f"decode.stop_strings = {stops!r}: give a text, or a list of texts")


def _as_list(value: Any) -> list[int]:
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)
