"""Files and folders that pages of the documentation name and do not make themselves: small ones stand in.

What takes time, a trained model, is made once and copied to each page that is given it.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from doc_pages import ROOT
from support import greetings, ok, ttm, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doc_pages import Given

    Maker = Callable[[Path], None]

DOLLY = (
    ("open_qa", "Who was Ada Lovelace?", "", "Ada Lovelace was an English mathematician who wrote the first program."),
    ("summarization", "Sum this up.", "It rained all day in the north.", "It rained in the north."),
    ("brainstorming", "What can I cook with rice?", "", "- Rice with beans\n- Fried rice\n- Rice pudding"),
    ("creative_writing", "Write about the sea.", "", "The sea was calm. A gull cried, and then it was quiet again."),
)
MARKERS = ("length_tokens", "task", "lang")
TAGS = {
    "open_qa": ("QuestionAnswering", "Sciences"),
    "summarization": ("Summarization", "Unspecified"),
    "creative_writing": ("CreativeWriting", "Culture"),
}


def copy_example(page: str, folder: Path) -> None:
    """Let the page of an example plugin stand among the example's files."""
    source = (ROOT / page).parent
    if (source / "pyproject.toml").exists() and source != ROOT:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def make(given: Given, folder: Path, shared: Path) -> None:
    """Make what a page is given.

    Raises:
        ValueError: if nothing makes such a thing.
    """
    if given.kind not in MAKERS:
        raise ValueError(f"{given.place}: nothing makes {given.kind!r}: use one of {', '.join(MAKERS)}")
    kept, target = shared / given.kind, folder / given.name
    if not kept.exists():
        MAKERS[given.kind](kept)
    target.parent.mkdir(parents=True, exist_ok=True)
    if kept.is_dir():
        shutil.copytree(kept, target)
    else:
        shutil.copy(kept, target)


def _rows(path: Path) -> None:
    write_rows(path, greetings(24))


def _prompts(path: Path) -> None:
    write_rows(path, [{"prompt": row["prompt"], "ask": {"lang": "French"}} for row in greetings(3)])


def _dolly(path: Path) -> None:
    write_rows(path, [_dolly_row(number) for number in range(40)])


def _dolly_row(number: int) -> dict[str, Any]:
    category, instruction, context, response = DOLLY[number % len(DOLLY)]
    return {
        "instruction": f"{instruction} ({number})",
        "context": context,
        "response": response,
        "category": category,
    }


def _marked(path: Path) -> None:
    rows = path.with_name("marked.rows.jsonl")
    write_rows(rows, greetings(60))
    output = path.with_name("marked.out.jsonl")
    ok(ttm("annotate", rows, "-o", output, "--markers", ",".join(MARKERS)))
    output.rename(path)


def _tagged(path: Path) -> None:
    rows = [(row, TAGS[row["category"]]) for row in map(_dolly_row, range(80)) if row["category"] in TAGS]
    texts = [{"prompt": row["instruction"], "completion": row["response"]} for row, _ in rows]
    tags = [
        {"id": str(number), "markers": {"task": task, "domain": domain}}
        for number, (_, (task, domain)) in enumerate(rows)
    ]
    write_rows(path, [text | tag for text, tag in zip(texts, tags, strict=True)])


def _limits(path: Path) -> None:
    said = "Answer in at most {} words. {}"
    rows = [
        {"instruction": said.format(limit, row["prompt"]), "original_instruction": row["prompt"], "max_len": limit}
        for row, limit in zip(greetings(6), (5, 10, 20, 40, 5, 10), strict=True)
    ]
    write_rows(path, rows)


def _model(path: Path) -> None:
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.taxonomies.taxonomy import make_taxonomy
    from ttmarkers.testing import marked_rows, tiny_model

    plugins = create_plugins(third_party=False)
    taxonomy = make_taxonomy(plugins.marker_types().all()).select(MARKERS)
    tiny_model(path, rows=marked_rows(taxonomy), plugins=plugins)


def _pairs(path: Path) -> None:
    from ttmarkers.testing import marked_rows

    write_rows(path, [{**row, "rejected": "No."} for row in marked_rows(number=8)])


MAKERS: dict[str, Maker] = {
    "rows": _rows,  # prompt and completion
    "prompts": _prompts,
    "dolly": _dolly,  # the columns of databricks-dolly-15k
    "marked": _marked,  # annotated
    "tagged": _tagged,  # annotated with task
    "limits": _limits,  # as AlpacaEval-LI publishes them
    "pairs": _pairs,  # annotated, with an answer that is not preferred
    "model": _model,  # a tiny one that knows MARKERS
}
