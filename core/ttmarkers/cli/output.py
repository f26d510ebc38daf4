"""What commands print: tables and JSON on standard output, everything else on standard error."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ttmarkers.plugins.manager import Plugins


def print_json(data: Any, *, line: bool = False) -> None:
    """Print one JSON document, on one line if it is one of many."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=None if line else 2, default=str, allow_nan=False))


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns aligned to the left; the last one is not padded."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def note(text: str) -> None:
    """Print a line for people on standard error."""
    click.echo(text, err=True)


def warn_of_failed(plugins: Plugins) -> None:
    """Say on standard error which plugins did not load."""
    for record in plugins.failed:
        note(f"plugin {record.name} ({record.source}) did not load: {record.error}; see ttm plugins list")


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; yields a function that takes the number of steps done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda steps: bar.advance(task, steps)
