"""A training strategy for ttmarkers: preference training with markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.components import StrategyComponent
from ttmarkers.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator


@hookimpl
def ttm_training_strategies() -> Iterator[StrategyComponent]:
    """Yield the strategy."""
    yield StrategyComponent(
        "preference",
        "Preference training with markers: rows with a column 'rejected'; TRL's DPOTrainer.",
        "ttmarkers_preference.train:Preference",
    )
