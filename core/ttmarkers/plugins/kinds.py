"""The kinds of components: what users call them, and the hook that yields them."""

from __future__ import annotations

from typing import Any, NamedTuple

from ttmarkers.components import (
    ExtractorComponent,
    GuideComponent,
    MarkerType,
    PolicyComponent,
    ProfileComponent,
    StrategyComponent,
    TaskComponent,
    TaxonomyChange,
    TemplateComponent,
)


class Kind(NamedTuple):
    """A kind of component.

    Attributes:
        plural: how listings call many of it; also the method of `ttmarkers.plugins.manager.Plugins` that returns them.
        hook: which yields it.
        component: the class of what the hook yields; None for click's commands, so that click is imported when needed.
    """

    plural: str
    hook: str
    component: type[Any] | None

    @property
    def yields(self) -> type[Any]:
        """The class of what the hook yields."""
        if self.component is None:
            import click

            return click.Command
        return self.component


CHANGE = "taxonomy change"

KINDS = {
    "marker": Kind("marker_types", "ttm_marker_types", MarkerType),
    CHANGE: Kind("taxonomy_changes", "ttm_taxonomy_changes", TaxonomyChange),
    "extractor": Kind("extractors", "ttm_extractors", ExtractorComponent),
    "template": Kind("templates", "ttm_templates", TemplateComponent),
    "strategy": Kind("strategies", "ttm_training_strategies", StrategyComponent),
    "policy": Kind("policies", "ttm_decoding_policies", PolicyComponent),
    "task": Kind("tasks", "ttm_tasks", TaskComponent),
    "profile": Kind("profiles", "ttm_profiles", ProfileComponent),
    "guide": Kind("guides", "ttm_guides", GuideComponent),
    "command": Kind("commands", "ttm_commands", None),
}
"""What messages call a kind -> the kind, in the order of the loop."""


def kind_of(component: object) -> str:
    """Return what a component's kind is called.

    Raises:
        TypeError: if it is no component.
    """
    for name, kind in KINDS.items():
        if isinstance(component, kind.yields):
            return name
    raise TypeError(f"{component!r} is no component: make one of ttmarkers.components, or a click command")
