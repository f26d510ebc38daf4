"""Counts by piece are spaCy's own, whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttmarkers_plugins.extractors import spacy_counts
from ttmarkers_plugins.extractors.spacy_counts import Counter

LANGUAGES = ("en", "de", "fr", "ro", "tr", "ru", "ar", "hi", "ko", "xx")
COUNTERS = {code: Counter(code) for code in LANGUAGES}
WORDS = st.sampled_from(
    ["Don't", "U.S.", "e.g.", "e-mail", "3.5km", "(word)", "word.", "Word,", "end!", "…", "a", "I", "cannot", "10%", "é.b",
     "http://x.org/a?b=1", "\n", "\n\n", "\t", " ", "«да»", "это.", "यह।", "한국어.", ".", "?!", '"', ":)", "word...more",
     "USDA", "II.", "III's", "well-known", "1914-18.", "(state-owned)", '"he\'s', "15th-century", "let's", "[1990].", "GPT-4,",
     "peut-être", "va-et-vient", "l'entre-deux", "(demi-heure)", "abc-le", "într-un"]
)  # fmt: skip


def whole(code: str, text: str) -> tuple[int, int]:
    """Count as spaCy's documentation does, with a document of the whole text."""
    tokenizer, sentencizer = spacy_counts._make(code)
    document = sentencizer(tokenizer(text))
    return len(document), len(list(document.sents))


PIPELINES = {code: spacy_counts._make(code) for code in LANGUAGES}


@given(code=st.sampled_from(LANGUAGES), parts=st.lists(WORDS, max_size=12), joiner=st.sampled_from([" ", "", "  "]))
def test_as_spacy_counts(code: str, parts: list[str], joiner: str) -> None:
    """Tokens and sentences of any text are those of a spaCy document."""
    text = joiner.join(parts)
    tokenizer, sentencizer = PIPELINES[code]
    document = sentencizer(tokenizer(text))
    assert COUNTERS[code].count(text) == (len(document), len(list(document.sents)))


@pytest.mark.parametrize("code", ["ja", "vi", "zh"])
def test_tokenizers_of_whole_texts(code: str) -> None:
    """Languages that are not written word by word are counted by their own tokenizers."""
    text = {
        "ja": "今日は寒いです。外に出ません。",
        "vi": "Hôm nay trời rất lạnh. Tôi ở nhà.",
        "zh": "今天很冷。我在家。",
    }[code]
    assert Counter(code).count(text) == whole(code, text)


def test_long_japanese() -> None:
    """Text beyond what Sudachi takes at once is cut after a full stop, which changes no count."""
    tokens, sentences = Counter("ja").count("今日は寒いです。" * 10)
    assert Counter("ja").count("今日は寒いです。" * 3000) == (tokens * 300, sentences * 300)


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of pieces is thrown away when it grows."""
    monkeypatch.setattr(spacy_counts, "REMEMBERED", 50)
    counter = Counter("en")
    for number in range(200):
        assert counter.count(f"word{number} and more") == (3, 1)
        assert len(counter._seen) <= 53
