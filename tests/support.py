"""Helpers of the tests: run the command line, end processes, write made-up distributions, make rows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.plan import Plan, make_plan
from ttmarkers.config import make_config
from ttmarkers.plugins.registry import Entry, Registry
from ttmarkers.records import MarkedExample, Message, Origin
from ttmarkers.testing import Outcome as Outcome
from ttmarkers.testing import ttm as ttm
from ttmarkers.testing import write_rows as write_rows
from ttmarkers.testing.modules import HEAVY as HEAVY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.components import ExtractorComponent
    from ttmarkers.taxonomies.taxonomy import Taxonomy

TTM = Path(sys.executable).parent / "ttm"

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

GREETINGS = (
    ("Say hello to {}.", "Hello, dear {}. How are you on this fine day?"),
    ("Dis bonjour à {}.", "Bonjour, cher {}. Comment allez-vous aujourd'hui ?"),
    ("Sag {} guten Tag.", "Guten Tag, lieber {}. Wie geht es Ihnen heute?"),
)

ENGLISH = {"prompt": "How do I sort a list of numbers by their last digit in Python?", "completion": "With a key."}
FRENCH = {"prompt": "Comment trier une liste de nombres d'après leur dernier chiffre ?", "completion": "Avec une clé."}


def ok(done: Outcome) -> Outcome:
    """Return what a command printed that must have ended well."""
    assert done.code == 0, done.err
    return done


def sentence(text: str) -> str:
    """Return the one line that ``ttm`` ended with."""
    (line,) = text.splitlines()
    assert line.startswith("ttm: "), line
    return line


def environment(site: Path | None = None, **variables: str) -> dict[str, str]:
    """Return this process's environment, with a folder of made-up distributions before all other modules."""
    paths = [str(site)] if site else []
    paths += [path for path in [os.environ.get("PYTHONPATH")] if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **variables}


def ttm_process(*words: object, site: Path | None = None, cwd: Path | None = None, **variables: str) -> Outcome:
    """Run the installed command ``ttm`` in a process of its own."""
    done = subprocess.run(
        [TTM, *map(str, words)],
        env=environment(site, **variables),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def python_process(code: str, *arguments: str, site: Path | None = None, **variables: str) -> Outcome:
    """Run Python code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env=environment(site, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and only waits for its parent does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def survivors(pids: Iterable[int], seconds: float) -> list[int]:
    """Wait until processes have ended by themselves; kill those that have not in that time, and return them."""
    deadline = time.monotonic() + seconds
    left = [pid for pid in pids if alive(pid)]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [pid for pid in left if alive(pid)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def distribution(
    site: Path,
    name: str,
    modules: Mapping[str, str],
    *,
    points: Mapping[str, str] | None = None,
    version: str = "1.0",
    requires: Iterable[str] = (),
) -> None:
    """Write a distribution as pip would install it.

    Args:
        site: the folder that goes on ``PYTHONPATH``.
        name: of the distribution.
        modules: module name -> source.
        points: entry points of ttmarkers; by default one, named and aimed like the first module.
        version: of the distribution; its metadata name none if this is empty.
        requires: what it asks for.
    """
    first = next(iter(modules))
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    said = ["Metadata-Version: 2.1", f"Name: {name}", *([f"Version: {version}"] if version else [])]
    said += [f"Requires-Dist: {wanted}" for wanted in requires]
    (info / "METADATA").write_text("\n".join([*said, ""]), encoding="utf-8")
    lines = [f"{point} = {target}" for point, target in (points or {first: first}).items()]
    (info / "entry_points.txt").write_text("\n".join(["[ttmarkers]", *lines, ""]), encoding="utf-8")
    for module, source in modules.items():
        (site / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def greetings(number: int) -> list[dict[str, Any]]:
    """Make rows in three languages, of several lengths."""
    rows = []
    for index in range(number):
        prompt, completion = GREETINGS[index % len(GREETINGS)]
        name = f"friend {index}"
        answer = completion.format(name) + " Yes!" * (index % 5)
        rows.append({"id": f"r{index}", "prompt": prompt.format(name), "completion": answer})
    return rows


def marked(rows: Iterable[Mapping[str, Any]], name: str = "rows.jsonl") -> list[MarkedExample]:
    """Turn rows into examples as they are read."""
    return [
        MarkedExample(row["id"], (Message("user", row["prompt"]),), row["completion"], row["markers"], Origin(name, n))
        for n, row in enumerate(rows, 1)
    ]


def plan_of(
    taxonomy: Taxonomy, components: Sequence[ExtractorComponent], settings: Mapping[str, Any] | None = None
) -> Plan:
    """Return the plan of a config section ``markers`` with the given extractors only."""
    registry = Registry("extractor", [Entry(component, "test 1.0") for component in components])
    return make_plan(taxonomy, make_config({"markers": dict(settings or {})}).markers, registry)


SHORT = ("--set", "decode.max_new_tokens=12")
"""Words that keep an answer short."""

TRAIN = ("--set", "train.max_steps=4", "--set", "train.logging_steps=1", "--set", "train.per_device_train_batch_size=8")


def train(marked: Path, output: Path, *more: str) -> Path:
    """Train a tiny model for four steps."""
    done = ok(ttm("train", marked, "--model", "scratch:tiny", "-o", output, *TRAIN, *more))
    assert done.out == f"{output}\n"
    return output
