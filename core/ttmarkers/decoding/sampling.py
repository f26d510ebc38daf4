"""Choosing a token from logits: the likeliest, or one drawn by a number that depends on seed, request and place alone.

So the same request is answered the same way in any batch, and again after a restart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.dropout import draw
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

WARPERS = {
    "temperature": "TemperatureLogitsWarper",
    "top_k": "TopKLogitsWarper",
    "top_p": "TopPLogitsWarper",
    "min_p": "MinPLogitsWarper",
    "typical_p": "TypicalLogitsWarper",
    "epsilon_cutoff": "EpsilonLogitsWarper",
    "eta_cutoff": "EtaLogitsWarper",
}
"""Keys of transformers' generation config that shape what is drawn from, in the order in which they are applied."""


MOST = 1 - 1e-12  # rounding may make a number 1, which is beyond all tokens


@dataclass(frozen=True)
class Sampler:
    """How tokens are chosen.

    Attributes:
        seed: of the numbers that are drawn.
        draws: whether to draw; without, the likeliest token is taken.
        settings: keys of `WARPERS` with their values; what is not given is not applied.

    Raises:
        ConfigError: for a value that transformers does not take.
    """

    seed: int = 0
    draws: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.draws:
            self._warpers()

    @property
    def narrows(self) -> bool:
        """Whether some tokens are left out by how likely others are (``top_p`` and the like)."""
        return self.draws and any(key != "temperature" for key in self.settings)

    def shaped(self, scores: Tensor) -> Tensor:
        """Return scores, of shape (rows, tokens), after temperature and the like; as they are if nothing is drawn."""
        if self.draws:
            for warper in self._warpers():
                scores = warper(None, scores)
        return scores

    def choose(self, scores: Tensor, keys: Sequence[tuple[str | int, ...]]) -> list[int]:
        """Return the place of the chosen token in each row.

        Args:
            scores: logits of shape (rows, tokens); those of tokens that may not stand are minus infinity.
            keys: what each row's number depends on beside the seed.
        """
        if not self.draws:
            return [int(place) for place in scores.argmax(-1)]
        import torch

        chances = self.shaped(scores.float()).double().softmax(-1).cumsum(-1)
        numbers = torch.tensor([[draw(self.seed, *map(str, key))] for key in keys], dtype=chances.dtype)
        wanted = numbers.clamp(max=MOST).to(chances.device) * chances[:, -1:]
        places = torch.searchsorted(chances, wanted, right=True)[:, 0].clamp(max=scores.shape[-1] - 1)
        return [int(place) for place in places]

    def _warpers(self) -> list[Any]:
        import transformers

        found = []
        for key, name in WARPERS.items():
            value = self.settings.get(key)
            if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
                raise ConfigError(f"decode.{key} = {value!r}: give a number")
            neutral = value is None or (key, value) in {("top_k", 0), ("top_p", 1.0), ("temperature", 1.0)}
            if neutral:
                continue
            if key != "top_k" and type(value) is int:
                value = float(value)
            try:
                found.append(getattr(transformers, name)(value))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"decode.{key} = {value!r}: {' '.join(str(error).split())}") from error
        return found
