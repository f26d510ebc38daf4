"""What a tagger is told of a marker: the question, the definition of each value, and examples in several languages.

A guide is a YAML file with one of two forms, or both::

    markers:
      mood:
        question: How does the answer feel?
        reads: both            # prompt, completion or both: what the tagger is shown
        values:
          happy: {definition: Full of joy., examples: ["What a day!"]}   # English examples
    ---
    language: fr
    examples:
      mood: {happy: ["Quelle belle journée !"]}

Guides of plugins come first, files that the config names after them; a later one replaces what it repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml

from ttmarkers.components import read_data
from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.components import GuideComponent, MarkerType
    from ttmarkers.taxonomy import Taxonomy

Reads = Literal["prompt", "completion", "both"]
ENGLISH = "en"


@dataclass
class ValueGuide:
    """What is said of one value: a definition, and examples by ISO code of their language."""

    definition: str = ""
    examples: dict[str, list[str]] = field(default_factory=dict)

    def in_language(self, code: str) -> list[str]:
        """Return the examples in a language, the English ones if there are none."""
        return self.examples.get(code) or self.examples.get(ENGLISH, [])


@dataclass
class Guide:
    """What is said of one marker. Numbers have guides too: their values are points of a scale, such as ``"1"``.

    Attributes:
        question: what is decided.
        reads: what a tagger is shown.
        values: value -> what is said of it, in the taxonomy's order.
    """

    question: str
    reads: Reads = "prompt"
    values: dict[str, ValueGuide] = field(default_factory=dict)


@dataclass(frozen=True)
class Briefing:
    """What a guided extractor is told.

    Attributes:
        types: the marker types that are wanted from it.
        guides: marker -> what is said of it.
        max_cost: what the whole run may spend, in the currency of the prices that the config gives.
        run: a name of the run that all its processes share, to add up what they spend.
    """

    types: tuple[MarkerType, ...]
    guides: Mapping[str, Guide]
    max_cost: float | None = None
    run: str = ""


def read_guides(components: Iterable[GuideComponent], files: Sequence[Path], taxonomy: Taxonomy) -> dict[str, Guide]:
    """Merge guides, and leave out markers and values that the taxonomy does not have.

    A categorical marker of the taxonomy without any guide gets one of its summary and the bare names of its values.

    Raises:
        ConfigError: if a file cannot be read, has another form, or one of the user's names what does not exist.
    """
    merged: dict[str, Guide] = {}
    for component in components:
        _add(merged, _load(read_data(component.source), f"guide {component.name!r}"))
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"markers.guides: {path} cannot be read: {error.strerror}") from error
        documents = _load(text, str(path))
        _check_names(documents, taxonomy, str(path))
        _add(merged, documents)
    return {kind.name: _fitted(kind, merged.get(kind.name)) for kind in taxonomy if _has(kind, merged)}


def _has(kind: MarkerType, merged: Mapping[str, Guide]) -> bool:
    return kind.name in merged or bool(kind.values)


def _fitted(kind: MarkerType, guide: Guide | None) -> Guide:
    """Return a guide with just the values that the marker type has, in its order."""
    guide = guide or Guide(kind.summary)
    names = kind.values or tuple(guide.values)
    return Guide(guide.question or kind.summary, guide.reads, {n: guide.values.get(n, ValueGuide()) for n in names})


def _load(text: str, name: str) -> list[dict[str, Any]]:
    try:
        # as safe as safe_load, and ten times as fast
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = [document for document in yaml.load_all(text, Loader=loader) if document is not None]
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    for document in documents:
        _check_form(document, name)
    return documents


def _check_form(document: Any, name: str) -> None:
    def need(good: bool, what: str) -> None:
        if not good:
            raise ConfigError(f"{name}: {what}")

    need(isinstance(document, dict), "a guide holds the key 'markers', or 'language' and 'examples'")
    for key in document:
        need(key in ("markers", "language", "examples"), f"there is no key {key!r} in a guide")
    for marker, entry in (document.get("markers") or {}).items():
        need(isinstance(entry, dict), f"markers.{marker} must hold question, reads and values")
        for key in entry:
            need(key in ("question", "reads", "values"), f"markers.{marker} has no key {key!r}")
        need(entry.get("reads", "prompt") in get_args(Reads), f"markers.{marker}.reads is prompt, completion or both")
        for value, said in (entry.get("values") or {}).items():
            good = isinstance(said, dict) and set(said) <= {"definition", "examples"} and _texts(said.get("examples"))
            need(good, f"markers.{marker}.values.{value} holds a definition and a list of examples")
    need(("language" in document) == ("examples" in document), "'language' and 'examples' go together")
    for marker, values in (document.get("examples") or {}).items():
        good = isinstance(values, dict) and all(_texts(texts) for texts in values.values())
        need(good, f"examples.{marker} must map each value to a list of texts")


def _texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(text, str) for text in value))


def _check_names(documents: Sequence[Mapping[str, Any]], taxonomy: Taxonomy, name: str) -> None:
    for document in documents:
        named = {marker: (entry.get("values") or {}) for marker, entry in (document.get("markers") or {}).items()}
        for marker, values in [*named.items(), *(document.get("examples") or {}).items()]:
            kind = taxonomy.get(marker, where=name)
            for value in values:
                if kind.values and str(value) not in kind.values:
                    hint = did_you_mean(str(value), kind.values)
                    raise ConfigError(f"{name}: marker {marker!r} has no value {value!r}: {hint}")


def _add(merged: dict[str, Guide], documents: Iterable[Mapping[str, Any]]) -> None:
    for document in documents:
        for marker, entry in (document.get("markers") or {}).items():
            guide = merged.setdefault(marker, Guide(""))
            guide.question = entry.get("question", guide.question)
            guide.reads = entry.get("reads", guide.reads)
            for value, said in (entry.get("values") or {}).items():
                place = guide.values.setdefault(str(value), ValueGuide())
                place.definition = said.get("definition", place.definition)
                if said.get("examples"):
                    place.examples[ENGLISH] = said["examples"]
        for marker, values in (document.get("examples") or {}).items():
            guide = merged.setdefault(marker, Guide(""))
            for value, texts in values.items():
                guide.values.setdefault(str(value), ValueGuide()).examples[document["language"]] = list(texts or [])
