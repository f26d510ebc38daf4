"""The reference page of the hooks and of all that plugins depend on, from the code.

``ttm plugins hooks --markdown > docs/reference/hooks.md`` writes the page; a test holds it to the code.
"""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, get_args

from ttmarkers import components, hookspecs, protocols, records
from ttmarkers.plugins.signatures import REQUIRED, classes, fields_of, hook_facts, hooks, methods_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import ModuleType

STARTS = {
    "Attributes:": "list",
    "Args:": "list",
    "Raises:": "list",
    "Returns:": "list",
    "::": "code",
    "Example:": "session",
}
"""What begins a list or an example in a docstring."""

HEAD = f"""# Hooks

Written by `ttm plugins hooks --markdown` from the code. A plugin is a module that an entry point of the group
`{hookspecs.PROJECT}` names; its hooks are functions marked with `{hookspecs.PROJECT}.hookspecs.hookimpl`, each of which
yields any number of components.

Hooks only gain arguments, and an implementation takes those that it names: a plugin that was written for fewer goes on
working. Fields are only gained with defaults. What is old warns for two minor releases before it goes. A module may say
`ttm_api = N` if it needs version N of the hooks; this is version {hookspecs.API}.
"""


def page() -> str:
    """Return the reference page in Markdown."""
    lines = [HEAD, _imports()]
    for name, function in hooks():
        lines += [f"## `{name}`\n", _text(function), _hook_line(function)]
    titles = {
        "components": (components, "Components", "What hooks yield."),
        "protocols": (protocols, "Protocols", "What the factories of components return, and what they are given."),
        "records": (records, "Records", "What extractors, policies and tasks take and return."),
    }
    for module, title, what in titles.values():
        lines.append(f"## {title}\n\n{what} In `{module.__name__}`.\n{_aliases(module)}")
        for kind in classes(module):
            lines += [f"### `{kind.__name__}`\n", _text(kind), *_members(kind)]
    return "\n".join(lines).rstrip() + "\n"


def _imports() -> str:
    """Return what the modules below begin with."""
    names = "".join(f"    {kind.__name__},\n" for kind in classes(components))
    lines = (
        "What stands at the top of modules like those below:\n\n```python\nimport click",
        f"from ttmarkers.components import (\n{names})",
        "from ttmarkers.hookspecs import hookimpl\n```\n",
    )
    return "\n".join(lines)


def _aliases(module: ModuleType) -> str:
    """Return the names that a module gives to types."""
    found = [(name, str(value)) for name, value in vars(module).items() if name[0].isupper() and get_args(value)]
    lines = [f"- `{name}` is `{text.replace('typing.', '').replace('collections.abc.', '')}`" for name, text in found]
    return "\n".join(["", *lines, ""]) if lines else ""


def _hook_line(function: Any) -> str:
    facts = hook_facts(function)
    arguments = ", ".join(f"`{name}`" for name in facts["arguments"]) or "no arguments"
    old = f" Old since {facts['old since']}." if "old since" in facts else ""
    return f"Takes {arguments}; returns `{facts['yields']}`.{old}\n"


def _members(kind: type[Any]) -> Iterator[str]:
    """Yield the lines on a class's fields and methods."""
    if is_dataclass(kind):
        rows = [
            f"| `{name}` | `{_cell(facts['type'])}` | {_meaning_of_default(facts)} |"
            for name, facts in fields_of(kind).items()
        ]
        if rows:
            yield "\n".join(["| field | type | default |", "|---|---|---|", *rows, ""])
        return
    for name, signature in methods_of(kind).items():
        call = f"{name}{signature}" if signature.startswith("(") else f"{name}: {signature}"
        yield f"- `{call}`: {_first_line(getattr(kind, name, None))}".removesuffix(": ")
    yield ""


def _meaning_of_default(facts: Mapping[str, Any]) -> str:
    default = REQUIRED if facts["default"] == REQUIRED else f"`{_cell(facts['default'])}`"
    by_name = ", by name alone" if "by name" in facts else ""
    old = f"; old since {facts['old since']}" if "old since" in facts else ""
    return f"{default}{by_name}{old}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")


def _text(value: Any) -> str:
    """Return a docstring as Markdown: its sections as lists, its code in fences."""
    return "\n".join(_marked(inspect.cleandoc(value.__doc__ or "").splitlines())).strip() + "\n"


def _marked(lines: Iterable[str]) -> Iterator[str]:
    within = ""
    for line in lines:
        bare = line.strip()
        if within and line and not line.startswith(" ") and bare not in STARTS:
            yield "\n" if within == "list" else "```\n"
            within = ""
        if bare in STARTS:
            gap = "\n" if within == "list" else ""
            within = STARTS[bare]
            yield f"{gap}{bare}\n" if within == "list" else f"{gap}```python"
        elif within == "code" and bare:
            yield line[4:]
        elif within == "session" and bare:
            yield bare[4:] if bare.startswith((">>> ", "... ")) else f"# {bare}"
        elif within == "list" and bare:
            name, colon, text = bare.partition(": ")
            deeper = line.startswith("        ")
            yield f"  {bare}" if deeper or not colon else f"- `{name}`: {text}"
        elif not within:
            yield line
    if within in ("code", "session"):
        yield "```"
