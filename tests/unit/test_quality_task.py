"""Task quality: what is asked by bucket, and what a reward model or a program makes of the answers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reward_model import save_reward_model
from ttmarkers.annotation.extraction import Row
from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.protocols import BatchTask, PreparedTask, Setting, Task
from ttmarkers.records import Example, Generation, Message, Origin
from ttmarkers_plugins.extractors.quality import RewardModelExtractor
from ttmarkers_plugins.tasks.quality import QualityTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.plugins.manager import Plugins

LENGTHS = (
    "import json, sys\nasked = json.load(sys.stdin)\nopen({log!r}, 'a').write(json.dumps(asked) + chr(10))\n"
    "print(json.dumps([len(answer) for answer in asked['answers']]))\n"
)
ROWS = [
    {"id": "a", "prompt": "Why?", "output": "1234", "lang": "fr"},
    {"id": "b", "instruction": "How?", "reference": "123456", "markers": {"lang": "German", "domain": "Code"}},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the program notes what it is asked."""
    return tmp_path / "asked.jsonl"


@pytest.fixture
def by_length(tmp_path: Path, log: Path) -> dict[str, Any]:
    """Options of a program that likes long answers."""
    program = tmp_path / "longest.py"
    program.write_text(LENGTHS.format(log=str(log)), encoding="utf-8")
    return {"scorer": "program", "command": f"{sys.executable} {program}"}


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> str:
    """A reward model with random weights."""
    return str(save_reward_model(tmp_path_factory.mktemp("reward"), tokenizer))


@pytest.fixture
def setting(plugins: Plugins) -> Setting:
    """What surrounds the task, with nothing to compare with."""
    return Setting(make_config({}), plugins)


def answers(texts: Sequence[str]) -> list[list[Generation]]:
    """Return one answer for each case."""
    return [[Generation("", (), text, "", {}, text, "test")] for text in texts]


def test_contract(by_length: dict[str, Any]) -> None:
    """It is prepared, and scores all answers together."""
    task = QualityTask(**by_length)
    assert all(isinstance(task, kind) for kind in (Task, PreparedTask, BatchTask))
    assert task.samples == 1


def test_requests(by_length: dict[str, Any], setting: Setting) -> None:
    """Each prompt is asked in each bucket under ``fixed``, and once, by its own name, under the others."""
    task = QualityTask(**by_length, slices=["lang"])
    cases = task.cases(ROWS)
    task.prepare(setting)
    assert [case.id for case in cases] == [f"{name}@{bucket}" for name in "ab" for bucket in "1234"]
    fixed = [task.request(case, "fixed") for case in task.choose(cases, "fixed")]
    assert [request.markers for request in fixed] == [{"quality_bucket": bucket} for bucket in "1234"] * 2
    assert [request.id for request in fixed] == [case.id for case in cases]
    assert task.slices(cases[2]) == {"quality_bucket": "3", "lang": "fr"}
    assert cases[4].known == {"lang": "German", "domain": "Code"}
    assert cases[0].prompts == ()
    for policy in ("none", "inferred"):
        once = task.choose(cases, policy)
        requests = [task.request(case, policy) for case in once]
        assert [(request.id, request.prompt[0].content) for request in requests] == [("a", "Why?"), ("b", "How?")]
        assert not any(request.markers for request in requests)
        assert task.slices(once[0]) == {"lang": "fr"}
        assert once[0].prompts == ("Why?",)
    assert task.request(cases[0], "inferred").markers == {}
    assert len(task.cases(None)) >= 4 * 8


def test_buckets(by_length: dict[str, Any], setting: Setting) -> None:
    """Only some buckets are asked with, or none."""
    assert [case.id for case in QualityTask(**by_length, buckets=[4, 1]).cases(ROWS[:1])] == ["a@4", "a@1"]
    task = QualityTask(**by_length, buckets=[])
    (case,) = task.cases(ROWS[:1])
    task.prepare(setting)
    assert task.request(case, "fixed").markers == {}
    assert (case.id, task.choose([case], "fixed")) == ("a", [case])


def test_by_a_program(by_length: dict[str, Any], setting: Setting, log: Path) -> None:
    """A longer answer wins, one as long ties; the program is run once for a prompt, with each text once."""
    task = QualityTask(**by_length)
    cases = task.cases(ROWS)
    task.prepare(setting)
    scores = task.score_all(cases, answers(["12345", "123", "4321", "123", "", "1234567", "1234567", "123456"]))
    assert [score["win_rate"] for score in scores] == [1.0, 0.0, 0.5, 0.0, 0.0, 1.0, 1.0, 0.5]
    assert [score["reward"] for score in scores] == [5, 3, 4, 3, 0, 7, 7, 6]
    assert set(scores[0]) == set(task.metrics)
    asked = log.read_text(encoding="utf-8").splitlines()
    assert sorted(len(json.loads(line)["answers"]) for line in asked) == [3, 4]
    assert task.score(cases[0], answers(["12345"])[0][0]) == scores[0]


def test_by_a_reward_model(reward: str, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are the reward model's own; all texts are scored in one call, in batches of its own."""
    task = QualityTask(model=reward, batch_size=3)
    cases = task.cases(ROWS)
    task.prepare(setting)
    calls = []
    extract = RewardModelExtractor.extract

    def counted(self: RewardModelExtractor, batch: Sequence[Any]) -> Any:
        calls.append(len(batch))
        return extract(self, batch)

    monkeypatch.setattr(RewardModelExtractor, "extract", counted)
    texts = ["It is.", "What?", "1234", "It is.", "Paris is a city.", "No", "", "Yes, and it is."]
    scores = task.score_all(cases, answers(texts))
    assert calls == [3 + 5]
    wanted = {}
    for case, text in zip(cases, texts, strict=True):
        row = Row(Example("x", case.prompt, text, {}, Origin("x", 1)))
        wanted[case.id] = float(extract(RewardModelExtractor(reward), [row])[0]["quality"].value)
    assert [score["reward"] for score in scores] == pytest.approx(list(wanted.values()), abs=1e-3)
    assert (scores[2]["win_rate"], scores[0]) == (0.5, scores[3])
    theirs = scores[2]["reward"]
    assert [score["win_rate"] for score in scores[:2]] == [float(score["reward"] > theirs) for score in scores[:2]]


def test_swapped_systems(reward: str, setting: Setting) -> None:
    """The win rates of the two systems add up to 1."""
    ours = ["It is.", "What is it?", "Paris", "the capital of France", "", "Hauptstadt"]
    theirs = ["Yes", "What is it?", "Berlin, perhaps", "Was?", "Is it?", "la capitale"]
    found = []
    for one, other in ((ours, theirs), (theirs, ours)):
        task = QualityTask(model=reward, buckets=[])
        cases = task.cases([{"prompt": f"q{n}", "output": text} for n, text in enumerate(other)])
        task.prepare(setting)
        found.append([score["win_rate"] for score in task.score_all(cases, answers(one))])
    assert [first + second for first, second in zip(*found, strict=True)] == [1.0] * len(ours)
    assert len(set(found[0])) > 1


def test_whom_it_is_compared_with(by_length: dict[str, Any], setting: Setting) -> None:
    """``--against`` comes before the row's own answer, by the prompt's name or the case's; with neither it is named."""
    task = QualityTask(**by_length, buckets=[1, 2])
    cases = task.cases([*ROWS, {"id": "c", "prompt": "Who?"}])
    task.prepare(replace(setting, against={"a": "12", "c@1": "123456789", "c@2": ""}))
    scores = task.score_all(cases, answers(["12345"] * 6))
    assert [score["win_rate"] for score in scores] == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    task.prepare(setting)
    with pytest.raises(ConfigError, match=r"task 'quality': case 'c' has no answer to compare with: .*--against FILE"):
        task.request(cases[5], "fixed")
    task.cases([{"id": "c", "prompt": "Who?"}])
    with pytest.raises(ConfigError, match="case 'c' has no answer to compare with"):
        task.prepare(setting)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"task 'quality' needs a model: set evaluate\.options\.quality\.model"),
        ({"scorer": "program"}, r"needs a command: set evaluate\.options\.quality\.command"),
        ({"scorer": "programm", "command": "x"}, r"evaluate\.options\.quality\.scorer = 'programm': did you mean"),
        ({"scorer": "likelihood", "command": "x"}, r"scorer = 'likelihood': known: program, reward-model"),
        ({"model": "m", "buckets": [5]}, r"evaluate\.options\.quality\.buckets: '5' is none of 1, 2, 3, 4"),
        ({"scorer": "program", "command": "x", "model": "m"}, "these do not fit scorer 'program'"),
        ({"model": "/no/such/model"}, "reward model '/no/such/model' cannot be loaded"),
        ({"scorer": "program", "command": "x", "percentiles": {"French": 3}}, "write languages with buckets"),
        ({"scorer": "program", "command": "x", "percentiles": "/no/such.jsonl"}, "there is no such file"),
        ({"scorer": "program", "command": "no-such-program"}, "cannot be run"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str, setting: Setting) -> None:
    """An option that cannot be is one sentence, most of them before anything is asked."""
    with pytest.raises(ConfigError, match=message):  # noqa: PT012
        task = QualityTask(**options)
        cases = task.cases(ROWS[:1])
        task.prepare(setting)
        task.score_all(cases, answers(["x"] * 4))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print([1])", "it must print a JSON list of 2 numbers"),
        ("print('[1, NaN]')", "it must print a JSON list of 2 numbers"),
        ("raise SystemExit(3)", r"failed for request a \(exit 3\)"),
        ("import time; time.sleep(9)", "took more than 1 seconds for request a"),
    ],
)
def test_programs_that_fail(tmp_path: Path, setting: Setting, code: str, message: str) -> None:
    """A program that fails is named, with the prompt."""
    (tmp_path / "p.py").write_text(code, encoding="utf-8")
    task = QualityTask(scorer="program", command=f"{sys.executable} {tmp_path / 'p.py'}", seconds=1)
    cases = task.cases(ROWS[:1])
    task.prepare(setting)
    with pytest.raises(DataError, match=message):
        task.score_all(cases, answers(["x"] * 4))


def test_a_score_that_is_no_number(reward: str, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward model that gives no number is an error, and no loss."""
    task = QualityTask(model=reward)
    cases = task.cases(ROWS[:1])
    task.prepare(setting)
    monkeypatch.setattr(RewardModelExtractor, "_score", lambda self, texts: [float("nan")] * len(texts))
    with pytest.raises(DataError, match="score of an answer to a is no number: nan"):
        task.score_all(cases, answers(["x"] * 4))


def test_conversations(by_length: dict[str, Any], setting: Setting, log: Path) -> None:
    """All turns of a prompt reach the scorer."""
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello!"), ("user", "Why?")]
    task = QualityTask(**by_length, buckets=[])
    (case,) = task.cases([{"messages": [{"role": role, "content": text} for role, text in turns], "output": "x"}])
    task.prepare(setting)
    assert task.request(case, "none").prompt == tuple(Message(*turn) for turn in turns)
    task.score_all([case], answers(["y"]))
    assert [turn["role"] for turn in json.loads(log.read_text(encoding="utf-8"))["prompt"]] == [
        role for role, _ in turns
    ]
