"""spaCy's own numbers of tokens and sentences, without making a document of each text.

spaCy's rule-based tokenizer cuts a text at white space and each piece by itself, and its sentencizer looks at one token
after the other. So what a piece adds can be found once with spaCy and remembered: the counts stay spaCy's, at many
times the speed. Chinese, Japanese and Vietnamese have tokenizers that look at whole texts; they are asked for each.
"""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ttmarkers_plugins.extractors.late_patterns import late_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

# spaCy's own tokenizer of Korean needs MeCab, which pip cannot install: words between spaces instead, punctuation
# apart. Chinese is counted in characters, which is spaCy's default
_SETTINGS = {"ko": {"nlp": {"tokenizer": {"@tokenizers": "spacy.Tokenizer.v1"}}}}
JAPANESE_CHUNK = 12_000  # characters; Sudachi takes 49,149 bytes at once
REMEMBERED = 200_000  # pieces of text, then spaCy and what is remembered start anew, so that memory stays flat

# a run of white space is a token, but for one space after a word
_PIECE = re.compile(r"\S+|(?<!\S)\s+|(?<=\S)[^\S ]\s*|(?<=\S) \s+")
# spaCy looks for smileys across white space too
_FACES = (":(", ":)", "):", "(:", ": (", ";)", "(;", ";(", ");", "=)", "(=", "=(", ")=", "8)", "(8")
# words and numbers joined by hyphens, with marks around: spaCy cuts them by the kinds of their characters alone,
# unless they are among its rules
_MARKS = '"“”()[].,;:!?'
_AROUND = f"[{re.escape(_MARKS)}]{{0,3}}"
_RUN = r"(?:[A-Z]?[a-z]{2,}|[A-Z]{2,}|\d+)"
_SHAPED = re.compile(rf"({_AROUND})({_RUN}(?:-{_RUN}){{0,3}})((?:'s)?{_AROUND})")
_PARTS = re.compile(_RUN)
# their rules for hyphens, numbers and capitals ask for certain words: only plain words are alike
_PARTICULAR = ("fr", "ro", "tr", "el", "id", "de")
_WORD = re.compile(r"[A-Z]?[a-z]{2,}")
_STANDS_FOR = ((re.compile(r"[a-z]{2,}"), "xqzw"), (re.compile(r"[A-Z]{2,}"), "XQZW"), (re.compile(r"\d+"), "73"))
_Summary = tuple[int, int, int, int, int]


class Counter:
    """Counts of one language.

    Args:
        code: spaCy's code of the language, ``xx`` for any.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._start()

    def count(self, text: str) -> tuple[int, int]:
        """Return the numbers of tokens and sentences, as spaCy's blank pipeline with its sentencizer gives them."""
        if not self._by_piece or any(face in text for face in _FACES):
            return self._count_whole(text)
        if len(self._seen) > REMEMBERED:
            self._start()
        seen = self._seen
        tokens = after_stop = 0
        sentences = 1 if text else 0
        for piece in _PIECE.findall(text):
            summary = seen.get(piece) or self._summary(piece)
            tokens += summary[0]
            if after_stop:
                sentences += summary[3]
                after_stop = summary[4]
            else:
                sentences += summary[1]
                after_stop = summary[2]
        return tokens, sentences

    def _start(self) -> None:
        self._tokenizer, self._sentencizer = _make(self._code)
        self._seen: dict[str, _Summary] = {}
        self._by_piece = type(self._tokenizer).__name__ == "Tokenizer"
        self._shapes: dict[str, _Summary] = {}
        if self._by_piece:
            rules = self._tokenizer.rules
            self._ruled = {part for rule in rules for part in (rule.strip(_MARKS), *_PARTS.findall(rule))}

    def _summary(self, piece: str) -> _Summary:
        """Return tokens; then, after no full stop and after one, new sentences and whether a full stop ends them."""
        shape = self._shape(piece)
        if shape and shape not in self._shapes:
            self._shapes[shape] = self._look(shape)
        summary = self._seen[piece] = self._shapes[shape] if shape else self._look(piece)
        return summary

    def _shape(self, piece: str) -> str:
        """Return a piece that spaCy cuts alike, the same one for many; an empty text if there is none."""
        shaped = _SHAPED.fullmatch(piece)
        if not shaped or not self._ruled.isdisjoint((shaped[2], *shaped[2].split("-"))):
            return ""
        if self._code in _PARTICULAR and not _WORD.fullmatch(shaped[2]):
            return ""
        shape = shaped[2]
        for run, stands in _STANDS_FOR:
            shape = run.sub(stands, shape)
        return f"{shaped[1]}{shape}{shaped[3]}"

    def _look(self, piece: str) -> _Summary:
        document = self._tokenizer(piece)
        result = [len(document)]
        for start in (0, 1):
            after_stop, sentences = start, 0
            for token in document:
                if token.text in self._sentencizer.punct_chars:
                    after_stop = 1
                elif after_stop and not token.is_punct:
                    sentences, after_stop = sentences + 1, 0
            result += [sentences, after_stop]
        return result[0], result[1], result[2], result[3], result[4]

    def _count_whole(self, text: str) -> tuple[int, int]:
        tokens = sentences = 0
        for part in _parts(text) if self._code == "ja" else [text]:
            document = self._sentencizer(self._tokenizer(part))
            tokens += len(document)
            sentences += sum(1 for _ in document.sents)
        return tokens, sentences


def _parts(text: str) -> Iterator[str]:
    """Cut a text that is too long for its tokenizer, after a full stop or line break if there is one."""
    while len(text) > JAPANESE_CHUNK:
        end = max(text.rfind(mark, 0, JAPANESE_CHUNK) for mark in "。\n") + 1 or JAPANESE_CHUNK
        yield text[:end]
        text = text[end:]
    yield text


def _make(code: str) -> tuple[Any, Any]:
    """Return the tokenizer and the sentencizer of a language."""
    with _without_torch(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Dictionary.create", DeprecationWarning)  # spaCy's way to ask Sudachi
        import spacy

        with late_patterns():
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
