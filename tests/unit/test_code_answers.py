"""Answers of the code tasks: the programs that are found in them, and that none passes its tests by accident."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.records import Generation
from ttmarkers_plugins.tasks.code import CodeTask, GenerationTask
from ttmarkers_plugins.tasks.code_extraction import find_program
from ttmarkers_plugins.tasks.code_harness import fault_of
from ttmarkers_plugins.tasks.code_problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

PACK = {
    "task_id": "Python/900",
    "prompt": 'from math import floor\n\n\ndef half(number: float) -> int:\n    """Halve a number, rounded down."""\n',
    "declaration": "from math import floor\n\n\ndef half(number: float) -> int:\n",
    "test": "def check(half):\n    assert half(5) == 2\n    assert half(-1) == -1\n\ncheck(half)",
    "entry_point": "half",
}
OWN = {
    "id": "python/one",
    "language": "python",
    "entry_point": "one",
    "instruction": "Return 1.",
    "tests": "assert one() == 1",
}


def run(task: CodeTask, row: Mapping[str, Any], *texts: str) -> Mapping[str, float]:
    """Return the scores of answers to one row."""
    return task.score_all(task.cases([row]), [[Generation("1", (), text, "", {}, text, "test") for text in texts]])[0]


def passes(program: str, row: Mapping[str, Any] = OWN, **options: Any) -> bool:
    """Tell whether a program passes the tests of a row."""
    return run(GenerationTask(**options), row, f"```\n{program}\n```")["pass@1"] == 1.0


BODY = "    return floor(number / 2)\n"
WHOLE = f"def half(number):\n{BODY}"


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{WHOLE}```",
        f"Sure, here it is.\n\n~~~~\n{WHOLE}~~~~\n\nIt halves.",
        f"```\npip install halves\n```\n```python\n{WHOLE}```\n```\nhalf(5)\n```",
        f"The bug in\n```js\nfunction half(n) {{}}\n```\nis gone:\n```py\n{WHOLE}```",
        f"1. Like this:\n   ```python\n   def half(number):\n   {BODY}   ```",
        f"```python\n{WHOLE}",
        WHOLE,
        f"Here you are:\n\n{WHOLE}\nIt rounds down, doesn't it?",
        f'from here on we halve.\n{WHOLE}\nThat\'s "all".',
        f"import os\nfrom math import floor\n\n{WHOLE}",
        f"from __future__ import annotations\n\n{WHOLE.replace('number)', 'number: floot)')}",
        f"```python\n{BODY}```",
        BODY,
        BODY.strip(),
        "if number is None:\n        return 0\n    return floor(number / 2)",
        f"{BODY}\n\nprint(half(3))\n",
        f"{BODY}\nThis works, as it rounds down.",
        PACK["prompt"] + BODY,
        "```python\nimport math\nhalf = lambda number: math.floor(number / 2)\n```",
        f"{WHOLE}\nif __name__ == '__main__':\n    raise SystemExit(3)\n",
        f"```python\n{WHOLE}\nprint('x' * 10**6)\n```",
    ],
)
def test_programs_are_found(text: str) -> None:
    """Programs are taken out of fences and prose, completed by the prompt's imports, or put below its declaration."""
    scores = run(GenerationTask(), PACK, text)
    assert scores == {"pass@1": 1.0, "no_program": 0.0, "timeouts": 0.0}


@pytest.mark.parametrize(
    "text", ["", "\n\n", "I cannot do that.", "yes", "floor", "Think of `half(5)`: it is 2.", "``` ```", "```\n```"]
)
def test_answers_without_a_program(text: str) -> None:
    """Prose is no program, even if Python could read it as one."""
    assert run(GenerationTask(), PACK, text) == {"pass@1": 0.0, "no_program": 1.0, "timeouts": 0.0}


def problem(language: str, declaration: str, entry: str = "f") -> Problem:
    """Return a problem of which only the declaration matters."""
    return Problem(f"{language}/1", language, entry, "", declaration)


@pytest.mark.parametrize(
    ("language", "declaration", "text", "found"),
    [
        ("javascript", "const f = (n) => {\n", "  return '}' + n; // }\n}\n\nconst g = 1;", "'}' + n; // }\n}"),
        (
            "javascript",
            "const f = (n) => {\n",
            "No }. Here:\n\nfunction f(n) {\n  return n;\n}\n\nBye.",
            "function f(n)",
        ),
        (
            "cpp",
            "#include <map>\nint f(int n){\n",
            "int f(int n) {\n  return n;\n}\nDone",
            "#include <map>\nint f(int n) {",
        ),
        (
            "cpp",
            "int g(){return 1;}\nint f(int n){\n",
            "```cpp\nint f(int n) { return g(); }\n```",
            "int g(){return 1;}",
        ),
        ("java", "class Solution {\n  int f(int n) {\n", "    return n;\n  }", "return n;\n  }\n}"),
        (
            "java",
            "class Solution {\n  int f(int n) {\n",
            "```java\nint f(int n) { return n; }\n```",
            "class Solution {\nint f",
        ),
        (
            "rust",
            "use std::fmt;\nfn f(n: &str) -> char {\n",
            "    let a: &'static str = \"{\";\n    '}'\n}\n}",
            "'}'\n}\n",
        ),
    ],
)
def test_languages_with_braces(language: str, declaration: str, text: str, found: str) -> None:
    """Bodies end with their brace, whatever stands in literals; helpers and classes of the prompt are put around."""
    program = find_program(text, problem(language, declaration))
    assert program is not None
    assert found in program
    assert "Done" not in program
    assert "Bye" not in program


def test_helpers_of_the_prompt() -> None:
    """A helper function of the prompt is there for an answer without it, and not put before one that has it."""
    given = problem("javascript", "const g = () => {\n  return 1;\n}\n\nconst f = () => {\n")
    assert "const g" in (find_program("const f = () => g();", given) or "")
    own = find_program("const g = () => 2;\nconst f = () => g();", given)
    assert own is not None
    assert own.count("const g") == 1


@pytest.mark.parametrize(
    "program",
    [
        "def one(): return 2",
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "def one():\n    import os\n    os._exit(0)",
        "def one():\n    raise SystemExit(0)",
        "class Any:\n    def __eq__(self, other): return True\ndef one(): return Any()",
        "import builtins\nbuiltins.AssertionError = SystemExit\ndef one(): exit()",
        "print('ok')\nprint('passed')\ndef two(): return 1",
        "def one(:",
        "def one(): return one()",
        "def one():\n    try:\n        return 1 / 0\n    finally:\n        open('/etc/passwd', 'w')",
        "one = [" + "0, " * 100_000,
        "def one():\n    return bytearray(10**10)",
        "\udc80",
    ],
)
def test_nothing_passes_by_accident(program: str) -> None:
    """Programs that end early, equal everything, do not parse or break a limit fail, and do not disturb the others."""
    task = GenerationTask(samples=2, seconds=5)
    scores = run(task, OWN, f"```\n{program}\n```", "def one():\n    return 1\n")
    assert scores["pass@1"] == 0.5
    assert scores["timeouts"] == 0.0


def test_equality_of_their_own() -> None:
    """Answers that equal what they should are taken, also if they are of a class that says how."""
    tests = "assert make() == Near(2)\nassert make() != Near(9)"
    row = {**OWN, "entry_point": "make", "tests": f"Near = type(make())\n{tests}"}
    near = "class Near:\n    def __init__(self, n): self.n = n\n    def __eq__(self, other): return {}\n"
    near += "def make(): return Near(2)"
    assert passes(near.format("self.n == getattr(other, 'n', None)"), row)
    assert not passes(near.format("True"), row)


@pytest.mark.parametrize(
    "program",
    [
        "def one():\n    while True: pass",
        "import time\ndef one(): time.sleep(100)",
        "import os\ndef one():\n    while True:\n        os.fork()",
    ],
    ids=["loop", "sleep", "forks"],
)
def test_endless_programs(program: str) -> None:
    """An endless program ends as a failed case; one that is late is counted as such."""
    scores = run(GenerationTask(seconds=1), OWN, program)
    assert scores["pass@1"] == 0.0
    if "fork" not in program:
        assert scores["timeouts"] == 1.0


def test_compiled_programs_are_stopped() -> None:
    """A compiled program has the time that was given, beyond that of its compiler."""
    if fault := fault_of("cpp"):
        pytest.skip(f"C++, {fault}")
    row = {
        "id": "cpp/one",
        "language": "C++",
        "entry_point": "one",
        "instruction": "1",
        "tests": "int main() { assert(one() == 1); }",
    }
    task = GenerationTask(seconds=0.5, samples=4, k=[1, 4])
    endless = "int one() { volatile int n = 0; while (true) n = n + 1; }"
    early = "#include <cstdlib>\nint one() { exit(0); }\nint main() { return 0; }"
    scores = run(task, row, "int one() { return 1; }", endless, early, "int one() { return 1 }")
    assert scores == {"pass@1": 0.25, "pass@4": 1.0, "no_program": 0.0, "timeouts": 0.25}


@pytest.mark.parametrize("language", ["python", "javascript", "cpp", "java", "rust"])
@pytest.mark.parametrize("piece", ["word ", " ", "int f(", "def f(\n", "{", "* ", "'", "const f = ", "a"])
def test_endless_answers_are_read_in_no_time(language: str, piece: str) -> None:
    """Looking for a program takes no time that grows out of hand with answers that only repeat something."""
    begin = time.perf_counter()
    find_program(piece * (16_000 // len(piece)) + "x", problem(language, "int f(int n) {\n"))
    assert time.perf_counter() - begin < 5
