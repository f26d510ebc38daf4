"""What had a part in an output: each component that was used, with the distribution and version that it came from.

``run.json`` and ``markers.json`` hold the list as ``parts``; what annotated a file's rows is handed on to the models
that are trained on them. So a model can say which distribution to install where one of its components is missing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.plugins.kinds import CHANGE, KINDS
from ttmarkers.plugins.requirements import normal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.plugins.manager import Plugins

KEY = "parts"
OURS = "ttmarkers"


@dataclass(frozen=True)
class Part:
    """A component that was used: what it is, its name, and the distribution that it came from."""

    kind: str
    name: str
    distribution: str
    version: str

    def to_json(self) -> dict[str, str]:
        """Return it as ``run.json`` and ``markers.json`` hold it."""
        return asdict(self)

    @property
    def requirement(self) -> str:
        """What pip is asked for to have it again."""
        return f"{self.distribution}=={self.version}"


def find_parts(plugins: Plugins, **names: Iterable[str]) -> list[Part]:
    """Return the parts of the named components, and the changes of the named marker types.

    Args:
        plugins: where they come from; a name that no plugin offers, such as that of a template's file, is no part.
        names: kind -> names: ``marker``, ``extractor``, ``guide``, ``profile``, ``template``, ``strategy``, ``policy``,
            ``task``, ``command``.
    """
    found: list[Part] = []
    for kind, wanted in names.items():
        registry = plugins.registry(kind)
        chosen = set(wanted)
        found += [
            _part(kind, each.component.name, each.distribution) for each in registry if each.component.name in chosen
        ]
    changed = set(names.get("marker", ()))
    for entry in plugins.taxonomy_changes():
        if entry.component.marker in changed:
            found.append(_part(CHANGE, entry.component.name, entry.distribution))
    return found


def _part(kind: str, name: str, source: str) -> Part:
    distribution, _, version = source.rpartition(" ")
    return Part(kind, name, distribution, version)


def to_json(parts: Iterable[Part]) -> list[dict[str, str]]:
    """Return parts as a file holds them: each once, sorted."""
    order = list(KINDS)
    unique = set(parts)
    place = {part: order.index(part.kind) if part.kind in order else len(order) for part in unique}
    ranked = sorted(unique, key=lambda part: (place[part], part.kind, part.name, part.distribution, part.version))
    return [part.to_json() for part in ranked]


def read_parts(data: object) -> list[Part]:
    """Return the parts that a file's content holds, as far as they can be read; none for older files."""
    listed = data.get(KEY) if isinstance(data, dict) else None
    keys = ("kind", "name", "distribution", "version")
    return [
        Part(*(each[key] for key in keys))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and all(isinstance(each.get(key), str) for key in keys)
    ]


@dataclass(frozen=True)
class Lack:
    """A distribution that had a part and is not there as it was.

    Attributes:
        parts: that came from it.
        reason: what is the matter with it.
        mend: what to do.
        gone: whether its components cannot be used; else it is there in another version.
    """

    parts: tuple[Part, ...]
    reason: str
    mend: str
    gone: bool = True

    def __str__(self) -> str:
        shown = ", ".join(f"{part.kind} {part.name}" for part in self.parts[:4])
        more = f" and {len(self.parts) - 4} more" if len(self.parts) > 4 else ""
        part = self.parts[0]
        return f"{part.distribution} {part.version} had a part in it ({shown}{more}) and {self.reason}: {self.mend}"


def lacks(parts: Iterable[Part], plugins: Plugins) -> list[Lack]:
    """Return the distributions that had a part and are not installed, did not load, or are of another major version.

    One that the user has disabled is not among them. Versions of ttmarkers itself do not matter here: the files that it
    writes carry their format.
    """
    by_source: dict[str, list[Part]] = {}
    for part in parts:
        if normal(part.distribution) != OURS:
            by_source.setdefault(normal(part.distribution), []).append(part)
    records: dict[str, list[Any]] = {}
    for record in plugins.records:
        records.setdefault(normal(record.distribution), []).append(record)
    found = (_lack(_unmet(each, plugins), records.get(name, ())) for name, each in sorted(by_source.items()))
    return [lack for lack in found if lack]


def _unmet(parts: Sequence[Part], plugins: Plugins) -> tuple[Part, ...]:
    """Return the parts that the same distribution in the same series does not offer today."""
    return tuple(part for part in parts if not _offered(part, plugins))


def _offered(part: Part, plugins: Plugins) -> bool:
    if part.kind not in KINDS:
        return False
    for entry in plugins.registry(part.kind):
        distribution, _, version = entry.distribution.rpartition(" ")
        if (entry.component.name, normal(distribution)) == (part.name, normal(part.distribution)):
            return _series(version) == _series(part.version)
    return False


def _lack(parts: tuple[Part, ...], records: Sequence[Any]) -> Lack | None:
    if not parts:
        return None
    part = parts[0]
    install = f"pip install {part.requirement}"
    if not records:
        return Lack(parts, "is not installed", install)
    for record in records:
        if record.status == "failed":
            return Lack(parts, f"did not load ({record.error})", f"mend it, or {install}")
        if record.status == "ok" and _series(record.version) != _series(part.version):
            return Lack(parts, f"is installed as {record.version}", f"if it does otherwise now, {install}", gone=False)
    return None


def _series(version: str) -> tuple[str, ...]:
    """Return what must be the same for a release to do the same: the major number, and the next one below 1.0."""
    numbers = version.split(".")
    return tuple(numbers[:2] if numbers[0] == "0" else numbers[:1])


def hint(parts: Iterable[Part], plugins: Plugins, kind: str, name: str) -> str:
    """Return which distribution to install for a component that is missing; empty if no part is that component."""
    named = [part for part in parts if (part.kind, part.name) == (kind, name)]
    if not named:
        return ""
    came = f"it came from {named[0].distribution} {named[0].version}"
    lack = next((each for each in lacks(named, plugins) if each.gone), None)
    if lack:
        return f"{came}, which {lack.reason}: {lack.mend}"
    source = normal(named[0].distribution)
    here = [r.version for r in plugins.records if r.status == "ok" and normal(r.distribution) == source != OURS]
    return f"{came}, and {here[0]} does not offer it: pip install {named[0].requirement}" if here else ""


def merged(*several: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return lists of parts, as files hold them, as one."""
    return to_json(part for each in several for part in read_parts({KEY: list(each)}))
