"""Order extractors by what they need, and run them over a batch of examples.

For each marker the data set's own word comes first (``markers.declared`` in the config, or markers that the row
carries already), then the extractors that serve it, in the config's order, each asked only where those before it
abstained.
"""

from __future__ import annotations

import graphlib
import itertools
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, DataError, TtmError, did_you_mean, unknown_name
from ttmarkers.protocols import Extractor
from ttmarkers.records import Found
from ttmarkers.registry import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from ttmarkers.components import ExtractorComponent
    from ttmarkers.config import Declared, MarkersConfig
    from ttmarkers.records import Example, Value
    from ttmarkers.registry import Registry
    from ttmarkers.taxonomy import Taxonomy

    Watch = Callable[[str, int], AbstractContextManager[None]]


@dataclass(slots=True)
class Row:
    """One example while its markers are found (a `ttmarkers.protocols.Subject`)."""

    example: Example
    markers: dict[str, Value] = field(default_factory=dict)
    meta: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: DataError | None = None

    def add(self, name: str, found: Found, source: str) -> None:
        """Set a marker and say where it came from."""
        self.markers[name] = found.value
        meta: dict[str, Any] = {"confidence": round(found.confidence, 4), "source": source}
        if found.others:
            meta["others"] = list(found.others)
        self.meta[name] = meta


@dataclass(frozen=True)
class Step:
    """One extractor and the markers that it is asked for."""

    component: ExtractorComponent
    options: Mapping[str, Any]
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is asked of which extractor, in order. Can be sent to another process.

    Attributes:
        taxonomy: all marker types.
        wanted: the markers that are written; others are found only because an extractor needs them.
        declared: what the data set says of itself.
        steps: extractors that look at rows, in order.
        fitted: extractors that need the markers of the whole data set first; they run after all the others.
    """

    taxonomy: Taxonomy
    wanted: tuple[str, ...]
    declared: Mapping[str, Declared]
    steps: tuple[Step, ...]
    fitted: tuple[Step, ...] = ()

    @property
    def kept(self) -> tuple[str, ...]:
        """The wanted markers, and those that fitted extractors need."""
        needed = {name for step in self.fitted for name in step.component.needs}
        return tuple(name for name in self.taxonomy.names if name in {*self.wanted, *needed})

    def sources(self) -> dict[str, list[str]]:
        """Return, by marker, where its value is looked for, in order."""
        return {
            name: [
                *(["declared"] if name in self.declared else []),
                *(step.component.name for step in (*self.steps, *self.fitted) if name in step.wanted),
            ]
            for name in self.taxonomy.names
        }


def make_plan(taxonomy: Taxonomy, config: MarkersConfig, registry: Registry[ExtractorComponent]) -> Plan:
    """Decide which extractors are asked for which markers, and in which order they run.

    Raises:
        UnknownNameError: for a marker or extractor that does not exist.
        ConfigError: if an extractor does not serve a marker that the config asks it for, or extractors need each
            other in a circle.
    """
    for name in config.declared:
        taxonomy.get(name, where="markers.declared")
    for name in config.extractors:
        taxonomy.get(name, where="markers.extractors")
    for name in config.options:
        registry.get(name, where="markers.options")
    for marker, chain in config.extractors.items():
        for name in chain:
            registry.get(name, where=f"markers.extractors.{marker}")
    components = registry.all()
    wanted = tuple(config.use) if config.use else taxonomy.names
    chains: dict[str, list[str]] = {}
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name not in chains:
            chains[name] = _chain(name, config, components)
            pending += [needed for extractor in chains[name] for needed in components[extractor].needs]
    steps: list[Step] = []
    fitted: list[Step] = []
    for extractor in _order(chains, components):
        serves = tuple(name for name in taxonomy.names if extractor in chains.get(name, ()))
        component = components[extractor]
        late = {name for step in fitted for name in step.wanted} & set(component.needs)
        if late:
            raise ConfigError(
                f"extractor {extractor!r} needs {', '.join(sorted(late))}, which is known only after all rows were "
                "read: leave it out under markers.extractors"
            )
        (fitted if component.fits else steps).append(Step(component, config.options.get(extractor, {}), serves))
    declared = {name: word for name, word in config.declared.items() if name in chains}
    return Plan(taxonomy, wanted, declared, tuple(steps), tuple(fitted))


def _chain(marker: str, config: MarkersConfig, components: Mapping[str, ExtractorComponent]) -> list[str]:
    if marker not in config.extractors:
        return [
            name for name, component in sorted(components.items()) if component.default and marker in component.markers
        ]
    for name in config.extractors[marker]:
        if name not in components:
            raise unknown_name("extractor", name, components, where=f"markers.extractors.{marker}")
        if marker not in components[name].markers:
            serves = ", ".join(components[name].markers)
            raise ConfigError(f"markers.extractors.{marker}: extractor {name!r} finds {serves}, not {marker}")
    return config.extractors[marker]


def _order(chains: Mapping[str, Sequence[str]], components: Mapping[str, ExtractorComponent]) -> list[str]:
    before: dict[str, set[str]] = {name: set() for chain in chains.values() for name in chain}
    for chain in chains.values():
        for first, second in itertools.pairwise(chain):
            before[second].add(first)
    for name, earlier in before.items():
        for needed in components[name].needs:
            earlier |= set(chains.get(needed, ())) - {name}
    sorter = graphlib.TopologicalSorter({name: before[name] for name in sorted(before)})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigError(
            f"extractors wait for each other: {circle}; mend their order in markers.extractors"
        ) from error
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


class Extraction:
    """A plan with its extractors made: finds the markers of examples.

    Args:
        plan: what is asked of which extractor.
        watch: gets the name of an extractor and a number of rows; each call of an extractor runs within the context
            that it returns.
    """

    def __init__(self, plan: Plan, watch: Watch = lambda _name, _rows: nullcontext()) -> None:
        self.plan = plan
        self._watch = watch
        self._extractors: list[tuple[Step, Extractor]] = []
        for step in plan.steps:
            made = build(step.component, step.options, where=f"markers.options.{step.component.name}")
            if not isinstance(made, Extractor):
                raise ConfigError(f"extractor {step.component.name!r} has no method extract")
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

    def _own_word(self, row: Row) -> None:
        carried = row.example.columns.get("markers")
        if isinstance(carried, dict):
            meta = row.example.columns.get("markers_meta") or {}
            if not isinstance(meta, dict):
                raise DataError(f"{row.example.origin}: column 'markers_meta' holds no object: leave it out")
            known = {name: value for name, value in carried.items() if value is not None}
            for name, value in self.plan.taxonomy.check(known, where=str(row.example.origin)).items():
                row.markers[name] = value
                row.meta[name] = dict(meta.get(name) or {"confidence": 1.0, "source": "column:markers"})
        for name, word in self.plan.declared.items():
            said, source = _declared(word, name, row.example)
            if said is not None:
                checked = self.plan.taxonomy.check({name: said}, where=str(row.example.origin))
                row.add(name, Found(checked[name]), source)

    def _ask(self, step: Step, extractor: Extractor, rows: Sequence[Row]) -> None:
        batch = [row for row in rows if any(name not in row.markers for name in step.wanted)]
        if not batch:
            return
        try:
            with self._watch(step.component.name, len(batch)):
                results = extractor.extract(batch)
        except Exception:
            # one row may have spoilt the batch: alone, each row answers for itself
            for row in batch:
                self._ask_alone(step, extractor, row)
            return
        if len(results) != len(batch):
            raise ConfigError(f"extractor {step.component.name!r} gave {len(results)} results for {len(batch)} rows")
        for row, result in zip(batch, results, strict=True):
            try:
                self._take(step, row, result)
            except TtmError as error:
                row.error = DataError(f"{row.example.origin}: {error}")

    def _ask_alone(self, step: Step, extractor: Extractor, row: Row) -> None:
        try:
            with self._watch(step.component.name, 1):
                result = extractor.extract([row])[0]
            self._take(step, row, result)
        except Exception as error:
            reason = str(error) if isinstance(error, TtmError) else f"{type(error).__name__}: {error}"
            row.error = DataError(f"{row.example.origin}: extractor {step.component.name!r} failed ({reason})")
            row.error.__cause__ = error

    def _take(self, step: Step, row: Row, result: Mapping[str, Found]) -> None:
        for name in step.wanted:
            if name in result and name not in row.markers:
                found = result[name]
                checked = self.plan.taxonomy.check({name: found.value}, where=f"extractor {step.component.name!r}")
                source = f"extractor:{step.component.name}"
                row.add(name, Found(checked[name], found.confidence, found.others), source)


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
