"""Annotate a data set: rows in, rows with markers out, in shards that survive interruption.

Rows are cut into shards of a fixed number. Each shard is written to ``OUT.parts/`` under its own name in one step;
when all are there they become OUT in one step. A run that was interrupted is resumed by skipping the shards that
exist; the result has the same bytes, whatever the engine and the number of workers.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from ttmarkers.annotation.engine import run_shards
from ttmarkers.annotation.fitting import SUFFIX, Fitting, fit, load_states
from ttmarkers.annotation.local_engine import LocalRunner
from ttmarkers.annotation.shards import OUTPUTS, Shard, join, rows
from ttmarkers.annotation.worker import AnnotationJob, AnnotationResult, Worker, stored
from ttmarkers.datasets import Chunk, chunks, expand
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.manifest import versions, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from ttmarkers.annotation.shards import Complete

    Progress = Callable[[int], None]

SHARD_ROWS = 500
STATE = "state.json"


def annotate(job: AnnotationJob, progress: Progress | None = None) -> AnnotationResult:
    """Run an annotation to its end.

    Args:
        job: what to do.
        progress: called with the number of rows whenever a shard is done.

    Raises:
        ConfigError: if the output's kind is not known, or there are leftovers of another run.
        DataError: on the first bad row, without a quarantine.
    """
    if job.output.suffix not in OUTPUTS:
        raise ConfigError(f"output {str(job.output)!r}: its kind is not known, use one of {', '.join(OUTPUTS)}")
    names = expand(job.inputs)
    _prepare(job, names)
    result = AnnotationResult()
    shards = []
    try:
        with closing(_run(job, names)) as run:
            for shard, counts in run:
                shards.append(shard)
                result.add(counts)
                if progress:
                    progress(counts.rows + counts.bad)
    finally:
        if not any(job.parts.glob("*.done")):
            shutil.rmtree(job.parts)  # nothing was finished, so there is nothing to resume
    if not result.rows + result.bad:
        shutil.rmtree(job.parts, ignore_errors=True)
        raise DataError(f"{', '.join(names)}: there are no rows")
    shards.sort()
    join(job.parts, shards, job.output, _fit(job, shards, result))
    result.found = {name: result.found.get(name, 0) for name in job.plan.wanted}
    if job.quarantine:
        join(job.parts, shards, job.quarantine, kind="bad")
    shutil.rmtree(job.parts)
    return result


def _fit(job: AnnotationJob, shards: Sequence[int], result: AnnotationResult) -> Complete | None:
    """Fit what must be fitted on all rows, store it, and return what completes a row; None if nothing does."""
    if not any(all(map(result.found.get, step.component.needs)) for step in job.plan.fitted):
        return None
    if job.fitted:
        fitting = Fitting(job.plan, load_states(job.fitted))
    else:
        fitting = fit(job.plan, rows(job.parts, shards), job.fit_where)
        write_json(job.output.with_name(job.output.name + SUFFIX), dict(fitting.states))

    def complete(row: dict[str, Any]) -> dict[str, Any]:
        completed = fitting.complete(row)
        for name in completed["markers"]:
            if name not in row["markers"]:
                result.found[name] = result.found.get(name, 0) + 1
        return completed

    return complete


def _prepare(job: AnnotationJob, names: Sequence[str]) -> None:
    """Make the folder of shards, or check that the one that is there belongs to this very run."""
    state = _state(job, names)
    path = job.parts / STATE
    if not job.parts.exists():
        job.parts.mkdir(parents=True)
        write_json(path, state)
        return
    if not job.resume:
        raise ConfigError(f"{job.parts} holds an interrupted run: go on with --resume, or remove it to start anew")
    old = orjson.loads(path.read_bytes()) if path.exists() else {}
    differs = sorted(key for key in state if old.get(key) != state[key])
    if differs:
        raise ConfigError(
            f"{job.parts} was made with other {' and '.join(differs)}: remove it to start anew without --resume"
        )


def _state(job: AnnotationJob, names: Sequence[str]) -> dict[str, Any]:
    """Return what must be the same for shards of two runs to fit together."""
    files = []
    for name in names:
        path = Path(name)
        stat = path.stat() if path.is_file() else None
        files.append([name, stat.st_size if stat else None, stat.st_mtime_ns if stat else None])
    state = {
        "input": files,
        "limit": job.limit,
        "columns": dict(job.columns),
        "markers": {
            "wanted": list(job.plan.wanted),
            "taxonomy": job.plan.taxonomy.to_json(),
            "guides": {name: asdict(guide) for name, guide in job.plan.guides.items()},
            "least": dict(job.plan.least),
            "declared": {name: word.model_dump() for name, word in job.plan.declared.items()},
            "steps": [{**step.to_json(), "wanted": step.wanted} for step in (*job.plan.steps, *job.plan.fitted)],
            "carried": {name: list(markers) for name, markers in job.carried.items()},
        },
        "settings": [job.max_chars, asdict(job.parallel) if job.parallel else None],
        "versions": versions(),
    }
    # as it will be read back: JSON knows no tuples
    return cast("dict[str, Any]", orjson.loads(orjson.dumps(state)))


def _shards(names: Sequence[str], limit: int | None) -> Iterator[Shard]:
    number, left = 0, limit
    for name in names:
        for chunk in chunks(name, SHARD_ROWS):
            if left is not None and left <= 0:
                return
            kept = chunk if left is None or len(chunk.rows) <= left else Chunk(name, chunk.first_row, chunk.rows[:left])
            if left is not None:
                left -= len(kept.rows)
            yield Shard(number, kept)
            number += 1


def _run(job: AnnotationJob, names: Sequence[str]) -> Generator[tuple[int, AnnotationResult]]:
    """Yield each shard's number and counts as it is done, in any order."""
    shards = _shards(names, job.limit)
    if job.engine == "ray":
        from ttmarkers.annotation.ray_engine import run_on_ray

        yield from run_on_ray(job, shards)
    elif job.workers:
        yield from run_shards([LocalRunner(job) for _ in range(job.workers)], shards, job.parts)
    else:
        worker = Worker(job)
        for shard in shards:
            yield shard.number, stored(job.parts, shard) or worker.run(shard)
