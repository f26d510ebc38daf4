"""The processes inside the sandbox, before they are the program: protections first, limits last, then it is run."""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ttmarkers.sandbox import kernel

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

INSIDE = "/sandbox"  # where the program's folder is in its own root
FOLDER_FILES = 8  # the folder may hold so many times the largest file
SPARE = 4  # processes beside the program's own that its limit may count


class Job(TypedDict):
    """A program, its limits, and which protections are to be put in force."""

    command: list[str]
    files: dict[str, str]
    stdin: str
    folder: str
    readable: list[str]
    seconds: float
    memory: int
    file_size: int
    open_files: int
    processes: int
    output: int
    namespaces: bool
    other_user: bool
    landlock: bool


def go_inside(job: Job, user: int | None, reports: int, output: int, errors: int) -> NoReturn:
    """Go inside, start the program and wait for it; never returns."""

    def tell(word: str, text: object) -> None:
        os.write(reports, f"{word} {str(text).replace(chr(10), ' ')}\n".encode(errors="replace"))

    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        kernel.die_with_parent(signal.SIGKILL)
        kernel.adopt_orphans()
        _be_killed_first()
        folder, readable = job["folder"], job["readable"]
        own_count = user is not None or (job["namespaces"] and _release() >= (5, 14))
        others = 0 if own_count else kernel.count_of_user()  # without a count of its own it shares that of its user
        if job["namespaces"]:
            owner = (os.getuid(), os.getgid()) if user is None else (user, user)
            size = FOLDER_FILES * job["file_size"] + sum(len(text.encode()) for text in job["files"].values())
            kernel.new_root(folder, INSIDE, readable, size, *owner)
            folder, readable = INSIDE, ["/"]
        program = os.fork()
        if program == 0:
            os.dup2(output, 1)
            os.dup2(errors, 2)
            _program(job, user, folder, readable, job["processes"] + SPARE + others, tell)
        tell("group", program)
        os.close(output)
        os.close(errors)
        gone = status = 0
        while gone != program:
            gone, status = os.wait()
        tell("ended", status)
    except Exception as error:
        tell("sandbox", error)
    finally:
        os._exit(0)


def _program(
    job: Job, user: int | None, folder: str, readable: list[str], most: int, tell: Callable[[str, object], None]
) -> NoReturn:
    """Become the program: another user, in its folder, under its limits; never returns."""
    stage = "sandbox"
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and so would the program
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        kernel.die_with_parent(signal.SIGKILL)
        kernel.drop_rights()
        os.chdir(folder)
        stage = "start"
        _write(job)
        stage = "sandbox"
        landlock = kernel.landlock_version() if job["landlock"] else 0
        tell("landlock", landlock)
        if job["landlock"]:
            kernel.landlock(readable, folder)
        _limit(job, most)
        alone = job["namespaces"]
        same_user = not alone and user is None
        tell("seccomp", kernel.seccomp(grouped=not alone, same_user=same_user, signals_held=landlock >= 6))
        stage = "start"
        places = {"HOME": folder, "TMPDIR": folder, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        os.execvpe(job["command"][0], job["command"], places)
    except Exception as error:
        tell(stage, error)
    finally:
        os._exit(127)


def _write(job: Job) -> None:
    """Write the program's files into the current folder, and have its standard input ready."""
    source = os.open("/dev/null", os.O_RDONLY)
    if job["stdin"]:
        text = Path("stdin")
        text.write_bytes(job["stdin"].encode(errors="replace"))
        source = os.open(text, os.O_RDONLY)
        text.unlink()
    os.dup2(source, 0)
    for name, content in job["files"].items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content.encode(errors="replace"))


def _limit(job: Job, processes: int) -> None:
    """Put the limits in force that the kernel holds for each process; those of processes are counted by user."""
    values = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: math.ceil(job["seconds"]),
        resource.RLIMIT_FSIZE: job["file_size"],
        resource.RLIMIT_NOFILE: job["open_files"],
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_AS: job["memory"],
    }
    for kind, value in values.items():
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            if sys.platform == "linux":
                raise


def _be_killed_first() -> None:
    """Have the kernel choose this process and its children when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in os.uname().release.split(".")[:2] if part.isdigit())
