r"""Blocks that a user typed, or that stand in a document, made harmless before anything else is done with the text.

Markers are plain text, so any text can hold a block, and a model copies what it finds. What reads like one of a
template's tags is rewritten with signs that no block is made of, and stays readable::

    <MARKER_LIST> <lang> French </lang> </MARKER_LIST>    ‹MARKER_LIST› ‹lang› French ‹/lang› ‹/MARKER_LIST›

Tags are found in a text's *skeleton*: compatibility forms decomposed, letters that look alike made one (Unicode's list
of confusables), case folded, and what is not seen left out. The same is done to all turns of a training prompt, so a
model has met rewritten tags, which never meant anything.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ttmarkers.blocks.grammar import BlockGrammar, Slot

TWINS = dict(zip('<>[]{}()|=:"', "‹›❲❳❴❵❨❩¦꞊꞉ˮ", strict=True))
"""What structure is rewritten with: no compatibility forms, so that no tokenizer makes it what it was."""

LETTERS = 3  # from so many letters on, a tag is told from ordinary punctuation
_GAP = r"[\s_\-]*"
_ALIKE = {"i": "[il1|]", "l": "[il1|]", "1": "[il1|]", "o": "[o0]", "0": "[o0]", "/": r"[/\\]"}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UNSEEN = ("Cf", "Mn", "Me", "Cc")


class Guard:
    """Rewrites what reads like a template's tags.

    Args:
        grammar: of the template's blocks, with nothing fixed.
    """

    def __init__(self, grammar: BlockGrammar) -> None:
        outer = [part for part in (grammar.opening, grammar.closing) if _names(part)]
        tags = [slot for slot in grammar.slots if _tells(slot.prefix) and _tells(slot.suffix)]
        pairs = [slot for slot in grammar.slots if slot not in tags]
        patterns = [*map(_pattern, outer), *map(_marker, tags), *_runs(grammar, pairs)]
        self._found = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)

    def clean(self, text: str) -> str:
        """Return a text in which nothing reads like a block; one without is returned as it is."""
        if text.isascii() and not _CONTROL.search(text):
            return self._found.sub(lambda found: _twinned(found[0], found[0]), text)
        skeleton = text.translate(_FOLDS)
        if not self._found.search(skeleton):
            return text
        pieces, end = [], 0
        places = _places(text)
        for found in self._found.finditer(skeleton):
            left, right = places[found.start()], places[found.end() - 1] + 1
            pieces += [text[end:left], _rewritten(text[left:right])]
            end = right
        return "".join([*pieces, text[end:]])

    def finds(self, text: str) -> bool:
        """Say whether anything in a text reads like a block."""
        return bool(self._found.search(text.translate(_FOLDS)))


class Plain:
    """Rewrites special tokens that a user typed, which would end a turn or begin another.

    Args:
        tokens: the special tokens of a tokenizer.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        found = sorted({token for token in tokens if any(char in TWINS for char in token)}, key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, found))) if found else None

    def clean(self, text: str) -> str:
        """Return a text without special tokens."""
        return self._found.sub(lambda found: _twinned(found[0], found[0]), text) if self._found else text


def _marker(slot: Slot) -> str:
    """Return a pattern of a marker with a legal value, closed or not."""
    value = "|".join(map(_pattern, slot.choices)) if slot.choices else slot.pattern
    if slot.several:
        value = rf"(?:{value})(?:{_pattern(slot.several)}\s*(?:{value}))*"
    return rf"{_pattern(slot.prefix)}\s*(?:{value})(?![^\W_])\s*(?:{_pattern(slot.suffix)})?"


def _runs(grammar: BlockGrammar, pairs: Sequence[Slot]) -> list[str]:
    """Return patterns of markers that no tags stand around, of which ordinary text may have one.

    A category with a legal value is one; a number is one only beside another marker, or at a block's end.
    """
    if not pairs:
        return []
    one = rf"(?<![^\W_])(?:{'|'.join(map(_marker, pairs))})"
    opening, closing, joiner = (_pattern(part) for part in (grammar.opening, grammar.closing, grammar.joiner))
    further = rf"(?:\s*{joiner}\s*{one})"
    heads = "|".join(_pattern(slot.prefix) for slot in pairs)
    categories = "|".join(_marker(slot) for slot in pairs if slot.choices)
    found = [
        rf"{opening}\s*{one}{further}*\s*(?:{closing})?",
        rf"{opening}\s*(?:{heads})",
        rf"{one}{further}+\s*(?:{closing})?",
        rf"{one}\s*{closing}",
    ]
    return [*found, rf"(?<![^\W_])(?:{categories})"] if categories else found


def _rewritten(text: str) -> str:
    return "".join(_twinned(char, _FOLDS[ord(char)]) for char in text)


def _twinned(text: str, folded: str) -> str:
    """Return a text with twins for what is structure; what is not seen is left out."""
    if len(text) == 1 and folded != text:
        return TWINS.get(folded, text) if folded else ""
    return "".join(TWINS.get(char, char) for char in text)


def _names(literal: str) -> bool:
    """Whether a literal can be told from ordinary punctuation."""
    return sum(char.isalpha() for char in literal) >= LETTERS


def _tells(literal: str) -> bool:
    """Whether a literal is a tag: structure of its own on both sides."""
    bare = literal.strip()
    return len(bare) > 1 and bare[0] in "<[{(" and bare[-1] in ">]})"


def _pattern(literal: str) -> str:
    bare = re.sub(r"[\s_\-]+", "", literal.translate(_FOLDS)).lower()
    return _GAP.join(_ALIKE.get(char, re.escape(char)) for char in bare)


def _places(text: str) -> Sequence[int]:
    """Return, for each character of the skeleton, the place of the character that it comes from."""
    return [place for place, char in enumerate(text) for _ in _FOLDS[ord(char)]]


class _Folds(dict[int, str]):
    """Code point -> its skeleton, found out when first asked for."""

    def __missing__(self, point: int) -> str:
        found = self[point] = "".join(_folded(chr(point)))
        return found


def _folded(char: str) -> Iterator[str]:
    if char in "\n\t\r":
        yield char
        return
    alike = _look_alikes()
    for part in unicodedata.normalize("NFKD", char):
        if unicodedata.category(part) in _UNSEEN:
            continue
        yield part if part.isascii() else alike.get(part, part)


@cache
def _look_alikes() -> dict[str, str]:
    """Return the characters that look like an ASCII one, with it."""
    from confusable_homoglyphs.confusables import confusables_data

    ascii_signs = [chr(point) for point in range(0x21, 0x7F)]
    # the twins themselves are not structure any more, whatever they look like
    return {
        entry["c"]: sign
        for sign in ascii_signs
        for entry in confusables_data.get(sign, [])
        if len(entry["c"]) == 1 and not entry["c"].isascii() and entry["c"] not in TWINS.values()
    } | _MORE


_BRACKETS = {"<": "〈⟨〈《«", ">": "〉⟩〉》»", "[": "【〔⟦〚", "]": "】〕⟧〛", '"': "“”„"}
_MORE = {alike: sign for sign, others in _BRACKETS.items() for alike in others}
"""Brackets and quotation marks that are no letters, and so in no list of confusables."""

_FOLDS = _Folds()
