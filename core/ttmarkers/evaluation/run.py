"""Run a task: ask, score, slice. Answers are stored before they are scored, and scored again for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from ttmarkers.errors import ConfigError, DataError
from ttmarkers.evaluation.results import ENFORCED, Scored
from ttmarkers.evaluation.tail import make_tail
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import BatchTask, ChoosingTask, PreparedTask, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ttmarkers.components import PolicyComponent, TaskComponent
    from ttmarkers.config import Config
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Request, Score, Value


def load_task(name: str, registry: Registry[TaskComponent], config: Config) -> Task:
    """Make a task with the options that the config gives it."""
    component = registry.get(name, where="--task")
    for other in config.evaluate.options:
        registry.get(other, where="evaluate.options")
    task = build(component, config.evaluate.options.get(name, {}), where=f"evaluate.options.{name}")
    if not isinstance(task, Task):
        raise ConfigError(f"task {component.known_as} lacks a method of ttmarkers.protocols.Task")
    return task


def read_cases(task: Task, rows: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    """Return a task's cases of rows, or of its embedded sample.

    Raises:
        DataError: if there are none, or two of one name, whose answers could not be told apart.
    """
    cases = task.cases(rows)
    if not cases:
        raise DataError("there are no cases in the data")
    seen: set[str] = set()
    for case in cases:
        if str(case.id) in seen:
            raise DataError(f"two cases are named {case.id!r}: give each row an id of its own, or leave ids out")
        seen.add(str(case.id))
    return cases


def samples(task: Task) -> int:
    """Return how many answers each case of a task gets; 0 if no model is asked."""
    return task.samples if isinstance(task, BatchTask) else 1


def prepare(task: Task, setting: Setting) -> None:
    """Tell a task what surrounds it, if it asks."""
    if isinstance(task, PreparedTask):
        task.prepare(setting)


def chosen(task: Task, cases: Sequence[Any], asks: str) -> list[Any]:
    """Return the cases that are asked under a policy that asks so (``PolicyComponent.asks``)."""
    return list(task.choose(cases, asks) if isinstance(task, ChoosingTask) else cases)


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
) -> list[list[Generation]]:
    """Ask a model all cases of a task under a policy, which says how the task is to ask (``PolicyComponent.asks``).

    Returns:
        the answers to each case.

    Raises:
        ConfigError: if a task wants several answers to a case and nothing is drawn at random.
    """
    from ttmarkers.decoding.run import run_policy

    many = samples(task)
    if not many:
        return [[] for _ in cases]
    if many > 1 and not engine.sampler.draws:
        raise ConfigError(f"{many} answers to each case would all be the same: --set decode.temperature=0.8")
    asks = registry.get(policy, where="decode.policy").asks
    # all before the first is asked: one that cannot be made is told at once
    requests = [request for case in cases for request in _requests(task.request(case, asks), many, asked)]
    generations: list[list[Generation]] = []
    for place, generation in enumerate(
        run_policy(policy, registry, engine, requests, asked.options if asked else None)
    ):
        if place % many == 0:
            generations.append([])
        generations[-1].append(generation)
        if progress:
            progress(1)
    return generations


def _requests(request: Request, many: int, asked: Asked | None) -> Iterator[Request]:
    if asked:
        request = replace(request, markers={**asked.markers, **request.markers}, negative=asked.negative)
    # what is drawn at random depends on the id
    yield from ([request] if many == 1 else (replace(request, id=f"{request.id}#{place}") for place in range(many)))


def score(task: Task, cases: Sequence[Any], answers: Sequence[Sequence[Generation]], setting: Setting) -> list[Scored]:
    """Score the answers to cases, given in the same order, and say which slices each case belongs to.

    If any answer was cut to a limit, the share of these is a metric of its own: they did not obey.
    """
    if isinstance(task, BatchTask):
        scores = list(task.score_all(cases, answers))
    else:
        scores = [task.score(case, found[0]) for case, found in zip(cases, answers, strict=True)]
    cut = any(generation.enforced for found in answers for generation in found)
    evaluate = setting.config.evaluate
    tail = make_tail(setting.checkpoint, evaluate.tail, evaluate.border)

    def scored(case: Any, found: Sequence[Generation], own: Mapping[str, Score]) -> Scored:
        share = sum(bool(generation.enforced) for generation in found) / max(len(found), 1)
        slices = {**task.slices(case), **tail.slices(getattr(case, "known", {}))}
        group = str(getattr(case, "group", ""))
        return Scored(str(case.id), found, {**own, **({ENFORCED: share} if cut else {})}, slices, group)

    return [scored(*each) for each in zip(cases, answers, scores, strict=True)]
