"""``ttm evaluate --task winrate``: costs told first, answers kept, people compared with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from endpoint_server import always, refuses
from judge_support import prefers
from support import ok, ttm, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from endpoint_server import Server


@pytest.fixture
def words(tmp_path: Path, options: dict[str, Any]) -> list[object]:
    """The words of a command that judges three stored answers against three others."""
    rows = [{"id": f"c{n}", "prompt": f"Question {n}?"} for n in range(3)]
    data = write_rows(tmp_path / "data.jsonl", rows)
    ours = write_rows(tmp_path / "ours.jsonl", [{"id": f"c{n}", "text": "long " * (n + 2)} for n in range(3)])
    theirs = write_rows(tmp_path / "theirs.jsonl", [{"id": f"c{n}", "text": "long " * 3} for n in range(3)])
    setting = f"evaluate.options.winrate={json.dumps(options)}"
    return [
        "evaluate",
        "--task",
        "winrate",
        "--data",
        data,
        "--generations",
        ours,
        "--against",
        theirs,
        "--set",
        setting,
    ]


def test_cost_first(server: Server, words: list[object]) -> None:
    """A dry run counts what would be asked and sends nothing; after a run all of it is known."""
    server.say = prefers(len)
    said = ok(ttm(*words, "--dry-run", "--json")).json()
    assert (said["requests"], said["known"]) == (4, 0)  # equal texts are no question
    assert not server.calls
    assert "nothing was sent" in ok(ttm(*words, "--dry-run")).out
    found = ok(ttm(*words, "--json")).json()["metrics"]
    assert found["win_rate"]["value"] == pytest.approx((0 + 0.5 + 1) / 3, abs=1e-6)
    asked = len(server.calls)
    assert ok(ttm(*words, "--json")).json()["metrics"] == found
    assert len(server.calls) == asked
    assert ok(ttm(*words, "--dry-run", "--json")).json()["requests"] == 0


def test_judge_that_fails(server: Server, words: list[object], tmp_path: Path) -> None:
    """Where the judge fails, one sentence says so, and the answers are kept."""
    server.fault = always(refuses(500))
    failed = ttm(*words, "-o", tmp_path / "run")
    assert failed.code == 1
    assert "Traceback" not in failed.err
    assert len((tmp_path / "run" / "generations.jsonl").read_bytes().splitlines()) == 3
    assert not (tmp_path / "run" / "result.json").exists()


def test_people(server: Server, options: dict[str, Any], tmp_path: Path) -> None:
    """Rows with people's preferences need no model: the judge is compared with them."""
    server.say = prefers(len)
    rows = [
        {
            "id": f"p{n}",
            "prompt": f"Question {n}?",
            "output_1": "x " * (n + 1),
            "output_2": "x " * 4,
            "preference": n % 2 + 1,
        }
        for n in range(3)
    ]
    data = write_rows(tmp_path / "people.jsonl", rows)
    setting = f"evaluate.options.winrate={json.dumps(options)}"
    found = ok(ttm("evaluate", "--task", "winrate", "--data", data, "--set", setting, "-o", tmp_path / "run", "--json"))
    metrics = found.json()["metrics"]
    assert {"agreement", "kappa", "inconsistent"} <= set(metrics)
    assert metrics["agreement"]["value"] == pytest.approx(1 / 3, abs=1e-6)
    assert len((tmp_path / "run" / "generations.jsonl").read_bytes().splitlines()) == 3


def test_no_other_answer(words: list[object], server: Server) -> None:
    """A case without another system's answer is named before the judge is asked."""
    failed = ttm(*(word for word in words if word != "--against" and "theirs" not in str(word)))
    assert failed.code == 2
    assert "'c0'" in failed.err
    assert not server.calls
