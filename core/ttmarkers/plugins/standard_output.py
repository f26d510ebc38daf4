"""Standard output, kept for what ``ttm`` prints: whatever else writes there writes to standard error.

Who reads ``ttm ... --json`` wants one JSON document, whatever plugins and libraries print, in threads and at the end
too. So the file descriptor is moved, which takes in native code and child processes, and ``sys.stdout`` gives each
caller the stream that is right for it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

OWNER = "ttmarkers.cli"
CARRIERS = ("click",)  # they print for others: who called them counts


class SharedStream:
    """Stands in for ``sys.stdout``: the command line's own modules find one stream, all others another."""

    def __init__(self, own: TextIO, others: TextIO) -> None:
        self._own, self._others = own, others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own if _called_by_owner() else self._others, name)


def _called_by_owner() -> bool:
    frame = sys._getframe().f_back
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != __name__ and name.partition(".")[0] not in CARRIERS:
            return name == OWNER or name.startswith(f"{OWNER}.")
        frame = frame.f_back
    return False  # the interpreter, at its end


class StandardOutput:
    """Keeps ``sys.stdout`` for the command line, and gives it back."""

    def __init__(self) -> None:
        self._before: TextIO | None = None
        self._own: TextIO | None = None
        self._descriptor: int | None = None

    def keep(self) -> None:
        """Let nothing but the command line write to standard output from now on."""
        before = sys.stdout
        if before is None or sys.stderr is None or self._before is not None:
            return
        self._before = self._own = before
        self._move(before)
        sys.stdout = SharedStream(self._own, sys.stderr)

    def give_back(self) -> None:
        """Let everybody write to standard output again."""
        if self._before is None or self._own is None:
            return
        self._own.flush()
        if self._descriptor is not None:
            os.dup2(self._descriptor, 1)
            self._own.close()
            self._descriptor = None
        sys.stdout = self._before
        self._before = None

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._before is not None and self._own is not None:
            self._own.flush()

    def end(self) -> None:
        """Write what can be written: after this nothing is."""
        try:
            self.flush()
        except OSError:
            if self._descriptor is not None:  # else the interpreter would complain of it once more
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._descriptor)

    def _move(self, stream: TextIO) -> None:
        """Move the process's own standard output to another descriptor, and standard error into its place."""
        if stream is not sys.__stdout__ or not isinstance(stream, io.TextIOWrapper):
            return  # a test's or a notebook's
        with suppress(OSError):
            stream.flush()
            if stream.fileno() != 1:
                return
            self._descriptor = os.dup(1)
            os.dup2(2, 1)
            encoding = stream.encoding
            self._own = io.TextIOWrapper(
                open(self._descriptor, "wb", closefd=True),  # noqa: PTH123, SIM115 - a descriptor has no path
                # as click does where nobody said what else than ASCII can be read
                encoding="utf-8" if codecs.lookup(encoding).name == "ascii" else encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
