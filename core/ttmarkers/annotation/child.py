"""The process in which a worker runs: it does what its parent asks for, and says before what it is about to do.

The parent (`ttmarkers.annotation.local_engine`) sends the job and then one task after another: a shard, which is
annotated and written, or a chunk, whose outcome is sent back. Before each call of an extractor a `Call` is sent, after
it a `Returned`, so that the parent knows what hangs or crashed.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.shards import Shard
from ttmarkers.annotation.worker import Worker
from ttmarkers.errors import PluginError, TtmError

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT_SECONDS = 0.5  # between two looks whether the parent is still there


@dataclass(frozen=True)
class Ready:
    """The worker is made."""


@dataclass(frozen=True)
class Call:
    """An extractor, as messages name it, is called with so many rows, for the first time in this process or not."""

    extractor: str
    rows: int
    first: bool


@dataclass(frozen=True)
class Returned:
    """The extractor that was called last has returned."""


def command(fd: int) -> list[str]:
    """Return the command line of a child that talks over a file descriptor and imports what this process can."""
    paths = [str(path) for path in sys.path]
    code = (
        f"import sys; sys.path[:] = {paths!r}; from ttmarkers.annotation.child import main; main({fd}, {os.getpid()})"
    )
    return [sys.executable, "-c", code]


def main(fd: int, parent: int) -> None:
    """Work for a parent until it closes the connection or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its children
    os.set_inheritable(fd, False)
    _redirect_prints()
    _end_with(parent)
    connection = Connection(fd)
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _redirect_prints() -> None:
    """Lead to standard error what extractors and their libraries print: standard output is the parent's."""
    sys.stdout = sys.stderr
    with suppress(OSError):  # one of the two may be closed
        os.dup2(2, 1)


def _serve(connection: Connection[Any, Any]) -> None:
    called: set[str] = set()

    @contextmanager
    def watch(name: str, rows: int) -> Iterator[None]:
        connection.send(Call(name, rows, name not in called))
        called.add(name)
        try:
            yield
        except Exception:
            connection.send(Returned())
            raise
        connection.send(Returned())  # not after SystemExit, which ends the process in the middle of the call

    job = connection.recv_bytes()
    try:
        worker = Worker(pickle.loads(job), watch)
    except Exception as error:
        connection.send(portable(error, "the extractors could not be made"))
        return
    connection.send(Ready())
    while True:
        task = connection.recv()
        try:
            answer: Any = worker.run(task) if isinstance(task, Shard) else worker.annotate(task)
        except Exception as error:
            answer = portable(error, "a worker failed")
        connection.send(answer)


def portable(error: Exception, what: str) -> Exception:
    """Return an error that can be sent to another process, with its traceback as a note for ``--debug``."""
    trace = "".join(traceback.format_exception(error))
    if not isinstance(error, TtmError | OSError):
        error = PluginError(f"{what} ({type(error).__name__}: {error}): see --debug")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error class of a plugin may do anything
        error = PluginError(f"{what} ({type(error).__name__}: {error})")
    error.add_note(trace)
    return error


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also where native code lets no thread run
    threading.Thread(target=watch, daemon=True).start()
