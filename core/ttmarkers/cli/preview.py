"""``ttm preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, limit_option, set_option, template_option
from ttmarkers.cli.output import print_json
from ttmarkers.cli.parts import tell_lacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ttmarkers.cli import Context
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.records import RenderedPair

COLOURS = {"prompt": None, "block": "cyan", "answer": "green"}


@click.command(epilog=examples("ttm preview marked.jsonl -n 1", "ttm preview marked.jsonl --template compact"))
@click.argument("marked", nargs=-1, required=True, metavar="MARKED...", shell_complete=completing.files)
@limit_option("Only the first N rows.", default=3, show_default=True)
@click.option(
    "--model",
    metavar="MODEL",
    help="Show the tokens of this model's tokenizer, and which carry loss.",
    shell_complete=completing.models,
)
@click.option(
    "--epoch",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Show the rows as this epoch has them: dropout differs.",
)
@template_option
@set_option
@json_option
@click.pass_obj
def preview(
    context: Context,
    marked: tuple[str, ...],
    limit: int,
    model: str | None,
    epoch: int,
    template: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show rows as the model will see them.

    MARKED are annotated rows. They are shown with prompt, block and answer, with the markers that dropout took from
    the prompt and, if a model is named, with its tokens.
    """
    tell_lacks(context, inputs=marked)
    config = context.config([*overrides, *([f"template={template}"] if template else [])])
    encoder = _encoder(model) if model else None
    for pair in _pairs(context, config, marked, limit, epoch):
        tokens = _tokens(encoder, pair) if encoder else None
        if as_json:
            print_json(_row(pair, tokens), line=True)
        else:
            _show(pair, tokens)


def _encoder(model: str) -> Encoder:
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.models.loading import load_tokenizer

    return Encoder(load_tokenizer(model))


def _pairs(context: Context, config: Any, marked: tuple[str, ...], number: int, epoch: int) -> Iterator[RenderedPair]:
    from itertools import islice

    from ttmarkers.blocks.rendering import Renderer
    from ttmarkers.blocks.source import template_component
    from ttmarkers.blocks.template import load_template
    from ttmarkers.marked import Counts, read_marked
    from ttmarkers.taxonomies.sources import current_taxonomy, sound_taxonomy

    everything = sound_taxonomy(context.plugins, config.markers)
    taxonomy = current_taxonomy(context.plugins, config.markers, order=config.markers.use)
    template = load_template(template_component(config.template, context.plugins), taxonomy)
    shares = {}
    if config.dropout.tail:  # what is rare shows in all rows only
        counts = Counts()
        for example in read_marked(marked, everything, config.data.columns):
            counts.add(example.markers)
        shares = counts.shares(taxonomy)
    renderer = Renderer(template, config.dropout.make(config.seed, shares))
    for example in islice(read_marked(marked, everything, config.data.columns), number):
        yield renderer.render(example, epoch)


def _tokens(encoder: Encoder, pair: RenderedPair) -> list[dict[str, Any]]:
    from ttmarkers.records import PART_NAMES

    encoded = encoder.encode([pair])[0]
    return [
        {"id": token, "text": encoder.tokenizer.decode([token]), "part": PART_NAMES[part], "loss": bool(part)}
        for token, part in zip(encoded.input_ids, encoded.parts, strict=True)
    ]


def _row(pair: RenderedPair, tokens: list[dict[str, Any]] | None) -> dict[str, Any]:
    turns = [{"role": turn.role, "content": turn.content} for turn in pair.prompt]
    plain = len(turns) == 1 and turns[0]["role"] == "user"
    row = {
        "id": pair.id,
        "prompt": turns[0]["content"] if plain else turns,
        "completion": pair.completion,
        "dropped": list(pair.dropped),
    }
    return row if tokens is None else {**row, "tokens": tokens}


def _show(pair: RenderedPair, tokens: list[dict[str, Any]] | None) -> None:
    click.secho(f"── {pair.id}", bold=True)
    if tokens is None:
        for turn in pair.prompt:
            click.echo(f"{click.style(turn.role, dim=True)}  {turn.content}")
        click.echo(f"{click.style('target', dim=True)}  {click.style(pair.block, fg='cyan')}", nl=False)
        click.secho(pair.answer, fg="green")
    else:
        for token in tokens:
            text = token["text"].replace("\n", "⏎\n")
            click.echo(click.style(text, fg=COLOURS[token["part"]], underline=token["loss"]) + "│", nl=False)
        click.echo()
        learned = sum(token["loss"] for token in tokens)
        click.echo(f"{len(tokens)} tokens, {learned} with loss (underlined): block in cyan, answer in green")
    click.echo(f"dropped from the prompt: {', '.join(pair.dropped) or 'nothing'}\n")
