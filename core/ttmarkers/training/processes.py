"""Several processes that train together (``accelerate launch``, ``torchrun``): who does what, and who waits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def is_first() -> bool:
    """Tell whether this is the first of the processes of a run, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def processes() -> int:
    """Return how many processes were launched for a run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first_then_others(work: Callable[[], None]) -> None:
    """Do something in the first process; the others wait until it is done.

    If it fails there, the first raises; the others are ended by what launched them.
    """
    if is_first():
        work()
    wait()


def wait() -> None:
    """Wait until all processes of a run have come here."""
    if processes() == 1:
        return
    import torch.distributed

    if not torch.distributed.is_initialized():
        raise ConfigError(
            f"{processes()} processes were launched and do not know of each other yet: a strategy makes its engine's "
            "arguments before it prepares rows"
        )
    torch.distributed.barrier()
