"""What this machine computes with, as torch sees it; run in a process of its own, which a broken torch may crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from ttmarkers.errors import TtmError

MARK = "devices: "
SECONDS = 180.0  # for an import from a slow disk


def devices() -> dict[str, Any]:
    """Return torch's version, its threads, and each device with name, memory in bytes and whether it has bf16.

    Raises:
        TtmError: if torch cannot be imported, or crashes or hangs while it looks.
    """
    code = f"import sys; sys.path[:] = {sys.path!r}; from ttmarkers.doctor.devices import tell; tell()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise TtmError(f"torch did not answer for {SECONDS:g} s") from error
    said = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not said:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise TtmError(f"torch cannot be imported ({last})")
    found: dict[str, Any] = json.loads(said[-1])
    return found


def tell() -> None:
    """Print what `devices` returns; libraries may print what they like before."""
    import torch

    found: list[dict[str, Any]] = []
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        found.append({"kind": "cuda", "name": card.name, "memory": card.total_memory, "bf16": _bf16(number)})
    if torch.backends.mps.is_available():
        found.append({"kind": "mps", "name": "Apple GPU", "memory": None, "bf16": None})
    facts = {
        "torch": torch.__version__,
        "built_for_cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "devices": found,
    }
    print(f"\n{MARK}{json.dumps(facts)}", flush=True)


def _bf16(number: int) -> bool:
    import torch

    with torch.cuda.device(number):
        return bool(torch.cuda.is_bf16_supported())
