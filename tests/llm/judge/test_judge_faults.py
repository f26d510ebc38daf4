"""A judge that is busy, broken, of no use or gone: never a tie, and nothing is paid for twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from endpoint_server import KEY, always, refuses, reset, says, silence, times, where
from judge_support import better, fields, judged, prefers
from support import environment
from ttmarkers.errors import ConfigError, DataError, StoppedError
from ttmarkers_plugins.llm import endpoint

if TYPE_CHECKING:
    from endpoint_server import Fault, Server
    from judge_support import Make


PASSING: dict[str, Fault] = {
    "429": refuses(429, "slow down", retry_after="1"),
    "500": refuses(500, "oops"),
    "reset": reset,
    "cut short": says('{"id": "x", "choices": [{"mess'),
    "no JSON": says("busy", "text/html"),
    "silence": silence,
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
def test_passing_faults(server: Server, make: Make, fault: Fault) -> None:
    """What may be gone at the next try is tried again, as long as the server asks to wait."""
    server.say = prefers(len)
    server.fault = times(3, fault)
    start = time.monotonic()
    scores = judged(make(timeout=1), ["longer", "as long"], ["long", "so long"])
    assert [score["win_rate"] for score in scores] == [1.0, 0.5]
    assert len(server.calls) == 7
    if fault is PASSING["429"]:
        assert time.monotonic() - start >= 1


LASTING: dict[str, tuple[Fault, str, int]] = {
    "500": (refuses(500, "oops"), "500 - oops", 3),
    "silence": (silence, "no whole answer within 0.5 s", 3),
    "nonsense": (says("null"), "not of the form", 3),
    "bad request": (refuses(400, "too long"), "too long", 1),
}


@pytest.mark.parametrize("name", LASTING)
def test_lasting_faults(server: Server, make: Make, name: str) -> None:
    """A verdict that cannot be had is an error that names its case; the others are kept, and not asked for again."""
    fault, reason, tries = LASTING[name]
    server.fault = where("Question 1?", fault)
    task = make(timeout=0.5)
    with pytest.raises(DataError, match=rf"the judge 'm' gave no verdict on case 'c1' \(.*{reason}") as error:
        judged(task, ["a", "b", "c"], ["d", "e", "f"])
    assert "what it answered is kept, run the command again" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(server.calls) == 4 + 2 * tries
    server.fault = lambda call: None
    server.calls.clear()
    assert len(judged(make(), ["a", "b", "c"], ["d", "e", "f"])) == 3
    assert [fields(call)["prompt"] for call in server.calls] == ["Question 1?"] * 2


@pytest.mark.parametrize("text", ["", "I cannot help with that.", better("C"), better("A") + better("B"), "null"])
def test_nonsense_is_no_tie(server: Server, make: Make, text: str) -> None:
    """A judge that says no verdict is asked once more, with what was wrong, and then the run ends."""
    server.say = lambda call: text if "Question 0?" in call.user else better("A")
    with pytest.raises(DataError, match=r"no verdict on case 'c0' \(") as error:
        judged(make(retries=0), ["a", "b"], ["d", "e"])
    assert KEY not in str(error.value)
    asked = [call for call in server.calls if "Question 0?" in call.user]
    assert len(asked) == 4
    again = max(asked, key=lambda call: len(call.body["messages"])).body["messages"]
    assert again[2] == {"role": "assistant", "content": text}
    assert again[3]["content"].startswith("That is no verdict: it said ")
    server.say = lambda call: better("A")
    server.calls.clear()
    judged(make(), ["a", "b"], ["d", "e"])
    assert len(server.calls) == 2


def test_all_cases_without_a_verdict_are_counted(server: Server, make: Make) -> None:
    """The error names the first case in their order, and says how many others there are."""
    server.say = lambda call: "Hm."
    with pytest.raises(DataError, match=r"on case 'c1' \(it said 'Hm\.', which is no choice\), nor on 2 other cases: "):
        judged(make(), ["", "b", "c", "d"], ["x"] * 4)


def test_second_answer_counts(server: Server, make: Make) -> None:
    """A usable second answer is a verdict."""
    server.say = lambda call: better("tie") if len(call.body["messages"]) > 2 else "Hm."
    (score,) = judged(make(), ["a"], ["b"])
    assert (score["ties"], len(server.calls)) == (1.0, 4)


def test_judge_that_dies(server: Server, make: Make) -> None:
    """Where nothing works any more the run stops early, and goes on from there."""
    many = [f"answer {n}" for n in range(60)]
    server.fault = lambda call: None if len(server.good) < 20 else refuses(500, "oops")
    with pytest.raises(StoppedError, match=r"requests in a row.*what is done is kept, run the command again when"):
        judged(make(retries=0, concurrency=2), many, ["x"] * 60)
    known = len(server.good)
    assert 20 <= known < 30
    assert len(server.calls) < known + endpoint.GIVE_UP + 5
    server.fault = lambda call: None
    server.calls.clear()
    judged(make(), many, ["x"] * 60)
    assert len(server.calls) == 120 - known


@pytest.mark.parametrize(
    ("status", "mend"), [(401, "the environment variable OPENAI_API_KEY"), (404, "see evaluate.options.winrate.model")]
)
def test_wrong_key_or_model(server: Server, make: Make, status: int, mend: str) -> None:
    """What no try can mend says which option or variable to mend."""
    server.fault = always(refuses(status, "not so"))
    with pytest.raises(ConfigError, match=mend):
        judged(make(concurrency=1), ["a"], ["b"])
    assert len(server.calls) == 1


def test_nobody_there(make: Make) -> None:
    """An address where nobody listens is named, with the option."""
    with pytest.raises(StoppedError, match=r"nothing answers at .*mend evaluate\.options\.winrate\.base_url"):
        judged(make(base_url="http://127.0.0.1:9/v1", retries=0), ["a"], ["b"])


KILLED = """
import sys
from ttmarkers.records import Generation
from ttmarkers_plugins.tasks.winrate import WinrateTask

task = WinrateTask(model="m", base_url=sys.argv[1], concurrency=2)
cases = task.cases([{"prompt": f"Question {n}?", "output": "x"} for n in range(10)])
task.score_all(cases, [[Generation(case.id, (), "y", "", {}, "y", "test")] for case in cases])
"""


def test_killed(server: Server) -> None:
    """After a kill in the middle only what was not answered is asked."""
    server.pause = 0.1
    words = [sys.executable, "-c", KILLED, server.url]
    process = subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(server.good) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    time.sleep(0.3)
    answered = len(server.good)
    assert 6 <= answered < 20
    server.calls.clear()
    server.pause = 0.0
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    # an answer that was on its way when the process ended is lost
    assert 20 - answered <= len(server.calls) <= 20 - answered + 2
