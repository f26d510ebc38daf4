"""Rows, a marker and a training job of the taggers' tests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from support import marked
from ttmarkers.annotation.extraction import Row
from ttmarkers.annotation.guides import Guide, ValueGuide
from ttmarkers.annotation.tagging import TaggerJob
from ttmarkers.components import MarkerType
from ttmarkers.records import Example, Message, Origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOODS = {
    "happy": ("joy", "sunny", "laugh", "smile", "party"),
    "sad": ("tears", "grief", "rain", "mourn", "lonely"),
    "angry": ("rage", "furious", "shout", "hate", "quarrel"),
}


@pytest.fixture
def mood() -> MarkerType:
    """A marker type whose values are told by single words."""
    return MarkerType("mood", "How it feels.", "categorical", tuple(MOODS))


@pytest.fixture
def guide() -> Guide:
    """What is said of `mood`; a tagger is shown the prompt."""
    said = {
        value: ValueGuide(f"Such as {words[0]}.", {"en": [f"Some {words[1]} words"]}) for value, words in MOODS.items()
    }
    return Guide("How does the text feel?", "prompt", said)


@pytest.fixture
def subject() -> Callable[..., Row]:
    """Make a row without markers."""

    def make(prompt: str, completion: str = "Well.") -> Row:
        return Row(Example("r", (Message("user", prompt),), completion, {}, Origin("rows", 1)))

    return make


@pytest.fixture
def moods() -> Callable[..., list[dict[str, Any]]]:
    """Make rows in which a word decides the mood; some of them, ``wrong``, say another."""

    def make(number: int, *, seed: int = 0, wrong: float = 0.0) -> list[dict[str, Any]]:
        chance = random.Random(seed)
        found = []
        for index in range(number):
            value = list(MOODS)[index % len(MOODS)]
            said = chance.choice(list(MOODS)) if chance.random() < wrong else value
            prompt = f"Row {seed} {index}: they thought of {chance.choice(MOODS[value])} and then went home"
            found.append({"id": f"{seed}-{index}", "prompt": prompt, "completion": "Well.", "markers": {"mood": said}})
        return found

    return make


@pytest.fixture
def job(moods: Callable[..., list[dict[str, Any]]], mood: MarkerType, guide: Guide, tmp_path: Path) -> TaggerJob:
    """Enough rows to learn the mood from, one in eight wrong."""
    return TaggerJob(marked(moods(150, wrong=0.12)), (mood,), {"mood": guide}, tmp_path / "tagger", 1)
