"""Lengths of a completion: tokens and sentences as the paper counts them, by spaCy; paragraphs; the bucket.

Source: D'souza et al. 2025, section 3: spaCy's language-specific tokenizer, not the model's.
"""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import DataError
from ttmarkers.records import Found
from ttmarkers_plugins.extractors.prose import segments
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.protocols import Subject

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣◦]|\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,4})[.)])[ \t]+", re.MULTILINE)
MEDIUM, LONG = 300, 1000
UNKNOWN = "xx"  # spaCy's tokenizer for any language
# spaCy's own tokenizer of Korean needs MeCab, which pip cannot install: words between spaces instead, punctuation apart.
# Chinese is counted in characters, which is spaCy's default
_SETTINGS = {"ko": {"nlp": {"tokenizer": {"@tokenizers": "spacy.Tokenizer.v1"}}}}
CHUNK = 12_000  # characters of Japanese; Sudachi takes 49,149 bytes at once
# spaCy peels punctuation off a word one character at a time, so that a word of n characters takes n² steps
LONGEST_WORD = 5000
_LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD},}}")


class SpacyCounter:
    """Counts tokens and sentences with spaCy, one blank pipeline for each language, made when first needed."""

    def __init__(self) -> None:
        self._pipelines: dict[str, Any] = {}

    def count(self, text: str, lang: str | None) -> tuple[int, int]:
        """Return the numbers of tokens and sentences of a text.

        Tokens are all that spaCy's tokenizer gives, punctuation and line breaks among them. Sentences are those of
        spaCy's sentencizer in the prose: what numbers or points at the items of a list does not end one, and a block
        of code is one.

        Args:
            text: the completion.
            lang: English name of its language, as in the taxonomy; None if it is not known.

        Raises:
            DataError: if a word is too long for spaCy to be cut in reasonable time.
        """
        code = LANGUAGES.get(lang, UNKNOWN) if lang else UNKNOWN
        if code not in ("zh", "ja") and _LONG_WORD.search(text):
            raise DataError(f"a word of more than {LONGEST_WORD} characters cannot be counted")
        parts = segments(text)
        fences = sum(part.code for part in parts)
        plain = _ITEM.sub("", "".join(part.text for part in parts if not part.code)).strip()
        if not fences and plain == text:
            return self._count(text, code)
        return self._count(text, code)[0], max(self._count(plain, code)[1] + fences, 1)

    def _count(self, text: str, code: str) -> tuple[int, int]:
        if code not in self._pipelines:
            self._pipelines[code] = _make(code)
        tokenizer, sentencizer = self._pipelines[code]
        tokens = sentences = 0
        for piece in _pieces(text) if code == "ja" else [text]:
            document = sentencizer(tokenizer(piece))
            tokens += len(document)
            sentences += sum(1 for _ in document.sents)
        return tokens, sentences


def _pieces(text: str) -> Iterator[str]:
    """Cut a text that is too long for its tokenizer, after a full stop or line break if there is one."""
    while len(text) > CHUNK:
        end = max(text.rfind(mark, 0, CHUNK) for mark in "。\n") + 1 or CHUNK
        yield text[:end]
        text = text[end:]
    yield text


def _make(code: str) -> tuple[Any, Any]:
    """Return the tokenizer and the sentencizer of a language."""
    with _without_torch(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Dictionary.create", DeprecationWarning)  # spaCy's way to ask Sudachi
        import spacy

        pipeline = spacy.blank(code, config=_SETTINGS.get(code, {}))
        return pipeline.tokenizer, pipeline.add_pipe("sentencizer")


@contextmanager
def _without_torch() -> Iterator[None]:
    """Keep spaCy from importing torch, which it would for neural pipelines alone, and which takes seconds."""
    if "spacy" in sys.modules or "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # what Python documents to make an import fail
    try:
        yield
    finally:
        del sys.modules["torch"]


class SpacyLengthExtractor:
    """Finds ``length_tokens`` and ``length_sentences``."""

    def __init__(self) -> None:
        self._counter = SpacyCounter()

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return both counts for each completion."""
        found: list[Mapping[str, Found]] = []
        for subject in batch:
            lang = subject.markers.get("lang")
            tokens, sentences = self._counter.count(subject.example.completion, str(lang) if lang else None)
            found.append({"length_tokens": Found(tokens), "length_sentences": Found(sentences)})
        return found


class ParagraphExtractor:
    """Finds ``length_paragraphs``: stretches of text between blank lines."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the number of paragraphs of each completion."""
        return [{"length_paragraphs": Found(count_paragraphs(subject.example.completion))} for subject in batch]


def count_paragraphs(text: str) -> int:
    r"""Return the number of paragraphs of a text.

    >>> count_paragraphs("One.\n\nTwo,\nstill two.\n\n")
    2
    """
    stripped = text.strip()
    return len(_BLANK_LINES.split(stripped)) if stripped else 0


class LengthBucketExtractor:
    """Finds ``length_bucket`` from ``length_tokens``: concise under 300, medium to 1,000, long above."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the bucket of each example whose length is known."""
        found: list[Mapping[str, Found]] = []
        for subject in batch:
            tokens = subject.markers.get("length_tokens")
            found.append({} if tokens is None else {"length_bucket": Found(bucket(int(tokens)))})
        return found


def bucket(tokens: int) -> str:
    """Return the paper's length bucket.

    >>> bucket(299), bucket(300), bucket(1000), bucket(1001)
    ('concise', 'medium', 'medium', 'long')
    """
    if tokens < MEDIUM:
        return "concise"
    return "medium" if tokens <= LONG else "long"
