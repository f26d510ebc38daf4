"""Task winrate: what verdicts come to, what is asked of whom, and what it costs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from judge_support import answers, better, controlled, fields, figure, judged, prefers, setting
from ttmarkers.errors import ConfigError
from ttmarkers.protocols import BatchTask, PaidTask, PreparedTask, Task

if TYPE_CHECKING:
    from endpoint_server import Server
    from judge_support import Make


def test_contract(make: Make) -> None:
    """It is all that the contract knows of: prepared, scored together, paid."""
    task = make()
    assert all(isinstance(task, kind) for kind in (Task, PreparedTask, BatchTask, PaidTask))
    assert task.samples == 1
    assert set(task.metrics) == set(judged(task, [" "], ["x"])[0])


def test_verdicts(server: Server, make: Make) -> None:
    """Wins, ties and losses are what a fair judge says; each pair is judged in both orders."""
    server.say = prefers(lambda text: text.count("good"))
    scores = judged(make(), ["good good", "good", "bad"], ["good", "not so good", "good"])
    assert [score["win_rate"] for score in scores] == [1.0, 0.5, 0.0]
    assert [score["ties"] for score in scores] == [0.0, 1.0, 0.0]
    assert figure(scores, "inconsistent") == 0
    assert [score["length_difference"] for score in scores] == [5.0, -7.0, -1.0]
    assert len(server.calls) == 6
    shown = [(found["answer_a"], found["answer_b"]) for found in map(fields, server.calls)]
    assert {(second, first) for first, second in shown} == set(shown)


@pytest.mark.parametrize("side", ["A", "B"])
def test_biased_judge(server: Server, make: Make, side: str) -> None:
    """One who always says the same side prefers nobody, and is found out; it makes no ties."""
    server.say = lambda call: better(side)
    scores = judged(make(), ["one", "two", "three"], ["four", "five", "six"])
    assert (figure(scores, "win_rate"), figure(scores, "inconsistent"), figure(scores, "ties")) == (0.5, 1.0, 0.0)


def test_half_a_win(server: Server, make: Make) -> None:
    """A win in one order and a tie in the other is three quarters."""
    server.say = lambda call: better("A" if fields(call)["answer_a"] == "one" else "tie")
    (score,) = judged(make(), ["one"], ["two"])
    assert (score["win_rate"], score["inconsistent"], score["ties"]) == (0.75, 1.0, 0.0)


def test_swapped_systems(server: Server, make: Make) -> None:
    """The win rates of the two systems add up to 1, whatever the judge; the other way round nothing new is asked."""
    chance = random.Random(3)
    ours, theirs = ([f"answer {chance.random()}" * chance.randint(1, 9) for _ in range(40)] for _ in range(2))
    task = make()
    one = judged(task, ours, theirs)
    asked = len(server.calls)
    other = judged(task, theirs, ours)
    assert asked == len(server.calls) == 80
    assert [score["win_rate"] for score in one] != [0.5] * 40
    for first, second in zip(one, other, strict=True):
        assert first["win_rate"] == 1 - second["win_rate"]  # type: ignore[operator]
    assert controlled(task, one) == pytest.approx(1 - controlled(task, other), abs=1e-6)


def test_length_control(server: Server, make: Make) -> None:
    """A judge that likes nothing but length gives a high win rate, and about a half at equal length."""
    chance = random.Random(5)
    ours, theirs = (["a" * chance.randint(*span) for _ in range(120)] for span in ((100, 400), (20, 320)))
    server.say = prefers(len)
    task = make()
    scores = judged(task, ours, theirs)
    assert figure(scores, "win_rate") > 0.65
    assert controlled(task, scores) == pytest.approx(0.5, abs=0.1)
    assert figure(scores, "length_difference") == pytest.approx(80, abs=25)


def test_quality_survives_length_control(server: Server, make: Make) -> None:
    """A judge that likes our answers for themselves does so at equal length too."""
    chance = random.Random(6)
    theirs = ["word " * chance.randint(5, 45) for _ in range(80)]
    ours = ["good " * chance.randint(10, 60) if chance.random() < 0.8 else "bad " * 30 for _ in theirs]
    server.say = prefers(lambda text: text.count("good") > 0 or -text.count("bad"))
    task = make()
    scores = judged(task, ours, theirs)
    assert controlled(task, scores) == pytest.approx(figure(scores, "win_rate"), abs=0.1)


def test_foregone(server: Server, make: Make) -> None:
    """An empty answer loses against one that is not, and equal answers tie: none of these is asked."""
    scores = judged(make(), ["", "x", " \n", "same "], ["x", "", "", "same"])
    assert [score["win_rate"] for score in scores] == [0.0, 1.0, 0.5, 0.5]
    assert figure(scores, "inconsistent") == 0
    assert not server.calls


def test_nothing_is_asked_twice(server: Server, make: Make) -> None:
    """A repeated run sends nothing and finds the same; other prompts, models and request keys are asked anew."""
    ours, theirs = ["a", "b", "a"], ["c", "d", "c"]
    first = judged(make(), ours, theirs)
    assert len(server.calls) == 6
    assert judged(make(), ours, theirs) == first
    assert len(server.calls) == 6
    for more in ({"model": "other"}, {"request": {"seed": 1}}):
        judged(make(**more), ours, theirs)
    assert len(server.calls) == 18
    judged(make(price_in=3, timeout=9, key_variable="NO_KEY"), ours, theirs)
    assert len(server.calls) == 18


def test_estimate(server: Server, make: Make) -> None:
    """What is asked, known and paid is told beforehand; the same request counts once, and nothing is sent."""
    task = make(price_in=1000, price_out=2000)
    cases = task.cases([{"prompt": "Why?", "output": text} for text in ("x", "x", "", "y")])
    given = answers(["a", "a", "b", "c"])
    spending = task.estimate(cases, given)
    assert (spending.requests, spending.known, spending.tokens_out) == (4, 0, 32)
    assert not server.calls
    task.score_all(cases, given)
    assert len(server.calls) == 4
    sent = sum(call.tokens[0] for call in server.calls)
    assert 0.5 * sent < spending.tokens_in < 2 * sent
    assert spending.cost == pytest.approx((spending.tokens_in * 1000 + spending.tokens_out * 2000) / 1e6)
    after = task.estimate(cases, given)
    assert (after.requests, after.known, after.cost) == (0, 4, 0)


def test_whom_it_is_compared_with(server: Server, make: Make) -> None:
    """``--against`` comes before the row's own answer, an empty one too; with neither the case is named."""
    server.say = prefers(len)
    task = make()
    given = [{"id": "a", "prompt": "1", "output": "row"}, {"id": "b", "prompt": "2", "reference": "row"}]
    cases = task.cases([*given, {"id": "c", "prompt": "3"}])
    task.prepare(setting(a="a much longer one", c=""))
    scores = task.score_all(cases, answers(["middling", "middling", "middling"]))
    assert [score["win_rate"] for score in scores] == [0.0, 1.0, 1.0]
    task.prepare(setting(a="x"))
    message = r"task 'winrate': case 'c' has no answer to compare with: .*--against FILE"
    for use in (task.request, lambda case, _: task.estimate([case], answers(["x"]))):
        with pytest.raises(ConfigError, match=message):
            use(cases[2], "none")
    task.cases([{"id": "c", "prompt": "3"}])
    with pytest.raises(ConfigError, match=message):
        task.prepare(setting())


def test_requests(make: Make) -> None:
    """Every form of row is asked; under ``fixed`` with its markers, which are known in any case."""
    task = make(slices=["kind"])
    row = {"instruction": "Sort:", "input": "3 1", "output": "1 3", "markers": {"lang": "English", "task": None}}
    case, bare = task.cases([{**row, "kind": "x"}, {"prompt": "Why?", "reference": "So."}])
    task.prepare(setting())
    assert task.request(case, "inferred").prompt[0].content == "Sort:\n\n3 1"
    assert task.request(case, "inferred").markers == {}
    assert task.request(case, "fixed").markers == case.known == {"lang": "English"}
    assert (task.slices(case), task.slices(bare)) == ({"kind": "x"}, {})
    with pytest.raises(ConfigError, match="case '2' has no markers to fix"):
        task.request(bare, "fixed")
    sample = task.cases(None)
    assert len(sample) >= 8
    assert all(case.other for case in sample)
