"""The vocabulary of the synthetic corpus, read from ``words.yaml`` once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml


@dataclass(frozen=True)
class Words:
    """All words of one language; the lists of two languages run in parallel."""

    language: str
    iso: str
    capital: bool
    names: dict[str, str]
    answer_in: str
    brief: str
    detailed: str
    tasks: dict[str, list[str]]
    formats: dict[str, str]
    openers: dict[str, list[str]]
    subjects: dict[str, list[str]]
    facts: dict[str, list[str]]
    vague: list[str]

    @property
    def spaced(self) -> bool:
        """Whether blanks stand between words and sentences."""
        return self.iso != "zh"

    @property
    def stop(self) -> str:
        """The full stop of the language."""
        return "." if self.spaced else "。"

    def join(self, *parts: str) -> str:
        """Put words or sentences one after the other, as the language does."""
        return (" " if self.spaced else "").join(part for part in parts if part)


@cache
def vocabulary() -> dict[str, Words]:
    """Return the words of every language, by its English name."""
    text = resources.files(__package__).joinpath("words.yaml").read_text(encoding="utf-8")
    sections: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {
        language: Words(language=language, **{"capital": False, **section}) for language, section in sections.items()
    }
