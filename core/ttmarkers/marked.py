"""Annotated rows: read, counted, and kept on disk for training so that memory stays flat."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.datasets import rows, to_example
from ttmarkers.errors import DataError
from ttmarkers.records import MarkedExample, Message, Origin

BATCH = 256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy


def read_marked(
    inputs: Iterable[str], taxonomy: Taxonomy, columns: Mapping[str, str] | None = None
) -> Iterator[MarkedExample]:
    """Yield the examples of annotated files.

    Args:
        inputs: files or globs that ``ttm annotate`` wrote.
        taxonomy: checks the markers.
        columns: our name of a column -> the file's.

    Raises:
        DataError: for a row without markers, or with one that the taxonomy does not hold.
    """
    for origin, row in rows(inputs):
        example = to_example(row, origin, columns)
        found = row.get("markers")
        if not isinstance(found, dict):
            raise DataError(f"{origin}: the row has no markers: annotate the file first with ttm annotate")
        known = {name: value for name, value in found.items() if value is not None}
        markers = taxonomy.check(known, where=str(origin))
        yield MarkedExample(example.id, example.prompt, example.completion, markers, origin, _others(row, markers))


def _others(row: Mapping[str, Any], markers: Mapping[str, Value]) -> dict[str, list[Value]]:
    """Return the further values that ``markers_meta`` keeps of a row's markers."""
    meta = row.get("markers_meta")
    if not isinstance(meta, dict):
        return {}
    found = {name: entry.get("others") for name, entry in meta.items() if isinstance(entry, dict) and name in markers}
    return {name: list(values) for name, values in found.items() if isinstance(values, list) and values}


@dataclass
class Counts:
    """Counts of marker values over examples."""

    rows: int = 0

    def __post_init__(self) -> None:
        self._values: dict[str, dict[Value, int]] = {}

    def add(self, markers: Mapping[str, Value]) -> None:
        """Count one example."""
        self.rows += 1
        for name, value in markers.items():
            values = self._values.setdefault(name, {})
            if isinstance(value, float):
                value = float(f"{value:.3g}")  # a score may differ in every row: their number stays bounded
            values[value] = values.get(value, 0) + 1

    def names(self) -> list[str]:
        """Names of the markers that occurred."""
        return list(self._values)

    def shares(self, taxonomy: Taxonomy) -> dict[str, dict[Value, float]]:
        """Return, by categorical marker, the share of rows that have each value."""
        return {
            kind.name: {value: count / self.rows for value, count in self._values.get(kind.name, {}).items()}
            for kind in taxonomy
            if kind.values
        }

    def to_json(self, taxonomy: Taxonomy) -> dict[str, dict[str, Any]]:
        """Return, by marker, the count of each value; for numbers their count, least, median, greatest and ``mode``.

        Scores are counted to three digits.
        """
        result: dict[str, dict[str, Any]] = {}
        for kind in taxonomy:
            values = self._values.get(kind.name, {})
            if kind.kind == "categorical":
                result[kind.name] = {value: values.get(value, 0) for value in kind.values if value in values}
            elif values:
                result[kind.name] = {
                    "n": sum(values.values()),
                    "min": min(map(float, values)),
                    "median": _median(values),
                    "max": max(map(float, values)),
                    "mode": _mode(values),
                }
        return result


def _mode(counts: Mapping[Value, int]) -> dict[str, Any]:
    """Return the most frequent number with its count; the least of several."""
    value = min(counts, key=lambda number: (-counts[number], float(number)))
    return {"value": value, "count": counts[value]}


def _median(counts: Mapping[Value, int]) -> float:
    """Return the median of numbers that are given with their counts."""
    total, seen, middle = sum(counts.values()), 0, []
    for number, count in sorted((float(value), count) for value, count in counts.items()):
        middle += [number for place in ((total - 1) // 2, total // 2) if seen <= place < seen + count]
        seen += count
    return statistics.fmean(middle)


class RowWriter:
    """Writes examples to an Arrow file, a batch at a time, so that memory stays flat.

    Attributes:
        rows: how many were written so far.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.ipc

        names = ("id", "prompt", "completion", "markers", "file")
        self._schema = pyarrow.schema([(name, pyarrow.string()) for name in names] + [("row", pyarrow.int64())])
        self._writer = pyarrow.ipc.new_stream(str(path), self._schema)
        self._pending: list[dict[str, Any]] = []
        self.rows = 0

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, example: MarkedExample) -> None:
        """Write one example."""
        self._pending.append(pack(example))
        self.rows += 1
        if len(self._pending) == BATCH:
            self._flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist(self._pending, schema=self._schema))
        self._pending = []


def read_packed(path: Path) -> Iterator[MarkedExample]:
    """Yield the examples that a `RowWriter` wrote."""
    import pyarrow
    import pyarrow.ipc

    # not by its name: it would be mapped into memory, and all that was read once would stay there
    with pyarrow.OSFile(str(path)) as file, pyarrow.ipc.open_stream(file) as reader:
        for batch in reader:
            yield from map(unpack, batch.to_pylist())


def pack(example: MarkedExample) -> dict[str, Any]:
    """Return an example as a row of flat columns, for an Arrow file."""
    return {
        "id": example.id,
        "prompt": orjson.dumps([(turn.role, turn.content) for turn in example.prompt]).decode(),
        "completion": example.completion,
        "markers": orjson.dumps([dict(example.markers), dict(example.others)]).decode(),
        "file": example.origin.name,
        "row": example.origin.row,
    }


def unpack(row: Mapping[str, Any]) -> MarkedExample:
    """Undo `pack`."""
    markers, others = orjson.loads(row["markers"])
    return MarkedExample(
        row["id"],
        tuple(Message(role, content) for role, content in orjson.loads(row["prompt"])),
        row["completion"],
        markers,
        Origin(row["file"], row["row"]),
        others,
    )
