"""Shards handed to several runners at a time. What a runner is, an engine decides (`local_engine`, `ray_engine`)."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Protocol, cast

from ttmarkers.annotation.worker import AnnotationResult, stored
from ttmarkers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ttmarkers.annotation.shards import Shard

LOSSES = 3
AHEAD = 4  # shards read ahead for each runner


class LostWorkerError(Exception):
    """A runner lost its worker in the middle of a shard, which is to be run again."""


class Runner(Protocol):
    """Runs one shard after another by a worker of its own."""

    def start(self) -> None:
        """See to it that there is a worker; wait until it can work."""
        raise NotImplementedError

    def run(self, shard: Shard) -> AnnotationResult:
        """Annotate a shard and write its files; raises `LostWorkerError` if another worker should try."""
        raise NotImplementedError

    def close(self) -> None:
        """End the worker, whatever it does; called from any thread, once or more."""
        raise NotImplementedError


def run_shards(
    runners: Sequence[Runner], shards: Iterable[Shard], parts: Path
) -> Iterator[tuple[int, AnnotationResult]]:
    """Yield each shard's number and counts as it is done, in any order; shards that are written are not run.

    Args:
        runners: they run side by side, and are closed at the end.
        shards: read as they are needed.
        parts: the folder of finished shards.

    Raises:
        DataError: if a shard lost its worker `LOSSES` times.
        Exception: the first one of a runner, once the others have finished what they were at.
    """
    crew = _Crew(runners)
    try:
        for shard in shards:
            counts = stored(parts, shard)
            if counts:
                yield shard.number, counts
                continue
            crew.submit(shard)
            while crew.running >= AHEAD * len(runners):
                yield crew.wait()
        while crew.running:
            yield crew.wait()
    except Exception:
        crew.finish_started()
        raise
    finally:
        crew.close()


class _Crew:
    """A thread for each runner, a queue of shards before them and one of what they bring after them."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = runners
        self._threads: list[threading.Thread] = []
        self._tasks: Queue[tuple[Shard, int] | None] = Queue()
        self._results: Queue[tuple[int | None, AnnotationResult | Exception]] = Queue()
        self._ending = False
        self.running = 0

    def submit(self, shard: Shard) -> None:
        """Take a shard; a further runner starts if there is one left."""
        self.running += 1
        self._tasks.put((shard, 0))
        if len(self._threads) < len(self._runners):
            runner = self._runners[len(self._threads)]
            self._threads.append(threading.Thread(target=self._serve, args=(runner,), daemon=True))
            self._threads[-1].start()

    def wait(self) -> tuple[int, AnnotationResult]:
        """Wait until a shard is done; raises what a runner raised."""
        number, result = self._take()
        if isinstance(result, Exception):
            raise result
        return cast("int", number), result

    def finish_started(self) -> None:
        """Wait for the shards that run already, and run no others."""
        self._ending = True
        with suppress(Empty):
            while True:
                self._tasks.get_nowait()
                self.running -= 1
        while self.running:
            self._take()

    def close(self) -> None:
        """End all workers and threads."""
        closers = [threading.Thread(target=runner.close) for runner in self._runners]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _take(self) -> tuple[int | None, AnnotationResult | Exception]:
        number, result = self._results.get()
        if number is not None:
            self.running -= 1
        return number, result

    def _serve(self, runner: Runner) -> None:
        number: int | None = None
        try:
            while True:
                number = None
                runner.start()  # before a shard is taken: others go on with it while this one waits for a machine
                task = self._tasks.get()
                if task is None:
                    return
                shard, losses = task
                number = shard.number
                try:
                    self._results.put((number, runner.run(shard)))
                except LostWorkerError as error:
                    if self._ending:
                        raise
                    if losses + 1 == LOSSES:
                        raise DataError(_lost(shard, error)) from error
                    self._tasks.put((shard, losses + 1))
        except Exception as error:
            self._results.put((number, error))


def _lost(shard: Shard, error: LostWorkerError) -> str:
    first, last = shard.chunk.first_row, shard.chunk.first_row + len(shard.chunk.rows) - 1
    return (
        f"{shard.chunk.name}, rows {first} to {last}: {LOSSES} workers were lost in the middle of them ({error}): "
        "look for what ends them, such as a machine without memory"
    )
