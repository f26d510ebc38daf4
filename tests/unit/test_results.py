"""Figures of scored cases: means, means of means, metrics of sums, head and tail, comparisons; kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.checkpoints.checkpoint import Checkpoint
from ttmarkers.components import MarkerType
from ttmarkers.errors import DataError
from ttmarkers.evaluation.results import Scored, correct, differences, result_from_json, summarise
from ttmarkers.evaluation.stored import read_scored, write_generations
from ttmarkers.evaluation.tail import known_markers, make_tail
from ttmarkers.records import Generation, Metric
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def said(name: str, text: str = "So.", **keys: Any) -> Generation:
    """Return an answer."""
    return Generation(name, (), text, "", {}, text, "test", **keys)


def scored(name: str, scores: Mapping[str, Any], **slices: str) -> Scored:
    """Return a scored case."""
    return Scored(name, (said(name),), scores, slices)


HIT = {"hit": Metric("higher")}


def test_means_and_slices() -> None:
    """A metric is the mean over the cases that it applies to, over all and within each slice."""
    run = [scored(str(n), {"hit": float(n % 2)} if n < 8 else {}, kind="ab"[n % 4 == 0]) for n in range(10)]
    result = summarise("task", "fixed", HIT, [run], resamples=200)
    assert (result.n, result.runs) == (10, 1)
    assert (result.metrics["hit"].value, result.metrics["hit"].n) == (0.5, 8)
    assert {(part.value, part.n) for part in result.slices} == {("a", 7), ("b", 3)}
    part = result.slice("kind", "b")
    assert part is not None
    assert (part.metrics["hit"].value, part.metrics["hit"].n) == (0.0, 2)
    assert result.slice("kind", "c") is None
    assert result_from_json(result.to_json()).to_json() == result.to_json()


def test_means_of_means() -> None:
    """A metric over slices weighs each cell alike, however many cases it has."""
    metrics = {"hit": Metric("higher", over=("lang", "source"))}
    cells = {("fr", "a"): [1.0] * 6, ("fr", "b"): [0.0] * 2, ("de", "a"): [1.0, 0.0]}
    run = [
        scored(f"{lang}{source}{n}", {"hit": hit}, lang=lang, source=source)
        for (lang, source), hits in cells.items()
        for n, hit in enumerate(hits)
    ]
    assert summarise("task", "", metrics, [run], resamples=200).metrics["hit"].value == pytest.approx(0.5)


def test_metrics_of_sums() -> None:
    """A metric may be made of sums over cases, and is so within slices too."""
    metrics = {"ratio": Metric("higher", share=False, combine=lambda sums: sums[0] / sums[1])}
    run = [scored(str(n), {"ratio": (float(n), 2.0)}, half=str(n < 5)) for n in range(10)]
    result = summarise("task", "", metrics, [run], resamples=200)
    assert result.metrics["ratio"].value == pytest.approx(45 / 20)
    assert [part.metrics["ratio"].value for part in result.slices] == pytest.approx([3.5, 1.0])


def test_seeds() -> None:
    """Runs of several seeds are one figure, whose interval is wider than that of one of them."""
    one = [[scored(str(n), {"hit": float(n < 50 + 20 * seed)}) for n in range(100)] for seed in range(3)]
    result = summarise("task", "", HIT, one, resamples=500)
    alone = summarise("task", "", HIT, one[1:2], resamples=500)
    assert (result.runs, result.n, result.metrics["hit"].n) == (3, 100, 100)
    assert result.metrics["hit"].value == pytest.approx(0.7)
    wide = result.metrics["hit"].high - result.metrics["hit"].low
    assert wide > alone.metrics["hit"].high - alone.metrics["hit"].low


def test_differences() -> None:
    """Two systems are compared on the cases that both have, metric by metric and slice by slice; p are corrected."""
    metrics = {**HIT, "length": Metric("neither", share=False), "other": Metric("lower")}
    first = [scored(str(n), {"hit": float(n % 4 == 0), "length": 1.0}, kind="ab"[n % 2]) for n in range(80)]
    second = [scored(str(n), {"hit": 1.0, "length": 2.0}, kind="ab"[n % 2]) for n in range(79, -5, -1)]
    found = correct(differences(("one", [first]), ("two", [second]), metrics, resamples=300))
    assert [(each.metric, each.by, each.value) for each in found] == [
        ("hit", "", ""), ("hit", "kind", "a"), ("hit", "kind", "b")
    ]  # fmt: skip
    assert [each.difference.n for each in found] == [80, 40, 40]
    assert found[0].difference.value == pytest.approx(0.75)
    assert all(each.corrected >= each.difference.p for each in found)
    assert found[0].to_json()["system"] == "two"
    assert differences(("one", [first]), ("two", [[scored("x", {"hit": 1.0})]]), metrics) == []
    assert [each.by for each in differences(("one", [first]), ("two", [second]), HIT, [], resamples=100)] == [""]


def grouped(name: str, group: str, hit: float | None) -> Scored:
    """Return a case that asks the prompt of others too."""
    return Scored(name, (said(name),), {} if hit is None else {"hit": hit}, {}, group)


def test_one_prompt_asked_often() -> None:
    """Cases of one prompt count as one: the figure is the same, n and interval are those of the prompts."""
    often = [grouped(f"{p}@{n}", str(p), float(p % 2)) for p in range(6) for n in range(4)]
    once = [grouped(str(p), str(p), float(p % 2)) for p in range(6)]
    many, few = (summarise("task", "", HIT, [run], resamples=200).metrics["hit"] for run in (often, once))
    assert many == few
    assert few.n == 6
    uneven = [*often, *(grouped(f"0@{n}", "0", 1.0) for n in range(4, 8)), grouped("x", "9", None)]
    assert summarise("task", "", HIT, [uneven], resamples=200).metrics["hit"].value == pytest.approx(16 / 28)


def test_asked_once_beside_asked_often() -> None:
    """A system that was asked each prompt once is compared with each answer of one that was asked several times."""
    once = [grouped(str(p), str(p), 0.0) for p in range(20)]
    often = [
        Scored(f"{p}@{n}", (said("x"),), {"hit": float(n)}, {"value": str(n)}, str(p))
        for p in range(20)
        for n in (0, 1)
    ]
    for one, other, sign in ((once, often, 1), (often, once, -1)):
        found = differences(("one", [one]), ("two", [other]), HIT, resamples=200)
        assert [(each.by, each.value, round(each.difference.value, 9), each.difference.n) for each in found] == [
            ("", "", sign * 0.5, 20),
            ("value", "0", 0.0, 20),
            ("value", "1", sign * 1.0, 20),
        ]


COUNTS = {"lang": {"English": 950, "French": 50, "German": 49}, "length_tokens": {"n": 1000}}
TYPES = Taxonomy(
    (MarkerType("lang", "", "categorical", ("English", "French", "German")), MarkerType("length_tokens", "", "int"))
)


def test_head_and_tail() -> None:
    """A value under 5 % of the training rows is in the tail, and so is one that none of them has."""
    tail = make_tail(Checkpoint("sft", True, TYPES, "paper", "", {}, 1000, COUNTS), None)
    assert tail.slices({"lang": "French", "length_tokens": 3}) == {"lang frequency": "head", "frequency": "head"}
    assert tail.slices({"lang": "German"}) == {"lang frequency": "tail", "frequency": "tail"}
    assert tail.slices({"lang": "Klingon"})["frequency"] == "tail"
    assert tail.slices({"domain": "Legal"}) == {}
    assert make_tail(None, None).slices({"lang": "German"}) == {}
    assert known_markers({"markers": {"lang": "French", "task": None}}) == {"lang": "French"}
    assert known_markers({"markers": "none"}) == {}


def test_scores_on_disk(tmp_path: Path) -> None:
    """Scores are read again as they were written, those of several answers once."""
    run = [
        Scored("a", (said("a#0"), said("a#1")), {"hit": 0.5}, {"kind": "x"}),
        Scored("b", (said("b", enforced={"words": 3}),), {"sums": (1.0, 2.0)}, {}),
    ]
    path = tmp_path / "generations.jsonl"
    write_generations(path, run)
    assert len(path.read_bytes().splitlines()) == 3
    again = read_scored(path)
    assert [(each.id, each.scores, each.slices) for each in again] == [(e.id, e.scores, e.slices) for e in run]
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match="is damaged"):
        read_scored(path)
    with pytest.raises(DataError, match="is missing: name folders that ttm evaluate -o wrote"):
        read_scored(tmp_path / "gone.jsonl")
