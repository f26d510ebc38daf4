"""Task ``frontier``: one marker is swept over its values, to see what it moves and what moves with it.

Each prompt is asked once for each value, and once for none. An answer adheres if the marker found in it is the one that
was asked for; other markers *spill over* if they differ from those of the answer to the same prompt without the marker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.evaluation.finding import Finder, adheres
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Message, Metric, Origin, Request
from ttmarkers.taxonomies.sources import current_taxonomy
from ttmarkers_plugins.policies.scorers import LazyRater, Texts
from ttmarkers_plugins.tasks.length import sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Score, Value

FREE = "(not asked)"
NUMBERS: Mapping[str, tuple[int, ...]] = {
    "length_tokens": (10, 20, 50, 100, 200),
    "length_sentences": (1, 2, 4, 8),
    "length_paragraphs": (1, 2, 4),
}
"""Values of numeric markers that are swept by default."""


@dataclass(frozen=True)
class FrontierCase:
    """A prompt, and the value that it is asked with; None for none."""

    id: str
    prompt: tuple[Message, ...]
    group: str
    value: Value | None
    known: Mapping[str, Value] = field(default_factory=dict)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Nothing: the same prompt is asked many times, so stored answers are matched by id alone."""
        return ()


class FrontierTask:
    """What one marker does to answers.

    ``adherence``: share of answers that show the value; ``unasked``: share of the same prompts whose answers show it
    when it is not asked for. ``length``: in tokens. ``changed.NAME``: share of answers in which another marker differs
    from the unasked answer's. ``reward``: what a scorer says of the answer, if one is named.

    Args:
        marker: the marker that is swept.
        values: its values; a few numbers by default, for numbers.
        scorer: ``reward-model`` or ``program`` (`ttmarkers_plugins.policies.scorers`).
        options: of the scorer (``model``, or ``command``).
    """

    samples = 1

    def __init__(
        self,
        marker: str = "length_sentences",
        values: Sequence[Value] | None = None,
        scorer: str = "",
        **options: Any,
    ) -> None:
        if not values and marker not in NUMBERS:
            raise ConfigError(f"evaluate.options.frontier.values: say which values of {marker!r} are to be swept")
        if options and not scorer:
            name = next(iter(options))
            hint = did_you_mean(name, ("marker", "values", "scorer"))
            raise ConfigError(f"evaluate.options.frontier.{name}: there is no such option without a scorer: {hint}")
        self._marker, self._values = marker, tuple(values or NUMBERS[marker])
        self._rater = LazyRater("frontier", scorer, options) if scorer else None
        self.metrics: Mapping[str, Metric] = {}

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[FrontierCase]:
        """Read rows with a prompt in any of its forms; which values each is asked with is known later."""
        from ttmarkers.datasets import to_prompt

        given = [{"id": row["id"], "prompt": row["original_instruction"]} for row in sample()] if rows is None else rows
        cases = []
        for number, row in enumerate(given, 1):
            name, prompt = str(row.get("id", number)), to_prompt(row, Origin("data", number))
            cases += [
                FrontierCase(f"{name}@{'' if value is None else value}", prompt, name, value, known_markers(row))
                for value in (None, *self._values)
            ]
        return cases

    def prepare(self, setting: Setting) -> None:
        """Find out which markers answers can show, and check the values.

        Raises:
            ConfigError: for a marker that no extractor finds, or a value that it does not have.
        """
        taxonomy = current_taxonomy(setting.plugins, setting.config.markers)
        self._finder = Finder(setting)
        if self._marker not in self._finder.names:
            hint = did_you_mean(self._marker, self._finder.names)
            raise ConfigError(f"evaluate.options.frontier.marker: no extractor finds {self._marker!r}: {hint}")
        for value in self._values:
            taxonomy.check({self._marker: value}, where="evaluate.options.frontier.values")
        self._others = [name for name in self._finder.names if name != self._marker]
        self.metrics = {
            "adherence": Metric("higher"),
            "unasked": Metric("neither"),
            "length": Metric("neither", share=False),
            **({"reward": Metric("higher", share=False)} if self._rater else {}),
            **{f"changed.{name}": Metric("lower") for name in self._others},
        }

    def request(self, case: FrontierCase, policy: str) -> Request:
        """Ask with the value, where there is one.

        Raises:
            ConfigError: under a policy that gives no marker.
        """
        if policy != "fixed":
            raise ConfigError("task frontier asks with a marker: use policy fixed or guided")
        return Request(case.id, case.prompt, {} if case.value is None else {self._marker: case.value})

    def score(self, case: FrontierCase, generation: Generation) -> Mapping[str, Score]:
        """Score one answer, as far as that can be done without the others."""
        return self.score_all([case], [[generation]])[0]

    def score_all(
        self, cases: Sequence[FrontierCase], answers: Sequence[Sequence[Generation]]
    ) -> list[Mapping[str, Score]]:
        """Find the answers' markers, and compare those to the same prompt."""
        texts = [(case.id, case.prompt, found[0].text) for case, found in zip(cases, answers, strict=True)]
        shown = self._finder.find(texts)
        rewards = self._rewards(texts)
        free = {case.group: markers for case, markers in zip(cases, shown, strict=True) if case.value is None}
        found: list[Mapping[str, Score]] = []
        for case, markers, reward in zip(cases, shown, rewards, strict=True):
            scores: dict[str, Score] = {"length": float(markers.get("length_tokens", 0)), **reward}
            if case.value is not None:
                scores["adherence"] = float(adheres(markers.get(self._marker), case.value))
                if (before := free.get(case.group)) is not None:
                    scores["unasked"] = float(adheres(before.get(self._marker), case.value))
                    scores |= {f"changed.{n}": float(before.get(n) != markers.get(n)) for n in self._others}
            found.append(scores)
        return found

    def _rewards(self, texts: Sequence[tuple[str, tuple[Message, ...], str]]) -> list[dict[str, Score]]:
        if self._rater is None:
            return [{} for _ in texts]
        asked = [Texts(name, prompt, (text,)) for name, prompt, text in texts]
        return [{"reward": score} for (score,) in self._rater.load().rate(asked)]

    def slices(self, case: FrontierCase) -> Mapping[str, str]:
        """Break down by the value that was asked for."""
        return {self._marker: FREE if case.value is None else str(case.value)}
