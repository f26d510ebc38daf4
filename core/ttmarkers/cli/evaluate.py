"""``ttm evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.cli.options import examples, file_option, json_option, limit_option, output_option, set_option
from ttmarkers.cli.output import note, print_json, print_table, progress
from ttmarkers.cli.parts import tell_lacks
from ttmarkers.cli.steering import steer, steering_options
from ttmarkers.errors import ConfigError, TtmError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ttmarkers.checkpoints.checkpoint import Checkpoint
    from ttmarkers.cli import Context
    from ttmarkers.cli.steering import Steering
    from ttmarkers.config import Config
    from ttmarkers.evaluation.results import Result, Scored
    from ttmarkers.protocols import Setting, Task
    from ttmarkers.records import Generation


STAND_IN = 200  # words of an answer that is not written, for the estimate of a judge's cost


@dataclass(frozen=True)
class Sources:
    """Where answers come from: a model, or a file; and what they are compared with."""

    model: str | None
    data: str | None
    generations: str | None
    against: str | None
    counts: str | None
    partial: bool
    dry_run: bool

    @property
    def files(self) -> list[str]:
        """The files that are read."""
        return [name for name in (self.data, self.generations, self.against) if name]


@click.command(
    epilog=examples(
        "ttm evaluate model --task length",
        "ttm evaluate model --task language --policy inferred -o runs/inferred",
        "ttm evaluate --task length --generations answers.jsonl --json",
    )
)
@click.argument("model", required=False, shell_complete=completing.models)
@click.option(
    "--task",
    "task_name",
    required=True,
    metavar="NAME",
    help="What is measured (ttm tasks list).",
    shell_complete=completing.names("tasks"),
)
@file_option("--data", "The task's rows; a small sample of ours by default.")
@steering_options
@file_option("--generations", "Score these stored answers; no model is needed.")
@file_option("--against", "Stored answers of the system to compare with (tasks winrate, quality).")
@click.option(
    "--counts",
    metavar="MODEL",
    help="Whose training counts tell head from tail; by default those of MODEL.",
    shell_complete=completing.models,
)
@click.option("--partial", is_flag=True, help="Leave out cases that no stored answer belongs to, and say how many.")
@limit_option("Only the first N cases.")
@click.option("--dry-run", is_flag=True, help="Say what would be paid for, and send nothing.")
@output_option("Folder for answers, scores and run.json.")
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
    against: str | None,
    counts: str | None,
    partial: bool,
    limit: int | None,
    dry_run: bool,
    output: Path | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure a model, or stored answers, on a task.

    MODEL is a folder or a Hub name. Figures come with 95 % intervals, overall and by slice.
    """
    from ttmarkers.evaluation.results import Scored, summarise
    from ttmarkers.evaluation.run import load_task, samples, score
    from ttmarkers.evaluation.stored import ANSWERS, write_generations
    from ttmarkers.manifest import refuse_existing

    sources = Sources(model, data, generations, against, counts, partial, dry_run)
    if output:
        refuse_existing(output)
    if generations is not None and (steering.policy or steering.markers or steering.negative):
        raise ConfigError("stored answers are not asked: leave out --policy, -m and --not")
    tell_lacks(context, model=model, inputs=sources.files)
    config = context.config(overrides)
    task = load_task(task_name, context.plugins.tasks(), config)
    cases = _cases(task, sources)
    if samples(task) and (model is None) == (generations is None):
        raise ConfigError("give either MODEL or --generations FILE")
    policy, cases, answers, setting = _answers(context, config, task, cases, sources, steering, limit)
    if dry_run:
        _say_cost(task, cases, answers, as_json=as_json)
        return
    if output:  # kept before they are scored: a judge may fail
        write_generations(output / ANSWERS, [Scored(str(c.id), a, {}, {}) for c, a in zip(cases, answers, strict=True)])
    try:
        scored = score(task, cases, answers, setting)
    except TtmError as error:
        if output and sources.model:
            kept = output / ANSWERS
            raise type(error)(f"{error}; the answers are kept: score them with --generations {kept}") from error
        raise
    resamples = config.evaluate.resamples
    result = summarise(task_name, policy, task.metrics, [scored], resamples=resamples, seed=config.seed)
    if output:
        _write(context, config, output, sources, scored, result, setting)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)


def _cases(task: Task, sources: Sources) -> list[Any]:
    from ttmarkers.datasets import rows
    from ttmarkers.evaluation.run import read_cases

    return read_cases(task, None if sources.data is None else [row for _, row in rows([sources.data])])


def _answers(
    context: Context,
    config: Config,
    task: Task,
    cases: list[Any],
    sources: Sources,
    steering: Steering,
    limit: int | None,
) -> tuple[str, list[Any], list[list[Generation]], Setting]:
    """Return the policy, the cases, the answers to each, and what surrounds the task, which is told of it."""
    from ttmarkers.evaluation.run import answer, chosen, prepare, samples
    from ttmarkers.protocols import Setting

    def setting(cases: list[Any], checkpoint: Checkpoint | None) -> Setting:
        found = Setting(config, context.plugins, _counted(sources) or checkpoint, _against(task, cases, sources), note)
        prepare(task, found)
        return found

    if sources.model is None:
        cases = chosen(task, cases, "stored")[:limit]
        if samples(task):
            cases, answers = _stored(context, config, cases, samples(task), sources)
        else:
            answers = [[] for _ in cases]
        return "stored", cases, answers, setting(cases, None)
    steered = steer(context, config, sources.model, steering)
    registry, name = context.plugins.policies(), steered.policy
    cases = chosen(task, cases, registry.get(name).asks)[:limit]
    around = setting(cases, steered.engine.checkpoint)
    if sources.dry_run:  # nothing is asked: answers of some length stand in
        return name, cases, [[_stand_in(str(case.id))] * samples(task) for case in cases], around
    with progress(name, len(cases) * samples(task)) as advance:
        return name, cases, answer(task, cases, name, steered.engine, registry, advance, steered), around


def _stand_in(name: str) -> Generation:
    from ttmarkers.records import Generation

    text = f"{name} " + "word " * STAND_IN
    return Generation(name, (), text, "", {}, text, "none")


def _stored(
    context: Context, config: Config, cases: list[Any], many: int, sources: Sources
) -> tuple[list[Any], list[list[Generation]]]:
    """Return the cases that stored answers belong to, and these."""
    from ttmarkers.blocks.source import read_source
    from ttmarkers.blocks.template import Template
    from ttmarkers.datasets import rows
    from ttmarkers.evaluation.matching import Matcher
    from ttmarkers.taxonomies.sources import current_taxonomy

    counted, taxonomy = _counted(sources), current_taxonomy(context.plugins, config.markers)
    template = counted.template() if counted and counted.marked else None
    others = [Template(e.component.name, read_source(e.component), taxonomy) for e in context.plugins.templates()]
    wording = counted.wording if counted else None
    matcher = Matcher(rows([str(sources.generations)]), many, template, others, wording)
    found = matcher.match(cases, partial=sources.partial)
    if len(found) < len(cases):
        note(f"{len(cases) - len(found)} of {len(cases)} cases have no stored answer and are left out")
    return [cases[place] for place in found], list(found.values())


def _counted(sources: Sources) -> Checkpoint | None:
    from ttmarkers.checkpoints.checkpoint import load_checkpoint

    return load_checkpoint(sources.counts) if sources.counts else None


def _against(task: Task, cases: Sequence[Any], sources: Sources) -> dict[str, str]:
    """Return the other system's answer to each case, as a system is asked that is given no markers."""
    from ttmarkers.datasets import rows
    from ttmarkers.evaluation.matching import Matcher
    from ttmarkers.evaluation.run import chosen

    if sources.against is None:
        return {}
    cases = chosen(task, cases, "none")
    found = Matcher(rows([sources.against])).match(cases)
    return {str(cases[place].id): answers[0].text for place, answers in found.items()}


def _say_cost(task: Task, cases: Sequence[Any], answers: Sequence[Sequence[Generation]], *, as_json: bool) -> None:
    from dataclasses import asdict

    from ttmarkers.protocols import PaidTask
    from ttmarkers.records import Spending

    spending = task.estimate(cases, answers) if isinstance(task, PaidTask) else Spending()
    if as_json:
        print_json(asdict(spending))
        return
    click.echo(
        f"{spending.requests} requests ({spending.known} answers are known), about {spending.tokens_in} tokens in and "
        f"{spending.tokens_out} out, cost {spending.cost:.2f}; nothing was sent"
    )


def _write(
    context: Context,
    config: Config,
    output: Path,
    sources: Sources,
    scored: list[Scored],
    result: Result,
    setting: Setting,
) -> None:
    from ttmarkers.checkpoints.checkpoint import model_parts
    from ttmarkers.evaluation.stored import ANSWERS, write_generations
    from ttmarkers.manifest import manifest, write_json
    from ttmarkers.provenance import find_parts

    write_generations(output / ANSWERS, scored)
    write_json(output / "result.json", {"model": sources.model, **result.to_json()})
    facts = {"model": sources.model, "policy": result.policy, "task": result.task}
    own = find_parts(context.plugins, task=[result.task], policy=[result.policy])
    parts = [*own, *setting.asked, *(model_parts(sources.model) if sources.model else ())]
    write_json(output / "run.json", manifest("evaluate", config, context.plugins, sources.files, parts, **facts))
    note(f"answers, result.json and run.json are in {output}")


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
