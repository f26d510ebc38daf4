"""Task ``length``: answers that keep a limit of words (AlpacaEval-LI).

Source: Yuan et al. 2024 (arXiv 2406.17744) for data and count; D'souza et al. 2025, section 4 for the protocols.
The prompt says "Answer the following instruction using N words or less."; under ``fixed`` the model gets the
original instruction with ``length_tokens = N`` and without that sentence. A violation is an answer of more than N
words. The marker counts spaCy tokens, punctuation included, and the limit counts words, so ``fixed`` has slack.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.decoding.budget import word_counter
from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Message, Metric, Request
from ttmarkers_plugins.extractors.length import SpacyCounter
from ttmarkers_plugins.policies.scorers import LazyRater, Texts
from ttmarkers_plugins.tasks.opponents import opponent, own_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ttmarkers.records import Generation, Value

UNITS = {"words": "length_tokens", "sentences": "length_sentences"}
LIMITS = (25, 50, 100, 200)  # borders of the slices by limit


@dataclass(frozen=True)
class LengthCase:
    """An instruction with its limit; ``instruction`` says it in words, ``original`` does not."""

    id: str
    instruction: str
    original: str
    limit: int
    facts: Mapping[str, str]
    known: Mapping[str, Value] = field(default_factory=dict)
    output: str | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        """The texts by which a stored answer may be matched."""
        return (self.instruction, self.original)


class LengthTask:
    """Violations of a length limit, and by how much it is exceeded.

    Args:
        unit: what the limit counts, ``words`` as the benchmark does, or ``sentences``.
        slices: columns of the rows to break results down by.
        also: further markers of the rows (their column ``markers``) that are asked for under ``fixed``, such as
            ``domain`` (the paper, table 6).
        scorer: ``reward-model`` or ``program``: then ``win_rate`` is the share of the answers that keep the limit which
            score higher than the row's ``output`` (the same is half a win), as the paper judges them.
        options: of the scorer (``model``, or ``command``).
    """

    samples = 1

    def __init__(
        self,
        unit: str = "words",
        slices: Iterable[str] = (),
        also: Iterable[str] = (),
        scorer: str = "",
        **options: Any,
    ) -> None:
        self.metrics: dict[str, Metric] = {
            "violations": Metric("lower"),
            "overshoot": Metric("lower", share=False),
            "empty": Metric("lower"),
            "length": Metric("neither", share=False),
            **({"win_rate": Metric("higher")} if scorer else {}),
        }
        if options and not scorer:
            name = next(iter(options))
            hint = did_you_mean(name, ("unit", "slices", "also", "scorer"))
            raise ConfigError(f"evaluate.options.length.{name}: there is no such option without a scorer: {hint}")
        self._rater = LazyRater("length", scorer, options) if scorer else None
        if unit not in UNITS:
            raise ConfigError(f"evaluate.options.length.unit = {unit!r}: {did_you_mean(unit, UNITS)}")
        self._unit = unit
        self._slices, self._also = tuple(slices), tuple(also)
        self._count: Callable[[str], int] = word_counter() if unit == "words" else _sentence_counter()

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[LengthCase]:
        """Read rows with ``instruction``, ``original_instruction`` and ``max_len``, as AlpacaEval-LI publishes them."""
        return [self._case(number, row) for number, row in enumerate(sample() if rows is None else rows, 1)]

    def _case(self, number: int, row: Mapping[str, Any]) -> LengthCase:
        try:
            instruction, original = str(row["instruction"]), str(row["original_instruction"])
            limit = int(row["max_len"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"row {number}: task length needs instruction, original_instruction and a whole number max_len "
                f"({type(error).__name__}: {error})"
            ) from None
        facts = {name: str(row[name]) for name in self._slices if row.get(name) is not None}
        output = own_answer(row)
        return LengthCase(str(row.get("id", number)), instruction, original, limit, facts, known_markers(row), output)

    def request(self, case: LengthCase, policy: str) -> Request:
        """Ask with the limit in words, or under ``fixed`` with the marker in place of the sentence."""
        if policy == "fixed":
            further = {name: case.known[name] for name in self._also if name in case.known}
            return Request(case.id, (Message("user", case.original),), {**further, UNITS[self._unit]: case.limit})
        return Request(case.id, (Message("user", case.instruction),))

    def score(self, case: LengthCase, generation: Generation) -> dict[str, float]:
        """Count the answer. An empty answer keeps every limit, so ``empty`` says how many there are."""
        length = self._count(generation.text)
        return {
            "violations": float(length > case.limit),
            "overshoot": max(0.0, length / case.limit - 1.0) if case.limit else float(length),
            "empty": float(length == 0),
            "length": float(length),
        }

    def score_all(self, cases: Sequence[LengthCase], answers: Sequence[Sequence[Generation]]) -> list[dict[str, float]]:
        """Count all answers, and compare those that keep their limit."""
        scores = [self.score(case, found[0]) for case, found in zip(cases, answers, strict=True)]
        if self._rater is None:
            return scores
        kept = [place for place, found in enumerate(scores) if not found["violations"]]
        pairs = [(cases[place], answers[place][0].text) for place in kept]
        asked = [
            Texts(case.id, (Message("user", case.original),), (text, opponent(case.id, case.output, {}, task="length")))
            for case, text in pairs
        ]
        for place, (ours, theirs) in zip(kept, self._rater.load().rate(asked), strict=True):
            scores[place]["win_rate"] = 0.5 if ours == theirs else float(ours > theirs)
        return scores

    def slices(self, case: LengthCase) -> dict[str, str]:
        """Break down by the limit, and by the columns that were asked for."""
        if self._unit == "sentences":
            return {"limit": str(case.limit), **case.facts}
        above = next((border for border in LIMITS if case.limit <= border), None)
        return {"limit": f"at most {above}" if above else f"over {LIMITS[-1]}", **case.facts}


def _sentence_counter() -> Callable[[str], int]:
    counter = SpacyCounter()
    return lambda text: counter.count(text, None)[1] if text.strip() else 0


def sample() -> list[dict[str, Any]]:
    """Return the embedded sample: a few instructions of our own with limits."""
    text = importlib.resources.files("ttmarkers_plugins.tasks").joinpath("length_sample.jsonl").read_bytes()
    return [orjson.loads(line) for line in text.splitlines()]
