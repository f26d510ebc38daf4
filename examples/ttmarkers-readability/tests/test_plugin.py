"""The plugin keeps to what ttmarkers asks of every plugin, and its command works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers_readability import ttm_commands, ttm_extractors, ttm_tasks

from ttmarkers.testing import check_command, check_extractor, check_plugin, check_task, ttm, write_rows

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = {
    "easy": "The sun is a star. It is big and hot. It gives us light. It is far from us. Plants need it. " * 3,
    "medium": "A normal newspaper writes about the weather, the parliament and the neighbours in such sentences. " * 4,
    "hard": "Institutional investors increasingly acknowledge environmental responsibilities notwithstanding "
    "considerable methodological disagreement regarding appropriate measurement in international organisations. " * 3,
}
KNOWN = {"lang": "English", "code_type": None, "format": None}  # what the extractor needs, none where nothing is known
ROWS = [{"prompt": "Why?", "completion": text, "markers": KNOWN} for text in ANSWERS.values()]


def test_plugin() -> None:
    """The module is light, marker type and template are sound; the others need rows or answers of our own."""
    check_plugin("ttmarkers_readability", leave_out=("lix", "task readability", "command readability"))


def test_extractor() -> None:
    """It abstains on an empty text, and finds in a batch what it finds in single rows."""
    (extractor,) = ttm_extractors()
    check_extractor(extractor, ROWS)


def test_task() -> None:
    """Answers of the level that is asked for score at the top."""
    (task,) = ttm_tasks()
    check_task(task, gold=lambda case: ANSWERS[case.level])


def test_command(tmp_path: Path) -> None:
    """It counts the rows that have a level."""
    (command,) = ttm_commands()
    check_command(command)
    rows = [
        {"prompt": "Why?", "completion": text, "markers": {"readability": level}} for level, text in ANSWERS.items()
    ]
    file = write_rows(tmp_path / "marked.jsonl", [*rows, {"prompt": "Why?", "completion": "So.", "markers": {}}])
    found = ttm("readability", file, "--json").json()
    assert (found["rows"], found["told"], found["levels"]) == (4, 3, {"easy": 1, "medium": 1, "hard": 1})
    assert "33.3%" in ttm("readability", file).out
