"""``ttm train``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ttmarkers.cli.output import note, set_option
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from ttmarkers.cli import Context


@click.command()
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...")
@click.option("--model", help="A path, a Hub name, scratch:tiny or scratch:small.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder of the trained model.")
@click.option("--strategy", help="Training strategy (ttm strategies list).  [default: sft]")
@click.option("--template", help="Block template (ttm templates list) or a .jinja file.  [default: paper]")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run.")
@click.option("--push-to", metavar="OWNER/NAME", help="Upload the finished model to the Hugging Face Hub.")
@set_option
@click.pass_obj
def train(
    context: Context,
    marked: tuple[str, ...],
    model: str | None,
    output: Path,
    strategy: str | None,
    template: str | None,
    resume: bool,
    push_to: str | None,
    overrides: tuple[str, ...],
) -> None:
    """Fine-tune a model on annotated rows (MARKED, what ttm annotate wrote)."""
    given = {"train.model": model, "train.strategy": strategy, "template": template}
    config = context.config([*overrides, *(f"{key}={value}" for key, value in given.items() if value)])
    if not config.train.model:
        raise ConfigError("no model is named: give --model, such as scratch:tiny, or train.model in the config")

    from ttmarkers.hub import check_name, push
    from ttmarkers.processes import is_first
    from ttmarkers.training import TrainingJob, has_checkpoint
    from ttmarkers.training import train as run

    if push_to:
        check_name(push_to)
    job = TrainingJob(marked, config.train.model, output, config, context.plugins, resume, note)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # trackers print what they like
            folder = run(job)
    except KeyboardInterrupt:
        if has_checkpoint(job):
            note(f"checkpoints are kept in {output}: go on with --resume")
        raise
    if not is_first():
        return
    click.echo(folder)
    if push_to:
        note(f"the model is at {push(output, push_to)}")
