"""Numbered pieces of a long run on disk, and how they become one file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import DataError
from ttmarkers.manifest import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ttmarkers.datasets import Chunk

    Complete = Callable[[dict[str, Any]], dict[str, Any]]

OUTPUTS = (".jsonl", ".parquet")
OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True)
class Shard:
    """One numbered piece of the work."""

    number: int
    chunk: Chunk

    def path(self, parts: Path, kind: str) -> Path:
        """Return a file of the shard: ``rows``, ``bad`` or ``done``."""
        return parts / f"{self.number:08d}.{kind}"


def rows(parts: Path, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield the finished rows of all shards, in order."""
    for number in shards:
        with (parts / f"{number:08d}.rows").open("rb") as piece:
            yield from map(orjson.loads, piece)


def join(
    parts: Path, shards: Sequence[int], output: Path, complete: Complete | None = None, *, kind: str = "rows"
) -> None:
    """Write the rows of all shards into one file, which is whole or not there.

    Args:
        parts: the folder of the shards.
        shards: their numbers, in order.
        output: ``.parquet``, or any other name for JSON lines.
        complete: changes each row on the way.
        kind: which of the shards' files.

    Raises:
        DataError: if the columns do not fit into a Parquet file.
    """
    if kind == "rows" and output.suffix == ".parquet":
        _join_parquet(parts, shards, output, complete)
        return
    with atomic(output) as stream:
        if complete:
            for row in rows(parts, shards):
                stream.write(orjson.dumps(complete(row), option=OPTIONS))
            return
        for number in shards:
            with (parts / f"{number:08d}.{kind}").open("rb") as piece:
                shutil.copyfileobj(piece, stream)


def _join_parquet(parts: Path, shards: Sequence[int], output: Path, complete: Complete | None) -> None:
    import pyarrow
    import pyarrow.parquet

    def read(number: int) -> list[dict[str, Any]]:
        return list(rows(parts, [number]))

    def schema_of(read_rows: list[dict[str, Any]]) -> Any:
        names = dict.fromkeys(name for row in read_rows for name in row)
        columns = {name: pyarrow.array([row.get(name) for row in read_rows]) for name in names}
        # Parquet has no struct without fields, which markers are where none was found
        empty = [name for name, column in columns.items() if column.type == pyarrow.struct([])]
        return pyarrow.schema({n: pyarrow.null() if n in empty else column.type for n, column in columns.items()})

    if complete:
        _complete(parts, shards, complete)
    try:
        schema = pyarrow.unify_schemas(
            [pyarrow.schema([]), *(schema_of(read(number)) for number in shards)], promote_options="permissive"
        )
        nameless = [name for name in schema.names if pyarrow.types.is_null(schema.field(name).type)]
        with atomic(output) as stream, pyarrow.parquet.ParquetWriter(stream, schema) as writer:
            for number in shards:
                table = [{**row, **dict.fromkeys(nameless)} for row in read(number)]
                writer.write_table(pyarrow.Table.from_pylist(table, schema=schema))
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise DataError(
            f"{output} cannot be written: the rows' columns are of mixed types ({error}): write .jsonl instead"
        ) from error


def _complete(parts: Path, shards: Sequence[int], complete: Complete) -> None:
    """Rewrite the shards completed; doing it again changes nothing."""
    for number in shards:
        completed = [complete(row) for row in rows(parts, [number])]
        with atomic(parts / f"{number:08d}.rows") as stream:
            for row in completed:
                stream.write(orjson.dumps(row, option=OPTIONS))
