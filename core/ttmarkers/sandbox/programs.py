"""Programs that a model wrote are run so that they can harm nothing.

Each program gets a process of its own, a fresh folder that is the only place where it can write and that is deleted
afterwards, no network, none of our environment, an end to its time, memory, files, processes and output; and all that
it started ends with it. `protections` tells by what this is held on a machine:

* ``namespaces`` (Linux 5.12, as root or where users may make them): the program sees no other process, no network, and
  of the files only those of the system and of Python, read only. Its folder is in memory.
* ``other_user`` (as root): the program runs as a user that owns nothing.
* ``landlock`` (Linux 6.2): the kernel refuses the program all files but those.
* ``seccomp`` (Linux on x86_64 and aarch64): the kernel refuses it calls such as those for the network.

Landlock and seccomp need no rights, so they are there for a plain user in a container too. Without namespaces a program
cannot go into a session of its own, use shared memory, or (before Landlock 6, Linux 6.12) signal processes by number;
and without another user it cannot change modes and times of files (so what it compiles is not executable), and its
processes are counted together with those of the user. Elsewhere than on Linux only limits of resources and an empty
environment are left: there run only programs that you have read.

What is never held: a fault in the kernel itself, and how busy a program may be within its limits.
"""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError, TtmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ttmarkers.sandbox.child import Outcome
    from ttmarkers.sandbox.inside import Job

PATIENCE = 20.0  # seconds beyond a program's own for the process that watches it
SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/nix/store")
SETTINGS = ("ld.so.cache", "localtime", "alternatives", "java-*-openjdk", "ssl/openssl.cnf")  # in /etc
PYTHON_FILE = "program.py"
FOLDER = "ttmarkers-program-"  # how folders of programs begin


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Args:
        seconds: of time, and of computing for each process.
        memory: bytes for each process, and for all together.
        file_size: bytes in one file; all files together may have some times as many.
        files: that a process has open.
        processes: threads and processes at once.
        output: bytes on standard output, and as many on standard error.
    """

    seconds: float = 10.0
    memory: int = 512 * 2**20
    file_size: int = 10 * 2**20
    files: int = 64
    processes: int = 32
    output: int = 64 * 2**10

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing."""
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise ConfigError(f"the limit {name!r} of a program is {value}: it must be a number above 0")


@dataclass(frozen=True)
class Program:
    """A command and what it finds.

    Args:
        command: what is run, with its arguments.
        files: text files in its folder, by their paths in it.
        stdin: what it reads on standard input.
        readable: files and folders that it may read beside those of the system and of Python, such as a compiler's.
    """

    command: tuple[str, ...]
    files: Mapping[str, str]
    stdin: str = ""
    readable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse files outside the folder, and what no system can start."""
        if not self.command or not self.command[0]:
            raise ConfigError("a program has no command: name what is to be run")
        for word in (*self.command, *self.files):
            if "\0" in word:
                raise ConfigError(f"{word!r} has a zero byte in it, which no command or file name can have")
        for name in self.readable:
            if not PurePosixPath(name).is_absolute():
                raise ConfigError(f"{name!r} cannot be made readable to a program: give its path from the root on")
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise ConfigError(
                    f"the file {name!r} is not in the program's folder: give a relative path without '..'"
                )


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Args:
        code: what it returned; the negative number of the signal that ended it; none if we ended it.
        output: its standard output, up to the limit.
        error: its standard error, or why it could not be started.
        fault: which limit it broke, in one word: ``time``, ``memory``, ``output``, ``processes``, ``disk``;
            ``start`` if there is no such command, ``killed`` if something else ended it; empty if it ended by itself,
            as most do that are refused memory or files.
    """

    code: int | None
    output: str
    error: str
    fault: str

    @property
    def passed(self) -> bool:
        """Whether the program ended by itself and well."""
        return self.code == 0 and not self.fault


@dataclass(frozen=True)
class Protections:
    """By what programs are held on this machine: see the module's text. ``landlock`` is its version, 0 if none."""

    namespaces: bool
    other_user: bool
    landlock: int
    seccomp: bool

    @property
    def strong(self) -> bool:
        """Whether files, network and other processes are out of a program's reach."""
        return self.namespaces or (self.landlock >= 3 and self.seccomp)

    def text(self) -> str:
        """Return the protections for people: ``namespaces, landlock 7, seccomp``."""
        landlock = f"landlock {self.landlock}" if self.landlock else ""
        names = [name.replace("_", " ") for name in ("namespaces", "other_user", "seccomp") if getattr(self, name)]
        return ", ".join(filter(None, [*names, landlock])) or "limits of resources only"


def python_program(source: str, files: Mapping[str, str] = MappingProxyType({})) -> Program:
    """Return a program of this Python and its standard library alone.

    Args:
        source: its text; it cannot import from its folder before it puts that on ``sys.path``.
        files: further files for its folder.
    """
    if PYTHON_FILE in files:
        raise ConfigError(f"the file {PYTHON_FILE!r} holds the program itself: give the other one another name")
    return Program((sys.executable, "-I", "-S", "-B", PYTHON_FILE), {PYTHON_FILE: source, **files})


def run_program(program: Program, limits: Limits = Limits()) -> Ended:
    """Run an untrusted program under all protections that this machine gives.

    Raises:
        TtmError: if a protection that was in force before cannot be put in force now.
    """
    outcome = _supervised(program, limits, protections())
    if outcome["fault"] == "sandbox":
        raise TtmError(f"a program could not be shut in ({outcome['error']}): run fewer at once, or try again")
    return Ended(outcome["code"], outcome["output"], outcome["error"], outcome["fault"])


def run_programs(
    programs: Iterable[Program],
    limits: Limits = Limits(),
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Ended]:
    """Run untrusted programs side by side and return how they ended, in their order.

    Args:
        programs: what to run.
        limits: of each.
        workers: how many run at once; as many as there are processors if not given.
        progress: is called with the number of those that are done, after each.
    """
    protections()
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        futures = [pool.submit(run_program, program, limits) for program in programs]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


@functools.cache
def protections() -> Protections:
    """Return what holds programs on this machine, found out by running one that does nothing."""
    if os.name != "posix":
        raise ConfigError("programs that a model wrote are run on Linux and macOS only: use one of these, or WSL")
    root = os.geteuid() == 0
    known = [(True, root, True), (True, root, False), (False, root, True), (False, False, True), (False, root, False)]
    error = ""
    for namespaces, other_user, landlock in dict.fromkeys([*known, (False, False, False)]):
        wanted = Protections(namespaces, other_user, int(landlock), True)
        outcome = _supervised(python_program(""), Limits(), wanted)
        if outcome["code"] == 0 and not outcome["fault"]:
            return replace(wanted, landlock=outcome["landlock"], seccomp=outcome["seccomp"])
        error = outcome["error"].strip() or outcome["fault"]
    raise ConfigError(f"no program can be run on this machine in any sandbox: the last try ended with {error!r}")


def _supervised(program: Program, limits: Limits, wanted: Protections) -> Outcome:
    """Have a process of its own run the program and return what it says."""
    from ttmarkers.sandbox.child import remove

    folder = os.path.realpath(tempfile.mkdtemp(prefix=FOLDER))
    job: Job = {
        "command": list(program.command),
        "files": dict(program.files),
        "stdin": program.stdin,
        "folder": folder,
        "readable": sorted({*_readable(), *program.readable}),
        "seconds": limits.seconds,
        "memory": limits.memory,
        "file_size": limits.file_size,
        "open_files": limits.files,
        "processes": limits.processes,
        "output": limits.output,
        "namespaces": wanted.namespaces,
        "other_user": wanted.other_user,
        "landlock": bool(wanted.landlock),
    }
    try:
        said, trouble = _watched(json.dumps(job).encode(), limits.seconds + PATIENCE)
    finally:
        remove(Path(folder))
    try:
        outcome: Outcome = json.loads(said)
    except ValueError:
        raise TtmError(f"the process that watches a program failed: {trouble.decode(errors='replace')}") from None
    return outcome


def _watched(job: bytes, seconds: float) -> tuple[bytes, bytes]:
    """Return what the watching process says of a job, and what it complains of."""
    here = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.append({here!r}); from ttmarkers.sandbox.child import main; main({os.getpid()})"
    command = [sys.executable, "-I", "-S", "-B", "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env={}, start_new_session=True
    ) as watcher:
        try:
            return watcher.communicate(job, seconds)
        except subprocess.TimeoutExpired:
            watcher.kill()
            return b"", f"it did not answer for {seconds} seconds".encode()
        except BaseException:
            watcher.terminate()  # it ends what it started first
            raise


@functools.cache
def _readable() -> frozenset[str]:
    """Return what programs can read: the system's programs, and what Python needs to start."""
    settings = [str(path) for name in SETTINGS for path in Path("/etc").glob(name)]
    paths = {*SYSTEM, *settings, sys.base_prefix, os.path.realpath(sys.base_prefix), f"{sys.prefix}/pyvenv.cfg"}
    link = Path(sys.executable)
    while link.is_symlink():
        paths.add(str(link))
        link = link.parent / link.readlink()
    return frozenset({*paths, str(link)})
