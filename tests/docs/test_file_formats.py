"""The pages of files and of Python name what is there."""

from __future__ import annotations

import importlib
import json
import re
from typing import TYPE_CHECKING

import doc_links as pages
from support import ok, read_rows, ttm, write_rows
from ttmarkers.checkpoints.checkpoint import Checkpoint
from ttmarkers.evaluation.results import Result
from ttmarkers.evaluation.stored import generation_row
from ttmarkers.records import Generation, Message

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

NAMED = set(pages.code_spans(pages.DOCS / "reference" / "file-formats.md"))


def test_annotated_rows(tmp_path: Path) -> None:
    """An annotated row, a bad row and ``run.json`` hold what the page names."""
    rows = [{"prompt": "Hi.", "completion": "Hello, how are you today?"}, {"prompt": "Hi.", "completion": ""}]
    output, bad = tmp_path / "out.jsonl", tmp_path / "bad.jsonl"
    ok(ttm("annotate", write_rows(tmp_path / "rows.jsonl", rows), "-o", output, "--quarantine", bad))
    assert set(read_rows(output)[0]) - set(rows[0]) == {"id", "markers", "markers_meta"} <= NAMED
    assert set(read_rows(bad)[0]) <= NAMED
    assert {"out.jsonl.run.json"} == {path.name for path in tmp_path.glob("out.jsonl.*")}
    run = json.loads((tmp_path / "out.jsonl.run.json").read_bytes())
    assert {*run} - {"sources", "fingerprints", "rows", "bad_rows", "found"} <= NAMED


def test_markers_json(plugins: Plugins, taxonomy: Taxonomy, tmp_path: Path) -> None:
    """Each key of ``markers.json`` is on the page."""
    source = "{%- macro opening() -%}<<{%- endmacro -%}{%- macro closing() -%}>>{%- endmacro -%}"
    source += "{%- macro marker(name, value) -%}{{ name }}={{ value }};{%- endmacro -%}"
    checkpoint = Checkpoint("sft", True, taxonomy, "t", source, {}, 1, {}, {"calibration": {}})
    checkpoint.save(tmp_path)
    assert set(json.loads((tmp_path / "markers.json").read_bytes())) <= NAMED


def test_answers() -> None:
    """What is printed of an answer, and of an evaluation, is on the page."""
    turns = (Message("user", "Hi."),)
    more = {"chances": {"lang": {"French": 1.0}}, "enforced": {"words": 3}, "asked": {"lang": "French"}}
    assert set(generation_row(Generation("1", turns, "", "", {}, "", "fixed", **more))) <= NAMED
    assert set(Result("length", "fixed", 1, {}).to_json()) <= NAMED


def test_names_of_python() -> None:
    """Each name of the page of Python can be imported."""
    spans = pages.code_spans(pages.DOCS / "reference" / "python.md")
    names = [span for span in spans if re.fullmatch(r"ttmarkers(\.\w+)+", span)]
    assert len(names) > 40
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
