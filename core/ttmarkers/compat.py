"""What is old goes on working for two minor releases, and says so: hooks, their arguments, fields, functions.

Nothing is old in this version. This is how something becomes old::

    @hookspec(warn_on_impl=old("hook ttm_taggers", since="0.3", use="ttm_extractors"))
    def ttm_taggers(): ...

    @hookspec(warn_on_impl_args={"config": old("argument config of ttm_tasks", since="0.3", use="setting")})
    def ttm_tasks(config, setting): ...

    neutral: tuple[str, ...] = field(default=(), metadata=old_field(since="0.3", use="options"))

    @deprecated(since="0.3", use="ttmarkers.annotation.plan.make_plan")
    def plan_of(...): ...

A test fails when it is still there two minor releases later.
"""

from __future__ import annotations

import functools
import sys
import warnings
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

RELEASES = 2  # minor ones, for which something old goes on working
FIELD = "ttmarkers.deprecated"
"""The key of a field's metadata under which `old_field` says that it is old."""


class TtmDeprecationWarning(FutureWarning):
    """Something old is used. It is shown to users too, for it is they who can write to a plugin's author."""


@dataclass(frozen=True)
class Deprecation:
    """Something that is old.

    Attributes:
        what: as messages name it, such as ``hook ttm_taggers``.
        since: the version in which it became old.
        use: what takes its place.
    """

    what: str
    since: str
    use: str

    @property
    def gone(self) -> str:
        """The version in which it goes.

        >>> Deprecation("hook ttm_taggers", "0.3", "ttm_extractors").gone
        '0.5'
        """
        major, minor = _release(self.since)
        return f"{major}.{minor + RELEASES}"

    def overdue(self, version: str) -> bool:
        """Tell whether it should be gone in a version; with a new major version everything old is.

        >>> Deprecation("hook ttm_taggers", "0.3", "ttm_extractors").overdue("0.5.0")
        True
        """
        return _release(version) >= min(_release(self.gone), (_release(self.since)[0] + 1, 0))

    def sentence(self, who: str = "") -> str:
        """Return what is told, with the plugin or module that uses it."""
        used = f"{who} uses the {self.what}, which" if who else f"the {self.what}"
        return f"{used} is old since ttmarkers {self.since} and goes in {self.gone}: use {self.use}"


class _Old(TtmDeprecationWarning):
    """The warning that stands in a specification of a hook."""

    def __init__(self, deprecation: Deprecation) -> None:
        super().__init__(deprecation.sentence())
        self.deprecation = deprecation


def old(what: str, *, since: str, use: str) -> TtmDeprecationWarning:
    """Return the warning for ``warn_on_impl`` and ``warn_on_impl_args`` of a hook's specification."""
    return _Old(Deprecation(what, since, use))


def old_field(*, since: str, use: str) -> dict[str, Any]:
    """Return the metadata of a component's field that is old; it must have a default."""
    return {FIELD: (since, use)}


def deprecated(*, since: str, use: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function or a method as old: calling it warns, and names the module that calls.

    Example:
        >>> @deprecated(since="0.3", use="new_one")
        ... def old_one() -> int:
        ...     return 1
        >>> with warnings.catch_warnings(record=True):
        ...     old_one()
        1
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        name = f"{function.__module__}.{function.__qualname__}"
        found = Deprecation(f"function {name}", since, use)

        @functools.wraps(function)
        def warned(*args: P.args, **kwargs: P.kwargs) -> R:
            who = str(sys._getframe(1).f_globals.get("__name__", ""))
            warnings.warn(found.sentence(who), TtmDeprecationWarning, stacklevel=2)
            return function(*args, **kwargs)

        return warned

    return mark


def old_in_component(component: Any) -> Iterator[Deprecation]:
    """Yield the old fields that a component sets."""
    if not is_dataclass(component) or isinstance(component, type):
        return
    for each in fields(component):
        if FIELD in each.metadata:
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if getattr(component, each.name) != default:
                since, use = each.metadata[FIELD]
                yield Deprecation(f"field {each.name} of {type(component).__name__}", since, use)


def old_in_warning(warning: object) -> Deprecation | None:
    """Return what a warning of `old` is about; None if it is another's."""
    return warning.deprecation if isinstance(warning, _Old) else None


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
