"""Task ``markers``: which markers a model infers, how sure it is of them, and whether its answers show those given.

Source: D'souza et al. 2025, section 5.3 (table 7) for the accuracy when no marker is given. A marker that stands in the
prompt is copied for nothing, so only those that were not given count. Calibration: Naeini et al. 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, DataError, TtmError, did_you_mean
from ttmarkers.evaluation.finding import Finder, adheres
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Message, Metric, Request
from ttmarkers.taxonomies.sources import current_taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Score, Value

BINS = 10


@dataclass(frozen=True)
class MarkersCase:
    """A prompt and the markers that its row has."""

    id: str
    prompt: tuple[Message, ...]
    known: Mapping[str, Value]
    facts: Mapping[str, str]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched."""
        return (self.prompt[-1].content,)


class MarkersTask:
    """What a model makes of markers.

    ``accuracy.NAME``: share of rows whose marker the block has; one that is left out is wrong. ``macro.NAME``: the mean
    over the marker's values of that share, so that rare values weigh as much as frequent ones. ``accuracy``: the mean
    over a row's markers. ``calibration.NAME``: the expected calibration error of the probabilities of policy
    ``posterior``. ``adherence.NAME``: share of rows whose answer shows the row's own value, found again by the
    extractors; under ``fixed`` it was asked for, otherwise this is how often it comes unasked.

    Args:
        markers: those that are looked at; all by default.
        give: those given under ``fixed``; all of ``markers`` by default.
        slices: columns of the rows to break results down by.
    """

    samples = 1

    def __init__(
        self,
        markers: Iterable[str] | None = None,
        give: Iterable[str] | None = None,
        slices: Iterable[str] = (),
    ) -> None:
        self._markers = None if markers is None else tuple(markers)
        self._give = None if give is None else frozenset(give)
        self._slices = tuple(slices)
        self.metrics: Mapping[str, Metric] = {}

    def prepare(self, setting: Setting) -> None:
        """Find out which markers there are, and which of them answers can show.

        Raises:
            ConfigError: for a marker that there is none of.
        """
        checkpoint = setting.checkpoint
        current = current_taxonomy(setting.plugins, setting.config.markers)
        taxonomy = checkpoint.taxonomy if checkpoint else current
        for name in (*(self._markers or ()), *(self._give or ())):
            if name not in taxonomy.names:
                raise ConfigError(f"evaluate.options.markers: {name!r}: {did_you_mean(name, taxonomy.names)}")
        # what the model says, rows may say in other words
        self._view = checkpoint.wording.view if checkpoint else _as_it_is
        self._current = current
        self._names = taxonomy.names if self._markers is None else self._markers
        self._categories = [name for name in self._names if taxonomy.get(name).values]
        self._finder = Finder(setting)
        self._shown = [name for name in self._names if name in self._finder.names]
        self.metrics = {
            # of several markers a row, so no share of rows
            "accuracy": Metric("higher", share=False),
            **{f"accuracy.{name}": Metric("higher") for name in self._categories},
            **{f"macro.{name}": Metric("higher", over=(name,)) for name in self._categories},
            **{f"calibration.{name}": Metric("lower", combine=calibration_error) for name in self._categories},
            **{f"adherence.{name}": Metric("higher") for name in self._shown},
        }

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[MarkersCase]:
        """Read annotated rows, as ``ttm annotate`` writes them."""
        from ttmarkers.datasets import to_prompt
        from ttmarkers.records import Origin

        cases = []
        for number, row in enumerate(SAMPLE if rows is None else rows, 1):
            if not isinstance(row.get("markers"), dict):
                raise DataError(f"row {number}: there are no markers: annotate the file first with ttm annotate")
            prompt = to_prompt(row, Origin("data", number))
            facts = {name: str(row[name]) for name in self._slices if row.get(name) is not None}
            cases.append(MarkersCase(str(row.get("id", number)), prompt, known_markers(row), facts))
        return cases

    def request(self, case: MarkersCase, policy: str) -> Request:
        """Ask the prompt, under ``fixed`` with the row's own markers."""
        if policy != "fixed":
            return Request(case.id, case.prompt)
        given = frozenset(self._names) if self._give is None else self._give
        return Request(case.id, case.prompt, {n: value for n, value in case.known.items() if n in given})

    def score(self, case: MarkersCase, generation: Generation) -> Mapping[str, Score]:
        """Score one answer."""
        return self.score_all([case], [[generation]])[0]

    def score_all(
        self, cases: Sequence[MarkersCase], answers: Sequence[Sequence[Generation]]
    ) -> list[Mapping[str, Score]]:
        """Compare the block's markers, and those that the answer shows, with the row's."""
        texts = [(case.id, case.prompt, found[0].text) for case, found in zip(cases, answers, strict=True)]
        shown = self._finder.find(texts) if self._shown else [{} for _ in texts]
        return [
            {**self._inferred(case.known, found[0]), **self._adherence(case.known, markers, found[0].asked)}
            for case, found, markers in zip(cases, answers, shown, strict=True)
        ]

    def _inferred(self, known: Mapping[str, Value], generation: Generation) -> dict[str, Score]:
        scores: dict[str, Score] = {}
        hits = []
        for name in self._categories:
            if name not in known or name in generation.asked:
                continue
            right = self._view(name, known[name])
            hit = float(generation.markers.get(name) == right)
            hits.append(hit)
            scores[f"accuracy.{name}"] = scores[f"macro.{name}"] = hit
            if chances := generation.chances.get(name):
                best = max(chances, key=lambda value: chances[value])
                scores[f"calibration.{name}"] = binned(chances[best], best == right)
        return {**scores, "accuracy": sum(hits) / len(hits)} if hits else scores

    def _adherence(
        self, known: Mapping[str, Value], shown: Mapping[str, Value], given: Mapping[str, Value]
    ) -> dict[str, Score]:
        asked = [name for name in self._shown if name in known and (not given or name in given)]
        return {f"adherence.{name}": float(self._adheres(name, shown.get(name), known[name])) for name in asked}

    def _adheres(self, name: str, found: Value | None, wanted: Value) -> bool:
        """Say whether an answer shows what its row has; of a value that was split, the model may mean any part."""
        if found is None:
            return False
        today = [self._today(name, value) for value in (found, wanted)]
        return adheres(*today) or adheres(*(self._view(name, value) for value in today))

    def _today(self, name: str, value: Value) -> Value:
        try:
            return self._current.check({name: value})[name]
        except TtmError:
            return value  # a marker or value that there is no more

    def slices(self, case: MarkersCase) -> Mapping[str, str]:
        """Break down by the columns that were asked for, and by the markers' values."""
        return {**case.facts, **{name: str(case.known[name]) for name in self._categories if name in case.known}}


def _as_it_is(name: str, value: Value) -> Value:
    del name
    return value


def binned(chance: float, hit: bool) -> tuple[float, ...]:
    """Return what a probability adds to its bin of `calibration_error`: itself, and whether it came true."""
    sums = [0.0] * (2 * BINS + 1)
    place = min(int(chance * BINS), BINS - 1)
    sums[place], sums[BINS + place], sums[-1] = chance, float(hit), 1.0
    return tuple(sums)


def calibration_error(sums: Sequence[float]) -> float:
    """Return how far, on average, a probability is from how often it comes true, by sums over bins of equal width.

    >>> calibration_error([sum(pair) for pair in zip(binned(0.95, True), binned(0.95, False))])
    0.45
    """
    gaps = sum(abs(sums[place] - sums[BINS + place]) for place in range(BINS))
    return round(gaps / sums[-1], 12) if sums[-1] else 0.0


SAMPLE = (
    {"id": "1", "prompt": "Why is the sky blue?", "markers": {"lang": "English", "task": "Explanation"}},
    {"id": "2", "prompt": "Pourquoi le ciel est-il bleu ?", "markers": {"lang": "French", "task": "Explanation"}},
    {"id": "3", "prompt": "Fasse den Text zusammen: ...", "markers": {"lang": "German", "task": "Summarization"}},
    {"id": "4", "prompt": "Write a poem about rain.", "markers": {"lang": "English", "task": "CreativeWriting"}},
)
"""The embedded sample, of our own."""
