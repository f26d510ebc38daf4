"""Every row rendered and tokenised once before training: the prefix check, and how long the rows are."""

from __future__ import annotations

from array import array
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.rendering import Renderer, without_blocks
from ttmarkers.dropout import draw
from ttmarkers.errors import DataError
from ttmarkers.marked import Counts, RowWriter, read_packed
from ttmarkers.models.encoding import Encoder
from ttmarkers.training.cutting import Cutter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy
    from transformers import PreTrainedTokenizerBase

    from ttmarkers.blocks.template import Template
    from ttmarkers.records import MarkedExample, RenderedPair, Sizes
    from ttmarkers.taxonomies.taxonomy import Taxonomy
    from ttmarkers.training.job import TrainingJob

BATCH = 512


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
        self._template = template
        self._max_length = max_length
        self._encoder = Encoder(tokenizer)
        self._drops = job.config.dropout.make(job.config.seed).drops
        self._renderer = Renderer(template, None, spans=False)
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
        for number, (example, sizes) in enumerate(self._measured(path)):
            kept: MarkedExample | None = example
            if self._max_length is not None and sizes.total > self._max_length:
                kept, sizes = self._too_long(example, sizes)
                overlong, cut = overlong + (kept is None), cut + (kept is not None)
            if kept is None:
                continue
            held = share > 0 and draw(self._job.config.seed, "held-out", kept.id) < share
            sets[held].add(number if writer is None else writer.rows, sizes.total)
            if writer:
                writer.write(kept)
            if not held:
                counts.add({name: value for name, value in kept.markers.items() if name in self._known})
                for part, tokens in enumerate((sizes.prompt, sizes.block, sizes.answer)):
                    totals[part] += tokens
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

    def _too_long(self, example: MarkedExample, sizes: Sizes) -> tuple[MarkedExample | None, Sizes]:
        if self._job.config.train.overlong == "stop":
            raise DataError(
                f"{example.origin}: {sizes.total} tokens are more than max_length = {self._max_length}: "
                "raise train.max_length, or set train.overlong to drop or cut"
            )
        found = self._cutter.cut(example, sizes) if self._cutter else None
        return found or (None, sizes)

    def _measured(self, path: Path) -> Iterator[tuple[MarkedExample, Sizes]]:
        """Yield examples with their sizes; while one batch is tokenised the next is read and rendered."""
        examples = read_packed(path)
        pending: deque[tuple[list[MarkedExample], Any]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="encoder") as executor:
            while True:
                batch = list(islice(examples, BATCH))
                if batch:
                    pairs = [self._renderer.render(example) for example in batch]
                    pending.append((batch, executor.submit(self._measure, batch, pairs)))
                if pending and (len(pending) > 1 or not batch):
                    done, future = pending.popleft()
                    yield from zip(done, future.result(), strict=True)
                elif not batch:
                    return

    def _measure(self, batch: list[MarkedExample], pairs: list[RenderedPair]) -> list[Sizes]:
        """Measure rows with all their markers in the prompt, and check the border that dropout may leave them with."""
        sizes = self._encoder.measure(pairs)
        if self._drops:
            self._encoder.check_borders(pairs, [without_blocks(example.prompt, self._template) for example in batch])
        return sizes


class _Growing:
    """Numbers and lengths of rows, a few bytes each."""

    def __init__(self) -> None:
        self._numbers, self._lengths = array("q"), array("i")

    def add(self, number: int, length: int) -> None:
        self._numbers.append(number)
        self._lengths.append(length)

    def arrays(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        import numpy

        return numpy.array(self._numbers, dtype=numpy.int64), numpy.array(self._lengths, dtype=numpy.int32)
