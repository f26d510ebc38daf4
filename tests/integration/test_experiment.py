"""``ttm experiment``: what is done is kept, what changed is done again, and every figure can be traced."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support import TTM, environment, ok, read_rows, ttm

if TYPE_CHECKING:
    from collections.abc import Callable

    from ttmarkers.plugins.manager import Plugins

CONFIG = {
    "train": {"num_train_epochs": 1, "save_strategy": "no", "model": "scratch:tiny"},
    "decode": {"max_new_tokens": 16, "batch_size": 32},
    "evaluate": {"resamples": 200},
}
SHORT = {"task": "length", "data": "synthetic:length:6", "title": "Length: how long", "paper": "table-2"}


def write(path: Path, **keys: Any) -> Path:
    """Write an experiment's file."""
    path.write_text(yaml.safe_dump({"config": CONFIG, **keys}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def models(sft: Path, baseline: Path) -> dict[str, Any]:
    """Systems of models that are there."""
    return {
        "baseline": {"model": str(baseline), "policy": "none"},
        "inferred": {"model": str(sft), "policy": "inferred"},
        "fixed": {"model": str(sft), "policy": "fixed"},
    }


@pytest.fixture(scope="module")
def done(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """An experiment on models that are there: its file, its folder, what it printed."""
    folder = tmp_path_factory.mktemp("experiment")
    measures = {
        "length": {**SHORT, "slices": ["limit"]},
        "quality": {
            "task": "quality",
            "data": "synthetic:quality:3",
            "systems": ["baseline", "inferred"],
            "options": {"scorer": "program", "command": "python -m ttmarkers.synthetic.reward", "buckets": []},
        },
        "against": {
            "task": "quality",
            "data": "synthetic:quality:3",
            "systems": ["inferred"],
            "against": "baseline",
            "options": {"scorer": "program", "command": "python -m ttmarkers.synthetic.reward", "buckets": []},
        },
    }
    path = write(folder / "exp.yaml", systems=models, measures=measures, text=["What this is."])
    printed = ok(ttm("experiment", path, "-o", folder / "out", "--json"))
    return path, folder / "out", printed.json()


def test_figures_are_traced(done: tuple[Path, Path, dict[str, Any]], sft: Path) -> None:
    """Every figure names its files, models and seeds, and is the mean of the scores in the file."""
    _, out, printed = done
    systems = printed["experiments"]["exp"]["length"]["systems"]
    assert set(systems) == {"baseline", "inferred", "fixed"}
    for name, found in systems.items():
        (file,) = found["files"]
        assert file == f"answers/exp/length/{name}/seed-0/generations.jsonl"
        rows = read_rows(out / file)
        mean = sum(row["scores"]["violations"] for row in rows) / len(rows)
        assert found["metrics"]["violations"]["value"] == pytest.approx(mean, abs=1e-6)
        assert (found["n"], found["seeds"]) == (6, [0])
        run = json.loads((out / file).with_name("run.json").read_bytes())
        assert (run["command"], run["system"]) == ("experiment", name)
    assert systems["fixed"]["models"] == [str(sft)]
    summary = json.loads((out / "report.json").read_bytes())
    assert summary["experiments"] == printed["experiments"]


def test_comparisons(done: tuple[Path, Path, dict[str, Any]]) -> None:
    """The others are compared with the first on the same prompts, with corrected p and what could have been seen."""
    compared = done[2]["experiments"]["exp"]["length"]["compared"]
    assert {(each["system"], each["against"]) for each in compared} == {("inferred", "baseline"), ("fixed", "baseline")}
    assert {"metric", "value", "low", "high", "p", "n", "detectable", "p_corrected"} <= set(compared[0])
    assert all(each["p_corrected"] >= each["p"] for each in compared)


def test_against_a_system(done: tuple[Path, Path, dict[str, Any]]) -> None:
    """A paired task compares with another system's answers, which is asked but not scored against itself."""
    _, out, printed = done
    found = printed["experiments"]["exp"]["against"]["systems"]
    assert list(found) == ["inferred"]
    asked = read_rows(out / "answers/exp/against/baseline/seed-0/generations.jsonl")
    assert [row["scores"] for row in asked] == [{}] * 3


def test_report(done: tuple[Path, Path, dict[str, Any]]) -> None:
    """The page holds the paper's figures beside ours, the files, and what the model was trained on."""
    html = (done[1] / "report.html").read_text(encoding="utf-8")
    for part in (
        "Length: how long",
        "36.58 %",
        "answers/exp/length/fixed/seed-0/generations.jsonl",
        "What this is.",
        "Holm",
    ):
        assert part in html
    assert "What the models were trained on" in html
    text = (done[1] / "report.md").read_text(encoding="utf-8")
    assert "| system | policy | cases | seeds |" in text


def test_done_once(done: tuple[Path, Path, dict[str, Any]]) -> None:
    """Run again, nothing is asked; with another option only what it touches is."""
    path, out, printed = done
    again = ok(ttm("experiment", path, "-o", out, "--json"))
    assert again.json()["experiments"] == printed["experiments"]
    assert " seed 0 ..." not in again.err
    changed = ok(ttm("experiment", path, "-o", out, "--json", "--set", "measures.length.limit=4"))
    assert changed.json()["experiments"]["exp"]["length"]["systems"]["fixed"]["n"] == 4
    assert changed.err.count(" seed 0 ...") == 3
    ok(ttm("experiment", path, "-o", out, "--json"))  # as it was


def test_answers_are_kept_before_they_are_scored(models: dict[str, Any], tmp_path: Path) -> None:
    """Where scoring fails, the answers are there, and the next run scores them without asking again."""
    program = tmp_path / "judge.py"
    program.write_text("raise SystemExit('no opinion')\n", encoding="utf-8")
    options = {"scorer": "program", "command": f"python {program}", "buckets": []}
    measures = {"m": {"task": "quality", "data": "synthetic:quality:3", "systems": ["inferred"], "options": options}}
    path = write(tmp_path / "exp.yaml", systems=models, measures=measures)
    failed = ttm("experiment", path, "-o", tmp_path / "out")
    assert failed.code == 1
    assert "no opinion" in failed.err
    kept = tmp_path / "out/answers/exp/m/inferred/seed-0/generations.jsonl"
    before = read_rows(kept)
    assert [row["scores"] for row in before] == [{}] * 3
    program.write_text(
        "import json, sys\nprint([len(text) for text in json.load(sys.stdin)['answers']])\n", encoding="utf-8"
    )
    ok(ttm("experiment", path, "-o", tmp_path / "out"))
    after = read_rows(kept)
    assert all({"win_rate", "reward"} == set(row["scores"]) for row in after)
    assert [{**row, "scores": {}, "slices": {}} for row in after] == [{**row, "slices": {}} for row in before]


def test_what_changed_is_noticed(models: dict[str, Any], tmp_path: Path) -> None:
    """Other rows, another program and another model are asked or scored again; another bootstrap asks nobody."""
    program, rows = tmp_path / "judge.py", tmp_path / "rows-1.jsonl"
    texts = [{"id": f"c{n}", "prompt": f"Say {n}.", "output": "So."} for n in range(2)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts), encoding="utf-8")
    program.write_text("import json, sys\nprint([1 for _ in json.load(sys.stdin)['answers']])\n", encoding="utf-8")
    model = tmp_path / "model"
    shutil.copytree(models["inferred"]["model"], model)
    options = {"scorer": "program", "command": f"python {program}", "buckets": []}
    measures = {"m": {"task": "quality", "data": "rows-*.jsonl", "options": options}}
    path = write(
        tmp_path / "exp.yaml", systems={"a b": {"model": str(model)}, "a-b": {"model": str(model)}}, measures=measures
    )

    def run(*more: str) -> tuple[float, int, str]:
        done = ok(ttm("experiment", path, "-o", tmp_path / "out", "--json", *more))
        found = done.json()["experiments"]["exp"]["m"]["systems"]
        assert {each["policy"] for each in found.values()} == {"inferred"}  # none was named
        assert found["a b"]["files"] != found["a-b"]["files"]
        figures = found["a b"]["metrics"]["reward"]
        return figures["value"], figures["n"], done.err

    asked = tmp_path / "out/answers/exp/m/a-b/seed-0/asked.json"
    assert run()[:2] == (1.0, 2)
    before = asked.stat().st_mtime_ns
    assert " seed 0 ..." not in run()[2]
    assert run("--set", "config.evaluate.resamples=150")[:2] == (1.0, 2)
    program.write_text("import json, sys\nprint([2 for _ in json.load(sys.stdin)['answers']])\n", encoding="utf-8")
    assert run()[:2] == (2.0, 2)
    assert asked.stat().st_mtime_ns == before
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts[:1]), encoding="utf-8")
    assert run()[:2] == (2.0, 1)
    (model / "generation_config.json").write_text("{}", encoding="utf-8")
    before = asked.stat().st_mtime_ns
    run()
    assert asked.stat().st_mtime_ns != before


def test_files_of_one_name(models: dict[str, Any], tmp_path: Path) -> None:
    """Two experiments of one name are refused; names that lead out of the folder stay in it."""
    (tmp_path / "b").mkdir()
    measures = {"../../up": SHORT}
    one, other = (
        write(folder / "exp.yaml", systems=models, measures=measures) for folder in (tmp_path, tmp_path / "b")
    )
    failed = ttm("experiment", one, other, "-o", tmp_path / "out")
    assert failed.code == 2
    assert "two experiments are named 'exp'" in failed.err
    ok(ttm("experiment", one, "-o", tmp_path / "c" / "d" / "out"))
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"d"}
    assert {path.name for path in (tmp_path / "c" / "d").iterdir()} == {"out"}


TRAINED = {
    "rows": ["synthetic:train:60"],
    "systems": {"baseline": {"policy": "none", "set": {"train.strategy": "baseline"}}, "fixed": {"policy": "fixed"}},
    "measures": {"length": {**SHORT, "metrics": ["violations"]}},
    "grid": {"seed": [0, 1]},
}


def _wait(folder: Path, is_there: Callable[[Path], bool]) -> None:
    until = time.monotonic() + 120
    while not is_there(folder):
        assert time.monotonic() < until, "nothing came"
        time.sleep(0.05)


def test_killed_and_resumed(tmp_path: Path) -> None:
    """Killed in the middle of a training, an experiment goes on; each seed has its models, and figures are of both."""
    path, out = write(tmp_path / "exp.yaml", **TRAINED), tmp_path / "out"
    words = [str(word) for word in (TTM, "experiment", path, "-o", out)]
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait(
        out, lambda folder: len(list(folder.glob("models/*/run.json"))) == 1 and len(list(folder.glob("models/*"))) == 2
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = next(iter(out.glob("models/*/run.json")))
    before = first.stat().st_mtime_ns
    found = ok(ttm("experiment", path, "-o", out, "--json")).json()
    assert first.stat().st_mtime_ns == before
    assert len(list(out.glob("models/*/run.json"))) == 4
    system = found["experiments"]["exp"]["length"]["systems"]["fixed"]
    assert (system["runs"], system["seeds"], len(set(system["models"]))) == (2, [0, 1], 2)
    merged = ok(ttm("report", out, "-o", tmp_path / "r.html", "--json")).json()["length"]  # seeds are no rivals
    assert {name: run["runs"] for name, run in merged["runs"].items()} == {
        "exp/length/baseline": 2,
        "exp/length/fixed": 2,
    }
    assert merged["runs"]["exp/length/fixed"]["metrics"]["violations"] == system["metrics"]["violations"]
    assert {each["system"] for each in merged["compared"]} == {"exp/length/fixed"}


def test_quickstart(tmp_path: Path, plugins: Plugins) -> None:
    """The quickstart, made small: its summary holds figures of all systems, over all and in head and tail."""
    from ttmarkers.cli.quickstart import MARKERS, summary
    from ttmarkers.experiments.file import read_experiment
    from ttmarkers.experiments.report import run_experiments

    source = importlib.resources.files("ttmarkers_templates").joinpath("experiments/quickstart.yaml")
    small = ["rows=['synthetic:train:100']", "config.train.num_train_epochs=1", "config.decode.max_new_tokens=24"]
    small += [f"measures.{name}.limit=14" for name in ("length", "language", "markers")]
    with importlib.resources.as_file(source) as path:
        experiment = read_experiment(path, small)
    found = run_experiments([experiment], tmp_path / "quick", plugins, lambda line: None, lambda *_: nullcontext(int))
    said = summary(found)
    assert set(said) == {"seconds", "report", "violations", "language", "prediction", "head", "tail", "steps"}
    assert set(said["violations"]) == set(said["tail"]["violations"]) == {"baseline", "inferred", "fixed"}
    assert set(said["prediction"]) == set(MARKERS)
    assert said["violations"]["fixed"]["n"] == 14
    assert said["head"]["violations"]["fixed"]["n"] + said["tail"]["violations"]["fixed"]["n"] == 14
    assert Path(said["report"]).is_file()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"measures": {"m": {"task": "lenth"}}}, "did you mean 'length'"),
        ({"measures": {"m": {**SHORT, "paper": "table-99"}}}, "there is no table 'table-99'"),
        ({"measures": {"m": {**SHORT, "metrics": ["violation"]}}}, "did you mean 'violations'"),
        ({"systems": {"a": {"policy": "fixt"}}}, "did you mean 'fixed'"),
        ({"rows": ["synthetic:trian:9"]}, "there is no synthetic set 'trian'"),
        ({"rows": ["gone.jsonl"]}, "gone.jsonl"),
        ({"config": {"train": {}}}, "config.train.model is missing"),
        ({"grid": {"seed": ["a"]}}, "grid.seed holds whole numbers"),
        ({"systems": {"a": {"model": "/nowhere"}}}, "there is no folder /nowhere"),
        ({"measures": {"m": {**SHORT, "against": "fixt"}}}, "fixt"),
        ({"measures": {}}, "measures"),
        ({"config": {"train": {"model": "scratch:tiny", "strategy": "stf"}}}, "did you mean 'sft'"),
    ],
    ids=str,
)
def test_wrong_experiments(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    """A name that does not exist is told before anything is trained."""
    path = write(tmp_path / "exp.yaml", **{**TRAINED, "config": CONFIG, **keys})
    failed = ttm("experiment", path, "-o", tmp_path / "out")
    assert failed.code == 2
    assert message in failed.err
    assert "Traceback" not in failed.err
    assert not list(tmp_path.glob("out/models/*"))


def test_folder_of_something_else(tmp_path: Path) -> None:
    """A folder that is not an experiment's is left alone."""
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    failed = ttm("experiment", write(tmp_path / "exp.yaml", **TRAINED), "-o", tmp_path)
    assert failed.code == 2
    assert "is no experiment's" in failed.err
