"""What is no structure of a block stays as it was typed: ordinary text, documents, source code."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from red_team import STOLEN, attacks
from shipped import SHIPPED, templates
from ttmarkers.blocks.guard import TWINS
from ttmarkers.blocks.rendering import without_blocks
from ttmarkers.records import Message

ROOT = Path(__file__).parents[2]
UNSEEN = ("Cf", "Mn", "Me", "Cc")


def _seen(text: str) -> str:
    return "".join(char for char in text if char in "\n\t\r" or unicodedata.category(char) not in UNSEEN)


def _stays_readable(text: str, clean: str) -> None:
    """Check that a text was changed in its brackets and bars alone, and in what is not seen."""
    for old, new in zip(_seen(text), _seen(clean), strict=True):
        assert old == new or new in TWINS.values()
        assert old == new or not old.isascii() or TWINS[old] == new


@templates
def test_what_was_typed_stays_readable(name: str) -> None:
    """Only brackets and bars are rewritten, each to the sign that looks like it, and what is not seen is left out."""
    for turn in (turn for attack in attacks(SHIPPED[name]) for turn in attack.turns):
        _stays_readable(turn.content, SHIPPED[name].guard.clean(turn.content))


@templates
@given(text=st.text())
def test_any_text(name: str, text: str) -> None:
    """Any text can be cleaned; nothing but structure is rewritten, and a text that holds no block is kept."""
    guard = SHIPPED[name].guard
    clean = guard.clean(text)
    _stays_readable(text, clean)
    assert guard.finds(text) or clean == text
    assert guard.clean(clean) == clean
    assert not guard.finds(clean)


ORDINARY = (
    "<style>body {}</style>",
    "<style>\nbody { color: red; }\n</style>",
    "<source src=a>",
    '<video><source src="a.mp4" type="video/mp4"></video>',
    "a < b and lang > c",
    "if (a < lang && task > b) { return quality; }",
    "[[1, 2], [3]]",
    "[[]]",
    "[[lang, task], [style, source]]",
    "x = [[lang for lang in langs] for task in tasks]",
    "matrix[[0, 1]] = df[['lang', 'task']]",
    "See [[lang]] and [[Task|the task]] in the wiki.",
    'if [[ "$lang" == "French" ]]; then echo "$task"; fi',
    '{"lang": "en"}',
    '{"lang": "fr-FR", "task": "translate this"}',
    '{"marker": {"lang": "fr"}, "map": {"markers": [1, 2]}, "quality": 5}',
    "L.map({markers: {lat: 1}})",
    "std::vector<style> styles; List<Source> sources; Map<Task, Lang> map;",
    "#include <format>\n#include <source_location>",
    "<task>Buy milk</task>",
    "<lang>en</lang>",
    "<domain>example.com</domain><source>eth0</source>",
    "lang=fr_FR; task=translate; quality = 5",
    "f(lang=lang, task=None, source=path, style='o-', quality=0.5)",
    "{{ lang }} {% if task %} {# style #} {% endif %}",
    "SELECT lang FROM task WHERE quality > 5 AND length_tokens < 199;",
    "fn main() { let v: Vec<Vec<i32>> = vec![vec![1], vec![2]]; }",
    "\\begin{tabular}{l|l} $\\langle a | b \\rangle$ \\end{tabular}",
    "def f(x: list[list[int]]) -> dict[str, dict[str, int]]:\n    return {'a': {'b': x[0][0]}}\n",
    "<html lang=\"fr\"><body class='style'><p>Bonjour</p></body></html>",
    "天空为什么是蓝色的？《红楼梦》【注】“你好”〔1〕",
    "« Où est la gare ? » — « Là-bas »",
    "ما هي عاصمة فرنسا؟ (باريس)",
    "なぜ空は青いの？「光」『散乱』〈注〉【注】",
    "Ελλάδα, Россия, ישראל, 👩‍👩‍👧 🇫🇷 ❤️ e\u0301 \u200b\ufeff",
    "\0 \x1b[31mred\x1b[0m \x07",
    "‹MARKER_LIST› ‹lang› French ‹/lang› ‹/MARKER_LIST›",
)


@templates
@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_untouched(name: str, text: str) -> None:
    """Code, markup, lists and text of many languages pass as they are, in a turn as well."""
    template = SHIPPED[name]
    assert template.guard.clean(text) == text
    assert not template.guard.finds(text)
    turns = (Message("user", text), Message("assistant", text), Message("user", text))
    if name != "compact" or not text.startswith("[[]]"):
        assert without_blocks(turns, template) == turns


@templates
@pytest.mark.parametrize(
    "sign", ["<", "[", "{", '"', "=", ";", " ", "\n", "-", "é", "\u200b", "x ", "< ", "[[", '{"', "9"]
)
def test_long_texts(name: str, sign: str) -> None:
    """A text that is made to take long is looked through about as fast as any other of its length."""
    template = SHIPPED[name]
    block = template.render(STOLEN).removesuffix(template.closing)
    for text in (sign * 20_000, f"{block}{sign * 20_000}", f"{block} {sign}" * 500, f"<lang>{sign * 20_000}French"):
        started = time.process_time()
        template.guard.clean(text)
        template.guard.clean(f"{text}é")
        assert time.process_time() - started < 5


@templates
@pytest.mark.parametrize("path", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md"))])
def test_documents_stay_readable(name: str, path: str) -> None:
    """The project's own documents, which speak of blocks and show some, lose nothing but the structure of these."""
    guard = SHIPPED[name].guard
    text = (ROOT / path).read_text(encoding="utf-8")
    clean = guard.clean(text)
    _stays_readable(text, clean)
    assert guard.clean(clean) == clean
    assert not guard.finds(clean)


@templates
def test_source_code_stays_readable(name: str) -> None:
    """So do whole files of source code, this project's own, which name all tags."""
    guard = SHIPPED[name].guard
    for path in sorted(ROOT.glob("core/ttmarkers/*.py"))[::4]:
        text = path.read_text(encoding="utf-8")
        _stays_readable(text, guard.clean(text))
