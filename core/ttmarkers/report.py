"""Pages of text, tables and plots: one self-contained HTML file, or Markdown."""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jinja2

from ttmarkers import __version__
from ttmarkers.manifest import atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Table:
    """Rows of text under a head."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs of text, tables, plots (SVG), and passages shown word for word."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[str] = ()
    passages: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Page:
    """A report."""

    title: str
    lead: str
    sections: Sequence[Section]
    facts: Mapping[str, str] = field(default_factory=dict)


def write_page(page: Page, path: Path) -> None:
    """Write a page as one HTML file that needs no other."""
    source = importlib.resources.files("ttmarkers_templates").joinpath("report/page.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    with atomic(path) as stream:
        stream.write(environment.from_string(source).render(page=page, version=__version__).encode())


def page_markdown(page: Page) -> str:
    """Return a page as Markdown, without its plots."""
    parts = [f"# {page.title}", page.lead]
    for section in page.sections:
        parts += [f"## {section.title}", *section.text]
        for table in section.tables:
            lines = [_line(table.head), _line(["---"] * len(table.head)), *map(_line, table.rows)]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
