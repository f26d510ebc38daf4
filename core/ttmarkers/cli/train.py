"""``ttm train``."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import (
    examples,
    json_option,
    output_option,
    resume_option,
    set_option,
    template_option,
)
from ttmarkers.cli.output import note, print_json
from ttmarkers.cli.parts import tell_lacks
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.cli import Context


@click.command(
    epilog=examples(
        "ttm train marked.jsonl --model scratch:tiny -o model",
        "ttm train marked.jsonl --model scratch:tiny -o model --set train.max_steps=400",
    )
)
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@click.option(
    "--model",
    metavar="MODEL",
    help="What is trained: a folder, a Hub name, scratch:tiny or scratch:small.",
    shell_complete=completing.models,
)
@output_option("Folder of the trained model.", required=True)
@click.option(
    "--strategy",
    metavar="NAME",
    help="Training strategy (ttm strategies list); by default the config's, else sft.",
    shell_complete=completing.names("strategies"),
)
@template_option
@resume_option
@click.option("--push-to", metavar="OWNER/NAME", help="Upload the finished model to the Hugging Face Hub.")
@set_option
@json_option
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
    as_json: bool,
) -> None:
    """Fine-tune a model on annotated rows.

    MARKED are files that ttm annotate wrote. Keys under train. that are not ours go to TRL's SFTConfig under TRL's own
    names.
    """
    tell_lacks(context, inputs=marked)
    given = {"train.model": model, "train.strategy": strategy, "template": template}
    config = context.config([*overrides, *(f"{key}={value}" for key, value in given.items() if value)])
    if not config.train.model:
        raise ConfigError("no model is named: give --model, such as scratch:tiny, or train.model in the config")
    tell_lacks(context, model=config.train.model)

    from ttmarkers.models.hub import check_name, push
    from ttmarkers.training.job import TrainingJob, has_checkpoint
    from ttmarkers.training.job import train as run
    from ttmarkers.training.processes import is_first

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
    if not as_json:
        click.echo(folder)
    place = push(output, push_to) if push_to else None
    if place:
        note(f"the model is at {place}")
    if as_json:
        print_json({"output": str(folder), "uploaded": place})
