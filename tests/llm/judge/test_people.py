"""A judge against people: rows with a preference."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from judge_support import better, fields, rows, setting
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.evaluation.results import Scored, summarise

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


def test_agreement(server: Server, make: Make) -> None:
    """Rows with a preference measure the judge, and no model: agreement and kappa are scikit-learn's."""
    from sklearn.metrics import cohen_kappa_score

    server.say = honest
    task = make()
    cases = task.cases(labelled())
    task.prepare(setting())
    assert task.samples == 0
    assert task.estimate(cases, [[] for _ in cases]).requests == 14
    scores = task.score_all(cases, [[] for _ in cases])
    assert set(task.metrics) == set(scores[0]) == {"agreement", "kappa", "inconsistent"}
    run = [Scored(case.id, (), each, {}) for case, each in zip(cases, scores, strict=True)]
    found = summarise("winrate", "none", task.metrics, [run], resamples=500).metrics
    gold, said = ["a", "b", "tie", "a", "b", "b", "a"], [choice.lower() for choice in SAID]
    assert found["agreement"].value == pytest.approx(4 / 7)
    assert found["kappa"].value == pytest.approx(cohen_kappa_score(gold, said))
    for name in ("agreement", "kappa"):
        assert found[name].low < found[name].value < found[name].high
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
