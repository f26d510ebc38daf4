"""Run a task: ask, score, slice. Answers are stored before they are scored, and scored again for nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from ttmarkers.errors import ConfigError, DataError
from ttmarkers.manifest import atomic
from ttmarkers.protocols import Task
from ttmarkers.records import Generation, Metric
from ttmarkers.registry import build
from ttmarkers.statistics import Estimate, mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.components import PolicyComponent, TaskComponent
    from ttmarkers.config import Config
    from ttmarkers.generation import Engine
    from ttmarkers.records import Value
    from ttmarkers.registry import Registry

ENFORCED = "enforced"


@dataclass(frozen=True)
class Slice:
    """Results of the cases that share a property: ``by`` names it, ``value`` says what it is."""

    by: str
    value: str
    n: int
    metrics: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Return the slice as ``ttm evaluate --json`` prints it."""
        metrics = {name: estimate.to_json() for name, estimate in self.metrics.items()}
        return {"by": self.by, "is": self.value, "n": self.n, "metrics": metrics}


@dataclass(frozen=True)
class Result:
    """A task's figures for one model under one policy."""

    task: str
    policy: str
    n: int
    metrics: Mapping[str, Estimate]
    slices: Sequence[Slice] = ()
    meaning: Mapping[str, Metric] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as ``ttm evaluate --json`` prints it."""
        return {
            "task": self.task,
            "policy": self.policy,
            "n": self.n,
            "metrics": {name: estimate.to_json() for name, estimate in self.metrics.items()},
            "slices": [part.to_json() for part in self.slices],
            "meaning": {name: asdict(metric) for name, metric in self.meaning.items()},
        }


@dataclass(frozen=True)
class Scored:
    """One case with its answer and its figures."""

    generation: Generation
    scores: Mapping[str, float]
    slices: Mapping[str, str]


def load_task(name: str, registry: Registry[TaskComponent], config: Config) -> Task:
    """Make a task with the options that the config gives it."""
    component = registry.get(name, where="--task")
    for other in config.evaluate.options:
        registry.get(other, where="evaluate.options")
    task = build(component, config.evaluate.options.get(name, {}), where=f"evaluate.options.{name}")
    if not isinstance(task, Task):
        raise ConfigError(f"task {component.name!r} lacks a method of ttmarkers.protocols.Task")
    return task


class Asked(Protocol):
    """What is asked for beside what a task asks."""

    @property
    def markers(self) -> Mapping[str, Value]:
        """Markers to ask for; those of the task come first."""
        raise NotImplementedError

    @property
    def negative(self) -> Mapping[str, Value]:
        """Markers to lead away from."""
        raise NotImplementedError

    @property
    def options(self) -> Mapping[str, Mapping[str, Any]]:
        """Arguments of policies, by name."""
        raise NotImplementedError


def answer(
    task: Task,
    cases: Sequence[Any],
    policy: str,
    engine: Engine,
    registry: Registry[PolicyComponent],
    progress: Callable[[int], None] | None = None,
    asked: Asked | None = None,
) -> list[Generation]:
    """Ask a model all cases of a task under a policy, which says how the task is to ask (``PolicyComponent.asks``)."""
    from ttmarkers.decoding import run_policy

    generations = []
    asks = registry.get(policy, where="decode.policy").asks
    requests = (task.request(case, asks) for case in cases)
    if asked:
        both = asked
        requests = (
            replace(request, markers={**both.markers, **request.markers}, negative=both.negative)
            for request in requests
        )
    for generation in run_policy(policy, registry, engine, requests, asked.options if asked else None):
        generations.append(generation)
        if progress:
            progress(1)
    return generations


def score(task: Task, cases: Sequence[Any], generations: Sequence[Generation]) -> list[Scored]:
    """Score the answers to cases, given in the same order.

    If any answer was cut to a limit, the share of these is a metric of its own: they did not obey.
    """
    cut = any(generation.enforced for generation in generations)
    return [
        Scored(
            generation,
            {**task.score(case, generation), **({ENFORCED: float(bool(generation.enforced))} if cut else {})},
            task.slices(case),
        )
        for case, generation in zip(cases, generations, strict=True)
    ]


def summarise(name: str, task: Task, policy: str, scored: Sequence[Scored], config: Config) -> Result:
    """Return the figures of scored cases: over all, and by each slice.

    Every metric is the mean over the cases that it applies to, with a 95 % bootstrap interval over cases.
    """
    cut = any(ENFORCED in item.scores for item in scored)
    meanings = {**task.metrics, **({ENFORCED: Metric("lower")} if cut else {})}

    def figures(part: Sequence[Scored]) -> dict[str, Estimate]:
        found = {}
        for metric, meaning in meanings.items():
            values = [item.scores[metric] for item in part if metric in item.scores]
            if values:
                found[metric] = mean(values, share=meaning.share, resamples=config.evaluate.resamples, seed=config.seed)
        return found

    groups: dict[tuple[str, str], list[Scored]] = {}
    for item in scored:
        for by, value in item.slices.items():
            groups.setdefault((by, value), []).append(item)
    slices = [
        Slice(by, value, len(part), figures(part)) for (by, value), part in sorted(groups.items(), key=lambda g: g[0])
    ]
    return Result(name, policy, len(scored), figures(scored), slices, meanings)


def match_generations(cases: Sequence[Any], rows: Iterable[tuple[Any, Mapping[str, Any]]]) -> list[Generation]:
    """Find the stored answer to each case, by ``id`` or else by ``prompt``.

    Args:
        cases: of the task.
        rows: origins and rows with ``id`` or ``prompt``, and ``text``, ``output`` or ``completion``.

    Raises:
        DataError: for a row without an answer, or a case that no row answers.
    """
    stored: dict[str, tuple[str, str]] = {}
    for origin, row in rows:
        text = next((row[key] for key in ("text", "output", "completion") if isinstance(row.get(key), str)), None)
        if text is None:
            raise DataError(f"{origin}: there is no answer: use a column text, output or completion")
        for key in ("id", "prompt", "instruction"):
            if row.get(key) is not None:
                stored[f"{key}={row[key]}"] = (text, str(row.get("raw") or text))
    generations = []
    for case in cases:
        keys = [
            f"id={case.id}",
            *(f"{key}={prompt}" for key in ("prompt", "instruction") for prompt in case.prompts),
        ]
        found = next((stored[key] for key in keys if key in stored), None)
        if found is None:
            raise DataError(f"no stored answer belongs to case {case.id!r}: answers are matched by id or prompt")
        generations.append(Generation(case.id, (), found[1], "", {}, found[0], "stored"))
    return generations


def write_generations(path: Path, scored: Iterable[Scored]) -> None:
    """Write each case's prompt, answer, raw text, markers and scores, a row a line."""
    with atomic(path) as stream:
        for item in scored:
            entry = {
                **generation_row(item.generation),
                "scores": dict(item.scores),
                "slices": dict(item.slices),
            }
            stream.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


def generation_row(generation: Generation) -> dict[str, Any]:
    """Return a generation as ``ttm generate --json`` prints it."""
    turns = [{"role": turn.role, "content": turn.content} for turn in generation.prompt]
    plain = len(turns) == 1 and turns[0]["role"] == "user"
    return {
        "id": generation.id,
        "prompt": turns[0]["content"] if plain else turns,
        "text": generation.text,
        "markers": dict(generation.markers),
        "raw": generation.raw,
        "policy": generation.policy,
        "fault": generation.fault,
        "stats": dict(generation.stats),
        **({"chances": _rounded(generation.chances)} if generation.chances else {}),
        **({"enforced": generation.enforced} if generation.enforced else {}),
    }


def _rounded(chances: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return probabilities to six digits: what lies behind them depends on the batch."""
    return {name: {value: round(chance, 6) for value, chance in found.items()} for name, found in chances.items()}
