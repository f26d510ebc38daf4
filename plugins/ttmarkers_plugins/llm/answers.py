"""Answers on disk, so that nothing is asked twice, and what was spent on them.

One SQLite file, shared by all processes of a run and by later runs. A request is claimed before it is sent; another
process that wants the same answer waits for it, unless the one that claimed it is gone.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (run TEXT PRIMARY KEY, cost REAL NOT NULL) WITHOUT ROWID;
"""
_AT_ONCE = 500  # keys in one query; SQLite's limit is higher
WAIT = 60.0  # seconds for the file, when others are at it
LEASE = 3600.0  # seconds after which a claim of another machine's process counts as given up


def default_path() -> Path:
    """Return where answers are kept: ``$XDG_CACHE_HOME/ttmarkers/answers.sqlite``, by default in ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ttmarkers" / "answers.sqlite"


class Answers:
    """A store of answers by key.

    Args:
        path: the file; made with its folder if it is not there.
        again: how a run that the file stops is gone on with, for messages.

    Raises:
        ConfigError: if the file cannot be opened or is no database.
    """

    def __init__(self, path: Path, again: str = "go on with --resume") -> None:
        self.path = path
        self._again = again
        self._owner = _name(os.getpid())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"the cache {path} cannot be used: {error}: name another with option cache") from error

    def _prepare(self) -> None:
        until = time.monotonic() + WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")  # only a power cut may lose the last answers
                self._db.executescript(_TABLES)
                return
            except sqlite3.OperationalError as error:
                # where two workers make the file at once, SQLite itself does not wait
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the answers that are known, by key."""
        found: dict[str, Any] = {}
        with self._safely():
            for part in _parts(list(keys)):
                marks = ",".join("?" * len(part))
                with closing(self._db.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", part)) as rows:
                    found.update((key, orjson.loads(answer)) for key, answer in rows)
        return found

    def put(self, key: str, answer: Any) -> None:
        """Keep an answer, and give up the claim to it."""
        with self._change():
            self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, orjson.dumps(answer)))
            self._db.execute("DELETE FROM claims WHERE key = ?", (key,))

    def claim(self, key: str) -> bool:
        """Tell whether this process is to ask: nobody has the answer, and no living process has claimed it."""
        now = time.time()
        with self._change():
            if self._db.execute("SELECT 1 FROM answers WHERE key = ?", (key,)).fetchone():
                return False
            row = self._db.execute("SELECT owner, until FROM claims WHERE key = ?", (key,)).fetchone()
            if row and row[0] != self._owner and row[1] > now and _lives(row[0]):
                return False
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, self._owner, now + LEASE))
            return True

    def release(self, key: str) -> None:
        """Give up a claim without an answer."""
        with self._change():
            self._db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))

    def spend(self, run: str, cost: float, limit: float | None) -> bool:
        """Add a cost to what a run has spent, unless that goes over the limit; tell whether it was added."""
        with self._change():
            spent = self.spent(run)
            if limit is not None and cost > 0 and spent + cost > limit:
                return False
            self._db.execute("INSERT OR REPLACE INTO spent VALUES (?, ?)", (run, spent + cost))
            return True

    def spent(self, run: str) -> float:
        """Return what a run has spent so far."""
        with self._safely():
            row = self._db.execute("SELECT cost FROM spent WHERE run = ?", (run,)).fetchone()
        return float(row[0]) if row else 0.0

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Change the file in one step."""
        with self._safely(), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _safely(self) -> Iterator[None]:
        """Stop the run when the file fails: an answer that cannot be kept must not be paid for, row after row."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoppedError(
                f"the cache {self.path} fails ({error}): mend it or name another with option cache, and {self._again}"
            ) from error


def _parts(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def _name(process: int) -> str:
    """Return a process's number and when it began, for numbers are used again, in containers above all."""
    try:
        # what stands before the last bracket may hold anything: it is the name of the program
        began = (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except OSError:
        began = ""  # no such system, or no such process
    return f"{process} {began}"


def _lives(owner: str) -> bool:
    process = int(owner.partition(" ")[0])
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _name(process) == owner
