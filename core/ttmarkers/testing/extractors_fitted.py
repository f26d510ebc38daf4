"""Checks of extractors that are fitted on the markers of a whole data set."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.testing.contract import Breach, short
from ttmarkers.testing.findings import check_found, same
from ttmarkers.testing.rows import marker_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.records import Found, Value
    from ttmarkers.testing.findings import Probe


def fitted_needs_known_markers(probe: Probe) -> None:
    """It sees no texts, so it needs markers, and those must be there."""
    if not probe.component.needs:
        raise Breach("it is fitted on markers and needs none: declare which in needs")
    for name in probe.component.needs:
        if name not in probe.taxonomy:
            raise Breach(f"it needs the marker {name!r}, which no plugin offers: yield its type, or give types=")


def state_is_json(probe: Probe) -> None:
    """The state travels with data and models as JSON."""
    for number in (120, 0):
        state = _fit(probe, number)
        try:
            back = orjson.loads(orjson.dumps(state))
        except (TypeError, ValueError) as error:
            raise Breach(f"its state cannot be stored as JSON ({error}): use plain lists, texts and numbers") from error
        if back != state:
            raise Breach(f"its state comes back from JSON as {short(back)}, not {short(state)}: use texts as keys")


def fits_the_same_twice(probe: Probe) -> None:
    """Fitting depends on the rows alone, and not on their order."""
    first, again, turned = _fit(probe, 120), _fit(probe, 120), _fit(probe, 120, turned=True)
    if first != again:
        raise Breach(f"fitted twice on the same rows its state is {short(again)}, not {short(first)}: draw by a seed")
    if _found(probe, first) != _found(probe, turned):
        raise Breach("fitted on the same rows in another order it finds other markers: let the order not matter")


def finds_by_a_loaded_state(probe: Probe) -> None:
    """What is found depends on the loaded state alone; values are such that the type holds."""
    state = orjson.loads(orjson.dumps(_fit(probe, 120)))
    one, other = probe.make(), probe.make()
    one.load(state)
    other.load(copy.deepcopy(state))
    fitted = probe.make()
    for markers in marker_rows(probe.component, probe.taxonomy):
        fitted.observe(markers)
    fitted.load(fitted.fit())
    for markers in marker_rows(probe.component, probe.taxonomy):
        found = one.find(markers)
        for name, entry in found.items():
            if name not in probe.component.markers:
                raise Breach(f"it finds {name!r}, which it does not declare: add it to markers, or leave it out")
            check_found(probe.taxonomy, name, entry, f"a row with {short(markers)}")
        for maker, further in (("loaded again", other), ("fitted itself", fitted)):
            if not same(found, further.find(markers)):
                raise Breach(
                    f"{maker} it finds {short(further.find(markers))} for {short(markers)}: keep all in the state"
                )


def fitted_abstains_without_markers(probe: Probe) -> None:
    """Where nothing is known of a row, or of the whole data set, nothing is found."""
    extractor = probe.make()
    extractor.load(_fit(probe, 120))
    empty = probe.make()
    empty.load(_fit(probe, 0))
    full = marker_rows(probe.component, probe.taxonomy)[0]
    for found, where in ((extractor.find({}), "a row without markers"), (empty.find(full), "data that has no rows")):
        if found:
            raise Breach(f"it finds {short(dict(found))} in {where}, which is a guess: leave the marker out there")


def fitted_leaves_its_input_alone(probe: Probe) -> None:
    """Others see the same markers after it."""
    extractor = probe.make()
    rows = marker_rows(probe.component, probe.taxonomy)
    for markers in rows:
        extractor.observe(markers)
    state = extractor.fit()
    kept = copy.deepcopy(state)
    extractor.load(state)
    for markers in rows:
        extractor.find(markers)
    if rows != marker_rows(probe.component, probe.taxonomy) or state != kept:
        raise Breach("it changes the markers or the state that it is given: work on a copy")


def _fit(probe: Probe, number: int, *, turned: bool = False) -> dict[str, Any]:
    extractor = probe.make()
    rows = marker_rows(probe.component, probe.taxonomy, number)
    for markers in rows[::-1] if turned else rows:
        extractor.observe(markers)
    return dict(extractor.fit())


def _found(probe: Probe, state: Mapping[str, Any]) -> list[dict[str, Found]]:
    extractor = probe.make()
    extractor.load(state)
    rows: list[dict[str, Value]] = marker_rows(probe.component, probe.taxonomy)
    return [dict(extractor.find(markers)) for markers in rows]


FITTED_CHECKS = (
    fitted_needs_known_markers,
    state_is_json,
    fits_the_same_twice,
    finds_by_a_loaded_state,
    fitted_abstains_without_markers,
    fitted_leaves_its_input_alone,
)
