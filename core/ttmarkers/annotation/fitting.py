"""Markers that are known only when those of all rows are: fit on the annotated rows, then add to each.

The fitted state is stored beside the output, travels with a model in ``markers.json``, and is applied to new data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import FittedExtractor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ttmarkers.annotation.plan import Plan, Step

SUFFIX = ".fitted.json"


@dataclass(frozen=True)
class Fitting:
    """The fitted extractors of a plan, with what they know.

    Attributes:
        plan: what is asked.
        states: extractor's name -> its state.
    """

    plan: Plan
    states: Mapping[str, Mapping[str, Any]]
    _extractors: list[tuple[Step, FittedExtractor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for step in self.plan.fitted:
            if step.component.name in self.states:
                extractor = _make(step)
                extractor.load(self.states[step.component.name])
                self._extractors.append((step, extractor))

    def complete(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return an annotated row with the fitted markers added, and without those that are not wanted."""
        markers, meta = dict(row["markers"]), dict(row["markers_meta"])
        for step, extractor in self._extractors:
            for name, found in extractor.find(markers).items():
                if name in step.wanted and name not in markers:
                    checked = self.plan.taxonomy.check(
                        {name: found.value}, where=f"extractor {step.component.known_as}"
                    )
                    markers[name] = checked[name]
                    meta[name] = {
                        "confidence": round(found.confidence, 4),
                        "source": f"extractor:{step.component.name}",
                    }
        names = [name for name in self.plan.taxonomy.names if name in markers and name in self.plan.wanted]
        return {**row, "markers": {n: markers[n] for n in names}, "markers_meta": {n: meta[n] for n in names}}


def fit(plan: Plan, rows: Iterable[Mapping[str, Any]], where: Mapping[str, str | int]) -> Fitting:
    """Fit a plan's extractors on annotated rows.

    Args:
        plan: what is asked.
        rows: as `annotate` writes them.
        where: only rows with these values in these columns are fitted on; all by default.
    """
    extractors = [(step.component.name, _make(step)) for step in plan.fitted]
    for row in rows:
        if all(str(row.get(column)) == str(value) for column, value in where.items()):
            for _, extractor in extractors:
                extractor.observe(row["markers"])
    return Fitting(plan, {name: dict(extractor.fit()) for name, extractor in extractors})


def load_states(path: Path) -> dict[str, Any]:
    """Read fitted states that an earlier run stored.

    Raises:
        ConfigError: if the file is not there or damaged.
    """
    try:
        states = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"fitted state {path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"fitted state {path} is damaged ({error}): annotate the training rows again") from error
    if not isinstance(states, dict):
        raise ConfigError(f"fitted state {path} is none: name a file that ttm annotate wrote")
    return states


def _make(step: Step) -> FittedExtractor:
    made = build(step.component, step.options, where=f"markers.options.{step.component.name}")
    if not isinstance(made, FittedExtractor):
        raise ConfigError(f"extractor {step.component.known_as} lacks one of observe, fit, load and find")
    return made
