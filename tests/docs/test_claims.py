"""What the pages of claims and traps name is there: files, and tests by name."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

import doc_links as pages

if TYPE_CHECKING:
    from pathlib import Path

ROOTS = ("core/", "plugins/", "templates/", "tests/", "examples/", "docs/", "benchmarks/")
PAGES = [pages.DOCS / "explanation" / name for name in ("claims.md", "traps.md")]


def named(path: Path) -> list[str]:
    """Return the files and tests that a page names."""
    return [span for span in pages.code_spans(path) if span.startswith(ROOTS)]


@cache
def names_in(path: Path) -> set[str]:
    """Return the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def missing(span: str) -> bool:
    """Tell whether a file, or the test in it, is not there."""
    name, _, test = span.partition("::")
    path = pages.REPOSITORY / name
    return not path.exists() or (bool(test) and test not in names_in(path))


@pytest.mark.parametrize("page", [*PAGES, *sorted(pages.DOCS.rglob("*.md"))], ids=lambda path: path.stem)
def test_files_and_tests_exist(page: Path) -> None:
    """Every file and test that a page names is there."""
    assert [span for span in named(page) if missing(span)] == []


def test_every_claim_has_code_and_a_test() -> None:
    """Each row of the claims names a file of ours, and a test."""
    text = PAGES[0].read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| the paper |")]
    assert len(rows) > 20
    for row in rows:
        spans = re.findall(r"`([^`]+)`", row)
        assert any(span.startswith(("core/", "plugins/", "templates/")) for span in spans), row
        assert any(span.startswith("tests/") for span in spans), row


def test_every_trap_has_code_and_a_test() -> None:
    """Each trap names a file of ours; and a test, or says that nothing can check it."""
    text = PAGES[1].read_text(encoding="utf-8")
    traps = [part for part in text.split("\n\n") if part.startswith("**")]
    assert len(traps) > 15
    for trap in traps:
        assert "Code: `" in trap, trap
        assert "`tests/" in trap or "Nothing can check" in trap, trap


def test_what_is_missing_is_found() -> None:
    """The check sees a file and a test that are not there."""
    here = "tests/docs/test_claims.py"
    assert not missing(here)
    assert not missing(f"{here}::test_what_is_missing_is_found")
    assert missing("core/ttmarkers/gone.py")
    assert missing(f"{here}::test_gone")
