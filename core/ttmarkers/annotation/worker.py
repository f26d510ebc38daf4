"""What is annotated and how, and the worker that annotates one shard after another."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.shards import OPTIONS
from ttmarkers.datasets import to_example, unfold
from ttmarkers.errors import DataError
from ttmarkers.manifest import atomic, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ttmarkers.annotation.extraction import Row, Watch
    from ttmarkers.annotation.plan import Plan
    from ttmarkers.annotation.shards import Shard
    from ttmarkers.datasets import Chunk
    from ttmarkers.records import Example, Origin, Parallel


@dataclass(frozen=True)
class AnnotationJob:
    """What to annotate and how.

    Attributes:
        inputs: files, globs or ``hf:`` names.
        output: a ``.jsonl`` or ``.parquet`` file that does not exist yet.
        plan: which extractors are asked for which markers.
        columns: our name of a column -> the file's.
        quarantine: where bad rows go with their reasons; without it the first bad row ends the run.
        limit: the greatest number of rows that are read.
        workers: processes. With 0 the local engine annotates in this very process, where a row that hangs or crashes
            an extractor takes the whole run with it, and the Ray engine takes all CPUs of the cluster.
        engine: ``local``, or ``ray`` for several machines.
        row_seconds: what an extractor may take for each row; see `ttmarkers.annotation.local_engine`.
        resume: go on with an interrupted run.
        fitted: a file of fitted states to use instead of fitting.
        fit_where: column -> value of the rows that are fitted on.
        max_chars: rows with more characters of text are bad.
        parallel: how rows of parallel sentences become translation examples.
        carried: earlier output -> the markers in it that need not be found again (`ttmarkers.annotation.earlier`).
        max_cost: what paid extractors may spend in this run, all processes together.
        run: a name of this run, another one each time, under which they add it up.
    """

    inputs: tuple[str, ...]
    output: Path
    plan: Plan
    columns: Mapping[str, str] = field(default_factory=dict)
    quarantine: Path | None = None
    limit: int | None = None
    workers: int = 0
    engine: Literal["local", "ray"] = "local"
    row_seconds: float = 2.0
    resume: bool = False
    fitted: Path | None = None
    fit_where: Mapping[str, str | int] = field(default_factory=dict)
    max_chars: int = 1_000_000
    parallel: Parallel | None = None
    carried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_cost: float | None = None
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def parts(self) -> Path:
        """The folder of finished shards."""
        return self.output.with_name(self.output.name + ".parts")


@dataclass
class AnnotationResult:
    """Counts of a finished annotation; ``found`` counts rows by marker."""

    rows: int = 0
    bad: int = 0
    found: dict[str, int] = field(default_factory=dict)

    def add(self, other: AnnotationResult) -> None:
        """Add the counts of another shard."""
        self.rows += other.rows
        self.bad += other.bad
        for name, count in other.found.items():
            self.found[name] = self.found.get(name, 0) + count


@dataclass
class Outcome:
    """What became of rows: lines to write, entries of the quarantine, and counts."""

    lines: list[bytes] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)
    result: AnnotationResult = field(default_factory=AnnotationResult)

    def add(self, other: Outcome) -> None:
        """Add what became of the rows that come next."""
        self.lines += other.lines
        self.bad += other.bad
        self.result.add(other.result)

    def reject(self, chunk: Chunk, origin: Origin, row: Mapping[str, Any] | DataError, reason: DataError) -> None:
        """Add a bad row of a chunk, with the reason why it is bad."""
        content = None if isinstance(row, DataError) else dict(row)
        entry = {"file": origin.name, "row": origin.row, "reason": str(reason), "content": content}
        if content is None:
            raw = chunk.rows[origin.row - chunk.first_row]
            entry["content"] = bytes(raw).decode("utf-8", "replace") if isinstance(raw, bytes) else None
        self.bad.append(orjson.dumps(entry, option=OPTIONS))
        self.result.bad += 1


def store(parts: Path, shard: Shard, outcome: Outcome) -> AnnotationResult:
    """Write a shard's files; the file ``done`` comes last and says that the others are whole."""
    for kind, lines in (("rows", outcome.lines), ("bad", outcome.bad)):
        with atomic(shard.path(parts, kind)) as stream:
            stream.writelines(lines)
    write_json(shard.path(parts, "done"), asdict(outcome.result))
    return outcome.result


def stored(parts: Path, shard: Shard) -> AnnotationResult | None:
    """Return the counts of a shard whose files are written, or None."""
    path = shard.path(parts, "done")
    return AnnotationResult(**orjson.loads(path.read_bytes())) if path.exists() else None


class Worker:
    """Annotates shards with extractors that are made once.

    Args:
        job: what to annotate and how.
        watch: see `ttmarkers.annotation.extraction.Extraction`.
    """

    def __init__(self, job: AnnotationJob, watch: Watch | None = None) -> None:
        self._job = job
        self._extraction = Extraction(job.plan, watch, carried=job.carried, max_cost=job.max_cost, run=job.run)

    def run(self, shard: Shard) -> AnnotationResult:
        """Annotate a shard and write its files."""
        return store(self._job.parts, shard, self.annotate(shard.chunk))

    def annotate(self, chunk: Chunk) -> Outcome:
        """Annotate rows.

        Raises:
            DataError: on the first bad row, without a quarantine.
        """
        bad: list[tuple[Origin, Any, DataError]] = []
        examples: list[Example] = []
        for origin, row in chunk.parse():
            try:
                if isinstance(row, DataError):
                    raise row
                parts = unfold(row, origin, self._job.parallel) if self._job.parallel else (row,)
                for part in parts:
                    example = to_example(part, origin, self._job.columns)
                    check_size(example, self._job.max_chars)
                    examples.append(example)
            except DataError as error:
                self._reject(bad, origin, row, error)
        outcome = Outcome()
        for found in self._extraction.run(examples):
            if found.error is not None:
                self._reject(bad, found.example.origin, found.example.columns, found.error)
                continue
            outcome.lines.append(self._line(found, outcome.result))
        for origin, row, reason in sorted(bad, key=lambda item: item[0].row):
            outcome.reject(chunk, origin, row, reason)
        return outcome

    def _reject(self, bad: list[tuple[Origin, Any, DataError]], origin: Origin, row: Any, error: DataError) -> None:
        if self._job.quarantine is None:
            raise error
        bad.append((origin, row, error))

    def _line(self, row: Row, result: AnnotationResult) -> bytes:
        wanted = self._job.plan.kept
        markers = {name: value for name, value in row.markers.items() if name in wanted}
        result.rows += 1
        for name in markers:
            result.found[name] = result.found.get(name, 0) + 1
        line = {
            **row.example.columns,
            "id": row.example.id,
            "markers": markers,
            "markers_meta": {name: row.meta[name] for name in markers},
        }
        try:
            return orjson.dumps(line, option=OPTIONS)
        except TypeError as error:
            bad = next((name for name, value in line.items() if not _writable(value)), "?")
            raise DataError(
                f"{row.example.origin}: column {bad!r} cannot be written as JSON ({error}): leave it out of the input"
            ) from error


def check_size(example: Example, max_chars: int) -> None:
    """Raise a `DataError` if a row has more characters of text than it may."""
    size = len(example.completion) + sum(len(turn.content) for turn in example.prompt)
    if size > max_chars:
        raise DataError(
            f"{example.origin}: the row has {size:,} characters, more than data.max_chars = "
            f"{max_chars:,}: cut it, raise the limit, or set it apart with --quarantine FILE"
        )


def _writable(value: Any) -> bool:
    try:
        orjson.dumps(value, option=OPTIONS)
    except TypeError:
        return False
    return True
