"""The model card that a trained model carries: what it was trained on, its markers, and how to ask for them."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import jinja2

from ttmarkers import __version__
from ttmarkers.components import read_data
from ttmarkers.figures import loss_image
from ttmarkers.manifest import atomic
from ttmarkers.models.loading import is_scratch
from ttmarkers.statistics import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.training.job import TrainingJob

TEMPLATE = "ttmarkers_templates:report/model_card.md.jinja"
CARD, PLOT = "README.md", "losses.png"
SHOWN = ("loss", "block_loss", "answer_loss")


def write_card(job: TrainingJob, checkpoint: Checkpoint, log: Sequence[Mapping[str, Any]]) -> None:
    """Write ``README.md`` and, if anything was logged, a plot of the losses into a model's folder.

    Args:
        job: what was trained.
        checkpoint: what the model knows of its markers.
        log: what the trainer logged, an entry a step.
    """
    steps = [entry for entry in log if "loss" in entry]
    if steps:
        with atomic(job.output / PLOT) as stream:
            stream.write(loss_image(log))
    last = steps[-1] if steps else {}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(read_data(TEMPLATE)).render(
        base=None if is_scratch(job.model) else job.model,
        checkpoint=checkpoint,
        markers=[_marker(checkpoint, kind.name, kind.kind) for kind in checkpoint.taxonomy],
        accuracies=_accuracies(checkpoint, log),
        losses={name: round(float(last[name]), 4) for name in SHOWN if name in last},
        steps=last.get("step", 0),
        plot=PLOT if steps else None,
        command=shlex.join(["ttm", *sys.argv[1:]]),
        version=__version__,
        example=_example(checkpoint),
    )
    with atomic(job.output / CARD) as stream:
        stream.write(text.encode())


def _marker(checkpoint: Checkpoint, name: str, kind: str) -> dict[str, Any]:
    counts = checkpoint.counts.get(name, {})
    if kind == "categorical":
        said = ", ".join(f"{value} {count}" for value, count in sorted(counts.items(), key=lambda item: -item[1]))
        return {"name": name, "kind": kind, "rows": sum(counts.values()), "said": said}
    said = f"{counts['min']:g} to {counts['max']:g}, median {counts['median']:g}" if counts else ""
    return {"name": name, "kind": kind, "rows": counts.get("n", 0), "said": said}


def _accuracies(checkpoint: Checkpoint, log: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return how often held-out markers that were not in the prompt were predicted, at the last evaluation."""
    last: Mapping[str, Any] = next((entry for entry in reversed(log) if "eval_loss" in entry), {})
    found = []
    for kind in checkpoint.taxonomy:
        key = f"eval_accuracy.{kind.name}"
        if key in last:
            estimate = Estimate(last[key], last[f"{key}.low"], last[f"{key}.high"], last[f"eval_n.{kind.name}"])
            found.append({"name": kind.name, "n": str(estimate.n), "accuracy": estimate.text()})
    return found


def _example(checkpoint: Checkpoint) -> str:
    """Return a marker as ``-m`` takes it, the most frequent value of the first marker that has one."""
    for kind in checkpoint.taxonomy:
        counts = checkpoint.counts.get(kind.name)
        if counts:
            if kind.values:
                return f"{kind.name}={max(counts, key=lambda value: counts[value])}"
            median = float(counts["median"])
            return f"{kind.name}={round(median) if kind.kind == 'int' else median:g}"
    return ""
