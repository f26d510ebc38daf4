"""Markers that a user asks for: what is known is taken in the taxonomy's words, what cannot be is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ttmarkers.blocks.source import read_source
from ttmarkers.checkpoints.checkpoint import Checkpoint
from ttmarkers.components import ExtractorComponent
from ttmarkers.decoding.asking import Asking
from ttmarkers.errors import CheckpointError, ConfigError, UnknownNameError
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.plugins.registry import Entry, Registry
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import make_taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.components import Factory
    from ttmarkers.protocols import Subject
    from ttmarkers.taxonomies.taxonomy import Taxonomy

_PLUGINS = create_plugins(third_party=False)
PAPER = make_taxonomy(_PLUGINS.marker_types().all())
SOURCE = read_source(_PLUGINS.templates().get("paper"))


def _checkpoint(taxonomy: Taxonomy = PAPER, *, marked: bool = True) -> Checkpoint:
    return Checkpoint("sft", marked, taxonomy, "paper", SOURCE, {}, 0, {})


ASKING = Asking(_checkpoint(), _PLUGINS.extractors())


def _refused(markers: Mapping[str, object], where: str = "--marker") -> str:
    """Return the sentence by which markers are refused."""
    with pytest.raises(ConfigError) as caught:
        ASKING.check(markers, where=where)
    text = str(caught.value)
    assert "\n" not in text
    assert where in text
    return text


def test_nothing_asked() -> None:
    """No markers are fine for any model, one without markers among them."""
    for checkpoint in (None, _checkpoint(marked=False), _checkpoint()):
        assert Asking(checkpoint, _PLUGINS.extractors()).check({}, where="--marker") == {}


@pytest.mark.parametrize("checkpoint", [None, _checkpoint(marked=False)], ids=["no markers.json", "a baseline"])
def test_a_model_without_markers(checkpoint: Checkpoint | None) -> None:
    """A model that was trained without markers can be asked for none."""
    with pytest.raises(CheckpointError, match="trained without markers, so none can be asked for: leave out --marker"):
        Asking(checkpoint, _PLUGINS.extractors()).check({"lang": "French"}, where="--marker")


def test_in_the_taxonomys_words() -> None:
    """Aliases and other spellings become the taxonomy's own, numbers become numbers, and all stand in its order."""
    asked = {"lang": "fr", "code_type": "C++", "task": "translation", "length_tokens": "12", "quality": "0.5"}
    found = ASKING.check(asked, where="--marker")
    assert found == {
        "quality": 0.5,
        "length_tokens": 12,
        "task": "Translation",
        "code_type": "cpp",
        "lang": "French",
    }
    assert list(found) == [name for name in PAPER.names if name in found]
    assert [type(found[name]) for name in ("quality", "length_tokens")] == [float, int]
    assert list(asked) == ["lang", "code_type", "task", "length_tokens", "quality"]


def test_an_unknown_marker() -> None:
    """A marker that the model does not know is refused with a hint, and it is said where it stands."""
    with pytest.raises(UnknownNameError):
        ASKING.check({"langs": "French"}, where="--marker")
    for where in ("--marker", "row 3 of prompts.jsonl", "markers"):
        text = _refused({"langs": "French"}, where)
        assert "'langs'" in text
        assert "did you mean 'lang'" in text


@pytest.mark.parametrize(
    ("markers", "words"),
    [
        ({"lang": "Frensh"}, ["lang = 'Frensh'", "did you mean 'French'"]),
        ({"task": ""}, ["task = ''"]),
        ({"lang": None}, ["lang = 'None'"]),
        ({"length_tokens": "many"}, ["length_tokens = 'many'", "whole number"]),
        ({"length_tokens": 1.5}, ["length_tokens = 1.5", "whole number"]),
        ({"length_tokens": -1}, ["length_tokens = -1", "least value is 0"]),
        ({"length_tokens": 10**12}, ["length_tokens = 1000000000000", "greatest number"]),
        ({"length_sentences": True}, ["length_sentences = True", "whole number"]),
        ({"quality": "nan"}, ["quality = 'nan'", "finite"]),
        ({"quality": ""}, ["quality = ''", "a number"]),
        ({"lang": "French", "style": "rude"}, ["style = 'rude'", "Formal"]),
    ],
    ids=str,
)
def test_an_unknown_value(markers: Mapping[str, object], words: list[str]) -> None:
    """A value that the marker does not have is refused as a mistake of the user, not as damaged data."""
    text = _refused(markers)
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("length_sentences", "length_tokens"),
        ("length_paragraphs", "length_sentences"),
        ("length_paragraphs", "length_tokens"),
    ],
)
def test_counts_within_counts(less: str, more: str) -> None:
    """No text has more sentences than tokens, or more paragraphs than sentences; as many it may have."""
    text = _refused({more: 3, less: 4}, "the request")
    assert f"{less} = 4" in text
    assert f"{more} = 3" in text
    assert "change one of them" in text
    for fewer, number in ((3, 3), (0, 0), (1, 200)):
        assert ASKING.check({less: fewer, more: number}, where="--marker") == {less: fewer, more: number}
    assert _refused({less: "40", more: "5"})


def test_counts_of_all_three() -> None:
    """Each of three counts is compared with the next greater one."""
    fine = {"length_tokens": 30, "length_sentences": 3, "length_paragraphs": 1}
    assert ASKING.check(fine, where="--marker") == fine
    assert "length_paragraphs = 4" in _refused({**fine, "length_paragraphs": 4})
    assert "length_sentences = 31" in _refused({**fine, "length_sentences": 31})


@pytest.mark.parametrize(
    ("bucket", "tokens"),
    [("concise", 5000), ("concise", 300), ("medium", 299), ("medium", 1001), ("long", 1000), ("long", 0)],
)
def test_a_bucket_that_is_another(bucket: str, tokens: int) -> None:
    """A bucket of lengths cannot be asked for with a number of tokens outside of it; it is said which it would be."""
    text = _refused({"length_bucket": bucket, "length_tokens": tokens}, "row 7")
    meant = "concise" if tokens < 300 else "medium" if tokens <= 1000 else "long"
    assert f"length_bucket = {bucket} cannot be with length_tokens = {tokens}, which means {meant}" in text


@pytest.mark.parametrize(
    ("bucket", "tokens"), [("concise", 0), ("concise", 299), ("medium", 300), ("medium", 1000), ("long", 1001)]
)
def test_a_bucket_that_fits(bucket: str, tokens: int) -> None:
    """A bucket and a number within it can be asked for together, in any spelling; each alone can be too."""
    expected = {"length_tokens": tokens, "length_bucket": bucket}
    assert ASKING.check({"length_bucket": bucket.upper(), "length_tokens": str(tokens)}, where="x") == expected
    assert ASKING.check({"length_bucket": bucket}, where="x") == {"length_bucket": bucket}
    assert ASKING.check({"length_tokens": tokens}, where="x") == {"length_tokens": tokens}


def test_a_quartile_is_no_contradiction() -> None:
    """What follows only from a whole data set, such as a quartile of quality, contradicts nothing that is asked."""
    asked = {"quality": 0.1, "quality_bucket": "1", "lang": "French"}
    assert ASKING.check(asked, where="--marker") == asked


def test_only_the_models_own_markers() -> None:
    """What a model's taxonomy lacks is not compared and not known, though others have it."""
    small = Asking(_checkpoint(PAPER.select(["length_bucket", "lang"])), _PLUGINS.extractors())
    assert small.check({"length_bucket": "long", "lang": "de"}, where="x") == {
        "length_bucket": "long",
        "lang": "German",
    }
    with pytest.raises(UnknownNameError, match="length_tokens"):
        small.check({"length_bucket": "concise", "length_tokens": 5000}, where="x")


class _English:
    """Says that formal answers are English."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the language of each."""
        return [{"lang": Found("English")} if subject.markers.get("style") == "Formal" else {} for subject in batch]


def _with_rule(factory: Factory, *, default: bool = True) -> Asking:
    component = ExtractorComponent(
        "rule",
        "",
        factory,
        markers=("lang",),
        reads=("markers",),
        needs=("style",),
        default=default,
    )
    return Asking(_checkpoint(), Registry("extractor", [Entry(component, "test 1.0")]))


def test_rules_of_plugins() -> None:
    """An extractor of a plugin that finds markers from markers is asked too, unless it must be named to run."""
    asked = {"style": "Formal", "lang": "French"}
    with pytest.raises(ConfigError, match="x: lang = French cannot be with style = Formal, which means English"):
        _with_rule(_English).check(asked, where="x")
    assert _with_rule(_English).check({"style": "Informal", "lang": "French"}, where="x")
    assert _with_rule(_English).check({"style": "Formal", "lang": "English"}, where="x")
    assert _with_rule(_English).check({"style": "Formal"}, where="x") == {"style": "Formal"}
    assert _with_rule(_English, default=False).check(asked, where="x") == asked


def test_a_plugin_that_is_no_extractor() -> None:
    """A plugin's component that cannot extract is named."""
    with pytest.raises(ConfigError, match="rule"):
        _with_rule(dict).check({"style": "Formal", "lang": "French"}, where="x")


def test_checked_again() -> None:
    """Markers that were checked pass as they are, however often."""
    found = ASKING.check({"lang": "fr", "length_tokens": "500", "length_bucket": "Medium"}, where="x")
    assert ASKING.check(found, where="x") == found == ASKING.check(found, where="y")
