"""Which extractors are asked for which markers, and in which order.

For each marker the data set's own word comes first (``markers.declared`` in the config, or markers that the row
carries already), then the extractors that serve it, in the config's order, each asked only where those before it
abstained.
"""

from __future__ import annotations

import graphlib
import hashlib
import itertools
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.guides import read_guides
from ttmarkers.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.annotation.guides import Guide
    from ttmarkers.components import ExtractorComponent, GuideComponent
    from ttmarkers.config import Declared, MarkersConfig
    from ttmarkers.plugins.registry import Registry
    from ttmarkers.taxonomies.taxonomy import Taxonomy


@dataclass(frozen=True)
class Step:
    """One extractor and the markers that it is asked for; ``source`` is its distribution with the version."""

    component: ExtractorComponent
    options: Mapping[str, Any]
    wanted: tuple[str, ...]
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what the step's results depend on."""
        options = {key: value for key, value in self.options.items() if key not in self.component.neutral}
        return {
            "extractor": self.component.name,
            "factory": str(self.component.factory),
            "source": self.source,
            "options": options,
            "files": {key: stamp for key, value in options.items() if (stamp := _stamp(value))},
        }


def _stamp(value: Any) -> list[tuple[str, int, int]]:
    """Return sizes and times of the file or folder that an option names, so that another one there is noticed."""
    if not isinstance(value, str) or not value:
        return []
    path = Path(value)
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return [(file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files if file.is_file()]
    except (OSError, ValueError):
        return []


@dataclass(frozen=True)
class Plan:
    """What is asked of which extractor, in order. Can be sent to another process.

    Attributes:
        taxonomy: all marker types.
        wanted: the markers that are written; others are found only because an extractor needs them.
        declared: what the data set says of itself.
        steps: extractors that look at rows, in order.
        fitted: extractors that need the markers of the whole data set first; they run after all the others.
        guides: marker -> what guided extractors are told of it; empty if there are none.
        least: marker -> the confidence below which an extractor's word does not count.
    """

    taxonomy: Taxonomy
    wanted: tuple[str, ...]
    declared: Mapping[str, Declared]
    steps: tuple[Step, ...]
    fitted: tuple[Step, ...] = ()
    guides: Mapping[str, Guide] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> tuple[str, ...]:
        """The wanted markers, and those that fitted extractors need."""
        needed = {name for step in self.fitted for name in step.component.needs}
        return tuple(name for name in self.taxonomy.names if name in {*self.wanted, *needed})

    def fingerprints(self) -> dict[str, str]:
        """Return, by marker, a hash of all that an extractor's word on it depends on.

        That is the chain of extractors with versions and options, the marker type, its guide, its least confidence,
        and the markers that the extractors need.
        """
        chains: dict[str, list[Step]] = {}
        for step in (*self.steps, *self.fitted):
            for name in step.wanted:
                chains.setdefault(name, []).append(step)
        found: dict[str, str] = {}

        def fingerprint(name: str) -> str:
            if name not in found:
                found[name] = ""  # a marker that is needed for itself
                chain = chains.get(name, [])
                guided = any(step.component.guided for step in chain)
                parts = {
                    "chain": [step.to_json() for step in chain],
                    "type": asdict(self.taxonomy.get(name)),
                    "guide": asdict(self.guides[name]) if guided and name in self.guides else None,
                    "least": self.least.get(name),
                    "needs": {other: fingerprint(other) for step in chain for other in step.component.needs},
                }
                found[name] = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
            return found[name]

        return {name: fingerprint(name) for name in chains}

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
        source = registry.entry(extractor).distribution
        (fitted if component.fits else steps).append(Step(component, config.options.get(extractor, {}), serves, source))
    declared = {name: word for name, word in config.declared.items() if name in chains}
    for name in config.least_confidence:
        taxonomy.get(name, where="markers.least_confidence")
    return Plan(taxonomy, wanted, declared, tuple(steps), tuple(fitted), least=dict(config.least_confidence))


def brief(plan: Plan, components: Iterable[GuideComponent], files: Sequence[Path]) -> Plan:
    """Return a plan with the guides that its guided extractors need; raises as `guides.read_guides` does."""
    wanted = {name for step in plan.steps if step.component.guided for name in step.wanted}
    if not wanted and not files:
        return plan
    guides = read_guides(components, files, plan.taxonomy)
    return replace(plan, guides={name: guide for name, guide in guides.items() if name in wanted})


def _chain(marker: str, config: MarkersConfig, components: Mapping[str, ExtractorComponent]) -> list[str]:
    if marker not in config.extractors:
        return [
            name for name, component in sorted(components.items()) if component.default and marker in component.markers
        ]
    for name in config.extractors[marker]:
        if name not in components:
            raise unknown_name("extractor", name, components, where=f"markers.extractors.{marker}")
        serves = ", ".join(components[name].markers)
        if serves and marker not in components[name].markers:
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
