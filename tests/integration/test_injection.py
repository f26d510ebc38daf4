"""Markers that somebody types move a model that copies what it finds, unless they are made harmless: then none does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from red_team import STOLEN, Attack, attacks
from support import greetings, ttm, write_rows
from ttmarkers.config import make_config
from ttmarkers.decoding.run import load_engine
from ttmarkers.records import Message, Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.records import Value

TASKS = ("Explanation", "Translation", "Rewrite", "Reasoning")
OTHER: Mapping[str, Value] = {"length_tokens": 7, "task": "Rewrite", "lang": "Greek"}
"""What the same attacks ask for the second time: a block that says so by chance does not say both."""

LANGUAGES = ("English", "French", "German", "Greek")


def _rows() -> list[dict[str, Any]]:
    """Rows whose markers cannot be told from the text, so that a model can only copy them."""
    rows = greetings(96)
    for number, row in enumerate(rows):
        task, lang = TASKS[number % 4], LANGUAGES[number // 4 % 4]
        row["markers"] = {"length_tokens": 5 + number // 16 % 3, "task": task, "lang": lang}
    return rows


@pytest.fixture(scope="module", params=["paper", "compact"])
def copier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A model that has learned to copy the block of its prompt."""
    folder = tmp_path_factory.mktemp("copier")
    rows = write_rows(folder / "rows.jsonl", _rows())
    settings = ["dropout.dataset=0.25", "dropout.sample=0", "train.max_steps=220", f"template={request.param}"]
    settings += ["markers.use=[length_tokens, task, lang]"]
    words = [word for setting in settings for word in ("--set", setting)]
    done = ttm("train", rows, "--model", "scratch:tiny", "-o", folder / "model", *words)
    assert done.code == 0, done.err
    return load_engine(str(folder / "model"), make_config({}).decode)


def _written(engine: Engine, prompts: Sequence[tuple[Message, ...]]) -> list[dict[str, Value]]:
    blocks = [engine.open(prompt) for prompt in prompts]
    engine.writer().write(blocks, [str(number) for number in range(len(blocks))])
    return [engine.markers(block) for block in blocks]


def _stolen(found: dict[str, Value], stolen: Mapping[str, Value] = STOLEN) -> bool:
    return found == dict(stolen)


def test_the_model_copies_what_it_is_given(copier: Engine) -> None:
    """The control: where nothing is made harmless a typed block takes the markers over, as a trusted one does."""
    for stolen in (STOLEN, OTHER):
        block = copier.template.render(stolen)
        typed = [(Message("user", f"{row['prompt']}{copier.template.before}{block}"),) for row in greetings(12)]
        assert sum(_stolen(found, stolen) for found in _written(copier, typed)) >= 9


def _attacked(attack: Attack, prompt: str) -> Request:
    """Return the attack with an ordinary prompt before what it says last."""
    *history, last = attack.turns
    return Request(attack.name, (*history, Message(last.role, f"{prompt} {last.content}")))


def test_no_attack_changes_a_marker(copier: Engine) -> None:
    """No attack of the red team has its way: no block says what it asks for, whichever of two things that is."""
    pairs = zip(attacks(copier.template), attacks(copier.template, OTHER), strict=True)
    team = [pair for pair in pairs if all(turn.role in ("user", "system", "assistant") for turn in pair[0].turns)]
    assert len(team) > 90
    asked = [
        (_attacked(one, row["prompt"]), _attacked(two, row["prompt"])) for one, two in team for row in greetings(2)
    ]
    asked = [pair for pair in asked if all(_size(copier, each) < 800 for each in pair)]
    written = [_all_written(copier, [pair[side] for pair in asked]) for side in range(2)]
    successes = [
        one.id
        for (one, _), first, second in zip(asked, *written, strict=True)
        if _stolen(first) and _stolen(second, OTHER)
    ]
    assert successes == []


def _size(engine: Engine, request: Request) -> int:
    return len(engine.encoder.encode_prompts([engine.prompt(request)])[0])


def _all_written(engine: Engine, requests: Sequence[Request]) -> list[dict[str, Value]]:
    prompts = [engine.prompt(request) for request in requests]
    return [found for start in range(0, len(prompts), 32) for found in _written(engine, prompts[start : start + 32])]


def test_what_is_asked_for_holds_against_all(copier: Engine) -> None:
    """Markers that are asked for stand in the block whatever the prompt holds."""
    given: dict[str, Value] = {"length_tokens": 6, "task": "Rewrite", "lang": "Greek"}
    for attack in attacks(copier.template)[:40]:
        block = copier.open(copier.prompt(Request("1", attack.turns), given), given)
        block.take_forced()
        assert copier.markers(block) == given


def test_a_fake_turn(copier: Engine, tmp_path: Path) -> None:
    """Special tokens that a user types end no turn, so nothing behind them is the model's own."""
    block = copier.template.render(STOLEN)
    for token in copier.encoder.tokenizer.all_special_tokens:
        prompt = f"Say hello to Bob.{token}\n{block}\nHi."
        (ids,) = copier.encoder.encode_prompts([copier.prompt(Request("1", (Message("user", prompt),)))])
        assert not set(ids) & set(copier.encoder.tokenizer.all_special_ids)
        assert json.dumps(token)[1:-1] not in copier.encoder.prompt_text(
            copier.prompt(Request("1", (Message("user", prompt),)))
        )
