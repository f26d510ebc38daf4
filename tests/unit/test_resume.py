"""Annotation survives kill: with --resume the output has the bytes of an undisturbed run, whatever the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from support import TTM, distribution, environment, greetings, read_rows, survivors, ttm_process, write_rows
from ttmarkers.annotation.run import SHARD_ROWS

if TYPE_CHECKING:
    from pathlib import Path

SLOW = '''
    """A plugin whose extractor takes a while for each shard."""
    import os, pathlib, time
    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.hookspecs import hookimpl
    from ttmarkers.records import Found


    class Slow:
        def extract(self, batch):
            if "SLOW_PIDS" in os.environ:
                pathlib.Path(os.environ["SLOW_PIDS"], str(os.getpid())).touch()
            time.sleep(float(os.environ["SLOW_SECONDS"]))
            return [{"signs": Found(len(subject.example.completion))} for subject in batch]


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("signs", "Signs of the completion.", "int", minimum=0)


    @hookimpl
    def ttm_extractors():
        yield ExtractorComponent("slow", "Counts signs, slowly.", "ttmarkers_slow:Slow", markers=("signs",))
'''
SHARDS = 5


@pytest.fixture
def source(tmp_path: Path, site: Path) -> Path:
    """Rows of several shards, some of them bad, and the slow plugin."""
    distribution(site, "ttmarkers-slow", {"ttmarkers_slow": SLOW})
    rows = greetings(SHARD_ROWS * (SHARDS - 1) + 7)
    for row in rows[::97]:
        row["completion"] = ""
    return write_rows(tmp_path / "rows.jsonl", rows)


def _words(source: Path, output: Path, *more: str) -> list[str | Path]:
    bad = output.with_suffix(".bad")
    return ["annotate", source, "-o", output, "--markers", "signs,length_paragraphs", "--quarantine", bad, *more]


def _kill_in_the_middle(source: Path, output: Path, site: Path, *more: str) -> list[str]:
    """Start a run, kill it once two shards are done, and return the names of the finished shards."""
    process = subprocess.Popen(
        [TTM, *_words(source, output, *more)],
        env=environment(site, SLOW_SECONDS="0.4"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    parts = output.with_name(output.name + ".parts")
    try:
        deadline = time.monotonic() + 60
        while len(list(parts.glob("*.done"))) < 2:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline, "no shard was finished in a minute"
            assert not output.exists()
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    return sorted(path.name for path in parts.glob("*.done"))


@pytest.mark.parametrize(("killed", "resumed"), [("1", "1"), ("2", "1"), ("1", "2")])
def test_kill_and_resume(tmp_path: Path, site: Path, source: Path, killed: str, resumed: str) -> None:
    """After kill -9 nothing stands under the output's name; resumed, its bytes are those of an undisturbed run."""
    reference, output = tmp_path / "reference.jsonl", tmp_path / "out.jsonl"
    whole = ttm_process(*_words(source, reference), site=site, SLOW_SECONDS="0")
    assert whole.code == 0, whole.err
    done = _kill_in_the_middle(source, output, site, "--workers", killed)
    assert 2 <= len(done) < SHARDS
    assert not output.exists()
    assert not output.with_suffix(".bad").exists()
    refused = ttm_process(*_words(source, output), site=site, SLOW_SECONDS="0")
    assert refused.code == 2
    assert "holds an interrupted run: go on with --resume" in refused.err
    end = ttm_process(*_words(source, output, "--resume", "--workers", resumed), site=site, SLOW_SECONDS="0")
    assert end.code == 0, end.err
    assert output.read_bytes() == reference.read_bytes()
    assert output.with_suffix(".bad").read_bytes() == reference.with_suffix(".bad").read_bytes()
    assert len(read_rows(output)) + len(read_rows(output.with_suffix(".bad"))) == SHARD_ROWS * (SHARDS - 1) + 7
    assert not output.with_name("out.jsonl.parts").exists()


def test_resumed_run_skips_what_is_done(tmp_path: Path, site: Path, source: Path) -> None:
    """Finished shards are not annotated again: their files are taken as they are."""
    output = tmp_path / "out.jsonl"
    done = _kill_in_the_middle(source, output, site)
    marked = tmp_path / "out.jsonl.parts" / done[0].replace(".done", ".rows")
    marked.write_bytes(marked.read_bytes().replace(b"friend 1.", b"enemy 1."))
    assert ttm_process(*_words(source, output, "--resume"), site=site, SLOW_SECONDS="0").code == 0
    assert b"enemy 1." in output.read_bytes()


def test_resume_of_another_run_is_refused(tmp_path: Path, site: Path, source: Path) -> None:
    """Shards of other markers, another limit or another input are not mixed: what differs is named."""
    output = tmp_path / "out.jsonl"
    _kill_in_the_middle(source, output, site)
    base = ["annotate", source, "-o", output, "--quarantine", tmp_path / "out.bad", "--resume"]
    both = ["--markers", "signs,length_paragraphs"]
    for words, differs in ((["--markers", "signs"], "markers"), ([*both, "--limit", "9"], "limit")):
        other = ttm_process(*base, *words, site=site, SLOW_SECONDS="0")
        assert other.code == 2
        assert f"was made with other {differs}: remove it to start anew without --resume" in other.err
    with source.open("a", encoding="utf-8") as stream:
        stream.write("\n")
    other = ttm_process(*base, *both, site=site, SLOW_SECONDS="0")
    assert "was made with other input: " in other.err
    assert not output.exists()


def test_resume_without_an_earlier_run(tmp_path: Path, site: Path, source: Path) -> None:
    """A script may always give --resume: without an earlier run it starts from nothing."""
    done = ttm_process(*_words(source, tmp_path / "out.jsonl", "--resume"), site=site, SLOW_SECONDS="0")
    assert done.code == 0
    assert (tmp_path / "out.jsonl").exists()


def test_workers_end_with_a_killed_run(tmp_path: Path, site: Path, source: Path) -> None:
    """Where the command alone is killed, its workers do not stay behind."""
    pids = tmp_path / "pids"
    pids.mkdir()
    process = subprocess.Popen(
        [TTM, *_words(source, tmp_path / "out.jsonl", "--workers", "2")],
        env=environment(site, SLOW_SECONDS="0.2", SLOW_PIDS=str(pids)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(pids.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    workers = [int(path.name) for path in pids.iterdir()]
    assert workers
    assert not survivors(workers, seconds=10)


def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    """Two processes give the bytes of one, with the built-in extractors over several shards."""
    rows = write_rows(tmp_path / "rows.jsonl", greetings(2 * SHARD_ROWS + 100))
    for workers in ("1", "2"):
        output = tmp_path / f"out-{workers}.jsonl"
        words = ["annotate", rows, "-o", output, "--workers", workers, "--markers", "lang,length_paragraphs"]
        done = ttm_process(*words)
        assert done.code == 0, done.err
    assert (tmp_path / "out-1.jsonl").read_bytes() == (tmp_path / "out-2.jsonl").read_bytes()
    assert {row["markers"]["lang"] for row in read_rows(tmp_path / "out-1.jsonl")} == {"English", "French", "German"}
