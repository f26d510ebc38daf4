"""The command line, run in this process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and the code that it exited with."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what stands on standard output as JSON."""
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        """Return what stands on standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def ttm(*words: object, stdin: str = "") -> Outcome:
    """Run the command line in this process.

    Args:
        words: of the command, without ``ttm``; paths and numbers are written as texts.
        stdin: what stands on standard input.

    Example:
        >>> ttm("markers", "show", "lang").code
        0
    """
    from ttmarkers.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch("sys.stdin", io.StringIO(stdin)):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code
    if not isinstance(code, int):
        raise TypeError(f"the command line exits with {code!r}, which is no number")
    return Outcome(code, out.getvalue(), err.getvalue())
