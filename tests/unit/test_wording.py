"""Users' words and a model's: what is asked reaches the model in its own, and what cannot be known is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttmarkers.checkpoints.checkpoint import Checkpoint, load_checkpoint
from ttmarkers.checkpoints.migration import describe, migrated
from ttmarkers.checkpoints.wording import Wording
from ttmarkers.components import MarkerType, TaxonomyChange
from ttmarkers.errors import CheckpointError, ConfigError, DataError, TtmError
from ttmarkers.evaluation.tail import make_tail
from ttmarkers.records import Generation
from ttmarkers.taxonomies.changes import Sourced, change_type
from ttmarkers.taxonomies.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins

DOMAIN = MarkerType("domain", "", "categorical", ("Science", "Law", "Sports"), {"legal": "Law"})
STARS = MarkerType("stars", "", "int", minimum=0)
MOOD = MarkerType("mood", "", "categorical", ("happy", "sad"))
OLD = Taxonomy((DOMAIN, STARS))
SOURCE = (
    "{% set before = ' ' %}{% set after = '\n' %}{% macro opening() %}({% endmacro %}"
    "{% macro marker(name, value) %}{{ name }}:{{ value }}|{% endmacro %}{% macro closing() %}){% endmacro %}"
)
COUNTS = {"domain": {"Science": 90, "Law": 9, "Sports": 1}, "stars": {"n": 100}}
MODEL = Checkpoint("sft", True, OLD, "terse", SOURCE, {}, 100, COUNTS)
CHANGED: Mapping[str, Any] = {
    "rename": {"Law": "Justice"},
    "split": {"Science": ("Biology", "Physics")},
    "add": ("Robotics",),
}


def today(**parts: Any) -> Taxonomy:
    """Return the taxonomy with changes of ``domain``, and a marker that is new."""
    kind = change_type(DOMAIN, [Sourced(TaxonomyChange("it", "", "domain", **parts), "anna 1.0")], "ttmarkers 0.1")
    return Taxonomy((kind, STARS, MOOD))


@pytest.fixture(scope="module")
def wording() -> Wording:
    """A value renamed, one split, one added, and a new marker."""
    return migrated(MODEL, today(**CHANGED)).wording


@pytest.mark.parametrize(
    ("asked", "word", "shown"),
    [
        ("Justice", "Law", "Justice"),
        ("Law", "Law", "Justice"),
        ("LEGAL", "Law", "Justice"),
        ("Biology", "Science", "Science"),
        ("physics", "Science", "Science"),
        ("Science", "Science", "Science"),
        ("Sports", "Sports", "Sports"),
    ],
)
def test_there_and_back(wording: Wording, asked: str, word: str, shown: str) -> None:
    """Users' words become the model's; what is read back depends on the model's word alone."""
    written = wording.to_model({"domain": asked, "stars": 3})
    assert written == {"domain": word, "stars": 3}
    assert wording.to_user(written) == {"domain": shown, "stars": 3}
    assert wording.view("domain", asked) == shown


@pytest.mark.parametrize(
    ("markers", "said"),
    [
        ({"domain": "Robotics"}, "-m: the model never saw domain = 'Robotics': no row of its training had it; train"),
        ({"mood": "sad"}, "-m: the model never saw the marker 'mood': no row of its training had it; train it further"),
        ({"domain": "Jstice"}, "-m: domain = 'Jstice' is not in the taxonomy: did you mean 'Justice'?"),
        ({"stars": -1}, "-m: stars = -1: the least value is 0"),
        ({"stasr": 1}, "unknown marker 'stasr' (-m): did you mean 'stars'?"),
    ],
)
def test_what_cannot_be_asked(wording: Wording, markers: Mapping[str, object], said: str) -> None:
    """What the model never saw is refused by that sentence, and what is misspelt by another."""
    with pytest.raises(TtmError) as caught:
        wording.check(markers, where="-m")
    assert str(caught.value).startswith(said)


def test_a_model_that_was_not_migrated_goes_by_its_own_taxonomy() -> None:
    """Without a migration nothing is translated, and the model's own words count."""
    plain = MODEL.wording
    assert plain.check({"stars": "2", "domain": "legal"}, where="-m") == {"domain": "Law", "stars": 2}
    assert plain.to_model({"domain": "anything"}) == plain.to_user({"domain": "anything"}) == {"domain": "anything"}
    assert plain.view("domain", "Justice") == "Justice"
    with pytest.raises(DataError):
        plain.check({"domain": "Justice"})


def test_leading_to_and_away_from_one_word(wording: Wording) -> None:
    """Two parts of one old value are one word to the model, so no answer can be led from one to the other."""
    assert wording.clash({"domain": "Biology"}, {"domain": "Physics"}) == "domain"
    assert wording.clash({"domain": "Biology"}, {"domain": "Justice"}) == ""


def test_counts_are_those_of_the_models_word() -> None:
    """A new name has the old one's rows, each part those of the whole; what the model never saw is rare."""
    tail = make_tail(migrated(MODEL, today(**CHANGED)), None)
    rare = {value: tail.rare("domain", value) for value in ("Justice", "Law", "Biology", "Sports", "Robotics")}
    assert rare == {"Justice": False, "Law": False, "Biology": False, "Sports": True, "Robotics": True}


def test_accuracy_compares_in_one_language(plugins: Plugins) -> None:
    """Rows with old words and with new ones are right alike, and any part of a value that was split is."""
    from ttmarkers.config import Config
    from ttmarkers.protocols import Setting
    from ttmarkers_plugins.tasks.markers import MarkersTask

    task = MarkersTask(markers=["domain"])
    task.prepare(Setting(Config(), plugins, migrated(MODEL, today(**CHANGED)), {}, print))

    def right(row: str, shown: str) -> object:
        (case,) = task.cases([{"prompt": "Hi", "markers": {"domain": row}}])
        chances = {"domain": {shown: 0.9, "Sports": 0.1}}
        answer = Generation(case.id, case.prompt, "", "", {"domain": shown}, "", "posterior", chances=chances)
        scores = task.score(case, answer)
        assert scores["calibration.domain"][10:20] == ((0.0,) * 9 + (scores["accuracy.domain"],))  # type: ignore[index]
        return scores["accuracy.domain"]

    assert [right(row, "Justice") for row in ("Justice", "Law", "Biology", "Robotics")] == [1, 1, 0, 0]
    assert [right(row, "Science") for row in ("Physics", "Biology", "Science", "Law")] == [1, 1, 1, 0]


def test_merged_values_need_the_users_word() -> None:
    """Where two old values became one, the user says which of them is asked for; both are shown as the new one."""
    merged = today(rename={"Law": "Society", "Sports": "Society"})
    with pytest.raises(CheckpointError, match=r"'Society' could be 'Law' or 'Sports' .*--map domain.Society=Law"):
        migrated(MODEL, merged)
    wording = migrated(MODEL, merged, ["domain.Society=Sports"]).wording
    assert wording.to_model({"domain": "Law"}) == {"domain": "Sports"}
    assert [wording.to_user({"domain": word})["domain"] for word in ("Law", "Sports")] == ["Society", "Society"]
    into = migrated(MODEL, today(rename={"Sports": "Law"})).wording  # one of the two is still there
    assert into.to_model({"domain": "Sports"}) == {"domain": "Law"}
    assert into.to_user({"domain": "Sports"}) == {"domain": "Law"}


def test_unexplained_changes_need_the_users_word() -> None:
    """A value that is gone and one that is new may be the same: it is asked, not guessed."""
    other = Taxonomy((MarkerType("domain", "", "categorical", ("Science", "Sports", "Justice")),))
    with pytest.raises(CheckpointError) as caught:
        migrated(MODEL, other)
    assert "the model knows 'Law', which today's taxonomy does not have, and never saw 'Justice'" in str(caught.value)
    assert "(--map domain.Justice=Law) or not (--map domain.Justice=)" in str(caught.value)
    same = migrated(MODEL, other, ["domain.Justice=Law"]).wording
    assert same.to_user(same.to_model({"domain": "Justice"})) == {"domain": "Justice"}
    new = migrated(MODEL, other, ["domain.Justice="]).wording
    assert new.check({"domain": "law"}) == {"domain": "Law"}
    with pytest.raises(CheckpointError, match="never saw"):
        new.check({"domain": "Justice"})
    (said,) = describe(new)
    assert (said.unseen, said.former) == (("Justice",), ("Law",))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("domain", "write MARKER.NEW=OLD"),
        ("domain.Justice", "write MARKER.NEW=OLD"),
        ("domian.Justice=Law", "did you mean 'domain'?"),
        ("domain.Sports=Law", "domain has the value 'Sports' in the model itself"),
        ("mood.happy=sad", "unknown marker 'mood'"),
        ("domain.Jstice=Law", "domain has no value 'Jstice' today: did you mean 'Justice'?"),
        ("domain.Justice=Lwa", "domain has no value 'Lwa' that the model knows: did you mean 'Law'?"),
    ],
)
def test_wrong_mappings(option: str, said: str) -> None:
    """A mapping that names what does not exist is refused in one sentence."""
    with pytest.raises(ConfigError) as caught:
        migrated(MODEL, today(**CHANGED), [option])
    assert said in str(caught.value)
    with pytest.raises(ConfigError, match="mapped twice"):
        migrated(MODEL, today(**CHANGED), ["domain.Justice=Law", "domain.Justice=Sports"])


def test_a_baseline_is_not_migrated() -> None:
    """A model without markers has nothing to migrate; one whose marker holds numbers now cannot be."""
    with pytest.raises(CheckpointError, match="nothing to migrate"):
        migrated(Checkpoint("baseline", False, OLD, "terse", SOURCE, {}, 1, {}), OLD)
    with pytest.raises(CheckpointError, match="'domain' is int today, and categorical in the model"):
        migrated(MODEL, Taxonomy((MarkerType("domain", "", "int"),)))


def test_migrated_again(tmp_path: Path) -> None:
    """What was mapped once is known the next time, also by the user's word alone."""
    other = Taxonomy((MarkerType("domain", "", "categorical", ("Science", "Sports", "Justice")),))
    migrated(MODEL, other, ["domain.Justice=Law"]).save(tmp_path)
    first = load_checkpoint(str(tmp_path))
    kind = MarkerType("domain", "", "categorical", ("Science", "Sports", "Court"), {"Justice": "Court"})
    again = migrated(first, Taxonomy((kind,))).wording
    assert again.to_model({"domain": "justice"}) == {"domain": "Law"}
    assert again.to_user({"domain": "Law"}) == {"domain": "Court"}
    back = migrated(first, OLD)
    assert describe(back.wording) == []
    back.save(tmp_path)
    assert load_checkpoint(str(tmp_path)).wording.to_user({"domain": "Law"}) == {"domain": "Law"}


VALUES = st.lists(st.sampled_from("ABCDEFGHIJ"), min_size=1, max_size=6, unique=True)


@given(VALUES, VALUES, st.data())
def test_round_trips(learned: list[str], now: list[str], data: st.DataObject) -> None:
    """Whatever changed, what users ask for is a word of the model, and what they are shown they may ask for again."""
    gone = [value for value in learned if value not in now]
    aliases = data.draw(st.dictionaries(st.sampled_from(gone), st.sampled_from(now)) if gone else st.just({}))
    whole = [value for value in gone if value not in aliases]
    parts = st.lists(st.sampled_from(now), min_size=1, max_size=3, unique=True).map(tuple)
    split = data.draw(st.dictionaries(st.sampled_from(whole), parts) if whole else st.just({}))
    old = Taxonomy((MarkerType("m", "", "categorical", tuple(learned)),))
    new = Taxonomy((MarkerType("m", "", "categorical", tuple(now), aliases, split=split),))
    model = Checkpoint("sft", True, old, "terse", SOURCE, {}, 1, {"m": dict.fromkeys(learned, 1)})
    fresh = [value for value in now if value not in learned]
    said = st.dictionaries(st.sampled_from(fresh), st.sampled_from([*learned, ""])) if fresh else st.just({})
    given_ = data.draw(said)
    wording = _migrated(model, new, [f"m.{value}={word}" for value, word in given_.items()])
    if wording is None:
        return
    assert Wording.from_json(json.loads(json.dumps(wording.to_json())), old) == wording
    for value in now:
        if value in wording.words["m"]:
            word = wording.to_model({"m": value})["m"]
            assert word == (given_.get(value) or word)
            assert word in learned
        else:
            with pytest.raises(CheckpointError, match="never saw"):
                wording.to_model({"m": value})
    for word in learned:
        shown = wording.to_user({"m": word})["m"]
        assert shown == word or shown in now
        if shown not in now or shown in wording.words["m"]:
            again = str(wording.to_model({"m": shown})["m"])
            assert wording.to_user({"m": again})["m"] == shown or again == given_.get(str(shown))
        if word in now:
            assert (wording.to_model({"m": word}), shown) == ({"m": word}, word)


def _migrated(model: Checkpoint, new: Taxonomy, options: list[str]) -> Wording | None:
    """Return the wording; None if it needs the user's word, which the error says how to give."""
    try:
        return migrated(model, new, options).wording
    except CheckpointError as error:
        if "--map m." not in str(error):
            raise
        return None


def _file(folder: Path) -> dict[str, Any]:
    migrated(MODEL, today(**CHANGED)).save(folder)
    data: dict[str, Any] = json.loads((folder / "markers.json").read_bytes())
    assert data["format"] == 2
    return data


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("migration", "words", "domain", "Justice"), "Lwa", "migration.words.domain names 'Lwa', which the model did"),
        (
            ("migration", "words", "domain", "Nothing"),
            "Law",
            "migration.words.domain names 'Nothing', which is no value",
        ),
        (("migration", "shown", "domain", "Lwa"), "Justice", "migration.shown.domain names 'Lwa'"),
        (("migration", "words", "mood"), {}, "names the marker 'mood', which is in one taxonomy only"),
        (("migration", "words"), None, "damaged"),
        (("migration", "shown"), [], "damaged"),
        (("migration", "taxonomy"), [{"name": "x"}], "damaged"),
        (("migration", "taxonomy", 0, "kind"), "float", "damaged"),
        (("migration",), "yes", "damaged"),
        (("taxonomy", 0, "values"), [], "damaged"),
        (("format",), 3, "newer than this ttmarkers: update it"),
    ],
)
def test_damage(tmp_path: Path, place: tuple[str | int, ...], value: object, said: str) -> None:
    """A markers.json that does not hold together is refused in one sentence that names it."""
    data = _file(tmp_path)
    inner: Any = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "markers.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(tmp_path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_older_files_are_read(tmp_path: Path) -> None:
    """A model without a migration is written as it always was, so that earlier versions read it."""
    MODEL.save(tmp_path)
    data = json.loads((tmp_path / "markers.json").read_bytes())
    assert (data["format"], "migration" in data, "split" in data["taxonomy"][0]) == (1, False, False)
    assert load_checkpoint(str(tmp_path)).migrated is None


def test_training_further() -> None:
    """A migrated model may learn what is new since, and one that was not is told how."""
    new = today(**CHANGED)
    migrated(MODEL, new).require(taxonomy=new)
    with pytest.raises(
        CheckpointError, match=r"trained with other values of the marker 'domain': .*checkpoint migrate"
    ):
        MODEL.require(taxonomy=new)
    with pytest.raises(CheckpointError, match=r"migrated with other values of the marker 'domain'"):
        migrated(MODEL, new).require(taxonomy=today(add=("Robotics",)))
    with pytest.raises(CheckpointError, match="another order"):
        migrated(MODEL, new).require(taxonomy=Taxonomy(tuple(reversed(new.types))))
