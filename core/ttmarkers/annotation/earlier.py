"""What need not be found again when an annotated file is annotated once more.

``ttm annotate`` notes in ``OUT.run.json`` a fingerprint of how each marker was found. Where it is the same today, the
file's markers of that type stay as they are, those that were not found too; where it differs they are found anew. A
marker that no extractor would find today stays too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ttmarkers.provenance import read_parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.annotation.plan import Plan
    from ttmarkers.provenance import Part

RUN_SUFFIX = ".run.json"
KEY = "fingerprints"


def input_parts(inputs: Iterable[str]) -> list[Part]:
    """Return what had a part in annotated files, as the ``run.json`` beside each says; of other files, nothing."""
    found: list[Part] = []
    for name in inputs:
        try:
            found += read_parts(orjson.loads(Path(name + RUN_SUFFIX).read_bytes()))
        except (OSError, ValueError):
            continue
    return found


def carried(inputs: Iterable[str], plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return, for each input that an earlier run wrote, the markers that need not be found again.

    What is fitted on all rows is always found anew, for there may be other rows now.
    """
    now = plan.fingerprints()
    fitted = {name for step in plan.fitted for name in step.wanted}
    found: dict[str, tuple[str, ...]] = {}
    for name in inputs:
        try:
            then = orjson.loads(Path(name + RUN_SUFFIX).read_bytes())[KEY]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not an output of ours: its markers are the data set's own word
        if isinstance(then, dict):
            same = {marker for marker, fingerprint in now.items() if then.get(marker) == fingerprint}
            # what nothing would find today, such as a tagger's word without its config, is not thrown away
            found[name] = tuple(sorted((same | (then.keys() - now.keys())) - fitted))
    return found
