"""A judge against people: rows with a preference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from judge_support import better, fields, figure, rows, setting
from ttmarkers.errors import ConfigError, DataError
from ttmarkers_plugins.tasks.judging import Judge
from ttmarkers_plugins.tasks.winrate import agreement

if TYPE_CHECKING:
    from endpoint_server import Call, Server
    from judge_support import Make


LABELS = ("a", "b", "tie", 1, 2, "2", "A")


SAID = ("A", "B", "A", "A", "A", "B", "tie")


def labelled() -> list[dict[str, Any]]:
    """Return rows with people's preferences, named in both ways."""
    found = []
    for number, label in enumerate(LABELS):
        names = ("answer_a", "answer_b") if number % 2 else ("output_1", "output_2")
        texts = zip(names, (f"first {number}", f"second {number}"), strict=True)
        found.append({"id": f"p{number}", "prompt": f"Question {number}?", **dict(texts), "preference": label})
    return found


def honest(call: Call) -> str:
    """Say what `SAID` has, whatever the order."""
    found = fields(call)
    number = int(re.findall(r"\d+", found["prompt"])[0])
    turned = found["answer_a"].startswith("second")
    return better({"A": "B", "B": "A"}.get(SAID[number], "tie") if turned else SAID[number])


def test_agreement(server: Server, options: dict[str, Any]) -> None:
    """A judge's share of agreement and kappa are those of scikit-learn, with intervals."""
    from sklearn.metrics import cohen_kappa_score

    server.say = honest
    found = agreement(labelled(), Judge(**options))
    gold, said = ["a", "b", "tie", "a", "b", "b", "a"], [choice.lower() for choice in SAID]
    assert found.accuracy.value == pytest.approx(4 / 7)
    assert found.kappa.value == pytest.approx(cohen_kappa_score(gold, said))
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert len(server.calls) == 14


def test_labelled_rows(server: Server, make: Make, options: dict[str, Any]) -> None:
    """Rows with a preference measure the judge by the same task: no answer of a model is wanted."""
    server.say = honest
    task = make()
    cases = task.cases(labelled())
    task.prepare(setting())
    assert task.samples == 0
    assert task.estimate(cases, [[] for _ in cases]).requests == 14
    scores = task.score_all(cases, [[] for _ in cases])
    assert set(task.metrics) == set(scores[0]) == {"agreement", "kappa", "inconsistent"}
    wanted = agreement(labelled(), Judge(**options))
    combine = task.metrics["kappa"].combine
    assert combine is not None
    sums = [sum(column) for column in zip(*(score["kappa"] for score in scores), strict=True)]  # type: ignore[arg-type]
    assert combine(sums) == pytest.approx(wanted.kappa.value)
    assert figure(scores, "agreement") == pytest.approx(wanted.accuracy.value)
    assert len(server.calls) == 14
    with pytest.raises(ConfigError, match=r"case 'p0' has a preference: .* no model is asked"):
        task.request(cases[0], "none")
    assert make().cases(rows(["x"]))[0].labelled is None


def test_bad_labelled_rows(make: Make) -> None:
    """A row without two answers or with another preference is named, and one without among others."""
    first = labelled()[0]
    for bad in ({"preference": "maybe"}, {"output_2": None}, {"preference": 3}):
        with pytest.raises(DataError, match="row 2: to measure a judge it needs texts answer_a and answer_b"):
            make().cases([first, {**first, **bad}])
    with pytest.raises(DataError, match="case '2' has no preference, and others do"):
        make().cases([first, {"prompt": "Why?", "output": "So."}])
