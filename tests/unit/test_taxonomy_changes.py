"""Marker types that plugins and a config change: values added, renamed and split, in any order; quarrels by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import marked, ok, plan_of, read_rows, sentence, ttm, write_rows
from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.guides import read_guides
from ttmarkers.components import ExtractorComponent, MarkerType, TaxonomyChange
from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, DataError, PluginError, TtmError
from ttmarkers.records import Found
from ttmarkers.taxonomies.changes import Sourced, change_type
from ttmarkers.taxonomies.sources import current_taxonomy, list_types
from ttmarkers.taxonomies.taxonomy import Taxonomy, check_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.protocols import Subject

DOMAIN = MarkerType("domain", "", "categorical", ("Science", "Law", "Sports"), {"legal": "Law", "sci": "Science"})


def change(source: str = "anna 1.0", **parts: Any) -> Sourced:
    """Return a change of ``domain`` by a distribution."""
    return Sourced(TaxonomyChange("it", "", "domain", **parts), source)


def made(*changes: Sourced) -> MarkerType:
    """Return ``domain`` as it is after changes."""
    return change_type(DOMAIN, changes, "ttmarkers 0.1")


def test_added_values_are_values() -> None:
    """A value that is added is checked and written like any other; two that add the same agree."""
    kind = made(change(add=("Robotics",), aliases={"robots": "Robotics"}), change("bert 2.0", add=("Robotics",)))
    assert kind.values == ("Science", "Law", "Sports", "Robotics")
    assert check_value(kind, "ROBOTS") == "Robotics"


def test_renamed_values_can_still_be_read() -> None:
    """The old spelling, and what was an alias of it, mean the new value, which stands where the old one stood."""
    kind = made(change(rename={"Law": "Justice"}))
    assert kind.values == ("Science", "Justice", "Sports")
    assert {check_value(kind, word) for word in ("Law", "legal", "LAW", "justice")} == {"Justice"}


def test_split_values_are_refused_with_their_parts() -> None:
    """What was split is no value any more, by none of its spellings, and the error says what to write."""
    kind = made(change(split={"Science": ("Biology", "Physics")}))
    assert kind.values == ("Biology", "Physics", "Law", "Sports")
    for old in ("Science", "SCIENCE", "sci"):
        with pytest.raises(DataError, match=r"it was split into Biology, Physics: say which of them, or annotate anew"):
            check_value(kind, old)
    assert Taxonomy.from_json(Taxonomy((kind,)).to_json()) == Taxonomy((kind,))


def test_a_change_that_the_owner_made_meanwhile_changes_nothing() -> None:
    """A plugin may go on renaming and splitting what the type's own plugin has renamed and split by now."""
    newer = made(change(rename={"Law": "Justice"}, split={"Science": ("Biology", "Physics")}))
    again = [change(rename={"Law": "Justice"}), change("bert 1.0", split={"Science": ("Physics", "Biology")})]
    assert change_type(newer, again, "ttmarkers 0.2") == newer


def test_case_alone_can_be_renamed_and_an_alias_become_the_name() -> None:
    """A new name may differ in case alone, or be what was an alias; an old value may become one that was there."""
    assert made(change(rename={"Law": "LAW"})).values == ("Science", "LAW", "Sports")
    assert "legal" not in made(change(rename={"Law": "legal"})).aliases
    merged = made(change(rename={"Sports": "Law"}))
    assert merged.values == ("Science", "Law")
    assert check_value(merged, "Sports") == "Law"


QUARRELS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], str]] = {
    "two new names": ({"rename": {"Law": "A"}}, {"rename": {"Law": "B"}}, r"renames it to 'A', and .* to 'B'"),
    "renamed and split": ({"rename": {"Law": "A"}}, {"split": {"Law": ("A", "B")}}, r"splits it into A, B"),
    "two splits": ({"split": {"Law": ("A", "B")}}, {"split": {"Law": ("A", "C")}}, r"splits it into A, C"),
    "one name for two": ({"rename": {"Law": "A"}}, {"rename": {"Sports": "A"}}, r"renames 'Sports' to it"),
    "new name is another's value": ({"rename": {"Law": "A"}}, {"add": ("A",)}, r"has it as a value"),
    "new name is another's part": ({"rename": {"Law": "A"}}, {"split": {"Sports": ("A", "B")}}, r"splits 'Sports'"),
    "new name is renamed": ({"rename": {"Law": "Sports"}}, {"rename": {"Sports": "B"}}, r"renames it to 'B'"),
    "part is renamed": ({"split": {"Law": ("Sports", "A")}}, {"rename": {"Sports": "B"}}, r"renames it to 'B'"),
    "spelt otherwise": ({"add": ("Robots",)}, {"add": ("robots",)}, r"writes 'Robots', and .* 'robots'"),
    "alias of two": ({"aliases": {"x": "Law"}}, {"aliases": {"X": "Sports"}}, r"as an alias of 'Sports'"),
    "alias and value": ({"aliases": {"x": "Law"}}, {"add": ("X",)}, r"has it as a value"),
    "alias of what is split": ({"aliases": {"x": "Law"}}, {"split": {"Law": ("A", "B")}}, r"splits 'Law' into A, B"),
}


@pytest.mark.parametrize("name", QUARRELS)
def test_contradictions_name_both(name: str) -> None:
    """Two sources that contradict each other are refused, whoever is asked first, with the names of both."""
    first, other, said = QUARRELS[name]
    for changes in ([change(**first), change("bert 2.0", **other)], [change("bert 2.0", **other), change(**first)]):
        with pytest.raises(PluginError) as caught:
            made(*changes)
        assert "anna 1.0" in str(caught.value)
        assert "bert 2.0" in str(caught.value)
        assert "disable one with --no-plugin NAME" in str(caught.value)
    with pytest.raises(PluginError, match=said):
        made(change(**first), change("bert 2.0", **other))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"rename": {"Lwa": "A"}}, "anna 1.0 changes domain = 'Lwa', which is no value: did you mean 'Law'?"),
        ({"split": {"Lwa": ("A", "B")}}, "'Lwa', which is no value"),
        ({"aliases": {"x": "Lwa"}}, "has 'x' as an alias of 'Lwa', which is no value: did you mean 'Law'?"),
        ({"add": ("Legal",)}, "ttmarkers 0.1 has it as an alias of 'Law', and anna 1.0 has it as a value"),
        ({"aliases": {"sci": "Law"}}, "ttmarkers 0.1 has it as an alias of 'Science', and anna 1.0"),
    ],
    ids=["rename", "split", "alias", "value is an alias", "alias is another's"],
)
def test_changes_that_do_not_fit(parts: Mapping[str, Any], said: str) -> None:
    """A change of what is not there, or against the type itself, is refused in one sentence."""
    with pytest.raises(ConfigError) as caught:
        made(change(**parts))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "adds, renames and splits nothing"),
        ({"add": ("",)}, "none is empty"),
        ({"add": "Robotics"}, "as a list, not as one text"),
        ({"add": (1,)}, "values are texts"),
        ({"split": {"Law": ("A",)}}, "two values or more"),
        ({"split": {"Law": ("Law", "A")}}, "may not have its name"),
        ({"rename": {"Law": "Law"}}, "renamed to itself"),
        ({"rename": {"Law": "A"}, "split": {"Law": ("A", "B")}}, "or split as well"),
    ],
)
def test_a_change_that_makes_no_sense_is_not_made(parts: Mapping[str, Any], said: str) -> None:
    """What a change could never do is told when it is written down."""
    with pytest.raises(ValueError, match=said):
        change(**parts)


WORDS = st.sampled_from(["Science", "Law", "Sports", "A", "B", "a", "legal"])
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "add": st.lists(WORDS, max_size=2).map(tuple),
        "aliases": st.dictionaries(WORDS, WORDS, max_size=1),
        "rename": st.dictionaries(WORDS, WORDS, max_size=2),
        "split": st.dictionaries(WORDS, st.lists(WORDS, min_size=2, max_size=2).map(tuple), max_size=1),
    },
)


def _outcome(changes: Sequence[Sourced]) -> object:
    ordered = sorted(changes, key=lambda each: (each.source, each.change.name))
    try:
        kind = made(*ordered)
    except TtmError as error:
        return type(error)
    folded = [spelling.casefold() for spelling in (*kind.values, *kind.aliases)]
    assert len(folded) == len(set(folded))  # no spelling has two meanings
    for value in kind.values:
        assert check_value(kind, value) == value
    for alias, value in kind.aliases.items():
        assert check_value(kind, alias) == value
    for old, parts in kind.split.items():
        assert set(parts) <= set(kind.values)
        with pytest.raises(DataError):
            check_value(kind, old)
    for value in DOMAIN.values:  # nothing is lost: an old value is read, or the error says what became of it
        assert value in kind.split or check_value(kind, value) in kind.values
    return kind


@given(st.lists(st.tuples(st.sampled_from(["anna 1", "bert 1", "cleo 1"]), PARTS), max_size=3), st.randoms())
def test_any_changes_in_any_order(drawn: list[tuple[str, dict[str, Any]]], random: Any) -> None:
    """Changes come to the same taxonomy, or are refused, in whatever order plugins yield them."""
    changes = []
    for place, (source, parts) in enumerate(drawn):
        try:
            changes.append(Sourced(TaxonomyChange(str(place), "", "domain", **parts), source))
        except ValueError:
            continue
    outcome = _outcome(changes)
    random.shuffle(changes)
    assert _outcome(changes) == outcome


class Says:
    """An extractor that always says the same."""

    def __init__(self, value: str) -> None:
        self._value = value

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return it for each row."""
        return [{"domain": Found(self._value, 1.0, ("Law", "Science"))} for _ in batch]


def test_extractors_that_say_old_words() -> None:
    """A renamed word is translated; one that was split does not count, and the next extractor is asked."""
    kind = made(change(rename={"Law": "Justice"}, split={"Science": ("Biology", "Physics")}))
    said = {"old": "Science", "older": "Law"}
    components = [
        ExtractorComponent(name, "", lambda value=value: Says(value), markers=("domain",))
        for name, value in said.items()
    ]
    rows = marked([{"id": "1", "prompt": "x", "completion": "y", "markers": {}}])
    from ttmarkers.records import Example

    examples = [Example(row.id, row.prompt, row.completion, {}, row.origin) for row in rows]
    (row,) = Extraction(plan_of(Taxonomy((kind,)), components)).run(examples)
    assert row.error is None
    assert row.markers == {"domain": "Justice"}
    assert row.meta["domain"] == {"confidence": 1.0, "source": "extractor:older", "others": ["Law"]}


def test_guides_follow_a_new_name() -> None:
    """What a guide says of a value holds of its new name."""
    from ttmarkers.components import GuideComponent

    guide = GuideComponent("g", "", "markers: {domain: {values: {Law: {definition: Courts.}}}}")
    kind = made(change(rename={"Law": "Justice"}))
    assert read_guides([guide], [], Taxonomy((kind,)))["domain"].values["Justice"].definition == "Courts."


CONFIG = {
    "domain": {"add": ["Robotics"], "rename": {"Legal": "Justice"}, "aliases": {"robots": "Robotics"}},
    "mood": {"values": ["happy", "sad"], "aliases": {":-)": "happy"}, "summary": "How it feels."},
    "stars": {"kind": "int", "minimum": 1, "unit": "stars"},
}


def _taxonomy(plugins: Plugins, types: Mapping[str, Any]) -> Taxonomy:
    return current_taxonomy(plugins, make_config({"markers": {"types": types}}).markers)


def test_a_config_changes_and_defines_types(plugins: Plugins) -> None:
    """A config adds values and whole types; its types come after the paper's, by name."""
    taxonomy = _taxonomy(plugins, CONFIG)
    assert taxonomy.names[-2:] == ("mood", "stars")
    checked = taxonomy.check({"stars": "3", "mood": ":-)", "domain": "Legal"})
    assert checked == {"domain": "Justice", "mood": "happy", "stars": 3}
    with pytest.raises(DataError, match="least value is 1"):
        taxonomy.check({"stars": 0})


def test_profile_leaves_out_a_value_by_any_name(plugins: Plugins) -> None:
    """``paper-strict`` has no Finance, whatever it is called."""
    types = {"domain": {"rename": {"Finance": "Money"}}}
    config = make_config({"markers": {"taxonomy": "paper-strict", "types": types}})
    assert "Money" not in current_taxonomy(plugins, config.markers).get("domain").values


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ({"domian": {"add": ["A"]}}, "the marker 'domian', which does not exist: did you mean 'domain'?"),
        ({"domain": {"values": ["A"]}}, "markers.types.domain.values: the marker 'domain' exists already"),
        ({"domain": {"kind": "int"}}, "markers.types.domain.kind: the marker 'domain' exists already"),
        ({"mood": {"values": ["A"], "add": ["B"]}}, "markers.types.mood.add: 'mood' is a new marker type"),
        ({"mood": {"values": ["A"], "aliases": {"b": "B"}}}, "markers.types.mood.aliases: 'b' stands for 'B'"),
        ({"mood": {"kind": "categorical"}}, "markers.types.mood: marker type 'mood': categorical types have values"),
        ({"my mood": {"values": ["A"]}}, "letters, digits and underscores only"),
        ({"domain": {"minimum": 1, "add": ["A"]}}, "markers.types.domain.minimum: only a new marker type has it"),
        ({"domain": {}}, "markers.types.domain: change 'domain' of marker 'domain': it adds, renames and splits"),
        ({"length_tokens": {"add": ["A"]}}, "markers.types.length_tokens of the config changes the values of marker"),
        ({"domain": {"split": {"Legal": ["A", "B"]}, "rename": {"Culture": "A"}, "add": ["a"]}}, "mend markers.types"),
    ],
)
def test_wrong_types_in_a_config(plugins: Plugins, types: Mapping[str, Any], said: str) -> None:
    """What is wrong is told with the config's key."""
    with pytest.raises(ConfigError) as caught:
        _taxonomy(plugins, types)
    assert said in str(caught.value)


def test_unknown_keys_are_named() -> None:
    """A misspelt key of a type is an error that names it."""
    with pytest.raises(ConfigError, match=r"'markers\.types\.domain\.ad'.*did you mean '.*add'\?"):
        make_config({"markers": {"types": {"domain": {"ad": ["A"]}}}})


def test_listing_shows_a_quarrel(plugins: Plugins) -> None:
    """A listing does not fail over a change that cannot be made: it shows the type as it is, and says what is wrong."""
    config = make_config({"markers": {"types": {"domain": {"rename": {"Legl": "A"}}, "nothing": {"add": ["B"]}}}})
    listed, faults = list_types(plugins, config.markers)
    (domain,) = [each for each in listed if each.kind.name == "domain"]
    assert "Legal" in domain.kind.values
    assert ["'Legl'" in faults[0], "'nothing'" in faults[1]] == [True, True]


def test_commands_use_the_config(tmp_path: Path) -> None:
    """Annotating, listing, counting and checking go by the config's taxonomy; old annotated files are read."""
    config = tmp_path / "c.yaml"
    config.write_text(
        "markers:\n  types:\n"
        "    domain: {add: [Robotics], rename: {Legal: Justice}, split: {Sciences: [Biology, Physics]}}\n"
        "    mood: {values: [happy, sad]}\n"
        "  use: [domain, mood]\n  declared: {domain: {column: d}, mood: {constant: happy}}\n",
        encoding="utf-8",
    )
    text = {"prompt": "Hi", "completion": "Ho"}
    rows = write_rows(tmp_path / "rows.jsonl", [{**text, "d": word} for word in ("Robotics", "Legal", "Physics")])
    out = tmp_path / "out.jsonl"
    ok(ttm("-c", config, "annotate", rows, "-o", out))
    assert [row["markers"]["domain"] for row in read_rows(out)] == ["Robotics", "Justice", "Physics"]
    assert {row["markers"]["mood"] for row in read_rows(out)} == {"happy"}
    shown = ok(ttm("-c", config, "markers", "show", "domain")).out
    assert (
        "changed: markers.types.domain of the config adds Robotics; renames Legal to Justice; splits Sciences" in shown
    )
    listed = ok(ttm("-c", config, "markers", "list", "--json")).json()
    (domain,) = [entry for entry in listed if entry["name"] == "domain"]
    assert domain["changes"][0]["rename"] == {"Legal": "Justice"}
    assert domain["split"] == {"Sciences": ["Biology", "Physics"]}
    assert "mood" in [entry["name"] for entry in listed]
    assert ok(ttm("-c", config, "stats", out, "--json")).json()["rows"] == 3
    old = write_rows(tmp_path / "old.jsonl", [{**text, "markers": {"domain": "Sciences"}}])
    done = ttm("-c", config, "stats", old)
    assert done.code == 1
    assert "old.jsonl, row 1: domain = 'Sciences' is no value any more: it was split into Biology" in sentence(done.err)
    found = ttm("-c", config, "lint", old, "--no-lengths", "--json").json()["findings"]
    assert "split into Biology, Physics" in found[0]["message"]
    unchanged = ttm("markers", "list", "--markdown").out
    assert "Robotics" not in unchanged
