"""``format``: how a completion is laid out, told by its structure.

JSON and XML must parse. Of several formats that apply, the first of `TESTS` is the value and the others are kept: what
fills the whole completion comes before what is found in places.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat

import orjson

from ttmarkers.records import Found
from ttmarkers_plugins.extractors.code import looks_like_code
from ttmarkers_plugins.extractors.prose import segments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ttmarkers.protocols import Subject

LOOKED_AT = 50_000  # characters that are looked at for everything but JSON and XML
LINES, LINE = 400, 2000

_OPTION = re.compile(r"(?:^|\n)\s*\(?([A-Ha-h1-8])[).:]\s*(\S[^\n]*)|\(([A-H])\)\s*([^()\n]+)")
_CHOICE = re.compile(
    r"""\W{0,3}(?:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:answer|option|choice)(?:\s+is)?\s*:?\s*)?
        [("'*\[]{0,3}([A-Ha-h1-8])(?:[)\]:.,"'*]+(?:\s|$)|\s*$)""",
    re.VERBOSE | re.IGNORECASE,
)
_LAST_CHOICE = re.compile(r"(?:^|[\s(:：是为])([A-H])[).。]?\s*$")

_THINK = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>"))
_STEP = re.compile(
    r"^\W{0,6}(?:step|étape|schritt|paso|passo|passaggio|krok|adım|stap|langkah|pasul|βήμα|шаг|крок|bước|चरण|שלב|الخطوة|مرحله|"
    r"ステップ|단계|步骤|第)\s?(\d{1,2}|[一二三四五六七八九十])",
    re.MULTILINE | re.IGNORECASE,
)
_BEGINS = r"(?:^|(?<=[.!?。\n])\s*)"
_REASON = re.compile(
    _BEGINS + r"(?:first|then|next|now|so|since|because|therefore|thus|hence|this means|let's|let us|"
    r"we (?:know|have|get|need)|finally|it follows)\b",
    re.MULTILINE | re.IGNORECASE,
)
_CONCLUSION = re.compile(
    _BEGINS + r"\W{0,4}(?:therefore|thus|hence|so,? the (?:final )?answer|the (?:final )?answer is|"
    r"in conclusion, the answer)\b|^####\s|\\boxed\{",
    re.MULTILINE | re.IGNORECASE,
)

_ITEM = re.compile(r"\s{0,8}(?:([-*+•‣◦])|\(?(\d{1,3})[.):、]|\(?([A-Za-z])[.)])\s*(?=\S)(?:(?<=\s)|(?<=[、)]))")
_RULE_ROW = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)+\|?\s*$")
_SETTING = re.compile(r"\s*(?:-\s+)?[\w.$\"'-]+\s*(?:=\s*\S|:(?:\s+[^A-Z\s]|\s*$|\s+\S+\s*$))|\s*\[[\w.\s\"-]+\]\s*$")

_CONCLUDES = ("therefore", "thus", "hence", "answer", "####", "boxed")  # what every conclusion has, to be quick
_NUMBER = re.compile(r"\d")
# elements of HTML that an answer may consist of, and what models put their thoughts in
_HTML = (
    "html head body style script template div span p ul ol li table tr td form section header footer main nav "
    "article h1 h2 h3 h4 h5 h6 img button input label select textarea video audio canvas iframe blockquote pre code "
    "details em strong br hr"
)
_NO_XML = frozenset([*_HTML.split(" "), "think", "thinking", "reasoning"])
_LATEX_DOCUMENT = re.compile(
    r"\\(?:documentclass|usepackage|(?:sub)*section\*?\{|begin\{(?!.?(?:matrix|cases|aligned|array))\w+\*?\})"
)
_LATEX_STRONG = re.compile(
    r"\\(?:documentclass|begin\{[a-zA-Z*]+\}|usepackage|(?:sub)*section\*?\{)|\\\[.{1,2000}?\\\]|\$\$[^$]{0,2000}[\\^_=][^$]{0,2000}\$\$",
    re.DOTALL,
)
_LATEX_COMMAND = re.compile(
    r"\\[a-zA-Z]{2,}(?:\[[^\]\n]*\])?\{|\\(?:frac|sqrt|sum|int|cdot|times|alpha|beta|pi|le|ge|infty)\b"
)
_LATEX_INLINE = re.compile(r"\$[^$\n]{1,200}?[\\^_=][^$\n]{0,200}?\$|\\\([^\n]{1,300}?\\\)")

_HEADING = re.compile(r"^#{1,6} \S[^\n]*\n(?:\s*\n|$)|^#{2,6} \S", re.MULTILINE)
_MARKDOWN = (
    (2, _HEADING),
    (2, re.compile(r"(?<!\*)\*\*(?=\S)[^*\n]{1,200}(?<=\S)\*\*(?!\*)")),
    (2, re.compile(r"(?<![`\w])!?\[[^\]\n]{1,200}\]\((?:https?:|[\w./#-])[^)\n]{0,500}\)")),
    (2, re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)),
    (1, re.compile(r"(?<!`)`[^`\n]{1,100}`(?!`)")),
    (1, re.compile(r"^> \S", re.MULTILINE)),
    (1, re.compile(r"(?<![\w*])\*(?=[^\s*])[^*\n]{1,100}(?<=[^\s*])\*(?![\w*])")),
    (1, re.compile(r"^(?:[-*+] |\d{1,2}\. )\S", re.MULTILINE)),
    (1, re.compile(r"^(?:---+|\*\*\*+)\s*$", re.MULTILINE)),
)
_MARKDOWN_MARKS = ("#", "*", "](", "`", "~~~", "\n>", "---")
_RST = re.compile(
    r"^\.\. [\w-]+(?:::|:)|^\.\. _|:\w+:`|^(?:={4,}|~{4,}|\^{4,}|#{4,})\s*$|(?<!`)``[^`\n]+``(?!`)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Page:
    """A completion with its lines that are not blank, and the prompt."""

    text: str
    lines: Sequence[str]
    prompt: str


class FormatExtractor:
    """Finds ``format``; every further format that applies is kept as another value."""

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the formats of each completion; plain text has none."""
        return [self._one(subject.example.instruction, subject.example.completion) for subject in batch]

    def _one(self, prompt: str, text: str) -> Mapping[str, Found]:
        found = formats(text, prompt)
        return {"format": Found(found[0], 1.0, tuple(found[1:]))} if found else {}


def formats(text: str, prompt: str = "") -> list[str]:
    """Return all formats of a completion, in the order of precedence.

    Args:
        text: the completion.
        prompt: what it answers; an answer to a multiple-choice question is known by the choices.

    >>> formats('{"a": [1, 2]}'), formats("Plain words.")
    (['JSON'], [])
    """
    body = _only_fence(text).strip()
    whole = "JSON" if is_json(body) else "XML" if is_xml(body) else ""
    if whole:
        return [whole]
    text = text[:LOOKED_AT].strip()
    lines = [line[:LINE] for line in text.splitlines() if line.strip()][:LINES]
    page = Page(text, lines, prompt[-LOOKED_AT:])
    found = [name for name, test in TESTS if test(page)]
    if set(found) - {"MCQAnswer"} and _is_source(page):
        found = ["Latex"] if len(_LATEX_COMMAND.findall(text)) >= 3 else []
    return list(dict.fromkeys(found))


def _only_fence(text: str) -> str:
    """Return what a single fence holds if there is nothing but it, else the text."""
    parts = [part for part in segments(text) if part.text.strip()]
    return parts[0].text if len(parts) == 1 and parts[0].code else text


def is_json(text: str) -> bool:
    """Tell whether a text is a JSON object or array, or several, one on each line."""
    if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
        return False
    try:
        return isinstance(orjson.loads(text), dict | list)
    except orjson.JSONDecodeError:
        pass
    lines = text.splitlines()
    if len(lines) < 2:
        return False
    try:
        return all(isinstance(orjson.loads(line), dict | list) for line in lines if line.strip())
    except orjson.JSONDecodeError:
        return False


def is_xml(text: str) -> bool:
    """Tell whether a text is a well-formed XML document; HTML is none."""
    if not (text.startswith("<") and text.endswith(">")):
        return False
    roots: list[str] = []

    def start(name: str, _: object) -> None:
        if not roots:
            roots.append(name.casefold())

    parser = expat.ParserCreate()  # expat itself stops entities that grow without bound
    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError:
        return False
    return bool(roots) and roots[0] not in _NO_XML


def _is_source(page: Page) -> bool:
    """Tell program text, settings and other markup, whose comments and lists are not the answer's layout."""
    if len(_RST.findall(page.text)) >= 2 or page.text.startswith(("<!DOCTYPE", "<html", "<?")):
        return True
    if page.lines[0] == "---" and "---" not in page.lines[1:] and _SETTING.match(page.lines[1]):
        return True  # YAML, and no front matter of Markdown
    if "```" in page.text:
        return False
    body = [line for line in page.lines if not line.lstrip().startswith(("#", "--"))]
    settings = sum(bool(_SETTING.match(line)) for line in body)
    return settings > 0.4 * len(body) or looks_like_code("\n".join(body))


def _is_choice(page: Page) -> bool:
    first = _CHOICE.match(page.text)
    if len(page.text) > 2000 or (not first and len(page.lines) > 1):
        return False
    options: dict[str, str] = {}
    for line_letter, line_text, inline_letter, inline_text in _OPTION.findall(page.prompt):
        options[(line_letter or inline_letter).upper()] = (line_text or inline_text).strip().casefold()
    numbered = {"1", "2"} <= options.keys() and len(page.lines) == 1
    if not ({"A", "B"} <= options.keys() or numbered):
        return False
    if first and first[1].upper() in options:
        return True
    if page.text.strip(" .").casefold() in options.values():
        return True
    last = _LAST_CHOICE.search(page.text) if len(page.text) < 100 else None
    return bool(last and last[1] in options)


def _is_reasoned(page: Page) -> bool:
    if any(opening in page.text and closing in page.text for opening, closing in _THINK):
        return True
    folded = page.text.casefold()
    if not any(word in folded for word in _CONCLUDES):
        return False
    conclusions = [match.start() for match in _CONCLUSION.finditer(page.text)]
    if not conclusions or conclusions[-1] < len(page.text) / 2:
        return False
    steps = {match[1] for match in _STEP.finditer(page.text)}
    reasons = {match[0].strip().casefold() for match in _REASON.finditer(page.text)}
    return len(steps) >= 2 or (len(reasons) >= 3 and bool(_NUMBER.search(page.text)))


def _is_enumeration(page: Page) -> bool:
    if len(page.lines) < 2:
        return False
    items = [match for line in page.lines if (match := _ITEM.match(line))]
    if len(items) < 2:
        return False
    numbers = [int(match[2]) for match in items if match[2]]
    if numbers and numbers != sorted(numbers) and len(set(numbers)) < len(numbers) / 2:
        return False
    # an item may go on over indented lines
    covered = sum(bool(_ITEM.match(line)) or line.startswith(("  ", "\t")) for line in page.lines)
    return covered >= len(page.lines) / 2


def _has_table(page: Page) -> bool:
    lines = page.lines
    return any(
        "|" in lines[number - 1] and "|" in lines[number + 1]
        for number in range(1, len(lines) - 1)
        if _RULE_ROW.match(lines[number])
    )


def _is_table(page: Page) -> bool:
    if _has_table(page) and not _HEADING.search(page.text):
        return sum("|" in line for line in page.lines) >= len(page.lines) / 2
    return any(_is_delimited(page.lines, mark) for mark in (",", "\t", ";"))


def _is_delimited(lines: Sequence[str], mark: str) -> bool:
    """Tell whether lines are the rows of a delimited file: cells of one number, and no sentences."""
    if len(lines) < 2 or mark not in lines[0] or lines[0].startswith(("{", "[")):
        return False
    try:
        rows = [row for row in csv.reader((line + "\n" for line in lines), delimiter=mark) if row]
    except csv.Error:
        return False
    width, same = Counter(len(row) for row in rows).most_common(1)[0]
    least = 2 if width >= 4 else 3 if width == 3 or mark == "\t" else 4
    if width < 2 or len(rows) < least or same < min(0.8 * len(rows), len(rows) - 1):
        return False
    source = sum(line.lstrip()[:1] in "([{#-*<" or line.rstrip()[-1:] in "{(;" for line in lines)
    spoken = sum(line.rstrip()[-1:] in ".!?:。" for line in lines)
    if source > 0.3 * len(lines) or spoken > 0.5 * len(lines):
        return False
    # prose may have a comma in each line too; the head of a file has no space after it
    return mark == "\t" or f"{mark} " not in lines[0]


def _is_document(page: Page) -> bool:
    """Tell LaTeX that is not merely formulas in Markdown."""
    return bool(_LATEX_DOCUMENT.search(page.text)) and not _HEADING.search(page.text)


def _has_latex(page: Page) -> bool:
    if "\\" not in page.text and "$" not in page.text:
        return False
    commands = len(_LATEX_COMMAND.findall(page.text))
    return bool(_LATEX_STRONG.search(page.text)) or commands >= 3 or len(_LATEX_INLINE.findall(page.text)) >= 2


def _has_markdown(page: Page) -> bool:
    if not any(mark in page.text for mark in _MARKDOWN_MARKS):
        return False
    return sum(weight for weight, pattern in _MARKDOWN if pattern.search(page.text)) >= 2


def _is_markdown(page: Page) -> bool:
    """Tell Markdown of more than a list with some words in bold."""
    if not any(mark in page.text for mark in _MARKDOWN_MARKS):
        return False
    kinds = sum(bool(pattern.search(page.text)) for _, pattern in _MARKDOWN[:4])
    return bool(_HEADING.search(page.text)) or kinds >= 2


TESTS: tuple[tuple[str, Callable[[Page], bool]], ...] = (
    ("MCQAnswer", _is_choice),
    ("Tabular", _is_table),
    ("ChainOfThought", _is_reasoned),
    ("Latex", _is_document),
    ("Markdown", _is_markdown),
    ("Latex", _has_latex),
    ("Enumeration", _is_enumeration),
    ("Markdown", _has_markdown),
    ("Tabular", _has_table),
)
"""Formats after JSON and XML, which exclude all others, in order of precedence; what is only in places comes late."""
