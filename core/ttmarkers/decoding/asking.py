"""The markers that a user asks for: known, of the right kind, and not against each other."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ttmarkers.annotation.extraction import Row
from ttmarkers.errors import CheckpointError, ConfigError, DataError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Extractor
from ttmarkers.records import Example, Message, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.components import ExtractorComponent
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.records import Value

NESTED = ("length_paragraphs", "length_sentences", "length_tokens")
"""Counts of which none is greater than the next."""


class Asking:
    """Checks markers against a model's taxonomy, and against each other.

    Args:
        checkpoint: the model's; None if it has no markers.
        extractors: those that find a marker from other markers say what follows from what.
    """

    def __init__(self, checkpoint: Checkpoint | None, extractors: Registry[ExtractorComponent]) -> None:
        self._checkpoint = checkpoint
        components = [entry.component for entry in extractors]
        self._deriving = [each for each in components if each.default and each.reads == ("markers",) and not each.fits]
        self._made: dict[str, Extractor] = {}

    def check(self, markers: Mapping[str, object], *, where: str) -> dict[str, Value]:
        """Return markers in the taxonomy's order with checked values.

        Raises:
            CheckpointError: if the model knows no markers.
            ConfigError: for a marker or value that it does not know, or two that cannot both hold.
        """
        if not markers:
            return {}
        if self._checkpoint is None or not self._checkpoint.marked:
            raise CheckpointError(f"the model was trained without markers, so none can be asked for: leave out {where}")
        try:
            checked = self._checkpoint.wording.check(markers, where=where)
        except DataError as error:
            raise ConfigError(str(error)) from error
        self._compare(checked, where)
        return checked

    def _compare(self, markers: Mapping[str, Value], where: str) -> None:
        counts = [(name, markers[name]) for name in NESTED if name in markers]
        for (less, fewer), (more, number) in pairwise(counts):
            if float(fewer) > float(number):
                raise ConfigError(f"{where}: {less} = {fewer} cannot be with {more} = {number}: change one of them")
        for component in self._deriving:
            if not set(component.markers) & set(markers) or not set(component.needs) <= set(markers):
                continue
            (found,) = self._extractor(component).extract([Row(NOTHING, dict(markers))])
            if isinstance(found, DataError):
                continue
            for name, derived in found.items():
                if name in markers and markers[name] != derived.value:
                    given = ", ".join(f"{need} = {markers[need]}" for need in component.needs)
                    raise ConfigError(
                        f"{where}: {name} = {markers[name]} cannot be with {given}, which means {derived.value}: "
                        "change one of them"
                    )

    def _extractor(self, component: ExtractorComponent) -> Extractor:
        if component.name not in self._made:
            made = build(component)
            if not isinstance(made, Extractor):
                raise ConfigError(f"extractor {component.name!r} has no method extract")
            self._made[component.name] = made
        return self._made[component.name]


NOTHING = Example("asked", (Message("user", ""),), "", {}, Origin("asked", 1))
"""What an extractor is shown that reads markers alone."""
