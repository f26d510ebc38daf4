"""Components of plugins that print, raise or exit at work: ``--json`` stays JSON, and an error is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import Outcome, distribution, ok, read_rows, sentence, train, ttm, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

HOOKS = """
    import click
    from ttmarkers.components import ExtractorComponent, MarkerType, PolicyComponent, StrategyComponent, TaskComponent
    from ttmarkers.hookspecs import hookimpl


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("words", "Words of the answer.", "int")


    @hookimpl
    def ttm_extractors():
        yield ExtractorComponent("words", "Counts.", "faulty_parts:Words", markers=("words",))


    @hookimpl
    def ttm_training_strategies():
        yield StrategyComponent("lazy", "Trains nothing.", "faulty_parts:Lazy")
        yield StrategyComponent("unmade", "Cannot be made.", "faulty_parts:Unmade")


    @hookimpl
    def ttm_decoding_policies():
        yield PolicyComponent("loud", "Prints.", "faulty_parts:Loud")


    @hookimpl
    def ttm_tasks():
        yield TaskComponent("loud", "Prints.", "faulty_parts:LoudTask")


    def greet():
        print("hello")
        helper()


    def helper():
        raise RuntimeError("no more words\\nsecond line")


    @hookimpl
    def ttm_commands():
        yield click.Command("greet", callback=greet, help="Greet.")
        yield click.Command("leave", callback=lambda: exit(7), help="Leave.")
"""
PARTS = """
    import os
    from dataclasses import dataclass
    from ttmarkers.records import Found, Message, Metric, Request

    print("[module]")


    def noise(what):
        print(f"[{what}]")
        os.write(1, f"[native {what}]\\n".encode())


    class Words:
        def __init__(self, fault=""):
            noise("made")
            self.fault = fault

        def extract(self, batch):
            noise("work")
            if self.fault and any(self.fault in s.example.completion for s in batch):
                raise KeyError("no such word")
            return [{"words": Found(len(s.example.completion.split()))} for s in batch]


    class Lazy:
        def train(self, job):
            noise("train")
            raise LookupError("nothing to learn")


    class Unmade:
        def __init__(self):
            raise SystemExit(3)


    class Loud:
        def __init__(self, end=False):
            self.end = end

        def generate(self, engine, requests):
            noise("policy")
            if self.end:
                raise SystemExit(0)
            raise ZeroDivisionError("by zero")
            yield


    @dataclass
    class Case:
        id: str
        prompts: tuple


    class LoudTask:
        metrics = {"accuracy": Metric("higher")}

        def __init__(self, fault=False):
            noise("task")
            self.fault = fault

        def cases(self, rows):
            noise("cases")
            return [Case("1", ("Hi",))]

        def request(self, case, policy):
            return Request(case.id, (Message("user", case.prompts[0]),))

        def score(self, case, generation):
            noise("score")
            if self.fault:
                raise ValueError("no figure")
            return {"accuracy": 1.0}

        def slices(self, case):
            return {}
"""


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution whose components print, and raise when they are told to."""
    site = tmp_path_factory.mktemp("faulty")
    distribution(site, "ttmarkers-faulty", {"faulty_hooks": HOOKS, "faulty_parts": PARTS}, points={"f": "faulty_hooks"})
    return site


def _blames(done: Outcome, what: str) -> str:
    """Return the one sentence that a command ended with, which names a component and its distribution."""
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    said = sentence(next(line for line in done.err.splitlines() if line.startswith("ttm: ")))
    assert said.startswith(f"ttm: {what} of ttmarkers-faulty 1.0 failed (")
    assert said.endswith("): --debug shows where, --no-plugin f leaves the plugin out")
    return said


def test_extractor_at_row_10000(faulty: Path, tmp_path: Path) -> None:
    """A row far in the data stops the run with a sentence; set apart it costs itself alone; mended it is resumed."""
    content = [{"prompt": "Hi", "completion": f"{n} words" + " bang" * (n == 10_000)} for n in range(1, 10_301)]
    rows, out, bad = write_rows(tmp_path / "rows.jsonl", content), tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    words = ["annotate", rows, "-o", out, "--markers", "words"]
    fault = ["--set", "markers.options.words.fault=bang"]
    stopped = ttm_process(*words, *fault, site=faulty)
    assert (stopped.code, stopped.out) == (1, "")
    reason = f"{rows}, row 10000: extractor 'words' of ttmarkers-faulty 1.0 failed (KeyError: 'no such word')"
    reason += ": mend it or the row, or set the row apart with --quarantine FILE"
    assert stopped.err.splitlines()[-1] == f"ttm: {reason}"
    assert "Traceback" not in stopped.err

    mended = (faulty / "faulty_parts.py").read_text(encoding="utf-8").replace('KeyError("no such word")', "None")
    mended = mended.replace("raise None", "pass")
    other = tmp_path / "site"
    other.mkdir()
    hooks = (faulty / "faulty_hooks.py").read_text(encoding="utf-8")
    distribution(
        other, "ttmarkers-faulty", {"faulty_hooks": hooks, "faulty_parts": mended}, points={"f": "faulty_hooks"}
    )
    left = len(list((tmp_path / "out.jsonl.parts").glob("*.done")))
    assert left >= 19  # shards of 500 rows before the one with row 10 000
    ok(ttm_process(*words, *fault, "--resume", site=other))
    assert [row["markers"]["words"] for row in read_rows(out)] == [2] * 9_999 + [3] + [2] * 300

    apart = tmp_path / "apart.jsonl"
    words[3] = apart
    done = ok(ttm_process(*words, *fault, "--quarantine", bad, "--json", site=faulty))
    assert done.json()["rows"] == 10_299  # whatever the child process prints
    assert "[native work]" in done.err
    assert len(read_rows(apart)) == 10_299
    (entry,) = read_rows(bad)
    assert (entry["row"], entry["reason"], entry["content"]["completion"]) == (10_000, reason, "10000 words bang")


@pytest.mark.parametrize("fault", [False, True])
def test_task(faulty: Path, tmp_path: Path, fault: bool) -> None:
    """A task may print what it likes, natively too; what it raises is its own."""
    answers = write_rows(tmp_path / "answers.jsonl", [{"id": "1", "text": "Ho"}])
    option = f"evaluate.options.loud.fault={str(fault).lower()}"
    done = ttm_process("evaluate", "--task", "loud", "--generations", answers, "--json", "--set", option, site=faulty)
    for what in ("module", "task", "cases", "score", "native task", "native score"):
        assert f"[{what}]" in done.err
    if fault:
        assert done.out == ""
        assert "(ValueError: no figure)" in _blames(done, "task 'loud'")
    else:
        assert done.json()["metrics"]["accuracy"]["value"] == 1.0


def test_debug(faulty: Path, tmp_path: Path) -> None:
    """The traceback is shown where it is asked for, before the sentence."""
    answers = write_rows(tmp_path / "answers.jsonl", [{"id": "1", "text": "Ho"}])
    words = ["--task", "loud", "--generations", answers, "--set", "evaluate.options.loud.fault=true"]
    done = ttm_process("--debug", "evaluate", *words, site=faulty)
    assert done.code == 1
    for part in ("Traceback", "faulty_parts.py", "in score", "ValueError: no figure\n"):
        assert part in done.err
    assert done.err.splitlines()[-1].startswith("ttm: task 'loud' of ttmarkers-faulty 1.0 failed")


def test_strategy_and_policy(
    faulty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a strategy or a policy raises is told under its name, an attempt to end the process too."""
    monkeypatch.syspath_prepend(str(faulty))
    rows = [{"prompt": f"Hi {n}", "completion": "Hello.", "markers": {"lang": "English"}} for n in range(8)]
    marked = write_rows(tmp_path / "marked.jsonl", rows)
    words = ["train", marked, "--model", "scratch:tiny", "-o", tmp_path / "none", "--strategy"]
    assert "(LookupError: nothing to learn)" in _blames(ttm(*words, "lazy"), "strategy 'lazy'")
    unmade = ttm(*words, "unmade")
    assert unmade.code == 2
    assert sentence(unmade.err) == (
        "ttm: 'unmade' of ttmarkers-faulty 1.0 cannot be made (SystemExit: 3): --debug shows where"
    )
    model = train(marked, tmp_path / "model")
    asked = ["generate", model, "Hi", "--policy", "loud", "--json"]
    raised = ttm(*asked)
    assert "(ZeroDivisionError: by zero)" in _blames(raised, "policy 'loud'")
    assert raised.out == ""
    assert "[policy]" in raised.err
    ended = ttm(*asked, "--set", "decode.options.loud.end=true")
    assert "(SystemExit: 0)" in _blames(ended, "policy 'loud'")
    assert "[native policy]" in capfd.readouterr().out  # this process is not ttm's own


def test_command(faulty: Path) -> None:
    """A plugin's command prints to standard output; what it raises is its own, and so is how it exits."""
    done = ttm_process("greet", site=faulty)
    assert done.out == "hello\n"
    assert "(RuntimeError: no more words)" in _blames(done, "command 'greet'")
    assert ttm_process("leave", site=faulty) == Outcome(7, "", "")


LATE = """
import atexit, logging, sys, threading
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl

atexit.register(print, "[at exit]")
logger = logging.getLogger("late")
logger.addHandler(logging.StreamHandler(sys.stdout))


def talk():
    while not done.wait(0.001):
        print("[thread]", flush=True)


done = threading.Event()
threading.Thread(target=talk, daemon=True).start()


@hookimpl
def ttm_marker_types():
    yield MarkerType("late", "", "int")
"""


def test_prints_after_loading(site: Path) -> None:
    """Threads, handlers of logs and functions that are called at the end do not spoil the output either."""
    distribution(site, "ttmarkers-late", {"late_plugin": LATE})
    done = ttm_process("markers", "list", "--json", site=site)
    assert done.code == 0, done.err
    assert done.json()[-1]["name"] == "late"
    assert "[thread]" in done.err
    assert "[at exit]" in done.err


def test_prints_from_factory_of_listing(faulty: Path) -> None:
    """Listing components makes none of them, and prints nothing else."""
    assert ok(ttm_process("tasks", "list", "--json", site=faulty)).err == ""
