"""Plots as SVG that is put into a page: text stays text and takes the page's colour, so light and dark both work."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.statistics import Estimate

# Okabe and Ito's colours, told apart by colour-blind readers; shapes tell them apart in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("o", "s", "D", "^", "v", "P")
PARTS = {"answer_loss": "-", "block_loss": "--"}  # what a log calls the losses -> how they are drawn
MARKER = "loss."
INK = "#010203"  # stands for the page's text colour


@dataclass(frozen=True)
class Group:
    """One row of an interval plot: a label, and an estimate for each series."""

    label: str
    values: Mapping[str, Estimate]


def interval_plot(groups: Sequence[Group], title: str, *, share: bool = True) -> str:
    """Return a plot of estimates with their intervals, one row a group, the axis from zero or from what is below it.

    Args:
        groups: from top to bottom.
        title: says what the axis shows.
        share: whether the values lie between 0 and 1; they are shown in per cent.
    """
    series = list(dict.fromkeys(name for group in groups for name in group.values))
    height = 0.8 + len(groups) * (0.22 + 0.17 * len(series))
    figure, axes = _canvas(7.2, height)
    scale = 100.0 if share else 1.0
    for index, name in enumerate(series):
        offset = (index - (len(series) - 1) / 2) * 0.7 / max(len(series), 1)
        points = [(row, group.values[name]) for row, group in enumerate(groups) if name in group.values]
        centre = [scale * estimate.value for _, estimate in points]
        arms = [
            [scale * (estimate.value - estimate.low) for _, estimate in points],
            [scale * (estimate.high - estimate.value) for _, estimate in points],
        ]
        axes.errorbar(
            centre,
            [row + offset for row, _ in points],
            xerr=arms,
            fmt=SHAPES[index % len(SHAPES)],
            color=COLOURS[index % len(COLOURS)],
            markersize=5,
            capsize=3,
            linewidth=1.4,
            label=name,
            clip_on=False,
        )
    axes.set_yticks(range(len(groups)), [group.label for group in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    lowest = min(scale * estimate.low for group in groups for estimate in group.values.values())
    axes.set_xlim(0 if share else min(0.0, 1.05 * lowest), 100 if share else None)
    axes.set_xlabel(title + (", per cent" if share else ""))
    axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
    if len(series) > 1:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(series), frameon=False, labelcolor=INK)
    return _svg(figure)


def bar_plot(bars: Sequence[tuple[str, float, bool]], title: str) -> str:
    """Return horizontal bars from top to bottom.

    Args:
        bars: label, length, and whether the bar is hatched.
        title: says what the axis shows.
    """
    figure, axes = _canvas(7.2, 0.7 + 0.26 * len(bars))
    places = range(len(bars))
    drawn = axes.barh(places, [length for _, length, _ in bars], color=COLOURS[0], height=0.68)
    for bar, (_, length, hatched) in zip(drawn, bars, strict=True):
        if hatched:
            bar.set(facecolor="none", edgecolor=COLOURS[1], hatch="////", linewidth=1)
        axes.annotate(
            f" {length:.3g}", (length, bar.get_y() + bar.get_height() / 2), va="center", fontsize=8, color=INK
        )
    axes.set_yticks(places, [label for label, _, _ in bars])
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.margins(x=0.1)
    axes.set_xlabel(title)
    return _svg(figure)


def histogram(values: Mapping[float, int], title: str) -> str:
    """Return how often numbers occur; the widest fiftieth is drawn together with the last bar.

    Args:
        values: number -> how often it occurs.
        title: says what the axis shows.
    """
    import numpy

    numbers = numpy.fromiter(values, float)
    weights = numpy.fromiter(values.values(), float)
    order = numbers.argsort()
    share = weights[order].cumsum() / weights.sum()
    top = float(numbers[order][share.searchsorted(0.98)])
    low = float(numbers.min())
    if all(number == int(number) for number in values):  # bars over the numbers, not between them
        top = max(top, low + 1)
        steps, borders = int(min(40, top - low + 1)), (low - 0.5, top + 0.5)
    else:
        steps, borders = 40, (low, top if top > low else low + 1)
    figure, axes = _canvas(7.2, 2.6)
    axes.hist(numbers.clip(max=borders[1]), bins=steps, range=borders, weights=weights, color=COLOURS[0])
    axes.set_xlabel(title + (f" (over {top:g} in the last bar)" if numbers.max() > top else ""))
    axes.set_ylabel("rows")
    return _svg(figure)


def loss_plot(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the losses of runs by training step; block and answer apart where a run logged both.

    Args:
        logs: run's name -> its ``log.json``.
    """
    return _svg(_losses(logs))


def loss_image(log: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the losses of one run as a PNG on white: block and answer above, each marker's below.

    Args:
        log: as ``log.json`` holds it; figures of held-out rows are drawn with dots.
    """
    markers = list(dict.fromkeys(key.removeprefix(MARKER) for entry in log for key in entry if key.startswith(MARKER)))
    figure, axes = _canvas(7.2, 6.4 if markers else 3.0, 2 if markers else 1)
    above = axes[0] if markers else axes
    for place, (key, style) in enumerate(PARTS.items()):
        _draw(above, log, key, key.removesuffix("_loss"), COLOURS[place], style)
    _finish(above)
    if markers:
        for place, marker in enumerate(markers):
            style = ("-", "--", ":")[place // len(COLOURS) % 3]
            _draw(axes[1], log, MARKER + marker, marker, COLOURS[place % len(COLOURS)], style)
        _finish(axes[1])
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120, facecolor="white", metadata={"Software": None})
    return stream.getvalue()


def _losses(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    figure, axes = _canvas(7.2, 3.0)
    for index, (name, log) in enumerate(logs.items()):
        for key, style in PARTS.items():
            label = ", ".join(filter(None, (name, key.removesuffix("_loss"))))
            _draw(axes, log, key, label, COLOURS[index % len(COLOURS)], style)
    _finish(axes)
    return figure


def _draw(axes: Any, log: Sequence[Mapping[str, Any]], key: str, label: str, colour: str, style: str) -> None:
    """Draw a figure by step: a line for training, dots for held-out rows."""
    points = [(entry["step"], entry[key]) for entry in log if key in entry]
    if points:
        axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.4, label=label)
    held_out = [(entry["step"], entry[f"eval_{key}"]) for entry in log if f"eval_{key}" in entry]
    if held_out:
        axes.plot(*zip(*held_out, strict=True), "o", color=colour, markersize=4)


def _finish(axes: Any) -> None:
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats a token")
    axes.grid(color=INK, alpha=0.15, linewidth=0.6)
    if axes.lines:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    if any(line.get_linestyle() == "None" for line in axes.lines):
        axes.set_title("dots: held-out rows", fontsize=8, color=INK, loc="right")


def _canvas(width: float, height: float, panels: int = 1) -> tuple[Any, Any]:
    """Return a figure and its axes, an array of them if there are several panels."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.fonttype"] = "none"
    # a fixed salt makes the same plot the same bytes
    matplotlib.rcParams["svg.hashsalt"] = "ttmarkers"
    figure = Figure(figsize=(width, height), layout="constrained")
    made = figure.subplots(panels)
    for axes in made if panels > 1 else (made,):
        axes.set_facecolor("none")
        axes.tick_params(colors=INK, labelsize=9)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        for side, spine in axes.spines.items():
            spine.set_color(INK)
            spine.set_visible(side in ("left", "bottom"))
    return figure, made


def _svg(figure: Any) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', 'class="plot"', text, count=1)
