"""Rows made ready for training: read, checked, counted, put on disk, measured in tokens.

All strategies start from here. The rows are written to an Arrow file in the output folder, so that memory does not grow
with their number; what is kept in memory is a number and a length for each. They are rendered and encoded when they are
needed, anew in each epoch, because dropout differs then.

Where several processes train together the first does this work, and the others read what it wrote.
"""

from __future__ import annotations

import pickle
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from ttmarkers.cutting import Cutter
from ttmarkers.dropout import draw
from ttmarkers.encoding import Encoder
from ttmarkers.errors import DataError
from ttmarkers.marked import Counts, RowWriter, read_marked, read_packed
from ttmarkers.models import is_scratch, load_tokenizer, make_tokenizer, scratch_size
from ttmarkers.processes import first_then_others
from ttmarkers.records import ANSWER, BLOCK, PART_NAMES
from ttmarkers.rendering import Renderer
from ttmarkers.taxonomy import make_taxonomy
from ttmarkers.template import load_template
from ttmarkers.template_source import template_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy
    from transformers import PreTrainedTokenizerBase

    from ttmarkers.dropout import Dropout
    from ttmarkers.records import Encoded, MarkedExample, RenderedPair
    from ttmarkers.taxonomy import Taxonomy
    from ttmarkers.template import Template
    from ttmarkers.training import TrainingJob

BATCH = 512
FIT_ROWS = 20_000  # a tokenizer learns nothing more from further rows


@dataclass(frozen=True)
class RowSet:
    """Rows on disk that a model is trained or measured on.

    Attributes:
        path: an Arrow file.
        numbers: which of its rows, of shape (rows).
        lengths: the tokens of each with all its markers in the prompt: dropout can only make it shorter.
    """

    path: Path
    numbers: numpy.ndarray
    lengths: numpy.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(frozen=True)
class TokenCounts:
    """Numbers of tokens without dropout, by part, and what happened to over-long examples."""

    prompt: int = 0
    block: int = 0
    answer: int = 0
    overlong: int = 0
    cut: int = 0


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
    types = job.plugins.marker_types()
    for name in markers.use or ():
        types.get(name, where="markers.use")
    for name in job.config.dropout.rates:
        types.get(name, where="dropout.rates")
    return make_taxonomy(types.all(), profile=markers.taxonomy), template_component(job.config.template, job.plugins)


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


class RowChecker:
    """Renders and encodes every row once, with all its markers: the prefix check, and the greatest length."""

    def __init__(
        self,
        job: TrainingJob,
        full: Taxonomy,
        template: Template,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None,
    ) -> None:
        self._job = job
        self._known = frozenset(template.names)
        self._max_length = max_length
        self._encoder = Encoder(tokenizer)
        dropout = job.config.dropout.make(job.config.seed)
        self._drops = dropout != dropout.without()
        self._renderer = Renderer(template, dropout.without(), spans=False)
        cuts = job.config.train.overlong == "cut" and max_length is not None
        self._cutter = Cutter(job, full, self._renderer, self._encoder, max_length or 0) if cuts else None

    def check(self, path: Path, share: float) -> tuple[RowSet, RowSet, TokenCounts, Counts]:
        """Return the rows of a file to train on, those that are held out, and the tokens and values of the former.

        Args:
            path: an Arrow file; rows that are cut are written to another beside it.
            share: of the rows to hold out.
        """
        sets = [_Growing(), _Growing()]
        totals, counts, overlong, cut = [0, 0, 0], Counts(), 0, 0
        target = path.with_suffix(".cut.arrow") if self._cutter else path
        writer = RowWriter(target) if self._cutter else None
        for number, (example, encoded) in enumerate(self._encoded(path)):
            kept: MarkedExample | None = example
            if self._max_length is not None and len(encoded.input_ids) > self._max_length:
                kept, encoded = self._too_long(example, encoded)
                overlong, cut = overlong + (kept is None), cut + (kept is not None)
            if kept is None:
                continue
            held = share > 0 and draw(self._job.config.seed, "held-out", kept.id) < share
            sets[held].add(number if writer is None else writer.rows, len(encoded.input_ids))
            if writer:
                writer.write(kept)
            if not held:
                counts.add({name: value for name, value in kept.markers.items() if name in self._known})
                block, answer = encoded.parts.count(BLOCK), encoded.parts.count(ANSWER)
                totals = [totals[0] + len(encoded.parts) - block - answer, totals[1] + block, totals[2] + answer]
        if writer:
            writer.close()
        rows, held_out = (RowSet(target, *each.arrays()) for each in sets)
        if not len(rows):
            raise DataError(
                f"all rows are longer than max_length = {self._max_length} tokens: raise train.max_length"
                if overlong
                else "all rows are held out: lower train.held_out"
            )
        return rows, held_out, TokenCounts(totals[0], totals[1], totals[2], overlong, cut), counts

    def _too_long(self, example: MarkedExample, encoded: Encoded) -> tuple[MarkedExample | None, Encoded]:
        if self._job.config.train.overlong == "stop":
            raise DataError(
                f"{example.origin}: {len(encoded.input_ids)} tokens are more than max_length = {self._max_length}: "
                "raise train.max_length, or set train.overlong to drop or cut"
            )
        if self._cutter is None:
            return None, encoded
        return self._cutter.cut(example, encoded) or (None, encoded)

    def _encoded(self, path: Path) -> Iterator[tuple[MarkedExample, Encoded]]:
        """Yield examples with their tokens; while one batch is tokenised the next is read and rendered."""
        examples = read_packed(path)
        pending: deque[tuple[list[MarkedExample], Any]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="encoder") as executor:
            while True:
                batch = list(islice(examples, BATCH))
                if batch:
                    pairs = [self._renderer.render(example) for example in batch]
                    pending.append((batch, executor.submit(self._encode, batch, pairs)))
                if pending and (len(pending) > 1 or not batch):
                    done, future = pending.popleft()
                    yield from zip(done, future.result(), strict=True)
                elif not batch:
                    return

    def _encode(self, batch: list[MarkedExample], pairs: list[RenderedPair]) -> list[Encoded]:
        """Encode rows with all their markers in the prompt, and check the border of those that dropout may leave."""
        if self._drops:
            bare = zip(batch, pairs, strict=True)
            self._encoder.check_borders([replace(pair, prompt=example.prompt) for example, pair in bare])
        return self._encoder.encode(pairs)


class _Growing:
    """Numbers and lengths of rows, a few bytes each."""

    def __init__(self) -> None:
        from array import array

        self._numbers, self._lengths = array("q"), array("i")

    def add(self, number: int, length: int) -> None:
        self._numbers.append(number)
        self._lengths.append(length)

    def arrays(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        import numpy

        return numpy.array(self._numbers, dtype=numpy.int64), numpy.array(self._lengths, dtype=numpy.int32)


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
