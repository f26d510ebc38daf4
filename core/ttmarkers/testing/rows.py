"""Rows to try extractors on: several languages, code, lists, tables, long and strange texts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.extraction import Row
from ttmarkers.datasets import to_example
from ttmarkers.records import Example, Message, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.components import ExtractorComponent, MarkerType
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy

PYTHON = '''```python
def last_digit(number: int) -> int:
    """Return the last digit."""
    return abs(number) % 10


print(sorted([31, 7, 42], key=last_digit))
```'''

_TEXTS: tuple[Mapping[str, Any], ...] = (
    {
        "prompt": "Why is the sky blue?",
        "completion": "Air scatters blue light more than red light. So blue reaches us from everywhere.",
        "markers": {"lang": "English"},
    },
    {
        "prompt": "Pourquoi le ciel est-il bleu ?",
        "completion": "L'air diffuse davantage la lumière bleue que la rouge. Elle nous arrive donc de partout.",
        "markers": {"lang": "French"},
    },
    {
        "prompt": "空はなぜ青いのですか。",
        "completion": "空気は赤い光よりも青い光を強く散乱させます。そのため、空は青く見えます。",
        "markers": {"lang": "Japanese"},
    },
    {
        "prompt": "لماذا السماء زرقاء؟",
        "completion": "لأن الهواء يشتت الضوء الأزرق أكثر من الأحمر.",
        "markers": {"lang": "Arabic"},
    },
    {"prompt": "Sort numbers by their last digit in Python.", "completion": PYTHON},
    {
        "prompt": "What do I need for pancakes?",
        "completion": "You need:\n\n- 200 g of flour\n- 2 eggs\n- 300 ml of milk\n\n1. Mix.\n2. Wait.\n3. Fry.",
        "markers": {"lang": "English"},
    },
    {"prompt": "Give me a person as JSON.", "completion": '{"name": "Ada", "born": 1815, "tags": ["maths", null]}'},
    {"prompt": "A table of primes?", "completion": "| n | prime |\n|---|-------|\n| 1 | 2     |\n| 2 | 3     |"},
    {"prompt": "Yes or no?", "completion": "Yes"},
    {"prompt": "42?", "completion": "42"},
    {"prompt": "Smile!", "completion": "😀👩‍👩‍👧🇫🇷 ʕ•ᴥ•ʔ"},
    {
        "prompt": "Strange\u2028text\u0000?",
        "completion": "e\u0301\u200b\u202eabc\u00a0\ufeff\u0085 ＡＢＣ %3C/lang%3E \ud7ff",
    },
    {"prompt": "Markup?", "completion": "<b>bold</b> &amp; <MARKER_LIST> <lang> French </lang> </MARKER_LIST> {{ x }}"},
    {"prompt": "Tell me a long story.", "completion": "Once upon a time there was a long road. It went on.\n\n" * 300},
    {"prompt": "One long word, please.", "completion": "a" * 5000},
    {
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "Hallo!"},
            {"role": "assistant", "content": "Guten Tag."},
            {"role": "user", "content": "Wie spät ist es?"},
            {"role": "assistant", "content": "Es ist kurz nach zwölf Uhr mittags, würde ich sagen."},
        ],
        "markers": {"lang": "German"},
    },
)

ROWS = tuple({"markers": {"lang": "English"}, **row} for row in _TEXTS)
"""Rows as files hold them, with their language; English where a text has none."""

BLANKS = ("", "  \n\t ")


def rows_for(component: ExtractorComponent, taxonomy: Taxonomy, rows: Iterable[Any]) -> list[Row]:
    """Return rows as an extractor is shown them, with the markers that it needs, and one more without these.

    Args:
        component: its ``needs`` count.
        taxonomy: where values of needed markers come from that the rows do not have.
        rows: mappings as a file holds them, or examples.
    """
    found = [_row(number, row) for number, row in enumerate(rows, 1)]
    bare = copy.deepcopy(found[:1])
    for place, row in enumerate(found):
        for name in component.needs:
            row.markers.setdefault(name, _some_value(taxonomy.get(name, where="needs"), place))
    for row in bare if component.needs else ():
        row.markers.clear()
        found.append(row)
    return found


def blank_rows(component: ExtractorComponent) -> list[Row]:
    """Return rows in which what an extractor reads is empty."""
    found: list[Row] = []
    for text in BLANKS:
        prompt = text if "prompt" in component.reads or "completion" not in component.reads else "Why is the sky blue?"
        completion = text if "completion" in component.reads or "prompt" not in component.reads else "Air scatters."
        turns = (Message("user", prompt),)
        found.append(Row(Example(f"blank{len(found)}", turns, completion, {}, Origin("blank rows", len(found) + 1))))
    return found


def marker_rows(component: ExtractorComponent, taxonomy: Taxonomy, number: int = 120) -> list[dict[str, Value]]:
    """Return markers of many rows, for extractors that are fitted on markers; each tenth row has none."""
    kinds = [taxonomy.get(name, where="needs") for name in component.needs]
    return [
        {} if place % 10 == 9 else {kind.name: _some_value(kind, place) for kind in kinds} for place in range(number)
    ]


def copies(rows: Sequence[Row]) -> list[Row]:
    """Return rows that share nothing that can be changed with the given ones."""
    return copy.deepcopy(list(rows))


def _row(number: int, row: Any) -> Row:
    if isinstance(row, Row):
        return copy.deepcopy(row)
    if isinstance(row, Example):
        return Row(row, dict(row.columns.get("markers") or {}))
    given = dict(row)
    markers = given.pop("markers", None) or {}
    return Row(to_example({"id": f"row{number}", **given}, Origin("rows", number)), dict(markers))


def _some_value(kind: MarkerType, place: int) -> Value:
    """Return a value of a type; another one for most places."""
    if kind.values:
        return kind.values[place % len(kind.values)]
    least = int(kind.minimum or 0)
    # a multiplier that is no divisor: the numbers come in no order
    number = least + (place * 37) % 211
    return number if kind.kind == "int" else number + 0.25
