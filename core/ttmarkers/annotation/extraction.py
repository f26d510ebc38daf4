"""Run the extractors of a plan over a batch of examples."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.guides import Briefing
from ttmarkers.errors import ConfigError, DataError, StoppedError, TtmError, did_you_mean, told
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Extractor, GuidedExtractor, PaidExtractor
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ttmarkers.annotation.plan import Plan, Step
    from ttmarkers.config import Declared
    from ttmarkers.records import Example, Spending, Value

    Watch = Callable[[str, int], AbstractContextManager[None]]


@dataclass(slots=True)
class Row:
    """One example while its markers are found (a `ttmarkers.protocols.Subject`)."""

    example: Example
    markers: dict[str, Value] = field(default_factory=dict)
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: DataError | None = None
    settled: tuple[str, ...] = ()

    def lacks(self, names: Iterable[str]) -> bool:
        """Tell whether any of these markers is still to be found."""
        return any(name not in self.markers and name not in self.settled for name in names)

    def add(self, name: str, found: Found, source: str) -> None:
        """Set a marker and say where it came from."""
        self.markers[name] = found.value
        meta: dict[str, Any] = {"confidence": round(found.confidence, 4), "source": source}
        if found.others:
            meta["others"] = list(found.others)
        self.meta[name] = meta


class Extraction:
    """A plan with its extractors made: finds the markers of examples.

    Args:
        plan: what is asked of which extractor.
        watch: gets the name of an extractor and a number of rows; each call of an extractor runs within the context
            that it returns.
        carried: earlier output -> the markers in it that need not be found again; others that an extractor found there
            are.
        max_cost: what the whole run may spend on paid extractors.
        run: a name of the run that all its processes share.
    """

    def __init__(
        self,
        plan: Plan,
        watch: Watch | None = None,
        *,
        carried: Mapping[str, tuple[str, ...]] | None = None,
        max_cost: float | None = None,
        run: str = "",
    ) -> None:
        self.plan = plan
        self._watch: Watch = watch or (lambda _name, _rows: nullcontext())
        self._carried = carried or {}
        self._extractors: list[tuple[Step, Extractor]] = []
        for step in plan.steps:
            made = build(step.component, step.options, where=f"markers.options.{step.component.name}")
            if not isinstance(made, Extractor):
                raise ConfigError(f"extractor {step.component.known_as} has no method extract")
            if isinstance(made, GuidedExtractor):
                types = tuple(plan.taxonomy.get(name) for name in step.wanted)
                made.prepare(Briefing(types, plan.guides, max_cost, run))
            self._extractors.append((step, made))

    def run(self, examples: Iterable[Example]) -> list[Row]:
        """Return a row for each example, with its markers in the taxonomy's order, or with the error it met."""
        rows = [Row(example) for example in examples]
        for row in rows:
            try:
                self._own_word(row)
            except TtmError as error:  # what is wrong in a row is no wrong command
                row.error = DataError(str(error))
        for step, extractor in self._extractors:
            self._ask(step, extractor, [row for row in rows if row.error is None])
        for row in rows:
            row.markers = {name: row.markers[name] for name in self.plan.taxonomy.names if name in row.markers}
        return rows

    def estimate(self, examples: Iterable[Example]) -> dict[str, Spending]:
        """Return what each paid extractor would take for these examples; the others are run, for what it needs."""
        rows = [Row(example) for example in examples]
        spending: dict[str, Spending] = {}
        for row in rows:
            try:
                self._own_word(row)
            except TtmError as error:
                row.error = DataError(str(error))
        for step, extractor in self._extractors:
            sound = [row for row in rows if row.error is None]
            if isinstance(extractor, PaidExtractor):
                batch = [row for row in sound if row.lacks(step.wanted)]
                spending[step.component.name] = extractor.estimate(batch)
            else:
                self._ask(step, extractor, sound)
        return spending

    def _own_word(self, row: Row) -> None:
        carried = row.example.columns.get("markers")
        if isinstance(carried, dict):
            meta = row.example.columns.get("markers_meta") or {}
            if not isinstance(meta, dict):
                raise DataError(f"{row.example.origin}: column 'markers_meta' holds no object: leave it out")
            known = {name: value for name, value in carried.items() if value is not None}
            if row.example.origin.name in self._carried:
                row.settled = self._carried[row.example.origin.name]
                known = {name: value for name, value in known.items() if self._stays(name, meta.get(name), row)}
            for name, value in self.plan.taxonomy.check(known, where=str(row.example.origin)).items():
                row.markers[name] = value
                row.meta[name] = dict(meta.get(name) or {"confidence": 1.0, "source": "column:markers"})
        for name, word in self.plan.declared.items():
            said, source = _declared(word, name, row.example)
            if said is not None:
                checked = self.plan.taxonomy.check({name: said}, where=str(row.example.origin))
                row.add(name, Found(checked[name]), source)

    @staticmethod
    def _stays(name: str, meta: Any, row: Row) -> bool:
        """Tell whether a marker of an earlier output stays: it is no extractor's word, or one that is still good."""
        source = str(meta.get("source", "")) if isinstance(meta, dict) else ""
        return name in row.settled or not source.startswith("extractor:")

    def _ask(self, step: Step, extractor: Extractor, rows: Sequence[Row]) -> None:
        batch = [row for row in rows if row.lacks(step.wanted)]
        if not batch:
            return
        try:
            with self._watched(step, len(batch)):
                results = extractor.extract(batch)
        except (ConfigError, StoppedError):
            raise
        except Exception:
            # one row may have spoilt the batch: alone, each row answers for itself
            for row in batch:
                self._ask_alone(step, extractor, row)
            return
        if len(results) != len(batch):
            raise ConfigError(f"extractor {step.component.known_as} gave {len(results)} results for {len(batch)} rows")
        for row, result in zip(batch, results, strict=True):
            try:
                self._take(step, row, result)
            except TtmError as error:
                row.error = DataError(f"{row.example.origin}: {error}")

    def _watched(self, step: Step, rows: int) -> AbstractContextManager[None]:
        return nullcontext() if step.component.patient else self._watch(step.component.known_as, rows)

    def _ask_alone(self, step: Step, extractor: Extractor, row: Row) -> None:
        try:
            with self._watched(step, 1):
                result = extractor.extract([row])[0]
            self._take(step, row, result)
        except (ConfigError, StoppedError):
            raise
        except Exception as error:
            said = f"{row.example.origin}: extractor {step.component.known_as} failed ({told(error)})"
            row.error = DataError(f"{said}: mend it or the row, or set the row apart with --quarantine FILE")
            row.error.__cause__ = error

    def _take(self, step: Step, row: Row, result: Mapping[str, Found] | DataError) -> None:
        if isinstance(result, DataError):
            raise DataError(f"extractor {step.component.known_as}: {result}")
        for name in step.wanted:
            if name in result and row.lacks([name]):
                found = result[name]
                kind = self.plan.taxonomy.get(name)
                if found.confidence < self.plan.least.get(name, 0) or parts_of(kind, found.value):
                    continue  # nor does a word count that cannot say which part of a former value it means
                checked = self.plan.taxonomy.check({name: found.value}, where=f"extractor {step.component.known_as}")
                source = f"extractor:{step.component.name}"
                others = tuple(other for other in found.others if not parts_of(kind, other))
                row.add(name, Found(checked[name], found.confidence, others), source)


def _declared(word: Declared, marker: str, example: Example) -> tuple[Value | None, str]:
    """Return what the data set says of a marker in a row, and how it says it."""
    if word.column is None:
        return word.constant, "declared:constant"
    if word.column not in example.columns:
        hint = did_you_mean(word.column, map(str, example.columns))
        raise DataError(
            f"{example.origin}: there is no column {word.column!r}, which markers.declared.{marker} names: {hint}"
        )
    raw = example.columns[word.column]
    if raw is None or raw == "":
        return None, ""
    if word.values:
        if str(raw) not in word.values:
            raise DataError(
                f"{example.origin}: column {word.column!r} holds {raw!r}, which markers.declared.{marker}.values "
                "does not map: add it, with null if nothing is known"
            )
        return word.values[str(raw)], f"declared:{word.column}"
    return raw, f"declared:{word.column}"
