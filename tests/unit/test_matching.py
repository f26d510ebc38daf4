"""Answers from anywhere find their cases: by prompt or id, none taken for another's, blocks taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shipped import SHIPPED
from ttmarkers.errors import DataError
from ttmarkers.evaluation.matching import Matcher

if TYPE_CHECKING:
    from collections.abc import Mapping


class Case:
    """A case of some task."""

    def __init__(self, name: str, *prompts: str) -> None:
        self.id, self.prompts = name, prompts


def match(cases: list[Case], rows: list[Mapping[str, Any]], **keys: Any) -> list[list[str]]:
    """Return the texts that belong to cases."""
    partial = keys.pop("partial", False)
    made = Matcher([(f"row {n}", row) for n, row in enumerate(rows, 1)], **keys)
    return [[each.text for each in found] for found in made.match(cases, partial=partial).values()]


ROWS: list[Mapping[str, Any]] = [
    {"id": "a", "text": "one"},
    {"id": "a", "text": "two", "raw": "<b>two", "markers": {"lang": "French"}, "asked": {"lang": "French"}},
    {"prompt": "Why?", "output": ["three", "four"]},
    {"id": "c#0", "case": "c", "completion": "five"},
]


def test_several_answers() -> None:
    """Several answers of a case stand in several rows or in a list; a task that takes one is given one."""
    cases = [Case("a"), Case("b", "Why?"), Case("c")]
    assert match(cases, ROWS, samples=2) == [["one", "two"], ["three", "four"], ["five"]]
    with pytest.raises(DataError, match="case 'a' has 2 different answers, and the task takes one"):
        match(cases, ROWS)
    same = [{"id": "a", "text": "one"}, {"id": "a", "text": "one"}]
    assert match([Case("a")], same) == [["one"]]
    found = Matcher([("row 2", ROWS[1])]).match([Case("a")])[0][0]
    assert (found.raw, found.markers, found.asked) == ("<b>two", {"lang": "French"}, {"lang": "French"})


def test_prompts_before_row_numbers() -> None:
    """Where ids of another numbering meet, the prompt tells; where a prompt is asked several times, the id does."""
    rows = [{"id": 1, "prompt": "B?", "text": "to B"}, {"id": 2, "prompt": "A?", "text": "to A"}]
    assert match([Case("1", "A?"), Case("2", "B?")], rows) == [["to A"], ["to B"]]
    twice = [{"id": "x@1", "prompt": "A?", "text": "short"}, {"id": "x@9", "prompt": "A?", "text": "long"}]
    assert match([Case("x@1", "A?"), Case("x@9", "A?")], twice) == [["short"], ["long"]]
    with pytest.raises(DataError, match="no stored answer belongs to case '1'"):
        match([Case("1", "C?"), Case("2", "A?")], rows)


def test_missing_answers() -> None:
    """A case without an answer is named, or left out if that is wanted; a row without one is named too."""
    cases = [Case("a"), Case("d", "How?"), Case("e")]
    with pytest.raises(DataError, match=r"belongs to case 'd' \(and to 1 more\)"):
        match(cases, ROWS, samples=2)
    assert match(cases, ROWS, samples=2, partial=True) == [["one", "two"]]
    with pytest.raises(DataError, match="no stored answer belongs to any case"):
        match(cases[1:], ROWS, partial=True)
    with pytest.raises(DataError, match="row 1: there is no answer"):
        match(cases, [{"id": "a", "output": []}])


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_blocks(name: str) -> None:
    """A block that stands on an answer is taken off by its model's template, and refused where that is not known."""
    template = SHIPPED[name]
    rows = [{"id": "a", "text": template.render({"lang": "French"}) + template.after + "Oui."}]
    (found,) = Matcher([("row 1", rows[0])], template=template).match([Case("a")])[0]
    assert (found.text, found.markers) == ("Oui.", {"lang": "French"})
    if name != "json":  # whose blocks look like answers
        with pytest.raises(DataError, match="the answer to case 'a' begins with a block: name its model with --counts"):
            match([Case("a")], rows, others=list(SHIPPED.values()))
    assert match([Case("a")], [{"id": "a", "text": "Oui."}], others=list(SHIPPED.values())) == [["Oui."]]
