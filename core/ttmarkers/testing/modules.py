"""The check of a whole plugin: its module, its hooks, and every component that they yield."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers import hookspecs
from ttmarkers.plugins.kinds import CHANGE, KINDS
from ttmarkers.plugins.manager import BUILTIN, Candidate, create_plugins, discover
from ttmarkers.testing.contract import Breach, hold

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import ModuleType

    from ttmarkers.plugins.manager import Plugins

SECONDS = 0.5
TRIES = 3
HEAVY = (
    "torch", "transformers", "trl", "peft", "datasets", "pyarrow", "pandas", "numpy", "scipy", "sklearn", "spacy",
    "nltk", "tensorflow", "jax", "matplotlib", "llguidance", "openai", "sentence_transformers", "ray", "lingua",
    "magika", "fasttext",
)  # fmt: skip

CHILD = """
import io, json, os, sys, time
from contextlib import redirect_stdout, suppress
import click
import ttmarkers.components, ttmarkers.hookspecs, ttmarkers.plugins.manager
before, printed = set(sys.modules), io.StringIO()
os.dup2(2, 1)
start = time.perf_counter()
with redirect_stdout(printed):
    module = __import__("importlib").import_module(sys.argv[1])
    for name, value in list(vars(module).items()):
        if hasattr(value, "ttmarkers_impl"):
            with suppress(Exception):  # the framework says later what is wrong with it
                list(value())
seconds = time.perf_counter() - start
heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
sys.__stderr__.write("\\n" + json.dumps({"seconds": seconds, "modules": heavy, "printed": printed.getvalue()}))
"""


@dataclass
class Probe:
    """A plugin's module, by name."""

    name: str

    @cached_property
    def module(self) -> ModuleType:
        """The module."""
        return importlib.import_module(self.name)

    @property
    def plugin(self) -> str:
        """The name under which the plugin is loaded."""
        return "builtin" if self.name == BUILTIN else self.name

    @cached_property
    def plugins(self) -> Plugins:
        """The built-ins, what is installed, and this plugin, once."""
        others = [point for point in discover() if point.module.partition(":")[0] != self.name]
        own = [] if self.name == BUILTIN else [Candidate(self.name, self.name, self.name, "checked")]
        return create_plugins(candidates=[*others, *own])

    @cached_property
    def child(self) -> dict[str, Any]:
        """What came of importing the module in a process of its own, the quickest of a few."""
        return min((self._import() for _ in range(TRIES)), key=lambda found: float(found["seconds"]))

    def _import(self) -> dict[str, Any]:
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        done = subprocess.run(
            [sys.executable, "-c", CHILD, self.name],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        if done.returncode:
            raise Breach(f"it cannot be imported ({last}): install it, or mend what it imports")
        found: dict[str, Any] = json.loads(last)
        return found


def check_plugin(
    module: str | ModuleType,
    *,
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    leave_out: Collection[str] = (),
) -> None:
    """Check a plugin: its module is light and sound, and so is every component that its hooks yield.

    Args:
        module: the module that the entry point names, or its name. It need not be installed, only importable.
        arguments: component's name -> further arguments of its check, such as ``{"mood": {"gold": gold}}`` for a task;
            where two kinds have one name, kind and name: ``"task mood"``.
        leave_out: names of components that are checked elsewhere, such as a strategy that takes its time; as above.

    Raises:
        AssertionError: in one sentence, with the component and the name of the check.

    Example::

        def test_plugin():
            check_plugin("ttmarkers_mood", arguments={"mood": {"gold": lambda case: ":-)"}})
    """
    name = module if isinstance(module, str) else module.__name__
    probe = Probe(name)
    hold(f"plugin {name!r}", probe, CHECKS)
    given = dict(arguments or {})
    offered = list(_components(probe.plugins, probe.plugin))
    for unknown in sorted({*given, *leave_out} - {word for each in offered for word in _names(*each)}):
        raise AssertionError(
            f"plugin {name!r}: it offers no component {unknown!r}: take it out of arguments or leave_out"
        )
    for word in sorted({*given, *leave_out}):
        kinds = [kind for kind, component in offered if component.name == word]
        if len(kinds) > 1:
            raise AssertionError(
                f"plugin {name!r}: {word!r} is the name of {' and '.join(kinds)}: say which, as {kinds[0]} {word}"
            )
    for kind, component in offered:
        names = _names(kind, component)
        if not {*names} & {*leave_out}:
            further = {key: value for name in names for key, value in given.get(name, {}).items()}
            _check(kind, component, probe.plugins, probe.plugin, further)


def imports_by_name(probe: Probe) -> None:
    """The entry point names the module, which is imported in a process of its own first."""
    assert probe.child


def marks_its_hooks(probe: Probe) -> None:
    """A function that is named as a hook is one."""
    known = {name for name in vars(hookspecs) if name.startswith("ttm_")}
    for name, value in vars(probe.module).items():
        if not name.startswith("ttm_") or not callable(value):
            continue
        if name not in known:
            raise Breach(f"{name} is no hook: rename it, or spell it as in {', '.join(sorted(known))}")
        if not hasattr(value, f"{hookspecs.PROJECT}_impl"):
            raise Breach(f"{name} is not marked, and nothing calls it: put @hookimpl above it")


def offers_something(probe: Probe) -> None:
    """At least one hook yields components of its kind."""
    (record,) = [record for record in probe.plugins.records if record.name == probe.plugin]
    if record.status != "ok":
        raise Breach(f"it does not load ({record.error}): mend the hook")
    if not any(_components(probe.plugins, probe.plugin)):
        raise Breach("its hooks yield nothing: yield components, or take it out of the entry points")


def offers_names_that_are_free(probe: Probe) -> None:
    """No other plugin that is installed offers a component of the same kind and name."""
    for registry in (probe.plugins.registry(kind) for kind in KINDS if kind != CHANGE):
        mine = {entry.component.name for entry in registry if entry.plugin == probe.plugin}
        for name in sorted(mine):
            owners = [entry for entry in registry if entry.component.name == name]
            if len(owners) > 1:
                other = next((e.distribution for e in owners if e.plugin != probe.plugin), "itself")
                raise Breach(f"{registry.kind} {name!r} is offered by {other} too: choose another name")


def is_quiet(probe: Probe) -> None:
    """Importing it and calling its hooks prints nothing, for commands print results."""
    if probe.child["printed"]:
        line = probe.child["printed"].splitlines()[0]
        raise Breach(f"it prints {line!r} when it is imported: print nothing there")


def imports_nothing_heavy(probe: Probe) -> None:
    """``ttm --help`` imports every plugin."""
    heavy = [name for name in probe.child["modules"] if name in HEAVY]
    if heavy:
        raise Breach(
            f'it imports {", ".join(heavy)} at once: name the factory as "module:attr", and import inside functions'
        )


def is_imported_in_no_time(probe: Probe) -> None:
    """Every command waits for every plugin."""
    if probe.child["seconds"] > SECONDS:
        raise Breach(
            f"it takes {probe.child['seconds']:.1f} s to import, and may take {SECONDS}: import inside functions"
        )


def _components(plugins: Plugins, plugin: str) -> Iterator[tuple[str, Any]]:
    for kind in KINDS:
        yield from ((kind, entry.component) for entry in plugins.registry(kind) if entry.plugin == plugin)


def _names(kind: str, component: Any) -> tuple[str, str]:
    """Return what authors may call a component: by its name, or by kind and name where two kinds have one name."""
    return component.name, f"{kind} {component.name}"


def _check(kind: str, component: Any, plugins: Plugins, plugin: str, arguments: Mapping[str, Any]) -> None:
    """Run the check of a component's kind."""
    from ttmarkers import testing

    checks: dict[str, Callable[..., None]] = {
        "marker": testing.check_marker_type,
        CHANGE: testing.check_taxonomy_change,
        "extractor": testing.check_extractor,
        "template": testing.check_template,
        "strategy": testing.check_strategy,
        "policy": testing.check_policy,
        "task": testing.check_task,
        "profile": testing.check_profile,
        "guide": testing.check_guide,
        "command": testing.check_command,
    }
    needed: dict[str, Any] = {} if kind == "command" else {"plugins": plugins}
    if kind == "policy":  # it may ask for what its own plugin defines
        needed["types"] = [entry.component for entry in plugins.marker_types() if entry.plugin == plugin]
    checks[kind](component, **{**needed, **arguments})


CHECKS = (
    imports_by_name,
    is_quiet,
    imports_nothing_heavy,
    is_imported_in_no_time,
    marks_its_hooks,
    offers_something,
    offers_names_that_are_free,
)
