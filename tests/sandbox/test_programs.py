"""Programs of all kinds: what they are given, how they end, and what is refused before they start."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox_support import alive, folders
from ttmarkers.errors import ConfigError
from ttmarkers.sandbox.programs import Ended, Limits, Program, Protections, python_program, run_programs

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Ended]


def test_an_ordinary_program(run: Run) -> None:
    """It reads what it was given, writes, and its end is known."""
    source = "import sys\nprint(open('daten/größe.txt').read(), input())\nopen('neu', 'w').write('x')\nsys.exit(3)"
    program = python_program(source, {"daten/größe.txt": "zwölf"})
    assert run(replace(program, stdin="Äpfel\n")) == Ended(3, "zwölf Äpfel\n", "", "")
    assert run("import json, asyncio\nasyncio.run(asyncio.sleep(0))").passed


def test_standard_input_is_empty(run: Run) -> None:
    """A program that waits for input gets none."""
    assert run("print(input())").error.endswith("EOFError: EOF when reading a line\n")


def test_several_in_order() -> None:
    """They are run side by side, and how they ended is told in their order."""
    seen: list[int] = []
    sources = ["import time; time.sleep(0.3); print(0)", "print(1)", "1/0"]
    ended = run_programs(map(python_program, sources), workers=3, progress=seen.append)
    assert [end.output for end in ended] == ["0\n", "1\n", ""]
    assert [end.passed for end in ended] == [True, True, False]
    assert "ZeroDivisionError" in ended[2].error
    assert seen == [1, 2, 3]


def test_crashes_are_told(run: Run) -> None:
    """A signal is a negative code, as it is for subprocess; no fault of the limits."""
    assert run("import ctypes\nctypes.string_at(0)") == Ended(-signal.SIGSEGV, "", "", "")
    assert run("import os\nos.abort()").code == -signal.SIGABRT
    source = "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n def __getattr__(self, _): return self.x\nA().x"
    assert not run(source).passed
    assert "RecursionError" in run("def f(): f()\nf()").error


def test_any_bytes_are_text(run: Run) -> None:
    """What cannot be decoded is replaced."""
    assert run("import sys\nsys.stdout.buffer.write(bytes([255, 0, 65]))").output == "\ufffd\0A"


def test_what_cannot_be_started(run: Run) -> None:
    """It is no error of ours."""
    ended = run(Program(("/no/such/interpreter",), {}))
    assert (ended.code, ended.fault) == (None, "start")
    assert "No such file" in ended.error
    assert run(Program(("no-such-command",), {})).fault == "start"
    assert run(Program(("./a",), {"a": "no program"})).fault == "start"
    assert run(Program(("true",), {"a": "", "a/b": ""})).fault == "start"
    assert run(Program(("true",), {"a" * 300: ""})).fault == "start"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", ".", "a\0b", ".."])
def test_files_that_lead_out(name: str) -> None:
    """They are refused before anything is run."""
    with pytest.raises(ConfigError, match="file"):
        Program(("true",), {name: ""})


def test_what_makes_no_sense_is_refused() -> None:
    """A program without a command, limits that allow nothing, two programs in one file."""
    with pytest.raises(ConfigError, match="command"):
        Program((), {})
    with pytest.raises(ConfigError, match="seconds"):
        Limits(seconds=0)
    with pytest.raises(ConfigError, match="from the root"):
        Program(("true",), {}, readable=("lib",))
    with pytest.raises(ConfigError, match=r"program\.py"):
        python_program("", {"program.py": ""})


def test_further_folders_can_be_read(run: Run) -> None:
    """A compiler may lie anywhere."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "word").write_text("here")
        program = replace(python_program("import sys\nprint(open(sys.argv[1]).read())"), readable=(folder,))
        assert run(program, f"{folder}/word").output == "here\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_programs_end_with_us() -> None:
    """When our process is killed, so is the program, and its folder is deleted."""
    token = secrets.token_hex(8)
    code = f"""
from ttmarkers.sandbox import programs as sandbox
sandbox.FOLDER = "ttmarkers-{token}-"
sandbox.run_program(sandbox.Program(("sleep", "50", "{token}"), {{}}), sandbox.Limits(seconds=60))
"""
    with subprocess.Popen([sys.executable, "-c", code]) as ours:
        until = time.monotonic() + 10
        while not folders(token) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.3)
        ours.kill()
    until = time.monotonic() + 2
    while (alive(token) or folders(token)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(token)
    assert not folders(token)


def test_protections_are_told() -> None:
    """Each has a name."""
    assert Protections(True, True, 7, True).text() == "namespaces, other user, seccomp, landlock 7"
    assert Protections(False, False, 0, False).text() == "limits of resources only"
    assert not Protections(False, True, 2, True).strong
