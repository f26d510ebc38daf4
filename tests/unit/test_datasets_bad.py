"""Bad input: one sentence for every kind, with the file and the row."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.datasets import expand, rows, to_example, to_prompt
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Origin

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin("file.jsonl", 7)
LINES = "".join(json.dumps({"prompt": f"Why {n}?", "completion": "Because."}) + "\n" for n in range(250))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Why?", "n": 1}, "form is not known (columns text, n): use messages; conversations; prompt"),
        ({}, "form is not known (columns none)"),
        ({"prompt": "Why?", "completion": ""}, "the completion is empty"),
        ({"prompt": "Why?", "completion": " \n"}, "the completion is empty"),
        ({"prompt": "Why?", "completion": None}, "the completion is empty"),
        ({"messages": [{"role": "user", "content": "Why?"}]}, "the completion is empty"),
        ({"messages": [{"role": "assistant", "content": "Hello"}]}, "no user turn stands before the completion"),
        ({"prompt": 5, "completion": "Because."}, "column 'prompt' holds int, not text"),
        ({"prompt": "Why?", "completion": {"a": 1}}, "column 'completion' holds dict, not text"),
        ({"messages": "Why?"}, "a turn needs 'role' (one of assistant, gpt, human, system, user) and a text 'content'"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a turn needs 'role'"),
        ({"messages": [{"role": "user", "content": None}]}, "a text 'content'"),
        ({"conversations": [{"role": "user", "content": "Why?"}]}, "a turn needs 'from'"),
        ({"instruction": "Why?", "output": "B.", "history": ["Hi"]}, "history holds pairs of question and answer"),
    ],
)
def test_bad_rows(row: dict[str, Any], message: str) -> None:
    """A row that cannot be used is named by file and number, with the reason."""
    with pytest.raises(DataError) as caught:
        to_example(row, ORIGIN)
    assert str(caught.value).startswith("file.jsonl, row 7: ")
    assert message in str(caught.value)


def test_missing_mapped_column() -> None:
    """A mapped column that the row lacks is named, with the config key that maps it."""
    with pytest.raises(DataError, match=r"row 7: there is no column 'frage', which data\.columns\.prompt names"):
        to_example({"question": "Why?", "completion": "Because."}, ORIGIN, {"prompt": "frage"})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "Why?"}, "there is no prompt: use a column prompt, instruction or messages"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"messages": [{"role": "assistant", "content": "Hello"}]}, "the prompt is empty"),
    ],
)
def test_rows_that_ask_nothing(row: dict[str, Any], message: str) -> None:
    """A row without a question is refused where only a prompt is wanted."""
    with pytest.raises(DataError, match="row 7: " + message):
        to_prompt(row, ORIGIN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.jsonl", "there is no such file, and no file matches it"),
        ("*.jsonl", "there is no such file, and no file matches it"),
        ("data.txt", "its kind is not known, use one of .jsonl, .jsonl.gz, .json, .parquet, .csv"),
    ],
)
def test_inputs_that_are_not_there(tmp_path: Path, name: str, message: str) -> None:
    """A missing file, a glob without files and an unknown kind are errors of the command."""
    (tmp_path / "data.txt").touch()
    with pytest.raises(ConfigError) as caught:
        expand([str(tmp_path / name)])
    assert str(caught.value) == f"input {str(tmp_path / name)!r}: {message}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prompt": "Why?", ', "row 2: the line is not JSON"),
        (b"[1, 2]", "row 2: the line holds no JSON object"),
        (b'"text"', "row 2: the line holds no JSON object"),
        (b'{"prompt": "\xff"}', "row 2: the line is not JSON"),
    ],
)
def test_broken_lines(tmp_path: Path, line: bytes, message: str) -> None:
    """A broken line is named by file and number, with two ways to mend it."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    with pytest.raises(DataError) as caught:
        list(rows([str(path)]))
    assert str(caught.value).startswith(f"{path}, {message}")
    assert "mend it or set it apart with --quarantine FILE" in str(caught.value)


def _damaged(kind: str) -> bytes:
    whole = gzip.compress(LINES.encode())
    if kind == "cut":
        return whole[: len(whole) // 2]
    if kind == "flipped":
        return whole[:40] + bytes(255 - byte for byte in whole[40:60]) + whole[60:]
    return b"no file of this kind"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl.gz", "cut"), ("a.jsonl.gz", "flipped"), ("a.jsonl.gz", "other"), ("a.parquet", "other")],
)
def test_damaged_files(tmp_path: Path, name: str, kind: str) -> None:
    """A file that is cut or damaged is a data error that names it."""
    path = tmp_path / name
    path.write_bytes(_damaged(kind))
    with pytest.raises(DataError, match=f"{name} cannot be read: "):
        list(rows([str(path)]))


def test_csv_row_of_the_wrong_width(tmp_path: Path) -> None:
    """A row with more cells than the head, which no column name belongs to, is refused by its number."""
    path = tmp_path / "data.csv"
    path.write_text("prompt,completion\nWhy?,Because.\nWhy?,Because,of that\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.csv.*row 2"):
        list(rows([str(path)]))
