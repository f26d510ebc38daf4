"""What the formula says, and where the extractor says nothing."""

from __future__ import annotations

import pytest
from ttmarkers_readability.extract import LixExtractor
from ttmarkers_readability.formula import level, lix

from ttmarkers.annotation.extraction import Row
from ttmarkers.records import Example, Message, Origin

EASY = "The sun is a star. It is big and hot. It gives us light. It is far from us. Plants need it. We need it too. "
HARD = (
    "Institutional investors increasingly acknowledge environmental responsibilities throughout international "
    "organisations, notwithstanding considerable methodological disagreement regarding appropriate measurement. "
)


def find(text: str, **markers: str) -> str | None:
    """Return what the extractor says of a text with these other markers."""
    example = Example("1", (Message("user", "Why?"),), text, {}, Origin("test", 1))
    (found,) = LixExtractor().extract([Row(example, dict(markers))])
    return str(found["readability"].value) if found else None


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("One two three four. Five six seven eight.", 4.0),  # 8 words in 2 sentences, none long
        ("One two three four: beautiful things, isn't it?", 4.0 + 100 * 1 / 8),  # a colon ends a sentence
        ("It costs 3.14 euros. Really?!", 2.5),  # a point in a number ends none
        ("Buy:\n\n1. red apples\n2. green pears", 5 / 3),  # items are sentences, their numbers no words
        ("Le cafe\u0301 renomme\u0301 est ici.", 5.0 + 100 * 1 / 5),  # accents that are characters of their own
    ],
)
def test_the_score_is_the_source_s(text: str, score: float) -> None:
    """Words per sentence, and percent of words of more than six letters, counted by hand."""
    assert lix(text) == pytest.approx(score)


def test_levels_lie_around_the_newspapers_of_a_language() -> None:
    """In Swedish the borders are the source's own, 40 and 50; Finnish words are longer."""
    assert [level(score, "Swedish") for score in (39.9, 40, 50, 50.1)] == ["easy", "medium", "medium", "hard"]
    assert level(60, "English") == "hard"
    assert level(60, "Finnish") == "easy"


def test_the_extractor_finds_levels() -> None:
    """Short words and sentences are easy, a long sentence of long words is hard."""
    assert find(EASY * 2, lang="English") == "easy"
    assert find(HARD * 3, lang="English") == "hard"


@pytest.mark.parametrize(
    ("text", "markers"),
    [
        ("", {"lang": "English"}),
        (EASY[:60], {"lang": "English"}),  # too short
        (EASY * 2, {}),  # nobody knows the language
        (EASY * 2, {"lang": "Turkish"}),  # the source has no figures
        (EASY * 2, {"lang": "English", "code_type": "python"}),
        (EASY * 2, {"lang": "English", "format": "Tabular"}),
        (EASY * 2 + "```\n(setq x 1)\n```", {"lang": "English"}),
    ],
)
def test_the_extractor_abstains(text: str, markers: dict[str, str]) -> None:
    """Where the formula does not apply nothing is said."""
    assert find(text, **markers) is None


def test_a_wrong_option_is_refused() -> None:
    """No number of words below 1 makes sense."""
    with pytest.raises(ValueError, match="at least 1"):
        LixExtractor(words=0)
