"""The code tasks: rows that are read, what is asked, what is counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.protocols import BatchTask, PreparedTask, Setting, Task
from ttmarkers.records import Generation
from ttmarkers_plugins.marker_types import PAPER_TYPES
from ttmarkers_plugins.tasks.code import CodeTask, GenerationTask, RepairTask, TranslationTask
from ttmarkers_plugins.tasks.code_harness import fault_of
from ttmarkers_plugins.tasks.code_problems import read_problem, sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PACK = {
    "task_id": "Python/900",
    "prompt": 'from math import floor\n\n\ndef half(number: float) -> int:\n    """Halve a number, rounded down."""\n',
    "declaration": "from math import floor\n\n\ndef half(number: float) -> int:\n",
    "canonical_solution": "    return floor(number / 2)\n",
    "buggy_solution": "    return floor(number / 3)\n",
    "bug_type": "value misuse",
    "failure_symptoms": "incorrect output",
    "import": "",
    "test_setup": "",
    "test": "def check(half):\n    assert half(5) == 2\n    assert half(-1) == -1\n\ncheck(half)",
    "example_test": "",
    "signature": "half(number: float) -> int",
    "docstring": "Halve a number, rounded down.",
    "instruction": "Write a Python function `half(number: float) -> int` to halve a number, rounded down.",
    "entry_point": "half",
}
PACK_JS = {
    **PACK,
    "task_id": "JavaScript/900",
    "prompt": "/* Halve a number, rounded down. */\nconst half = (number) => {\n",
    "declaration": "\nconst half = (number) => {\n",
    "canonical_solution": "  return Math.floor(number / 2);\n}\n\n",
    "buggy_solution": "  return Math.floor(number / 3);\n}\n\n",
    "test": "const check = () => {\n  console.assert(half(5) === 2)\n  console.assert(half(-1) === -1)\n}\ncheck()\n",
}
HUMAN_EVAL = {
    "task_id": "HumanEval/900",
    "prompt": PACK["prompt"],
    "entry_point": "half",
    "canonical_solution": PACK["canonical_solution"],
    "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate(5) == 2\n",
}
QUIXBUGS = {
    "name": "double",
    "lang": "python",
    "buggy": "def double(n):\n    return n + 2\n\n\n'''\nDouble a number.\n'''\n",
    "fixed": "def double(n):\n    return n * 2\n",
    "tests": "[[2], 4]\n[[5], 10]\n[[10000000], 0]\n",
    "pytest": (
        "import pytest\nfrom load_testdata import load_json_testcases\n\n"
        "if pytest.use_correct:\n    from correct_python_programs.double import double\n"
        "else:\n    from python_programs.double import double\n\n\n"
        "testdata = load_json_testcases(double.__name__)\n\n\n"
        '@pytest.mark.parametrize("input_data,expected", testdata)\n'
        "def test_double(input_data, expected):\n"
        "    if not pytest.run_slow and input_data == [10000000]:\n        pytest.skip('slow')\n"
        "    assert double(*input_data) == pytest.approx(expected, abs=0.5)\n"
    ),
}
OWN = {
    "id": "python/one",
    "language": "python",
    "entry_point": "one",
    "instruction": "Return 1.",
    "tests": "assert one() == 1",
}
TASKS: tuple[type[CodeTask], ...] = (RepairTask, GenerationTask, TranslationTask)


def answer(text: str) -> Generation:
    """Return a generation with this answer."""
    return Generation("1", (), text, "", {}, text, "test")


def run(task: CodeTask, row: Mapping[str, Any], *texts: str) -> Mapping[str, float]:
    """Return the scores of answers to one row."""
    cases = task.cases([row])
    return task.score_all(cases, [[answer(text) for text in texts]])[0]


def needs(language: str) -> None:
    """Skip a test where a language cannot be run."""
    if fault := fault_of(language):
        pytest.skip(f"{language}, {fault}")


@pytest.mark.parametrize("kind", TASKS)
def test_sample(kind: type[CodeTask]) -> None:
    """Of the embedded sample each task can ask four problems or more, whichever languages are installed."""
    task = kind(languages=["python", *(["javascript"] if not fault_of("javascript") else [])])
    assert isinstance(task, Task)
    assert isinstance(task, BatchTask)
    assert isinstance(task, PreparedTask)
    if kind is TranslationTask:
        needs("javascript")
    cases = task.cases(None)
    assert len({case.problem.key for case in cases}) >= 4
    assert len({case.id for case in cases}) == len(cases)


@pytest.mark.parametrize(
    "languages", [["python"], pytest.param(None, marks=pytest.mark.slow)], ids=["python", "all languages"]
)
def test_programs_of_the_sample(languages: list[str] | None) -> None:
    """Right programs of the sample pass and wrong ones do not, in every language; twice with the same figures."""
    task = GenerationTask(languages=languages)
    cases = task.cases(None)
    answers = [[answer(f"Here:\n```\n{case.problem.reference}```")] for case in cases]
    scores = task.score_all(cases, answers)
    assert [each["pass@1"] for each in scores] == [1.0] * len(cases)
    fast = [n for n, case in enumerate(cases) if case.problem.language == "python"]
    again = task.score_all([cases[n] for n in fast], [answers[n] for n in fast])
    assert again == [scores[n] for n in fast]
    wrong = task.score_all(cases, [[answer(f"```\n{case.problem.buggy}```")] for case in cases])
    assert [each["pass@1"] for each in wrong] == [0.0] * len(cases)
    assert {each["no_program"] for each in wrong} == {0.0}
    assert set(scores[0]) == set(task.metrics)


@pytest.mark.parametrize("kind", TASKS)
def test_requests(kind: type[CodeTask]) -> None:
    """The use is asked in words; its markers are added under fixed alone, and are values of the taxonomy."""
    if kind is TranslationTask:
        needs("javascript")
    task = kind(languages=["python", *(["javascript"] if not fault_of("javascript") else [])])
    values = {each.name: each.values for each in PAPER_TYPES}
    for case in task.cases(None):
        free, fixed = task.request(case, "inferred"), task.request(case, "fixed")
        assert task.request(case, "none") == free
        assert not free.markers
        assert free.prompt == fixed.prompt
        assert free.prompt[0].content in case.prompts
        assert case.problem.tests not in free.prompt[0].content
        assert set(fixed.markers) == {"task", "domain", "code_type"}
        assert all(value in values[name] for name, value in fixed.markers.items())
        assert task.slices(case)["language"] == fixed.markers["code_type"]


def test_what_is_asked() -> None:
    """Repair shows the bug and what is wanted, translation the source, generation neither."""
    (case,) = RepairTask().cases([PACK])
    assert case.text.startswith("Fix the bugs in half.")
    assert "number / 3" in case.text
    assert "half(-1) == -1" in case.text
    assert case.facts["bug"] == "value misuse"
    (docs,) = RepairTask(shows="docs").cases([PACK])
    assert "half(-1)" not in docs.text
    assert "rounded down" in docs.text
    (bare,) = RepairTask(shows="nothing").cases([PACK])
    assert "rounded down" not in bare.text
    (written,) = GenerationTask().cases([PACK])
    assert "rounded down" in written.text
    assert "number / " not in written.text
    needs("javascript")
    (moved,) = TranslationTask().cases([PACK, PACK_JS])
    assert "from Python" not in moved.text
    assert "Translate this Python code into JavaScript." in moved.text
    assert "floor(number / 2)" in moved.text
    assert "Math.floor" not in moved.text


@pytest.mark.parametrize("row", [PACK, HUMAN_EVAL, QUIXBUGS], ids=["pack", "humaneval", "quixbugs"])
def test_published_forms(row: Mapping[str, Any]) -> None:
    """In each published form the reference passes, and what is wrong does not."""
    task = GenerationTask() if "prompt" in row else RepairTask()
    (case,) = task.cases([row])
    assert run(task, row, f"```python\n{case.problem.reference}```")["pass@1"] == 1.0
    wrong = case.problem.buggy or case.problem.reference.replace("/ 2", "/ 3")
    assert run(task, row, f"```python\n{wrong}```")["pass@1"] == 0.0


def test_javascript_form() -> None:
    """JavaScript's asserts, which only print a warning by themselves, fail the run."""
    needs("javascript")
    task = RepairTask()
    (case,) = task.cases([PACK_JS])
    assert run(task, PACK_JS, case.problem.reference)["pass@1"] == 1.0
    assert run(task, PACK_JS, case.problem.buggy)["pass@1"] == 0.0
    muted = case.problem.buggy + "\nconsole.assert = () => {};\n"
    assert run(task, PACK_JS, f"```js\n{muted}```")["pass@1"] == 0.0
    assert run(task, PACK_JS, f"```js\n{case.problem.buggy}\nprocess.exit(0);\n```")["pass@1"] == 0.0
    assert run(task, PACK_JS, PACK_JS["canonical_solution"] + "\nThis halves it.")["pass@1"] == 1.0


def test_samples() -> None:
    """Of several answers pass@k is estimated without bias; a k above their number is left out."""
    right, wrong = "def one(): return 1", "def one(): return 2"
    task = GenerationTask(samples=5, k=[1, 2, 5, 100])
    assert set(task.metrics) == {"pass@1", "pass@2", "pass@5", "no_program", "timeouts"}
    scores = run(task, OWN, right, wrong, "No.", wrong, right)
    assert scores["pass@1"] == pytest.approx(0.4)
    assert scores["pass@2"] == pytest.approx(1 - 3 / 10)
    assert scores["pass@5"] == 1.0
    assert scores["no_program"] == pytest.approx(0.2)
    assert "pass@5" not in run(task, OWN, right, wrong)
    (case,) = task.cases([OWN])
    assert task.score(case, answer(right))["pass@1"] == 1.0


def told(task: CodeTask) -> list[str]:
    """Return what a task says before it is asked."""
    lines: list[str] = []
    task.prepare(Setting(make_config({}), create_plugins(third_party=False), say=lines.append))
    return lines


def test_what_is_left_out_is_told() -> None:
    """Rows of languages that are not run, without tests or without a source are counted in a line."""
    go = {**OWN, "id": "go/one", "language": "golang"}
    task = GenerationTask()
    assert len(task.cases([OWN, go, go])) == 1
    assert told(task) == ["code-generation: 2 cases are left out: 2 in Go, which cannot be run"]
    repair = RepairTask(languages=["py"])
    assert len(repair.cases([QUIXBUGS, {**QUIXBUGS, "name": "node", "pytest": None, "tests": ""}, PACK_JS])) == 1
    (line,) = told(repair)
    assert "1 without tests" in line
    assert "1 in JavaScript" in line
    assert len(repair.cases([QUIXBUGS])) == 1
    assert told(repair) == []
    with pytest.raises(DataError, match=r"no row is left to ask.*2 in Go"):
        task.cases([go, go])


def test_translation_pairs() -> None:
    """Rows of one problem are paired; source and targets can be chosen."""
    needs("javascript")
    back = TranslationTask(source="js", targets=["python"]).cases(None)
    assert {case.facts["pair"] for case in back} == {"javascript to python"}
    assert all(case.problem.language == "python" for case in back)
    task = TranslationTask(targets=["javascript"])
    assert len(task.cases([PACK, PACK_JS, {**PACK_JS, "task_id": "JavaScript/901"}])) == 1
    assert "1 without Python to translate from" in told(task)[0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "x"}, "row 2: task code-repair reads HumanEvalPack.*this one has prompt"),
        ({}, "row 2: .*this one has nothing"),
        ({"task_id": "Python/1", "prompt": "x"}, "row 2: .*needs a text in test, entry_point"),
        ({**PACK, "task_id": "Klingon/1"}, "row 2: .*'Klingon/1' does not begin with a programming language"),
        ({**PACK, "buggy_solution": None}, "row 2: .*needs a program with a bug .*Python/900"),
        ({**OWN, "buggy": "x", "language": "prose"}, "row 2: .*language 'prose' is no programming language"),
        ({**OWN, "buggy": "x", "tests": 3}, "row 2: .*needs a text in tests"),
        ({**QUIXBUGS, "buggy": None}, "row 2: .*needs a text in buggy"),
    ],
)
def test_bad_rows(row: Mapping[str, Any], message: str) -> None:
    """A row that cannot be used is named by its number, with what it lacks."""
    with pytest.raises(DataError, match=message):
        RepairTask().cases([PACK, row])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be above 0"),
        ({"seconds": -1}, "seconds must be above 0"),
        ({"k": []}, "k must be above 0"),
        ({"languages": ["klingon"]}, "'klingon' is no programming language"),
        ({"languages": ["go"]}, "Go cannot be run; can be: python"),
        ({"shows": "test"}, "did you mean 'tests'"),
    ],
)
def test_bad_options(options: Mapping[str, Any], message: str) -> None:
    """An option that makes no sense is named."""
    with pytest.raises(ConfigError, match=message):
        RepairTask(**options)


def test_sample_rows_are_whole() -> None:
    """Every row of the sample can be used for every task."""
    rows: Sequence[Mapping[str, Any]] = sample()
    assert len(rows) >= 12
    for number, row in enumerate(rows, 1):
        assert read_problem(number, json.loads(json.dumps(row)), "x", ("buggy", "reference", "instruction", "tests"))


def test_words_of_the_row_are_asked() -> None:
    """A row of our own form that says what to ask is asked so, whatever the task."""
    row = {"id": "a", "language": "python", "entry_point": "f", "tests": "assert f(1) == 2", "prompt": "Make f add 1."}
    for task in (RepairTask(), GenerationTask(), TranslationTask()):
        (case,) = task.cases([row])
        assert task.request(case, "inferred").prompt[0].content == "Make f add 1."
