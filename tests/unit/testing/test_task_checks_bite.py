"""Broken tasks: each check finds what it is there for."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from biting import Bite, all_bitten, bites, fails
from ttmarkers.components import TaskComponent
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Generation, Message, Metric, Request
from ttmarkers.testing import check_task, tasks, tasks_scoring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.plugins.manager import Plugins

COUNTER = itertools.count()


@dataclass(frozen=True)
class Case:
    """A question with its answer."""

    id: str
    prompt: str
    gold: str
    known: dict[str, str] = field(default_factory=dict)
    prompts: Any = ()


class Sums:
    """A sound task, which the broken ones are made of: sums of two numbers."""

    metrics: ClassVar[Any] = {"right": Metric("higher"), "length": Metric("neither", share=False)}

    def cases(self, rows: Any) -> Any:
        """Read rows with ``a`` and ``b``."""
        try:
            found = [(int(row["a"]), int(row["b"])) for row in rows] if rows is not None else [(1, 2), (3, 4), (20, 5)]
        except (KeyError, ValueError) as error:
            raise DataError(f"row: it lacks {error}") from error
        return [Case(f"{a}+{b}", f"What is {a} + {b}?", str(a + b)) for a, b in found]

    def request(self, case: Any, policy: str) -> Any:
        """Ask."""
        return Request(case.id, (Message("user", case.prompt),), {"lang": "English"} if policy == "fixed" else {})

    def score(self, case: Any, generation: Generation) -> Any:
        """Compare."""
        return {"right": float(generation.text == case.gold), "length": float(len(generation.text))}

    def slices(self, case: Any) -> Any:
        """Break down by the number of digits."""
        return {"digits": str(len(case.gold))}


class Together(Sums):
    """The same task, scored together."""

    samples: Any = 1

    def score_all(self, cases: Sequence[Any], answers: Sequence[Sequence[Generation]]) -> Any:
        """Compare all."""
        return [self.score(case, found[0]) for case, found in zip(cases, answers, strict=True)]


def broken(sound: type[Any] = Sums, /, **parts: Any) -> TaskComponent:
    """Return a task of which some parts are others."""
    return TaskComponent("sums", "Adds.", type("Broken", (sound,), parts))


def named(*names: Any, **keys: Any) -> Any:
    """Return a method that makes cases of these names."""
    return lambda self, rows: [Case(name, "Why?", "So.", **keys) for name in names]


def asking(identity: str = "", text: str = "Why?", role: str = "user", **keys: Any) -> Any:
    """Return a method that asks otherwise."""
    return lambda self, case, policy: Request(identity or case.id, (Message(role, text),), **keys)


def refusing(self: Any, case: Any, policy: str) -> Any:
    """Take no policy."""
    raise ConfigError("it is asked under no policy")


def scoring(score: Any) -> Any:
    """Return a method that scores by the answer's text alone."""
    return lambda self, case, generation: score(generation.text)


class Needing(Sums):
    """Needs an argument."""

    def __init__(self, model: str) -> None:
        self.model = model


def some_samples(number: Any) -> TaskComponent:
    """Return a task that wants so many answers."""
    return broken(Together, samples=number)


TASKS = (
    Bite("has-a-name-and-a-summary", "cannot be written", TaskComponent("the sums", "Adds.", Sums)),
    Bite("is-a-task", "cannot be made without options", TaskComponent("sums", "Adds.", Needing)),
    Bite("is-a-task", "lacks one of metrics, cases", TaskComponent("sums", "Adds.", object)),
    Bite("is-a-task", "samples = -1", some_samples(-1)),
    Bite("has-cases-of-its-own", "no cases in its sample", broken(cases=lambda self, rows: [])),
    Bite("has-cases-of-its-own", "has no id", broken(cases=named(1))),
    Bite("has-cases-of-its-own", "two cases are named 'a'", broken(cases=named("a", "a"))),
    Bite(
        "keeps-the-names-of-cases",
        "are named",
        broken(cases=lambda self, rows: [Case(str(next(COUNTER)), "Why?", "So.")]),
    ),
    Bite(
        "tells-of-bad-rows",
        "raises KeyError ('a')",
        broken(cases=lambda self, rows: named("a")(self, rows) if rows is None else rows[0]["a"]),
    ),
    Bite("says-what-it-measures", "no metrics", broken(metrics={})),
    Bite("says-what-it-measures", "metric 'right' is 'higher'", broken(metrics={"right": "higher"})),
    Bite("says-what-it-measures", "use Metric with one of", broken(metrics={"right": Metric("more")})),
    Bite("says-what-it-measures", "did you mean 'right'", broken(), {"top": ["rihgt"]}),
    Bite("asks-what-can-be-asked", "raises ConfigError (it is asked under no policy)", broken(request=refusing)),
    Bite("asks-what-can-be-asked", "under the name '7'", broken(request=asking("7"))),
    Bite("asks-what-can-be-asked", "end it with a Message of the user", broken(request=asking(role="assistant"))),
    Bite("asks-what-can-be-asked", "an empty prompt", broken(request=asking(text=" "))),
    Bite("asks-what-can-be-asked", "gives markers (lang)", broken(request=asking(markers={"lang": "French"}))),
    Bite(
        "asks-what-can-be-asked",
        "gives what no model knows",
        broken(
            request=lambda self, case, policy: Request(
                case.id, (Message("user", "Why?"),), {"long": 1} if policy == "fixed" else {}
            )
        ),
    ),
    Bite(
        "asks-what-can-be-asked",
        "otherwise the second time",
        broken(request=lambda self, case, policy: asking(text=str(next(COUNTER)))(self, case, policy)),
    ),
    Bite("asks-what-can-be-asked", "is asked by str", broken(request=lambda self, case, policy: case.prompt)),
    Bite("asks-what-can-be-asked", "have one name", broken(choose=lambda self, cases, policy: [*cases, cases[0]])),
    Bite("has-sound-slices", "map texts to texts", broken(slices=lambda self, case: {"digits": 1})),
    Bite(
        "has-sound-slices",
        "lacks the slice 'digits'",
        broken(
            metrics={"right": Metric("higher", over=("digits",))},
            slices=lambda self, case: {"digits": "1"} if case.gold == "3" else {},
        ),
    ),
    Bite("has-sound-slices", "has the prompts 'Why?'", broken(cases=named("a", prompts="Why?"))),
    Bite("has-sound-slices", "lang = 'Klingon'", broken(cases=named("a", known={"lang": "Klingon"}))),
    Bite(
        "scores-any-answer",
        "an empty answer makes it raise",
        broken(score=scoring(lambda text: {"right": 1 / len(text)})),
    ),
    Bite(
        "scores-any-answer",
        "makes it raise ValueError",
        broken(score=scoring(lambda text: {"right": float(text or 0)})),
    ),
    Bite("scores-any-answer", "0 scores for 3 cases", broken(Together, score_all=lambda self, cases, answers: [])),
    Bite("scores-what-it-declares", "scores 'wrong', which", broken(score=scoring(lambda text: {"wrong": 1.0}))),
    Bite("scores-what-it-declares", "leave a metric out", broken(score=scoring(lambda text: {"right": float("nan")}))),
    Bite("scores-what-it-declares", "is no share", broken(score=scoring(lambda text: {"right": 2.0}))),
    Bite("scores-what-it-declares", "a tuple goes with", broken(score=scoring(lambda text: {"right": (1.0, 2.0)}))),
    Bite(
        "scores-the-same-twice",
        "otherwise the second time",
        broken(score=scoring(lambda text: {"length": float(next(COUNTER))})),
    ),
    Bite("scores-its-gold-at-the-top", "right answers are not known", broken(), {"gold": lambda case: None}),
    Bite("scores-its-gold-at-the-top", "its own gold has right = 0, not 1", broken(), {"gold": lambda case: "No."}),
    Bite(
        "scores-its-gold-at-the-top",
        "empty answers have less",
        broken(metrics={"less": Metric("lower", share=False)}, score=scoring(lambda text: {"less": float(len(text))})),
    ),
    Bite(
        "scores-its-gold-at-the-top",
        "empty answers score as well",
        broken(metrics={"none": Metric("lower")}, score=scoring(lambda text: {"none": 0.0})),
    ),
    Bite(
        "scores-its-gold-at-the-top",
        "the gold of other cases have more",
        broken(
            metrics={"right": Metric("higher"), "more": Metric("higher", share=False)},
            score=lambda self, case, generation: {
                "right": float(generation.text == case.gold),
                "more": float(generation.text != case.gold and bool(generation.text)),
            },
        ),
        {"gold": lambda case: case.gold},
    ),
)


@bites(TASKS)
def test_tasks(bite: Bite, plugins: Plugins) -> None:
    """What would spoil a measurement is found."""
    fails(bite, check_task, plugins=plugins)


@pytest.mark.parametrize("made", [Sums, Together])
def test_sound_ones_pass(made: type[Any], plugins: Plugins) -> None:
    """What the broken ones were made of is sound, on rows of its own too."""
    component = TaskComponent("sums", "Adds.", made)
    check_task(component, plugins=plugins)
    check_task(component, rows=[{"a": 7, "b": 1}, {"a": 70, "b": 1}], plugins=plugins)


def test_every_check_bites() -> None:
    """No check is without a task above that it finds broken."""
    all_bitten((*tasks.CHECKS, *tasks_scoring.SCORING_CHECKS), TASKS)
