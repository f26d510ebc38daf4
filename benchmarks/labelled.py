"""How right the extractors are on labelled files: one line for each file and label kind, with 95 % intervals.

    python benchmarks/labelled.py FOLDER

FOLDER holds ``lang_sentences.jsonl``, ``lang_short.jsonl``, ``code_type.jsonl`` (rows of ``text`` and ``label``) and
``format_files.jsonl`` (``label`` is the kind of file). Files that are not there are left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from scipy.stats import binomtest

from ttmarkers_plugins.extractors.code import CodeTypeExtractor
from ttmarkers_plugins.extractors.format import formats, is_json, is_xml
from ttmarkers_plugins.extractors.language import NAMES, LanguageExtractor

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {
    "json": "JSON", "xml": "XML", "svg": "XML", "markdown": "Markdown", "csv": "Tabular", "tsv": "Tabular",
    "latex": "Latex",
}  # fmt: skip


def main(folder: Path) -> None:
    """Print the table."""
    language, code = LanguageExtractor(), CodeTypeExtractor()

    def lang(text: str) -> str:
        found = language._one(text).get("lang")
        return str(found.value) if found else ""

    def code_type(text: str) -> str:
        found = code._one(text).get("code_type")
        return str(found.value) if found else ""

    def layout(text: str) -> str:
        return next(iter(formats(text)), "")

    print(f"{'file':34} {'n':>5}  {'right':>26}  {'wrong':>6} {'absent':>6}  rows/s")
    show(folder / "lang_sentences.jsonl", lang, lambda label: NAMES[label])
    show(folder / "lang_short.jsonl", lang, lambda label: NAMES[label])
    show(folder / "code_type.jsonl", code_type, lambda label: label)
    show(folder / "format_files.jsonl", layout, lambda label: KINDS.get(label, ""), group=_format_group)


def _format_group(row: dict[str, str]) -> str:
    wanted = KINDS.get(row["label"], "")
    if not wanted:
        return "no format"
    if wanted in ("JSON", "XML") and not (is_json(row["text"].strip()) or is_xml(row["text"].strip())):
        return "cut off, does not parse"
    return "has a format"


def show(
    path: Path,
    find: Callable[[str], str],
    wanted: Callable[[str], str],
    group: Callable[[dict[str, str]], str] = lambda row: row.get("kind", ""),
) -> None:
    """Print the lines of one file."""
    if not path.is_file():
        return
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for line in path.open():
        row = json.loads(line)
        start = time.process_time()
        found = find(row["text"])
        name = group(row)
        seconds[name] += time.process_time() - start
        groups[name].append((wanted(row["label"]), found))
    for name, pairs in groups.items():
        right = sum(label == found for label, found in pairs)
        wrong = sum(label != found and bool(found) for label, found in pairs)
        interval = binomtest(right, len(pairs)).proportion_ci()
        title = f"{path.stem} {name and f'({name})'}".strip()
        figure = f"{right / len(pairs):.2%} [{interval.low:.2%}, {interval.high:.2%}]"
        absent = len(pairs) - right - wrong
        print(f"{title:34} {len(pairs):5}  {figure:>26}  {wrong:6} {absent:6}  {len(pairs) / seconds[name]:.0f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
