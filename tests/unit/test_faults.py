"""Rows that crash, end or hang the process of an extractor: they are set apart, and the others go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import faulty
from faulty import FAULTY, WORDS
from support import TTM, distribution, environment, greetings, plan_of, read_rows, survivors, ttm_process, write_rows
from ttmarkers.annotation import local_engine
from ttmarkers.annotation.run import SHARD_ROWS, annotate
from ttmarkers.annotation.worker import AnnotationJob
from ttmarkers.components import ExtractorComponent
from ttmarkers.errors import ConfigError, DataError, PluginError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PLUGIN = '''
    """A plugin whose extractor has the faults of the tests."""
    import dataclasses, faulty
    from ttmarkers.components import MarkerType
    from ttmarkers.hookspecs import hookimpl


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("signs", "Words of the completion.", "int", minimum=0)


    class Signs(faulty.Faulty):
        def extract(self, batch):
            return [{"signs": found["words"]} for found in super().extract(batch)]


    @hookimpl
    def ttm_extractors():
        yield dataclasses.replace(faulty.FAULTY, factory="ttmarkers_faulty:Signs", markers=("signs",))
'''


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of extractors may take a second or two."""
    monkeypatch.setattr(local_engine, "BATCH_SECONDS", 2.0)
    monkeypatch.setattr(local_engine, "ROW_SECONDS", 1.0)


def job(folder: Path, faults: Mapping[int, str], rows: int = 12, *, name: str = "out", **options: Any) -> AnnotationJob:
    """Return a job over rows of which some, by their number from 1, have a fault."""
    content = greetings(rows)
    for number, fault in faults.items():
        content[number - 1]["completion"] = fault
    source = write_rows(folder / "rows.jsonl", content)
    settings = {"options": {"faulty": options.pop("faulty", {})}}
    defaults = {"workers": 1, "row_seconds": 0.001, "quarantine": folder / f"{name}.bad"}
    plan = plan_of(WORDS, [FAULTY], settings)
    return AnnotationJob((str(source),), folder / f"{name}.jsonl", plan, **{**defaults, **options})


def sound(folder: Path, faults: Mapping[int, str], rows: int = 12) -> bytes:
    """Return what comes out of the other rows in this very process."""
    (folder / "sound").mkdir(exist_ok=True)
    whole = job(folder / "sound", {}, rows, workers=0)
    annotate(whole)
    lines = whole.output.read_bytes().splitlines(keepends=True)
    return b"".join(line for number, line in enumerate(lines, 1) if number not in faults)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("workers", [1, 2])
def test_crashes_are_set_apart(tmp_path: Path, workers: int) -> None:
    """Several rows of several shards end their process, each in its way: each gets its reason, in order of rows."""
    faults = {1: "segfault", 4: "leave", 5: "stop", SHARD_ROWS + 3: "segfault"}
    rows = SHARD_ROWS + 10
    crashing = job(tmp_path, faults, rows, workers=workers)
    result = annotate(crashing)
    assert (result.rows, result.bad, result.found) == (rows - 4, 4, {"words": rows - 4})
    assert crashing.output.read_bytes() == sound(tmp_path, faults, rows)
    entries = read_rows(tmp_path / "out.bad")
    assert [(entry["row"], entry["content"]["completion"]) for entry in entries] == list(faults.items())
    hows = ["signal 11, SIGSEGV", "exit code 3", "exit code 4", "signal 11, SIGSEGV"]
    for entry, how in zip(entries, hows, strict=True):
        start = f"{crashing.inputs[0]}, row {entry['row']}: extractor 'faulty' ended its process ({how}): mend the"
        assert entry["reason"][: len(start)] == start
    assert not crashing.parts.exists()


@pytest.mark.usefixtures("short")
def test_hanging_rows_are_set_apart(tmp_path: Path) -> None:
    """A row that sleeps for ever, and one that hangs in native code: both are ended from outside."""
    faults = {3: "sleep", 4: "native", 9: "leave"}
    hanging = job(tmp_path, faults)
    annotate(hanging)
    assert hanging.output.read_bytes() == sound(tmp_path, faults)
    reasons = [entry["reason"].partition(": ")[2] for entry in read_rows(tmp_path / "out.bad")]
    assert [reason.partition(":")[0] for reason in reasons] == [
        "extractor 'faulty' took more than 1.001 s",
        "extractor 'faulty' took more than 2.001 s",  # the first call of a new process
        "extractor 'faulty' ended its process (exit code 3)",
    ]
    assert reasons[0].endswith("raise data.row_seconds, or set the row apart with --quarantine FILE")


@pytest.mark.usefixtures("short")
def test_sound_rows_are_not_asked_again_and_again(tmp_path: Path) -> None:
    """A sound row is asked about once with its shard and once alone, however many others crash."""
    log = tmp_path / "log"
    annotate(job(tmp_path, {2: "leave", 6: "leave", 11: "leave"}, faulty={"log": str(log)}))
    asked = Counter(log.read_text(encoding="utf-8").split())
    assert [asked[f"r{number}"] for number in range(12)] == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


def test_extractors_may_load_in_their_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a new process a first call may take as long as a batch's, so that no sound row is blamed for a model."""
    monkeypatch.setattr(local_engine, "BATCH_SECONDS", 20.0)
    monkeypatch.setattr(local_engine, "ROW_SECONDS", 0.2)
    loading = job(tmp_path, {4: "leave"}, faulty={"load": 0.6})
    annotate(loading)
    assert [entry["row"] for entry in read_rows(tmp_path / "out.bad")] == [4]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("workers", [1, 2])
def test_without_quarantine_and_resume(tmp_path: Path, workers: int) -> None:
    """Without a quarantine the row ends the run; what is done is kept, and goes on with one."""
    faults, rows = {2 * SHARD_ROWS + 5: "segfault"}, 2 * SHARD_ROWS + 8
    crashing = job(tmp_path, faults, rows, workers=workers, quarantine=None)
    with pytest.raises(DataError, match=rf"row {2 * SHARD_ROWS + 5}: extractor 'faulty' ended .*--quarantine FILE"):
        annotate(crashing)
    assert len(list(crashing.parts.glob("*.done"))) == 2
    assert not crashing.output.exists()
    resumed = AnnotationJob(
        crashing.inputs, crashing.output, crashing.plan, workers=workers, resume=True, quarantine=tmp_path / "bad"
    )
    assert annotate(resumed).bad == 1
    assert resumed.output.read_bytes() == sound(tmp_path, faults, rows)


@pytest.mark.usefixtures("short")
def test_hanging_without_quarantine(tmp_path: Path) -> None:
    """A hanging row of the first shard ends the run, and leaves nothing."""
    with pytest.raises(DataError, match=r"rows\.jsonl, row 2: extractor 'faulty' took more than 1\.001 s: raise data"):
        annotate(job(tmp_path, {2: "sleep"}, quarantine=None))
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("segfault", PluginError, r"a worker ended while it made its extractors \(signal 11, SIGSEGV\): find out"),
        ("error", PluginError, r"the extractors could not be made \(RuntimeError: no such thing\)"),
        ("config", ConfigError, "^the model is not there: name another"),
    ],
)
def test_extractors_that_cannot_be_made(
    tmp_path: Path, workers: int, start: str, error: type[Exception], message: str
) -> None:
    """Where no worker can start there is one error, and no second try."""
    with pytest.raises(error, match=message) as raised:
        annotate(job(tmp_path, {}, SHARD_ROWS + 10, workers=workers, faulty={"start": start}))
    assert type(raised.value) is error
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_extractors_that_cannot_be_sent(tmp_path: Path) -> None:
    """A factory that another process cannot import is refused with the ways out."""
    here = ExtractorComponent("here", "", lambda: None, markers=("words",))
    source = write_rows(tmp_path / "rows.jsonl", greetings(2))
    local = AnnotationJob((str(source),), tmp_path / "out.jsonl", plan_of(WORDS, [here]), workers=1)
    with pytest.raises(ConfigError, match=r"cannot be sent to another process .*'module:attribute', or .*workers=0"):
        annotate(local)


@pytest.fixture
def source(tmp_path: Path, site: Path) -> Path:
    """Rows of which the third crashes, and a plugin that does."""
    distribution(site, "ttmarkers-faulty", {"ttmarkers_faulty": PLUGIN})
    shutil.copy(faulty.__file__, site)
    rows = greetings(5)
    rows[2]["completion"] = "segfault"
    return write_rows(tmp_path / "rows.jsonl", rows)


def test_command(tmp_path: Path, site: Path, source: Path) -> None:
    """The command sets the row of a plugin's extractor apart; without a quarantine it is one sentence and exit 1."""
    words = ["annotate", source, "-o", tmp_path / "out.jsonl", "--markers", "signs"]
    done = ttm_process(*words, site=site)
    assert (done.code, done.out) == (1, "")
    whose = "extractor 'faulty' of ttmarkers-faulty 1.0"
    assert done.err.startswith(f"ttm: {source}, row 3: {whose} ended its process (signal 11, SIGSEGV): ")
    assert done.err.count("\n") == 1
    done = ttm_process(*words, "--quarantine", tmp_path / "bad.jsonl", "--json", site=site)
    assert (done.code, done.json()["rows"], done.json()["bad_rows"]) == (0, 4, 1)


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _end_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_hanging_children_end_with_the_command(
    request: pytest.FixtureRequest, tmp_path: Path, site: Path, source: Path, how: signal.Signals, code: int
) -> None:
    """Ctrl-C and kill -9 of the command end a child too that hangs in native code, where it hears nothing."""
    source.write_text(source.read_text(encoding="utf-8").replace("segfault", "native"), encoding="utf-8")
    log = tmp_path / "log"
    options = f"markers.options.faulty={{log: {log}}}"
    process = subprocess.Popen(
        [TTM, "annotate", source, "-o", tmp_path / "out.jsonl", "--markers", "signs", "--set", options],
        env=environment(site),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    request.addfinalizer(lambda: _end_session(process.pid))
    deadline = time.monotonic() + 60
    while not (log.exists() and len(log.read_text(encoding="utf-8").split()) == 3):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    children = _children(process.pid)
    assert children
    os.kill(process.pid, how)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == code
    if how == signal.SIGINT:
        assert err.splitlines()[-1] == "ttm: interrupted"
        assert "Traceback" not in err
    assert not survivors(children, seconds=5)
