"""How long it takes to run the answers to the code tasks.

    python benchmarks/code_tasks.py [--problems 164] [--samples 5] [--loops 0.02] [--seconds 10]

Problems are made up in HumanEval's form, each with its own function and seven asserts. The answers to each all differ,
and about half are right; a share of them (``--loops``) never ends and takes its whole time. Prints the time of scoring
alone, and the figures, which must be what the answers were made to give.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

from ttmarkers.records import Generation
from ttmarkers.sandbox.programs import protections
from ttmarkers_plugins.tasks.code import GenerationTask

RIGHT = """Here it is:

```python
def {name}(numbers: List[int]) -> int:
    total = {extra}
    for number in numbers:
        total += number * {factor}
    # {version}
    return total
```

This is version {version}."""


def problem(number: int) -> dict[str, Any]:
    """Return a row in HumanEval's form: a sum of multiples, and something added to it."""
    name, factor = f"weighted_{number}", number % 7 + 2
    tests = "".join(f"    assert candidate({list(range(n))}) == {factor * sum(range(n)) + number}\n" for n in range(7))
    prompt = (
        f'from typing import List\n\n\ndef {name}(numbers: List[int]) -> int:\n    """Sum {factor} times each number, '
    )
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'{prompt}and add {number}."""\n',
        "entry_point": name,
        "canonical_solution": f"    return {factor} * sum(numbers) + {number}\n",
        "test": f"\n\nMETADATA = {{}}\n\n\ndef check(candidate):\n{tests}\n",
    }


def answers(number: int, samples: int, loops: float, draw: random.Random) -> list[str]:
    """Return answers to a problem: right ones, wrong ones, and now and then one that never ends."""
    found = []
    for version in range(samples):
        text = RIGHT.format(
            name=f"weighted_{number}", extra=number + (draw.random() < 0.5), factor=number % 7 + 2, version=version
        )
        found.append(text.replace("return total", "while True: pass") if draw.random() < loops else text)
    return found


def main() -> None:
    """Read the options, score, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=164)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--loops", type=float, default=0.02)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    draw = random.Random(0)
    task = GenerationTask(samples=arguments.samples, k=(1, arguments.samples), seconds=arguments.seconds)
    cases = task.cases([problem(number) for number in range(arguments.problems)])
    texts = [answers(number, arguments.samples, arguments.loops, draw) for number in range(arguments.problems)]
    given = [[Generation("", (), text, "", {}, text, "none") for text in each] for each in texts]
    right = sum(
        f"total = {number}\n" in text and "while" not in text for number, each in enumerate(texts) for text in each
    )
    start = time.perf_counter()
    scores = task.score_all(cases, given)
    taken = time.perf_counter() - start
    count = arguments.problems * arguments.samples
    print(f"{count} programs in {taken:.1f} s ({1000 * taken / count:.0f} ms each); held by {protections().text()}")
    for metric in task.metrics:
        print(f"{metric}: {sum(each[metric] for each in scores) / len(scores):.4f}")
    print(f"made to pass: {right / count:.4f}")


if __name__ == "__main__":
    main()
