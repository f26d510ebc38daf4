"""Synthetic programs and answers are what they say of themselves."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
from typing import Any

import pytest

from ttmarkers.synthetic import code, corpus


@pytest.mark.parametrize("task", code.TASKS)
def test_references_pass_their_tests(task: str) -> None:
    """The reference of every problem passes its tests."""
    for row in code.case_rows(task, 60, 0):
        space: dict[str, Any] = {}
        exec(str(row["reference"]), space)
        exec(str(row["tests"]), space)


def test_bugs_are_found_by_the_tests() -> None:
    """A function with a bug fails its tests."""
    rng = random.Random(0)
    for _ in range(200):
        made = code._draw(rng, training=False)
        space: dict[str, Any] = {}
        exec(made.buggy(rng), space)
        assert made.buggy(rng) != made.python
        with pytest.raises((AssertionError, NameError, TypeError, UnboundLocalError)):
            exec(made.tests, space)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_scripts_do_the_same() -> None:
    """The function in JavaScript returns what the one in Python does."""
    rng = random.Random(1)
    seen = {}
    while len(seen) < len(code.KINDS):
        made = code._draw(rng, training=True)
        seen[made.kind.says] = made
    for made in seen.values():
        calls = [f"console.log(JSON.stringify({made.name}({json.dumps(value)})));" for value in made.kind.inputs]
        text = "\n".join([made.javascript, *calls])
        done = subprocess.run(["node", "-e", text], capture_output=True, text=True, check=True, timeout=60)
        right = [made.kind.run(made.a, made.b, value) for value in made.kind.inputs]
        assert [json.loads(line) for line in done.stdout.splitlines()] == right


def test_nothing_is_in_both_parts() -> None:
    """No function or combination to evaluate on is one of the training rows."""
    trained = {row["completion"] for row in code.training_rows(900, 0)}
    assert not [
        row for row in code.case_rows("CodeGeneration", 100, 0) if f"```python\n{row['reference']}\n```" in trained
    ]
    asked = {row["prompt"] for row in corpus.training_rows(3000, 0)}
    assert not [row for row in corpus.quality_rows(200, 0) if row["prompt"] in asked]


def test_reward_follows_quality() -> None:
    """What stands in for a reward model tells good rows from bad ones."""
    rows = corpus.training_rows(400, 0)
    pairs = [(row["quality"], corpus.reward(str(row["completion"]))) for row in rows]
    assert statistics.correlation(*zip(*pairs, strict=True)) > 0.85  # type: ignore[arg-type]
    assert corpus.reward("") == corpus.reward("Nothing of this is a fact of it. Nor this one.") == 0.0
