"""Readability for ttmarkers: a marker type, an extractor, a template, a task and a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.components import ExtractorComponent, MarkerType, TaskComponent, TemplateComponent
from ttmarkers.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click


@hookimpl
def ttm_marker_types() -> Iterator[MarkerType]:
    """Yield the marker type."""
    yield MarkerType(
        "readability",
        "How hard the completion is to read, by LIX beside newspapers of its language.",
        "categorical",
        ("easy", "medium", "hard"),
        aliases={"simple": "easy", "difficult": "hard"},
    )


@hookimpl
def ttm_extractors() -> Iterator[ExtractorComponent]:
    """Yield the extractor; language, code and format are found before it is asked."""
    yield ExtractorComponent(
        "lix",
        "LIX: sentence length and long words, in languages that it was tested on.",
        "ttmarkers_readability.extract:LixExtractor",
        markers=("readability",),
        needs=("lang", "code_type", "format"),
    )


@hookimpl
def ttm_templates() -> Iterator[TemplateComponent]:
    """Yield the template."""
    yield TemplateComponent("lines", "A line for each marker.", "ttmarkers_readability:templates/lines.jinja")


@hookimpl
def ttm_tasks() -> Iterator[TaskComponent]:
    """Yield the task."""
    yield TaskComponent(
        "readability", "Answers as easy to read as asked.", "ttmarkers_readability.task:ReadabilityTask"
    )


@hookimpl
def ttm_commands() -> Iterator[click.Command]:
    """Yield the command."""
    from ttmarkers_readability.command import readability

    yield readability
