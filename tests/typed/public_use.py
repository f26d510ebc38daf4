"""The library as its users call it from Python: annotate, count, lint, train, generate, evaluate. Checked, and run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, assert_type

from ttmarkers import __version__
from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.job import annotation_job, annotation_plan
from ttmarkers.annotation.lint import Linter
from ttmarkers.annotation.plan import Plan
from ttmarkers.annotation.run import annotate
from ttmarkers.annotation.stats import Stats, count
from ttmarkers.annotation.worker import AnnotationResult
from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.template import Template, load_template
from ttmarkers.checkpoints.checkpoint import Checkpoint, load_checkpoint
from ttmarkers.components import ExtractorComponent, MarkerType, PolicyComponent, TaskComponent
from ttmarkers.config import Config, load_config, make_config
from ttmarkers.datasets import rows, to_example
from ttmarkers.decoding.generation import Engine
from ttmarkers.decoding.run import choose_policy, load_engine, run_policy
from ttmarkers.decoding.steering import Steered, Wish, steer
from ttmarkers.errors import ConfigError, DataError, TtmError
from ttmarkers.evaluation.results import Result, Scored, summarise
from ttmarkers.evaluation.run import answer, chosen, load_task, read_cases, samples, score
from ttmarkers.evaluation.runs_page import load_runs, merge_runs, runs_page
from ttmarkers.evaluation.stored import read_scored, write_generations
from ttmarkers.manifest import manifest, write_json
from ttmarkers.marked import read_marked
from ttmarkers.plugins.manager import Plugins, create_plugins
from ttmarkers.plugins.registry import Entry, Registry, build
from ttmarkers.protocols import Setting, Task
from ttmarkers.records import (
    Example,
    Generation,
    MarkedExample,
    Message,
    Metric,
    Origin,
    RenderedPair,
    Request,
    Value,
)
from ttmarkers.report import write_page
from ttmarkers.statistics import Estimate
from ttmarkers.taxonomies.sources import current_taxonomy
from ttmarkers.taxonomies.taxonomy import Taxonomy, check_value
from ttmarkers.training.job import TrainingJob, train


def look_around(plugins: Plugins) -> list[str]:
    """Return what is there, by name."""
    extractors = plugins.extractors()
    assert_type(extractors, Registry[ExtractorComponent])
    for entry in extractors:
        assert_type(entry, Entry[ExtractorComponent])
        assert_type(entry.component.markers, tuple[str, ...])
    assert_type(plugins.marker_types().all(), dict[str, MarkerType])
    assert_type(plugins.policies().get("fixed", where="here"), PolicyComponent)
    assert_type(plugins.tasks(), Registry[TaskComponent])
    for record in plugins.records:
        assert_type(record.status, str)
    return [f"ttmarkers {__version__}", *extractors.names, *plugins.strategies().names]


def configure(path: Path | None = None) -> Config:
    """Return a config of a file, or of a mapping."""
    config = load_config(path, ["dropout.sample=0.7"]) if path else make_config({"dropout": {"sample": 0.7}})
    assert_type(config.dropout.sample, float)
    assert_type(config.markers.use, list[str] | None)
    assert_type(config.train.engine_keys, dict[str, Any])
    return config


def annotate_file(source: Path, output: Path, plugins: Plugins, config: Config) -> AnnotationResult:
    """Find the markers of a file."""
    done: list[int] = []
    job = annotation_job(config, plugins, [str(source)], output, limit=100)
    result = annotate(job, done.append)
    assert_type(result.rows, int)
    assert_type(result.found, dict[str, int])
    write_json(output.with_suffix(".run.json"), manifest("mine", config, plugins, [str(source)], rows=result.rows))
    return result


def read_file(marked: Path, taxonomy: Taxonomy) -> Stats:
    """Count what a file holds, and look at its first row."""
    examples = read_marked([str(marked)], taxonomy)
    assert_type(examples, Iterator[MarkedExample])
    found = count(examples, taxonomy)
    assert_type(found.rows, int)
    linter = Linter(taxonomy, {}, None)
    linter.check([to_example(row, origin) for origin, row in rows([str(marked)])])
    for finding in linter.findings():
        assert_type(finding.count, int)
    return found


def one_row(plan: Plan) -> Mapping[str, Value]:
    """Find the markers of one row that lies in no file."""
    row = {"prompt": "Say hello.", "completion": "Hello, dear friend. How are you on this fine day?"}
    example = to_example(row, Origin("here", 1))
    assert_type(example, Example)
    (found,) = Extraction(plan).run([example])
    if found.error is not None:
        assert_type(found.error, DataError)
        raise found.error
    return found.markers


def render(plugins: Plugins, taxonomy: Taxonomy, config: Config) -> str:
    """Write a block, read it back, and show what a model reads."""
    template = load_template(plugins.templates().get("compact"), taxonomy)
    assert_type(template, Template)
    markers: dict[str, Value] = {"lang": "French", "length_tokens": 12}
    block = template.render(markers)
    assert_type(template.parse(block), dict[str, Value])
    example = MarkedExample("1", (Message("user", "Hi."),), "Salut.", markers, Origin("here", 1))
    pair = Renderer(template, config.dropout.make(config.seed)).render(example, 0)
    assert_type(pair, RenderedPair)
    assert_type(pair.dropped, tuple[str, ...])
    return pair.completion


def check_words(taxonomy: Taxonomy) -> dict[str, Value]:
    """Check markers as a user wrote them; a wrong one is told in one sentence."""
    assert_type(check_value(taxonomy.get("lang"), "fr"), str | int | float)
    try:
        taxonomy.check({"lang": "Frensh"})
    except TtmError as error:
        assert_type(error.exit_code, int)
    try:
        make_config({"sede": 1})
    except ConfigError as error:
        assert_type(str(error), str)
    return taxonomy.check({"lang": "fr", "length_tokens": "12"})


def train_model(marked: Path, output: Path, plugins: Plugins, steps: int) -> Checkpoint:
    """Train a tiny model."""
    config = make_config({"train": {"max_steps": steps, "per_device_train_batch_size": 2}})
    lines: list[str] = []
    folder = train(TrainingJob((str(marked),), "scratch:tiny", output, config, plugins, say=lines.append))
    assert_type(folder, Path)
    checkpoint = load_checkpoint(str(folder))
    assert_type(checkpoint.taxonomy, Taxonomy)
    assert_type(checkpoint.template(), Template)
    return checkpoint


def generate(model: str, plugins: Plugins, config: Config) -> list[Generation]:
    """Ask a model, once as it likes and once with a marker."""
    engine = load_engine(model, config.decode, seed=config.seed)
    assert_type(engine, Engine)
    asked = [
        Request("1", (Message("user", "Say hello."),)),
        Request("2", (Message("user", "Say hello."),), {"length_tokens": 5}),
    ]
    policy = choose_policy(None, engine.checkpoint, {})
    answers = list(run_policy(policy, plugins.policies(), engine, asked[:1]))
    answers += run_policy("fixed", plugins.policies(), engine, asked[1:], {"fixed": {}})
    assert_type(answers, list[Generation])
    assert_type(answers[0].markers, Mapping[str, Value])
    steered = steer(plugins, config, model, Wish({"length_tokens": 5}, policy="fixed"))
    assert_type(steered, Steered)
    return answers


def evaluate(model: str, name: str, plugins: Plugins, config: Config, folder: Path) -> Result:
    """Measure a model on a task, keep its answers, and write a page."""
    task = load_task(name, plugins.tasks(), config)
    assert_type(task, Task)
    assert_type(task.metrics, Mapping[str, Metric])
    engine = load_engine(model, config.decode)
    cases = chosen(task, read_cases(task, None), plugins.policies().get("fixed").asks)[:4]
    assert_type(samples(task), int)
    answers = answer(task, cases, "fixed", engine, plugins.policies())
    assert_type(answers, list[list[Generation]])
    scored = score(task, cases, answers, Setting(config, plugins, engine.checkpoint))
    write_generations(folder / "generations.jsonl", scored)
    assert_type(read_scored(folder / "generations.jsonl"), list[Scored])
    result = summarise(name, "fixed", task.metrics, [scored], resamples=100)
    assert_type(result.metrics, Mapping[str, Estimate])
    write_json(folder / "result.json", {"model": model, **result.to_json()})
    merged = merge_runs(load_runs([folder], lambda task: {}))
    write_page(runs_page(merged), folder / "page.html")
    return result


def cheap(source: Path, folder: Path, plugins: Plugins | None = None) -> Mapping[str, Value]:
    """Run all that needs no model, and return the markers of one row."""
    plugins = plugins or create_plugins(third_party=False)
    config = configure()
    taxonomy = current_taxonomy(plugins, config.markers)
    plan = annotation_plan(config, plugins)
    look_around(plugins)
    check_words(taxonomy)
    render(plugins, taxonomy, config)
    assert_type(build(plugins.policies().get("fixed")), Any)
    annotate_file(source, folder / "marked.jsonl", plugins, config)
    read_file(folder / "marked.jsonl", taxonomy)
    return one_row(plan)
