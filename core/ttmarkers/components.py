"""What hooks yield: frozen dataclasses that name a component and say where its code is.

A ``factory`` is a class, a function, or ``"module:attr"``; the string form keeps importing a plugin cheap, because
the module is imported only when the component is used. The factory is called with the options that the config gives
and must return an object of the protocol in `ttmarkers.protocols` that belongs to the kind.
"""

from __future__ import annotations

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
        split: what was a value once -> the values that it was split into; a row may hold it no longer.

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
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise ValueError(f"marker type {self.name!r}: a name has letters, digits and underscores only")
        if (self.kind == "categorical") != bool(self.values):
            raise ValueError(f"marker type {self.name!r}: categorical types have values, and no others do")
        if "" in self.values:
            raise ValueError(f"marker type {self.name!r}: an empty text is no value")


@dataclass(frozen=True)
class TaxonomyChange:
    """A change of a marker type that somebody else defines: values added, renamed or split.

    All changes of a type are made at once, in an order that does not depend on who is asked first; two that contradict
    each other are refused by name of both when the type is used (`ttmarkers.taxonomies.changes`).

    Attributes:
        name: of the change, for messages and lists.
        summary: one line that says why.
        marker: the categorical marker type that is changed.
        add: values that it did not have.
        aliases: other spelling -> value, of values old and new.
        rename: old value -> new value; the old one stays as an alias, so that annotated rows can be read.
        split: old value -> the values that take its place; rows may hold the old one no longer.

    Raises:
        ValueError: for a change that changes nothing, or contradicts itself.

    Example:
        >>> TaxonomyChange("robots", "Robots are a domain.", "domain", add=("Robotics",)).add
        ('Robotics',)
    """

    name: str
    summary: str
    marker: str
    add: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        said = f"change {self.name!r} of marker {self.marker!r}"
        several: tuple[object, ...] = (self.add, *self.split.values())
        if any(isinstance(values, str) for values in several):
            raise ValueError(f"{said}: give several values as a list, not as one text")
        if not (self.add or self.aliases or self.rename or self.split):
            raise ValueError(f"{said}: it adds, renames and splits nothing")
        parts = [part for news in self.split.values() for part in news]
        words = [*self.add, *self.aliases, *self.aliases.values(), *self.rename, *self.rename.values(), *self.split]
        if any(not isinstance(word, str) or not word for word in (*words, *parts)):
            raise ValueError(f"{said}: values are texts, and none is empty")
        for old, news in self.split.items():
            if len(set(news)) < 2:
                raise ValueError(f"{said}: {old!r} is split into two values or more: use rename for one")
            if old in news:
                raise ValueError(f"{said}: a part of {old!r} may not have its name: old rows could not be told")
        for old, new in self.rename.items():
            if old == new or old in self.split:
                raise ValueError(f"{said}: {old!r} is renamed to itself, or split as well")


@dataclass(frozen=True)
class Component:
    """What all components with code have: a name, a line of text, and a factory.

    Attributes:
        name: as users write it.
        summary: one line for listings.
        factory: what makes it, see above.
        distribution: name and version of the distribution that it is of; the loader says it, plugins leave it out.
    """

    name: str
    summary: str
    factory: Factory
    distribution: str = field(default="", kw_only=True, compare=False, repr=False)

    @property
    def foreign(self) -> bool:
        """Whether it is of another distribution than the framework's own."""
        return self.distribution.partition(" ")[0] not in ("", "ttmarkers")

    @property
    def known_as(self) -> str:
        """The name as messages give it: with the distribution, unless that is the framework's own.

        >>> Component("mood", "", "m:C", distribution="ttmarkers-mood 1.0").known_as
        "'mood' of ttmarkers-mood 1.0"
        """
        return f"{self.name!r} of {self.distribution}" if self.foreign else repr(self.name)


@dataclass(frozen=True)
class ExtractorComponent(Component):
    """Finds markers of examples (`ttmarkers.protocols.Extractor`).

    Attributes:
        markers: the marker types that it can find; none for a guided one that can find any.
        reads: what it looks at. One that reads the completion is asked again where an answer is cut; one that reads it
            alone counts for hard limits; one that reads markers alone says which cannot stand beside each other.
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
        asks: how a task asks under it: ``none`` and ``inferred`` without markers, ``fixed`` with those of each case. A
            policy that holds to markers which it is given is ``fixed``; one that chooses them itself is ``inferred``.
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
    """What taggers are told of markers: YAML (see `ttmarkers.annotation.guides`), or ``"package:path"`` of the file."""

    name: str
    summary: str
    source: str


def read_data(source: str) -> str:
    """Return a text that a component holds itself or names as ``"package:path"``.

    Raises:
        FileNotFoundError: if there is no such file.
        ModuleNotFoundError: if there is no such package.
    """
    import importlib.resources

    package, colon, path = source.partition(":")
    if not colon or not path or any(char.isspace() or char in "{}" for char in source):
        return source
    return importlib.resources.files(package).joinpath(path).read_text(encoding="utf-8")
