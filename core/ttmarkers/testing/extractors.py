"""Checks of extractors, of all kinds that there are: plain, fitted, guided and paid ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import DataError, TtmError
from ttmarkers.plugins.registry import build
from ttmarkers.protocols import Extractor, FittedExtractor, GuidedExtractor, PaidExtractor
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold, short, told
from ttmarkers.testing.extractors_fitted import FITTED_CHECKS
from ttmarkers.testing.extractors_paid import GUIDED_CHECKS, PAID_CHECKS
from ttmarkers.testing.findings import Probe, alike, check_found, same
from ttmarkers.testing.made_up import plugins_with, taxonomy_of
from ttmarkers.testing.rows import ROWS, blank_rows, copies, rows_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.annotation.extraction import Row
    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.testing.findings import Result

READS = ("prompt", "completion", "columns", "markers")
SPLITS = (1, 3)


def check_extractor(
    component: ExtractorComponent,
    rows: Iterable[Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    markers: Sequence[str] = (),
    types: Iterable[MarkerType] = (),
    plugins: Plugins | None = None,
) -> None:
    """Check an extractor: that it abstains, is deterministic, is the same in any batch, and finds what it declares.

    Args:
        component: what the hook yields.
        rows: what it is tried on beside the package's own `ROWS`, as files hold rows, or examples; it must find
            something in them. A row's ``markers`` are those that were found before.
        options: arguments of its factory, where it cannot do without (a model, a server that stands in).
        markers: those that an extractor which finds any marker is asked for; two categories by default.
        types: marker types that no installed plugin offers.
        plugins: where all other marker types come from; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example::

        def test_mood():
            check_extractor(MOOD, [{"prompt": "Well?", "completion": "Fine :-)"}])
    """
    plugins = plugins or plugins_with(*types)
    probe = Probe(component, dict(options or {}), taxonomy_of(plugins), plugins, tuple(markers))
    what = f"extractor {component.name!r}"
    hold(what, probe, BUILD_CHECKS)
    if component.guided:
        hold(what, probe, GUIDED_CHECKS)
    if component.fits:
        hold(what, probe, FITTED_CHECKS)
        return
    hold(what, probe, [needs_known_markers])
    own = rows_for(component, probe.taxonomy, rows or ())
    probe.rows, probe.own = [*own, *rows_for(component, probe.taxonomy, ROWS)], len(own)
    hold(what, probe, CHECKS)
    if isinstance(probe.extractor, PaidExtractor):
        hold(what, probe, PAID_CHECKS)


def is_made_without_options(probe: Probe) -> None:
    """The config may name it and no more; where an option is needed, it says so."""
    try:
        made = build(probe.component)
    except TtmError as error:
        if not probe.options:
            raise Breach(
                f"it cannot be made without options ({error}): give every argument of the factory a default, or try it "
                "with options="
            ) from error
        made = build(probe.component, probe.options)
    wanted = FittedExtractor if probe.component.fits else Extractor
    if not isinstance(made, wanted):
        methods = "observe, fit, load and find" if probe.component.fits else "extract"
        raise Breach(f"what its factory makes ({type(made).__name__}) lacks {methods}: add it")


def says_what_it_is(probe: Probe) -> None:
    """What is declared is what the framework goes by."""
    component = probe.component
    made = build(component, probe.options)
    for place in component.reads:
        if place not in READS:
            raise Breach(f"it reads {place!r}, which there is not: use {', '.join(READS)}")
    if component.guided and not isinstance(made, GuidedExtractor):
        raise Breach("it is guided and has no method prepare, by which it is told of markers: add it")
    if not component.fits and isinstance(made, FittedExtractor) and not isinstance(made, Extractor):
        raise Breach("it is fitted on all rows: declare fits=True")


def finds_known_markers(probe: Probe) -> None:
    """What it declares to find, there is."""
    for name in probe.component.markers:
        if name not in probe.taxonomy:
            raise Breach(f"it declares the marker {name!r}, which no plugin offers: yield its type, or give types=")


def needs_known_markers(probe: Probe) -> None:
    """What it declares to need, there is."""
    for name in probe.component.needs:
        if name not in probe.taxonomy:
            raise Breach(f"it needs the marker {name!r}, which no plugin offers: yield its type, or give types=")


def answers_every_row(probe: Probe) -> None:
    """No row of any kind stops it."""
    for row in probe.fresh():
        try:
            probe.extractor.extract([row])
        except Exception as error:
            raise Breach(
                f"it raises {told(error)} for {_named(row)}: return a DataError in the row's place, or nothing"
            ) from error


def gives_one_result_for_each_row(probe: Probe) -> None:
    """As many results as rows, each a mapping or an error; none for none."""
    rows = probe.fresh()
    for batch in (rows, rows[:1], []):
        found = probe.extractor.extract(batch)
        if not isinstance(found, Sequence):
            raise Breach(f"it returns {type(found).__name__}, not a list: return one result for each row, in order")
        if len(found) != len(batch):
            raise Breach(f"it gives {len(found)} results for {len(batch)} rows: return one for each, in order")
        for row, result in zip(batch, found, strict=True):
            if not isinstance(result, Mapping | DataError):
                raise Breach(
                    f"it gives {short(result)} for {_named(row)}: return a mapping of markers to Found, or a DataError"
                )


def finds_only_what_it_declares(probe: Probe) -> None:
    """Markers that are not declared, or not asked for, are thrown away."""
    told_of = isinstance(probe.extractor, GuidedExtractor)
    declared = probe.wanted if told_of or probe.component.markers else probe.taxonomy.names
    for row, result in probe.results():
        for name in _markers(result):
            if name not in declared:
                raise Breach(
                    f"it finds {name!r} in {_named(row)}, which it is not asked for ({', '.join(declared[:6])}): "
                    "declare it in markers, or leave it out"
                )


def finds_values_that_the_type_holds(probe: Probe) -> None:
    """A value that the marker type cannot hold makes the row a bad one; a confidence lies between 0 and 1."""
    for row, result in probe.results():
        for name, found in _markers(result).items():
            check_found(probe.taxonomy, name, found, _named(row))


def finds_something(probe: Probe) -> None:
    """Rows of the author's own show what it can find; without them the other checks say little."""
    if probe.own and not any(_markers(result) for _, result in probe.results()[: probe.own]):
        raise Breach("it finds nothing in any of the given rows: give rows= that show its markers")


def abstains_on_an_empty_text(probe: Probe) -> None:
    """Where there is nothing to read nothing is found, but for a count of nothing."""
    for row in blank_rows(probe.component):
        (result,) = probe.extractor.extract([row])
        for name, found in _markers(result).items():
            count = probe.taxonomy.get(name).kind == "int" and found.value == 0
            if not count:
                raise Breach(
                    f"it finds {name} = {found.value!r} in an empty text, which is a guess: leave the marker out there"
                )


def is_deterministic(probe: Probe) -> None:
    """The same rows give the same markers, in another process too."""
    first = probe.extractor.extract(probe.fresh())
    for extractor, when in ((probe.extractor, "asked twice"), (probe.make(), "made anew")):
        for row, before, now in zip(probe.rows, first, extractor.extract(probe.fresh()), strict=True):
            if not same(before, now):
                raise Breach(
                    f"{when} it gives {short(_plain(now))} for {_named(row)}, and {short(_plain(before))} before: "
                    "let nothing depend on chance, time or earlier rows"
                )


def finds_in_batches_what_it_finds_in_single_rows(probe: Probe) -> None:
    """Rows come in batches of any size and order."""
    alone = [result for _, result in probe.results()]
    places = list(range(len(alone)))
    for order in (places, places[::-1]):
        for size in (*SPLITS, len(places)):
            for start in range(0, len(order), size):
                part = order[start : start + size]
                batch = copies([probe.rows[place] for place in part])
                for place, found in zip(part, probe.extractor.extract(batch), strict=True):
                    if not alike(probe.taxonomy, alone[place], found):
                        raise Breach(
                            f"in a batch of {len(part)} rows it gives {short(_plain(found))} for "
                            f"{_named(probe.rows[place])}, and {short(_plain(alone[place]))} otherwise: "
                            "look at each row by itself"
                        )


def leaves_its_input_alone(probe: Probe) -> None:
    """Other extractors see the same rows after it."""
    rows = probe.fresh()
    batch = list(rows)
    probe.extractor.extract(batch)
    if len(batch) != len(rows) or any(one is not other for one, other in zip(batch, rows, strict=True)):
        raise Breach("it changes the list of rows that it is given: work on a copy")
    for before, after in zip(probe.rows, rows, strict=True):
        if (before.example, before.markers) != (after.example, after.markers):
            raise Breach(f"it changes {_named(before)}, its columns or markers: work on a copy")


def _named(row: Row) -> str:
    return f"{row.example.origin} ({short(row.example.completion, 40)})"


def _markers(result: Result) -> Mapping[str, Any]:
    return {} if isinstance(result, DataError) else result


def _plain(result: Result) -> object:
    return str(result) if isinstance(result, DataError) else {name: found.value for name, found in result.items()}


BUILD_CHECKS = (has_a_name_and_a_summary, is_made_without_options, says_what_it_is, finds_known_markers)
CHECKS = (
    answers_every_row,
    gives_one_result_for_each_row,
    finds_only_what_it_declares,
    finds_values_that_the_type_holds,
    finds_something,
    abstains_on_an_empty_text,
    is_deterministic,
    finds_in_batches_what_it_finds_in_single_rows,
    leaves_its_input_alone,
)
