"""What a shell is told when it completes a word: names of components, config keys, markers and values, files.

Nothing heavy is imported, and nothing is imported before it is asked for. What fails yields no words: a shell that
completes has no place for errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import click

    from ttmarkers.cli import Context
    from ttmarkers.taxonomies.taxonomy import Taxonomy

Completer = Callable[["click.Context", "click.Parameter", str], list[CompletionItem[str]]]

OPEN = "open"
"""Kind of a word that goes on, such as ``lang=``: no space is written behind it."""

CHOSEN = {
    "template": "templates",
    "data.profile": "profiles",
    "train.strategy": "strategies",
    "decode.policy": "policies",
}
"""Config keys whose value is the name of a component, and of which kind."""

INNER = {
    "markers.options": "extractors",
    "decode.options": "policies",
    "evaluate.options": "tasks",
    **dict.fromkeys(
        (
            "markers.declared",
            "markers.extractors",
            "markers.least_confidence",
            "dropout.rates",
            "decode.markers",
            "decode.negative",
        ),
        "marker_types",
    ),
}
"""Config keys below which names of components stand, and of which kind."""


def files(_context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Let the shell complete files."""
    return [CompletionItem(word, type="file")]


def models(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete models that are made from nothing, and let the shell complete folders."""
    return [*_plain(_scratch(), word), *files(context, param, word)]


def _scratch() -> list[str]:
    from ttmarkers.models.loading import PREFIX, SIZES

    return [f"{PREFIX}{size}" for size in SIZES]


def of(words: Iterable[str]) -> Completer:
    """Return a completer for words that are known."""
    known = list(words)
    return lambda _context, _param, word: _plain(known, word)


def names(kind: str, *, files: bool = False) -> Completer:
    """Return a completer for names of components.

    Args:
        kind: a method of `ttmarkers.plugins.manager.Plugins`, such as ``tasks``.
        files: whether a file may stand there too.
    """

    def complete(context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
        found = _components(context, kind, word)
        return [*found, CompletionItem(word, type="file")] if files else found

    return complete


def plugins(_context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete names of plugins, without loading any."""
    from ttmarkers.plugins.manager import discover

    return _plain([candidate.name for candidate in discover()], word)


def marker_lists(context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete the last of marker types that are separated by commas."""
    before, comma, last = word.rpartition(",")
    taken = set(before.split(","))
    kinds = [kind for kind in _taxonomy(context) if kind.name not in taken and kind.name.startswith(last)]
    return [CompletionItem(f"{before}{comma}{kind.name}", help=kind.summary) for kind in kinds]


def markers(context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete ``NAME=VALUE`` by the markers of the model that is named, or of all plugins."""
    taxonomy = _taxonomy(context)
    name, equals, value = word.partition("=")
    if equals:
        return _plain(taxonomy.get(name).values, value, before=f"{name}=")
    return [
        CompletionItem(f"{kind.name}=", type=OPEN, help=kind.summary) for kind in taxonomy if kind.name.startswith(word)
    ]


def strengths(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete the name in ``[NAME=]X``."""
    return [] if "=" in word else markers(context, param, word)


def settings(context: click.Context, _param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete ``KEY=VALUE`` of the config: section by section, then the values of keys that have a list of them."""
    key, equals, value = word.partition("=")
    return _plain(_values(context, key), value, before=f"{key}=") if equals else _keys(context, word)


def experiment_settings(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem[str]]:
    """Complete ``KEY=VALUE`` of an experiment, which holds a config under the key ``config``."""
    from ttmarkers.experiments.file import ExperimentConfig
    from ttmarkers.settings import keys

    section, dot, rest = word.partition(".")
    if dot:
        inside = settings(context, param, rest) if section == "config" else []
        return [CompletionItem(f"{section}.{item.value}", type=item.type, help=item.help) for item in inside]
    found = keys(ExperimentConfig)
    return [
        CompletionItem(f"{key}{'.' if more else '='}", type=OPEN) for key, more in found.items() if key.startswith(word)
    ]


def _values(context: click.Context, key: str) -> Iterable[str]:
    """Return the values of a key, as far as they are known."""
    section, _, last = key.rpartition(".")
    if key in CHOSEN:
        return _told(context, CHOSEN[key])
    if section in ("decode.markers", "decode.negative"):
        return _taxonomy(context).get(last).values
    from ttmarkers.config import Config
    from ttmarkers.settings import choices
    from ttmarkers.taxonomies.taxonomy import PROFILES

    if key == "markers.taxonomy":
        return list(PROFILES)
    return _scratch() if key == "train.model" else choices(Config, key.split("."))


def _keys(context: click.Context, word: str) -> list[CompletionItem[str]]:
    """Return the keys of the section that a word has come to; those of mappings are names of components."""
    from ttmarkers.config import Config
    from ttmarkers.settings import keys

    section, dot, last = word.rpartition(".")
    if section in INNER:
        inside = _components(context, INNER[section], last, before=f"{section}{dot}")
        whole = "." if section.endswith((".options", ".declared")) else "="
        return [CompletionItem(f"{item.value}{whole}", type=OPEN, help=item.help) for item in inside]
    found = keys(Config, section.split(".") if section else [])
    return [
        CompletionItem(f"{section}{dot}{key}{'.' if inner or f'{section}.{key}' in INNER else '='}", type=OPEN)
        for key, inner in found.items()
        if key.startswith(last)
    ]


def _components(context: click.Context, kind: str, word: str, before: str = "") -> list[CompletionItem[str]]:
    return _plain(_told(context, kind), word, before=before)


def _told(context: click.Context, kind: str) -> dict[str, str]:
    """Return the names of components, with what each says of itself."""
    registry: Iterable[Any] = getattr(_ours(context).plugins, kind)()
    return {entry.component.name: entry.component.summary for entry in registry}


def _plain(words: Iterable[str], begin: str, *, before: str = "") -> list[CompletionItem[str]]:
    """Return the words that begin as asked; a mapping holds a line of help for each."""
    told: Mapping[str, str] = words if isinstance(words, dict) else {}
    return [CompletionItem(f"{before}{word}", help=told.get(word)) for word in words if word.startswith(begin)]


def _taxonomy(context: click.Context) -> Taxonomy:
    """Return the markers of the model that the command line names, if it lies here; else those of all plugins."""
    from ttmarkers.taxonomies.taxonomy import make_taxonomy

    # click does not say what stands before an option whose value is being written
    for word in filter(os.path.isdir, _ours(context).typed):
        from ttmarkers.checkpoints.checkpoint import FILE, load_checkpoint

        if (Path(word) / FILE).is_file():
            wording = load_checkpoint(word).wording
            return wording.users or wording.learned
    kinds = _ours(context).plugins.marker_types()
    return make_taxonomy({entry.component.name: entry.component for entry in kinds})


def _ours(context: click.Context) -> Context:
    found: Context = context.obj
    return found
