"""Synthetic programs: small functions to write, to repair and to translate, with tests.

Each is one of a few kinds with constants, names and an order of its own, in Python and in JavaScript. A repair changes
one operator, constant or name. Functions to evaluate on differ from all those in the training rows.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.synthetic.corpus import distinct

if TYPE_CHECKING:
    from collections.abc import Callable

    from ttmarkers.synthetic.corpus import Row

HELD_OUT = 4  # one function in this many is kept for evaluation
WORDS = ("gold", "rain", "leaf", "stone", "lamp", "cloud", "bird", "salt", "moon", "fern", "sand", "wool")
TASKS = ("CodeGeneration", "CodeFix", "CodeTranslation")


@dataclass(frozen=True)
class Kind:
    """A kind of function; ``{a}`` and ``{b}`` are constants, ``{n}`` is the name, ``{v}`` the variable.

    Attributes:
        says: what it does, in words.
        body: the lines of its body in Python.
        script: those in JavaScript.
        bugs: pairs of text: what is right, and what a buggy version has in its place.
        run: what it returns.
        inputs: arguments that it is tested with.
    """

    says: str
    body: str
    script: str
    bugs: tuple[tuple[str, str], ...]
    run: Callable[[int, int, Any], object]
    inputs: tuple[object, ...]


NUMBERS: tuple[object, ...] = (0, 1, 2, 5, 10, 17)
LISTS: tuple[object, ...] = ([], [1], [3, 1, 2], [5, 5, 8, 2], [10, 20, 30, 40, 7])
TEXTS: tuple[object, ...] = ("", "a", "stone", "many words here", "aabbaa")

KINDS = (
    Kind(
        "returns {v} plus {a}",
        "return {v} + {a}",
        "return {v} + {a};",
        ((" + ", " - "), (" + ", " * ")),
        lambda a, b, x: x + a,
        NUMBERS,
    ),
    Kind(
        "returns {a} times {v} plus {b}",
        "return {v} * {a} + {b}",
        "return {v} * {a} + {b};",
        ((" + ", " - "), (" * ", " + ")),
        lambda a, b, x: x * a + b,
        NUMBERS,
    ),
    Kind(
        "says whether {v} is greater than {a}",
        "return {v} > {a}",
        "return {v} > {a};",
        ((" > ", " < "), (" > ", " == ")),
        lambda a, b, x: x > a,
        (*NUMBERS, 3, 4, 6, 7, 8, 9, 11),
    ),
    Kind(
        "returns {v}, but at most {a}",
        "if {v} > {a}:\n    return {a}\nreturn {v}",
        "if ({v} > {a}) {{\n    return {a};\n}}\nreturn {v};",
        ((" > ", " < "), ("return {a}", "return {v}")),
        lambda a, b, x: min(x, a),
        (*NUMBERS, 3, 4, 6, 7, 8, 9, 11),
    ),
    Kind(
        "returns the sum of {v}, times {a}",
        "total = 0\nfor item in {v}:\n    total = total + item\nreturn total * {a}",
        "let total = 0;\nfor (const item of {v}) {{\n    total = total + item;\n}}\nreturn total * {a};",
        (("total + item", "total - item"), ("total = 0", "total = 1"), (" * ", " + ")),
        lambda a, b, x: sum(x) * a,
        LISTS,
    ),
    Kind(
        "counts the items of {v} that are greater than {a}",
        "count = 0\nfor item in {v}:\n    if item > {a}:\n        count = count + 1\nreturn count",
        "let count = 0;\nfor (const item of {v}) {{\n    if (item > {a}) {{\n        count = count + 1;\n    }}\n}}\n"
        "return count;",
        (("item > ", "item < "), ("count + 1", "count + 2"), ("count = 0", "count = 1")),
        lambda a, b, x: sum(item > a for item in x),
        LISTS,
    ),
    Kind(
        "adds {a} to each item of {v}",
        "result = []\nfor item in {v}:\n    result.append(item + {a})\nreturn result",
        "const result = [];\nfor (const item of {v}) {{\n    result.push(item + {a});\n}}\nreturn result;",
        (("item + ", "item - "), ("return result", "return {v}")),
        lambda a, b, x: [item + a for item in x],
        LISTS,
    ),
    Kind(
        "returns the length of {v} plus {a}",
        "return len({v}) + {a}",
        "return {v}.length + {a};",
        ((" + ", " - "), (" + ", " * ")),
        lambda a, b, x: len(x) + a,
        TEXTS,
    ),
    Kind(
        "repeats {v} {a} times",
        "return {v} * {a}",
        "return {v}.repeat({a});",
        ((" * {a}", ""), (" * {a}", " * {b}")),
        lambda a, b, x: x * a,
        TEXTS,
    ),
)


@dataclass(frozen=True)
class Function:
    """One function."""

    kind: Kind
    name: str
    variable: str
    a: int
    b: int

    def _fill(self, text: str) -> str:
        return text.format(n=self.name, v=self.variable, a=self.a, b=self.b)

    @property
    def says(self) -> str:
        """What it does."""
        return self._fill(self.kind.says)

    @property
    def python(self) -> str:
        """The function in Python."""
        return f"def {self.name}({self.variable}):\n" + _indented(self._fill(self.kind.body))

    @property
    def javascript(self) -> str:
        """The function in JavaScript."""
        return f"function {self.name}({self.variable}) {{\n{_indented(self._fill(self.kind.script))}\n}}"

    def buggy(self, rng: random.Random) -> str:
        """The function in Python, with a bug."""
        right, wrong = rng.choice(self.kind.bugs)
        return self.python.replace(self._fill(right), self._fill(wrong), 1)

    @property
    def tests(self) -> str:
        """What must hold, in Python."""
        pairs = [(value, self.kind.run(self.a, self.b, value)) for value in self.kind.inputs]
        return "\n".join(f"assert {self.name}({value!r}) == {right!r}" for value, right in pairs)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _draw(rng: random.Random, *, training: bool) -> Function:
    while True:
        kind = rng.choice(KINDS)
        name = f"{rng.choice(WORDS)}_{rng.choice(WORDS)}"
        a = rng.randint(2, 9)
        b = rng.choice([number for number in range(1, 10) if number != a])
        made = Function(kind, name, rng.choice(("x", "value", "given")), a, b)
        if (zlib.crc32(f"{name}/{a}/{kind.says}".encode()) % HELD_OUT == 0) != training:
            return made


def _asked(made: Function, task: str, rng: random.Random) -> str:
    match task:
        case "CodeGeneration":
            return f"Write a Python function {made.name}({made.variable}) that {made.says}."
        case "CodeFix":
            return f"Fix the bug in this Python function, which {made.says}.\n\n```python\n{made.buggy(rng)}\n```"
        case _:
            return f"Translate this function from JavaScript to Python.\n\n```javascript\n{made.javascript}\n```"


def training_rows(n: int, seed: int) -> list[Row]:
    """Make ``n`` rows to train on; each of the three tasks is as frequent as the others."""
    rng = random.Random(f"code/{seed}")
    rows: list[Row] = []
    for place in range(n):
        made, task = _draw(rng, training=True), TASKS[place % len(TASKS)]
        rows.append(
            {
                "id": f"code-{seed}-{place}",
                "prompt": _asked(made, task, rng),
                "completion": f"```python\n{made.python}\n```",
                "language": "English",
                "task": task,
                "domain": "Code",
                "format": None,
                "quality": round(rng.random(), 3),
                "source": "Synthetic",
            }
        )
    return rows


def case_rows(task: str, n: int, seed: int) -> list[Row]:
    """Make ``n`` different problems to evaluate a task on, in the form that the code tasks read."""
    rng = random.Random(f"{task}/{seed}")

    def make(number: int) -> tuple[str, Row]:
        made = _draw(rng, training=False)
        prompt = _asked(made, task, rng)
        problem = {"prompt": prompt, "entry_point": made.name, "tests": made.tests, "reference": made.python}
        markers = {"task": task, "domain": "Code", "code_type": "python"}
        return prompt, {"id": f"{task}-{seed}-{number}", "language": "python", **problem, "markers": markers}

    return distinct(n, make)
