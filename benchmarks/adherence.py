"""Adherence by marker, and what happens to the other markers.

    python benchmarks/adherence.py MODEL HELD_OUT.jsonl [--limit 100] [--values 3] [--strengths 1.5 3]

Each prompt is asked for one marker at a time, under ``fixed`` and under ``guided`` with each strength. The answer's
markers are found again by the extractors that annotate data; those that only a tagger finds (task, domain) cannot be
checked so and are left out. An answer *adheres* if the marker found equals the one that was asked for; a number, if it
is within a tenth of it or one off. What the same prompts give under ``inferred`` is the share that adheres unasked.
*Spill-over* of another marker is the share of answers in which it differs from the answer under ``inferred``.
95 % bootstrap intervals over prompts. Prints a Markdown table; ``-o`` keeps every answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.plan import make_plan
from ttmarkers.config import make_config
from ttmarkers.decoding.run import load_engine, run_policy
from ttmarkers.evaluation.finding import adheres
from ttmarkers.marked import read_marked
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.records import Example, MarkedExample, Origin, Request
from ttmarkers.statistics import mean
from ttmarkers.taxonomies.taxonomy import make_taxonomy

PLUGINS = create_plugins(third_party=False)
NUMBERS = {"length_tokens": (10, 20, 50, 100), "length_sentences": (1, 3, 6), "length_paragraphs": (1, 3)}


def main() -> None:
    """Read the options, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--values", type=int, default=3, help="values of a category, the most frequent in training")
    parser.add_argument("--strengths", type=float, nargs="*", default=[1.5, 3.0])
    parser.add_argument("--most", type=int, default=200, help="new tokens")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    bench = Adherence(arguments)
    print(bench.head(), flush=True)
    for name, value in bench.asked():
        print(bench.row(name, value), flush=True)
    if arguments.output:
        arguments.output.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in bench.kept))


class Adherence:
    """Asks a model, and finds the markers of its answers."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        config = make_config({"decode": {"max_new_tokens": arguments.most}})
        self.engine = load_engine(arguments.model, config.decode)
        full = make_taxonomy(PLUGINS.marker_types().all())
        rows = list(read_marked([arguments.rows], full))
        self.examples: list[MarkedExample] = [row for row in rows if len(row.prompt[-1].content) < 800]
        self.examples = self.examples[: arguments.limit]
        plan = make_plan(full, config.markers, PLUGINS.extractors())
        self.extraction = Extraction(plan)
        found = {name for step in plan.steps if step.component.default for name in step.component.markers}
        self.names = [name for name in self.engine.template.names if name in found]
        self.arguments, self.kept = arguments, []  # type: ignore[var-annotated]
        self.free = self.markers("inferred", {}, {})

    def asked(self) -> list[tuple[str, Any]]:
        """Return what is asked for: the most frequent values, and some numbers."""
        counts = self.engine.checkpoint.counts if self.engine.checkpoint else {}
        found: list[tuple[str, Any]] = []
        for name in self.names:
            if self.engine.template.taxonomy.get(name).values:
                ranked = sorted(counts.get(name, {}).items(), key=lambda item: -item[1])
                found += [(name, value) for value, _ in ranked[: self.arguments.values]]
            else:
                found += [(name, number) for number in NUMBERS.get(name, ())]
        return found

    def markers(self, policy: str, asked: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the markers of the answers to all prompts."""
        requests = [Request(example.id, example.prompt, asked) for example in self.examples]
        answers = list(run_policy(policy, PLUGINS.policies(), self.engine, requests, options))
        again = [
            Example(answer.id, answer.prompt, answer.text or " ", {}, Origin("answers", number))
            for number, answer in enumerate(answers, 1)
        ]
        found = [dict(row.markers) for row in self.extraction.run(again)]
        for answer, markers in zip(answers, found, strict=True):
            self.kept.append(
                {"policy": policy, "asked": asked, "options": options, "text": answer.text, "found": markers}
            )
        return found

    def head(self) -> str:
        """Return the table's head."""
        guided = [f"guided {strength:g}" for strength in self.arguments.strengths]
        titles = [
            "asked for",
            "inferred",
            "fixed",
            *guided,
            *(f"{name} changed" for name in self.names),
            "median tokens",
        ]
        return f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}"

    def row(self, name: str, value: Any) -> str:
        """Return one line: adherence under each policy, and the spill-over under fixed."""
        fixed = self.markers("fixed", {name: value}, {})
        cells = [f"{name} = {value}", self.share(self.free, name, value), self.share(fixed, name, value)]
        for strength in self.arguments.strengths:
            led = self.markers("guided", {name: value}, {"guided": {"strength": strength}})
            cells.append(self.share(led, name, value))
        for other in self.names:
            pairs = zip(self.free, fixed, strict=True)
            changed = [float(before.get(other) != after.get(other)) for before, after in pairs]
            cells.append("" if other == name else text(changed))
        lengths = [found.get("length_tokens", 0) for found in fixed]
        return f"| {' | '.join([*cells, f'{statistics.median(lengths):g}'])} |"

    def share(self, found: list[dict[str, Any]], name: str, value: Any) -> str:
        """Return the share of answers that have a marker."""
        return text([float(adheres(markers.get(name), value)) for markers in found])


def text(hits: list[float]) -> str:
    """Return a share with its interval, in per cent."""
    found = mean(hits, share=True)
    return f"{100 * found.value:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


if __name__ == "__main__":
    main()
