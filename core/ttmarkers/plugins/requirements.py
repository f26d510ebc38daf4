"""What distributions ask for in their metadata (``Requires-Dist``), and whether it is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LEAST = re.compile(r"(?:>=|>|==|~=)\s*(\d+(?:\.\d+)*)")


def normal(name: str) -> str:
    """Return a distribution's name as it is compared.

    >>> normal("Foo_Bar.baz")
    'foo-bar-baz'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """Return the name in a requirement.

    >>> name_of("Foo.bar[extra]>=2; python_version > '3'")
    'foo-bar'
    """
    found = _NAME.match(requirement.strip())
    return normal(found[0]) if found else ""


def newer(requires: Iterable[str], name: str, version: str) -> str:
    """Return the requirement that asks for a newer release of a distribution than this version, or an empty text.

    Releases are compared by their numbers alone: this is asked at every start, and ``packaging`` takes longer to
    import than all the rest.

    >>> newer(["click>=8", "ttmarkers>=0.10,<1"], "ttmarkers", "0.9.2")
    'ttmarkers>=0.10,<1'
    >>> newer(["ttmarkers>=0.9"], "ttmarkers", "0.9.2")
    ''
    """
    for requirement in requires:
        wanted, _, condition = requirement.partition(";")
        if name_of(wanted) == normal(name) and "extra" not in condition:
            least = max((_numbers(found) for found in _LEAST.findall(wanted)), default=())
            if least > _numbers(version):
                return wanted.strip()
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with, without zeros at the end."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def missing(requires: Iterable[str]) -> list[str]:
    """Return the requirements whose distribution is not installed, without conditions; those of extras are left out."""
    return [wanted for wanted in holding(requires) if installed(name_of(wanted)) is None]


def unmet(requires: Iterable[str]) -> dict[str, str]:
    """Return the requirements that are not met, each with the version that is there; empty where there is none."""
    from packaging.requirements import Requirement

    found = {}
    for wanted in holding(requires):
        version = installed(name_of(wanted))
        if version is None or not Requirement(wanted).specifier.contains(version, prereleases=True):
            found[wanted] = version or ""
    return found


def asked_for(name: str, source: str, requires: Iterable[str]) -> str:
    """Return how to install the package that a plugin could not import.

    Args:
        name: of the package.
        source: the plugin's distribution and version.
        requires: what the distribution asks for.
    """
    lacking = missing(requires)
    lacking = [wanted for wanted in lacking if name_of(wanted) == normal(name)] or lacking
    if not lacking:
        return f"{source} does not say which distribution has it: install that, and tell its author"
    those = " ".join(f"'{wanted}'" for wanted in lacking)
    return f"{source} asks for {' and '.join(lacking)}, not installed: pip install {those}"


def needs(error: ModuleNotFoundError, source: str) -> str:
    """Return what a component's code could not import, and how to install it if its distribution says that."""
    import importlib.metadata

    name = (error.name or "").partition(".")[0]
    try:
        requires = importlib.metadata.requires(source.rpartition(" ")[0]) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return str(error)
    return f"{error}: {asked_for(name, source, requires)}" if missing(requires) else str(error)


def holding(requires: Iterable[str], extra: str = "") -> list[str]:
    """Return the requirements whose conditions hold here, those of an extra among them, without the conditions."""
    found = []
    for requirement in requires:
        wanted, _, condition = requirement.partition(";")
        if condition:
            from packaging.markers import Marker

            if not Marker(condition).evaluate({"extra": extra}):
                continue
        found.append(wanted.strip())
    return found


def installed(name: str) -> str | None:
    """Return the version of a distribution; None if it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
