"""The Jinja file of a block template: found, and run in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ttmarkers.components import TemplateComponent, read_data
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from ttmarkers.plugins.manager import Plugins

_PROBES = ("\ue000Aa0", "\ue001zZ9\ue002")  # private characters: no template writes them of its own accord


@dataclass(frozen=True, slots=True)
class Frame:
    """What a template writes around a marker's value."""

    prefix: str
    suffix: str


class Macros:
    """The macros and strings that a template's source defines.

    Raises:
        ConfigError: if the source is no Jinja template.
    """

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True
        )
        try:
            self._module: Any = environment.from_string(source).module
        except Exception as error:  # a template can run any expression, and fail as it likes
            raise ConfigError(f"template {name!r} is no Jinja template: {_one_line(error)}") from error

    def text(self, name: str) -> str:
        """Return a string that the source sets; empty if it does not."""
        return str(getattr(self._module, name, ""))

    def call(self, macro: str, *arguments: str) -> str:
        """Return what a macro writes.

        Raises:
            ConfigError: if there is none, or it fails.
        """
        function = getattr(self._module, macro, None)
        if not callable(function):
            raise ConfigError(f"template {self._name!r} lacks the macro {macro}: define opening, marker and closing")
        try:
            return str(function(*arguments))
        except Exception as error:  # as above
            raise ConfigError(f"template {self._name!r}, macro {macro}: {_one_line(error)}") from error

    def frame(self, marker: str) -> Frame:
        """Return what ``marker()`` writes around a value.

        Raises:
            ConfigError: if that depends on the value, or the value is changed, or the name is missing.
        """
        frames = set()
        for probe in _PROBES:
            text = self.call("marker", marker, probe)
            if text.count(probe) != 1:
                raise ConfigError(f"template {self._name!r}: marker() must write the value once and unchanged")
            prefix, _, suffix = text.partition(probe)
            frames.add((prefix, suffix))
        if len(frames) != 1:
            raise ConfigError(f"template {self._name!r}: what marker() writes around a value may not depend on it")
        prefix, suffix = frames.pop()
        if marker not in prefix:
            raise ConfigError(f"template {self._name!r}: marker() must write the marker's name before its value")
        return Frame(prefix, suffix)


def template_component(name: str, plugins: Plugins, *, where: str = "template") -> TemplateComponent:
    """Return a registered template, or one made of a file whose name ends with ``.jinja``.

    Args:
        name: of the template or file.
        plugins: those that are loaded.
        where: the config key that the name comes from, for the message.

    Raises:
        UnknownNameError: if there is no template of that name.
        ConfigError: if the file cannot be read.
    """
    if not name.endswith(".jinja"):
        return plugins.templates().get(name, where=where)
    try:
        return TemplateComponent(Path(name).stem, "", Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"template {name!r} cannot be read: {error.strerror}") from error


def read_source(component: TemplateComponent) -> str:
    """Return a template's Jinja source."""
    try:
        return read_data(component.source)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ConfigError(f"template {component.name!r} is not at {component.source!r}: {error}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
