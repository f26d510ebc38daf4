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
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from ttmarkers.components import read_data
from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ttmarkers.components import GuideComponent, MarkerType
    from ttmarkers.taxonomies.taxonomy import Taxonomy

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


def spoken_of(component: GuideComponent) -> set[str]:
    """Return the marker types that a guide says something of."""
    documents = _load(read_data(component.source), f"guide {component.name!r}")
    return {name for document in documents for name in (*(document.markers or {}), *(document.examples or {}))}


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
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"markers.guides: {path} cannot be read: {reason}") from error
        documents = _load(text, str(path))
        _check_names(documents, taxonomy, str(path))
        _add(merged, documents)
    return {kind.name: _fitted(kind, merged.get(kind.name)) for kind in taxonomy if _has(kind, merged)}


def _has(kind: MarkerType, merged: Mapping[str, Guide]) -> bool:
    return kind.name in merged or bool(kind.values)


def _fitted(kind: MarkerType, guide: Guide | None) -> Guide:
    """Return a guide with just the values that the marker type has, in its order."""
    guide = guide or Guide(kind.summary)
    # what is said of a value that was renamed holds of its new name
    said = {kind.aliases[value]: of for value, of in guide.values.items() if value in kind.aliases} | guide.values
    names = kind.values or tuple(guide.values)
    return Guide(guide.question or kind.summary, guide.reads, {n: said.get(n, ValueGuide()) for n in names})


def _key(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Key = Annotated[str, BeforeValidator(_key)]  # a point of a scale need not be quoted


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    definition: str | None = None
    examples: list[str] | None = None


class _Marker(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    question: str | None = None
    reads: Reads | None = None
    values: dict[_Key, _Value] | None = None


class _Document(BaseModel):
    """One document of a guide file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    markers: dict[str, _Marker] | None = None
    language: str | None = None
    examples: dict[str, dict[_Key, list[str] | None]] | None = None

    @model_validator(mode="after")
    def _together(self) -> _Document:
        if (self.language is None) != (self.examples is None):
            raise ValueError("'language' and 'examples' go together")
        return self


_WRONG = {"model_type": "it must hold keys with values", "extra_forbidden": "there is no such key"}


def _load(text: str, name: str) -> list[_Document]:
    try:
        # as safe as safe_load, and ten times as fast
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = [document for document in yaml.load_all(text, Loader=loader) if document is not None]
    except yaml.YAMLError as error:
        raise ConfigError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    try:
        return [_Document.model_validate(document) for document in documents]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "a guide"
        what = _WRONG.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise ConfigError(f"{name}: {place}: {what}") from error


def _check_names(documents: Sequence[_Document], taxonomy: Taxonomy, name: str) -> None:
    for document in documents:
        named = {marker: list(entry.values or ()) for marker, entry in (document.markers or {}).items()}
        for marker, values in [*named.items(), *(document.examples or {}).items()]:
            kind = taxonomy.get(marker, where=name)
            for value in values:
                if kind.values and value not in kind.values:
                    hint = did_you_mean(value, kind.values)
                    raise ConfigError(f"{name}: marker {marker!r} has no value {value!r}: {hint}")


def _add(merged: dict[str, Guide], documents: Iterable[_Document]) -> None:
    for document in documents:
        for marker, entry in (document.markers or {}).items():
            guide = merged.setdefault(marker, Guide(""))
            guide.question = entry.question or guide.question
            guide.reads = entry.reads or guide.reads
            for value, said in (entry.values or {}).items():
                place = guide.values.setdefault(value, ValueGuide())
                place.definition = said.definition or place.definition
                if said.examples:
                    place.examples[ENGLISH] = said.examples
        for marker, values in (document.examples or {}).items():
            guide = merged.setdefault(marker, Guide(""))
            for value, texts in values.items():
                guide.values.setdefault(value, ValueGuide()).examples[document.language or ENGLISH] = texts or []
