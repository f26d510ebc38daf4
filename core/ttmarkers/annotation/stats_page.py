"""The page of ``ttm stats --html``: a plot for each marker, tables by language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.stats import TAIL
from ttmarkers.figures import bar_plot, histogram
from ttmarkers.report import Page, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ttmarkers.annotation.stats import Stats


def stats_page(found: Stats, inputs: Sequence[str]) -> Page:
    """Return a page of all markers that occur."""
    data = found.to_json()
    missing = [
        [
            name,
            str(found.rows - entry["missing"]),
            str(entry["missing"]),
            f"{entry['missing'] / max(found.rows, 1):.1%}",
        ]
        for name, entry in data["markers"].items()
    ]
    overview = Section("What is known", (), [Table(["marker", "rows", "missing", "share missing"], missing)])
    return Page(
        "Markers",
        f"{found.rows} rows of {', '.join(inputs)}. "
        f"A value under {TAIL:.0%} of the rows is in the tail; its bar is hatched.",
        [overview, *_markers(found, data), *_languages(data)],
    )


def _markers(found: Stats, data: dict[str, Any]) -> Iterator[Section]:
    for kind in found.taxonomy:
        entry = data["markers"][kind.name]
        if entry["missing"] == found.rows:
            continue
        if kind.kind == "categorical":
            bars = [(str(v["value"]), 100 * v["share"], bool(v["tail"])) for v in entry["values"]]
            rows = [
                [str(v["value"]), str(v["count"]), f"{v['share']:.2%}", "tail" if v["tail"] else ""]
                for v in entry["values"]
            ]
            plot = bar_plot(bars, "share of all rows, per cent")
            yield Section(kind.name, [kind.summary], [Table(["value", "rows", "share", ""], rows)], [plot])
        else:
            quantiles = entry["quantiles"]
            head = [f"{name} %" for name in quantiles]
            table = Table(head, [[f"{value:g}" for value in quantiles.values()]])
            counted = {float(value): number for value, number in found.counts[kind.name].items()}
            plot = histogram(counted, kind.unit or kind.name)
            yield Section(kind.name, [kind.summary, "Quantiles:"], [table], [plot])


def _languages(data: dict[str, Any]) -> Iterator[Section]:
    languages = data.get("languages", {})
    if not languages:
        return
    head = ["language", "rows"]
    for name in ("length_tokens", "length_sentences", "quality"):
        head.append(f"median {name}")
    rows = []
    for language, part in languages.items():
        medians = [part["markers"][n]["quantiles"].get("50") for n in ("length_tokens", "length_sentences", "quality")]
        rows.append([language, str(part["rows"]), *("-" if value is None else f"{value:g}" for value in medians)])
    yield Section("By language", (), [Table(head, rows)])
