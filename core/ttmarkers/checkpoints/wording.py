"""What users call a model's values, where the taxonomy has changed since the model was trained.

A model writes the words that it learned, for ever. Users ask with today's words and are shown today's words; what
stands between the two is a `Wording`, which ``markers.json`` keeps (``ttm checkpoint migrate`` makes it). The engine is
the one place where it is used: all that stands on the engine speaks as users do.

What users are shown depends on the model's word alone. So where a value was split, either part asks with the old word,
and the old word is shown as it is, for nothing tells which part is meant.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import CheckpointError, DataError, unknown_name
from ttmarkers.taxonomies.taxonomy import Taxonomy, check_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.components import MarkerType
    from ttmarkers.records import Value

NEVER = "no row of its training had it; train it further on rows that do"


@dataclass(frozen=True)
class Wording:
    """Between users' words and a model's.

    Attributes:
        learned: the marker types of the model's training.
        users: today's marker types, as users say them; None if nothing has changed.
        words: categorical marker -> what users may ask for -> the model's word for it. A value of today that is not
            here was never seen by the model.
        shown: categorical marker -> the model's word -> what users are shown, where these differ.
    """

    learned: Taxonomy
    users: Taxonomy | None = None
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shown: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def check(self, markers: Mapping[str, object], *, where: str = "") -> dict[str, Value]:
        """Return markers that users ask for, in the order of a block, with checked values in users' words.

        Raises:
            UnknownNameError: for a marker type that there is none of.
            DataError: for a value that a type cannot hold.
            CheckpointError: for what came after the model's training.
        """
        if self.users is None:
            return self.learned.check(markers, where=where)
        place = f"{where}: " if where else ""
        for name in markers:
            if name not in self.learned and name in self.users:
                raise CheckpointError(f"{place}the model never saw the marker {name!r}: {NEVER}")
            if name not in self.learned:
                raise unknown_name("marker", name, self.learned.names, where=where)
        try:
            return {name: self._check(name, markers[name], place) for name in self.learned.names if name in markers}
        except DataError as error:
            raise DataError(f"{place}{error}") from None

    def _check(self, name: str, value: object, place: str) -> Value:
        kind, asked = self._kind(name), self._asked.get(name, {})
        shown = next((word for word in asked if word.casefold() == str(value).casefold()), None)
        try:
            checked = check_value(kind, value)
        except DataError:
            if shown is not None:  # it is shown, so it may be asked for
                return shown
            raise
        if not kind.values or checked in asked:
            return checked
        if shown is not None:
            return shown
        raise CheckpointError(f"{place}the model never saw {name} = {str(checked)!r}: {NEVER}")

    def _kind(self, name: str) -> MarkerType:
        return self.users.get(name) if self.users is not None and name in self.users else self.learned.get(name)

    @cached_property
    def _asked(self) -> dict[str, dict[str, str]]:
        """Return, by categorical marker, the model's word for each value that users may ask for or are shown."""
        found = {}
        for kind in self.learned:
            if kind.values:
                shown = self.shown.get(kind.name, {})
                back = {shown.get(word, word): word for word in reversed(kind.values)}
                found[kind.name] = {**back, **self.words.get(kind.name, {})}
        return found

    def to_model(self, markers: Mapping[str, Value]) -> dict[str, Value]:
        """Return markers in the model's words; raises as `check` does."""
        if self.users is None:
            return dict(markers)
        checked = self.check(markers)
        return {name: self._asked[name][str(v)] if name in self._asked else v for name, v in checked.items()}

    def to_user(self, markers: Mapping[str, Value]) -> dict[str, Value]:
        """Return markers that the model wrote in users' words."""
        if self.users is None:
            return dict(markers)
        return {name: self.shown.get(name, {}).get(str(value), value) for name, value in markers.items()}

    def clash(self, markers: Mapping[str, Value], negative: Mapping[str, Value]) -> str:
        """Return the marker that is asked for and led away from by the same word of the model; empty if none is."""
        asked, away = self.to_model(markers), self.to_model(negative)
        return next((name for name, value in asked.items() if away.get(name) == value), "")

    def view(self, name: str, value: Value) -> Value:
        """Return what users are shown where the model says just what a row says; unchanged if it cannot say that.

        What a model wrote can be compared with this.
        """
        try:
            return self.to_user(self.to_model({name: value}))[name]
        except (CheckpointError, DataError):
            return value

    def counts(self, counts: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """Return how often the model saw what each word means, users' and its own, by the counts of its training."""
        found = dict(counts)
        if self.users is not None:
            for name, words in self._asked.items():
                own = counts.get(name, {})
                found[name] = {**own, **{said: own[word] for said, word in words.items() if word in own}}
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what ``markers.json`` keeps of it."""
        words = {name: dict(each) for name, each in self.words.items()}
        shown = {name: dict(each) for name, each in self.shown.items()}
        return {"taxonomy": self.users.to_json() if self.users else [], "words": words, "shown": shown}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], learned: Taxonomy) -> Wording:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it does not fit the model's taxonomy, or today's.
        """
        users = Taxonomy.from_json(data["taxonomy"])
        for kind in learned:
            if kind.name in users and bool(users.get(kind.name).values) != bool(kind.values):
                raise ValueError(f"migration.taxonomy has another kind of marker {kind.name!r} than the model")
        for part in ("words", "shown"):
            for name, said in data[part].items():
                if name not in learned or name not in users:
                    raise ValueError(f"migration.{part} names the marker {name!r}, which is in one taxonomy only")
                own = said.values() if part == "words" else said.keys()
                strange = sorted(set(own) - set(learned.get(name).values))
                if strange:
                    raise ValueError(f"migration.{part}.{name} names {strange[0]!r}, which the model did not learn")
        for name, said in data["words"].items():
            strange = sorted(set(said) - set(users.get(name).values))
            if strange:
                raise ValueError(f"migration.words.{name} names {strange[0]!r}, which is no value")
        return cls(learned, users, data["words"], data["shown"])
