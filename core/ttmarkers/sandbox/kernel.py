"""What Linux has to confine a process: namespaces, Landlock and seccomp, called through ctypes.

The numbers are those of the kernel's headers. Nothing here can be undone by the process that called it. Elsewhere than
on Linux these functions do nothing and say so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

NAME_SPACES = 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000  # of processes, network, messages, host name
USER_SPACE, MOUNT_SPACE = 0x10000000, 0x00020000
ANY_SPACE = NAME_SPACES | USER_SPACE | MOUNT_SPACE | 0x02000000  # also of control groups

NO_SETUID, BIND, RECURSIVE, PRIVATE = 2, 4096, 16384, 1 << 18
READ_ONLY_TREE = struct.pack("4Q", 1 | 2, 0, 0, 0)  # struct mount_attr: read only, no setuid
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NODES = 4096  # files and folders that a program may have in its folder

# Landlock's rights to files, and how many of them each version knows
READ, WRITE, FILE = 1 | 4 | 8, 0xFFFF, 1 | 2 | 4 | 1 << 14 | 1 << 15
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = [word.encode() or None for word in (source, target, kind)]
    _check(f"mount {target}", _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None))


def die_with_parent(number: int) -> None:
    """Have this process sent a signal when its parent is gone, even if that was killed."""
    if sys.platform == "linux":
        _libc.prctl(1, number)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent is gone, so that none gets away."""
    if sys.platform == "linux":
        _libc.prctl(36, 1)


def leave() -> None:
    """Go into new namespaces; that of processes begins with the next child. Who is not root needs one of users too."""
    if sys.platform != "linux":
        raise OSError("only Linux has namespaces")
    uid, gid = os.getuid(), os.getgid()
    _check("unshare", _libc.unshare(NAME_SPACES | (USER_SPACE if uid else 0)))
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_text(text)


def new_root(base: str, folder: str, readable: list[str], size: int, uid: int, gid: int) -> None:
    """Give this process a root in which there is nothing but ``readable``, read only, and an empty folder in memory.

    Args:
        base: an empty folder on which the root is built; nobody outside sees what is mounted there.
        folder: where the writable folder is in the new root.
        readable: files and folders that stay where they are, outer ones first.
        size: how many bytes the writable folder can hold.
        uid: who owns it.
        gid: the group of the owner.
    """
    _check("unshare", _libc.unshare(MOUNT_SPACE))
    _mount("", "/", "", RECURSIVE | PRIVATE)
    _mount("tmpfs", base, "tmpfs", NO_SETUID, "mode=755")
    for path in (*readable, *DEVICES):
        _bind(path, base + path)
    Path(base + folder).mkdir()
    Path(base + "/proc").mkdir()
    Path(base + "/dev/shm").symlink_to(folder)  # where semaphores of multiprocessing lie
    attributes = ctypes.create_string_buffer(READ_ONLY_TREE, len(READ_ONLY_TREE))
    _check("mount_setattr", _libc.syscall(MOUNT_SETATTR, -100, base.encode(), 0x8000, attributes, len(READ_ONLY_TREE)))
    _mount("tmpfs", base + folder, "tmpfs", NO_SETUID, f"size={size},nr_inodes={NODES},mode=700,uid={uid},gid={gid}")
    with suppress(OSError):  # inside some containers it is refused; few programs miss it
        _mount("proc", base + "/proc", "proc", NO_SETUID | 4 | 8, "subset=pid")
    os.chdir(base)
    _check("pivot_root", _libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"."))
    _check("umount", _libc.umount2(b".", 2))
    os.chdir("/")


def _bind(source: str, target: str) -> None:
    if not Path(source).exists() or Path(target).exists():  # the latter: it is in a folder that is there already
        return
    if Path(source).is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).touch()
    _mount(source, target, "", BIND | RECURSIVE)


def drop_rights() -> None:
    """Give up for good what root may do, and what programs that are run could bring."""
    if sys.platform != "linux":
        return
    for number in range(64):
        if _libc.prctl(24, number) < 0 and ctypes.get_errno() == errno.EPERM and os.geteuid() == 0:
            raise PermissionError(errno.EPERM, "the rights of root cannot be dropped")
    _check("no_new_privs", _libc.prctl(38, 1, 0, 0, 0))


def landlock_version() -> int:
    """Return which Landlock the kernel has; 0 if none. From 3 on it guards files wholly."""
    return max(0, int(_libc.syscall(LANDLOCK_CREATE, None, 0, 1))) if sys.platform == "linux" else 0


def landlock(readable: list[str], folder: str) -> None:
    """Allow this process to read only ``readable``, to write only in ``folder``, and to signal only its own."""
    version = landlock_version()
    if not version:
        return
    known = (1 << RIGHTS[min(version, 5)]) - 1
    attributes = struct.pack("3Q", known, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    length = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _check("landlock", _libc.syscall(LANDLOCK_CREATE, attributes, length, 0))
    wanted = [*((path, READ) for path in readable), *((path, FILE) for path in DEVICES), (folder, WRITE)]
    for path, rights in wanted:
        if not Path(path).exists():
            continue
        here = os.open(path, 0o10000000 | os.O_CLOEXEC)  # O_PATH
        allowed = rights & known & (WRITE if Path(path).is_dir() else FILE)
        _check(f"landlock {path}", _libc.syscall(LANDLOCK_ADD, rules, 1, struct.pack("=Qi", allowed, here), 0))
        os.close(here)
    _check("landlock", _libc.syscall(LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)


# Calls that no program under test needs, on x86_64 and on aarch64: what would lead out, or hold memory unseen.
REFUSED = {
    "socket": (41, 198), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "memfd_create": (319, 279), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "open_by_handle_at": (304, 265), "io_setup": (206, 0), "fanotify_init": (300, 262),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fspick": (433, 433),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "mount_setattr": (442, 442),
    "memfd_secret": (447, 447), "pidfd_send_signal": (424, 424),
}  # fmt: skip
# Refused without a namespace of processes: leaving the group, which is killed as a whole.
LEAVING = {"setsid": (112, 157), "setpgid": (109, 154)}
# Refused to programs that run as our own user: changes to our files and processes of which Landlock sees nothing.
CHANGING = {
    "chmod": (90, 52), "fchmod": (91, 52), "fchmodat": (268, 53),
    "chown": (92, 55), "fchown": (93, 55), "lchown": (94, 55), "fchownat": (260, 54), "utime": (132, 88),
    "utimes": (235, 88), "futimesat": (261, 88), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "setpriority": (141, 140), "ioprio_set": (251, 30), "move_pages": (279, 239),
    "migrate_pages": (256, 238),
}  # fmt: skip
# Calls whose first argument names a process: there our own user's programs may only give their own number and 0.
NAMING = {"prlimit64": (302, 261)}
SIGNALLING = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
}  # fmt: skip
CLONE, CLONE3, SOCKETPAIR, FCNTL, IOCTL = (56, 220), (435, 435), (53, 199), (72, 25), (16, 29)
NEWEST = 451  # later calls are unknown here, and so to the program
OWNERS = {FCNTL: (8, 15), IOCTL: (0x8901, 0x8902)}  # whom a file sends signals

_LOAD, _EQUAL, _ABOVE, _BITS, _ANSWER = 0x20, 0x15, 0x25, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN, _KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _when(number: int, argument: int, tests: list[bytes]) -> bytes:
    """Return steps that load an argument of one call, run ``tests`` on it, and end with an answer."""
    body = [_step(_LOAD, 16 + 8 * argument), *tests]
    return _step(_EQUAL, number, 0, len(body)) + b"".join(body)


def seccomp(*, grouped: bool, same_user: bool, signals_held: bool) -> bool:
    """Refuse this process and its descendants the calls that lead out; tell whether the kernel can.

    Args:
        grouped: what it starts stays in one group.
        same_user: our files and processes belong to the same user, and are in sight.
        signals_held: Landlock keeps signals within the program.
    """
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        return False
    if _libc.prctl(22, 2, None) == 0 or ctypes.get_errno() != errno.EFAULT:  # a kernel with filters misses the filter
        return False
    mark, place = MACHINES[os.uname().machine]
    allow, refuse = _step(_ANSWER, _ALLOW), _step(_ANSWER, _REFUSE)
    steps = [_step(_LOAD, 4), _step(_EQUAL, mark, 1), _step(_ANSWER, _KILL), _step(_LOAD, 0)]
    steps += [_step(_ABOVE, NEWEST, 0, 1), _step(_ANSWER, _UNKNOWN)]
    steps += [_step(_EQUAL, CLONE3[place], 0, 1), _step(_ANSWER, _UNKNOWN)]  # its flags cannot be read; clone is taken
    refused = REFUSED | (LEAVING if grouped else {}) | (CHANGING if same_user else {})
    for numbers in refused.values():
        steps += [_step(_EQUAL, numbers[place], 0, 1), refuse]
    steps.append(_when(CLONE[place], 0, [_step(_BITS, ANY_SPACE, 0, 1), refuse, allow]))
    steps.append(_when(SOCKETPAIR[place], 0, [_step(_EQUAL, 1, 1), refuse, allow]))
    if same_user:
        for numbers in (NAMING if signals_held else NAMING | SIGNALLING).values():
            own = [_step(_EQUAL, 0, 2), _step(_EQUAL, os.getpid(), 1), refuse, allow]
            steps.append(_when(numbers[place], 0, own))
        for call, values in OWNERS.items():
            tests = [_step(_EQUAL, values[0], 1), _step(_EQUAL, values[1], 0, 1), refuse, allow]
            steps.append(_when(call[place], 1, tests))
    program = b"".join([*steps, allow])
    code = ctypes.create_string_buffer(program, len(program))
    filters = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    _check("seccomp", _libc.prctl(22, 2, filters))
    return True


def descendants(pid: int) -> list[int]:
    """Return the processes below one, as far as the kernel lists them."""
    found: list[int] = []
    todo = [pid]
    while todo:
        try:
            for task in Path(f"/proc/{todo.pop()}/task").iterdir():
                below = [int(word) for word in (task / "children").read_text().split()]
                found += below
                todo += below
        except OSError:
            continue  # it is gone
    return found


def resident(pids: list[int]) -> int:
    """Return how many bytes of memory processes hold together; what they share counts for each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")


def count_of_user() -> int:
    """Return how many threads this process's user has."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                count += len(list((process / "task").iterdir()))
        except OSError:
            continue
    return count
