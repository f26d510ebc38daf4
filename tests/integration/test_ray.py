"""Annotation on a real Ray cluster of this machine: the local engine's bytes, also where an actor is killed."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import faulty
from faulty import FAULTY, WORDS
from support import environment, greetings, plan_of, read_rows, ttm, write_rows
from ttmarkers.annotation.ray_engine import RayRunner
from ttmarkers.annotation.run import SHARD_ROWS, annotate
from ttmarkers.annotation.worker import AnnotationJob
from ttmarkers.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ttmarkers.annotation.shards import Shard
    from ttmarkers.annotation.worker import AnnotationResult

SHARDS = 6
CRASHING = 2 * SHARD_ROWS + 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of two CPUs, whose actors can import what the tests can."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment(Path(faulty.__file__).parent)["PYTHONPATH"])
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def job(tmp_path: Path) -> AnnotationJob:
    """A job over several shards, with a bad row and one that crashes."""
    rows = greetings(SHARD_ROWS * (SHARDS - 1) + 7)
    rows[9]["completion"], rows[CRASHING - 1]["completion"] = "", "leave"
    source = write_rows(tmp_path / "rows.jsonl", rows)
    plan = plan_of(WORDS, [FAULTY])
    return AnnotationJob(
        (str(source),), tmp_path / "ray.jsonl", plan, engine="ray", quarantine=tmp_path / "ray.bad", workers=2
    )


def same_as_local(job: AnnotationJob) -> None:
    """Check that the local engine writes the same bytes."""
    folder = job.output.parent
    local = replace(job, engine="local", output=folder / "local.jsonl", quarantine=folder / "local.bad")
    annotate(local)
    for suffix in (".jsonl", ".bad"):
        assert (folder / f"ray{suffix}").read_bytes() == (folder / f"local{suffix}").read_bytes()


@pytest.mark.usefixtures("cluster")
def test_killed_actor(job: AnnotationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor that is killed at a shard is replaced, and the bytes are the local engine's; so are the bad rows."""
    import ray

    killed: list[int] = []
    run = RayRunner.run

    def kill_first(self: RayRunner, shard: Shard) -> AnnotationResult:
        if shard.number == 3 and not killed:
            killed.append(ray.get(self._actor.pid.remote()))
            os.kill(killed[0], signal.SIGKILL)
        return run(self, shard)

    monkeypatch.setattr(RayRunner, "run", kill_first)
    result = annotate(job)
    assert killed
    assert result.bad == 2
    assert [entry["row"] for entry in read_rows(job.output.with_suffix(".bad"))] == [10, CRASHING]
    same_as_local(job)


@pytest.mark.usefixtures("cluster")
def test_shard_that_loses_every_actor(job: AnnotationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard whose actors are killed again and again ends the run with its file and rows; a resumed run goes on."""
    import ray

    run = RayRunner.run
    killed: list[int] = []

    def kill(self: RayRunner, shard: Shard) -> AnnotationResult:
        if shard.number == SHARDS - 1:
            killed.append(ray.get(self._actor.pid.remote()))
            os.kill(killed[-1], signal.SIGKILL)
        return run(self, shard)

    first, last = SHARD_ROWS * (SHARDS - 1) + 1, SHARD_ROWS * (SHARDS - 1) + 7
    with monkeypatch.context() as patch:
        patch.setattr(RayRunner, "run", kill)
        with pytest.raises(DataError, match=rf"rows\.jsonl, rows {first} to {last}: 3 workers were lost in the middle"):
            annotate(job)
    assert len(set(killed)) == 3
    assert not job.output.exists()
    assert len(list(job.parts.glob("*.done"))) == SHARDS - 1
    annotate(replace(job, resume=True, workers=0))
    same_as_local(job)


@pytest.mark.usefixtures("cluster")
def test_errors_keep_their_kind(job: AnnotationJob) -> None:
    """What an actor raises comes out as it does from the local engine: a bad row, an extractor that is not made."""
    with pytest.raises(DataError, match=r"rows\.jsonl, row 10: the completion is empty"):
        annotate(replace(job, quarantine=None, limit=SHARD_ROWS))
    plan = plan_of(WORDS, [FAULTY], {"options": {"faulty": {"start": "config"}}})
    with pytest.raises(ConfigError, match=r"^the model is not there: name another"):
        annotate(replace(job, plan=plan))


@pytest.mark.usefixtures("cluster")
def test_command(tmp_path: Path) -> None:
    """The command takes all CPUs of the cluster, and writes the local engine's bytes, built-in extractors included."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(30))
    for engine in ("ray", "local"):
        done = ttm("annotate", source, "-o", tmp_path / f"{engine}.jsonl", "--engine", engine, "--markers", "lang")
        assert done.code == 0, done.err
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


def test_without_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray the command says what to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    source = write_rows(tmp_path / "rows.jsonl", greetings(3))
    done = ttm("annotate", source, "-o", tmp_path / "out.jsonl", "--engine", "ray", "--markers", "length_paragraphs")
    assert (done.code, done.err) == (2, "ttm: --engine ray needs Ray: pip install 'ttmarkers[ray]'\n")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
