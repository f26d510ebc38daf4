"""Links lead somewhere: on the site, from README and CONTRIBUTING into it, and among the repository's files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

import doc_links as pages

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
EVERYWHERE = pytest.mark.parametrize(
    "page", pages.markdown_files(), ids=lambda path: str(path.relative_to(pages.REPOSITORY))
)


def fault(page: Path, link: str) -> str:
    """Return what is wrong with a link; empty if nothing. Nothing is fetched."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        whole = parts.scheme in ("http", "https") and HOST.fullmatch(parts.hostname or "") and "@" not in parts.netloc
        return "" if whole else "is no address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(pages.REPOSITORY) or not target.exists():
        return "leads nowhere"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in pages.anchors(target):
        return "names a heading that is not there"
    return ""


@EVERYWHERE
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files and headings; others are whole addresses."""
    faults = {link: said for link in pages.links(page) if (said := fault(page, link))}
    assert not faults


def test_broken_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with a link is seen; what only looks like one is none."""
    monkeypatch.setattr(pages, "REPOSITORY", tmp_path)
    (tmp_path / "other.md").write_text("# A `first` heading\n\n# A first heading\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-first-heading) [c](other.md#a-first-heading_1) [d](#here) ![e](https://x.org/y)\n"
        "# Here\n[1](missing.md) [2](other.md#second) [3](../) [4](htps://x.org) [5](https://x) [6](#there)\n"
        "`[code](nowhere.md)`\n```text\n[code](nowhere.md)\n```\n[`7` [x]](missing.png)\n",
        encoding="utf-8",
    )
    found = pages.links(page)
    assert len(found) == 12
    bad = ["missing.md", "other.md#second", "../", "htps://x.org", "https://x", "#there", "missing.png"]
    assert [link for link in found if fault(page, link)] == bad


def test_first_page_leads_to_all() -> None:
    """README leads to the site's first page, and that to every other."""
    assert "docs/index.md" in pages.links(pages.REPOSITORY / "README.md")
    first = pages.DOCS / "index.md"
    there = {str(path.relative_to(pages.DOCS)) for path in pages.DOCS.rglob("*.md")}
    assert there - set(pages.links(first)) == {"index.md"}


class _Loads(HTMLParser):
    """Collects what a page loads from elsewhere when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Look at a tag's addresses; those that a reader has to click on load nothing."""
        values = dict(attrs)
        loaded = [values.get("src"), values.get("data")]
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            loaded.append(values.get("href"))
        self.found += [where for where in loaded if where and (urlsplit(where).scheme or where.startswith("//"))]


@cache
def _mkdocs() -> str:
    return shutil.which("mkdocs", path=str(Path(sys.executable).parent)) or "mkdocs"


def test_site(tmp_path: Path) -> None:
    """The site is built strictly, and its pages load nothing from anywhere else."""
    command = [_mkdocs(), "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=pages.REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    built = sorted(tmp_path.rglob("*.html"))
    assert len(built) > len(list(pages.DOCS.rglob("*.md")))  # and one for what is not there
    for path in built:
        reader = _Loads()
        reader.feed(path.read_text(encoding="utf-8"))
        assert not reader.found, path
    for path in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path
