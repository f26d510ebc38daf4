"""Formats by structure, with precedence."""

from __future__ import annotations

import pytest

from ttmarkers_plugins.extractors.format import formats

TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
MCQ = "Which is a fruit?\nA. Stone\nB. Apple\nC. Car"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', ["JSON"]),
        ("[1, 2]\n", ["JSON"]),
        ('```json\n{"a": [1]}\n```', ["JSON"]),
        ('{"a": 1}\n{"a": 2}', ["JSON"]),
        ('{"a": 1,}', []),
        ("3", []),
        ("<a><b/></a>", ["XML"]),
        ('<?xml version="1.0"?>\n<r>x</r>', ["XML"]),
        ("<a><b></a>", []),
        ("<html><body>x</body></html>", []),
        ("<p>One paragraph.</p>", []),
        (TABLE, ["Tabular"]),
        ("name,age,city,zip\nAnn,3,Rome,11\nBo,4,Oslo,22\n", ["Tabular"]),
        ("a\tb\n1\t2\n3\t4", ["Tabular"]),
        ("- one\n- two\n- three", ["Enumeration"]),
        ("Buy:\n1. milk\n2. bread", ["Enumeration"]),
        ("# Title\n\nSome **bold** words.", ["Markdown"]),
        (f"# Title\n\nWords.\n\n{TABLE}", ["Markdown", "Tabular"]),
        ("## List\n\n- a\n- b", ["Markdown", "Enumeration"]),
        ("\\documentclass{article}\n\\begin{document}\nHi\n\\end{document}", ["Latex"]),
        ("The sum is $$\\frac{1}{2} + x^2$$ as shown.", ["Latex"]),
        ("<think>two and two</think>\nFour.", ["ChainOfThought"]),
        ("Step 1: add 2 and 3.\nStep 2: that is 5.\nTherefore, the answer is 5.", ["ChainOfThought"]),
        ("Plain words, with a comma.\nAnd a second line, too.\nAnd a third, as well.", []),
        ("name: x\nversion: 3\nitems:\n  - a\n  - b", []),
        ("[section]\nkey = 1\nother = 2", []),
        ("# a comment\nimport os\n\n\ndef f(x):\n    return x", []),
        ("It costs $5, or $7 for two.", []),
    ],
)
def test_formats(text: str, found: list[str]) -> None:
    """All formats that apply are found, the one that counts first."""
    assert formats(text) == found


@pytest.mark.parametrize("text", ["B", "B. Apple", "(b) Apple", "The answer is B.", "Apple", "答案是B"])
def test_an_answer_to_a_choice(text: str) -> None:
    """A letter, an option's text, or a sentence that names the letter."""
    assert formats(text, MCQ) == ["MCQAnswer"]


def test_no_choice_without_options() -> None:
    """The same answers to an open question have no format."""
    assert formats("B", "Which letter follows A?") == []
    assert formats("A long answer that explains why apples are fruits and stones are not.", MCQ) == []


def test_entities_that_grow() -> None:
    """A document whose entities multiply is no XML, and takes no time."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    assert formats(f'<!DOCTYPE r [<!ENTITY e0 "ha">{levels}]><r>&e11;</r>') == []
