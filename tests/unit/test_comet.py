"""COMET by its program, here one that takes the same options and writes what it writes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from ttmarkers.errors import DataError, StoppedError
from ttmarkers.records import Generation
from ttmarkers_plugins.tasks.translation import TranslationTask

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"source": "Good morning.", "reference": "Guten Morgen.", "target_lang": "de"}

COMET = """\
#!{python}
import argparse, json, sys
parser = argparse.ArgumentParser()
for name in ("-s", "-t", "-r", "--model", "--to_json"):
    parser.add_argument(name)
parser.add_argument("--quiet", action="store_true")
parser.add_argument("--only_system", action="store_true")
given = parser.parse_args()
if given.model == "broken":
    sys.exit("no such model")
rows = [[line.strip() for line in open(path, encoding="utf-8").readlines()] for path in (given.s, given.t, given.r)]
found = [{{"src": s, "mt": t, "ref": r, "COMET": len(t) / 10}} for s, t, r in zip(*rows)]
json.dump({{given.t: found}}, open(given.to_json, "w", encoding="utf-8"))
"""
"""A program that takes the options of ``comet-score`` and writes what it writes; its score is a tenth of the length."""


@pytest.fixture
def comet(tmp_path: Path) -> str:
    """Return the path of a stand-in for ``comet-score``."""
    path = tmp_path / "comet-score"
    path.write_text(COMET.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_comet(comet: str) -> None:
    """COMET is asked once for all cases, a text a line, and its scores come back in order."""
    task = TranslationTask(comet="some/model", comet_command=comet)
    cases = task.cases([{**ROW, "id": str(number)} for number in range(3)])
    found = task.score_all(
        cases, [[Generation("1", (), text, "", {}, text, "test")] for text in ("zwei\nZeilen\x85hier", "", "drei")]
    )
    assert [row["comet"] for row in found] == [1.6, 0.0, 0.4]
    assert set(found[0]) == set(task.metrics)
    assert task.score_all([], []) == []
    with pytest.raises(DataError, match="row 1: COMET reads the text that is translated: give it as source"):
        task.cases([{"prompt": "Say hi.", "reference": "Hi.", "target_lang": "de"}])
    broken = TranslationTask(comet="broken", comet_command=comet)
    with pytest.raises(StoppedError, match=r"with broken failed \(1\): no such model"):
        broken.score_all(cases[:1], [[Generation("1", (), "x", "", {}, "x", "test")]])
