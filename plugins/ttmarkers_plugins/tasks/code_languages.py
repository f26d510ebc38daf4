"""The programming languages in which answers are run, and what is told of each by looking at its text."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field

from ttmarkers_plugins.marker_types import CODE_ALIASES, CODE_TYPES

_CHARACTER = r"'(?:\\[^'\n]{1,10}|[^'\\\n])'"
_TOKENS = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|[{}]'


@dataclass(frozen=True)
class Language:
    """A language, and how its definitions and imports look.

    Attributes:
        name: its value of the marker ``code_type``.
        title: its name for people.
        tools: the programs that compile and run it.
        definition: pattern of the definition of ``NAME``, searched for line by line.
        helper: pattern that finds the names of all functions a text defines.
        imports: pattern of lines that import something.
        start: pattern of lines that code without a fence may begin with.
        braces: whether blocks are in braces.
        tokens: comments, literals and braces, for languages with braces.
    """

    name: str
    title: str
    tools: tuple[str, ...]
    definition: str
    helper: re.Pattern[str]
    imports: re.Pattern[str]
    start: re.Pattern[str]
    braces: bool = True
    tokens: re.Pattern[str] = field(default=re.compile(f"{_TOKENS}|{_CHARACTER}", re.DOTALL))

    def defines(self, text: str, name: str) -> bool:
        """Tell whether a text defines a function (or class) of this name."""
        return self.find(text, name) is not None

    def find(self, text: str, name: str) -> re.Match[str] | None:
        """Find where a text defines a name."""
        return re.search(self.definition.replace("NAME", re.escape(name)), text, re.MULTILINE)

    def helpers(self, text: str) -> set[str]:
        """Return the names of the functions that a text defines."""
        return {match[1] for match in self.helper.finditer(text)}

    @property
    def installed(self) -> bool:
        """Whether what compiles and runs it is on the path."""
        return all(shutil.which(tool) for tool in self.tools)


def _lines(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


# a type, a name, parameters and an opening brace: a call is followed by something else
_TYPED = (
    r"^[ \t]*(?=[\w:])(?!return\b|else\b|new\b|function\b)"
    r"[\w:<>,\[\]&*~ \t]*[\w>\]&*][ \t&*]+NAME\s*\([^;{}]*\)[^;{}()]*\{"
)
_C_HELPER = _lines(
    r"^[ \t]*(?!return\b|else\b|new\b)[\w:<>,\[\]&*]+[\w:<>,\[\]&* \t]*[ \t&*](\w+)\s*\([^;{}]*\)[^;{}()]*\{"
)

LANGUAGES = {
    language.name: language
    for language in (
        Language(
            "python",
            "Python",
            (),
            r"^(?:async[ \t]+def|def|class)[ \t]+NAME\b|^NAME[ \t]*(?::[^=\n]+)?=(?!=)",
            _lines(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)"),
            _lines(r"^(?:import|from)[ \t]+[\w.]+.*$"),
            _lines(r"^(?:import|from|def|async|class)[ \t]+\w|^@\w"),
            braces=False,
        ),
        Language(
            "javascript",
            "JavaScript",
            ("node",),
            r"(?:\bfunction\b\s*\*?\s*|\bclass\s+)NAME\b|^(?:(?:export\s+)?(?:const|let|var)\s+)?NAME\s*=(?!=)"
            r"|\b(?:const|let|var)\s+NAME\s*=\s*(?:async\b\s*)?(?:function\b|\w+\s*=>|\([^()]*\)\s*=>)",
            _lines(r"(?:\bfunction\b\s*\*?\s*|^[ \t]*(?:const|let|var|class)\s+)(\w+)"),
            _lines(r"^(?:const|let|var)[ \t]+[^=\n]+=[ \t]*require\(.*$"),
            _lines(
                r"^(?:export\s+)?(?:async\s+)?(?:const|let|var|function|class)\b|^/[/*]|^'use strict'|^\"use strict\""
            ),
            tokens=re.compile(rf"{_TOKENS}|`(?:\\.|[^`\\])*`|'(?:\\.|[^'\\\n])*'", re.DOTALL),
        ),
        Language(
            "cpp",
            "C++",
            ("g++",),
            _TYPED,
            _C_HELPER,
            _lines(r"^[ \t]*(?:#[ \t]*include\b|using\b).*$"),
            _lines(r"^#|^using\b|^template\b|^/[/*]|^(?:struct|class)\b|^[\w:<>,&* \t]+\([^;{}]*\)\s*\{"),
        ),
        Language(
            "java",
            "Java",
            ("java", "javac"),
            _TYPED,
            _C_HELPER,
            _lines(r"^[ \t]*import\b.*$"),
            _lines(r"^import\b|^(?:public\s+|final\s+)*class\b|^/[/*]|^[ \t]*(?:public|private|static)\b"),
        ),
        Language(
            "rust",
            "Rust",
            ("rustc",),
            r"\bfn[ \t]+NAME\b",
            _lines(r"\bfn[ \t]+(\w+)"),
            _lines(r"^[ \t]*use\b.*$"),
            _lines(r"^(?:pub\s+)?(?:fn|use|struct|enum|impl|mod|const|static|trait)\b|^/[/*]|^#!?\["),
        ),
    )
}
"""Those that can be run, by name."""

TITLES = {"go": "Go", "csharp": "C#", "php": "PHP", "sql": "SQL"}


def language_name(word: str) -> str | None:
    """Return the value of ``code_type`` that a word stands for, such as ``cpp`` for ``C++``; None if it is none.

    >>> language_name("C++"), language_name("Python"), language_name("prose")
    ('cpp', 'python', None)
    """
    lower = word.strip().lower()
    name = CODE_ALIASES.get(lower, lower)
    return name if name in CODE_TYPES else None


def title(name: str) -> str:
    """Return a language's name for people."""
    return LANGUAGES[name].title if name in LANGUAGES else TITLES.get(name, name.capitalize())
