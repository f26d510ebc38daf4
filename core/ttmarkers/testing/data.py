"""Checks of profiles and guides, which are data."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers.annotation.guides import read_guides
from ttmarkers.annotation.job import annotation_plan
from ttmarkers.components import read_data
from ttmarkers.config import make_config
from ttmarkers.errors import TtmError
from ttmarkers.settings import read_yaml
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold
from ttmarkers.testing.made_up import plugins_with, taxonomy_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.components import GuideComponent, MarkerType, ProfileComponent
    from ttmarkers.plugins.manager import Plugins


@dataclass
class Probe:
    """A profile or guide, and the plugins whose markers it speaks of."""

    component: ProfileComponent | GuideComponent
    plugins: Plugins


def check_profile(
    component: ProfileComponent, *, types: Iterable[MarkerType] = (), plugins: Plugins | None = None
) -> None:
    """Check a profile: it is a part of a config, and names markers, values and extractors that there are.

    Args:
        component: what the hook yields.
        types: marker types that no installed plugin offers.
        plugins: where all other components come from; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> from ttmarkers.components import ProfileComponent
        >>> check_profile(ProfileComponent("diary", "Mine.", "markers: {declared: {source: {constant: Human}}}"))
    """
    hold(f"profile {component.name!r}", Probe(component, plugins or plugins_with(*types)), PROFILE_CHECKS)


def check_guide(component: GuideComponent, *, types: Iterable[MarkerType] = (), plugins: Plugins | None = None) -> None:
    """Check a guide: it has the form of guides, and names markers and values that there are.

    Args:
        component: what the hook yields.
        types: marker types that no installed plugin offers.
        plugins: where all other marker types come from; the installed ones by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> from ttmarkers.components import GuideComponent
        >>> check_guide(GuideComponent("task", "Mine.", "markers: {task: {question: What is asked?}}"))
    """
    hold(f"guide {component.name!r}", Probe(component, plugins or plugins_with(*types)), GUIDE_CHECKS)


def is_found(probe: Probe) -> None:
    """The text is there, in the package that the component names."""
    source = probe.component.source
    try:
        text = read_data(source)
    except (OSError, ModuleNotFoundError, UnicodeDecodeError) as error:
        raise Breach(f"its source {source!r} cannot be read ({error}): ship the file with the package") from error
    if not text.strip():
        raise Breach("its source is empty: write what is known, or leave the component out")
    if text == source and ":" in source and source.endswith((".yaml", ".yml")):
        raise Breach(f"its source {source!r} is taken for YAML itself: write package:path without spaces")


def is_a_part_of_a_config(probe: Probe) -> None:
    """The profile is a config that is sound by itself, and names what there is."""
    where = f"profile {probe.component.name}"
    try:
        data = read_yaml(read_data(probe.component.source), where)
        if not isinstance(data, dict):
            raise Breach("it holds no keys with values: write sections of a config, such as markers")
        annotation_plan(make_config(data, where), probe.plugins)
    except TtmError as error:
        raise Breach(f"it is no part of a config ({error}): see docs/reference/config.md") from error


def declares_values_that_there_are(probe: Probe) -> None:
    """What the data set says of itself can be written as markers."""
    config = make_config(read_yaml(read_data(probe.component.source), "profile"))
    taxonomy = taxonomy_of(probe.plugins)
    for name, word in config.markers.declared.items():
        for value in (word.constant, *(word.values or {}).values()):
            if value is None:
                continue
            try:
                taxonomy.check({name: value})
            except TtmError as error:
                raise Breach(f"under markers.declared it says what cannot be ({error}): name a value") from error


def is_a_guide_of_markers(probe: Probe) -> None:
    """The guide has the form of guides, and every marker and value that it names there is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{probe.component.name}.yaml"
        path.write_text(read_data(probe.component.source), encoding="utf-8")
        taxonomy = taxonomy_of(probe.plugins)
        try:
            # files are looked at more closely than components, whose marker types may not be there
            read_guides([], [path], taxonomy)
        except TtmError as error:
            said = str(error).replace(f"{folder}/", "")
            raise Breach(f"it is no guide of markers ({said}): see ttmarkers.annotation.guides") from error


def says_something(probe: Probe) -> None:
    """A guide defines a value, gives examples, or asks a question."""
    found = read_guides([probe.component], [], taxonomy_of(probe.plugins))  # type: ignore[list-item]
    bare = read_guides([], [], taxonomy_of(probe.plugins))
    if found == bare:
        raise Breach("it says nothing of any marker: write a question, definitions or examples")


PROFILE_CHECKS = (has_a_name_and_a_summary, is_found, is_a_part_of_a_config, declares_values_that_there_are)
GUIDE_CHECKS = (has_a_name_and_a_summary, is_found, is_a_guide_of_markers, says_something)
