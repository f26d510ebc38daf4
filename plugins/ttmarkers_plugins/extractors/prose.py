r"""Tell prose from code in one pass over the lines of a text, in time linear in its length.

Fences are read as CommonMark reads them (section 4.5): a fence of three or more backticks or tildes is closed by one of
the same character that is at least as long, so that a longer fence may hold a shorter one; one that is never closed
runs to the end of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ttmarkers.records import Example

_FENCE = re.compile(r"^[ \t]{0,12}(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_MARKUP = re.compile(
    r"""(`+)[^`\n]{1,500}\1            # inline code
      | \$\$[^$]{1,2000}\$\$           # display formulas
      | \$(?=\S)[^$\n]{1,200}(?<=\S)\$ # inline formulas
      | \\\([^\n]{1,500}?\\\)
      | \\\[.{1,2000}?\\\]
      | https?://\S{1,500}
      | [\w.+-]{1,64}@[\w-]{1,64}\.\w{2,10}
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a text: prose, or the inside of a fence with the word that follows the opening fence."""

    text: str
    code: bool = False
    info: str = ""


def segments(text: str) -> list[Segment]:
    r"""Cut a text into prose and fenced code.

    >>> [(part.code, part.info, part.text) for part in segments("See:\n```py\nx = 1\n```\nDone.")]
    [(False, '', 'See:\n'), (True, 'py', 'x = 1\n'), (False, '', 'Done.')]
    """
    if "```" not in text and "~~~" not in text:
        return [Segment(text)] if text else []
    return list(_scan(text))


def _scan(text: str) -> Iterator[Segment]:
    held: list[str] = []
    fence, info = "", ""
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line.rstrip("\r\n")) if len(line) < 200 else None
        if not match:
            held.append(line)
        elif not fence:
            if held:
                yield Segment("".join(held))
            held, fence, info = [], match[1], match[2].strip()
        elif match[1].startswith(fence) and not match[2].strip():
            yield Segment("".join(held), code=True, info=info)
            held, fence = [], ""
        else:
            held.append(line)  # a shorter fence, or one with an info string, inside this one
    if held or fence:
        yield Segment("".join(held), code=bool(fence), info=info if fence else "")


def prose(text: str) -> str:
    """Return a text without code, formulas and addresses: what a language is told by."""
    plain = "\n".join(part.text for part in segments(text) if not part.code)
    return _MARKUP.sub(" ", plain) if any(mark in plain for mark in ("`", "$", "\\", "http", "@")) else plain


def is_blank(example: Example) -> bool:
    """Tell whether neither prompt nor completion has anything to read."""
    return not any(text.strip() for text in (example.completion, *(turn.content for turn in example.prompt)))
