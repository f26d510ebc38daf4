"""The program in an answer: out of its fence or its prose, and completed by what the prompt gave.

The first fenced block that defines the wanted function, else a block (or text without fences) that goes on from the
prompt's declaration as its body, else the longest block; a text without fences is cut to the code in it. Blocks that
say they are of another language count only if there are no others. Imports and helper functions of the prompt are put
before the program, as far as it does not define them itself.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from typing import TYPE_CHECKING

from ttmarkers_plugins.extractors.prose import segments
from ttmarkers_plugins.tasks.code_languages import LANGUAGES, language_name

if TYPE_CHECKING:
    from ttmarkers_plugins.tasks.code_languages import Language
    from ttmarkers_plugins.tasks.code_problems import Problem

MOST_STARTS = 50
MOST_CUTS = 200
_DOES = (ast.Return, ast.Raise, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If, ast.With, ast.Try)
_GLUED = re.compile(r"(?<=[;})\]\w])(`{3,})[ \t]*$", re.MULTILINE)
_CLASS = re.compile(r"\bclass\s+Solution\b")


def find_program(text: str, problem: Problem) -> str | None:
    """Return the whole program of an answer, ready to be tested; None if there is none in it."""
    language, entry = LANGUAGES[problem.language], problem.entry_point
    text = text.encode(errors="replace").decode()
    blocks = _blocks(text, language)
    if not blocks:
        plain = _bare(text, language, entry)
        return _whole(plain, problem) if plain else _body(text, problem) or _parsed(text, language)
    for block in blocks:
        for code in (block, textwrap.dedent(block)):
            if language.defines(code, entry):
                return _whole(code, problem)
    longest = max(blocks, key=len)
    return _body(longest, problem) or (_whole(textwrap.dedent(longest), problem) if longest.strip() else None)


def _blocks(text: str, language: Language) -> list[str]:
    """Return the fenced blocks: those that are of the language or do not say, else all."""
    fenced = [part for part in segments(_GLUED.sub(r"\n\1", text)) if part.code]
    words = [language_name(part.info.split()[0].strip("{}.,")) if part.info else None for part in fenced]
    alike = (None, language.name, "c" if language.name == "cpp" else language.name)
    own = [part.text for part, word in zip(fenced, words, strict=True) if word in alike]
    return own or [part.text for part in fenced]


def _bare(text: str, language: Language, entry: str) -> str | None:
    """Return the code of an answer without fences that defines the function; None if there is none."""
    if not language.defines(text, entry):
        return None
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if language.start.match(line)][:MOST_STARTS]
    if language.braces:
        end = next((n for n in range(len(lines), 0, -1) if lines[n - 1].rstrip().endswith(("}", ";"))), len(lines))
        return "\n".join(lines[starts[0] if starts else 0 : end]) + "\n"
    for start in starts:
        code = _until_it_parses("\n".join(lines[start:]))
        if code and language.defines(code, entry):
            return code
    return text  # it is meant as code, and will fail as such


def _until_it_parses(code: str, head: str = "") -> str | None:
    """Return Python code without what follows the last line up to which it parses behind ``head``."""
    lines = code.splitlines()
    before = head.count("\n")
    for _ in range(MOST_CUTS):
        text = "\n".join(lines) + "\n"
        if not text.strip():
            return None
        fault = _fault(head + text)
        if fault is None:
            return text
        lines = lines[: max(min(fault - 1 - before, len(lines) - 1), 0)]
    return None


def _fault(code: str) -> int | None:
    """Return the line at which Python code does not parse; None if it does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def _parsed(text: str, language: Language) -> str | None:
    """Return a text that is Python and does something, such as a definition under another name."""
    if language.braces or _fault(text) is not None:
        return None
    does = (*_DOES, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return text if any(isinstance(node, does) for node in ast.parse(text).body) else None


def _body(text: str, problem: Problem) -> str | None:
    """Return declaration and body if a text goes on from the declaration; None if it does not."""
    if not problem.declaration or not text.strip():
        return None
    if LANGUAGES[problem.language].braces:
        return _braced_body(text, problem)
    head = problem.declaration.rstrip("\n") + "\n"
    for body in (text.strip("\n"), "    " + text.strip(), textwrap.indent(text.strip("\n"), "    ")):
        code = _until_it_parses(body, head)
        if code and _does_something(head + code, problem.entry_point):
            return head + code
    return None


def _does_something(code: str, entry: str) -> bool:
    """Tell whether the function has more than words and a docstring for its body."""
    found = [
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry
    ]
    return bool(found) and any(isinstance(node, _DOES) for node in found[-1].body)


def _braced_body(text: str, problem: Problem) -> str | None:
    """Return declaration and body up to the brace that closes it."""
    language = LANGUAGES[problem.language]
    depth = sum({"{": 1, "}": -1}.get(found[0], 0) for found in language.tokens.finditer(problem.declaration))
    for found in language.tokens.finditer(text):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return f"{problem.declaration.rstrip()}\n{text[: found.end()]}\n"
    # the class around a method may be left open
    return f"{problem.declaration.rstrip()}\n{text}\n}}\n" if depth == 1 and language.name == "java" else None


def _whole(code: str, problem: Problem) -> str:
    """Return a program with the imports and helpers of the prompt that it lacks."""
    language = LANGUAGES[problem.language]
    found = language.find(problem.declaration, problem.entry_point) if problem.declaration else None
    head = problem.declaration[: found.start()] if found else ""
    imports = [line for line in language.imports.findall(head) if line.strip() not in code]
    rest = language.imports.sub("", head)
    if language.name == "java":
        return _java(code, imports, rest)
    helpers = language.helpers(rest)
    kept = rest.strip("\n") if helpers and not helpers & language.helpers(code) else ""
    future = [line for line in code.splitlines() if line.startswith("from __future__")]
    code = "\n".join(line for line in code.splitlines() if line not in future) if future else code
    return "\n".join([*future, *imports, *([kept] if kept else []), code.rstrip(), ""])


def _java(code: str, imports: list[str], rest: str) -> str:
    """Return a class ``Solution`` with imports; methods alone are put into one, with the helpers of the prompt."""
    if _CLASS.search(code):
        return "\n".join([*imports, code.rstrip(), ""])
    own = re.findall(r"^[ \t]*import\b.*$", code, re.MULTILINE)
    methods = re.sub(r"^[ \t]*import\b.*$", "", code, flags=re.MULTILINE)
    opened = rest.strip("\n") if _CLASS.search(rest) else "class Solution {"
    return "\n".join([*imports, *own, opened, methods.rstrip(), "}", ""])
