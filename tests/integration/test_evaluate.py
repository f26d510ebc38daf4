"""Evaluate a model or stored answers, merge the runs into a report, and preview what a model sees."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from support import Outcome, read_rows, ttm, write_rows

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ("--limit", "4", "--set", "decode.max_new_tokens=24", "--set", "evaluate.resamples=200")
FIGURES = {"value", "low", "high", "n"}


def _ok(done: Outcome) -> Any:
    assert done.code == 0, done.err
    return done.json()


@pytest.fixture(scope="module")
def runs(sft: Path, baseline: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three runs of the task length on its embedded sample: baseline, markers inferred, markers fixed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, model, words in (
        ("baseline", baseline, []),
        ("inferred", sft, []),
        ("fixed", sft, ["--policy", "fixed"]),
    ):
        _ok(ttm("evaluate", model, "--task", "length", "-o", folder / name, "--json", *words, *SHORT))
    return {path.name: path for path in folder.iterdir()}


def test_result(runs: dict[str, Path], sft: Path) -> None:
    """The result has the documented shape: figures with their intervals, over all and by slice."""
    for name, policy in (("baseline", "none"), ("inferred", "inferred"), ("fixed", "fixed")):
        data = json.loads((runs[name] / "result.json").read_bytes())
        assert {"task", "n", "metrics", "slices"} <= set(data)
        assert (data["task"], data["policy"], data["n"]) == ("length", policy, 4)
        assert set(data["metrics"]) == {"violations", "overshoot", "empty", "length"}
        for figures in data["metrics"].values():
            assert set(figures) == FIGURES
            assert figures["low"] <= figures["value"] <= figures["high"]
        assert sum(part["n"] for part in data["slices"]) == 4
        for part in data["slices"]:
            assert set(part) == {"by", "is", "n", "metrics"}
            assert part["by"] == "limit"
    run = json.loads((runs["fixed"] / "run.json").read_bytes())
    assert (run["command"], run["policy"], run["model"]) == ("evaluate", "fixed", str(sft))


def test_answers_are_kept(runs: dict[str, Path]) -> None:
    """Each answer is stored with prompt, raw text, markers and scores; the metric is the mean of the scores."""
    for name in ("inferred", "fixed"):
        rows = read_rows(runs[name] / "generations.jsonl")
        assert [row["id"] for row in rows] == [f"sample-{number}" for number in range(1, 5)]
        assert all(
            {"prompt", "text", "raw", "markers", "policy", "stats", "scores", "slices"} <= set(row) for row in rows
        )
        data = json.loads((runs[name] / "result.json").read_bytes())
        mean = sum(row["scores"]["violations"] for row in rows) / 4
        assert data["metrics"]["violations"]["value"] == pytest.approx(mean)
    said = read_rows(runs["inferred"] / "generations.jsonl")[0]["prompt"]
    asked = read_rows(runs["fixed"] / "generations.jsonl")[0]["prompt"]
    assert said == f"Answer the following instruction using 60 words or less.\n\n{asked}"


def test_markers_beside_the_tasks_own(sft: Path, tmp_path: Path) -> None:
    """Markers that are given to the command are asked for with those of the task."""
    words = ["evaluate", sft, "--task", "length", "-m", "lang=fr", "-o", tmp_path / "run", "--json", *SHORT]
    assert _ok(ttm(*words, "--set", "decode.max_new_tokens=150"))["policy"] == "fixed"
    for row in read_rows(tmp_path / "run" / "generations.jsonl"):
        limits = [60, 50, 80, 40]
        assert row["markers"]["lang"] == "French"
        assert row["markers"]["length_tokens"] == limits[int(row["id"][-1]) - 1]


def test_stored_answers_score_the_same(runs: dict[str, Path]) -> None:
    """Scoring the stored answers again, without a model, gives the same figures."""
    words = ["--task", "length", "--generations", runs["inferred"] / "generations.jsonl", "--json", *SHORT]
    again = _ok(ttm("evaluate", *words))
    first = json.loads((runs["inferred"] / "result.json").read_bytes())
    assert again["policy"] == "stored"
    assert (again["metrics"], again["slices"]) == (first["metrics"], first["slices"])


def test_stored_answers_by_prompt(tmp_path: Path) -> None:
    """Answers are matched by id or by the prompt in any of its forms, whichever column they stand in."""
    cases = [
        {"instruction": f"Use 2 words or less. Say {word}.", "original_instruction": f"Say {word}.", "max_len": 2}
        for word in ("a", "b", "c")
    ]
    answers = [
        {"instruction": "Use 2 words or less. Say a.", "output": "one two"},
        {"prompt": "Say b.", "text": "one two three"},
        {"id": "3", "completion": "one"},
    ]
    data, stored = write_rows(tmp_path / "data.jsonl", cases), write_rows(tmp_path / "answers.jsonl", answers)
    words = ["evaluate", "--task", "length", "--data", data, "--generations"]
    found = _ok(ttm(*words, stored, "--json"))
    assert (found["n"], found["metrics"]["violations"]["value"]) == (3, pytest.approx(1 / 3, abs=1e-6))
    missing = ttm(*words, write_rows(tmp_path / "two.jsonl", answers[:2]))
    assert missing.code == 1
    assert "no stored answer belongs to case '3': answers are matched by id or prompt" in missing.err
    empty = ttm(*words, write_rows(tmp_path / "none.jsonl", [{"id": "1"}]))
    assert empty.code == 1
    assert "none.jsonl, row 1: there is no answer: use a column text, output or completion" in empty.err


def test_answers_are_kept_before_they_are_scored(sft: Path, tmp_path: Path) -> None:
    """Where scoring fails, the answers are there, and can be scored without the model."""
    words = ["evaluate", "--task", "quality", "--set", "evaluate.options.quality.scorer=program"]
    words += ["--set", "evaluate.options.quality.buckets=[]", "--set", "evaluate.options.quality.command"]
    failed = ttm(*words[:-1], words[-1] + "=python -c exit(1)", *SHORT, sft, "-o", tmp_path / "run")
    assert failed.code == 1
    assert "failed for request" in failed.err
    stored = tmp_path / "run" / "generations.jsonl"
    assert len(read_rows(stored)) == 4
    program = tmp_path / "judge.py"
    program.write_text(
        "import json, sys\nprint([len(text) for text in json.load(sys.stdin)['answers']])\n", encoding="utf-8"
    )
    found = _ok(ttm(*words[:-1], words[-1] + f"=python {program}", *SHORT, "--generations", stored, "--json"))
    assert set(found["metrics"]) == {"win_rate", "reward"}


def test_for_people(runs: dict[str, Path]) -> None:
    """Without --json a table is printed, a line for all cases and one for each slice."""
    words = ["--task", "length", "--generations", runs["fixed"] / "generations.jsonl", *SHORT]
    done = ttm("evaluate", *words)
    lines = done.out.splitlines()
    assert lines[0] == "task length, policy stored, n = 4; 95 % bootstrap intervals"
    assert lines[1].split() == ["cases", "n", "violations", "overshoot", "empty", "length"]
    assert lines[2].startswith("all")
    assert all(line.startswith("limit = ") for line in lines[3:])


@pytest.mark.parametrize("policy", ["inferred", "posterior", "fixed"])
def test_markers(sft: Path, marked: Path, policy: str) -> None:
    """Annotated rows measure which markers a model infers, how sure it is, and whether answers show those given."""
    words = ["evaluate", sft, "--task", "markers", "--data", marked, "--policy", policy, "--json", *SHORT]
    found = _ok(ttm(*words))["metrics"]
    kinds = {name.partition(".")[0] for name in found}
    adherence = {name for name in found if name.startswith("adherence.")}
    assert adherence >= {"adherence.lang", "adherence.length_tokens", "adherence.length_sentences"}
    if policy == "fixed":  # all were given, so none was inferred
        assert kinds == {"adherence"}
    else:
        assert {"accuracy", "accuracy.lang", "accuracy.length_bucket", "macro.lang"} <= set(found)
        assert ("calibration" in kinds) == (policy == "posterior")
    assert all(0 <= figures["value"] <= 1 for figures in found.values())


@pytest.mark.parametrize("policy", ["fixed", "guided"])
def test_frontier(sft: Path, marked: Path, policy: str) -> None:
    """A marker is swept, each prompt asked with each value and with none, also where answers are led."""
    words = ["evaluate", sft, "--task", "frontier", "--data", marked, "--policy", policy, "--json", *SHORT[2:]]
    words += ["--set", "evaluate.options.frontier.values=[1, 3]", "--limit", "6"]
    found = _ok(ttm(*words))
    assert {part["is"] for part in found["slices"] if part["by"] == "length_sentences"} == {"(not asked)", "1", "3"}
    assert found["metrics"]["adherence"]["n"] == 2  # prompts


def test_head_and_tail(sft: Path, baseline: Path, marked: Path, tmp_path: Path) -> None:
    """Cases are told apart by how frequent their markers were in training; stored answers by the counts of a model."""
    words = ["evaluate", baseline, "--task", "control", "--data", marked, "-o", tmp_path / "run", "--json", *SHORT]
    slices = {(part["by"], part["is"]) for part in _ok(ttm(*words, "--set", "evaluate.tail=[lang]"))["slices"]}
    assert {("lang frequency", "head"), ("frequency", "head")} <= slices
    stored = [
        "evaluate",
        "--task",
        "control",
        "--data",
        marked,
        "--generations",
        tmp_path / "run" / "generations.jsonl",
    ]
    assert not [part for part in _ok(ttm(*stored, "--json", *SHORT))["slices"] if "frequency" in part["by"]]
    rare = ["--counts", sft, "--set", "evaluate.border=0.9", "--set", "evaluate.tail=[lang]"]
    slices = {(part["by"], part["is"]) for part in _ok(ttm(*stored, *rare, "--json", *SHORT))["slices"]}
    assert {("lang frequency", "tail"), ("frequency", "tail")} <= slices


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--policy", "fixed"], 2, "the model was trained without markers"),
        (["--policy", "fixd"], 2, "unknown policy 'fixd'"),
        (["--data", "gone.jsonl"], 2, "input 'gone.jsonl': there is no such file"),
        (["--set", "evaluate.options.length.unit=letters"], 2, "evaluate.options.length.unit = 'letters'"),
        (
            ["--set", "evaluate.options.length.units=words"],
            2,
            "length.units: there is no such option without a scorer: did you mean 'unit'",
        ),
        (["--set", "evaluate.options.lenght.unit=words"], 2, "lenght"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_evaluations(baseline: Path, words: list[str], code: int, message: str) -> None:
    """A policy, file or option that does not fit is told before anything is asked."""
    done = ttm("evaluate", baseline, "--task", "length", *SHORT, *words)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert "Traceback" not in done.err


def test_report(runs: dict[str, Path], tmp_path: Path) -> None:
    """Runs become one page that needs no other file, with every run, metric and interval."""
    page = tmp_path / "report.html"
    done = ttm("report", runs["baseline"], runs["inferred"], runs["fixed"], "-o", page)
    assert (done.code, done.out) == (0, f"{page}\n")
    assert json.loads((tmp_path / "report.html.run.json").read_bytes())["command"] == "report"
    html = page.read_text(encoding="utf-8")
    for part in ("baseline", "inferred", "fixed", "violations", "Task length", "<svg", "limit: "):
        assert part in html
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", html)
    assert "fixed against baseline" in html
    figures = json.loads((runs["fixed"] / "result.json").read_bytes())["metrics"]["length"]
    assert f"{figures['value']:.2f} [{figures['low']:.2f}, {figures['high']:.2f}]" in html


def test_report_compares(runs: dict[str, Path], tmp_path: Path) -> None:
    """Runs are compared with the one that is named, on the same prompts, also those of a folder of runs."""
    folder = runs["fixed"].parent
    found = _ok(ttm("report", folder, "-o", tmp_path / "r.html", "--baseline", "inferred", "--json"))["length"]
    assert set(found["runs"]) == {"baseline", "inferred", "fixed"}
    assert {(each["system"], each["against"]) for each in found["compared"]} == {
        ("baseline", "inferred"), ("fixed", "inferred")
    }  # fmt: skip
    assert {"value", "low", "high", "p", "p_corrected", "detectable", "n"} <= set(found["compared"][0])
    wrong = ttm("report", folder, "-o", tmp_path / "s.html", "--baseline", "infered")
    assert wrong.code == 2
    assert "did you mean 'inferred'" in wrong.err


def test_report_escapes_what_it_shows(tmp_path: Path, runs: dict[str, Path]) -> None:
    """A run's name is text, whatever signs it holds."""
    odd = tmp_path / "<b>odd & bold"
    odd.mkdir()
    (odd / "result.json").write_bytes((runs["fixed"] / "result.json").read_bytes())
    assert ttm("report", odd, "-o", tmp_path / "report.html").code == 0
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>odd" not in html
    assert "&lt;b&gt;odd &amp; bold" in html


def test_report_of_no_run(tmp_path: Path, sft: Path) -> None:
    """A folder without a result, or with a damaged one, is named."""
    done = ttm("report", sft, "-o", tmp_path / "report.html")
    assert done.code == 1
    assert f"{sft} holds no result.json: name folders that ttm evaluate -o wrote" in done.err
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    done = ttm("report", tmp_path, "-o", tmp_path / "report.html")
    assert done.code == 1
    assert "result.json is damaged" in done.err
    assert not (tmp_path / "report.html").exists()


def test_preview(marked: Path, sft: Path) -> None:
    """Preview shows rows as training will see them, and with a model every token with its part."""
    (row,) = ttm("preview", marked, "-n", "1", "--json").lines()
    assert set(row) == {"id", "prompt", "completion", "dropped"}
    assert row["completion"].startswith("<MARKER_LIST> ")
    lines = ttm("preview", marked, "-n", "5", "--model", sft, "--json").lines()
    assert [line["id"] for line in lines] == [f"r{number}" for number in range(5)]
    for line in lines:
        tokens = line["tokens"]
        assert all(set(token) == {"id", "text", "part", "loss"} for token in tokens)
        assert [token["loss"] for token in tokens] == [token["part"] != "prompt" for token in tokens]
        assert {token["part"] for token in tokens} == {"prompt", "block", "answer"}
    epochs = [ttm("preview", marked, "-n", "20", "--epoch", str(epoch), "--json").lines() for epoch in (0, 0, 1)]
    assert epochs[0] == epochs[1] != epochs[2]


def test_preview_for_people(marked: Path) -> None:
    """For people the turns are shown as text, and what was dropped."""
    whole = ttm("preview", marked, "-n", "1", "--set", "dropout.dataset=0", "--set", "dropout.sample=0")
    assert (whole.code, whole.err) == (0, "")
    assert "── r0" in whole.out
    assert "dropped from the prompt: nothing" in whole.out
    assert whole.out.count("<MARKER_LIST>") == 2
    bare = ttm("preview", marked, "-n", "1", "--set", "dropout.dataset=1")
    assert "dropped from the prompt: length_tokens, length_sentences" in bare.out
    assert bare.out.count("<MARKER_LIST>") == 1
