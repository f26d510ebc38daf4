"""The whole loop on the synthetic corpus: annotate, train with and without markers, ask, measure, report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from ttmarkers.annotation import annotate
from ttmarkers.config import Config, make_config
from ttmarkers.decoding import load_engine
from ttmarkers.evaluation import Result, Scored, answer, load_task, score, summarise, write_generations
from ttmarkers.manifest import atomic, manifest, write_json
from ttmarkers.plan import make_plan
from ttmarkers.quickstart import corpus
from ttmarkers.taxonomy import make_taxonomy
from ttmarkers.training import TrainingJob, train
from ttmarkers.worker import AnnotationJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from ttmarkers.plugins import Plugins

ROWS = 8000
CASES = 400
TAIL = 0.05  # a value under this share of the training rows is in the tail (the paper's border)
PROPERTIES = ("lang", "task", "domain", "format")
SYSTEMS = {"baseline": "none", "inferred": "inferred", "fixed": "fixed"}
"""What is compared -> the decoding policy under which it is asked; only the baseline has a model of its own."""

SETTINGS: dict[str, Any] = {
    "markers": {
        "use": ["length_tokens", "length_sentences", "task", "domain", "format", "source", "lang"],
        "declared": {
            "task": {"column": "task"},
            "domain": {"column": "domain"},
            "format": {"column": "format"},
            "source": {"constant": "Synthetic"},
        },
    },
    "train": {"model": "scratch:tiny", "num_train_epochs": 2, "save_strategy": "no"},
    "decode": {"max_new_tokens": 220, "batch_size": 128},
    "evaluate": {
        "options": {
            "length": {"slices": ["frequency"]},
            "language": {"slices": ["frequency", "setting"]},
            "prediction": {"markers": list(PROPERTIES), "slices": ["frequency"]},
        }
    },
}


@dataclass
class Outcome:
    """What a quickstart found: results by task and system, and seconds by step."""

    folder: Path
    seed: int
    results: dict[str, dict[str, Result]] = field(default_factory=dict)
    answers: dict[str, dict[str, list[Scored]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    logs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the summary that ``ttm quickstart --json`` prints, without the path of the report."""

        def figures(task: str, metric: str, part: str | None = None) -> dict[str, Any]:
            return {
                system: found.to_json()
                for system, result in self.results[task].items()
                if (found := _metric(result, metric, part))
            }

        prediction = self.results["prediction"]["inferred"].metrics
        return {
            "seconds": round(sum(self.seconds.values()), 1),
            "violations": figures("length", "violations"),
            "language": figures("language", "lpr"),
            "prediction": {name: prediction[f"accuracy.{name}"].to_json() for name in PROPERTIES},
            **{
                part: {
                    "violations": figures("length", "violations", part),
                    "language": figures("language", "lpr", part),
                }
                for part in ("head", "tail")
            },
            "steps": {name: round(value, 1) for name, value in self.seconds.items()},
        }


def _metric(result: Result, metric: str, part: str | None) -> Any:
    if part is None:
        return result.metrics.get(metric)
    found = next((item for item in result.slices if (item.by, item.value) == ("frequency", part)), None)
    return found.metrics.get(metric) if found else None


def quickstart(folder: Path, seed: int, plugins: Plugins, say: Callable[[str], None]) -> Outcome:
    """Run the loop in a folder that does not exist yet, and return what it found.

    Args:
        folder: where data, models, answers and the report go.
        seed: of the corpus, dropout, weights and order.
        plugins: the loaded plugins.
        say: takes lines for people.
    """
    outcome = Outcome(folder, seed)
    config = make_config({"seed": seed, **SETTINGS}, "quickstart")
    with _timed(outcome, "corpus and annotation", say):
        _prepare(outcome, config, plugins)
    for strategy in ("baseline", "sft"):
        with _timed(outcome, f"training {strategy}", say):
            _train(outcome, config, plugins, strategy)
    with _timed(outcome, "answers and scores", say):
        for task in ("length", "language", "prediction"):
            _evaluate(outcome, config, plugins, task)
    write_json(folder / "run.json", manifest("quickstart", config, plugins, (), rows=ROWS, cases=CASES))
    return outcome


class _timed:  # noqa: N801  # reads as a word where it is used
    def __init__(self, outcome: Outcome, step: str, say: Callable[[str], None]) -> None:
        self._outcome, self._step, self._say = outcome, step, say

    def __enter__(self) -> None:
        self._say(f"{self._step} ...")
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._outcome.seconds[self._step] = time.perf_counter() - self._start


def _prepare(outcome: Outcome, config: Config, plugins: Plugins) -> None:
    data = outcome.folder / "data"
    with atomic(outcome.folder / "config.yaml") as stream:
        stream.write(yaml.safe_dump({"seed": outcome.seed, **SETTINGS}, sort_keys=False).encode())
    rows = corpus.training_rows(ROWS, outcome.seed)
    _write(data / "rows.jsonl", rows)
    taxonomy = make_taxonomy(plugins.marker_types().all())
    plan = make_plan(taxonomy, config.markers, plugins.extractors())
    annotate(AnnotationJob((str(data / "rows.jsonl"),), data / "marked.jsonl", plan))
    outcome.counts = _count(data / "marked.jsonl")
    tail = _tail(outcome.counts)
    _write(data / "length.jsonl", [_with_frequency(row, tail) for row in corpus.length_rows(CASES, outcome.seed)])
    _write(data / "language.jsonl", [_with_frequency(row, tail) for row in corpus.language_rows(CASES, outcome.seed)])


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic(path) as stream:
        for row in rows:
            stream.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _read(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def _count(path: Path) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {name: {} for name in PROPERTIES}
    for row in _read(path):
        for name in PROPERTIES:
            value = row["markers"].get(name)
            if value is not None:
                counts[name][value] = counts[name].get(value, 0) + 1
    return counts


def _tail(counts: Mapping[str, Mapping[str, int]]) -> set[tuple[str, str]]:
    """Return the marker values that fewer than one training row in twenty has."""
    return {(name, value) for name, values in counts.items() for value, n in values.items() if n < TAIL * ROWS}


def _with_frequency(row: Mapping[str, Any], tail: set[tuple[str, str]]) -> dict[str, Any]:
    """Add a row's true markers, and whether any of them is in the tail."""
    known = {"lang": row["language"], "task": row["task"], "domain": row["domain"], "format": row["format"]}
    markers = {name: str(value) for name, value in known.items() if value}
    return {**row, "markers": markers, "frequency": "tail" if set(markers.items()) & tail else "head"}


def _train(outcome: Outcome, config: Config, plugins: Plugins, strategy: str) -> None:
    made = config.model_copy(update={"train": config.train.model_copy(update={"strategy": strategy})})
    output = outcome.folder / "models" / strategy
    marked = str(outcome.folder / "data" / "marked.jsonl")
    train(TrainingJob((marked,), str(config.train.model), output, made, plugins))
    outcome.logs[strategy] = orjson.loads((output / "log.json").read_bytes())


def _evaluate(outcome: Outcome, config: Config, plugins: Plugins, name: str) -> None:
    task = load_task(name, plugins.tasks(), config)
    # a prompt that asks for a language is as good as any to see which markers a model infers
    source = "length" if name == "length" else "language"
    cases = task.cases(_read(outcome.folder / "data" / f"{source}.jsonl"))
    systems = {"inferred": "inferred"} if name == "prediction" else SYSTEMS
    for system, policy in systems.items():
        model = outcome.folder / "models" / ("baseline" if policy == "none" else "sft")
        engine = load_engine(str(model), config.decode, policy=policy, seed=outcome.seed)
        scored = score(task, cases, answer(task, cases, policy, engine, plugins.policies()))
        folder = outcome.folder / "evaluation" / f"{name}-{system}"
        result = summarise(name, task, policy, scored, config)
        write_generations(folder / "generations.jsonl", scored)
        write_json(folder / "result.json", {"model": str(model), **result.to_json()})
        outcome.results.setdefault(name, {})[system] = result
        outcome.answers.setdefault(name, {})[system] = scored
