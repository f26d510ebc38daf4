"""The process that runs one untrusted program, watches it and ends all that it started.

There are three processes. This one reads a job and stays outside. Its child (`ttmarkers.sandbox.inside`) goes inside,
is the first in its namespace of processes, and waits for the program, which is its child. What comes from inside is
text in a pipe that the program does not have. All this is run without site-packages.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypedDict

from ttmarkers.sandbox import kernel
from ttmarkers.sandbox.inside import FOLDER_FILES, SPARE, Job, go_inside

LOOK_SECONDS = 0.05  # between two looks at memory and disk
END_SECONDS = 5.0  # for killed processes to go


class Outcome(TypedDict):
    """How a program ended; ``fault`` is ``sandbox`` if it was not run, for a protection could not be put in force."""

    code: int | None
    output: str
    error: str
    fault: str
    landlock: int
    seccomp: bool


def main(parent: int) -> None:
    """Run the job that stands on standard input and write its outcome to standard output."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kernel.die_with_parent(signal.SIGTERM)
    kernel.adopt_orphans()
    job: Job = json.load(sys.stdin)
    try:
        outcome = _Watch(job, parent).run()
    finally:
        remove(Path(job["folder"]))
    json.dump(outcome, sys.stdout)


class _Watch:
    """The outer process's view of a program while it runs."""

    def __init__(self, job: Job, parent: int) -> None:
        self.job = job
        self.parent = parent
        self.group = 0  # the program's, where there is no namespace of processes
        self.told: list[str] = []
        self.fault = ""

    def run(self) -> Outcome:
        """Start the program, wait for its end, and take it down with all that it left."""
        try:
            if self.job["namespaces"]:
                kernel.leave()
            user = _other_user(self.job["folder"]) if self.job["other_user"] else None
        except OSError as error:
            return _outcome("sandbox", error=str(error))
        reports, output, errors = os.pipe(), os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            go_inside(self.job, user, reports[1], output[1], errors[1])
        for pipe in (reports, output, errors):
            os.close(pipe[1])
        kept = {output[0]: bytearray(), errors[0]: bytearray()}
        try:
            self._watch(child, reports[0], kept)
        finally:
            self._end(child)
        self._drain(kept)
        return self._result(*(_text(text, self.job["output"]) for text in kept.values()))

    def _watch(self, child: int, reports: int, kept: dict[int, bytearray]) -> None:
        """Read what comes until the child inside is done or the program did what it may not."""
        look = time.monotonic() + LOOK_SECONDS
        until = look - LOOK_SECONDS + self.job["seconds"]
        open_ends = {reports, *kept}
        while reports in open_ends and not self.fault:
            now = time.monotonic()
            for end in select.select(open_ends, [], [], max(0, min(look, until) - now))[0]:
                data = os.read(end, 1 << 16)
                if not data:
                    open_ends.remove(end)
                elif end == reports:
                    self._hear(data.decode(errors="replace"))
                else:
                    self._keep(kept[end], data)
            if now >= until:
                self.fault = self.fault or "time"
            elif now >= look:
                look = now + LOOK_SECONDS
                self.fault = self.fault or self._excess(child)
            if os.getppid() != self.parent:  # where the kernel does not tell it
                sys.exit(1)

    def _hear(self, text: str) -> None:
        self.told += text.split("\n")
        for line in self.told:
            if line.startswith("group ") and not self.job["namespaces"]:
                self.group = int(line.split()[1])

    def _keep(self, kept: bytearray, data: bytes) -> None:
        kept += data[: self.job["output"] + 1 - len(kept)]
        if len(kept) > self.job["output"]:
            self.fault = self.fault or "output"

    def _excess(self, child: int) -> str:
        """Name the limit that the program's processes broke together, which the kernel holds for each of them alone."""
        below = kernel.descendants(child)
        if len(below) > self.job["processes"] + SPARE:
            return "processes"
        if kernel.resident(below) > self.job["memory"]:
            return "memory"
        room = FOLDER_FILES * self.job["file_size"]
        return "disk" if not self.job["namespaces"] and overfull(Path(self.job["folder"]), room) else ""

    def _end(self, child: int) -> None:
        """Kill all processes of the program and wait until they are gone."""
        until = time.monotonic() + END_SECONDS
        alive = True
        while time.monotonic() < until:
            with suppress(ProcessLookupError, PermissionError):
                if self.group:
                    os.killpg(self.group, signal.SIGKILL)
            if alive:
                os.kill(child, signal.SIGKILL)
            try:
                gone, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            alive = alive and gone != child
            if gone == 0:
                time.sleep(0.001)

    def _drain(self, kept: dict[int, bytearray]) -> None:
        """Read what still stands in the pipes; whoever might go on writing is dead, or is not waited for."""
        for end, text in kept.items():
            while len(text) <= self.job["output"] and select.select([end], [], [], 0)[0]:
                data = os.read(end, 1 << 16)
                if not data:
                    break
                self._keep(text, data)

    def _result(self, output: str, error: str) -> Outcome:
        words = dict(line.partition(" ")[::2] for line in self.told)
        for fault in ("sandbox", "start"):
            if fault in words:
                return _outcome(fault, error=words[fault])
        ended = words.get("ended")
        code = None if ended is None or self.fault else os.waitstatus_to_exitcode(int(ended))
        fault = "time" if code == -signal.SIGXCPU else self.fault or ("killed" if ended is None else "")
        landlock, seccomp = int(words.get("landlock", 0)), words.get("seccomp") == "True"
        return _outcome(fault, code, output, error, landlock=landlock, seccomp=seccomp)


def _outcome(
    fault: str, code: int | None = None, output: str = "", error: str = "", *, landlock: int = 0, seccomp: bool = False
) -> Outcome:
    return {
        "code": code,
        "output": output,
        "error": error,
        "fault": fault,
        "landlock": landlock,
        "seccomp": seccomp,
    }


def _text(data: bytearray, most: int) -> str:
    return bytes(data[:most]).decode(errors="replace")


def _other_user(folder: str) -> int:
    """Give the folder to a user that nobody is, and return that one; containers may know few numbers of users."""
    for user in (1_000_000_000 + os.getpid(), 60_000 + os.getpid() % 5_000):
        with suppress(OSError):
            os.chown(folder, user, user)
            return user
    raise OSError(f"{folder} cannot be given to another user")


def overfull(folder: Path, room: int) -> bool:
    """Tell whether a folder holds more bytes, or more files, than it may."""
    found = size = 0
    todo = [folder]
    while todo and found <= kernel.NODES and size <= room:
        with suppress(OSError):  # it is gone, or closed even to its owner
            for entry in os.scandir(todo.pop()):
                found += 1
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    todo.append(Path(entry))
    return found > kernel.NODES or size > room


def remove(folder: Path) -> None:
    """Delete a folder, however deep its folders are and whomever they are closed to.

    A path can become too long to be used, and a recursion too deep; so what is in a folder is moved up before the
    folder is deleted.
    """
    names = (f"{os.urandom(8).hex()}-{number}" for number in count())
    while folder.exists() and (entries := list(folder.iterdir())):
        for entry in entries:
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink()
                continue
            entry.chmod(0o700)
            for inner in entry.iterdir():
                if inner.is_dir() and not inner.is_symlink():
                    inner.chmod(0o700)  # a folder that is moved is written to
                inner.rename(folder / next(names))
            entry.rmdir()
    with suppress(FileNotFoundError):
        folder.rmdir()
