"""Results side by side as tables and plots: figures, slices, differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ttmarkers.figures import Group, interval_plot
from ttmarkers.report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ttmarkers.evaluation.results import Compared, Result
    from ttmarkers.records import Metric
    from ttmarkers.statistics import Estimate

METHOD = (
    "Each figure is followed by its 95 % interval: a bootstrap over prompts, and over seeds where there are several; "
    "exact where a share has few hits or misses. Differences are of the same prompts; p is that of a permutation test, "
    "corrected for all comparisons of a section (Holm); it speaks of these trained models, where the interval is over "
    "seeds too, and two seeds say little of a third. What is detectable is the smallest difference that so many "
    "prompts would show four times out of five. Cases that ask the same prompt count as one prompt."
)


def figures_table(results: Mapping[str, Result], metrics: Mapping[str, Metric]) -> Table:
    """Return a table of systems with their figures over all prompts."""
    shown = _occurring(results, metrics)
    rows = [
        [name, result.policy, str(result.n), str(result.runs), *(_cell(result.metrics, m, metrics[m]) for m in shown)]
        for name, result in results.items()
    ]
    return Table(["system", "policy", "cases", "seeds", *shown], rows)


def slices_table(
    results: Mapping[str, Result], metrics: Mapping[str, Metric], by: Sequence[str] | None = None
) -> Table | None:
    """Return a table of slices, each with all systems; None if there are none.

    Args:
        results: by system.
        metrics: those to show.
        by: the properties to show; all by default.
    """
    shown, order = _occurring(results, metrics), list(results)
    rows = [
        [f"{part.by}: {part.value}", name, str(part.n), *(_cell(part.metrics, m, metrics[m]) for m in shown)]
        for name, result in results.items()
        for part in result.slices
        if by is None or part.by in by
    ]
    rows.sort(key=lambda row: (row[0], order.index(row[1])))
    return Table(["slice", "system", "cases", *shown], rows) if rows else None


def differences_table(compared: Sequence[Compared]) -> Table | None:
    """Return a table of comparisons; None if there are none."""
    rows = []
    for each in compared:
        where = f"{each.by}: {each.value}" if each.by else "all"
        scale, digits = (100.0, 1) if each.share else (1.0, 2)
        seen = each.difference.detectable
        rows.append(
            [
                f"{each.system} against {each.against}",
                each.metric,
                where,
                str(each.difference.n),
                each.difference.text(share=each.share),
                _p(each.corrected),
                "-" if math.isnan(seen) else f"{scale * seen:.{digits}f}",
            ]
        )
    head = ["difference", "metric", "cases", "n", "of the same prompts", "p corrected", "detectable"]
    return Table(head, rows) if rows else None


def metric_plots(
    results: Mapping[str, Result], metrics: Mapping[str, Metric], by: Sequence[str] | None = None
) -> Iterator[str]:
    """Yield a plot for each metric of which more or less is better: over all prompts, and by slice."""
    keys = dict.fromkeys(
        (part.by, part.value) for result in results.values() for part in result.slices if by is None or part.by in by
    )
    for name, meaning in metrics.items():
        values = {label: result.metrics[name] for label, result in results.items() if name in result.metrics}
        if not values or meaning.better == "neither":
            continue
        groups = [Group("all", values)]
        for key in keys:
            parts = {label: result.slice(*key) for label, result in results.items()}
            inside = {label: part.metrics[name] for label, part in parts.items() if part and name in part.metrics}
            if inside:
                groups.append(Group(": ".join(key), inside))
        yield interval_plot(groups, name, share=meaning.share)


def _occurring(results: Mapping[str, Result], metrics: Mapping[str, Metric]) -> list[str]:
    return [name for name in metrics if any(name in result.metrics for result in results.values())]


def _cell(metrics: Mapping[str, Estimate], name: str, meaning: Metric) -> str:
    return metrics[name].text(share=meaning.share) if name in metrics else "-"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
