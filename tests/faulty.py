"""Extractors that do what must not take a run with it: they crash, end or hang their process on certain rows."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.errors import ConfigError
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject

WORDS = Taxonomy((MarkerType("words", "", "int", minimum=0),))


def hang_in_native_code() -> None:
    """Never return, and let no other thread of Python run."""
    re.match("(a|a)*b", "a" * 60)


FAULTS = {
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "leave": lambda: os._exit(3),
    "stop": lambda: exit(4),
    "sleep": lambda: time.sleep(600),
    "native": hang_in_native_code,
}


class Faulty:
    """Counts words; a completion that is the name of a fault has it happen.

    Args:
        log: each row that is asked about is noted here, a line each.
        load: seconds that the first call takes besides.
        start: what happens when the extractor is made: a fault's name, or ``error`` or ``config``.
    """

    def __init__(self, log: str | None = None, load: float = 0.0, start: str = "") -> None:
        self._log, self._load = log, load
        if start == "error":
            raise RuntimeError("no such thing")
        if start == "config":
            raise ConfigError("the model is not there: name another")
        FAULTS.get(start, lambda: None)()

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
        """Return the number of words of each completion."""
        time.sleep(self._load)
        self._load = 0
        found = []
        for subject in batch:
            if self._log:
                with Path(self._log).open("a", encoding="utf-8") as stream:
                    stream.write(f"{subject.example.id}\n")
            FAULTS.get(subject.example.completion, lambda: None)()
            found.append({"words": Found(len(subject.example.completion.split()))})
        return found


FAULTY = ExtractorComponent("faulty", "", "faulty:Faulty", markers=("words",))
