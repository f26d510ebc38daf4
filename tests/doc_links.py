"""The Markdown files of the repository: their links, headings and code spans."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"

_FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")


@cache
def markdown_files() -> tuple[Path, ...]:
    """Return the Markdown files that git knows, or would take, those of made-up plugins and reports included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in found.splitlines() if (path := REPOSITORY / name).exists())


def prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """Return where the links and pictures of a page lead."""
    return _LINK.findall(_CODE.sub("", prose(path)))


def code_spans(path: Path) -> list[str]:
    """Return what stands between backticks in a page's prose."""
    return [span for _, span in _CODE.findall(prose(path))]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    from markdown.extensions.toc import slugify, unique

    found: set[str] = set()
    for line in prose(path).splitlines():
        if heading := re.match(r"#{1,6} +(.+?) *#*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).replace("`", "")
            unique(slugify(text, "-"), found)  # which adds it
    return found
