"""Training: what a strategy is given, and the preparation that all strategies share.

The rows are read once, checked, and written to an Arrow file in the output folder, so that memory does not grow with
their number. They are rendered and encoded when they are needed, anew in each epoch, because dropout differs then.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.checkpoint import Checkpoint
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.fitting import SUFFIX, load_states
from ttmarkers.manifest import refuse_existing, versions, write_json
from ttmarkers.marked import Counts, pack, read_marked, unpack
from ttmarkers.models import is_scratch, load_tokenizer, make_tokenizer, scratch_size
from ttmarkers.protocols import Strategy
from ttmarkers.records import PART_NAMES
from ttmarkers.registry import build
from ttmarkers.rendering import Renderer
from ttmarkers.taxonomy import make_taxonomy
from ttmarkers.template import load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.components import TemplateComponent
    from ttmarkers.config import Config
    from ttmarkers.dropout import Dropout
    from ttmarkers.encoding import Encoder
    from ttmarkers.plugins import Plugins
    from ttmarkers.taxonomy import Taxonomy
    from ttmarkers.template import Template

BATCH = 256
ROWS_FILE = "rows.arrow"
STATE = "state.json"
FIT_ROWS = 20_000  # a tokenizer learns nothing more from further rows


@dataclass(frozen=True)
class TrainingJob:
    """What to train, on what, and where to put it.

    Attributes:
        inputs: annotated files.
        model: a path, a Hub name or ``scratch:SIZE``.
        output: the folder of the finished model.
        config: filled with its defaults.
        plugins: where the template and the marker types come from.
        resume: go on from the last checkpoint in ``output``.
        say: takes lines for people.
    """

    inputs: tuple[str, ...]
    model: str
    output: Path
    config: Config
    plugins: Plugins
    resume: bool = False
    say: Callable[[str], None] = field(default=lambda line: None)

    @property
    def work(self) -> Path:
        """The folder of what is needed only while training goes on."""
        return self.output / ".work"


@dataclass(frozen=True)
class TrainingData:
    """The rows of a job, counted and on disk."""

    path: Path
    counts: Counts
    taxonomy: Taxonomy
    template: Template

    def dropout(self, config: Config) -> Dropout:
        """Return the dropout that a config asks for, with what it must know of these rows."""
        return config.dropout.make(config.seed, self.counts.shares(self.taxonomy))

    def examples(self) -> Iterator[Any]:
        """Yield the examples again, from disk."""
        import pyarrow.ipc

        with pyarrow.ipc.open_stream(str(self.path)) as reader:
            for batch in reader:
                yield from map(unpack, batch.to_pylist())


@dataclass(frozen=True)
class TokenCounts:
    """Numbers of tokens in the first epoch, by part, and what happened to over-long examples."""

    prompt: int
    block: int
    answer: int
    examples: int
    overlong: int
    markers: Counts

    @property
    def tax(self) -> float:
        """Share of target tokens that are block."""
        return self.block / max(self.block + self.answer, 1)


def train(job: TrainingJob) -> Path:
    """Run a training job with the strategy that its config names, and return the folder of the model.

    Raises:
        OutputExistsError: if the output exists and the job is not resumed.
        ConfigError: if it is resumed with other rows or settings.
    """
    if not job.resume:
        refuse_existing(job.output)
    if is_scratch(job.model):
        scratch_size(job.model)  # a misspelt size is told before a long file is read
    component = job.plugins.strategies().get(job.config.train.strategy, where="train.strategy")
    strategy = build(component)
    if not isinstance(strategy, Strategy):
        raise ConfigError(f"strategy {component.name!r} has no method train")
    _check_state(job)
    try:
        folder = strategy.train(job)
    except BaseException:
        if job.output.is_dir() and set(job.output.iterdir()) <= {job.work}:
            shutil.rmtree(job.output)  # nothing was trained, so there is nothing to resume
        raise
    shutil.rmtree(job.work, ignore_errors=True)
    return folder


def _check_state(job: TrainingJob) -> None:
    """Note what a run was started with, or check that a resumed one was started with the same."""
    sections = job.config.model_dump(mode="json")
    stats = [(name, Path(name).stat()) for name in job.inputs if Path(name).is_file()]
    state = orjson.loads(
        orjson.dumps({**sections, "model": job.model, "rows": [(name, s.st_size, s.st_mtime_ns) for name, s in stats]})
    )
    path = job.work / STATE
    if not path.exists():
        if not (job.output / "markers.json").exists():
            write_json(path, state)
        return
    old = orjson.loads(path.read_bytes())
    differs = sorted(key for key in state if old.get(key) != state[key])
    if differs:
        raise ConfigError(
            f"{job.output} was started with other {' and '.join(differs)}: remove it to start anew without --resume"
        )


def find_template(job: TrainingJob, taxonomy: Taxonomy) -> Template:
    """Return the template that the config names: a registered one, or a file that ends with ``.jinja``."""
    return load_template(template_component(job.config.template, job.plugins), taxonomy)


def template_component(name: str, plugins: Plugins) -> TemplateComponent:
    """Return a registered template, or one made of a ``.jinja`` file."""
    from ttmarkers.components import TemplateComponent

    if not name.endswith(".jinja"):
        return plugins.templates().get(name, where="template")
    try:
        return TemplateComponent(Path(name).stem, "", Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"template {name!r} cannot be read: {error.strerror}") from error


def prepare_rows(job: TrainingJob) -> TrainingData:
    """Read and check the rows and put them on disk.

    Raises:
        DataError: for a bad row, or if there is none.
    """
    import pyarrow
    import pyarrow.ipc

    markers = job.config.markers
    full = make_taxonomy(job.plugins.marker_types().all(), profile=markers.taxonomy)
    for name in markers.use or ():
        job.plugins.marker_types().get(name, where="markers.use")
    template_component(job.config.template, job.plugins)  # a misspelt name is told before a long file is read
    job.work.mkdir(parents=True, exist_ok=True)
    path = job.work / ROWS_FILE
    counts = Counts()
    keep = set(markers.use or full.names)
    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in ("id", "prompt", "completion", "markers", "file")]
        + [("row", pyarrow.int64())]
    )
    with pyarrow.ipc.new_stream(str(path), schema) as writer:
        pending: list[dict[str, Any]] = []
        for example in read_marked(job.inputs, full, job.config.data.columns):
            counts.add({name: value for name, value in example.markers.items() if name in keep})
            pending.append(pack(example))
            if len(pending) == BATCH:
                writer.write_table(pyarrow.Table.from_pylist(pending, schema=schema))
                pending = []
        writer.write_table(pyarrow.Table.from_pylist(pending, schema=schema))
    if not counts.rows:
        raise DataError(f"{', '.join(job.inputs)}: there are no rows to train on")
    taxonomy = full.select(counts.names())
    if not len(taxonomy):
        raise DataError(f"{', '.join(job.inputs)}: no row has a marker that markers.use names")
    if markers.use:
        taxonomy = type(taxonomy)(tuple(taxonomy.get(name) for name in markers.use if name in taxonomy))
    return TrainingData(path, counts, taxonomy, find_template(job, taxonomy))


def prepare_tokenizer(job: TrainingJob, data: TrainingData) -> PreTrainedTokenizerBase:
    """Load the model's tokenizer, or fit one on the rows as the model will see them."""
    if not is_scratch(job.model):
        return load_tokenizer(job.model)
    from itertools import islice

    renderer = Renderer(data.template, data.dropout(job.config))
    pairs = (renderer.render(example) for example in islice(data.examples(), FIT_ROWS))
    texts = (text for pair in pairs for text in (*(turn.content for turn in pair.prompt), pair.completion))
    return make_tokenizer(texts, scratch_size(job.model).vocabulary)


def check_rows(
    job: TrainingJob, data: TrainingData, encoder: Encoder, renderer: Renderer, max_length: int | None
) -> tuple[TokenCounts, list[int], list[int]]:
    """Render and encode every row once: the prefix check, the lengths, the share of marker tokens.

    Returns:
        The counts, the numbers of the rows to train on, and their lengths in tokens.

    Raises:
        DataError: if a row cannot be encoded, if one is too long and the config says ``stop``, or if none is left.
    """
    totals = [0, 0, 0]
    held = Counts()
    kept: list[int] = []
    lengths: list[int] = []
    number = 0
    for batch in _batches(data.examples()):
        for example, encoded in zip(batch, encoder.encode([renderer.render(item) for item in batch]), strict=True):
            length = len(encoded.input_ids)
            if max_length is not None and length > max_length:
                if job.config.train.overlong == "stop":
                    raise DataError(
                        f"{example.origin}: {length} tokens are more than max_length = {max_length}: "
                        "raise train.max_length or set train.overlong=drop"
                    )
            else:
                kept.append(number)
                lengths.append(length)
                held.add({name: value for name, value in example.markers.items() if name in data.taxonomy})
                for part in encoded.parts:
                    totals[part] += 1
            number += 1
    if not kept:
        raise DataError(f"all {number} rows are longer than max_length = {max_length} tokens: raise train.max_length")
    counts = TokenCounts(totals[0], totals[1], totals[2], len(kept), number - len(kept), held)
    return counts, kept, lengths


def _batches(examples: Iterator[Any]) -> Iterator[list[Any]]:
    from itertools import islice

    while batch := list(islice(examples, BATCH)):
        yield batch


def make_checkpoint(
    job: TrainingJob, data: TrainingData, counts: TokenCounts, *, marked: bool, writes: bool = True
) -> Checkpoint:
    """Return what goes into the model's ``markers.json``.

    Args:
        job: what was asked for.
        data: the rows.
        counts: their tokens.
        marked: whether the model learned markers at all.
        writes: whether it learned to write blocks, and not only to read them.
    """
    tokens: dict[str, Any] = {name: getattr(counts, name) for name in PART_NAMES}
    return Checkpoint(
        strategy=job.config.train.strategy,
        marked=marked,
        writes=marked and writes,
        taxonomy=data.taxonomy,
        template_name=data.template.name,
        template_source=data.template.source,
        dropout=job.config.dropout.make(job.config.seed).to_json(),
        rows=counts.examples,
        counts=counts.markers.to_json(data.taxonomy),
        facts={
            "tokens": tokens,
            "fitted": _fitted(job),
            "overlong_rows": counts.overlong,
            "versions": versions(),
            "plugins": [record.source for record in job.plugins.records if record.status == "ok"],
        },
    )


def _fitted(job: TrainingJob) -> dict[str, Any]:
    """Return the fitted states of the annotated files, which new data needs; none where files differ in them."""
    states = [load_states(path) for name in job.inputs if (path := Path(name + SUFFIX)).is_file()]
    return states[0] if states and all(state == states[0] for state in states) else {}


def describe(counts: TokenCounts) -> Sequence[str]:
    """Return lines that say what is about to be trained on."""
    tokens = f"{counts.prompt} prompt, {counts.block} block, {counts.answer} answer"
    lines = [f"{counts.examples} examples; tokens: {tokens}; the block is {counts.tax:.1%} of what is learned"]
    if counts.overlong:
        lines.append(f"{counts.overlong} examples are longer than max_length and were left out (train.overlong)")
    return lines
