"""``ttm evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli.output import json_option, note, print_json, print_table, progress, set_option
from ttmarkers.cli.steering import steer, steering_options
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from ttmarkers.cli import Context
    from ttmarkers.cli.steering import Steering
    from ttmarkers.config import Config
    from ttmarkers.evaluation import Result
    from ttmarkers.protocols import Task
    from ttmarkers.records import Generation


@click.command()
@click.argument("model", required=False)
@click.option("--task", "task_name", required=True, help="Task (ttm tasks list).")
@click.option("--data", help="File of the task's rows; a small embedded sample by default.")
@steering_options
@click.option("--generations", metavar="FILE", help="Score these stored answers; no model is needed.")
@click.option("--limit", type=click.IntRange(1), help="Only the first cases.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for answers, scores and run.json.")
@set_option
@json_option
@click.pass_obj
def evaluate(
    context: Context,
    model: str | None,
    task_name: str,
    data: str | None,
    steering: Steering,
    generations: str | None,
    limit: int | None,
    output: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure MODEL, or stored answers, on a task."""
    from ttmarkers.datasets import rows
    from ttmarkers.evaluation import load_task, match_generations, score, summarise, write_generations
    from ttmarkers.manifest import manifest, refuse_existing, write_json

    if (model is None) == (generations is None):
        raise ConfigError("give either MODEL or --generations FILE")
    if output:
        refuse_existing(output)
    config = context.config(overrides)
    task = load_task(task_name, context.plugins.tasks(), config)
    cases = task.cases(None if data is None else [row for _, row in rows([data])])[:limit]
    if not cases:
        raise ConfigError(f"--data {data}: there are no cases")
    if model is None:
        name, answers = "stored", match_generations(cases, rows([str(generations)]))
    else:
        name, answers = _ask(context, config, task, cases, model, steering)
    scored = score(task, cases, answers)
    result = summarise(task_name, task, name, scored, config)
    if output:
        write_generations(output / "generations.jsonl", scored)
        write_json(output / "result.json", {"model": model, **result.to_json()})
        inputs = [name for name in (data, generations) if name]
        write_json(
            output / "run.json",
            manifest("evaluate", config, context.plugins, inputs, model=model, policy=name),
        )
        note(f"answers, result.json and run.json are in {output}")
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _ask(
    context: Context,
    config: Config,
    task: Task,
    cases: list[Any],
    model: str,
    steering: Steering,
) -> tuple[str, list[Generation]]:
    from ttmarkers.evaluation import answer

    steered = steer(context, config, model, steering)
    registry, name = context.plugins.policies(), steered.policy
    with progress(name, len(cases)) as advance:
        return name, answer(task, cases, name, steered.engine, registry, advance, steered)


def _print(result: Result) -> None:
    click.echo(f"task {result.task}, policy {result.policy}, n = {result.n}; 95 % bootstrap intervals")
    lines = [
        ("all", result.n, result.metrics),
        *((f"{s.by} = {s.value}", s.n, s.metrics) for s in result.slices),
    ]
    names = list(result.metrics)
    rows = [
        (
            title,
            n,
            *(metrics[name].text(share=result.meaning[name].share) if name in metrics else "-" for name in names),
        )
        for title, n, metrics in lines
    ]
    print_table(("cases", "n", *names), rows)
