"""Large patterns whose alternatives are compiled late match what they would match at once."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ttmarkers_plugins.extractors import late_patterns
from ttmarkers_plugins.extractors.late_patterns import LatePattern

LETTERS = "a-z" + "".join(f"\\u{code:04X}" for code in range(0xDF, 0xF6))
HEADS = ("abat", "a[fg]ro", "grande?s?", "vingt", f"[{LETTERS}]+[-–]la", "La Chapelle")
SOURCE = "(?iu)" + "|".join(f"(?:^{head}[-–'][{LETTERS}][-'{LETTERS}]*$)" for head in HEADS)
WORDS = st.lists(
    st.sampled_from(["abat", "AFRO", "grand", "grandes", "vingt", "-", "–", "'", "la", "é", "ß", "x", "1", " ", "\n"]),
    max_size=7,
).map("".join)


@given(WORDS)
def test_matches_the_same(text: str) -> None:
    """A late pattern tells of any text what the whole pattern tells."""
    assert LatePattern(SOURCE).match(text) == bool(re.compile(SOURCE).match(text))


def test_only_large_ones_of_the_form() -> None:
    """Small patterns, others, and those that cannot be loosened are left alone, and ``re`` is as before."""
    large = SOURCE + "|" + "|".join([SOURCE.removeprefix("(?iu)")] * 300)
    compile_now = re.compile
    with late_patterns.late_patterns():
        assert isinstance(re.compile(large), LatePattern)
        assert isinstance(re.compile(SOURCE), re.Pattern)
        assert isinstance(re.compile(large.replace("abat", "abat(?!x)")), re.Pattern)
        assert isinstance(re.compile(large, re.DOTALL), re.Pattern)
    assert re.compile is compile_now
    assert LatePattern(large).match("Vingt-deux")
    assert not LatePattern(large).match("Vingt-2")
