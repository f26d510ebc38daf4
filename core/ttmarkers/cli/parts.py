"""What had a part in a model or in annotated files, and is not there any more: told at once, and where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttmarkers.cli import Context


def tell_lacks(context: Context, *, model: str | None = None, inputs: Iterable[str] = ()) -> None:
    """Say on standard error which distributions are missing that had a part in what a command is given.

    They are kept, so that the error of a component that is then missing says what to install (`Context.parts`).

    Args:
        context: of the command.
        model: a model's folder or Hub name.
        inputs: annotated files, or globs of them.
    """
    from ttmarkers.annotation.earlier import input_parts
    from ttmarkers.checkpoints.checkpoint import model_parts
    from ttmarkers.datasets import expand
    from ttmarkers.errors import TtmError
    from ttmarkers.models.loading import is_scratch
    from ttmarkers.provenance import lacks

    found = {model: model_parts(model)} if model and not is_scratch(model) else {}
    for name in inputs:
        try:
            for path in expand([name]):
                found[path] = input_parts([path])
        except TtmError:
            continue  # whoever reads it says what is wrong
    told: set[str] = set()
    for made, parts in found.items():
        context.parts += parts
        for lack in lacks(parts, context.plugins):
            if lack.parts[0].requirement not in told:
                told.add(lack.parts[0].requirement)
                note(f"{made}: {lack}")
