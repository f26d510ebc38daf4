"""A trained model brought to today's taxonomy: users say today's words, and the model goes on writing its own.

The two are matched by what today's taxonomy says of old words: a value that is still there means the same, an alias
leads to the new name, and what was split is asked for by each of its parts. What cannot be known is asked, not guessed.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.checkpoints.checkpoint import FILE
from ttmarkers.checkpoints.wording import Wording
from ttmarkers.errors import CheckpointError, ConfigError, DataError, did_you_mean, unknown_name
from ttmarkers.manifest import refuse_existing
from ttmarkers.taxonomies.taxonomy import check_value, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.components import MarkerType
    from ttmarkers.taxonomies.taxonomy import Taxonomy

LEFT_BEHIND = ("checkpoints", ".work", FILE)
"""What is not copied from a model's folder: what training alone needs, and what is written anew."""


@dataclass(frozen=True)
class MarkerMapping:
    """How users' words for one marker type lead to the model's.

    Attributes:
        marker: the type's name.
        words: today's value -> the model's word for it, where these differ.
        shown: the model's word -> what users are shown, where these differ.
        unseen: values of today that the model never saw; of a type that is new, all.
        former: words of the model that are no values today, and are shown as they are.
        new: whether the model never saw the type at all.
    """

    marker: str
    words: Mapping[str, str]
    shown: Mapping[str, str]
    unseen: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    new: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything differs between users and model."""
        return bool(self.words or self.shown or self.unseen or self.former or self.new)

    def to_json(self) -> dict[str, Any]:
        """Return it for a listing."""
        return {
            "marker": self.marker,
            "words": dict(self.words),
            "shown": dict(self.shown),
            "unseen": list(self.unseen),
            "former": list(self.former),
            "new": self.new,
        }


def describe(wording: Wording) -> list[MarkerMapping]:
    """Return what differs between users and model, marker by marker."""
    users = wording.users or wording.learned
    found = []
    for kind in wording.learned:
        if not kind.values or kind.name not in users:
            continue
        words, shown = wording.words.get(kind.name, {}), wording.shown.get(kind.name, {})
        today = users.get(kind.name).values
        found.append(
            MarkerMapping(
                kind.name,
                {value: words[value] for value in today if words.get(value, value) != value},
                dict(shown),
                tuple(value for value in today if wording.users and value not in words),
                tuple(word for word in kind.values if shown.get(word, word) not in today),
            )
        )
    news = [kind for kind in users if kind.name not in wording.learned]
    return [each for each in found if each.changed] + [
        MarkerMapping(kind.name, {}, {}, kind.values, new=True) for kind in news
    ]


def migrated(checkpoint: Checkpoint, today: Taxonomy, given: Sequence[str] = ()) -> Checkpoint:
    """Return what a model knows of its markers, with today's words for users.

    Args:
        checkpoint: of the model; one that was migrated before is migrated anew.
        today: all marker types, as they stand.
        given: what means what by the user's word, ``MARKER.NEW=OLD``; without OLD, the model never saw NEW.

    Raises:
        CheckpointError: for a model without markers, or if it cannot be known what a word means.
        ConfigError: for a mapping that names what does not exist.
    """
    if not checkpoint.marked:
        raise CheckpointError("the model was trained without markers, so there is nothing to migrate")
    said = _given(given, checkpoint.taxonomy, today)
    words: dict[str, dict[str, str]] = {}
    shown: dict[str, dict[str, str]] = {}
    for kind in checkpoint.taxonomy:
        if kind.name not in today:
            continue
        now = today.get(kind.name)
        if now.kind != kind.kind:
            raise CheckpointError(
                f"the marker {kind.name!r} is {now.kind} today, and {kind.kind} in the model: leave out the plugin "
                "that changed it (--no-plugin NAME)"
            )
        if kind.values:
            before = checkpoint.migrated.words.get(kind.name, {}) if checkpoint.migrated else {}
            match = _Match(kind, now, said.get(kind.name, {}), before)
            words[kind.name], shown[kind.name] = match.words(), match.shown()
    return replace(checkpoint, migrated=Wording(checkpoint.taxonomy, today, words, shown))


def _given(options: Iterable[str], learned: Taxonomy, today: Taxonomy) -> dict[str, dict[str, str]]:
    """Return what ``--map`` says: marker -> today's value -> the model's word, empty if it never saw it."""
    found: dict[str, dict[str, str]] = {}
    for option in options:
        name, dot, rest = option.partition(".")
        new, equals, old = rest.partition("=")
        if not (name and dot and new and equals):
            raise ConfigError(f"--map {option!r}: write MARKER.NEW=OLD, such as domain.Law=Legal")
        if name not in learned or name not in today:
            raise unknown_name(
                "marker", name, [each for each in learned.names if each in today], where=f"--map {option}"
            )
        for value, kind, whose in ((new, today.get(name), "today"), (old, learned.get(name), "that the model knows")):
            if value not in kind.values and not (value == old == ""):
                hint = did_you_mean(value, kind.values)
                raise ConfigError(f"--map {option!r}: {name} has no value {value!r} {whose}: {hint}")
        if new in found.setdefault(name, {}):
            raise ConfigError(f"--map {option!r}: {name}.{new} is mapped twice: leave one out")
        if new in learned.get(name).values and new != old:
            raise ConfigError(f"--map {option!r}: {name} has the value {new!r} in the model itself: leave it out")
        found[name][new] = old
    return found


class _Match:
    """The words of one marker type while they are matched."""

    def __init__(
        self, learned: MarkerType, today: MarkerType, given: Mapping[str, str], before: Mapping[str, str]
    ) -> None:
        self._learned, self._today, self._given, self._before = learned, today, given, before
        self._means = {word: self._meaning(word) for word in learned.values}

    def _meaning(self, word: str) -> tuple[str, ...]:
        """Return what a word of the model means today; nothing if today's taxonomy does not say."""
        if parts := parts_of(self._today, word):
            return parts
        try:
            return (str(check_value(self._today, word)),)
        except DataError:
            return ()

    def words(self) -> dict[str, str]:
        """Return the model's word for each value of today that it saw.

        Raises:
            CheckpointError: if two words could be meant, or a value may be new or the new name of an old one.
        """
        found = {value: word for value in self._today.values if (word := self._word(value))}
        lost = [word for word in self._learned.values if not self._means[word] and word not in found.values()]
        open_ = [value for value in self._today.values if value not in found and value not in self._given]
        if lost and open_:
            name, value = self._today.name, open_[0]
            raise CheckpointError(
                f"{name}: the model knows {_listed(lost)}, which today's taxonomy does not have, and never saw "
                f"{_listed(open_)}: say whether one is the other's new name (--map {name}.{value}={lost[0]}) or not "
                f"(--map {name}.{value}=)"
            )
        return found

    def _word(self, value: str) -> str:
        """Return the model's word for a value of today; empty if it never saw it."""
        if value in self._given:
            return self._given[value]
        if value in self._learned.values:
            return value
        could = [word for word, means in self._means.items() if value in means]
        if len(could) == 1:
            return could[0]
        names = [value, *(alias for alias, of in self._today.aliases.items() if of == value)]
        earlier = next((self._before[name] for name in names if name in self._before), "")
        if earlier or not could:
            return earlier
        name = self._today.name
        raise CheckpointError(
            f"{name} = {value!r} could be {_listed(could)} of the model: say which with --map {name}.{value}={could[0]}"
        )

    def shown(self) -> dict[str, str]:
        """Return what users are shown for a word of the model, where it is not the word itself."""
        words, found = self.words(), {}
        for word, means in self._means.items():
            asks = [value for value, asked in words.items() if asked == word]
            shown = word
            if len(means) == 1 and means[0] in words:
                shown = means[0]
            elif not means and len(asks) == 1:
                shown = asks[0]
            if shown != word:
                found[word] = shown
        return found


def _listed(values: Sequence[str]) -> str:
    return " or ".join(map(repr, values[:3])) + (f" or {len(values) - 3} more" if len(values) > 3 else "")


def write_migrated(checkpoint: Checkpoint, model: Path, output: Path | None) -> Path:
    """Write a migrated model and return its folder.

    Args:
        checkpoint: what `migrated` made.
        model: the model's folder.
        output: a new folder with a copy of all that the model needs; None to write the model's own ``markers.json``.

    Raises:
        OutputExistsError: if the output is there already.
    """
    if output is None:
        checkpoint.save(model)
        return model
    refuse_existing(output)
    if output.resolve().is_relative_to(model.resolve()):
        raise ConfigError(f"-o {output} lies in the model's own folder: name another place, or use --in-place")
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        # what links lead to is copied: a folder of the Hub's cache holds nothing else
        shutil.copytree(
            model, work, dirs_exist_ok=True, ignore=lambda folder, _: LEFT_BEHIND if Path(folder) == model else ()
        )
        checkpoint.save(work)  # last: this file says that the others are whole
        work.chmod(model.stat().st_mode)
        if output.exists():
            output.rmdir()  # it is empty
        work.replace(output)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return output
