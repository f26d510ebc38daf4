"""A runner of programs that sees whether they leave anything behind, and a process that they should not harm."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox_support import KNOWN, SMALL, alive, folders
from ttmarkers.sandbox import programs as sandbox
from ttmarkers.sandbox.programs import Ended, Program, Protections, python_program, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _only_where_it_is() -> None:
    if os.name != "posix":
        pytest.skip("the sandbox is for Linux and macOS")


@pytest.fixture(params=["best", "plain user"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a program under all protections, or under those that a plain user in a container has.

    Afterwards no process and no folder may be left.
    """
    if request.param == "plain user":
        plain = Protections(False, False, KNOWN.landlock, KNOWN.seccomp)
        if not plain.strong:
            pytest.skip("this machine has no Landlock 3 with seccomp")
        monkeypatch.setattr(sandbox, "protections", lambda: plain)

    def start(program: str | Program, *words: object, **limits: Any) -> Ended:
        token = secrets.token_hex(8)
        monkeypatch.setattr(sandbox, "FOLDER", f"ttmarkers-{token}-")
        if isinstance(program, str):
            program = python_program(program)
        program = replace(program, command=(*program.command, *map(str, words), token))
        ended = run_program(program, replace(SMALL, **limits))
        assert not alive(token)
        assert not folders(token)
        return ended

    return start


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process of ours that has a secret and should not be harmed."""
    with subprocess.Popen(["sleep", "60"], env={"TOKEN": "hf_geheim"}) as process:
        yield process
        assert process.poll() is None
        process.kill()
