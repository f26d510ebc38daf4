"""What tests of the sandbox share: small limits, what this machine can do, and what programs left behind."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ttmarkers.sandbox import programs as sandbox
from ttmarkers.sandbox.programs import Limits, Protections

SMALL = Limits(seconds=2.0, memory=256 * 2**20, file_size=2**20, files=32, processes=12, output=10_000)
KNOWN = sandbox.protections() if os.name == "posix" else Protections(False, False, 0, False)


def alive(token: str) -> bool:
    """Tell whether a process with a word in its command line runs."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if token.encode() in path.read_bytes():
                return True
    return False


def folders(token: str) -> list[Path]:
    """Return the programs' folders that are left."""
    return list(Path(tempfile.gettempdir()).glob(f"*{token}*"))
