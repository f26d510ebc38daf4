"""``ttm generate``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, json_option, output_option, set_option
from ttmarkers.cli.output import note, print_json, progress
from ttmarkers.cli.parts import tell_lacks
from ttmarkers.cli.steering import steer, steering_options
from ttmarkers.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ttmarkers.cli import Context
    from ttmarkers.cli.steering import Steering
    from ttmarkers.decoding.steering import Steered
    from ttmarkers.records import Generation, Request

SHOWN = 5  # values of a marker that --explain shows


@click.command(
    epilog=examples(
        "ttm generate model 'Who was Ada Lovelace?' -m length_tokens=20",
        "ttm generate model 'Tell a joke.' -m lang=French --not style=Formal --stream",
        "ttm generate model --input prompts.jsonl -o answers.jsonl",
    )
)
@click.argument("model", shell_complete=completing.models)
@click.argument("prompt", required=False)
@steering_options
@click.option(
    "--input",
    "source",
    metavar="FILE",
    help="Rows with prompt, instruction or messages to answer.",
    shell_complete=completing.files,
)
@click.option("--markers-column", "column", metavar="NAME", help="Column of --input with each row's own markers.")
@output_option("The answers, as JSON lines; by default they are printed.")
@click.option("--explain", is_flag=True, help="Show the likeliest values of each marker (policy posterior).")
@click.option("--stream", is_flag=True, help="Print the answer as it is written, without its block.")
@set_option
@json_option
@click.pass_obj
def generate(
    context: Context,
    model: str,
    prompt: str | None,
    steering: Steering,
    source: str | None,
    column: str | None,
    output: Path | None,
    explain: bool,
    stream: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Answer prompts, steered by markers.

    MODEL is a folder or a Hub name. It answers PROMPT, or standard input, or the rows of --input. The markers that
    are not given it infers.
    """
    from ttmarkers.checkpoints.checkpoint import model_parts
    from ttmarkers.decoding.run import run_policy
    from ttmarkers.manifest import manifest, refuse_existing, write_json
    from ttmarkers.provenance import find_parts

    if (prompt is not None) + (source is not None) > 1:
        raise ConfigError("give either PROMPT or --input, not both")
    if column and not source:
        raise ConfigError("--markers-column names a column of --input: give that too")
    if stream and (as_json or output):
        raise ConfigError("--stream prints text as it comes: leave out --json and -o")
    if output:
        refuse_existing(output)
    tell_lacks(context, model=model, inputs=[source] if source else [])
    config = context.config(overrides)
    steered = steer(context, config, model, steering, explain=explain)
    requests = list(_requests(prompt, source, column, steered))
    steered = _settle(steered, requests, fixed_policy=bool(steering.policy or config.decode.policy))
    answers = run_policy(steered.policy, context.plugins.policies(), steered.engine, requests, steered.options)
    if output:
        _write(output, answers, len(requests))
        parts = [*find_parts(context.plugins, policy=[steered.policy]), *model_parts(model)]
        facts = {"model": model, "policy": steered.policy, "markers": steered.markers, "negative": steered.negative}
        write_json(
            output.with_name(output.name + ".run.json"),
            manifest("generate", config, context.plugins, [source] if source else [], parts, **facts),
        )
    elif stream:
        _stream(steered, answers, explain=explain)
    else:
        _print(answers, as_json=as_json, many=source is not None, explain=explain)


def _settle(steered: Steered, requests: list[Request], *, fixed_policy: bool) -> Steered:
    """Check what can be known before anything is written, and choose the policy by what rows ask for."""
    from ttmarkers.decoding.run import choose_policy

    engine = steered.engine
    asked = next((request.markers for request in requests if request.markers), {})
    if not fixed_policy and steered.policy in ("inferred", "none"):
        steered = replace(steered, policy=choose_policy(None, engine.checkpoint, asked))
    if steered.policy == "fixed" and not asked:
        raise ConfigError("policy fixed needs markers: give them with -m name=value, or use policy inferred")
    if steered.policy == "guided" and not asked and not any(request.negative for request in requests):
        raise ConfigError("policy guided needs markers: give them with -m name=value or --not name=value")
    for request in requests:
        if name := engine.wording.clash(request.markers, request.negative):
            value = request.markers[name]
            raise ConfigError(f"request {request.id} asks for {name} = {value} and is led away from it (--not)")
        prompt = engine.prompt(request, request.markers)
        if engine.writes:
            block = engine.open(prompt, request.markers)
            block.take_forced()
            engine.room(len(block.sequence))
        else:
            engine.read(prompt)
    return steered


def _stream(steered: Steered, answers: Iterator[Generation], *, explain: bool) -> None:
    """Print pieces of answers as they come."""

    def listen(_request: str, piece: str) -> None:
        click.echo(piece, nl=False)
        sys.stdout.flush()

    steered.engine.listener, steered.engine.batch_size = listen, 1
    for generation in answers:
        click.echo()
        _report(generation, explain=explain)


def _print(answers: Iterator[Generation], *, as_json: bool, many: bool, explain: bool) -> None:
    from ttmarkers.evaluation.stored import generation_row

    for generation in answers:
        if as_json:
            print_json(generation_row(generation), line=many)
        else:
            click.echo(generation.text)
        _report(generation, explain=explain and not as_json)


def _report(generation: Generation, *, explain: bool) -> None:
    """Say what a user should know of an answer beside its text."""
    if explain:
        for name, chances in generation.chances.items():
            shown = ", ".join(f"{value} {chance:.1%}" for value, chance in list(chances.items())[:SHOWN])
            note(f"{name}: {shown}")
    if generation.fault:
        note(f"{generation.id}: {generation.fault}")
    for name, most in generation.enforced.items():
        note(f"{generation.id}: cut to {most} {name}")


def _write(output: Path, answers: Iterator[Generation], total: int) -> None:
    import orjson

    from ttmarkers.evaluation.stored import generation_row
    from ttmarkers.manifest import atomic

    faults = cut = 0
    with atomic(output) as stream, progress("generating", total) as advance:
        for generation in answers:
            stream.write(orjson.dumps(generation_row(generation), option=orjson.OPT_APPEND_NEWLINE))
            faults += bool(generation.fault)
            cut += bool(generation.enforced)
            advance(1)
    more = [f"{faults} with a faulty block"] if faults else []
    more += [f"{cut} cut to their limit"] if cut else []
    note("; ".join([f"{total} answers are in {output}", *more]))


def _requests(prompt: str | None, source: str | None, column: str | None, steered: Steered) -> Iterator[Request]:
    from ttmarkers.datasets import rows, to_prompt
    from ttmarkers.records import Message, Request

    if source is None:
        text = sys.stdin.read() if prompt is None else prompt
        if not text.strip():
            raise ConfigError("the prompt is empty: give PROMPT, --input FILE, or text on standard input")
        yield Request("1", (Message("user", text),), steered.markers, steered.negative)
        return
    seen = False
    for origin, row in rows([source]):
        own = row.get(column) if column else None
        seen = seen or (column in row)
        if own is not None and not isinstance(own, dict):
            raise DataError(f'{origin}: {column} is no mapping of markers: write {{"lang": "French"}}')
        wanted = {name: value for name, value in (own or {}).items() if value is not None}
        markers = steered.asking.check({**steered.markers, **wanted}, where=str(origin)) if wanted else steered.markers
        yield Request(str(row.get("id", origin.row)), to_prompt(row, origin), markers, steered.negative)
    if column and not seen:
        raise DataError(f"{source}: no row has the column {column!r} (--markers-column): name the one with the markers")
