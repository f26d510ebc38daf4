"""Shards run by Ray actors, on one machine or many (``ttm annotate --engine ray``).

Each actor watches a child process as the local engine does, so that a row that hangs or crashes an extractor costs only
itself. The rows travel to the actors; the shards are written into the folder of parts beside the output, which must be
on a file system that all machines share under the same path. The same packages must be installed on all of them. An
actor that is lost with its machine is replaced, and its shard is run again.

The cluster is the one that ``ray.init`` finds: ``RAY_ADDRESS``, or one that runs on this machine; else one is started
here for the time of the run.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.child import portable
from ttmarkers.annotation.engine import LOSSES, LostWorkerError, run_shards
from ttmarkers.annotation.local_engine import LocalRunner
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ttmarkers.annotation.shards import Shard
    from ttmarkers.annotation.worker import AnnotationJob, AnnotationResult


def run_on_ray(job: AnnotationJob, shards: Iterable[Shard]) -> Iterator[tuple[int, AnnotationResult]]:
    """Yield each shard's number and counts as it is done, in any order.

    Args:
        job: what to annotate and how; ``workers`` actors, or as many as the cluster has CPUs.
        shards: read as they are needed.

    Raises:
        ConfigError: if Ray is not installed, no cluster is found, or the machines do not share the output's folder.
        DataError: on the first bad row, without a quarantine; or if a shard's workers are lost again and again.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray needs Ray: pip install 'ttmarkers[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(include_dashboard=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(f"Ray does not start ({error}): see to RAY_ADDRESS and the cluster") from error
    try:
        # the actors' own folder is another one
        job = replace(job, output=job.output.absolute())
        workers = job.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield from run_shards([RayRunner(job) for _ in range(workers)], shards, job.parts)
    finally:
        if ours:
            ray.shutdown()


class Annotator:
    """What runs in an actor. Errors are returned, since Ray would change their class and text."""

    def __init__(self, job: AnnotationJob) -> None:
        self._parts = job.parts
        self._runner = LocalRunner(job)

    def pid(self) -> int:
        """Return the number of the actor's process."""
        return os.getpid()

    def start(self) -> Exception | None:
        """Make the extractors."""
        if not self._parts.is_dir():
            return ConfigError(
                f"{self._parts} is not there on machine {os.uname().nodename}: name an output on a file system that "
                "all machines share"
            )
        try:
            self._runner.start()
        except Exception as error:
            return portable(error, "a worker did not start")
        return None

    def run(self, shard: Shard) -> AnnotationResult | Exception:
        """Annotate a shard."""
        try:
            return self._runner.run(shard)
        except Exception as error:
            return portable(error, "a worker failed")


class RayRunner:
    """Runs shards by an actor, which is replaced when it is lost (a `ttmarkers.annotation.engine.Runner`).

    Args:
        job: what to annotate and how, its output with an absolute path.
    """

    def __init__(self, job: AnnotationJob) -> None:
        self._job = job
        self._actor: Any = None
        self._closed = False
        self._starting = threading.Lock()

    def start(self) -> None:
        """Wait for an actor, as long as the cluster has no CPU for it.

        Raises:
            ConfigError: if the actor cannot be started.
            TtmError: as making the extractors does.
        """
        import ray.exceptions

        for attempt in range(1, LOSSES + 1):
            if self._actor is not None:
                return
            with self._starting:
                if self._closed:
                    raise RuntimeError("the runner is closed")
                # no restarts by Ray: a lost actor's shard may go to another one meanwhile
                self._actor = ray.remote(num_cpus=1, max_restarts=0)(Annotator).remote(self._job)
            try:
                error = ray.get(self._actor.start.remote())
            except ray.exceptions.RayError as lost:
                self._actor = None
                if attempt == LOSSES:
                    raise ConfigError(
                        f"Ray does not start a worker ({_first_line(lost)}): see to the cluster"
                    ) from lost
            else:
                if error is not None:
                    raise error

    def run(self, shard: Shard) -> AnnotationResult:
        """Annotate a shard and write its files.

        Raises:
            DataError: on the first bad row, without a quarantine.
            LostWorkerError: if the actor is lost.
        """
        import ray.exceptions

        try:
            answer: AnnotationResult | Exception = ray.get(self._actor.run.remote(shard))
        except ray.exceptions.RayError as lost:
            self._actor = None
            raise LostWorkerError(_first_line(lost)) from lost
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the actor, and with it its child process."""
        import ray
        import ray.exceptions

        with self._starting:
            self._closed = True
            actor = self._actor
        if actor is not None:
            with suppress(ray.exceptions.RayError, ValueError):
                ray.kill(actor)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
