"""A plugin to begin with: a distribution of its own that installs and passes its own tests as it is written.

What is written are Jinja files of ``ttmarkers_templates/plugin``. Their marks are ``<% %>`` and ``<%= %>``, because
what they write holds braces of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import tempfile
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers import __version__
from ttmarkers.components import read_data
from ttmarkers.errors import ConfigError, unknown_name
from ttmarkers.manifest import refuse_existing
from ttmarkers.plugins import kinds as plugin_kinds
from ttmarkers.plugins.requirements import normal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import jinja2

    from ttmarkers.plugins.manager import Plugins

KINDS = tuple(kind for kind in plugin_kinds.KINDS if kind != plugin_kinds.CHANGE)
"""What a plugin can be begun with, in the order of the loop."""

USUAL = ("marker", "extractor")
"""The kinds that a plugin is begun with if none is named: a pair that works together."""

PREFIX = "ttmarkers-"
LONGEST = 30  # what is written stays within its own line length
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PROMISED = 3  # hooks that work without a warning today go in this many minor versions at the earliest

_FILES: tuple[tuple[str, str, frozenset[str]], ...] = (
    # path, source, kinds that it is for; of two with one path the first
    ("pyproject.toml", "pyproject.toml", frozenset()),
    ("README.md", "README.md", frozenset()),
    (".gitignore", "gitignore", frozenset()),
    ("src/MODULE/__init__.py", "hooks.py", frozenset()),
    ("src/MODULE/py.typed", "", frozenset()),
    ("src/MODULE/extract.py", "extract_count.py", frozenset({"extractor", "marker"})),
    ("src/MODULE/extract.py", "extract_task.py", frozenset({"extractor"})),
    ("src/MODULE/block.jinja", "block.jinja", frozenset({"template"})),
    ("src/MODULE/train.py", "train.py", frozenset({"strategy"})),
    ("src/MODULE/decode.py", "decode.py", frozenset({"policy"})),
    ("src/MODULE/task.py", "task.py", frozenset({"task"})),
    ("src/MODULE/sample.jsonl", "sample.jsonl", frozenset({"task"})),
    ("src/MODULE/profile.yaml", "profile.yaml", frozenset({"profile"})),
    ("src/MODULE/guide.yaml", "guide.yaml", frozenset({"guide"})),
    ("src/MODULE/command.py", "command.py", frozenset({"command"})),
    ("tests/test_plugin.py", "test_plugin.py", frozenset()),
    ("tests/test_extract.py", "test_extract_count.py", frozenset({"extractor", "marker"})),
    ("tests/test_extract.py", "test_extract_task.py", frozenset({"extractor"})),
    ("tests/test_marker.py", "test_marker.py", frozenset({"marker"})),
    ("tests/test_block.py", "test_block.py", frozenset({"template"})),
    ("tests/test_train.py", "test_train.py", frozenset({"strategy"})),
    ("tests/test_decode.py", "test_decode.py", frozenset({"policy"})),
    ("tests/test_task.py", "test_task.py", frozenset({"task"})),
    ("tests/test_profile.py", "test_profile.py", frozenset({"profile"})),
    ("tests/test_guide.py", "test_guide.py", frozenset({"guide"})),
    ("tests/test_command.py", "test_command.py", frozenset({"command"})),
)


@dataclass(frozen=True)
class Names:
    """What the parts of a plugin are called, all by its one name.

    Attributes:
        name: of the plugin, of its entry point and of most of its components, such as ``late-replies``.
        distribution: what is installed, ``ttmarkers-late-replies``.
        module: what is imported, ``ttmarkers_late_replies``.
        marker: the marker type, ``late_replies``.
        title: how its classes begin, ``LateReplies``.
    """

    name: str
    distribution: str
    module: str
    marker: str
    title: str

    def component(self, kind: str) -> str:
        """Return the name of the component of a kind."""
        return {"marker": self.marker, "policy": f"ask-{self.name}"}.get(kind, self.name)


def names_of(name: str) -> Names:
    """Return what the parts of a plugin are called.

    Args:
        name: as the user wrote it, with or without ``ttmarkers-`` before it.

    Raises:
        ConfigError: if a distribution, a module or a marker type cannot be called so, with a name that can.

    >>> names_of("late-replies").module
    'ttmarkers_late_replies'
    """
    bare = name.removeprefix(PREFIX)
    if not _NAME.fullmatch(bare) or len(bare) > LONGEST:
        raise ConfigError(
            f"a plugin cannot be called {name!r}: write lower-case letters, digits and single hyphens, a letter "
            f"first, at most {LONGEST} of them, such as {suggestion(name)!r}"
        )
    marker = bare.replace("-", "_")
    title = "".join(part.capitalize() for part in bare.split("-"))
    return Names(bare, PREFIX + bare, PREFIX.replace("-", "_") + marker, marker, title)


def suggestion(name: str) -> str:
    """Return the name of a plugin that is nearest to what was written.

    >>> suggestion("Späte Antworten!")
    'spate-antworten'
    """
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", folded).strip("-").removeprefix(PREFIX)
    return words.lstrip("-0123456789")[:LONGEST].rstrip("-") or "mood"


def chosen(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return kinds in the order of the loop, each once; the usual pair if none is named.

    Raises:
        UnknownNameError: for a kind that does not exist.
    """
    wanted = set(kinds) or set(USUAL)
    for kind in sorted(wanted - set(KINDS)):
        raise unknown_name("kind", kind, KINDS, where="--kind")
    return tuple(kind for kind in KINDS if kind in wanted)


def requirement(version: str = __version__) -> str:
    """Return which versions of ttmarkers a plugin needs that is begun with one of them.

    The lower bound is this minor version. A hook that goes warns for two minor versions before, so what works
    without a warning today is there until the third.

    >>> requirement("0.4.2"), requirement("1.0.0rc1")
    ('ttmarkers>=0.4,<0.7', 'ttmarkers>=1.0.0rc1,<1.3')
    """
    major, minor, *rest = version.split(".")
    whole = all(part.isdigit() for part in rest)
    least = f"{major}.{minor}" if whole else version  # one that comes before a version is below it
    return f"ttmarkers>={least},<{major}.{int(minor) + _PROMISED}"


def plugin_files(names: Names, kinds: Collection[str]) -> dict[str, str]:
    """Return the files of a plugin: path within its folder -> content. Depends on the arguments alone.

    Args:
        names: of its parts.
        kinds: names of `KINDS`.
    """
    known = {
        "name": names.name,
        "distribution": names.distribution,
        "module": names.module,
        "marker": names.marker,
        "title": names.title,
        "kinds": [kind for kind in KINDS if kind in kinds],
        "components": sorted(
            kind.component.__name__ for name, kind in plugin_kinds.KINDS.items() if name in kinds and kind.component
        ),
        "policy": names.component("policy"),
        "requirement": requirement(),
        # a component that uses a marker uses the plugin's own if it has one
        "asked": names.marker if "marker" in kinds else "length_tokens",
        "guided": names.marker if "marker" in kinds else "source",
        "value": 0 if "marker" in kinds else 20,
    }
    files: dict[str, str] = {}
    for path, source, needed in _FILES:
        place = path.replace("MODULE", names.module)
        if needed <= set(kinds) and place not in files:
            files[place] = _template(source).render(known) if source else ""
    return files


@cache
def _template(source: str) -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        "<%", "%>", "<%=", "%>", "<%#", "%>",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.from_string(read_data(f"ttmarkers_templates:plugin/{source}.jinja"))


def refuse_taken(names: Names, kinds: Iterable[str], plugins: Plugins, commands: Collection[str] = ()) -> None:
    """Refuse names that something else has already.

    Args:
        names: of the plugin's parts.
        kinds: of its components.
        plugins: those that are there.
        commands: further commands that are there.

    Raises:
        ConfigError: with what has the name.
    """
    way_out = "choose another name"
    for record in plugins.records:
        same = normal(record.distribution) == names.distribution
        if same or record.name == names.name:
            mend = f"uninstall it, or {way_out}" if same else way_out
            raise ConfigError(f"plugin {record.name!r} exists already, of {record.source}: {mend}")
    try:
        installed = importlib.metadata.version(names.distribution)
    except importlib.metadata.PackageNotFoundError:
        installed = ""
    if installed:
        raise ConfigError(f"{names.distribution} {installed} is installed already: uninstall it, or {way_out}")
    if importlib.util.find_spec(names.module):
        raise ConfigError(f"module {names.module!r} exists already: {way_out}")
    for kind in kinds:
        name = names.component(kind)
        for entry in plugins.registry(kind):
            if entry.component.name == name:
                raise ConfigError(f"{kind} {name!r} exists already, of {entry.distribution}: {way_out}")
        if kind == "command" and name in commands:
            raise ConfigError(f"command 'ttm {name}' exists already: {way_out}")


def write_plugin(files: Mapping[str, str], folder: Path) -> None:
    """Write the files of a plugin; its folder is there whole or not at all.

    Raises:
        OutputExistsError: if the folder exists; nothing of it is changed.
    """
    refuse_existing(folder)
    folder = folder.resolve()  # "." has no name and no parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp") as work:
        # within the private folder, so that the plugin's own has the rights of any other
        staged = Path(work) / folder.name
        for name, text in files.items():
            path = staged / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        refuse_existing(folder)
        if folder.is_dir():
            _fill(folder, staged)
        else:
            staged.rename(folder)


def _fill(folder: Path, staged: Path) -> None:
    """Move all that stands in one folder into another, which is empty: it stays itself, a shell may stand in it."""
    moved = []
    try:
        for part in sorted(staged.iterdir()):
            moved.append(folder / part.name)
            part.rename(moved[-1])
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
