"""Rows in, examples out: the accepted files and row forms.

Files: ``.jsonl``, ``.jsonl.gz``, ``.json`` (a list), ``.parquet``, ``.csv``, and ``hf:NAME[:SPLIT]`` for a data set of
the Hub or a folder that ``datasets`` can load. Row forms: ``messages``; ``conversations`` (``from``/``value``);
``prompt`` and ``completion``; ``instruction`` (with ``input`` or ``context``, ``history`` and ``system``) and
``output`` or ``response``.
"""

from __future__ import annotations

import csv
import glob
import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.records import Example, Message, Origin

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ttmarkers.records import Parallel

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet", ".csv")
HUB = "hf:"
CHUNK_BYTES = 8_000_000  # of JSON lines, so that a chunk of long rows is not held in memory at once
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}
FORMS = "messages; conversations; prompt + completion; instruction + output (or response)"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of one source, JSON lines not parsed yet: cheap to hand to another process."""

    name: str
    first_row: int
    rows: Sequence[bytes | Mapping[str, Any]]

    def parse(self) -> Iterator[tuple[Origin, Mapping[str, Any] | DataError]]:
        """Yield each row, or the error that it is. Blank lines are no rows."""
        for offset, raw in enumerate(self.rows):
            origin = Origin(self.name, self.first_row + offset)
            if not isinstance(raw, bytes):
                # csv puts cells that no column name belongs to under None
                surplus = None in raw
                yield origin, DataError(f"{origin}: the row has more cells than the head: mend it") if surplus else raw
            elif raw.strip():
                yield origin, _parse_line(raw, origin)


def _parse_line(raw: bytes, origin: Origin) -> Mapping[str, Any] | DataError:
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return DataError(f"{origin}: the line is not JSON ({error}): mend it or set it apart with --quarantine FILE")
    if not isinstance(row, dict):
        return DataError(f"{origin}: the line holds no JSON object: mend it or set it apart with --quarantine FILE")
    return cast("dict[str, Any]", row)


def expand(inputs: Iterable[str]) -> list[str]:
    """Return the sources that inputs name: files, globs (sorted) and ``hf:`` names, each once.

    Raises:
        ConfigError: if a file is not there, a glob matches nothing or a file's kind is not known.
    """
    names: list[str] = []
    for item in inputs:
        if item.startswith(HUB) or Path(item).is_file():
            found = [item]
        else:
            found = sorted(name for name in glob.glob(item, recursive=True) if Path(name).is_file())  # noqa: PTH207
            if not found:
                raise ConfigError(f"input {item!r}: there is no such file, and no file matches it")
        for name in found:
            if not name.startswith(HUB) and not name.endswith(SUFFIXES):
                raise ConfigError(f"input {name!r}: its kind is not known, use one of {', '.join(SUFFIXES)}")
        names += [name for name in found if name not in names]
    return names


def chunks(name: str, size: int) -> Iterator[Chunk]:
    """Yield a source's rows in chunks of at most ``size``, reading no more than is asked for.

    Raises:
        DataError: if the file itself cannot be read.
    """
    first = 1
    try:
        if name.endswith((".jsonl", ".jsonl.gz")):
            with gzip.open(name, "rb") if name.endswith(".gz") else Path(name).open("rb") as stream:
                yield from _slices(name, iter(cast("io.BufferedReader", stream)), size, first)
        else:
            yield from _slices(name, _rows(name), size, first)
    except (OSError, EOFError, ValueError, csv.Error, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}") from error


def _slices(name: str, rows: Iterator[Any], size: int, first: int) -> Iterator[Chunk]:
    part: list[Any] = []
    taken = 0
    for row in rows:
        part.append(row)
        taken += len(row) if isinstance(row, bytes) else 0
        if len(part) == size or taken >= CHUNK_BYTES:
            yield Chunk(name, first, part)
            first += len(part)
            part, taken = [], 0
    if part:
        yield Chunk(name, first, part)


def _rows(name: str) -> Iterator[Mapping[str, Any]]:
    if name.startswith(HUB):
        return _hub_rows(name)
    if name.endswith(".json"):
        return _json_rows(name)
    return _csv_rows(name) if name.endswith(".csv") else _parquet_rows(name)


def _json_rows(name: str) -> Iterator[Mapping[str, Any]]:
    found = orjson.loads(Path(name).read_bytes())
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise ValueError("it holds no list of objects")
    yield from found


def _csv_rows(name: str) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(2**31 - 1)
    with Path(name).open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.DictReader(stream)


def _parquet_rows(name: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(name) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def _hub_rows(name: str) -> Iterator[Mapping[str, Any]]:
    import datasets

    path, _, split = name.removeprefix(HUB).partition(":")
    try:
        rows = datasets.load_dataset(path, split=split or "train", streaming=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"input {name!r}: datasets cannot load {path!r}: {reason}") from error
    yield from rows


def rows(inputs: Iterable[str]) -> Iterator[tuple[Origin, Mapping[str, Any]]]:
    """Yield every row of every input; a row that cannot be parsed raises its `DataError`."""
    for name in expand(inputs):
        for chunk in chunks(name, 1000):
            for origin, row in chunk.parse():
                if isinstance(row, DataError):
                    raise row
                yield origin, row


def to_example(row: Mapping[str, Any], origin: Origin, columns: Mapping[str, str] | None = None) -> Example:
    """Turn a row of any accepted form into an example.

    Args:
        row: as read.
        origin: where it stands, for messages.
        columns: our name of a column -> the file's.

    Raises:
        DataError: if the form is not known, a mapped column is missing, or the completion is empty.
    """
    named = dict(row)
    for ours, theirs in (columns or {}).items():
        if theirs not in row:
            hint = did_you_mean(theirs, map(str, row))
            raise DataError(f"{origin}: there is no column {theirs!r}, which data.columns.{ours} names: {hint}")
        named[ours] = row[theirs]
    turns = _turns(named, origin)
    while turns and turns[-1].role != "assistant":
        turns.pop()  # a conversation that ends with a question: its last answer is learned
    if not turns or not turns[-1].content.strip():
        raise DataError(f"{origin}: the completion is empty: mend it or set it apart with --quarantine FILE")
    *prompt, completion = turns
    if not any(turn.role == "user" for turn in prompt):
        raise DataError(f"{origin}: no user turn stands before the completion")
    identity = named.get("id")
    return Example(
        str(identity) if identity not in (None, "") else stable_id(turns),
        tuple(prompt),
        completion.content,
        row,
        origin,
    )


def unfold(row: Mapping[str, Any], origin: Origin, parallel: Parallel) -> Iterator[Mapping[str, Any]]:
    """Yield one translation example for each pair of languages of a row of parallel sentences.

    Raises:
        DataError: if a language has no text in the row.
    """
    languages = parallel.languages
    for column in languages:
        if not isinstance(row.get(column), str):
            hint = did_you_mean(column, map(str, row))
            raise DataError(f"{origin}: there is no text in column {column!r}, which data.parallel names: {hint}")
    rest = {key: value for key, value in row.items() if key not in languages and key != "id"}
    for source in parallel.sources:
        for target, name in languages.items():
            if source != target:
                prompt = f"Translate from {languages[source]} to {name}:\n\n{row[source]}"
                yield {
                    "prompt": prompt,
                    "completion": row[target],
                    "source_lang": source,
                    "target_lang": target,
                    **rest,
                }


def to_prompt(row: Mapping[str, Any], origin: Origin) -> tuple[Message, ...]:
    """Return what a row asks, whatever form it has and whether or not it holds an answer.

    Raises:
        DataError: if there is no prompt.
    """
    if row.get("messages") or row.get("conversations"):
        turns = _turns(row, origin)
    elif isinstance(row.get("prompt"), list):
        turns = _messages(row["prompt"], "role", "content", origin)
    elif row.get("prompt") is not None:
        turns = [Message("user", _text(row["prompt"], "prompt", origin))]
    elif row.get("instruction") is not None:
        turns = _alpaca({**row, "output": ""}, origin)
    elif isinstance(row.get("turns"), list) and len(row["turns"]) == 1:  # as Arena-Hard has it
        (said,) = row["turns"]
        turns = [Message("user", _text(said.get("content") if isinstance(said, dict) else said, "turns", origin))]
    else:
        raise DataError(f"{origin}: there is no prompt: use a column prompt, instruction or messages")
    while turns and turns[-1].role != "user":
        turns.pop()
    if not turns or not turns[-1].content.strip():
        raise DataError(f"{origin}: the prompt is empty")
    return tuple(turns)


def stable_id(turns: Iterable[Message]) -> str:
    """Return 16 hexadecimal digits that depend on the turns alone."""
    digest = hashlib.blake2b(digest_size=8)
    for turn in turns:
        digest.update(f"{turn.role}\x1f{turn.content}\x1e".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _turns(row: Mapping[str, Any], origin: Origin) -> list[Message]:
    if row.get("messages"):
        return _messages(row["messages"], "role", "content", origin)
    if row.get("conversations"):
        return _messages(row["conversations"], "from", "value", origin)
    if "prompt" in row and "completion" in row:
        return _prompt_completion(row, origin)
    if "instruction" in row and ("output" in row or "response" in row):
        return _alpaca(row, origin)
    raise DataError(
        f"{origin}: the row's form is not known (columns {', '.join(map(str, row)) or 'none'}): "
        f"use {FORMS}, or map the columns in the config under data.columns"
    )


def _messages(turns: Any, role_key: str, text_key: str, origin: Origin) -> list[Message]:
    messages = []
    for turn in turns if isinstance(turns, list) else [None]:
        fields: Mapping[str, Any] = turn if isinstance(turn, dict) else {}
        role, text = fields.get(role_key), fields.get(text_key)
        if role not in ROLES or not isinstance(text, str):
            known = ", ".join(sorted(ROLES))
            raise DataError(f"{origin}: a turn needs {role_key!r} (one of {known}) and a text {text_key!r}")
        messages.append(Message(ROLES[role], text))
    return messages


def _prompt_completion(row: Mapping[str, Any], origin: Origin) -> list[Message]:
    turns = []
    for column, role in (("prompt", "user"), ("completion", "assistant")):
        value = row[column]
        if isinstance(value, list):  # the conversational form of TRL
            turns += _messages(value, "role", "content", origin)
        else:
            turns.append(Message(role, _text(value, column, origin)))
    return turns


def _alpaca(row: Mapping[str, Any], origin: Origin) -> list[Message]:
    turns = [Message("system", str(row["system"]))] if row.get("system") else []
    for pair in row.get("history") or []:
        if not (isinstance(pair, list | tuple) and len(pair) == 2):
            raise DataError(f"{origin}: history holds pairs of question and answer")
        turns += [Message("user", str(pair[0])), Message("assistant", str(pair[1]))]
    instruction = _text(row["instruction"], "instruction", origin)
    extra = row.get("input") or row.get("context")
    if extra:
        instruction = f"{instruction}\n\n{extra}"
    column = "output" if "output" in row else "response"
    return [*turns, Message("user", instruction), Message("assistant", _text(row[column], column, origin))]


def _text(value: Any, column: str, origin: Origin) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{origin}: column {column!r} holds {type(value).__name__}, not text")
    return value
