"""Agreement against scikit-learn and direct computations; intervals; sets in which there is little to compare."""

from __future__ import annotations

import json
import math
import random

import numpy
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from ttmarkers.annotation.agreement import BINS, Agreement, agree
from ttmarkers.statistics import mean


def rows(seed: int, number: int, right: float = 0.6) -> tuple[list[str], list[str | None], list[float]]:
    """Return right values, what a tagger said, which may be nothing or a value that is never right, and how sure."""
    chance = random.Random(seed)
    gold = chance.choices("abc", [6, 3, 1], k=number)
    said = [value if chance.random() < right else chance.choice(["a", "b", "c", "d", None]) for value in gold]
    sure = [0.0 if value is None else chance.choice([chance.random(), 1.0, 0.7, 0.3]) for value in said]
    return gold, said, sure


@pytest.mark.parametrize("seed", range(12))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    """Accuracy, F1 of each value and their mean, and kappa, where saying nothing is a value of its own."""
    gold, said, sure = rows(seed, 40 + 17 * seed, right=seed / 12)
    named = [value or "nothing" for value in said]
    found = agree(gold, said, sure)
    assert found.n == len(gold)
    assert found.accuracy.value == pytest.approx(accuracy_score(gold, named))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(gold, named))
    labels = sorted(set(gold))
    each = f1_score(gold, named, labels=labels, average=None, zero_division=0)
    assert found.macro_f1.value == pytest.approx(float(each.mean()))
    assert [found.values[label]["f1"] for label in labels] == pytest.approx(list(each))
    answered = [(right, value) for right, value in zip(gold, said, strict=True) if value]
    assert found.coverage.value == pytest.approx(len(answered) / len(gold))
    assert found.answered.value == pytest.approx(sum(a == b for a, b in answered) / len(answered))


@pytest.mark.parametrize("seed", range(4))
def test_calibration_error_and_confusion(seed: int) -> None:
    """Counted one row after another."""
    gold, said, sure = rows(seed, 150)
    found = agree(gold, said, sure)
    answers = [(a == b, c) for a, b, c in zip(gold, said, sure, strict=True) if b]
    error = 0.0
    for number in range(BINS):
        part = [(hit, c) for hit, c in answers if number / BINS <= c < (number + 1) / BINS + (number == BINS - 1)]
        if part:
            gap = sum(hit for hit, _ in part) / len(part) - sum(c for _, c in part) / len(part)
            error += len(part) / len(answers) * abs(gap)
    assert found.calibration_error.value == pytest.approx(error)
    pairs = [(a, b or "") for a, b in zip(gold, said, strict=True)]
    assert {(a, b): n for a, row in found.confusion.items() for b, n in row.items()} == {
        pair: pairs.count(pair) for pair in pairs
    }
    assert found.values["d"] == {
        "n": 0,
        "said": said.count("d"),
        "precision": 0.0,
        "confidence": pytest.approx(numpy.mean([c for b, c in zip(said, sure, strict=True) if b == "d"])),
    }


def test_intervals() -> None:
    """They hold the figure, shrink as one over the root of the rows, and depend on the seed alone."""
    widths = []
    for number in (50, 800):
        found = agree(*rows(1, number), seed=3)
        for name in found.METRICS:
            estimate = getattr(found, name)
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.low < estimate.high
        widths.append([getattr(found, name).high - getattr(found, name).low for name in found.METRICS])
    assert all(1.5 < few / many < 9 for few, many in zip(*widths, strict=True))
    assert agree(*rows(1, 50), seed=3) == agree(*rows(1, 50), seed=3) != agree(*rows(1, 50), seed=4)
    gold, said, _ = rows(1, 800)
    plain = mean([float(a == b) for a, b in zip(gold, said, strict=True)])
    assert found.accuracy.low == pytest.approx(plain.low, abs=0.01)
    assert found.accuracy.high == pytest.approx(plain.high, abs=0.01)


def test_a_small_calibration_error_lies_in_its_interval() -> None:
    """Rows drawn again are calibrated worse than the rows themselves; the interval reaches down to these."""
    number = 4000
    said = ["a" if index % 4 else "b" for index in range(number)]
    found = agree(["a"] * number, said, [0.75] * number)
    assert found.calibration_error.value == found.calibration_error.low == 0
    assert found.calibration_error.high < 0.05


@pytest.mark.parametrize("number", [1, 2, 20])
def test_all_right(number: int) -> None:
    """Where all rows are alike, shares have the exact interval, not one of no width."""
    found = agree(["a"] * number, ["a"] * number, [1.0] * number)
    for name in ("coverage", "accuracy", "answered"):
        assert getattr(found, name) == mean([1.0] * number)
        assert getattr(found, name).low < 0.84
    assert found.macro_f1.value == found.kappa.value == 1
    assert found.calibration_error.value == 0
    assert found.confusion == {"a": {"a": number}}


@pytest.mark.parametrize("number", [1, 5])
def test_nothing_said(number: int) -> None:
    """Then there is neither a share of right answers nor a calibration; JSON says null, tables say so too."""
    found = agree(["a"] * number, [None] * number, [0.0] * number)
    assert found.coverage.value == found.accuracy.value == found.macro_f1.value == found.kappa.value == 0
    assert math.isnan(found.answered.value)
    assert found.answered.text() == found.calibration_error.text() == "no case"
    figures = found.to_json()["metrics"]
    assert figures["answered"] == {"value": None, "low": None, "high": None, "n": 0}
    assert figures["calibration_error"]["value"] is None
    assert found.confusion == {"a": {"": number}}


def test_json_form() -> None:
    """One document without anything that JSON lacks, rounded."""
    document = agree(*rows(2, 60)).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == ["n", "metrics", "values", "confusion"]
    assert tuple(document["metrics"]) == Agreement.METRICS
    assert all(set(entry) == {"value", "low", "high", "n"} for entry in document["metrics"].values())
    assert all(round(x, 4) == x for entry in document["values"].values() for x in entry.values())
