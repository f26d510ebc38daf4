"""Broken policies and strategies: each check finds what it is there for."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from biting import Bite, all_bitten, bites, fails
from ttmarkers.components import PolicyComponent, StrategyComponent
from ttmarkers.testing import check_policy, check_strategy, policies, strategies
from ttmarkers.testing.tiny import save_untrained
from ttmarkers_plugins.policies.basic import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.records import Generation, Request
    from ttmarkers.training.job import TrainingJob

COUNTER = itertools.count()


def wrapped(change: Callable[[list[Generation], Sequence[Request]], list[Any]]) -> PolicyComponent:
    """Return a policy that does what ``fixed`` does, and then changes what came of it."""

    class Broken(Fixed):
        name = "mine"

        def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Any]:
            yield from change(list(super().generate(engine, requests)), requests)

    return PolicyComponent("mine", "My own.", Broken, asks="fixed")


def each(**changes: Callable[[Generation], Any]) -> PolicyComponent:
    """Return a policy that changes parts of each generation."""

    def change(found: list[Generation], requests: Sequence[Request]) -> list[Any]:
        return [replace(one, **{name: made(one) for name, made in changes.items()}) for one in found]

    return wrapped(change)


class Needing(Fixed):
    """Needs an argument."""

    def __init__(self, strength: float) -> None:
        self.strength = strength


class Forgetting(Fixed):
    """Does not ask for what it is given."""

    name = "mine"

    def generate(self, engine: Engine, requests: Sequence[Request]) -> Iterator[Generation]:
        for request, found in zip(
            requests, super().generate(engine, [replace(r, markers={}) for r in requests]), strict=True
        ):
            yield replace(found, asked=dict(request.markers))


def noting(found: list[Generation], requests: Sequence[Request]) -> list[Generation]:
    """Note in the requests that they were answered."""
    for request in requests:
        request.markers["seen"] = 1  # type: ignore[index]
    return found


def cut(found: Generation) -> str:
    """Cut a block short."""
    return found.block[:-1]


POLICIES = (
    Bite("has-a-name-and-a-summary", "no summary", PolicyComponent("mine", "", Fixed)),
    Bite("is-a-policy", "asks = 'all' is unknown", PolicyComponent("mine", "Mine.", Fixed, asks="all")),  # type: ignore[arg-type]
    Bite("is-a-policy", "cannot be made without options", PolicyComponent("mine", "Mine.", Needing)),
    Bite("is-a-policy", "has no method generate", PolicyComponent("mine", "Mine.", object)),
    Bite("answers-each-request-once", "6 generations for 5 requests", wrapped(lambda found, _: [*found, *found[:1]])),
    Bite("answers-each-request-once", "0 generations for 5 requests", wrapped(lambda found, _: [])),
    Bite("answers-each-request-once", "it yields str", wrapped(lambda found, _: [one.text for one in found])),
    Bite("answers-in-order", "where 'request 0' is to be answered", wrapped(lambda found, _: found[::-1])),
    Bite("answers-in-order", "with the prompt ()", each(prompt=lambda found: ())),
    Bite("names-itself", "policy 'fixed' wrote them", PolicyComponent("mine", "Mine.", Fixed, asks="fixed")),
    Bite("writes-blocks-that-can-be-read", "cannot be read", each(block=cut)),
    Bite("writes-blocks-that-can-be-read", "and its markers {}", each(markers=lambda found: {})),
    Bite("keeps-the-raw-text", "lacks its block or answer", each(raw=lambda found: found.text)),
    Bite("keeps-the-raw-text", "begins with a block", each(text=lambda found: found.raw)),
    Bite("holds-what-is-asked-for", "asks for", PolicyComponent("mine", "Mine.", Forgetting, asks="fixed")),
    Bite("holds-what-is-asked-for", "does not say what was asked", each(asked=lambda found: {})),
    Bite("draws-by-the-seed", "with the same seed", each(raw=lambda found: f"{found.raw}{next(COUNTER)}")),
    Bite("leaves-requests-alone", "changes the requests", wrapped(noting)),
)


@bites(POLICIES)
def test_policies(bite: Bite, ttm_model: Path) -> None:
    """What users would not get is found."""
    fails(bite, check_policy, model=ttm_model)


def test_a_sound_policy_passes(ttm_model: Path) -> None:
    """What the broken ones were made of is sound."""
    check_policy(wrapped(lambda found, _: found), model=ttm_model)


class Untrained:
    """A sound strategy, which the broken ones are made of: it saves a model as it was drawn."""

    def train(self, job: TrainingJob) -> Path:
        """Save a model."""
        return save_untrained(job)


def after(change: Callable[[Path], object]) -> StrategyComponent:
    """Return a strategy that changes its folder in the end."""

    class Broken(Untrained):
        def train(self, job: TrainingJob) -> Path:
            folder = super().train(job)
            change(folder)
            return folder

    return StrategyComponent("mine", "My own.", Broken)


class Elsewhere(Untrained):
    """Saves into another folder."""

    def train(self, job: TrainingJob) -> Path:
        """Save a model, and say that it is elsewhere."""
        return super().train(job).parent


class Stopping(Untrained):
    """Fails."""

    def train(self, job: TrainingJob) -> Path:
        """Divide by nothing."""
        raise ZeroDivisionError("no rows")


class Asking(Untrained):
    """Needs an argument."""

    def __init__(self, rate: float) -> None:
        self.rate = rate


def replacing(name: str, old: str, new: str) -> StrategyComponent:
    """Return a strategy in one of whose files something else stands."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")

    return after(change)


def fewer_tokens(folder: Path) -> None:
    """Put a model for fewer tokens in the place of the saved one."""
    from ttmarkers.models.loading import SIZES, load_tokenizer, make_model, make_tokenizer

    make_model(SIZES["tiny"], make_tokenizer(["a b c"], 260), 0).save_pretrained(folder)
    assert len(load_tokenizer(str(folder))) > 260


STRATEGIES = (
    Bite("has-a-name-and-a-summary", "no summary", StrategyComponent("mine", "", Untrained)),
    Bite("is-a-strategy", "cannot be made without options", StrategyComponent("mine", "Mine.", Asking)),
    Bite("is-a-strategy", "has no method train", StrategyComponent("mine", "Mine.", object)),
    Bite("trains", "raises ZeroDivisionError (no rows)", StrategyComponent("mine", "Mine.", Stopping)),
    Bite("trains", "not the folder of the job", StrategyComponent("mine", "Mine.", Elsewhere)),
    Bite("leaves-what-models-carry", "has no run.json", after(lambda folder: (folder / "run.json").unlink())),
    Bite("leaves-what-models-carry", "says strategy 'sft'", replacing("markers.json", '"mine"', '"sft"')),
    Bite("leaves-what-models-carry", "says 99 rows", replacing("markers.json", '"rows": 24', '"rows": 99')),
    Bite(
        "leaves-a-model-that-loads", "cannot be loaded", after(lambda folder: (folder / "model.safetensors").unlink())
    ),
    Bite("leaves-a-model-that-loads", "its model knows 260 tokens", after(fewer_tokens)),
    Bite("leaves-nothing-of-its-work", "still holds .cache", after(lambda folder: (folder / ".cache").mkdir())),
    Bite(
        "leaves-a-model-that-answers",
        "ttm generate does not answer",
        replacing("markers.json", "opening()", "openin()"),
    ),
)


@bites(STRATEGIES)
def test_strategies(bite: Bite) -> None:
    """A folder that could not be used is found."""
    fails(bite, check_strategy)


def test_a_sound_strategy_passes() -> None:
    """What the broken ones were made of is sound."""
    check_strategy(StrategyComponent("mine", "My own.", Untrained))


def test_every_check_bites() -> None:
    """No check is without a component above that it finds broken."""
    all_bitten(policies.CHECKS, POLICIES)
    all_bitten(strategies.CHECKS, STRATEGIES)


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    """Without a model a tiny one is made, and gone afterwards."""
    check_policy(PolicyComponent("fixed", "As it is.", Fixed, asks="fixed"))
    with pytest.raises(Exception, match=r"has no markers\.json"):
        check_policy(PolicyComponent("fixed", "As it is.", Fixed, asks="fixed"), model=tmp_path / "gone")
