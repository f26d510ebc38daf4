"""Dual dropout of markers from the prompt: a pure function of seed, example id and epoch.

Source: D'souza et al. 2025 (arXiv 2506.14702), section 2. *Dataset-level* dropout takes the whole block out of the
prompt for a share of all examples; *sample-level* dropout takes a share of the markers out of the others. The target
keeps every marker. Written ``50_50`` for 50 % of each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.records import Value

Mode = Literal["independent", "exact"]


def draw(*key: object) -> float:
    """Return a number in [0, 1) that depends on the key alone, on any machine and in any order of calls."""
    text = "\x1f".join(str(part) for part in key)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class Dropout:
    """How markers leave the prompt.

    Attributes:
        dataset: share of examples whose block leaves the prompt entirely, from 0 to 1.
        sample: share of markers that leave the prompt in the other examples.
        mode: ``independent`` draws for each marker alone; ``exact`` drops that share of an example's markers,
            rounded up or down at random so that the mean is right. The paper does not say which it used.
        seed: another seed gives other draws.
        each_epoch: draw anew in each epoch; if false, the draws of epoch 0 stay (as when dropout is applied
            once while the data is prepared).
        rates: marker -> its own sample-level share, instead of ``sample``.
        tail: share of the drops that rare values are spared, from 0 to 1; a value under ``border`` of the training
            rows is rare.
        border: the paper's border of the tail.
        shares: marker -> value -> share of training rows that have it, for ``tail``.
        schedule: points (place in the run, factor), both from 0 to 1, places rising: the factor by which the chance of
            a marker to stay is multiplied, linear between points and level outside. Two points of one place make a
            step, so ``((0.9, 1), (0.9, 0))`` takes all markers out of the prompts of the last tenth: the cooldown of
            Gao et al. 2025 (arXiv 2501.01956), on the prompt side.

    Example:
        >>> Dropout(dataset=0.0, sample=0.0).kept(["task", "lang"], "example-1", epoch=0)
        ('task', 'lang')
    """

    dataset: float = 0.5
    sample: float = 0.5
    mode: Mode = "independent"
    seed: int = 0
    each_epoch: bool = True
    rates: Mapping[str, float] = field(default_factory=dict)
    tail: float = 0.0
    border: float = 0.05
    shares: Mapping[str, Mapping[Value, float]] = field(default_factory=dict)
    schedule: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        named = {"dataset": self.dataset, "sample": self.sample, "tail": self.tail, "border": self.border}
        for name, share in (named | {f"rates.{marker}": rate for marker, rate in self.rates.items()}).items():
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"dropout.{name} = {share}: a share lies between 0 and 1")
        places = [place for place, _ in self.schedule]
        if places != sorted(places) or not all(0 <= number <= 1 for point in self.schedule for number in point):
            raise ConfigError("dropout.schedule: give points [place, factor] between 0 and 1, places rising")
        if self.mode == "exact" and (self.rates or self.tail):
            raise ConfigError("dropout.mode = exact drops one share of all markers: leave out dropout.rates and tail")

    def kept(
        self,
        names: Sequence[str],
        example_id: str,
        epoch: int,
        values: Mapping[str, Value] | None = None,
        place: float = 0.0,
    ) -> tuple[str, ...]:
        """Return the markers that stay in the prompt, in the order given.

        Args:
            names: the example's markers.
            example_id: of the example.
            epoch: from 0.
            values: the markers' values, which tell which of them are rare.
            place: how far the run has come, from 0 to below 1, for ``schedule``.
        """
        values = values or {}
        key = (self.seed, epoch if self.each_epoch else 0, example_id)
        rare = any(self._is_rare(name, values) for name in names)
        whole = self.dataset * (1 - self.tail if rare else 1)
        # a schedule thins out whole blocks: what the other draws do to a block that stays is the same all along
        share = 1 - (1 - whole) * self.factor(place)
        if draw(*key, "dataset") < share:
            return ()
        if self.mode == "independent":
            rates = [self._rate(name, values) for name in names]
            return tuple(
                name for name, rate in zip(names, rates, strict=True) if not rate or draw(*key, "sample", name) >= rate
            )
        gone = int(len(names) * self.sample + draw(*key, "count"))
        ranked = sorted(names, key=lambda name: draw(*key, "sample", name))
        dropped = set(ranked[:gone])
        return tuple(name for name in names if name not in dropped)

    @property
    def drops(self) -> bool:
        """Whether any marker ever leaves a prompt."""
        return bool(self.dataset or self.sample or any(self.rates.values()) or self.schedule)

    def factor(self, place: float) -> float:
        """Return what ``schedule`` makes of the chance of a marker to stay, at a place in the run."""
        before = [point for point in self.schedule if point[0] <= place]
        after = [point for point in self.schedule if point[0] > place]
        if not before or not after:
            return before[-1][1] if before else after[0][1] if after else 1.0
        (left, low), (right, high) = before[-1], after[0]
        return low + (high - low) * (place - left) / (right - left)

    def _rate(self, name: str, values: Mapping[str, Value]) -> float:
        rate = self.rates.get(name, self.sample)
        return rate * (1 - self.tail) if self._is_rare(name, values) else rate

    def _is_rare(self, name: str, values: Mapping[str, Value]) -> bool:
        if not self.tail or name not in values:
            return False
        return self.shares.get(name, {}).get(values[name], 1.0) < self.border

    def to_json(self) -> dict[str, Any]:
        """Return the settings as ``markers.json`` stores them."""
        return {
            "dataset": self.dataset,
            "sample": self.sample,
            "mode": self.mode,
            "seed": self.seed,
            "each_epoch": self.each_epoch,
            "rates": dict(self.rates),
            "tail": self.tail,
            "border": self.border,
            "schedule": [list(point) for point in self.schedule],
        }
