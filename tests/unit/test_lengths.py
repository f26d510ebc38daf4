"""Lengths of a completion: tokens and sentences of many languages, paragraphs, and the borders of the buckets."""

from __future__ import annotations

import pytest

from ttmarkers_plugins.extractors.length import SpacyCounter, bucket, count_paragraphs
from ttmarkers_plugins.marker_types import LANGUAGES

COUNTER = SpacyCounter()
THREE = {
    "English": "The weather is good. Let us go to the park! Are you coming?",
    "French": "Il fait beau. Allons au parc ! Tu viens ?",
    "Vietnamese": "Hôm nay trời đẹp. Tôi đi chơi! Bạn thì sao?",
    "Japanese": "今日はいい天気です。公園に行きましょう。楽しいですか？",
    "Chinese": "今天天气很好。我们去公园吧！好吗？",
    "Korean": "오늘은 날씨가 좋다. 공원에 가자! 좋니?",
    "Hindi": "आज मौसम अच्छा है। हम बाग जाएँगे। ठीक है?",
    "Arabic": "الطقس جميل. نذهب إلى الحديقة. هل تأتي؟",
    "Persian": "هوا خوب است. به پارک می‌رویم. می‌آیی؟",
    "Russian": "Погода хорошая. Пойдём в парк! Ты идёшь?",
    "Hebrew": "יום יפה. נלך לפארק. אתה בא?",
}


@pytest.mark.parametrize("language", sorted(THREE))
def test_sentences_and_tokens(language: str) -> None:
    """Three sentences are three in every script, and each of them has two tokens or more beside its full stop."""
    tokens, sentences = COUNTER.count(THREE[language], language)
    assert sentences == 3
    assert tokens >= 9


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_of_the_taxonomy(language: str) -> None:
    """Every language has a tokenizer, and twice the text has twice the tokens."""
    text = THREE.get(language, THREE["English"])
    tokens, sentences = COUNTER.count(text, language)
    assert COUNTER.count(f"{text} {text}", language) == (2 * tokens, 2 * sentences)
    assert tokens > 0


def test_what_a_token_is() -> None:
    """Punctuation counts, and so do line breaks and surplus spaces; without a language spaCy's general rules cut."""
    assert COUNTER.count("Don't stop, please!", "English") == (6, 1)
    assert COUNTER.count("a  b\n\nc", "English") == (5, 1)
    assert COUNTER.count("Hello, world.", None) == (4, 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" \n\n ", 0),
        ("One.", 1),
        ("One.\nStill one.", 1),
        ("One.\n\nTwo.", 2),
        ("One.\n \t\nTwo.\n\n\n\nThree.\n\n", 3),
        ("\n\nOne.", 1),
        ("One.\r\n\r\nTwo.", 2),
    ],
)
def test_paragraphs(text: str, number: int) -> None:
    """Paragraphs are separated by one or more lines without signs."""
    assert count_paragraphs(text) == number


@pytest.mark.parametrize(
    ("tokens", "name"),
    [(0, "concise"), (299, "concise"), (300, "medium"), (1000, "medium"), (1001, "long"), (10**6, "long")],
)
def test_buckets(tokens: int, name: str) -> None:
    """The borders are the paper's: under 300, 300 to 1,000, above."""
    assert bucket(tokens) == name
