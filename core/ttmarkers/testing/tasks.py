"""Checks of evaluation tasks: their cases, what they ask, and how they score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, TtmError, did_you_mean
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import BatchTask, ChoosingTask, PreparedTask, Setting, Task
from ttmarkers.records import Generation, Message, Metric, Request
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold, short, told
from ttmarkers.testing.made_up import plugins_with, taxonomy_of
from ttmarkers.testing.tasks_scoring import SCORING_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.components import MarkerType, TaskComponent
    from ttmarkers.plugins.manager import Plugins

    Gold = Callable[[Any], str | Generation]

POLICIES = ("none", "inferred", "fixed")
BETTER = ("lower", "higher", "neither")
GOLD = ("gold", "reference")


@dataclass
class Probe:
    """A task, and what it is tried with."""

    component: TaskComponent
    options: dict[str, Any]
    plugins: Plugins
    rows: list[Mapping[str, Any]] | None
    gold: Gold | None
    top: tuple[str, ...]
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def setting(self) -> Setting:
        """What surrounds the task."""
        return Setting(make_config(self.config), self.plugins)

    def make(self) -> tuple[Task, list[Any]]:
        """Return the task, made anew and prepared, with its cases; in the order of ``ttm evaluate``."""
        made = build(self.component, self.options)
        cases = list(made.cases(None if self.rows is None else list(self.rows)))
        if isinstance(made, PreparedTask):
            made.prepare(self.setting)
        return made, cases

    @cached_property
    def made(self) -> tuple[Task, list[Any]]:
        """The task with its cases, made once."""
        return self.make()

    @cached_property
    def scored(self) -> tuple[Task, list[Any]]:
        """The task with the cases that are asked under the first policy that it can be asked under."""
        task, cases = self.made
        return task, self.chosen(task, cases, next(policy for policy in reversed(POLICIES) if self.asked(policy)))

    @staticmethod
    def chosen(task: Task, cases: Sequence[Any], policy: str) -> list[Any]:
        """Return the cases that are asked under a policy."""
        return list(task.choose(cases, policy)) if isinstance(task, ChoosingTask) else list(cases)

    def asked(self, policy: str) -> list[Request]:
        """Return the requests under a policy; none if the task refuses it."""
        task, cases = self.made
        try:
            return [task.request(case, policy) for case in self.chosen(task, cases, policy)]
        except ConfigError:
            return []

    def gold_of(self, case: Any) -> Generation | None:
        """Return the right answer to a case; None if none is known."""
        said = (
            self.gold(case) if self.gold else next((getattr(case, name) for name in GOLD if hasattr(case, name)), None)
        )
        return said if said is None or isinstance(said, Generation) else answer_of(case, said)


def answer_of(case: Any, text: str) -> Generation:
    """Return an answer without a block."""
    return Generation(str(case.id), (), text, "", {}, text, "inferred")


def check_task(
    component: TaskComponent,
    *,
    rows: Iterable[Mapping[str, Any]] | None = None,
    gold: Gold | None = None,
    top: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    types: Iterable[MarkerType] = (),
    plugins: Plugins | None = None,
) -> None:
    """Check a task: its cases keep their names, what it asks can be asked, and its own gold scores at the top.

    Args:
        component: what the hook yields.
        rows: as its data is published; its embedded sample by default.
        gold: case -> a right answer, or a whole `Generation` where markers count; by default the case's attribute
            ``gold`` or ``reference``.
        top: the metrics in which gold is at the top; all that can be better or worse by default.
        options: arguments of its factory, where it cannot do without.
        config: the config that surrounds it.
        types: marker types that no installed plugin offers.
        plugins: where all other components come from; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example::

        def test_mood():
            check_task(MOOD, gold=lambda case: ":-)")
    """
    probe = Probe(
        component,
        dict(options or {}),
        plugins or plugins_with(*types),
        None if rows is None else list(rows),
        gold,
        tuple(top),
        dict(config or {}),
    )
    hold(f"task {component.name!r}", probe, (*CHECKS, *SCORING_CHECKS))


def is_a_task(probe: Probe) -> None:
    """The config may name it and no more."""
    try:
        made = build(probe.component)
    except TtmError as error:
        if not probe.options:
            raise Breach(
                f"it cannot be made without options ({error}): give every argument of the factory a default, or try it "
                "with options="
            ) from error
        made = build(probe.component, probe.options)
    if not isinstance(made, Task):
        methods = "metrics, cases, request, score and slices"
        raise Breach(f"what its factory makes ({type(made).__name__}) lacks one of {methods}: add it")
    if isinstance(made, BatchTask) and (type(made.samples) is not int or made.samples < 0):
        raise Breach(f"samples = {made.samples!r}: say how many answers each case gets")


def has_cases_of_its_own(probe: Probe) -> None:
    """Without data a task has an embedded sample; cases have names that differ."""
    made = build(probe.component, probe.options)
    for rows in (None,) if probe.rows is None else (None, probe.rows):
        cases = made.cases(rows)
        if not isinstance(cases, Sequence) or not cases:
            raise Breach(f"it has no cases in {'its sample' if rows is None else 'the rows'}: embed a few of your own")
        seen = set()
        for case in cases:
            if not isinstance(getattr(case, "id", None), str) or not case.id:
                raise Breach(f"the case {short(case)} has no id: give each a text of its own")
            if case.id in seen:
                raise Breach(
                    f"two cases are named {case.id!r}, so that answers cannot be told apart: name each otherwise"
                )
            seen.add(case.id)


def keeps_the_names_of_cases(probe: Probe) -> None:
    """The same data gives the same cases in every run, so that stored answers find theirs."""
    made = build(probe.component, probe.options)
    first, again = ([case.id for case in made.cases(probe.rows)] for _ in range(2))
    anew = [case.id for case in build(probe.component, probe.options).cases(probe.rows)]
    for now in (again, anew):
        if now != first:
            raise Breach(
                f"its cases are named {short(first)} and then {short(now)}: let names depend on the rows alone"
            )


def tells_of_bad_rows(probe: Probe) -> None:
    """A row that lacks what is needed is told in one sentence."""
    bad: tuple[list[dict[str, Any]], ...] = (
        [{}],
        [{"id": "1", "prompt": 1, "instruction": None, "markers": "none"}],
    )
    for rows in bad:
        try:
            build(probe.component, probe.options).cases(rows)
        except TtmError:
            continue
        except Exception as error:
            raise Breach(
                f"it raises {told(error)} for the row {rows[0]}: raise a DataError that says which row lacks what"
            ) from error


def says_what_it_measures(probe: Probe) -> None:
    """Each metric says whether less or more of it is better."""
    task, _ = probe.made
    if not isinstance(task.metrics, Mapping) or not task.metrics:
        raise Breach("it has no metrics: map each metric's name to ttmarkers.records.Metric")
    for name, metric in task.metrics.items():
        if not isinstance(metric, Metric) or metric.better not in BETTER:
            raise Breach(f"metric {name!r} is {short(metric)}: use Metric with one of {', '.join(BETTER)}")
    for name in probe.top:
        if name not in task.metrics:
            raise Breach(f"top= names the metric {name!r}, which it does not have: {did_you_mean(name, task.metrics)}")


def asks_what_can_be_asked(probe: Probe) -> None:
    """Under each policy that it takes, a request has the case's name, a prompt, and markers that there are."""
    task, cases = probe.made
    taxonomy = taxonomy_of(probe.plugins)
    taken = [policy for policy in POLICIES if probe.asked(policy)]
    if not taken:
        task.request(probe.chosen(task, cases, POLICIES[0])[0], POLICIES[0])
        raise Breach("it asks nothing under any policy: take at least one of none, inferred and fixed")
    for policy in taken:
        chosen = probe.chosen(task, cases, policy)
        names = [case.id for case in chosen]
        if len(set(names)) != len(names):
            raise Breach(f"under {policy} two of the cases that it chooses have one name: name each otherwise")
        for case, request, again in zip(chosen, probe.asked(policy), probe.asked(policy), strict=True):
            where = f"under {policy}, case {case.id!r}"
            _check_request(request, case, where)
            if request != again:
                raise Breach(f"{where} is asked otherwise the second time: let requests depend on the case alone")
            if policy != "fixed" and request.markers:
                raise Breach(f"{where} gives markers ({', '.join(request.markers)}): give them under fixed alone")
            try:
                taxonomy.check(request.markers)
            except TtmError as error:
                raise Breach(f"{where} gives what no model knows ({error}): give markers of the taxonomy") from error


def _check_request(request: object, case: Any, where: str) -> None:
    if not isinstance(request, Request):
        raise Breach(f"{where} is asked by {type(request).__name__}: return ttmarkers.records.Request")
    if request.id != case.id:
        raise Breach(f"{where} is asked under the name {request.id!r}: keep the case's own")
    turns = request.prompt
    if not turns or not all(isinstance(turn, Message) for turn in turns) or turns[-1].role != "user":
        raise Breach(f"{where} has the prompt {short(turns)}: end it with a Message of the user")
    if not turns[-1].content.strip():
        raise Breach(f"{where} has an empty prompt: ask something")


def has_sound_slices(probe: Probe) -> None:
    """Results are broken down by texts, and stored answers matched by texts."""
    task, cases = probe.scored
    for case in cases:
        slices = task.slices(case)
        if not isinstance(slices, Mapping) or not all(
            isinstance(text, str) for pair in slices.items() for text in pair
        ):
            raise Breach(f"case {case.id!r} has the slices {short(slices)}: map texts to texts")
        for metric in task.metrics.values():
            missing = [name for name in metric.over if name in _all_slices(task, cases) and name not in slices]
            if missing:
                raise Breach(
                    f"case {case.id!r} lacks the slice {missing[0]!r}, over which a metric is averaged: add it"
                )
        prompts = getattr(case, "prompts", ())
        if isinstance(prompts, str) or not all(isinstance(text, str) for text in prompts):
            raise Breach(f"case {case.id!r} has the prompts {short(prompts)}: give a tuple of texts")
        try:
            taxonomy_of(probe.plugins).check(getattr(case, "known", {}))
        except TtmError as error:
            raise Breach(f"case {case.id!r} is known to have what there is not ({error}): name a value") from error


def _all_slices(task: Task, cases: Sequence[Any]) -> set[str]:
    return {name for case in cases for name in task.slices(case)}


CHECKS = (
    has_a_name_and_a_summary,
    is_a_task,
    has_cases_of_its_own,
    keeps_the_names_of_cases,
    tells_of_bad_rows,
    says_what_it_measures,
    asks_what_can_be_asked,
    has_sound_slices,
)
