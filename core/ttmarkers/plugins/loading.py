"""One plugin: imported, its hooks registered and called; what became of it."""

from __future__ import annotations

import importlib
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy

from ttmarkers import __version__, hookspecs
from ttmarkers.compat import TtmDeprecationWarning, old_in_component, old_in_warning
from ttmarkers.components import Component
from ttmarkers.errors import PluginError
from ttmarkers.plugins.discovery import UNKNOWN
from ttmarkers.plugins.errors import UPGRADE, explain, too_old, unknown_hook
from ttmarkers.plugins.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.compat import Deprecation
    from ttmarkers.plugins.discovery import Candidate

PREFIX = "ttm_"
API = "ttm_api"  # the attribute by which a module says which hooks it was written for


@dataclass(frozen=True)
class PluginRecord:
    """What became of a plugin.

    Attributes:
        name: of its entry point.
        distribution: that declares it.
        version: of the distribution.
        module: what is imported.
        requires: what the distribution asks for.
        status: ``ok``, ``failed`` or ``disabled``.
        hooks: those that it implements.
        import_seconds: what importing it took.
        hook_seconds: what its hooks took.
        notes: what it did beside that, which was put back or led away.
        error: why it failed, in one line.
        traceback: of the error.
    """

    name: str
    distribution: str
    version: str
    module: str = ""
    requires: tuple[str, ...] = ()
    status: str = "ok"
    hooks: tuple[str, ...] = ()
    import_seconds: float = 0.0
    hook_seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""
    traceback: str = field(default="", repr=False)

    @property
    def seconds(self) -> float:
        """What loading it took."""
        return self.import_seconds + self.hook_seconds

    @property
    def source(self) -> str:
        """Distribution and version, as messages name a plugin's origin."""
        return f"{self.distribution} {self.version}"


class Hooks:
    """The hooks as pluggy knows them: modules are registered, and their implementations called one by one.

    Args:
        specs: where the hooks are specified.
        arguments: what hooks are called with, by the arguments' names; an implementation may take fewer.
    """

    def __init__(self, specs: Any = hookspecs, arguments: Mapping[str, Any] | None = None) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(specs)
        self._arguments = dict(arguments or {})

    def register(self, key: str, module: object) -> tuple[tuple[str, ...], list[Deprecation]]:
        """Register a module's hooks; return their names, and what is old in them.

        Raises:
            PluginError: if it implements a name that is no hook, or one without ``hookimpl``.
        """
        unmarked = [
            name
            for name, value in vars(module).items()
            if name.startswith(PREFIX) and callable(value) and not hasattr(value, f"{hookspecs.PROJECT}_impl")
        ]
        if unmarked:
            raise PluginError(f"{unmarked[0]} is not marked with @hookimpl")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                self._manager.register(module, name=key)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            if self._manager.is_registered(module):
                self._manager.unregister(module)
            hooks = [name for name in vars(self._manager.hook) if name.startswith(PREFIX)]
            raise PluginError(unknown_hook(str(error), hooks)) from error
        names = sorted(caller.name for caller in self._manager.get_hookcallers(module) or [])
        return tuple(names), [found for each in caught if (found := old_in_warning(each.message))]

    def call(self, hook: str, wanted: type[Any], module: object) -> list[Any]:
        """Return what a module's implementation of a hook yields; nothing if it has none.

        Raises:
            TypeError: if that is something else than is wanted.
        """
        caller = getattr(self._manager.hook, hook, None)
        found = [
            item
            for implementation in (caller.get_hookimpls() if caller else ())
            if implementation.plugin is module
            for item in implementation.function(*(self._arguments[name] for name in implementation.argnames))
        ]
        for item in found:
            if not isinstance(item, wanted):
                raise TypeError(f"{hook} yields {wanted.__name__}, not {type(item).__name__}")
        return found


class Loading:
    """One plugin while it is loaded: its record, and what its hooks yield."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._start = time.perf_counter()
        self.record = record_of(candidate)
        self.offers: dict[str, list[Any]] = {}

    def run(self, hooks: Hooks) -> None:
        """Import the module, register it, and call its hooks; an error of any kind is kept in the record."""
        try:
            self._load(hooks)
        except BaseException as error:
            if type(error) is KeyboardInterrupt:
                raise  # the user's own; a class of the plugin's is not
            self._fail(error)

    def note(self, patched: Sequence[str], notes: Sequence[str]) -> None:
        """Take in what the plugin did beside that; one that replaced something of others cannot be used."""
        said = list(notes)
        if patched:
            what = f"it replaces {', '.join(patched)}, which all parts share (put back)"
            if self.record.status == "ok":
                self._fail(PluginError(what))
            else:
                said.insert(0, what)
        self.record = replace(self.record, notes=(*self.record.notes, *said))

    def _load(self, hooks: Hooks) -> None:
        module = self._import()
        start = time.perf_counter()
        self.record = replace(self.record, import_seconds=start - self._start)
        try:
            names, old = hooks.register(key_of(self._candidate), module)
            for hook, wanted in ((kind.hook, kind.yields) for kind in KINDS.values()):
                found = hooks.call(hook, wanted, module)
                self.offers[hook] = [_signed(item, self.record.source) for item in found]
                old += [each for item in found for each in old_in_component(item)]
            self._warn(module, old)
        finally:
            self.record = replace(self.record, hook_seconds=time.perf_counter() - start)
        notes = self.record.notes if names else (*self.record.notes, "implements no hook: it offers nothing")
        self.record = replace(self.record, hooks=names, notes=notes)

    def _warn(self, module: Any, old: Sequence[Deprecation]) -> None:
        """Tell of what is old in the plugin, each thing once."""
        for found in dict.fromkeys(old):
            sentence = found.sentence(f"plugin {self.record.name} of {self.record.source}")
            self.record = replace(self.record, notes=(*self.record.notes, sentence))
            place = str(getattr(module, "__file__", self._candidate.module))
            warnings.warn_explicit(sentence, TtmDeprecationWarning, place, 1)

    def _fail(self, error: BaseException) -> None:
        """Note why the plugin cannot be used."""
        import traceback

        if not self.record.import_seconds:
            self.record = replace(self.record, import_seconds=time.perf_counter() - self._start)
        self.record = replace(
            self.record,
            status="failed",
            error=explain(error, self._candidate.module, self.record.source, self._candidate.requires),
            traceback="".join(traceback.format_exception(error)),
        )

    def _import(self) -> Any:
        candidate, source = self._candidate, self.record.source
        if fault := too_old(source, candidate.requires):
            raise PluginError(fault)
        if not candidate.module or ":" in candidate.module:
            raise PluginError(f"the entry point names {candidate.module!r}: it must name a module alone")
        module = importlib.import_module(candidate.module)
        wanted = getattr(module, API, hookspecs.API)
        if not isinstance(wanted, int) or wanted > hookspecs.API:
            raise PluginError(
                f"{source} asks for version {wanted!r} of the hooks, and ttmarkers {__version__} has {hookspecs.API}: "
                f"{UPGRADE}"
            )
        if hasattr(module, "__path__") and getattr(module, "__file__", None) is None:
            name = candidate.distribution
            raise PluginError(
                f"{candidate.module} is a folder without __init__.py: {source} is only half installed: "
                f"pip install --force-reinstall {name}"
            )
        return module


def _signed(item: Any, source: str) -> Any:
    """Return a component that knows which distribution it is of, for messages."""
    return replace(item, distribution=source) if isinstance(item, Component) else item


def record_of(candidate: Candidate) -> PluginRecord:
    """Return the record of a plugin that was not loaded yet."""
    notes = ("its metadata names no version",) if candidate.version == UNKNOWN else ()
    return PluginRecord(
        candidate.name, candidate.distribution, candidate.version, candidate.module, candidate.requires, notes=notes
    )


def key_of(candidate: Candidate) -> str:
    """Return what a plugin is known by in this process."""
    return f"{candidate.distribution}:{candidate.name}"
