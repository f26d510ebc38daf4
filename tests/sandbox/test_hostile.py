"""Hostile programs harm nothing, leave nothing, and are told apart from those that fail."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from sandbox_support import KNOWN, SMALL
from ttmarkers.sandbox import kernel as sandbox_kernel
from ttmarkers.sandbox.child import overfull
from ttmarkers.sandbox.programs import Ended

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Ended]

strong = pytest.mark.skipif(not KNOWN.strong, reason="this machine has neither namespaces nor Landlock 3 with seccomp")
TRY = """
import os, sys
def works(name, *given):
    try:
        eval(name)(*given)
        print(name)
    except OSError:
        pass
"""


def test_a_fork_bomb_ends(run: Run) -> None:
    """It is held to few processes, and all of them are killed."""
    ended = run("import os\nwhile True:\n try: os.fork()\n except OSError: pass", seconds=1)
    assert ended.fault in ("time", "processes")


def test_an_endless_loop_ends(run: Run) -> None:
    """Also if it wants to hear of no signal."""
    started = time.monotonic()
    source = """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
print('on', flush=True)
while True: pass
"""
    ended = run(source, seconds=0.5)
    assert ended == Ended(None, "on\n", "", "time")
    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("source", ["bytearray(10 * 2**30)", "a = []\nwhile True: a.append(bytes(10**7))"])
def test_memory_for_one_process(run: Run, source: str) -> None:
    """What is more than the limit is not given."""
    ended = run(source)
    assert ended.error.endswith("MemoryError\n") or ended.fault == "memory"
    assert not ended.passed


def test_memory_for_all_together(run: Run) -> None:
    """Several processes get no more than one."""
    source = "import os, time\nos.fork(); os.fork()\na = b'x' * 10**8\ntime.sleep(9)"
    assert run(source).fault == "memory"


@strong
def test_files_outside_stay(run: Run, tmp_path: Path) -> None:
    """Nothing is deleted, written, changed or made outside, also by way of a link."""
    tmp_path.chmod(0o777)
    path = tmp_path / "file"
    path.write_text("precious")
    path.chmod(0o666)
    before = path.stat()
    source = f"""{TRY}
path = sys.argv[1]
os.symlink(path, "link")
os.symlink(os.path.dirname(path), "up")
for here in (path, "link", "up/file"):
    works("open", here, "w")
    works("os.truncate", here, 0)
    works("os.chmod", here, 0)
    works("os.utime", here, (0, 0))
    works("os.setxattr", here, "user.x", b"x")
works("os.remove", path)
works("os.rename", path, path + "2")
works("os.rename", path, "file")
works("os.link", path, "file")
works("os.mkdir", path + "3")
works("os.remove", "up/file")
works("os.listdir", os.path.dirname(path))
works("open", path)
for place in ("/usr", "/etc", "/tmp", os.path.dirname(sys.executable), sys.base_prefix):
    works("open", place + "/" + sys.argv[-1], "w")
"""
    assert run(source, path) == Ended(0, "", "", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "precious"
    assert (path.stat().st_mode, path.stat().st_mtime) == (before.st_mode, before.st_mtime)


@strong
def test_secrets_are_not_read(run: Run, bystander: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our environment nor that of another process is seen."""
    monkeypatch.setenv("TOKEN", "hf_geheim")
    source = """
import os, pathlib, sys
print(*os.environ)
for name in ("1", "2", "self", str(os.getppid()), *sys.argv[1:3]):
    for file in ("environ", "root/etc/passwd", "cwd/program.py"):
        try: print(name, file, pathlib.Path("/proc", name, file).read_bytes())
        except OSError: pass
"""
    ended = run(source, os.getpid(), bystander.pid, output=10**6)
    assert ended.passed, ended
    assert "geheim" not in ended.output
    assert "root:" not in ended.output
    names, _, _ = ended.output.partition("\n")
    assert set(names.split()) <= {"HOME", "LANG", "PATH", "TMPDIR", "LC_CTYPE"}


@strong
def test_no_network(run: Run) -> None:
    """Neither this machine nor another is reached, nor is one made that others could reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = f"""{TRY}
import socket
def inet(host, port): socket.create_connection((host, port), 0.5)
def local(path): socket.socket(socket.AF_UNIX).connect(path)
def serve(port): socket.create_server(("0.0.0.0", port))
works("inet", "127.0.0.1", int(sys.argv[1]))
works("inet", "192.0.2.1", 80)
works("inet", "8.8.8.8", 53)
works("serve", 0)
works("local", "/run/dbus/system_bus_socket")
works("socket.gethostbyname", "localhost.localdomain")
"""
        assert run(source, server.getsockname()[1]) == Ended(0, "", "", "")
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


@strong
def test_a_daemon_ends_with_its_program(run: Run) -> None:
    """A grandchild in a session of its own, which keeps the pipes, is killed and not waited for."""
    source = """
import os, time
if os.fork() == 0:
    try: os.setsid()
    except OSError: pass
    if os.fork() == 0:
        time.sleep(30)
        print("late")
    os._exit(0)
print("done")
"""
    started = time.monotonic()
    assert run(source, seconds=20) == Ended(0, "done\n", "", "")
    assert time.monotonic() - started < 5


@strong
def test_it_signals_none_of_ours(run: Run, bystander: subprocess.Popen[bytes]) -> None:
    """It may kill itself with all that it can name, but none of ours is among them."""
    source = f"""{TRY}
import resource
ours = [int(word) for word in sys.argv[1:3]]
for number in ours:
    works("os.kill", number, 0)
    works("resource.prlimit", number, resource.RLIMIT_NOFILE, (9, 9))
    works("os.sched_setaffinity", number, [0])
try:
    for number in ours:
        os.kill(number, 0)
except OSError:  # else ours would be in danger
    try: os.kill(os.getppid(), 9)
    except OSError: pass
    os.kill(-1, 9)
"""
    ended = run(source, os.getpid(), bystander.pid)
    assert ended.output == ""
    assert not ended.fault


def test_much_output_ends_it(run: Run) -> None:
    """It is cut at the limit, and the program is killed."""
    ended = run("while True: print('x' * 99)")
    assert (ended.code, ended.fault, len(ended.output)) == (None, "output", SMALL.output)
    assert run("import sys\nwhile True: sys.stderr.write('ü' * 99)").fault == "output"


def test_disk_is_held(run: Run) -> None:
    """One file has its limit, and so have all together."""
    assert "OSError" in run("open('a', 'wb').write(bytes(10**8))").error
    ended = run("n = 0\nwhile True:\n n += 1\n open(str(n), 'wb').write(bytes(10**6))")
    assert ended.fault == "disk" or "No space left" in ended.error


def test_many_files_fill_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder is not in memory, its files are counted beside their bytes, and links are not followed."""
    monkeypatch.setattr(sandbox_kernel, "NODES", 5)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "usr").symlink_to("/usr")
    assert not overfull(tmp_path, 10**6)
    for number in range(5):
        (tmp_path / "in" / str(number)).touch()
    assert overfull(tmp_path, 10**6)
    monkeypatch.undo()
    (tmp_path / "large").write_bytes(bytes(10**5))
    assert overfull(tmp_path, 10**4)


def test_open_files_and_threads_are_held(run: Run) -> None:
    """There are so many and no more."""
    assert "Too many open files" in run("a = [open('/dev/null') for _ in range(99)]").error
    source = "import os, threading, time\nfor _ in range(200): threading.Thread(target=time.sleep, args=(9,)).start()"
    ended = run(source, seconds=1)
    assert "can't start new thread" in ended.error or ended.fault == "processes"


@pytest.mark.parametrize("mode", ["0o777", "0"])
def test_deep_folders_are_deleted(run: Run, mode: str) -> None:
    """Also those that are nested deeper than a path can be long, or closed to their owner."""
    source = (
        f"import os\nfor _ in range(200):\n os.mkdir('a' * 50, {mode})\n if {mode}: os.chdir('a' * 50)\n else: break"
    )
    assert run(source).passed


@pytest.mark.skipif(not KNOWN.seccomp, reason="this machine has no seccomp")
def test_ways_out_are_closed(run: Run) -> None:
    """New namespaces, mounts, tracing, memory that nobody sees and other ways past the filter are refused."""
    source = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
calls = {"unshare": [0x10000000], "mount": [b"x", b"/", b"tmpfs", 0, None], "ptrace": [0, 0, 0, 0],
         "shmget": [1, 99, 512], "memfd_create": [b"x", 0], "setns": [0, 0], "chroot": [b"."]}
print([name for name, given in calls.items() if getattr(libc, name)(*given) != -1 or ctypes.get_errno() != 1])
print(libc.syscall(425, 1, None), libc.syscall(0x40000000, 0), libc.syscall(435, None, 0), libc.syscall(9999))
"""
    assert run(source).output == "[]\n-1 -1 -1 -1\n"
