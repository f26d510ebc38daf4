"""The example plugin as a user has it: built, installed by pip beside the framework, and used through all commands.

Its own tests run with the tutorial, whose files are the plugin's (`tests/docs`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import ok, read_rows, ttm, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGIN = Path(__file__).parents[2] / "examples" / "ttmarkers-readability"
FILES = {"__init__.py", "command.py", "extract.py", "formula.py", "py.typed", "task.py", "templates/lines.jinja"}
THINGS = ("sun", "moon", "sea", "wind", "rain", "snow", "sand", "fire", "tree", "bird", "fish", "stone")
EASY = "The {} is old. " + "We see it each day. It is good to us. We like it a lot. " * 3
HARD = "The {} shows " + "considerable environmental interactions notwithstanding international disagreement " * 8
ANSWER = ("--set", "decode.max_new_tokens=90")


def pip(*words: object) -> None:
    """Run pip, offline, with the build backend that is here."""
    command = [sys.executable, "-m", "pip", *map(str, words), "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The plugin, installed where this process finds it while this module's tests run."""
    site = tmp_path_factory.mktemp("site")
    pip("install", PLUGIN, "--target", site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site
    for name in [name for name in sys.modules if name.startswith("ttmarkers_readability")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def marked(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of easy and hard answers to the same prompts, annotated."""
    folder = tmp_path_factory.mktemp("readability")
    rows = [
        {"prompt": f"Tell me of the {thing}.", "completion": answer.format(thing)}
        for thing in THINGS
        for answer in (EASY, HARD)
    ]
    rows.append({"prompt": "Print nothing.", "completion": "```python\nprint()\n```"})
    output = folder / "marked.jsonl"
    ok(ttm("annotate", write_rows(folder / "rows.jsonl", rows), "-o", output, "--set", "markers.use=[readability]"))
    return output


@pytest.fixture(scope="module")
def model(marked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that was trained with the plugin's template until its marker is a lever."""
    output = tmp_path_factory.mktemp("model") / "model"
    settings = (
        "train.max_steps=40",
        "train.per_device_train_batch_size=8",
        "train.learning_rate=3e-3",
        "train.lr_scheduler_type=constant",
        "dropout.dataset=0",
        "dropout.sample=0",
    )
    words = [word for setting in settings for word in ("--set", setting)]
    ok(ttm("train", marked, "--model", "scratch:tiny", "--template", "lines", "-o", output, *words))
    return output


def test_the_wheel_holds_all_that_is_needed(tmp_path: Path) -> None:
    """Code, template and the mark that it is typed; the entry point by which it is found."""
    pip("wheel", PLUGIN, "--wheel-dir", tmp_path)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert archive.read(points).decode() == "[ttmarkers]\nreadability = ttmarkers_readability\n"
    assert {name for name in names if ".dist-info/" not in name} == {f"ttmarkers_readability/{name}" for name in FILES}


@pytest.mark.usefixtures("installed")
def test_it_is_listed() -> None:
    """The plugin with its version, and each of its components among the others."""
    (record,) = [each for each in ttm("plugins", "list", "--json").json() if each["name"] == "readability"]
    assert (record["distribution"], record["version"], record["status"]) == ("ttmarkers-readability", "0.1.0", "ok")
    assert "readability" in ok(ttm("markers", "list")).out
    assert "difficult" in ok(ttm("markers", "show", "readability")).out
    assert "lix" in ok(ttm("extractors", "list")).out
    assert "[markers]" in ok(ttm("templates", "show", "lines")).out
    assert "readability" in ok(ttm("tasks", "list")).out
    assert "readability" in ok(ttm("--help")).out


def test_rows_are_annotated(marked: Path) -> None:
    """Levels are found, in a process of an extractor's own; what is no prose gets none, and says who found it."""
    rows = read_rows(marked)
    assert [row["markers"] for row in rows] == [{"readability": "easy"}, {"readability": "hard"}] * len(THINGS) + [{}]
    assert rows[0]["markers_meta"]["readability"]["source"] == "extractor:lix"


def test_rows_are_looked_at(marked: Path) -> None:
    """The marker is counted, checked, and shown in the plugin's template."""
    counted = ttm("stats", marked, "--json").json()["markers"]["readability"]
    assert (counted["missing"], [value["count"] for value in counted["values"]]) == (1, [12, 12])
    assert "0 kinds of errors" in ok(ttm("lint", marked)).err
    (row,) = ttm("preview", marked, "-n", 1, "--set", "template=lines", "--json").lines()
    assert row["completion"].startswith("[markers]\nreadability: easy\n[/markers]\nThe sun is old.")


def test_the_command(marked: Path) -> None:
    """It counts levels, and shows how scores are spread."""
    found = ttm("readability", marked, "--json").json()
    assert (found["rows"], found["told"], found["levels"]) == (25, 24, {"easy": 12, "medium": 0, "hard": 12})
    assert [step["rows"] for step in found["scores"]] == [12, 12]
    assert (found["quantiles"]["0"] < 10, found["quantiles"]["100"] > 100) == (True, True)
    shown = ok(ttm("readability", marked)).out
    assert "easy    12    50.0%" in shown
    assert "█" in shown


def test_the_lever_works(model: Path) -> None:
    """Trained and asked with the template, the answer is as easy as asked; users may use aliases."""
    markers = json.loads((model / "markers.json").read_bytes())
    assert (markers["template"]["name"], markers["counts"]["readability"]) == ("lines", {"easy": 12, "hard": 12})
    simple = ttm("generate", model, "Tell me of the sea.", "-m", "readability=simple", "--json", *ANSWER).json()
    assert (simple["fault"], simple["markers"]) == ("", {"readability": "easy"})
    assert simple["raw"].startswith("[markers]\nreadability: easy\n[/markers]\n")
    assert "We see it each day." in simple["text"]
    hard = ttm("generate", model, "Tell me of the sea.", "-m", "readability=hard", "--json", *ANSWER).json()
    assert "environmental" in hard["text"]


def test_the_task(model: Path, tmp_path: Path) -> None:
    """The task measures the lever: answers are judged by the extractor, with an interval, by level and over all."""
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": f"Tell me of the {thing}."} for thing in THINGS[:4]])
    levels = ("--set", "evaluate.options.readability.levels=[easy, hard]")
    asked = ("--task", "readability", "--data", rows, *levels, *ANSWER, "--json")
    fixed = ttm("evaluate", model, *asked, "--policy", "fixed", "-o", tmp_path / "fixed").json()
    adherence = fixed["metrics"]["adherence"]
    assert adherence["value"] >= 0.75
    assert adherence["low"] < adherence["value"] <= adherence["high"]
    scores = {part["is"]: part["metrics"]["lix"]["value"] for part in fixed["slices"] if part["by"] == "level"}
    assert scores["easy"] < 45 < 55 < scores["hard"]
    stored = ("--task", "readability", "--data", rows, *levels, "--generations", tmp_path / "fixed/generations.jsonl")
    assert ok(ttm("evaluate", *stored, "--json")).json()["metrics"]["adherence"] == adherence


@pytest.mark.usefixtures("installed")
def test_the_embedded_sample_is_asked_in_words_without_the_marker(tmp_path: Path) -> None:
    """Answers from anywhere are scored: 24 cases, of which one that is too short adheres to nothing."""
    from ttmarkers_readability.task import ReadabilityTask

    cases = ReadabilityTask().cases(None)
    texts = {"easy": EASY.format("sky"), "medium": "Short.", "hard": HARD.format("sky")}
    answers = [{"prompt": case.prompts[0], "text": texts[case.level], "lang": "en"} for case in cases]
    stored = ("--generations", write_rows(tmp_path / "answers.jsonl", answers))
    result = ok(ttm("evaluate", "--task", "readability", *stored, "--json")).json()
    shares = {name: result["metrics"][name]["value"] for name in ("adherence", "measured")}
    assert shares == {"adherence": pytest.approx(2 / 3), "measured": pytest.approx(2 / 3)}


def test_its_model_is_used_without_the_plugin(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model carries marker type and template, so it is used without the plugin; the task is not there then."""
    monkeypatch.setenv("TTM_DISABLED_PLUGINS", "ttmarkers-readability")
    answer = ttm("generate", model, "Tell me of the sea.", "-m", "readability=easy", "--json", *ANSWER).json()
    assert answer["markers"] == {"readability": "easy"}
    done = ttm("evaluate", model, "--task", "readability")
    assert done.code == 2
    assert "readability" in done.err
