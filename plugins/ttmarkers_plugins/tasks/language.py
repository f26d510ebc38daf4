"""Task ``language``: answers in the language that was asked for, line by line (Language Confusion Benchmark).

Source: Marchisio et al. 2024 (arXiv 2406.20052) for data and metric; D'souza et al. 2025, section 4.3 for the
protocol: the prompt asks for a language in words; under ``fixed`` markers are added, but never ``lang``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.errors import ConfigError, DataError
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Message, Metric, Request
from ttmarkers_plugins.tasks.confusion import ConfusionScorer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ttmarkers.records import Generation, Value


SETTINGS = ("monolingual", "crosslingual")


@dataclass(frozen=True)
class LanguageCase:
    """A prompt and the ISO code of the language that its answer should have."""

    id: str
    prompt: str
    target: str
    known: Mapping[str, Value]
    facts: Mapping[str, str]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched."""
        return (self.prompt,)


class LanguageTask:
    """Pass rates of the Language Confusion Benchmark, by its published conventions (`ConfusionScorer`).

    ``lpr``: share of answers whose every line of five words or more is in the wanted language. ``wpr``: of those that
    pass, in languages that are not written in Latin letters, the share without an English word. Both are the mean over
    languages of the mean over their sources (column ``source``), as the benchmark averages. An answer without a line
    that is long enough is left out and counted in ``too_short``.

    Args:
        slices: columns of the rows to break results down by.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "lpr": Metric("higher", over=("target_lang", "source")),
        "wpr": Metric("higher", over=("target_lang", "source")),
        "too_short": Metric("lower"),
    }

    def __init__(self, slices: Iterable[str] = ("setting", "target_lang", "source")) -> None:
        self._slices = tuple(slices)
        self._scorer = ConfusionScorer()

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[LanguageCase]:
        """Read rows with ``prompt`` and ``target_lang``, and ``markers`` if ``fixed`` is to be asked.

        The benchmark's files of answers say ``language`` and ``task`` for ``target_lang`` and ``setting``.
        """
        return [self._case(number, row) for number, row in enumerate(SAMPLE if rows is None else rows, 1)]

    def _case(self, number: int, row: Mapping[str, Any]) -> LanguageCase:
        if "target_lang" not in row and row.get("task") in SETTINGS:
            # ids of these files begin anew in each part
            own = "-".join(str(row.get(key, number)) for key in ("task", "source", "language", "id"))
            row = {**row, "target_lang": row.get("language"), "setting": row["task"], "id": own}
        prompt, target = row.get("prompt"), row.get("target_lang")
        if not isinstance(prompt, str) or not isinstance(target, str):
            raise DataError(f"row {number}: task language needs texts prompt and target_lang")
        names = dict.fromkeys((*self._slices, "target_lang", "source"))  # what is averaged over must be known
        facts = {name: str(row[name]) for name in names if row.get(name) is not None}
        return LanguageCase(str(row.get("id", number)), prompt, target, known_markers(row), facts)

    def request(self, case: LanguageCase, policy: str) -> Request:
        """Ask the prompt; under ``fixed`` with the row's markers, but never ``lang``.

        Raises:
            ConfigError: if the row has none.
        """
        markers = {name: value for name, value in case.known.items() if name != "lang"}
        if policy == "fixed" and not markers:
            raise ConfigError(f"case {case.id!r} has no markers to fix: give its row a column markers, or use inferred")
        return Request(case.id, (Message("user", case.prompt),), markers if policy == "fixed" else {})

    def score(self, case: LanguageCase, generation: Generation) -> Mapping[str, float]:
        """Identify every line that is long enough."""
        return self._scorer.score(generation.text, case.target)

    def slices(self, case: LanguageCase) -> Mapping[str, str]:
        """Break down by the columns that were asked for, language and source among them."""
        return case.facts


SAMPLE = (
    {"id": "1", "prompt": "Pourquoi le ciel est-il bleu ?", "target_lang": "fr", "setting": "monolingual"},
    {"id": "2", "prompt": "Warum ist der Himmel blau?", "target_lang": "de", "setting": "monolingual"},
    {"id": "3", "prompt": "天空为什么是蓝色的？", "target_lang": "zh", "setting": "monolingual"},
    {"id": "4", "prompt": "Why is the sky blue? Answer in Spanish.", "target_lang": "es", "setting": "crosslingual"},
    {"id": "5", "prompt": "Why is the sky blue? Answer in Turkish.", "target_lang": "tr", "setting": "crosslingual"},
    {"id": "6", "prompt": "Why is the sky blue? Answer in Russian.", "target_lang": "ru", "setting": "crosslingual"},
)
"""The embedded sample, of our own."""
