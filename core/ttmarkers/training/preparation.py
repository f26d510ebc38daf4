"""Rows made ready for training: read, checked, counted, put on disk, measured in tokens.

All strategies start from here. The rows are written to an Arrow file in the output folder, so that memory does not grow
with their number; what is kept in memory is a number and a length for each. They are rendered and encoded when they are
needed, anew in each epoch, because dropout differs then.

Where several processes train together the first does this work, and the others read what it wrote.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.source import template_component
from ttmarkers.blocks.template import load_template
from ttmarkers.errors import DataError
from ttmarkers.marked import Counts, RowWriter, read_marked, read_packed
from ttmarkers.models.loading import is_scratch, load_tokenizer, make_tokenizer, scratch_size
from ttmarkers.records import PART_NAMES
from ttmarkers.taxonomies.sources import check_names, current_taxonomy
from ttmarkers.training.processes import first_then_others
from ttmarkers.training.row_checker import RowChecker, RowSet, TokenCounts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from ttmarkers.blocks.template import Template
    from ttmarkers.dropout import Dropout
    from ttmarkers.taxonomies.taxonomy import Taxonomy
    from ttmarkers.training.job import TrainingJob

FIT_ROWS = 20_000  # a tokenizer learns nothing more from further rows


@dataclass(frozen=True)
class Prepared:
    """What a strategy trains on.

    Attributes:
        taxonomy: the marker types of the rows, in block order.
        template: how blocks are written.
        counts: how often each value occurs in the rows to train on.
        rows: the rows to train on.
        held_out: the rows to measure on while training; None if there are none.
        tokens: the tokens of the rows to train on.
        tokenizer: where the tokenizer lies.
        max_length: the greatest number of tokens of an example; None if there is no limit.
    """

    taxonomy: Taxonomy
    template: Template
    counts: Counts
    rows: RowSet
    held_out: RowSet | None
    tokens: TokenCounts
    tokenizer: str
    max_length: int | None

    def dropout(self, job: TrainingJob) -> Dropout:
        """Return the dropout that the config asks for, with what it must know of these rows."""
        return job.config.dropout.make(job.config.seed, self.counts.shares(self.taxonomy))

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer, with a token to pad with."""
        tokenizer = load_tokenizer(self.tokenizer)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer


def prepare(job: TrainingJob, max_length: int | None) -> Prepared:
    """Read, check and measure the rows of a job; in the first process, if there are several.

    Args:
        job: what is asked for.
        max_length: the greatest number of tokens of an example.

    Raises:
        ConfigError: for a name in the config that does not exist, or a tokenizer that cannot be used.
        DataError: for a bad row, one that cannot be encoded or is too long where the config says ``stop``, or if there
            is none to train on.
    """
    path = job.work / "prepared.pickle"

    def work() -> None:
        prepared = _prepare(job, max_length)
        path.write_bytes(pickle.dumps(prepared))

    first_then_others(work)
    made = pickle.loads(path.read_bytes())  # written above, by this run
    if not isinstance(made, Prepared):
        raise TypeError(f"{path} holds something else")
    return made


def _prepare(job: TrainingJob, max_length: int | None) -> Prepared:
    full, template_source = _named(job)
    job.work.mkdir(parents=True, exist_ok=True)
    counts = _store(job, full, job.inputs, job.work / "rows.arrow")
    taxonomy = _used(job, full, counts)
    template = load_template(template_source, taxonomy)
    tokenizer = _tokenizer(job, template, job.work / "rows.arrow")
    checker = RowChecker(job, full, template, tokenizer, max_length)
    wanted = job.config.train.held_out
    files, share = (wanted, 0.0) if isinstance(wanted, list) else ([], wanted or 0.0)
    rows, held_out, tokens, counts = checker.check(job.work / "rows.arrow", share)
    if files:
        _store(job, full, files, job.work / "held-out.arrow")
        try:
            held_out = checker.check(job.work / "held-out.arrow", 0.0)[0]
        except DataError as error:
            raise DataError(f"train.held_out: {error}") from error
    if job.config.train.held_out and not len(held_out):
        raise DataError("train.held_out: no row is held out: raise the share, or name a file with rows")
    where = job.model
    if is_scratch(job.model):
        where = str(job.work / "tokenizer")
        tokenizer.save_pretrained(where)
    return Prepared(
        taxonomy, template, counts, rows, held_out if len(held_out) else None, tokens, where, max_length
    )  # fmt: skip


def _named(job: TrainingJob) -> tuple[Taxonomy, Any]:
    """Return the marker types and the template that the config names; a misspelt name is told before a file is read."""
    markers = job.config.markers
    check_names(markers.use or (), job.plugins, markers, where="markers.use")
    check_names(job.config.dropout.rates, job.plugins, markers, where="dropout.rates")
    return current_taxonomy(job.plugins, markers), template_component(job.config.template, job.plugins)


def _store(job: TrainingJob, full: Taxonomy, inputs: Iterable[str], path: Path) -> Counts:
    """Read and check rows, and write them to an Arrow file."""
    names = tuple(inputs)
    counts = Counts()
    with RowWriter(path) as writer:
        try:
            for example in read_marked(names, full, job.config.data.columns):
                counts.add(example.markers)
                writer.write(example)
        except DataError as error:  # only annotating can set a row apart
            said = str(error).replace("mend it or set it apart with --quarantine FILE", "mend or remove it")
            raise DataError(said) from error
    if not counts.rows:
        raise DataError(f"{', '.join(names)}: there are no rows to train on")
    return counts


def _used(job: TrainingJob, full: Taxonomy, counts: Counts) -> Taxonomy:
    """Return the marker types that the rows have, and the config wants, in block order."""
    use = job.config.markers.use
    found = [name for name in (use or full.names) if name in counts.names()]
    if not found:
        said = "a marker that markers.use names" if use else "a marker"
        raise DataError(f"{', '.join(job.inputs)}: no row has {said}")
    return type(full)(tuple(full.get(name) for name in found))


def _tokenizer(job: TrainingJob, template: Template, path: Path) -> PreTrainedTokenizerBase:
    """Load the model's tokenizer, or fit one on the rows as the model will see them."""
    if not is_scratch(job.model):
        return load_tokenizer(job.model)
    renderer = Renderer(template, job.config.dropout.make(job.config.seed))
    pairs = (renderer.render(example) for example in islice(read_packed(path), FIT_ROWS))
    texts = (text for pair in pairs for text in (*(turn.content for turn in pair.prompt), pair.completion))
    return make_tokenizer(texts, scratch_size(job.model).vocabulary)


def describe(prepared: Prepared, *, marked: bool = True) -> list[str]:
    """Return lines that say what is about to be trained on; without markers, no tokens of prompts and blocks."""
    tokens = prepared.tokens
    said = ", ".join(f"{getattr(tokens, name)} {name}" for name in PART_NAMES if marked or name == "answer")
    lines = [f"{len(prepared.rows)} examples; tokens without dropout: {said}"]
    if prepared.held_out is not None:
        lines.append(f"{len(prepared.held_out)} examples are held out to measure on")
    if tokens.cut:
        lines.append(f"{tokens.cut} answers were cut to max_length, and their markers extracted again (train.overlong)")
    if tokens.overlong:
        lines.append(f"{tokens.overlong} examples are longer than max_length and were left out (train.overlong)")
    return lines
