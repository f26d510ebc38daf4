"""The hooks. A plugin implements any of them as module functions marked with `hookimpl`.

A plugin is a module named by an entry point of the group ``ttmarkers``::

    [project.entry-points.ttmarkers]
    readability = "ttmarkers_readability"

Keep that module light: hook functions only, heavy code behind a ``factory``.
"""

# mypy: disable-error-code="empty-body"
# a specification has no body: only its name, arguments and docstring count

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

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

PROJECT = "ttmarkers"

API = 1
"""The version of the hooks: it grows when one is added or gains an argument. A plugin that needs a certain one says so
by ``ttm_api = N`` in its module."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ttm_marker_types() -> Iterable[MarkerType]:
    """Yield marker types.

    ::

        @hookimpl
        def ttm_marker_types():
            yield MarkerType("mood", "How the answer feels.", "categorical", ("happy", "sad"))
    """


@hookspec
def ttm_taxonomy_changes() -> Iterable[TaxonomyChange]:
    """Yield changes of other plugins' marker types: values added, renamed or split.

    ::

        @hookimpl
        def ttm_taxonomy_changes():
            yield TaxonomyChange("robots", "Robots are a domain.", "domain", add=("Robotics",))
    """


@hookspec
def ttm_extractors() -> Iterable[ExtractorComponent]:
    """Yield extractors.

    ::

        @hookimpl
        def ttm_extractors():
            yield ExtractorComponent("mood", "Counts smileys.", "ttmarkers_mood.extract:Mood", markers=("mood",))
    """


@hookspec
def ttm_templates() -> Iterable[TemplateComponent]:
    """Yield block templates.

    ::

        @hookimpl
        def ttm_templates():
            yield TemplateComponent("terse", "Square brackets.", "ttmarkers_mood:templates/terse.jinja")
    """


@hookspec
def ttm_training_strategies() -> Iterable[StrategyComponent]:
    """Yield training strategies.

    ::

        @hookimpl
        def ttm_training_strategies():
            yield StrategyComponent("frozen", "Trains the head only.", "ttmarkers_mood.train:Frozen")
    """


@hookspec
def ttm_decoding_policies() -> Iterable[PolicyComponent]:
    """Yield decoding policies.

    ::

        @hookimpl
        def ttm_decoding_policies():
            yield PolicyComponent("happy", "Always asks for mood happy.", "ttmarkers_mood.decode:Happy")
    """


@hookspec
def ttm_tasks() -> Iterable[TaskComponent]:
    """Yield evaluation tasks.

    ::

        @hookimpl
        def ttm_tasks():
            yield TaskComponent("mood", "Share of happy answers.", "ttmarkers_mood.tasks:MoodTask")
    """


@hookspec
def ttm_profiles() -> Iterable[ProfileComponent]:
    """Yield profiles: what is known of a data set, as a part of the config.

    ::

        @hookimpl
        def ttm_profiles():
            yield ProfileComponent("diary", "My diary.", "markers: {declared: {source: {constant: Human}}}")
    """


@hookspec
def ttm_guides() -> Iterable[GuideComponent]:
    """Yield guides: definitions and examples of values, for taggers that judge by them.

    ::

        @hookimpl
        def ttm_guides():
            yield GuideComponent("mood", "What happy and sad mean.", "ttmarkers_mood:guides/mood.yaml")
    """


@hookspec
def ttm_commands() -> Iterable[click.Command]:
    """Yield click commands that become ``ttm NAME``.

    ::

        @hookimpl
        def ttm_commands():
            yield click.Command("mood", callback=lambda: click.echo(":-)"), help="Smile.")
    """
