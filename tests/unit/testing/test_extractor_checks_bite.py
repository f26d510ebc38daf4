"""Broken extractors: each check finds what it is there for."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING, Any

import pytest

from biting import Bite, all_bitten, bites, fails
from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.errors import DataError
from ttmarkers.records import Found, Spending
from ttmarkers.testing import check_extractor, extractors, extractors_fitted, extractors_paid, plugins_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ttmarkers.plugins.manager import Plugins

GLAD = {"prompt": "Well?", "completion": "Fine :-)"}


@pytest.fixture(scope="module")
def known() -> Plugins:
    """The built-ins, a category, a count and a score."""
    types = (
        MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"), {":-)": "happy"}),
        MarkerType("smiles", "How many.", "int", minimum=0),
        MarkerType("warmth", "How much.", "float"),
    )
    return plugins_with(*types, installed=False)


class Mood:
    """A sound extractor, which the broken ones are made of."""

    def extract(self, batch: Sequence[Any]) -> Any:
        """Find smiles."""
        return [self.one(subject) for subject in batch]

    def one(self, subject: Any) -> Any:
        """Find those of one row."""
        smiles = subject.example.completion.count(":-)")
        return {"mood": Found("happy"), "smiles": Found(smiles)} if smiles else {"smiles": Found(0)}


def finding(one: Callable[[Any], Any]) -> type[Mood]:
    """Return an extractor that finds in each row what a function says."""
    return type("Finding", (Mood,), {"one": lambda self, subject: one(subject)})


def extracting(extract: Callable[[Sequence[Any]], Any]) -> type[Mood]:
    """Return an extractor that makes of a batch what a function says."""
    return type("Extracting", (Mood,), {"extract": lambda self, batch: extract(batch)})


def component(factory: Any, **keys: Any) -> ExtractorComponent:
    """Return the component of an extractor."""
    return ExtractorComponent(
        **{"name": "mood", "summary": "Smiles.", "markers": ("mood", "smiles"), **keys}, factory=factory
    )


def glad(**others: Any) -> type[Mood]:
    """Return an extractor that finds something in rows that smile, and nothing in others."""
    return finding(lambda subject: others if ":-)" in subject.example.completion else {})


def changing(subject: Any) -> dict[str, Found]:
    """Note in the row's columns that it was seen."""
    subject.example.columns["seen"] = True
    return {}


def sorting(batch: list[Any]) -> list[dict[str, Found]]:
    """Sort the list that it is given."""
    batch.sort(key=lambda subject: len(subject.example.completion))
    return [{} for _ in batch]


def by_the_first(batch: Sequence[Any]) -> list[dict[str, Found]]:
    """Find by the first row of a batch what is said of all."""
    return [{"smiles": Found(len(batch[0].example.completion))} if s.example.completion.strip() else {} for s in batch]


def failing(subject: Any) -> dict[str, Found]:
    """Fail where a text has no letters."""
    return {"smiles": Found(1)} if subject.example.completion[0].isalpha() else {}


COUNTER = itertools.count()


class Needing(Mood):
    """Needs an argument."""

    def __init__(self, model: str) -> None:
        self.model = model


class Told(Mood):
    """Is told of markers, and fails."""

    def prepare(self, briefing: Any) -> None:
        """Look for a guide that there is not."""
        raise KeyError("mood")


class Paid(Mood):
    """Costs something, and says so soundly."""

    def estimate(self, batch: Sequence[Any]) -> Any:
        """Count the rows."""
        return Spending(len(batch))


class Asking(Paid):
    """Asks a server what it would cost."""

    def estimate(self, batch: Sequence[Any]) -> Any:
        """Connect, and pass over that it fails."""
        with socket.socket() as sock:
            sock.connect_ex(("127.0.0.1", 9))
        return Spending(len(batch))


class Dear(Paid):
    """Would cost something for nothing."""

    def estimate(self, batch: Sequence[Any]) -> Any:
        """Count one more."""
        return Spending(len(batch) + 1)


EXTRACTORS = (
    Bite("has-a-name-and-a-summary", "no summary", component(Mood, summary="")),
    Bite("is-made-without-options", "cannot be made without options", component(Needing)),
    Bite("is-made-without-options", "cannot be loaded", component("no_such_module:Mood")),
    Bite("is-made-without-options", "lacks extract", component(object)),
    Bite("is-made-without-options", "lacks observe, fit, load and find", component(Mood, fits=True)),
    Bite("says-what-it-is", "it reads 'answer'", component(Mood, reads=("answer",))),
    Bite("says-what-it-is", "has no method prepare", component(Mood, guided=True)),
    Bite("finds-known-markers", "'moood', which no plugin offers", component(Mood, markers=("moood",))),
    Bite("needs-known-markers", "'lung', which no plugin offers", component(Mood, needs=("lung",))),
    Bite(
        "answers-every-row",
        "raises IndexError",
        component(finding(lambda s: {"smiles": Found(s.example.completion.split()[99])})),
    ),
    Bite("gives-one-result-for-each-row", "gives 1 results for", component(extracting(lambda batch: [{}]))),
    Bite(
        "gives-one-result-for-each-row", "returns generator", component(extracting(lambda batch: ({} for _ in batch)))
    ),
    Bite(
        "gives-one-result-for-each-row", "return a mapping", component(extracting(lambda batch: [None for _ in batch]))
    ),
    Bite("finds-only-what-it-declares", "finds 'lang' in", component(glad(lang=Found("French")))),
    Bite("finds-values-that-the-type-holds", "mood = 'glad' is not in", component(glad(mood=Found("glad")))),
    Bite("finds-values-that-the-type-holds", "is written 'happy'", component(glad(mood=Found(":-)")))),
    Bite("finds-values-that-the-type-holds", "use ttmarkers.records.Found", component(glad(mood="happy"))),
    Bite("finds-values-that-the-type-holds", "no plain number", component(glad(smiles=Found("1")))),
    Bite("finds-values-that-the-type-holds", "the least value is 0", component(glad(smiles=Found(-1)))),
    Bite("finds-values-that-the-type-holds", "confidence of 2", component(glad(mood=Found("happy", 2)))),
    Bite("finds-something", "finds nothing in any", component(finding(lambda subject: {}))),
    Bite(
        "abstains-on-an-empty-text",
        "mood = 'sad' in an empty text",
        component(finding(lambda subject: {"mood": Found("sad")})),
    ),
    Bite(
        "abstains-on-an-empty-text",
        "smiles = 1 in an empty text",
        component(finding(lambda subject: {"smiles": Found(len(subject.example.completion.split("\n")))})),
    ),
    Bite(
        "is-deterministic",
        "and {'smiles': ",
        component(finding(lambda s: {"smiles": Found(next(COUNTER))} if s.example.completion.strip() else {})),
    ),
    Bite(
        "finds-in-batches-what-it-finds-in-single-rows",
        "look at each row by itself",
        component(extracting(by_the_first)),
    ),
    Bite("leaves-its-input-alone", "its columns or markers", component(finding(changing)), {"rows": None}),
    Bite("leaves-its-input-alone", "the list of rows", component(extracting(sorting)), {"rows": None}),
    Bite(
        "is-told-of-its-markers",
        "raises KeyError ('mood') when it is told of mood, smiles",
        component(Told, guided=True),
    ),
    Bite("estimates-without-sending", "sends something to ('127.0.0.1', 9)", component(Asking)),
    Bite("estimates-numbers", "for 0 rows", component(Dear)),
)


@bites(EXTRACTORS)
def test_extractors(bite: Bite, known: Plugins) -> None:
    """What would spoil an annotation is found."""
    fails(bite, check_extractor, plugins=known, rows=[GLAD, {"prompt": "So?", "completion": "No\nwell\n"}])


def test_sound_ones_pass(known: Plugins) -> None:
    """What the broken ones were made of is sound; a row that cannot be read may be a `DataError`."""
    check_extractor(component(Mood), [GLAD], plugins=known)
    check_extractor(component(Paid), plugins=known)
    check_extractor(component(finding(lambda subject: DataError("it cannot be read"))), plugins=known)


class Warmest:
    """A sound fitted extractor: happy are those that are warmer than the mean."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.state: Mapping[str, Any] = {}

    def observe(self, markers: Mapping[str, Any]) -> None:
        """Take in warmth."""
        self.seen += [markers["warmth"]] if "warmth" in markers else []

    def fit(self) -> Any:
        """Return the mean."""
        return {"mean": sum(self.seen) / len(self.seen)} if self.seen else {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Use a mean."""
        self.state = state

    def find(self, markers: Mapping[str, Any]) -> Any:
        """Compare."""
        if "warmth" not in markers or not self.state:
            return {}
        return {"mood": Found("happy" if markers["warmth"] > self.state["mean"] else "sad")}


def fitted(**methods: Any) -> ExtractorComponent:
    """Return a fitted extractor of which some methods are others."""
    keys = {"markers": ("mood",), "needs": ("warmth",), "fits": True, "reads": ("markers",)}
    return component(type("Broken", (Warmest,), methods), **keys)


def remembering(self: Warmest, markers: Mapping[str, Any]) -> Any:
    """Compare with what was observed, which a loaded state does not hold."""
    return {"mood": Found("happy")} if self.seen and "warmth" in markers else {}


def changing_markers(self: Warmest, markers: Any) -> Any:
    """Note in the markers that they were seen."""
    markers["seen"] = 1
    return {}


FITTED = (
    Bite("fitted-needs-known-markers", "needs none", component(Warmest, fits=True)),
    Bite("fitted-needs-known-markers", "'warmt', which", component(Warmest, fits=True, needs=("warmt",))),
    Bite("state-is-json", "cannot be stored as JSON", fitted(fit=lambda self: {"seen": set(self.seen)})),
    Bite("state-is-json", "use texts as keys", fitted(fit=lambda self: {"cuts": (1, 2)})),
    Bite("fits-the-same-twice", "draw by a seed", fitted(fit=lambda self: {"mean": float(next(COUNTER))})),
    Bite(
        "fits-the-same-twice", "in another order", fitted(fit=lambda self: {"mean": self.seen[0] if self.seen else 0.0})
    ),
    Bite("finds-by-a-loaded-state", "finds 'lang'", fitted(find=lambda self, markers: {"lang": Found("French")})),
    Bite("finds-by-a-loaded-state", "mood = 'glad'", fitted(find=lambda self, markers: {"mood": Found("glad")})),
    Bite("finds-by-a-loaded-state", "keep all in the state", fitted(find=remembering)),
    Bite("fitted-abstains-without-markers", "is a guess", fitted(find=lambda self, markers: {"mood": Found("sad")})),
    Bite("fitted-leaves-its-input-alone", "changes the markers", fitted(observe=changing_markers)),
)


@bites(FITTED)
def test_fitted_extractors(bite: Bite, known: Plugins) -> None:
    """What would differ between data and model is found."""
    fails(bite, check_extractor, plugins=known)


def test_a_sound_fitted_one_passes(known: Plugins) -> None:
    """What the broken ones were made of is sound."""
    check_extractor(fitted(), plugins=known)


def test_every_check_bites() -> None:
    """No check is without an extractor above that it finds broken."""
    checks = (*extractors.BUILD_CHECKS, *extractors.CHECKS, extractors.needs_known_markers)
    all_bitten((*checks, *extractors_paid.GUIDED_CHECKS, *extractors_paid.PAID_CHECKS), EXTRACTORS)
    all_bitten(extractors_fitted.FITTED_CHECKS, FITTED)
