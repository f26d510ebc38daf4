"""Which extractors are asked, in which order, and what they find; the data set's own word comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import plan_of
from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.plan import Plan, make_plan
from ttmarkers.components import ExtractorComponent, MarkerType
from ttmarkers.config import make_config
from ttmarkers.datasets import to_example
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Found, Origin
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.annotation.extraction import Row
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.protocols import Subject

ABC = Taxonomy(tuple(MarkerType(name, "", "categorical", ("x", "y", "z")) for name in ("a", "b", "c")))


class Says:
    """An extractor that gives fixed values, abstains where the prompt says so, and fails on the word ``boom``."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
        """Return the values for each example."""
        if any("boom" in subject.example.instruction for subject in batch):
            raise RuntimeError("it went boom")
        return [
            {} if "abstain" in subject.example.instruction else {k: Found(v, 0.75) for k, v in self._values.items()}
            for subject in batch
        ]


class Copies:
    """An extractor that sets ``b`` to what stands in ``a``."""

    def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
        """Return the value of ``a`` where there is one."""
        return [{"b": Found(subject.markers["a"])} if "a" in subject.markers else {} for subject in batch]


def component(name: str, marker: str, **options: Any) -> ExtractorComponent:
    """Return an extractor that says its marker is ``x``."""
    options = {"markers": (marker,), "factory": lambda: Says(**{marker: "x"}), **options}
    return ExtractorComponent(name, "", **options)


def run(plan: Plan, *rows: Mapping[str, Any]) -> list[Row]:
    """Find the markers of rows, each given by its prompt and further columns."""
    examples = [
        to_example({"prompt": "Why?", "completion": "Because.", **row}, Origin("f", number))
        for number, row in enumerate(rows, 1)
    ]
    return Extraction(plan).run(examples)


ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("English", "The quick brown fox jumps over the lazy dog. It barks!", {"length_tokens": 13, "length_sentences": 2}),
    ("French", "Le renard brun saute.\n\nIl n'aime pas l'eau froide.", {"length_tokens": 14, "length_paragraphs": 2}),
    ("German", "Der schnelle braune Fuchs springt über den faulen Hund.", {"length_tokens": 10, "length_sentences": 1}),
    ("Russian", "Съешь же ещё этих мягких французских булок.", {"length_tokens": 8, "length_sentences": 1}),
    ("Chinese", "今天天气很好，我们去公园吧。", {"length_tokens": 14, "length_bucket": "concise"}),
    ("Japanese", "今日はとても天気がいいです。公園に行きましょう。", {"length_sentences": 2, "length_paragraphs": 1}),
    ("Arabic", "الطقس جميل اليوم في المدينة.", {"length_sentences": 1, "length_paragraphs": 1}),
    ("Korean", "오늘은 날씨가 아주 좋습니다.", {"length_paragraphs": 1, "length_bucket": "concise"}),
    ("Vietnamese", "Hôm nay thời tiết rất đẹp.", {"length_tokens": 5, "length_sentences": 1}),
    ("Hindi", "आज मौसम बहुत अच्छा है।", {"length_paragraphs": 1}),
]


def test_built_ins_in_several_languages(plugins: Plugins, taxonomy: Taxonomy) -> None:
    """Language and lengths are found on short answers in ten languages, each counted by its own tokenizer."""
    plan = make_plan(taxonomy, make_config({}).markers, plugins.extractors())
    found = run(plan, *({"completion": text} for _, text, _ in ROWS))
    for (language, _, markers), row in zip(ROWS, found, strict=True):
        assert row.error is None
        assert row.markers["lang"] == language
        assert {name: row.markers[name] for name in markers} == markers
        assert list(row.markers) == [name for name in taxonomy.names if name in row.markers]
        assert 0.5 <= row.meta["lang"]["confidence"] <= 1
        assert row.meta["lang"]["source"] == "extractor:langid"
        assert row.meta["length_tokens"] == {"confidence": 1.0, "source": "extractor:spacy-length"}


def test_language_abstains(plugins: Plugins, taxonomy: Taxonomy) -> None:
    """Numbers, code and signs have no language; their lengths are counted all the same."""
    plan = make_plan(taxonomy, make_config({}).markers, plugins.extractors())
    for row in run(
        plan, {"completion": "42"}, {"completion": "```python\nprint('hello world')\n```"}, {"completion": "!?"}
    ):
        assert "lang" not in row.markers
        assert row.markers["length_tokens"]


def test_declared_words() -> None:
    """A column, a mapped column and a constant are the data set's own word; null and empty cells say nothing."""
    words = {
        "a": {"column": "said"},
        "b": {"column": "code", "values": {"1": "y", "2": "z", "?": None}},
        "c": {"constant": "z"},
    }
    plan = plan_of(ABC, [component("ea", "a"), component("eb", "b"), component("ec", "c")], {"declared": words})
    rows = [{"said": "y", "code": 1}, {"said": None, "code": "?"}, {"said": "", "code": "2"}]
    found = run(plan, *rows)
    assert [row.markers for row in found] == [
        {"a": "y", "b": "y", "c": "z"},
        {"a": "x", "b": "x", "c": "z"},
        {"a": "x", "b": "z", "c": "z"},
    ]
    assert [row.meta["b"]["source"] for row in found] == ["declared:code", "extractor:eb", "declared:code"]
    assert found[0].meta["a"] == {"confidence": 1.0, "source": "declared:said"}
    assert found[0].meta["c"] == {"confidence": 1.0, "source": "declared:constant"}
    assert found[1].meta["a"] == {"confidence": 0.75, "source": "extractor:ea"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"code": "3"}, "column 'code' holds '3', which markers.declared.a.values does not map: add it, with null"),
        ({}, "there is no column 'code', which markers.declared.a names"),
        ({"code": "2"}, "a = 'q' is not in the taxonomy"),
    ],
)
def test_declared_words_that_do_not_fit(row: dict[str, Any], message: str) -> None:
    """A value that is not mapped, a missing column and a value outside the taxonomy are named with their row."""
    plan = plan_of(ABC, [], {"declared": {"a": {"column": "code", "values": {"1": "x", "2": "q"}}}})
    good, bad = run(plan, {"code": 1}, row)
    assert (good.markers, good.error) == ({"a": "x"}, None)
    assert isinstance(bad.error, DataError)
    assert "f, row 2" in str(bad.error)
    assert message in str(bad.error)


def test_rows_that_carry_markers() -> None:
    """Markers of an earlier annotation stay, with what is known of them; only the missing ones are looked for."""
    plan = plan_of(ABC, [component("ea", "a"), component("eb", "b")])
    meta = {"a": {"confidence": 0.5, "source": "extractor:old"}}
    rows = [{"markers": {"a": "z", "b": None}, "markers_meta": meta}, {"markers": {"a": "Y"}}, {"markers": None}]
    found = run(plan, *rows)
    assert [row.markers for row in found] == [{"a": "z", "b": "x"}, {"a": "y", "b": "x"}, {"a": "x", "b": "x"}]
    assert found[0].meta["a"] == meta["a"]
    assert found[1].meta["a"] == {"confidence": 1.0, "source": "column:markers"}


@pytest.mark.parametrize(
    "row", [{"markers": {"mood": "x"}}, {"markers": {"a": "q"}}, {"markers": {"a": "x"}, "markers_meta": "x"}]
)
def test_carried_markers_that_do_not_fit(row: dict[str, Any]) -> None:
    """A row that carries an unknown marker or value, or no readable notes on it, is a bad row and not a bad command."""
    bad, good = run(plan_of(ABC, [component("eb", "b")]), row, {})
    assert isinstance(bad.error, DataError)
    assert "f, row 1" in str(bad.error)
    assert (good.error, good.markers) == (None, {"b": "x"})


def test_extractors_are_asked_in_turn() -> None:
    """The config's order holds: the second is asked only where the first abstains."""
    first = component("first", "a")
    second = component("second", "a", factory=lambda: Says(a="y"))
    abstains = component("abstains", "a", factory=Says)
    plan = plan_of(ABC, [first, second, abstains], {"use": ["a"], "extractors": {"a": ["abstains", "second", "first"]}})
    assert [step.component.name for step in plan.steps] == ["abstains", "second", "first"]
    assert plan.sources()["a"] == ["abstains", "second", "first"]
    (row,) = run(plan, {})
    assert (row.markers, row.meta["a"]["source"]) == ({"a": "y"}, "extractor:second")


def test_plan_follows_needs() -> None:
    """An extractor runs after what it needs, also where the needed marker is not written itself."""
    copies = ExtractorComponent("a-copies", "", Copies, markers=("b",), needs=("a",))
    says, unused = component("z-says", "a"), component("unused", "c")
    plan = plan_of(ABC, [copies, says, unused], {"use": ["b"]})
    assert [step.component.name for step in plan.steps] == ["z-says", "a-copies"]
    assert (plan.wanted, plan.sources()["b"]) == (("b",), ["a-copies"])
    assert run(plan, {})[0].markers["b"] == "x"


def test_only_default_extractors_are_asked() -> None:
    """An extractor that is no default is asked only where the config names it."""
    shy = component("shy", "a", default=False)
    assert not plan_of(ABC, [shy]).steps
    assert [step.component.name for step in plan_of(ABC, [shy], {"extractors": {"a": ["shy"]}}).steps] == ["shy"]
    assert not plan_of(ABC, [component("eager", "a")], {"extractors": {"a": []}}).steps


def test_circle_of_needs() -> None:
    """Extractors that wait for each other are named, with the key to mend."""
    one, two = component("one", "a", needs=("b",)), component("two", "b", needs=("a",))
    with pytest.raises(ConfigError) as caught:
        plan_of(ABC, [one, two])
    assert "extractors wait for each other: " in str(caught.value)
    assert "one" in str(caught.value)
    assert "two" in str(caught.value)
    assert "mend their order in markers.extractors" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extractors": {"a": ["on"]}}, r"unknown extractor 'on' \(markers.extractors.a\): did you mean 'one'"),
        ({"extractors": {"b": ["one"]}}, "markers.extractors.b: extractor 'one' finds a, not b"),
        ({"extractors": {"d": ["one"]}}, r"unknown marker 'd' \(markers.extractors\)"),
        ({"declared": {"d": {"constant": "x"}}}, r"unknown marker 'd' \(markers.declared\)"),
        ({"options": {"two": {}}}, r"unknown extractor 'two' \(markers.options\)"),
    ],
)
def test_names_that_do_not_exist(settings: dict[str, Any], message: str) -> None:
    """A wrong name in the config is shown with the key that it stands under."""
    with pytest.raises(ConfigError, match=message) as caught:
        plan_of(ABC, [component("one", "a")], settings)
    assert caught.value.exit_code == 2


def test_options_that_do_not_fit() -> None:
    """An option that an extractor does not take is named with its config key."""
    plan = plan_of(ABC, [ExtractorComponent("copies", "", Copies, markers=("b",))], {"options": {"copies": {"n": 1}}})
    with pytest.raises(ConfigError, match=r"options of markers\.options\.copies do not fit 'copies': .*no arguments"):
        Extraction(plan)
    with pytest.raises(ConfigError, match="extractor 'dict' has no method extract"):
        Extraction(plan_of(ABC, [component("dict", "a", factory=dict)]))


def test_wrong_number_of_results() -> None:
    """An extractor that does not answer for every row is refused by name."""

    class Short:
        def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
            return [{} for _ in batch[1:]]

    with pytest.raises(ConfigError, match="extractor 'short' gave 1 results for 2 rows"):
        run(plan_of(ABC, [component("short", "a", factory=Short)]), {}, {})


def test_one_row_spoils_no_other() -> None:
    """An extractor that fails on a batch is asked row by row: the row that it fails on is named, the others go on."""
    found = run(plan_of(ABC, [component("ea", "a")]), {}, {"prompt": "boom"}, {"prompt": "abstain"})
    assert [row.markers for row in found] == [{"a": "x"}, {}, {}]
    assert [bool(row.error) for row in found] == [False, True, False]
    assert str(found[1].error).startswith("f, row 2: extractor 'ea' failed (RuntimeError: it went boom): mend it")


def test_value_outside_the_taxonomy() -> None:
    """A value that the taxonomy does not hold is the fault of one row, which is named with the extractor."""

    class Odd:
        def extract(self, batch: Sequence[Subject]) -> Sequence[Mapping[str, Found]]:
            return [{"a": Found("q" if "odd" in subject.example.instruction else "x")} for subject in batch]

    good, bad = run(plan_of(ABC, [component("odd", "a", factory=Odd)]), {}, {"prompt": "odd"})
    assert (good.markers, good.error) == ({"a": "x"}, None)
    assert isinstance(bad.error, DataError)
    for part in ("f, row 2", "extractor 'odd'", "a = 'q' is not in the taxonomy"):
        assert part in str(bad.error)
