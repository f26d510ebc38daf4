"""What an annotation would spend, before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.worker import check_size
from ttmarkers.datasets import chunks, expand, to_example, unfold
from ttmarkers.errors import DataError
from ttmarkers.records import Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ttmarkers.annotation.plan import Plan
    from ttmarkers.annotation.worker import AnnotationJob
    from ttmarkers.datasets import Chunk
    from ttmarkers.records import Example

BATCH = 500


def estimate(job: AnnotationJob, progress: Callable[[int], None] | None = None) -> dict[str, Spending]:
    """Return what each paid extractor of a job would take; free ones run only where these need them.

    Rows that cannot be read are left out, as they would be in quarantine.
    """
    plan = _needed(job.plan)
    extraction = Extraction(plan, carried=job.carried)
    total: dict[str, Spending] = {}
    left = job.limit
    for name in expand(job.inputs):
        for chunk in chunks(name, BATCH):
            if left is not None and left <= 0:
                return total
            rows = chunk if left is None else replace(chunk, rows=chunk.rows[:left])
            left = None if left is None else left - len(rows.rows)
            for extractor, spending in extraction.estimate(_examples(rows, job)).items():
                total[extractor] = total.get(extractor, Spending()) + spending
            if progress:
                progress(len(rows.rows))
    return total


def _needed(plan: Plan) -> Plan:
    """Return a plan with only the guided steps and what comes before them for their sake."""
    last = max((number for number, step in enumerate(plan.steps) if step.component.guided), default=-1)
    wanted = {name for step in plan.steps if step.component.guided for name in (*step.wanted, *step.component.needs)}
    steps = [step for step in plan.steps[: last + 1] if step.component.guided or wanted & set(step.wanted)]
    return replace(plan, steps=tuple(steps), fitted=())


def _examples(chunk: Chunk, job: AnnotationJob) -> Iterator[Example]:
    for origin, row in chunk.parse():
        if isinstance(row, DataError):
            continue
        try:
            for part in unfold(row, origin, job.parallel) if job.parallel else (row,):
                example = to_example(part, origin, job.columns)
                check_size(example, job.max_chars)
                yield example
        except DataError:
            continue
