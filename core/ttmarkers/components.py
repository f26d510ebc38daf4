"""What hooks yield: frozen dataclasses that name a component and say where its code is.

A ``factory`` is a class, a function, or ``"module:attr"``; the string form keeps importing a plugin cheap, because
the module is imported only when the component is used. The factory is called with the options that the config gives
and must return an object of the protocol in `ttmarkers.protocols` that belongs to the kind.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Factory = Callable[..., Any] | str
Kind = Literal["categorical", "int", "float"]
Reads = Literal["prompt", "completion", "columns", "markers"]


@dataclass(frozen=True)
class MarkerType:
    """A property that an example can have, such as ``lang`` or ``length_tokens``.

    Attributes:
        name: as written in a block; letters, digits and underscores.
        summary: one line for ``ttm markers list``.
        kind: ``categorical``, ``int`` or ``float``.
        values: the values of a categorical type, in order; empty for numbers.
        aliases: other spellings of a value, such as ``fr`` for ``French``; matched without regard to case.
        minimum: the least value of a number.
        unit: what a number counts.

    Example:
        >>> MarkerType("mood", "How the answer feels.", "categorical", ("happy", "sad")).values
        ('happy', 'sad')
    """

    name: str
    summary: str
    kind: Kind
    values: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    minimum: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"marker type {self.name!r}: a name has letters, digits and underscores only")
        if (self.kind == "categorical") != bool(self.values):
            raise ValueError(f"marker type {self.name!r}: categorical types have values, and no others do")
        if "" in self.values:
            raise ValueError(f"marker type {self.name!r}: an empty text is no value")


@dataclass(frozen=True)
class Component:
    """What all components with code have: a name, a line of text, and a factory."""

    name: str
    summary: str
    factory: Factory


@dataclass(frozen=True)
class ExtractorComponent(Component):
    """Finds markers of examples (`ttmarkers.protocols.Extractor`).

    Attributes:
        markers: the marker types that it can find; none for a guided one that can find any.
        reads: what it looks at.
        needs: markers that must be found before it runs.
        default: asked without being named in the config, after the data set's own word.
        fits: whether it must see the markers of the whole data set before it can find any
            (`ttmarkers.protocols.FittedExtractor`).
        guided: whether it is told what the values mean (`ttmarkers.protocols.GuidedExtractor`).
        patient: whether it keeps to time limits of its own, as one that waits for a server; it is not watched then.
        neutral: options that change how it works and no result, so that a run may be resumed with others.
    """

    markers: tuple[str, ...] = ()
    reads: tuple[Reads, ...] = ("completion",)
    needs: tuple[str, ...] = ()
    default: bool = True
    fits: bool = False
    guided: bool = False
    patient: bool = False
    neutral: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateComponent:
    """A block template: Jinja source, or ``"package:path"`` of the file that holds it."""

    name: str
    summary: str
    source: str


@dataclass(frozen=True)
class StrategyComponent(Component):
    """A way to train (`ttmarkers.protocols.Strategy`)."""


@dataclass(frozen=True)
class PolicyComponent(Component):
    """A way to choose and enforce markers while decoding (`ttmarkers.protocols.Policy`).

    Attributes:
        asks: how a task asks under it: ``none``, ``inferred``, or with markers, ``fixed``.
    """

    asks: Literal["none", "inferred", "fixed"] = "inferred"


@dataclass(frozen=True)
class TaskComponent(Component):
    """A measured use: data, how to ask, how to score (`ttmarkers.protocols.Task`)."""


@dataclass(frozen=True)
class ProfileComponent:
    """What is known of a data set: a part of the config in YAML, or ``"package:path"`` of the file that holds it.

    The user's own config and options come after it.
    """

    name: str
    summary: str
    source: str


@dataclass(frozen=True)
class GuideComponent:
    """What taggers are told of markers: YAML (see `ttmarkers.guides`), or ``"package:path"`` of the file."""

    name: str
    summary: str
    source: str


def read_data(source: str) -> str:
    """Return a text that a component holds itself or names as ``"package:path"``.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if there is no such package.
    """
    package, colon, path = source.partition(":")
    if not colon or not path or any(char.isspace() or char in "{}" for char in source):
        return source
    return importlib.resources.files(package).joinpath(path).read_text(encoding="utf-8")
