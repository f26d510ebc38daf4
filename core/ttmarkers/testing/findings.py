"""What an extractor finds, looked at: the probe that its checks share, and comparisons of results."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.guides import Briefing, read_guides
from ttmarkers.errors import DataError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import GuidedExtractor
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import check_value
from ttmarkers.testing.contract import Breach
from ttmarkers.testing.rows import copies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.annotation.extraction import Row
    from ttmarkers.annotation.guides import Guide
    from ttmarkers.components import ExtractorComponent
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

    Result = Mapping[str, Found] | DataError

NEAR = 1e-3  # what sums in other orders may make of a score or a confidence


@dataclass
class Probe:
    """An extractor, and what it is tried on."""

    component: ExtractorComponent
    options: dict[str, Any]
    taxonomy: Taxonomy
    plugins: Plugins
    asked: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    own: int = 0  # how many of the rows are the author's

    @property
    def wanted(self) -> tuple[str, ...]:
        """The markers that it is asked for."""
        return self.component.markers or self.asked or self._explained[:2]

    @cached_property
    def _explained(self) -> tuple[str, ...]:
        """The categories whose values guides define, or all if there is none."""
        categories = [kind.name for kind in self.taxonomy if kind.values]
        defined = [name for name in categories if any(value.definition for value in self._guides[name].values.values())]
        return tuple(defined or categories)

    @cached_property
    def _guides(self) -> dict[str, Guide]:
        """What the plugins' guides say of markers."""
        return read_guides(self.plugins.guides().all().values(), [], self.taxonomy)

    def make(self) -> Any:
        """Return the extractor, made anew, and told of its markers if it is guided."""
        made = build(self.component, self.options)
        if isinstance(made, GuidedExtractor):
            made.prepare(self.briefing())
        return made

    def briefing(self) -> Briefing:
        """Return what a guided extractor is told, by the guides of all plugins."""
        types = tuple(self.taxonomy.get(name) for name in self.wanted)
        guides = {kind.name: self._guides[kind.name] for kind in types if kind.name in self._guides}
        return Briefing(types, guides, run="checked")

    @cached_property
    def extractor(self) -> Any:
        """The extractor, made once."""
        return self.make()

    def fresh(self) -> list[Row]:
        """Return the rows, so that nothing that is done to them is seen by others."""
        return copies(self.rows)

    def results(self) -> list[tuple[Row, Result]]:
        """Return each row with what is found in it alone."""
        return list(zip(self.rows, self._alone, strict=True))

    @cached_property
    def _alone(self) -> list[Result]:
        return [self.extractor.extract([row])[0] for row in self.fresh()]


def check_found(taxonomy: Taxonomy, name: str, found: object, where: str) -> None:
    """Raise `Breach` unless a finding is a `Found` whose values the type holds, with a confidence."""
    if not isinstance(found, Found):
        raise Breach(f"it gives {name} as {type(found).__name__} for {where}: use ttmarkers.records.Found")
    kind = taxonomy.get(name)
    for value in (found.value, *found.others):
        try:
            held = check_value(kind, value)
        except DataError as error:
            raise Breach(f"it finds what the type does not hold in {where}: {error}") from error
        if kind.values and held != value:
            raise Breach(f"it finds {name} = {value!r} in {where}, which is written {held!r}: use that spelling")
        if not kind.values and (isinstance(value, bool | str) or type(value).__module__ != "builtins"):
            raise Breach(f"it finds {name} = {value!r} in {where}, which is no plain number: use int() or float()")
    confidence = found.confidence
    if not isinstance(confidence, float | int) or not 0 <= confidence <= 1:
        raise Breach(f"it finds {name} in {where} with a confidence of {confidence!r}: give a number from 0 to 1")


def same(one: Result, other: Result) -> bool:
    """Tell whether two results are equal; errors are by their text."""
    if isinstance(one, DataError) or isinstance(other, DataError):
        return isinstance(one, DataError) and isinstance(other, DataError) and str(one) == str(other)
    return dict(one) == dict(other)


def alike(taxonomy: Taxonomy, one: Result, other: Result) -> bool:
    """Tell whether two results say the same; scores and confidences may differ by what rounding makes of them."""
    if isinstance(one, DataError) or isinstance(other, DataError):
        return same(one, other)
    if one.keys() != other.keys():
        return False
    for name, found in one.items():
        further = other[name]
        close = taxonomy.get(name).kind == "float" and math.isclose(found.value, further.value, rel_tol=NEAR)  # type: ignore[arg-type]
        if not close and found.value != further.value:
            return False
        if found.others != further.others or abs(found.confidence - further.confidence) > NEAR:
            return False
    return True
