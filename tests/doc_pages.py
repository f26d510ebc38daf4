"""Pages of the documentation, taken apart into code blocks and the directives that say how each is run.

A directive is an HTML comment, which no reader sees. In front of a block, for that block:

    <!-- norun: WHY -->          it is not run, but what can be checked of it without running is
    <!-- output varies: WHY -->  what stands below its commands is not compared
    <!-- set: KEY=VALUE ... -->  commands that take ``--set`` get these more, so that the block is run in seconds
    <!-- file: NAME -->          it is written as this file, as ``title="NAME"`` behind the language does
    <!-- yaml: KIND -->          ``config``, ``experiment``, ``guide``, or ``other`` of another program

Anywhere, in the order of the page:

    <!-- given: KIND NAME -->    a file or folder that the page names is made (`doc_given`)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*/README.md")
BLOCK_DIRECTIVES = ("norun", "output varies", "set", "file", "yaml")
GIVEN = "given"
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*) *(?P<rest>.*)$")
_COMMENT = re.compile(r"^ *<!-- (?P<name>[a-z ]+): (?P<text>.+?) -->$")
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes:
        page: path of its page below the root.
        line: of its fence, from 1.
        language: the word behind the fence.
        text: its lines, without the fence and its indentation.
        directives: what stands in front of it, by name.
    """

    page: str
    line: int
    language: str
    text: str
    directives: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Page and line, as messages name the block."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The file that it is written as; empty if it is none."""
        return self.directives.get("file", "")

    @property
    def runs(self) -> bool:
        """Whether it is run."""
        return "norun" not in self.directives


@dataclass(frozen=True)
class Given:
    """What a page is given: a kind of `doc_given`, and the name that the page has for it."""

    page: str
    line: int
    kind: str
    name: str

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return all pages of the documentation, as paths below the root."""
    return sorted(str(path.relative_to(ROOT)) for pattern in PAGES for path in ROOT.glob(pattern))


def read_page(page: str) -> list[Block | Given]:
    """Return the blocks of a page, and what it is given, in order.

    Raises:
        ValueError: for a directive that there is not, that stands in front of no block, or a fence that is not closed.
    """
    return parse_page(page, (ROOT / page).read_text(encoding="utf-8"))


def parse_page(page: str, text: str) -> list[Block | Given]:
    """Do what `read_page` does with the text of a page."""
    items: list[Block | Given] = []
    waiting: dict[str, str] = {}
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        comment, fence = _COMMENT.match(line), _FENCE.match(line)
        if comment:
            name, rest = comment["name"], comment["text"]
            if name == GIVEN:
                kind, _, target = rest.partition(" ")
                items.append(Given(page, number, kind, target.strip()))
            elif name in BLOCK_DIRECTIVES:
                waiting[name] = rest
            else:
                raise ValueError(f"{page}:{number}: there is no directive {name!r}: see tests/doc_pages.py")
        elif fence:
            body = _body(page, number, fence, lines)
            title = _TITLE.search(fence["rest"])
            named = {"file": title[1]} if title else {}
            items.append(Block(page, number, fence["language"], body, {**named, **waiting}))
            waiting = {}
        elif line.strip() and waiting and not line.startswith("<!--"):
            raise ValueError(f"{page}:{number}: {', '.join(waiting)} stands in front of no block")
    return items


def _body(page: str, start: int, fence: re.Match[str], lines: enumerate[str]) -> str:
    indent = len(fence["indent"])
    found: list[str] = []
    for _, line in lines:
        stripped = line.strip()
        if stripped.startswith(fence["fence"]) and not stripped.strip(fence["fence"][0]):
            return "\n".join(found)
        found.append(line[min(indent, len(line) - len(line.lstrip(" "))) :])
    raise ValueError(f"{page}:{start}: the fence is not closed")


@dataclass(frozen=True)
class Command:
    """A command line of a console block, and the output that is printed below it."""

    text: str
    output: tuple[str, ...]


def commands(block: Block) -> list[Command]:
    """Return the commands of a console block (lines behind ``$``), or of a script (all lines)."""
    found: list[tuple[str, list[str]]] = []
    open_line = False
    for line in block.text.splitlines():
        if open_line:
            text, output = found[-1]
            found[-1] = (f"{text.removesuffix(chr(92)).rstrip()} {line.strip()}", output)
        elif block.language == "bash" or line.startswith("$ "):
            if line.strip() and not line.startswith("#"):
                found.append((line.removeprefix("$ "), []))
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"{block.place}: a console block begins with '$ ' and a command")
        open_line = bool(found) and not found[-1][1] and found[-1][0].endswith("\\")
    return [Command(text, tuple(output)) for text, output in found]
