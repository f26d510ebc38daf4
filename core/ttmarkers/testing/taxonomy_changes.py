"""Checks of taxonomy changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ttmarkers.errors import TtmError
from ttmarkers.taxonomies.sources import current_types
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold
from ttmarkers.testing.made_up import plugins_with
from ttmarkers.testing.marker_types import check_marker_type

if TYPE_CHECKING:
    from ttmarkers.components import MarkerType, TaxonomyChange
    from ttmarkers.plugins.manager import Plugins


@dataclass
class Probe:
    """A change, and the plugins among which it is one."""

    component: TaxonomyChange
    plugins: Plugins

    @cached_property
    def changed(self) -> MarkerType:
        """The marker type with all changes made."""
        try:
            return current_types(self.plugins)[self.component.marker]
        except TtmError as error:
            raise Breach(f"it cannot be made among the plugins that are installed: {error}") from error


def check_taxonomy_change(change: TaxonomyChange, *, plugins: Plugins | None = None) -> None:
    """Check a taxonomy change: it fits its marker type and the changes of others, and what comes of it is sound.

    Args:
        change: of the taxonomy.
        plugins: among which it is made; the installed ones, and those of the framework, by default.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> from ttmarkers.components import TaxonomyChange
        >>> check_taxonomy_change(TaxonomyChange("robots", "Robots are a domain.", "domain", add=("Robotics",)))
    """
    probe = Probe(change, plugins or plugins_with(change))
    hold(f"taxonomy change {change.name!r}", probe, CHECKS)
    check_marker_type(probe.changed, plugins=probe.plugins)


def fits_what_is_there(probe: Probe) -> None:
    """The marker type exists, has the values that are changed, and no other plugin says otherwise."""
    assert probe.changed


CHECKS = (has_a_name_and_a_summary, fits_what_is_there)
