"""Annotation of files: rows out, bad rows, errors in the middle, and the two kinds of output."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow
import pyarrow.parquet
import pytest

from support import greetings, plan_of, read_rows, ttm, write_rows
from ttmarkers.annotation.run import SHARD_ROWS, annotate
from ttmarkers.annotation.worker import AnnotationJob
from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ttmarkers.protocols import Subject

SIZE = Taxonomy((MarkerType("words", "", "int", minimum=0), MarkerType("mood", "", "categorical", ("good", "bad"))))


class Words:
    """Counts words; fails on the answer ``boom``."""

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
        """Return the number of words of each completion."""
        if any(subject.example.completion == "boom" for subject in batch):
            raise RuntimeError("it went boom")
        return [{"words": Found(len(subject.example.completion.split()))} for subject in batch]


WORDS = ExtractorComponent("words", "", Words, markers=("words",))


def job(folder: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> AnnotationJob:
    """Return a job that counts the words of rows."""
    source = write_rows(folder / "rows.jsonl", rows)
    plan = plan_of(SIZE, [WORDS], {"declared": {"mood": {"column": "mood"}}} if "mood" in rows[0] else {})
    return AnnotationJob((str(source),), **{"output": folder / "out.jsonl", "plan": plan, **options})


def pairs(*completions: str) -> list[dict[str, Any]]:
    """Return rows with the given completions."""
    return [{"prompt": f"Why {number}?", "completion": text} for number, text in enumerate(completions)]


def test_output(tmp_path: Path) -> None:
    """A row keeps its columns and gets id, markers and notes on them; nothing else is left in the folder."""
    rows = [{"id": "a", "prompt": "Why?", "completion": "So it is.", "n": [1, {"x": None}], "mood": "Good"}]
    result = annotate(job(tmp_path, rows))
    assert read_rows(tmp_path / "out.jsonl") == [
        {
            **rows[0],
            "markers": {"words": 3, "mood": "good"},
            "markers_meta": {
                "words": {"confidence": 1.0, "source": "extractor:words"},
                "mood": {"confidence": 1.0, "source": "declared:mood"},
            },
        }
    ]
    assert (result.rows, result.bad, result.found) == (1, 0, {"words": 1, "mood": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_annotating_twice_changes_nothing(tmp_path: Path) -> None:
    """What was annotated can be annotated again: the markers stay, and so do the bytes."""
    first = job(tmp_path, [{**row, "mood": "bad"} for row in pairs("One.", "Two words.")])
    annotate(first)
    again = AnnotationJob((str(first.output),), tmp_path / "again.jsonl", first.plan)
    annotate(again)
    assert again.output.read_bytes() == first.output.read_bytes()


def test_several_inputs_and_limit(tmp_path: Path) -> None:
    """Rows come in the order of the inputs; a limit counts over all of them."""
    first = write_rows(tmp_path / "a.jsonl", pairs("One.", "Two."))
    second = write_rows(tmp_path / "b.jsonl", pairs("Three.", "Four."))
    plan = plan_of(SIZE, [WORDS])
    seen: list[int] = []
    annotate(AnnotationJob((str(first), str(second)), tmp_path / "all.jsonl", plan), seen.append)
    assert [row["completion"] for row in read_rows(tmp_path / "all.jsonl")] == ["One.", "Two.", "Three.", "Four."]
    assert sum(seen) == 4
    annotate(AnnotationJob((str(first), str(second)), tmp_path / "some.jsonl", plan, limit=3))
    assert [row["completion"] for row in read_rows(tmp_path / "some.jsonl")] == ["One.", "Two.", "Three."]


def test_bad_row_stops_without_quarantine(tmp_path: Path) -> None:
    """The first bad row ends the run with its number, and no file under the output's name is left."""
    with pytest.raises(DataError, match=r"rows\.jsonl, row 2: the completion is empty: .*--quarantine FILE"):
        annotate(job(tmp_path, pairs("One.", "", "Three.")))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_quarantine(tmp_path: Path) -> None:
    """Bad rows of every kind go to their own file, in order, with number, reason and content; the rest goes on."""
    source = tmp_path / "rows.jsonl"
    good = orjson.dumps({"prompt": "Why?", "completion": "So."})
    failing = {"prompt": "Why?", "completion": "boom"}
    lines = [good, b"{broken", orjson.dumps({"a": 1}), b"[]", b"", orjson.dumps(failing), good, b'"\xff"']
    source.write_bytes(b"\n".join(lines))
    bad = tmp_path / "bad.jsonl"
    result = annotate(AnnotationJob((str(source),), tmp_path / "out.jsonl", plan_of(SIZE, [WORDS]), quarantine=bad))
    entries = read_rows(bad)
    assert (result.rows, result.bad) == (2, 5)
    assert [row["markers"] for row in read_rows(tmp_path / "out.jsonl")] == [{"words": 1}] * 2
    assert [(entry["file"], entry["row"]) for entry in entries] == [(str(source), n) for n in (2, 3, 4, 6, 8)]
    assert [entry["content"] for entry in entries] == ["{broken\n", {"a": 1}, "[]\n", failing, '"\ufffd"']
    reasons = ["is not JSON", "form is not known", "holds no JSON object", "RuntimeError: it went boom", "is not JSON"]
    for entry, reason in zip(entries, reasons, strict=True):
        assert reason in entry["reason"]


def test_quarantine_without_bad_rows(tmp_path: Path) -> None:
    """A clean run leaves an empty quarantine, so that a script can look into it."""
    annotate(job(tmp_path, pairs("One."), quarantine=tmp_path / "bad.jsonl"))
    assert (tmp_path / "bad.jsonl").read_bytes() == b""


def test_error_in_a_later_shard(tmp_path: Path) -> None:
    """An extractor that fails late leaves no output; the finished shards are kept, and a mended input starts anew."""
    rows = pairs(*["One."] * (SHARD_ROWS + 10), "boom")
    first = job(tmp_path, rows)
    with pytest.raises(
        DataError, match=rf"row {SHARD_ROWS + 11}: extractor 'words' failed \(RuntimeError: it went boom"
    ):
        annotate(first)
    assert not first.output.exists()
    with pytest.raises(ConfigError, match="holds an interrupted run: go on with --resume, or remove it"):
        annotate(first)
    mended = job(tmp_path, rows[:-1], resume=True)
    with pytest.raises(ConfigError, match="was made with other input: remove it to start anew without --resume"):
        annotate(mended)
    assert not first.output.exists()


def test_no_rows(tmp_path: Path) -> None:
    """An input without rows is an error that names it, whether it is empty or holds blank lines."""
    for text in ("", "\n\n  \n"):
        source = tmp_path / "rows.jsonl"
        source.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"rows\.jsonl: there are no rows"):
            annotate(AnnotationJob((str(source),), tmp_path / "out.jsonl", plan_of(SIZE, [WORDS])))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_kind_of_output(tmp_path: Path) -> None:
    """An output that is neither JSON lines nor Parquet is refused before anything is read."""
    with pytest.raises(ConfigError, match=r"its kind is not known, use one of \.jsonl, \.parquet"):
        annotate(job(tmp_path, pairs("One."), output=tmp_path / "out.csv"))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def test_parquet_equals_json_lines(tmp_path: Path) -> None:
    """Both kinds of output hold the same, over several shards, with columns that only some rows have."""
    rows = greetings(SHARD_ROWS + 3)
    rows[1]["note"] = "only here"
    rows[2]["tags"] = ["a", "b"]
    rows[SHARD_ROWS + 1]["late"] = {"x": 1}
    rows[5]["mood"] = None
    for row in rows[::2]:
        row["mood"] = "good"
    plan = plan_of(SIZE, [WORDS], {"declared": {"mood": {"column": "mood"}}})
    source = write_rows(tmp_path / "rows.jsonl", [{"mood": None, **row} for row in rows])
    for name in ("out.jsonl", "out.parquet"):
        annotate(AnnotationJob((str(source),), tmp_path / name, plan))
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names[:4] == ["mood", "id", "prompt", "completion"]
    assert [_without_none(row) for row in table.to_pylist()] == [
        _without_none(row) for row in read_rows(tmp_path / "out.jsonl")
    ]


@pytest.mark.parametrize("bad", [False, True], ids=["no-marker", "no-row"])
def test_parquet_of_nothing(tmp_path: Path, bad: bool) -> None:
    """Parquet is written also where no row has a marker, or every row is bad."""
    options = {"output": tmp_path / "out.parquet", "quarantine": tmp_path / "bad.jsonl", "plan": plan_of(SIZE, [])}
    result = annotate(job(tmp_path, pairs("" if bad else "One."), **options))
    assert (result.rows, result.bad) == ((0, 1) if bad else (1, 0))
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").num_rows == result.rows


def test_parquet_of_mixed_types(tmp_path: Path) -> None:
    """A column that holds texts and numbers has no place in Parquet: the error says to write JSON lines."""
    rows = [{**row, "mixed": value} for row, value in zip(pairs("One.", "Two."), ["a", 1], strict=True)]
    with pytest.raises(DataError, match=r"out\.parquet cannot be written: .*mixed types.*write \.jsonl instead"):
        annotate(job(tmp_path, rows, output=tmp_path / "out.parquet"))
    assert not (tmp_path / "out.parquet").exists()


def test_columns_that_json_cannot_hold(tmp_path: Path) -> None:
    """Dates of a Parquet input are written as text; bytes cannot be, and their row and column are named."""
    base = {"prompt": ["Why?"], "completion": ["So."]}
    dated, raw = tmp_path / "dated.parquet", tmp_path / "raw.parquet"
    pyarrow.parquet.write_table(pyarrow.table({**base, "day": [datetime.date(2024, 5, 17)]}), dated)
    pyarrow.parquet.write_table(pyarrow.table({**base, "picture": [b"\x89PNG"]}), raw)
    annotate(AnnotationJob((str(dated),), tmp_path / "dated.jsonl", plan_of(SIZE, [WORDS])))
    assert read_rows(tmp_path / "dated.jsonl")[0]["day"] == "2024-05-17"
    with pytest.raises(DataError, match=r"raw\.parquet, row 1: .*'picture'"):
        annotate(AnnotationJob((str(raw),), tmp_path / "raw.jsonl", plan_of(SIZE, [WORDS])))


def test_command(tmp_path: Path) -> None:
    """The command writes the rows and run.json, prints the shares, and tells people how many bad rows there are."""
    source = write_rows(tmp_path / "rows.jsonl", [*pairs("One.\n\nTwo.", "Three."), {"a": 1}])
    out, bad = tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    done = ttm("annotate", source, "-o", out, "--markers", "length_paragraphs", "--quarantine", bad, "--json")
    assert done.code == 0
    found = {"length_paragraphs": 2}
    assert done.json() == {"output": str(out), "rows": 2, "bad_rows": 1, "found": found}
    assert "1 bad rows went to" in done.err
    assert [row["markers"] for row in read_rows(out)] == [{"length_paragraphs": 2}, {"length_paragraphs": 1}]
    run = orjson.loads((tmp_path / "out.jsonl.run.json").read_bytes())
    assert (run["command"], run["rows"], run["bad_rows"], run["found"]) == ("annotate", 2, 1, found)
    assert run["inputs"] == [{"name": str(source), "bytes": source.stat().st_size}]
    assert run["config"]["markers"]["use"] == ["length_paragraphs"]
    assert "torch" in run["versions"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--markers", "mod"], 2, "unknown marker 'mod' (markers.use): "),
        (["--set", "markers.extractors.lang=[langidd]"], 2, "did you mean 'langid'?"),
        (["--set", "markers.taxonomy=papr"], 2, "unknown taxonomy 'papr' (markers.taxonomy): did you mean 'paper'?"),
        (["--set", "data.columns.prompt=frage", "--markers", "lang"], 1, "row 1: there is no column 'frage'"),
        (["--limit", "0"], 2, "--limit"),
    ],
)
def test_command_errors(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    """A wrong name or option is exit 2, a row that does not fit exit 1; neither leaves an output."""
    source = write_rows(tmp_path / "rows.jsonl", pairs("One."))
    done = ttm("annotate", source, "-o", tmp_path / "out.jsonl", *words)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
