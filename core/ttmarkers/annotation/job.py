"""What a config says of an annotation, put together: which extractors are asked, and how rows are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.guides import spoken_of
from ttmarkers.annotation.plan import brief, make_plan
from ttmarkers.annotation.worker import AnnotationJob
from ttmarkers.errors import PluginError
from ttmarkers.provenance import find_parts
from ttmarkers.taxonomies.sources import check_names, current_taxonomy, sound_taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers.annotation.plan import Plan
    from ttmarkers.config import Config
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.provenance import Part


def annotation_plan(config: Config, plugins: Plugins) -> Plan:
    """Return which extractors are asked for which markers, with what guided ones are told.

    Raises:
        UnknownNameError: for a marker type or extractor that does not exist.
        ConfigError: if the config contradicts itself.
    """
    extractors, markers = plugins.extractors(), config.markers
    for key in ("use", "declared", "extractors"):
        check_names(getattr(markers, key) or (), plugins, markers, where=f"markers.{key}")
    taxonomy = current_taxonomy(plugins, markers, order=markers.use)
    everything = sound_taxonomy(plugins, markers)
    plan = make_plan(everything, markers.model_copy(update={"use": list(taxonomy.names)}), extractors)
    return brief(plan, plugins.guides().all().values(), [Path(name) for name in markers.guides])


def annotation_parts(plan: Plan, plugins: Plugins) -> list[Part]:
    """Return what has a part in an annotation: marker types and their changes, extractors that are asked, guides."""
    steps = [*plan.steps, *plan.fitted]
    told = {name for step in steps if step.component.guided for name in step.wanted}
    guides = [entry.component.name for entry in plugins.guides() if told and told & spoken_of(entry.component)]
    return find_parts(plugins, marker=plan.kept, extractor=[step.component.name for step in steps], guide=guides)


def annotation_job(config: Config, plugins: Plugins, inputs: Sequence[str], output: Path, **more: Any) -> AnnotationJob:
    """Return the job of annotating files as a config says.

    Args:
        config: its sections ``data`` and ``markers`` count.
        plugins: the loaded plugins.
        inputs: files, globs or ``hf:`` names.
        output: the file to write.
        more: further attributes of `AnnotationJob`.

    Raises:
        PluginError: if a plugin did not load whose markers would be missing without a word.
    """
    plan = annotation_plan(config, plugins)
    # after all hooks were called, for a plugin may fail in one
    if plugins.failed and config.markers.use is None:
        record = plugins.failed[0]
        raise PluginError(
            f"plugin {record.name} ({record.source}) did not load ({record.error}), so markers may be missing: "
            f"mend it, leave it out with --no-plugin {record.name}, or name the markers with --markers"
        )
    return AnnotationJob(
        tuple(inputs),
        output,
        plan,
        columns=config.data.columns,
        row_seconds=config.data.row_seconds,
        fitted=Path(config.markers.fitted) if config.markers.fitted else None,
        fit_where=config.markers.fit_where,
        max_chars=config.data.max_chars,
        parallel=config.data.parallel.make() if config.data.parallel else None,
        **more,
    )
