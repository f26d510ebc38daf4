"""Task ``winrate``: how often the model's answers are preferred to another system's, by a language model as the judge.

Source: Dubois et al. 2024 (arXiv 2404.04475) for the length-controlled figure; D'souza et al. 2025, sections 4.1 and
4.2, for the use. The words that the judge reads are our own (`ttmarkers_plugins.tasks.judging`), so figures are not to
be compared with those of AlpacaEval or Arena-Hard, whatever the judge.

**How far is the judge to be trusted?** Rows with a ``preference`` of people ask just that: the judge judges their two
answers, no model is asked (``samples`` is 0), and the metrics are ``agreement``, Cohen's ``kappa`` and
``inconsistent``. It is the same task with the same options, so that it is the same judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.datasets import to_prompt
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Metric, Origin, Request
from ttmarkers_plugins.tasks.judging import Judge, Pair, transcript
from ttmarkers_plugins.tasks.length_control import pieces, standardised, win_rate
from ttmarkers_plugins.tasks.opponents import opponent, own_answer, sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Message, Score, Spending, Value
    from ttmarkers_plugins.tasks.judging import Verdict

SAID = ("a", "b", "tie")
PREFERENCES = {"a": "a", "b": "b", "tie": "tie", "1": "a", "2": "b", "1.0": "a", "2.0": "b", "1.5": "tie"}
"""What people's preference may be, and what it means."""

METRICS = {
    "win_rate": Metric("higher"),
    "win_rate_lc": Metric("higher", combine=win_rate),
    "ties": Metric("neither"),
    "inconsistent": Metric("neither"),
    "length_difference": Metric("neither", share=False),
}


def kappa(sums: Sequence[float]) -> float:
    """Return Cohen's kappa from the counts of people's preferences (rows) by the judge's.

    >>> round(kappa([4, 1, 0, 1, 4, 0, 0, 0, 0]), 6)
    0.6
    """
    size = len(SAID)
    total = sum(sums)
    rows = [sum(sums[size * place : size * place + size]) for place in range(size)]
    columns = [sum(sums[place::size]) for place in range(size)]
    chance = sum(row * column for row, column in zip(rows, columns, strict=True)) / total**2
    alike = sum(sums[:: size + 1]) / total
    return (alike - chance) / (1 - chance) if chance < 1 else 1.0


LABELLED_METRICS = {
    "agreement": Metric("higher"),
    "kappa": Metric("higher", share=False, combine=kappa),
    "inconsistent": Metric("lower"),
}


@dataclass(frozen=True)
class WinrateCase:
    """A prompt, and another system's answer to it if its row has one; or two answers with people's preference.

    Attributes:
        id: its name.
        prompt: what is asked.
        other: the answer of the system to compare with.
        known: its markers, asked for under ``fixed``.
        facts: what results are broken down by.
        labelled: two answers, and which of them people prefer (`SAID`).
    """

    id: str
    prompt: tuple[Message, ...]
    other: str | None = None
    known: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    labelled: tuple[str, str, str] | None = None

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched."""
        return (self.prompt[-1].content,)


class WinrateTask:
    """Share of cases in which the judge prefers the model's answer, of pairs that are judged in both orders.

    A case scores 1 for a win, 0.5 for a tie and 0 for a loss, averaged over both orders: a judge who contradicts itself
    gives 0.5, and ``inconsistent`` says how often the order made any difference. ``ties`` are pairs of which neither
    was better in either order. ``win_rate_lc`` is the win rate at equal length
    (`ttmarkers_plugins.tasks.length_control`), ``length_difference`` how many characters longer the model's answers
    are. An empty answer loses against one that is not, and equal texts tie, without being judged.

    A judge that cannot be asked, refuses or talks nonsense, twice for one request, ends the scoring with an error and
    never with a tie; what it answered is kept, so that the same command goes on where it stopped.

    Args:
        slices: columns of the rows to break results down by.
        judge: options of `ttmarkers_plugins.tasks.judging.Judge`: ``model``, ``base_url``, ``key_variable``,
            ``price_in``, ``price_out`` ...
    """

    def __init__(self, slices: Iterable[str] = (), **judge: Any) -> None:
        self.metrics: Mapping[str, Metric] = METRICS
        self.samples = 1
        self._slices = tuple(slices)
        self._judge = Judge(**judge)
        self._against: Mapping[str, str] = {}
        self._cases: list[WinrateCase] = []

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[WinrateCase]:
        """Read rows with ``prompt``, ``instruction`` or ``messages``.

        They may have another system's answer (``output`` or ``reference``) and ``markers``. If they have a
        ``preference`` (``a``, ``b``, ``tie``, or 1 and 2) it is the judge that is measured, on their
        ``answer_a``/``output_1`` and ``answer_b``/``output_2``.
        """
        found = [self._case(number, row) for number, row in enumerate(sample() if rows is None else rows, 1)]
        labelled = [case for case in found if case.labelled]
        if labelled and len(labelled) < len(found):
            other = next(case for case in found if not case.labelled)
            raise DataError(f"case {other.id!r} has no preference, and others do: give it one, or take theirs away")
        self.samples, self.metrics = (0, LABELLED_METRICS) if labelled else (1, METRICS)
        self._cases = found
        return found

    def _case(self, number: int, row: Mapping[str, Any]) -> WinrateCase:
        prompt = to_prompt(row, Origin("data", number))
        facts = {name: str(row[name]) for name in self._slices if row.get(name) is not None}
        name = str(row.get("id", number))
        labelled = _labelled(number, row) if row.get("preference") not in (None, "") else None
        return WinrateCase(name, prompt, own_answer(row), known_markers(row), facts, labelled)

    def prepare(self, setting: Setting) -> None:
        """Take in the other system's answers; where no case has any, stop before anything is asked."""
        self._against = setting.against
        if (
            self.samples
            and self._cases
            and all(case.other is None and case.id not in self._against for case in self._cases)
        ):
            self._other(self._cases[0])

    def request(self, case: WinrateCase, policy: str) -> Request:
        """Ask the prompt; under ``fixed`` with the row's markers."""
        if case.labelled:
            raise ConfigError(f"case {case.id!r} has a preference: its two answers are judged, and no model is asked")
        self._other(case)
        if policy == "fixed" and not case.known:
            raise ConfigError(f"case {case.id!r} has no markers to fix: give its row a column markers, or use inferred")
        return Request(case.id, case.prompt, case.known if policy == "fixed" else {})

    def estimate(self, cases: Sequence[WinrateCase], answers: Sequence[Sequence[Generation]]) -> Spending:
        """Return what the verdicts would cost beyond those that are known."""
        return self._judge.estimate(self._pairs(cases, answers))

    def score(self, case: WinrateCase, generation: Generation) -> Mapping[str, Score]:
        """Judge one answer by itself, without others to control its length by."""
        return self.score_all([case], [[generation]])[0]

    def score_all(
        self, cases: Sequence[WinrateCase], answers: Sequence[Sequence[Generation]]
    ) -> list[Mapping[str, Score]]:
        """Judge all answers, many at once."""
        pairs = self._pairs(cases, answers)
        verdicts = self._judge.verdicts(pairs)
        if not self.samples:
            return [_agreed(case, verdict) for case, verdict in zip(cases, verdicts, strict=True)]
        longer = [float(len(pair.first) - len(pair.second)) for pair in pairs]
        lengths = standardised(longer)
        return [_won(*each) for each in zip(verdicts, longer, lengths, strict=True)]

    def slices(self, case: WinrateCase) -> Mapping[str, str]:
        """Break down by the columns that were asked for."""
        return case.facts

    def _pairs(self, cases: Sequence[WinrateCase], answers: Sequence[Sequence[Generation]]) -> list[Pair]:
        if not self.samples:
            return [_pair(case) for case in cases]
        return [
            Pair(case.id, transcript(case.prompt), found[0].text, self._other(case))
            for case, found in zip(cases, answers, strict=True)
        ]

    def _other(self, case: WinrateCase) -> str:
        return opponent(case.id, case.other, self._against, task="winrate")


def _labelled(number: int, row: Mapping[str, Any]) -> tuple[str, str, str]:
    answers = [row.get(ours, row.get(theirs)) for ours, theirs in (("answer_a", "output_1"), ("answer_b", "output_2"))]
    preference = PREFERENCES.get(str(row.get("preference")).strip().casefold())
    first, second = answers
    if not isinstance(first, str) or not isinstance(second, str) or preference is None:
        raise DataError(
            f"row {number}: to measure a judge it needs texts answer_a and answer_b (or output_1 and output_2), and a "
            "preference: a, b or tie, or 1 or 2"
        )
    return first, second, preference


def _pair(case: WinrateCase) -> Pair:
    if case.labelled is None:
        raise DataError(f"case {case.id!r} has no preference")
    return Pair(case.id, transcript(case.prompt), case.labelled[0], case.labelled[1])


def _won(verdict: Verdict, longer: float, length: float) -> dict[str, Score]:
    return {
        "win_rate": verdict.score,
        "win_rate_lc": pieces(length, verdict.score),
        "ties": float(verdict.tie),
        "inconsistent": float(verdict.inconsistent),
        "length_difference": longer,
    }


def _agreed(case: WinrateCase, verdict: Verdict) -> dict[str, Score]:
    gold = case.labelled[2] if case.labelled else ""
    cells = Counter({(gold, verdict.preference): 1.0})
    return {
        "agreement": float(gold == verdict.preference),
        "kappa": tuple(cells[one, other] for one in SAID for other in SAID),
        "inconsistent": float(verdict.inconsistent),
    }
