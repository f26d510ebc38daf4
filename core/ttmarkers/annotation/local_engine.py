"""Shards run in child processes that are watched from outside: a row that hangs or crashes costs only itself.

One call of an extractor on n rows may take ``BATCH_SECONDS + n * data.row_seconds``. Where it takes longer, or the
process dies, the child is killed and the shard is run again row by row by a new one. There a call may take
``ROW_SECONDS + n * data.row_seconds``, but the batch's time where it is an extractor's first in its process, for it may
load a model. The row at which the child dies again is bad, and the next child goes on behind it.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import threading
import time
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, cast

from ttmarkers.annotation.child import Call, Ready, Returned, command
from ttmarkers.annotation.worker import AnnotationResult, Outcome, store
from ttmarkers.datasets import Chunk
from ttmarkers.errors import ConfigError, DataError, PluginError

if TYPE_CHECKING:
    from ttmarkers.annotation.shards import Shard
    from ttmarkers.annotation.worker import AnnotationJob

BATCH_SECONDS = 60.0
ROW_SECONDS = 10.0
END_SECONDS = 5.0  # for an idle child to end by itself


class LocalRunner:
    """A `ttmarkers.annotation.engine.Runner` of shards in a child process, replaced when a row hangs or crashes it.

    Args:
        job: what to annotate and how.

    Raises:
        ConfigError: if the job cannot be sent to another process.
    """

    def __init__(self, job: AnnotationJob) -> None:
        self._job = job
        self._child: _Child | None = None
        self._closed = False
        self._starting = threading.Lock()
        self._busy = threading.Lock()
        try:
            self._pickled = pickle.dumps(job)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the extractors cannot be sent to another process ({error}): give their factories as "
                "'module:attribute', or annotate with workers=0"
            ) from error

    def start(self) -> None:
        """Start a child if there is none, and wait until its extractors are made.

        Raises:
            TtmError: as making the extractors does.
            PluginError: if making the extractors ends the process.
        """
        if self._child is None:
            with self._busy:
                self._start()

    def run(self, shard: Shard) -> AnnotationResult:
        """Annotate a shard and write its files.

        Raises:
            DataError: on the first bad row, without a quarantine.
        """
        with self._busy:
            try:
                return cast("AnnotationResult", self._ask(shard, BATCH_SECONDS))
            except _Lost:
                return self._row_by_row(shard)

    def close(self) -> None:
        """End the child: at once if it is at work, else as it likes to."""
        with self._starting:
            self._closed = True
            child = self._child
        if child is None:
            return
        if not self._busy.acquire(blocking=False):
            child.process.kill()
            self._busy.acquire()  # the thread that listens to the child hears of its end
        child.end()
        self._busy.release()

    def _start(self) -> _Child:
        if self._child is not None and self._child.process.poll() is not None:
            self._drop()
        with self._starting:
            if self._closed:
                raise RuntimeError("the runner is closed")
            child = self._child or _Child(self._pickled)
            fresh = child is not self._child
            self._child = child
        if fresh:
            try:
                answer = child.receive(None)
            except _Lost as lost:
                self._drop()
                raise PluginError(
                    f"a worker ended while it made its extractors ({lost.how}): find out which with --markers, and "
                    "leave it out under markers.extractors"
                ) from lost
            if not isinstance(answer, Ready):
                self._drop()
                raise answer
        return child

    def _drop(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None

    def _ask(self, task: Shard | Chunk, seconds: float) -> AnnotationResult | Outcome:
        """Give the child a task and wait for its answer; raises `_Lost` if it dies or has to be killed."""
        child = self._start()
        call: Call | None = None
        allowed: float | None = None
        try:
            child.send(task)
            while True:
                answer = child.receive(allowed)
                if isinstance(answer, Call):
                    call = answer
                    allowed = (BATCH_SECONDS if call.first else seconds) + call.rows * self._job.row_seconds
                elif isinstance(answer, Returned):
                    call = allowed = None
                else:
                    break
        except _Lost as lost:
            lost.call = call
            self._drop()
            raise
        if isinstance(answer, Exception):
            raise answer
        return cast("AnnotationResult | Outcome", answer)

    def _row_by_row(self, shard: Shard) -> AnnotationResult:
        outcome = Outcome()
        for offset, row in enumerate(shard.chunk.rows):
            chunk = Chunk(shard.chunk.name, shard.chunk.first_row + offset, [row])
            try:
                outcome.add(cast("Outcome", self._ask(chunk, ROW_SECONDS)))
            except _Lost as lost:
                outcome.add(self._culprit(chunk, lost))
        return store(self._job.parts, shard, outcome)

    def _culprit(self, chunk: Chunk, lost: _Lost) -> Outcome:
        """Return the outcome of a row that a child was lost at, or raise its reason if there is no quarantine."""
        if self._closed:
            raise RuntimeError("the runner is closed") from lost
        outcome = Outcome()
        for origin, row in chunk.parse():
            reason = DataError(f"{origin}: {lost}, or set the row apart with --quarantine FILE")
            if self._job.quarantine is None:
                raise reason from lost
            outcome.reject(chunk, origin, row, reason)
        return outcome


class _Lost(Exception):  # noqa: N818 - it never leaves this module
    """A child died (``how``), or took longer than it was ``allowed``; ``call`` is what it was at."""

    def __init__(self, how: str, allowed: float | None = None) -> None:
        super().__init__(how)
        self.how, self.allowed = how, allowed
        self.call: Call | None = None

    def __str__(self) -> str:
        what = f"extractor {self.call.extractor}" if self.call else "the row"
        if self.allowed is not None:
            return f"{what} took more than {self.allowed:g} s: raise data.row_seconds"
        return f"{what} ended its process ({self.how}): mend the extractor"


class _Child:
    """A child process and the connection to it."""

    def __init__(self, job: bytes) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                command(theirs.fileno()), pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL
            )
        # a child that is dead already is found out when it is listened to
        self.send(job)

    def send(self, message: Any) -> None:
        """Send a message, or the pickled job; a dead child gets nothing."""
        try:
            if isinstance(message, bytes):
                self._connection.send_bytes(message)
            else:
                self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self, allowed: float | None) -> Any:
        """Wait for a message for so many seconds at most; raises `_Lost`."""
        end = None if allowed is None else time.monotonic() + allowed
        while True:
            left = 1.0 if end is None else min(1.0, end - time.monotonic())
            # the end of the process is looked for too, since what it has started may hold the connection open
            dead = self.process.poll() is not None
            try:
                if self._connection.poll(0 if dead else max(left, 0)):
                    return self._connection.recv()
            except (EOFError, ConnectionResetError) as error:
                raise _Lost(self._how()) from error
            if dead:
                raise _Lost(self._how())
            if left <= 0:
                raise _Lost("killed", allowed)

    def kill(self) -> None:
        """End the process now."""
        self.process.kill()
        self.process.wait()
        self._connection.close()

    def end(self) -> None:
        """Let an idle process end by itself."""
        self._connection.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def _how(self) -> str:
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its connection"
        if code >= 0:
            return f"exit code {code}"
        names = {item.value: item.name for item in signal.Signals}
        return f"signal {-code}, {names[-code]}" if -code in names else f"signal {-code}"
