"""Changes of one marker type, made at once.

A change adds values, renames them or splits them (`ttmarkers.components.TaxonomyChange`). First every value is there
that is added, then come the renames and splits of what is there, then the other spellings. So no change depends on
which plugin is asked first, and none may build on what another one renames or splits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, PluginError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ttmarkers.components import MarkerType, TaxonomyChange

CONFIG = "the config"
KEY = "markers.types"


@dataclass(frozen=True)
class Sourced:
    """A change and where it comes from: distribution and version, or the config's key."""

    change: TaxonomyChange
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return what is changed, and where that comes from."""
        change = self.change
        split = {old: list(parts) for old, parts in change.split.items()}
        said = {"add": list(change.add), "aliases": dict(change.aliases), "rename": dict(change.rename), "split": split}
        return {"from": self.source, "name": change.name, **{key: value for key, value in said.items() if value}}

    def __str__(self) -> str:
        change = self.change
        said = [f"adds {', '.join(change.add)}"] if change.add else []
        said += [f"renames {old} to {new}" for old, new in change.rename.items()]
        said += [f"splits {old} into {', '.join(parts)}" for old, parts in change.split.items()]
        said += [f"writes {value} also as {alias}" for alias, value in change.aliases.items()]
        return f"{self.source} {'; '.join(said)}"


def change_type(kind: MarkerType, changes: Sequence[Sourced], owner: str) -> MarkerType:
    """Return a marker type with all its changes made.

    Args:
        kind: as its plugin defines it.
        changes: of this type.
        owner: who defines it, for messages.

    Raises:
        PluginError: if two sources contradict each other, with the names of both.
        ConfigError: if a change does not fit the type.
    """
    if kind.kind != "categorical":
        raise ConfigError(f"{changes[0].source} changes the values of marker {kind.name!r}, which holds numbers")
    return _Change(kind, changes, owner).made()


@dataclass(frozen=True)
class _Claim:
    """What a source says of a spelling: that it is a value, the new name of one, a part of one, or an alias."""

    text: str
    meaning: tuple[str, str]
    source: str

    @property
    def said(self) -> str:
        what, old = self.meaning
        phrase = {"value": "has it as a value", "rename": f"renames {old!r} to it", "part": f"splits {old!r} into it"}
        return f"{self.source} {phrase.get(what, f'has it as an alias of {old!r}')}"


class _Change:
    """The changes of one marker type while they are made."""

    def __init__(self, kind: MarkerType, changes: Sequence[Sourced], owner: str) -> None:
        self._kind, self._changes, self._owner = kind, changes, owner
        self._claims: dict[str, list[_Claim]] = {}
        added = [value for each in changes for value in each.change.add]
        self._values = list(dict.fromkeys([*kind.values, *added]))
        self._renamed: dict[str, str] = {}
        self._split: dict[str, tuple[str, ...]] = {}

    def made(self) -> MarkerType:
        self._claim_values()
        self._move()
        for spelling, claims in self._claims.items():
            self._agree(spelling, claims)
        values = list(dict.fromkeys(new for value in self._values for new in self._now(value)))
        aliases, split = self._aliases(values)
        return replace(self._kind, values=tuple(values), aliases=aliases, split=split)

    def _now(self, value: str) -> tuple[str, ...]:
        """Return what a value is today: itself, its new name, or its parts."""
        return self._split.get(value) or (self._renamed.get(value, value),)

    def _claim(self, text: str, what: str, old: str, source: str) -> None:
        self._claims.setdefault(text.casefold(), []).append(_Claim(text, (what, old), source))

    def _claim_values(self) -> None:
        for value in self._kind.values:
            self._claim(value, "value", "", self._owner)
        for each in self._changes:
            for value in each.change.add:
                self._claim(value, "value", "", each.source)

    def _move(self) -> None:
        """Take down all renames and splits; a value goes one way."""
        ways: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
        for each in self._changes:
            for old, new in each.change.rename.items():
                if old not in self._values and self._kind.aliases.get(old) == new:
                    continue  # the plugin that defines the type has renamed it by now
                ways.setdefault(self._known(old, each), []).append(((new,), f"renames it to {new!r}", each.source))
                self._claim(new, "rename", old, each.source)
            for old, parts in each.change.split.items():
                if old not in self._values and set(self._kind.split.get(old, ())) == set(parts):
                    continue
                said = f"splits it into {', '.join(parts)}"
                ways.setdefault(self._known(old, each), []).append((parts, said, each.source))
                for part in parts:
                    self._claim(part, "part", old, each.source)
        for old, found in ways.items():
            first = found[0]
            for other in found[1:]:
                if set(other[0]) != set(first[0]):
                    self._refuse(old, f"{first[2]} {first[1]}", f"{other[2]} {other[1]}", [first[2], other[2]])
            for new in first[0]:
                if new in ways:
                    on = ways[new][0]
                    said = f"{first[2]} makes it of {old!r}"
                    self._refuse(new, said, f"{on[2]} {on[1]}", [first[2], on[2]])
            if len(first[0]) == 1:
                self._renamed[old] = first[0][0]
            else:
                self._split[old] = first[0]

    def _known(self, old: str, each: Sourced) -> str:
        if old not in self._values:
            hint = did_you_mean(old, self._values)
            raise ConfigError(f"{each.source} changes {self._kind.name} = {old!r}, which is no value: {hint}")
        return old

    def _agree(self, spelling: str, claims: Sequence[_Claim]) -> None:
        """Refuse a spelling of which two sources say different things."""
        renamed = {old.casefold() for old in self._renamed}
        for first, other in ((a, b) for a in claims for b in claims if a is not b):
            respelt = spelling in renamed and "rename" in (first.meaning[0], other.meaning[0])
            if first.text != other.text and not respelt:
                said = f"{first.source} writes {first.text!r}", f"{other.source} {other.text!r}"
                self._refuse(spelling, *said, [first.source, other.source])
            if first.meaning[0] != "rename" or first.meaning == other.meaning or first.source == other.source:
                continue
            if other.meaning[0] == "value" and other.source == self._owner:
                continue  # one value becomes another that was there: both mean the same from now on
            self._refuse(first.text, first.said, other.said, [first.source, other.source])

    def _aliases(self, values: Sequence[str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Return the other spellings of today's values, and what was split by every spelling that it had."""
        taken = {value.casefold(): _Claim(value, ("value", ""), self._source_of(value)) for value in values}
        found: dict[str, _Claim] = {}
        before = self._kind.split.items()
        split = {old: tuple(new for part in parts for new in self._now(part)) for old, parts in before} | self._split
        said = [(alias, value, self._owner) for alias, value in self._kind.aliases.items()]
        said += [(old, old, self._source_of(new)) for old, new in self._renamed.items()]
        said += [(alias, value, each.source) for each in self._changes for alias, value in each.change.aliases.items()]
        for alias, value, source in said:
            now, folded = self._now(value), alias.casefold()
            if source != self._owner and value not in values and value not in self._values:
                hint = did_you_mean(value, values)
                raise ConfigError(f"{source} has {alias!r} as an alias of {value!r}, which is no value: {hint}")
            if len(now) > 1:
                if source != self._owner:
                    known = f"{self._source_of(now[0])} splits {value!r} into {', '.join(now)}"
                    self._refuse(alias, f"{source} has it as an alias of {value!r}", known, [source])
                split[alias] = now
            elif folded in taken:
                if taken[folded].text != now[0]:
                    said_of = _Claim(alias, ("alias", now[0]), source)
                    self._refuse(alias, said_of.said, taken[folded].said, [source, taken[folded].source])
            elif folded in found and found[folded].meaning[1] != now[0]:
                other = found[folded]
                here = _Claim(alias, ("alias", now[0]), source)
                self._refuse(alias, other.said, here.said, [other.source, source])
            elif old := next((old for old in split if old.casefold() == folded), ""):
                parts = f"{old!r} was split into {', '.join(split[old])}"
                self._refuse(alias, f"{source} has it as an alias of {now[0]!r}", parts, [source])
            else:
                found.setdefault(folded, _Claim(alias, ("alias", now[0]), source))
        former = {
            old: parts for old, parts in split.items() if old.casefold() not in taken
        }  # a part may have an alias's name
        return {each.text: each.meaning[1] for each in found.values()}, former

    def _source_of(self, value: str) -> str:
        claims = self._claims.get(value.casefold(), [])
        return claims[0].source if claims else self._owner

    def _refuse(self, spelling: str, first: str, other: str, sources: Iterable[str]) -> None:
        mine = all(source.endswith(CONFIG) or source == self._owner for source in sources)
        mend = f"mend {KEY}.{self._kind.name}" if mine else "disable one with --no-plugin NAME"
        raise PluginError(f"marker {self._kind.name!r}, {spelling!r}: {first}, and {other}: {mend}")
