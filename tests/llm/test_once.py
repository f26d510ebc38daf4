"""Nothing is asked twice, nothing is spent unseen: answers on disk, kill and resume, dry run, ``--max-cost``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from endpoint_server import refuses, where
from support import TTM, environment, greetings, read_rows, write_rows
from ttmarkers.annotation import run as annotation
from ttmarkers_plugins.llm import answers
from ttmarkers_plugins.llm.answers import Answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from endpoint_server import Annotate, Server
    from support import Outcome

PRICES = {"price_in": 1000, "price_out": 5000}


def output(done: Outcome, path: Path) -> bytes:
    """Return what a good run wrote."""
    assert done.code == 0, done.err
    return path.read_bytes()


def once(server: Server) -> None:
    """Check that no question was sent twice."""
    twice = [question for question, count in Counter(call.question for call in server.calls).items() if count > 1]
    assert not twice


def test_same_rows(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Rows of one prompt are one question, whatever their completions; a later run asks nothing."""
    rows = [{**row, "completion": f"{row['completion']} {number}"} for number in range(4) for row in greetings(3)]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    first = output(annotate(source), tmp_path / "out.jsonl")
    assert len(server.calls) == 3
    once(server)
    assert output(annotate(source, "again.jsonl"), tmp_path / "again.jsonl") == first
    assert len(server.calls) == 3


def test_what_makes_another_question(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Another model, request, taxonomy, number of examples or set of markers is asked anew; the address is not."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    words: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((), {}),
        ((), {"model": "n"}),
        ((), {"request": {"max_tokens": 60}}),
        ((), {"examples": 2}),
        ((), {"markers": "domain"}),
        (("--set", "markers.taxonomy=paper-strict"), {"markers": "domain"}),
    ]
    for number, (more, options) in enumerate(words):
        assert annotate(source, f"{number}.jsonl", *more, **options).code == 0
        assert len(server.calls) == number + 1
    assert server.calls[2].body["max_tokens"] == 60
    assert annotate(source, "last.jsonl", concurrency=3, timeout=9, base_url=f"{server.url}/").code == 0
    assert len(server.calls) == len(words)


def test_rows_that_say_it_themselves(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A marker that is declared or carried is not asked for; a row that has all is not sent."""
    first, second = greetings(2)
    rows = [
        {**first, "markers": {"task": "Rewrite", "domain": "Code"}},
        {**second, "markers": {"task": "Rewrite", "domain": None}},
    ]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert annotate(source).code == 0
    (call,) = server.calls
    assert list(call.schema) == ["domain"]
    assert "friend 1" in call.user


def test_workers_ask_once(server: Server, annotate: Annotate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that need the same answers at once share them, and write the bytes of one."""
    monkeypatch.setattr(annotation, "SHARD_ROWS", 9)
    source = write_rows(tmp_path / "rows.jsonl", greetings(9) * 6)
    server.pause = 0.05
    two = output(annotate(source, "two.jsonl", "--workers", "2", concurrency=2), tmp_path / "two.jsonl")
    assert len(server.calls) == 9
    once(server)
    cache = str(tmp_path / "other.sqlite")
    assert output(annotate(source, "one.jsonl", cache=cache), tmp_path / "one.jsonl") == two


def test_kill_and_resume(
    server: Server, annotate: Annotate, words: Callable[..., list[object]], tmp_path: Path
) -> None:
    """After kill -9 no answer that was given is asked for again, and the output has the bytes of a quiet run."""
    rows = write_rows(tmp_path / "rows.jsonl", greetings(60))
    quiet = output(annotate(rows, "quiet.jsonl", cache=str(tmp_path / "q.sqlite")), tmp_path / "quiet.jsonl")
    server.calls.clear()
    server.pause = 0.2
    process = subprocess.Popen(
        [TTM, *map(str, words(rows, concurrency=4))],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while len(server.good) < 24 and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    killed = time.monotonic()
    server.pause = 0
    known = {call.question for call in server.good if call.answered < killed - 0.5}
    assert 8 <= len(known) < 60
    before = len(server.calls)
    assert output(annotate(rows, "out.jsonl", "--resume", concurrency=4), tmp_path / "out.jsonl") == quiet
    later = [call.question for call in server.calls[before:]]
    assert not known & set(later)
    assert len(later) == len(set(later)) >= 60 - before


def _estimate(done: Outcome) -> dict[str, Any]:
    assert done.code == 0, done.err
    (entry,) = done.json().values()
    return dict(entry)


def _long(number: int) -> str:
    return f"Summarize this report in three sentences, number {number}. " + "The council met on Monday. " * 200


KINDS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "plain": (greetings(20), {}),
    "same": (greetings(5) * 4, {}),
    "apart": (greetings(10), {"together": False}),
    "long": ([{"prompt": _long(n), "completion": "Short."} for n in range(8)], {}),
    "japanese": (
        [{"prompt": f"東京の天気を三つの文で説明してください。{n}", "completion": "晴れ。"} for n in range(8)],
        {},
    ),
    "shown": (greetings(6), {"markers": "style,source"}),
    "bad": ([*greetings(4), {"a": 1}, {**greetings(1)[0], "markers": {"task": "Cooking"}}], {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_dry_run(server: Server, annotate: Annotate, tmp_path: Path, kind: str) -> None:
    """A dry run sends nothing and leaves no output; a real run then sends what it said."""
    rows, options = KINDS[kind]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    more = ["--quarantine", tmp_path / "bad.jsonl"]
    said = _estimate(annotate(source, "out.jsonl", *more, "--dry-run", "--json", **PRICES, **options))
    assert not server.calls
    assert not list(tmp_path.glob("out.*"))
    assert annotate(source, "out.jsonl", *more, **PRICES, **options).code == 0
    assert (len(server.calls), 0) == (said["requests"], said["known"])
    for number, name in enumerate(("tokens_in", "tokens_out")):
        sent = sum(call.tokens[number] for call in server.calls)
        assert sent / 2 <= said[name] <= sent * 2, name
    assert server.cost(**PRICES) / 2 <= said["cost"] <= server.cost(**PRICES) * 2
    after = _estimate(annotate(source, "next.jsonl", "--dry-run", "--json", **options))
    assert (after["requests"], after["tokens_in"], after["known"]) == (0, 0, len(server.calls))


def test_dry_run_of_part(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """What is known already, --limit and the key that is not needed: the table counts what is left."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(9))
    assert annotate(source, "a.jsonl", "--limit", "4").code == 0
    done = annotate(source, "b.jsonl", "--dry-run", "--limit", "7")
    assert re.search(r"^llm +3 +4 ", done.out, re.MULTILINE), done.out
    assert len(server.calls) == 4
    assert annotate(source, "b.jsonl", "--limit", "7").code == 0
    assert len(server.calls) == 7


def test_dry_run_of_an_annotated_file(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """With another model all rows are counted, those too that a tagger has spoken on; with the same one, none."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(9))
    assert annotate(source, "a.jsonl").code == 0
    first = tmp_path / "a.jsonl"
    assert _estimate(annotate(first, "b.jsonl", "--dry-run", "--json"))["requests"] == 0
    said = _estimate(annotate(first, "b.jsonl", "--dry-run", "--json", model="another"))
    server.calls.clear()
    assert annotate(first, "b.jsonl", model="another").code == 0
    assert said["requests"] == len(server.calls) == 9


def test_dry_run_leaves_long_rows_out(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A row that is too long for the run is not counted."""
    source = write_rows(tmp_path / "rows.jsonl", [*greetings(3), {"prompt": "So" * 500, "completion": "Ho."}])
    limit = ("--set", "data.max_chars=900", "--quarantine", tmp_path / "bad.jsonl")
    said = _estimate(annotate(source, "out.jsonl", *limit, "--dry-run", "--json"))
    assert annotate(source, "out.jsonl", *limit).code == 0
    assert said["requests"] == len(server.calls) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_max_cost(
    server: Server, annotate: Annotate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """The limit is kept to within what requests under way differ from their estimate; the rest comes with --resume."""
    monkeypatch.setattr(annotation, "SHARD_ROWS", 10)
    source = write_rows(tmp_path / "rows.jsonl", greetings(40))
    free = output(annotate(source, "free.jsonl", cache=str(tmp_path / "f.sqlite")), tmp_path / "free.jsonl")
    limit = server.cost(**PRICES) / 2
    server.calls.clear()
    server.pause = 0.02
    more = ["out.jsonl", "--workers", workers]
    done = annotate(source, *more, "--max-cost", f"{limit:.4f}", concurrency=4, **PRICES)
    assert done.code == 1
    (line,) = done.err.splitlines()
    assert re.match(
        rf"ttm: --max-cost {limit:g}\d* is reached \(\d+\.\d+ spent\): what is done is kept, go on with", line
    )
    each = max(call.tokens[0] * 1000 + call.tokens[1] * 5000 for call in server.good) / 1e6
    assert limit / 3 < server.cost(**PRICES) <= limit + 4 * workers * each / 2
    assert not (tmp_path / "out.jsonl").exists()
    done = annotate(source, "out.jsonl", "--resume", "--max-cost", f"{limit * 4:.4f}", concurrency=4, **PRICES)
    assert output(done, tmp_path / "out.jsonl") == free
    assert len(server.calls) == 40
    once(server)


def test_max_cost_counts_what_was_sent_again(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """An answer that is asked for once more is paid for twice, and the limit holds all the same."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(30))
    server.say = lambda call: "I would rather chat, at some length, about something else."
    done = annotate(source, "out.jsonl", "--max-cost", "20", concurrency=1, **PRICES)
    assert done.code == 1
    assert server.cost(**PRICES) <= 20 + max(call.tokens[0] for call in server.good) * 1000 / 1e6
    assert len(server.calls) < 60


@pytest.mark.parametrize("dear", [4, 0.25])
def test_max_cost_goes_by_what_is_counted(server: Server, annotate: Annotate, tmp_path: Path, dear: float) -> None:
    """What the server counts is what is spent, however far from the estimate it is."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(60))
    server.dear = dear
    limit = 20 * dear
    assert annotate(source, "out.jsonl", "--max-cost", limit, concurrency=1, **PRICES).code == 1
    each = server.cost(**PRICES) / len(server.good)
    assert limit - max(each, each / dear) * 1.5 <= server.cost(**PRICES) <= limit + each


def test_max_cost_is_enough(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A limit above what is needed changes nothing; one without prices cannot be kept, which is said at once."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(3))
    done = annotate(source, "out.jsonl", "--max-cost", "5")
    assert (done.code, len(server.calls)) == (2, 0)
    assert done.err == "ttm: --max-cost needs prices: set markers.options.llm.price_in and price_out\n"
    assert annotate(source, "out.jsonl", "--max-cost", "500", **PRICES).code == 0
    done = annotate(source, "none.jsonl", "--max-cost", "0", **PRICES)
    assert done.code == 0, "what is known costs nothing"


def test_bad_rows_are_asked_again_later(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A failure is no answer: another run asks for it again, and for it alone."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(5))
    server.fault = where("friend 3", refuses(500))
    assert annotate(source, "a.jsonl", "--quarantine", tmp_path / "bad.jsonl").code == 0
    server.fault = lambda call: None
    server.calls.clear()
    assert annotate(source, "b.jsonl").code == 0
    assert ["friend 3" in call.user for call in server.calls] == [True]
    assert len(read_rows(tmp_path / "b.jsonl")) == 5


def test_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim holds while its process lives: not after its end, nor for a later process of its number, nor for ever."""
    mine, other = Answers(tmp_path / "a.sqlite"), Answers(tmp_path / "a.sqlite")
    sleeper = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(other, "_owner", answers._name(sleeper.pid))
    assert other.claim("ended")
    assert other.claim("ended")
    assert not mine.claim("ended")
    sleeper.kill()
    sleeper.wait()
    assert mine.claim("ended")
    monkeypatch.setattr(other, "_owner", answers._name(os.getppid()))
    assert other.claim("released")
    assert not mine.claim("released")
    mine.release("released")
    assert not mine.claim("released"), "nobody gives up the claim of another"
    other.release("released")
    assert mine.claim("released")
    with monkeypatch.context() as patch:
        patch.setattr(answers, "LEASE", -1.0)
        assert other.claim("late")
    assert mine.claim("late")
    monkeypatch.setattr(other, "_owner", f"{os.getppid()} 12345")
    assert other.claim("number")
    assert mine.claim("number")
    mine.put("number", {"a": 1})
    assert not other.claim("number")
    assert other.get(["number", "late"]) == {"number": {"a": 1}}
    mine.close()
    other.close()


def test_file_that_is_no_database(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A cache that is something else is named, and left as it is."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    cache = tmp_path / "notes.txt"
    cache.write_text("Dear diary, " * 500, encoding="utf-8")
    done = annotate(source, cache=str(cache))
    assert done.code == 2
    assert f"the cache {cache} cannot be used" in done.err
    assert cache.read_text(encoding="utf-8").startswith("Dear diary, ")
    assert not server.calls


def test_notes_of_a_run(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """The notes beside the output say who was asked for what."""
    source = write_rows(tmp_path / "rows.jsonl", greetings(1))
    assert annotate(source).code == 0
    notes = orjson.loads((tmp_path / "out.jsonl.run.json").read_bytes())
    assert notes["sources"]["task"] == ["llm"]
    assert notes["config"]["markers"]["options"]["llm"]["model"] == "m"
