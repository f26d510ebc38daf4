"""How a program is tested: with its tests in one run, at whose end a token is printed.

A program has passed if it ended well *and* the token was seen. The token is drawn for each scoring and stands behind
the tests, so a program that ends early (``sys.exit(0)``, ``process.exit(0)``), prints much, or catches everything does
not pass by accident. Python's asserts are the language's own; JavaScript's ``console.assert`` is put in place after the
program was read; an answer that equals anything at all (``__eq__``) is refused. A program that sets out to cheat, by
reading the files of its own run, is not kept from it: what a model was trained to write is measured, not its malice.
What keeps the machine safe is the sandbox.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from ttmarkers.sandbox.programs import Limits, run_programs
from ttmarkers_plugins.tasks.code_assembly import assemble
from ttmarkers_plugins.tasks.code_languages import LANGUAGES
from ttmarkers_plugins.tasks.code_problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.sandbox.programs import Ended

COMPILE_SECONDS = 60.0
COMPILE_MEMORY = 4 * 2**30
"""Compilers, and programs that reserve far more memory than they use (node, java)."""

_LATE = 124  # what timeout(1) exits with


@dataclass(frozen=True)
class Outcome:
    """How a program did in its tests."""

    passed: bool
    late: bool


def try_programs(jobs: Sequence[tuple[Problem, str]], seconds: float, memory: int) -> list[Outcome]:
    """Test programs, each on its own in the sandbox, and say how they did.

    Args:
        jobs: problems, and a program for each.
        seconds: that one may take; a compiler has time of its own.
        memory: that one may use, in bytes.
    """
    limits = Limits(seconds=seconds, memory=memory)
    token = secrets.token_hex(16)
    outcomes: dict[int, Outcome] = {}
    for language in sorted({problem.language for problem, _ in jobs}):
        numbers = [number for number, (problem, _) in enumerate(jobs) if problem.language == language]
        programs = [assemble(*jobs[number], token, limits) for number in numbers]
        ended = run_programs(programs, limits_of(language, limits))
        outcomes |= {number: _outcome(end, token) for number, end in zip(numbers, ended, strict=True)}
    return [outcomes[number] for number in range(len(jobs))]


def limits_of(language: str, limits: Limits) -> Limits:
    """Return the limits of a run in which a program is compiled too."""
    if language == "python":
        return limits
    memory = max(limits.memory, COMPILE_MEMORY)
    if language == "javascript":
        return replace(limits, memory=memory)
    files = {"file_size": max(limits.file_size, 2**28), "files": max(limits.files, 1024)}
    return replace(limits, seconds=limits.seconds + COMPILE_SECONDS, memory=memory, **files)


def _outcome(ended: Ended, token: str) -> Outcome:
    seen = token in (ended.output + "\n" + ended.error).splitlines()
    late = ended.code == _LATE or ended.fault == "time"
    return Outcome(ended.passed and seen, late)


@cache
def fault_of(language: str) -> str:
    """Return why a language cannot be run here; empty if it can, which a program of one line shows."""
    if language not in LANGUAGES:
        return "which cannot be run"
    if not LANGUAGES[language].installed:
        return f"which needs {' and '.join(LANGUAGES[language].tools)}"
    program, tests = _PROBES[language]
    (outcome,) = try_programs([(Problem("probe", language, "one", tests), program)], 10.0, 512 * 2**20)
    return "" if outcome.passed else "whose compiler does not work in the sandbox"


_PROBES = {
    "python": ("def one(): return 1", "assert one() == 1"),
    "javascript": ("const one = () => 1;", "console.assert(one() === 1)"),
    "cpp": ("int one() { return 1; }", "int main() { assert(one() == 1); }"),
    "java": (
        "class Solution { int one() { return 1; } }",
        "class Main { public static void main(String[] given) { assert new Solution().one() == 1; } }",
    ),
    "rust": ("fn one() -> i32 { 1 }", "mod tests { use super::*; #[test] fn all() { assert_eq!(one(), 1); } }"),
}
