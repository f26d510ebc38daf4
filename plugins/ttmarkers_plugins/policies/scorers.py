"""Scorers of candidates for the policy ``best-of``: the higher, the better.

Those that look at texts alone are raters: task ``quality`` asks them too.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ttmarkers.annotation.extraction import Row
from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.records import Example, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.decoding.generation import Engine
    from ttmarkers.decoding.writing import Answer, Begun
    from ttmarkers.records import Message, Request


WORST = -1e9


class Scorer(Protocol):
    """Says how good answers to one request are."""

    def score(self, engine: Engine, request: Request, begun: Sequence[Begun], answers: Sequence[Answer]) -> list[float]:
        """Return a number for each answer."""
        raise NotImplementedError


class Likelihood:
    """The mean log-probability of an answer's tokens, behind its own block; an empty answer is the worst."""

    def score(self, engine: Engine, request: Request, begun: Sequence[Begun], answers: Sequence[Answer]) -> list[float]:
        """Return a mean log-probability for each answer."""
        import torch

        del request
        written = [(number, answer) for number, answer in enumerate(answers) if answer.tokens]
        rows = [[*begun[number].tokens, *answer.tokens] for number, answer in written]
        scores = [WORST] * len(answers)
        if not rows:
            return scores
        logits = engine.model.logits(rows, [len(answer.tokens) + 1 for _, answer in written])
        for (number, answer), found in zip(written, logits, strict=True):
            tokens = torch.tensor(list(answer.tokens))
            scores[number] = float(found[:-1].log_softmax(-1).gather(1, tokens[:, None]).mean())
        return scores


@dataclass(frozen=True)
class Texts:
    """Answers to one prompt; ``id`` names it in messages."""

    id: str
    prompt: tuple[Message, ...]
    answers: Sequence[str]


class Rater:
    """Says how good answers are by their texts: a scorer that needs no engine."""

    def rate(self, asked: Sequence[Texts]) -> list[list[float]]:
        """Return a number for each answer to each prompt."""
        raise NotImplementedError

    def score(self, engine: Engine, request: Request, begun: Sequence[Begun], answers: Sequence[Answer]) -> list[float]:
        """Return a number for each answer to one request."""
        del engine, begun
        return self.rate([Texts(request.id, request.prompt, [answer.split.text for answer in answers])])[0]


class RewardModel(Rater):
    """A sequence-classification model of transformers.

    Args:
        model: a path or Hub name.
        options: of the extractor ``reward-model``.
    """

    def __init__(self, model: str = "", **options: Any) -> None:
        from ttmarkers_plugins.extractors.quality import RewardModelExtractor

        if not model:
            raise ConfigError("scorer 'reward-model' needs a model: set decode.options.best-of.model")
        self._extractor = RewardModelExtractor(model, **options)

    def rate(self, asked: Sequence[Texts]) -> list[list[float]]:
        """Return the model's score of each answer, of all prompts together.

        Raises:
            DataError: if the model gives no number.
        """
        rows = [
            Row(Example(texts.id, texts.prompt, answer, {}, Origin("answers", place)))
            for place, texts in enumerate(asked, 1)
            for answer in texts.answers
        ]
        # of an empty answer to nothing there is no score
        scores = [float(found["quality"].value) if found else WORST for found in self._extractor.extract(rows)]
        for row, score in zip(rows, scores, strict=True):
            if not math.isfinite(score):
                raise DataError(f"the reward model's score of an answer to {row.example.id} is no number: {score}")
        found = iter(scores)
        return [[next(found) for _ in texts.answers] for texts in asked]


class Program(Rater):
    """A program that reads one JSON document, ``{"prompt": [turns], "answers": [texts]}``, and prints a JSON list.

    Args:
        command: the program with its arguments; ``python`` is the Python that runs ttmarkers.
        seconds: that it may take for a request.
    """

    def __init__(self, command: str = "", seconds: float = 60.0) -> None:
        if not isinstance(command, str) or not command.strip():
            raise ConfigError("scorer 'program' needs a command: set decode.options.best-of.command")
        words = shlex.split(command)
        self._words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
        self._seconds = float(seconds)

    def rate(self, asked: Sequence[Texts]) -> list[list[float]]:
        """Return what the program prints of each prompt's answers; it is run once for each prompt, on all processors.

        Raises:
            ConfigError: if it cannot be run.
            DataError: if it fails, takes too long, or prints something else.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self._rate, asked))

    def _rate(self, texts: Texts) -> list[float]:
        turns = [{"role": turn.role, "content": turn.content} for turn in texts.prompt]
        question = json.dumps({"prompt": turns, "answers": list(texts.answers)})
        name = f"scorer program {self._words[0]!r}"
        try:
            done = subprocess.run(
                self._words,
                input=question,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self._seconds,
                check=False,
            )
        except OSError as error:
            raise ConfigError(f"{name} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise DataError(f"{name} took more than {self._seconds:g} seconds for request {texts.id}") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise DataError(f"{name} failed for request {texts.id} (exit {done.returncode}): {last}")
        try:
            scores = [float(score) for score in json.loads(done.stdout)]
        except (ValueError, TypeError):
            scores = []
        if len(scores) != len(texts.answers) or not all(math.isfinite(score) for score in scores):
            raise DataError(f"{name}: request {texts.id}: it must print a JSON list of {len(texts.answers)} numbers")
        return scores


RATERS: dict[str, Any] = {"reward-model": RewardModel, "program": Program}
"""What ``evaluate.options.quality.scorer`` may be."""

SCORERS: dict[str, Any] = {"likelihood": Likelihood, **RATERS}
"""What ``decode.options.best-of.scorer`` may be."""

NEEDS: dict[str, str] = {"reward-model": "model", "program": "command"}
"""The option that each rater cannot do without."""


class LazyRater:
    """A rater that tasks are given by name and options: checked at once, made when it is first asked.

    Args:
        task: for messages.
        scorer: ``reward-model`` or ``program``.
        options: of it.

    Raises:
        ConfigError: if there is no such rater, or the option is missing that it needs.
    """

    def __init__(self, task: str, scorer: str, options: dict[str, Any]) -> None:
        self._section = f"evaluate.options.{task}"
        if scorer not in RATERS:
            raise ConfigError(f"{self._section}.scorer = {scorer!r}: {did_you_mean(scorer, RATERS)}")
        if not options.get(NEEDS[scorer]):
            raise ConfigError(f"task {task!r} needs a {NEEDS[scorer]}: set {self._section}.{NEEDS[scorer]}")
        self._scorer, self._options = scorer, options
        self._made: Rater | None = None

    def load(self) -> Rater:
        """Return the rater.

        Raises:
            ConfigError: if its options do not fit.
        """
        if self._made is None:
            try:
                self._made = RATERS[self._scorer](**self._options)
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{self._section}: these do not fit scorer {self._scorer!r}: {error}") from error
        return self._made
