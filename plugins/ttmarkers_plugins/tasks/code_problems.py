"""Problems of the code tasks: rows as they were published, and a simple form of our own.

Read are HumanEvalPack (``bigcode/humanevalpack``, Muennighoff et al. 2023), HumanEval (Chen et al. 2021), QuixBugs (Lin
et al. 2017) as rows of ``name``, ``buggy``, ``fixed``, ``tests`` and ``pytest``, and rows of

    id, language, entry_point, tests; declaration, instruction, buggy, reference as a task needs them

where ``tests`` is code in the row's language: statements in Python and JavaScript, a ``main`` in C++, a class ``Main``
in Java, a module of ``#[test]`` functions in Rust, each as HumanEvalPack has it.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import DataError
from ttmarkers_plugins.tasks.code_languages import language_name
from ttmarkers_plugins.tasks.code_quixbugs import quixbugs_tests

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Problem:
    """One problem in one language.

    Attributes:
        id: as published.
        language: a value of ``code_type``.
        entry_point: the function that the tests call.
        tests: code that runs after the program, and fails or raises if it is wrong.
        declaration: code up to the function's body, imports and helpers included; answers may go on from it.
        prompt: the declaration with what the function should do, as a comment in it.
        instruction: what the function should do, in words.
        buggy: a whole program with a bug.
        reference: a whole program without.
        shown: tests that one who repairs may see.
        facts: what results are broken down by.
        texts: further texts by which stored answers may be matched.
        asked: what is asked, word for word; empty if the task finds the words.
    """

    id: str
    language: str
    entry_point: str
    tests: str
    declaration: str = ""
    prompt: str = ""
    instruction: str = ""
    buggy: str = ""
    reference: str = ""
    shown: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    asked: str = ""

    @property
    def key(self) -> str:
        """What the same problem has in common in all languages: the id behind its first slash."""
        return self.id.split("/", 1)[-1]


def read_problem(number: int, row: Mapping[str, Any], task: str, needs: tuple[str, ...]) -> Problem | None:
    """Read a row; None for one that has no tests and says so (the class ``node`` of QuixBugs).

    Args:
        number: of the row, for messages.
        row: as it was published.
        task: the task's name, for messages.
        needs: the attributes of a problem that the task needs.

    Raises:
        DataError: if the row is of no known form or lacks something.
    """
    where = f"row {number}: task {task}"
    if "task_id" in row:
        problem = _human_eval(row, where)
    elif "name" in row and "fixed" in row:
        if not row.get("pytest") and not row.get("tests"):
            return None
        problem = _quixbugs(row, where)
    else:
        problem = _own(row, where)
    missing = [name for name in needs if not problem.asked and not getattr(problem, name)]
    if missing:
        raise DataError(f"{where} needs {' and '.join(_COLUMNS.get(name, name) for name in missing)} ({problem.id})")
    return problem


_COLUMNS = {
    "buggy": "a program with a bug (buggy_solution or buggy)",
    "reference": "a program without a bug (canonical_solution or reference)",
    "instruction": "a text of what is wanted (prompt or instruction)",
}


def _texts(row: Mapping[str, Any], names: tuple[str, ...], where: str) -> list[str]:
    """Return the texts in these columns, all of which must be there."""
    lacking = [name for name in names if not isinstance(row.get(name), str)]
    if lacking:
        raise DataError(f"{where} needs a text in {', '.join(lacking)}")
    return [row[name] for name in names]


def _optional(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _human_eval(row: Mapping[str, Any], where: str) -> Problem:
    """Read a row of HumanEvalPack, or of HumanEval, whose tests are a function that must still be called."""
    name, prompt, test, entry = _texts(row, ("task_id", "prompt", "test", "entry_point"), where)
    word = name.split("/")[0]
    language = "python" if word == "HumanEval" else language_name(word)
    if language is None:
        raise DataError(f"{where}: task_id {name!r} does not begin with a programming language")
    declaration = _optional(row, "declaration") or prompt
    if word == "HumanEval":
        test = f"{test}\n\ncheck({entry})\n"
    setup = _optional(row, "test_setup")
    solution, buggy = _optional(row, "canonical_solution"), _optional(row, "buggy_solution")
    instruction = _optional(row, "instruction")
    return Problem(
        name,
        language,
        entry,
        f"{setup}\n{test}" if setup else test,
        declaration,
        prompt,
        instruction or prompt,
        declaration + buggy if buggy else "",
        declaration + solution if solution else "",
        test.strip(),
        {"bug": row["bug_type"]} if _optional(row, "bug_type") else {},
        tuple(text for text in (prompt, instruction) if text),
    )


def _quixbugs(row: Mapping[str, Any], where: str) -> Problem:
    """Read a row of QuixBugs; what the program should do stands in the text of the buggy one."""
    name, buggy, fixed, pytest = _texts(row, ("name", "buggy", "fixed", "pytest"), where)
    tests = quixbugs_tests(name, pytest, _optional(row, "tests"))
    return Problem(name, "python", name, tests, buggy=buggy.strip() + "\n", reference=fixed.strip() + "\n")


def _own(row: Mapping[str, Any], where: str) -> Problem:
    """Read a row of our own form; a ``prompt`` in it is asked as it is."""
    if not {"language", "tests", "entry_point"} & set(row):
        raise DataError(
            f"{where} reads HumanEvalPack, HumanEval, QuixBugs, or rows with id, language, entry_point and tests; "
            f"this one has {', '.join(map(str, row)) or 'nothing'}"
        )
    language, entry, tests = _texts(row, ("language", "entry_point", "tests"), where)
    known = language_name(language)
    if known is None:
        raise DataError(f"{where}: language {language!r} is no programming language of the marker code_type")
    instruction, declaration = _optional(row, "instruction"), _optional(row, "declaration")
    return Problem(
        str(row.get("id", f"{known}/{entry}")),
        known,
        entry,
        tests,
        declaration,
        "",
        instruction,
        _optional(row, "buggy"),
        _optional(row, "reference"),
        "" if instruction else tests.strip(),
        {"bug": row["bug_type"]} if _optional(row, "bug_type") else {},
        (instruction,) if instruction else (),
        _optional(row, "prompt"),
    )


def sample() -> list[dict[str, Any]]:
    """Return the embedded sample: small problems of our own, some of them in several languages."""
    text = importlib.resources.files("ttmarkers_plugins.tasks").joinpath("code_sample.jsonl").read_bytes()
    return [orjson.loads(line) for line in text.splitlines()]
