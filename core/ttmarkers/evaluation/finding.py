"""Markers that answers show: found by the extractors that annotate data, to see whether what was asked for came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.job import annotation_parts, annotation_plan
from ttmarkers.records import Example, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Message, Value

NEAR = 0.1  # how far from the number that was asked for still adheres, as a share of it
BATCH = 256


class Finder:
    """Finds markers of answers.

    Args:
        setting: its config says which extractors are asked (`markers.extractors`), beside those asked by default. What
            a data set says of itself is no word of an answer, and is not looked at.

    Attributes:
        names: the markers that can be found.
    """

    def __init__(self, setting: Setting) -> None:
        markers = setting.config.markers.model_copy(update={"declared": {}, "use": None})
        plan = annotation_plan(setting.config.model_copy(update={"markers": markers}), setting.plugins)
        self._extraction = Extraction(plan)
        setting.asked.extend(annotation_parts(plan, setting.plugins))
        found = {name for step in plan.steps for name in step.wanted}
        self.names = tuple(name for name in plan.taxonomy.names if name in found)

    def find(self, answers: Sequence[tuple[str, Sequence[Message], str]]) -> list[dict[str, Value]]:
        """Return the markers of answers, each given with its id and prompt; an empty answer shows none."""
        found: list[dict[str, Value]] = [{} for _ in answers]
        written = [place for place, (_, _, text) in enumerate(answers) if text.strip()]
        for start in range(0, len(written), BATCH):
            places = written[start : start + BATCH]
            rows = self._extraction.run(
                Example(
                    answers[place][0], tuple(answers[place][1]), answers[place][2], {}, Origin("answers", place + 1)
                )
                for place in places
            )
            for place, row in zip(places, rows, strict=True):
                found[place] = dict(row.markers)
        return found


def adheres(found: Value | None, wanted: Value) -> bool:
    """Say whether a marker that was found is the one that was asked for; a number may be one or a tenth off.

    >>> adheres("French", "French"), adheres(9, 10), adheres(89, 100), adheres(None, 1)
    (True, True, False, False)
    """
    if found is None or isinstance(wanted, str) or isinstance(found, str):
        return found == wanted
    return abs(found - wanted) <= max(1.0, NEAR * wanted)
