"""One small run of the whole loop, made once: rows, annotated rows, a model with markers and one without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import greetings, ok, train, ttm, write_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROMPTS = ("Say hello to Bob.", "Dis bonjour à Anne.", "Sag Tom guten Tag.", "Hello!", "Bonjour ?")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the run's files are."""
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="session")
def marked(folder: Path) -> Path:
    """Sixty annotated rows."""
    output = folder / "marked.jsonl"
    ok(ttm("annotate", write_rows(folder / "rows.jsonl", greetings(60)), "-o", output))
    return output


@pytest.fixture(scope="session")
def sft(folder: Path, marked: Path) -> Path:
    """A model trained with markers."""
    return train(marked, folder / "sft")


@pytest.fixture(scope="session")
def baseline(folder: Path, marked: Path) -> Path:
    """A model trained on the same rows without markers."""
    return train(marked, folder / "baseline", "--strategy", "baseline")


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts that each ask for markers of their own, and one that asks for none."""
    asks: list[Mapping[str, object] | None] = [
        {"lang": "French"}, {"length_tokens": 5, "lang": "de"}, None, {"length_bucket": "concise"}, {"length_tokens": 2}
    ]  # fmt: skip
    rows = [
        {"id": f"p{n}", "prompt": prompt, "ask": ask} for n, (prompt, ask) in enumerate(zip(PROMPTS, asks, strict=True))
    ]
    return write_rows(tmp_path_factory.mktemp("prompts") / "prompts.jsonl", rows)
