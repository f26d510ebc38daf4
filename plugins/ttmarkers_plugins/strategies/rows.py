"""What a trainer reads: the order of the rows, the rows themselves, and batches of them.

The order hands out keys that say of each row in which epoch and at which place of the run it is read. So what a row
looks like depends on its key alone, whichever process prepares it and however often the run was interrupted.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from ttmarkers.errors import DataError
from ttmarkers.marked import unpack
from ttmarkers.records import PROMPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy

    from ttmarkers.blocks.rendering import Renderer
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.training.row_checker import RowSet

    Key = tuple[int, int, float]

MEGA = 50  # batches that are sorted by length together, as in transformers' own length grouping


class EpochOrder(torch.utils.data.Sampler["Key"]):
    """Keys (unit, epoch, place in the run) in an order that depends on seed and epoch alone.

    Args:
        lengths: tokens of each unit, a row or a pack of rows.
        batch_size: units that are trained on together, in all processes.
        seed: of the order.
        order: ``random``, ``sequential`` or ``group_by_length``.
        epochs: how many the whole run has; may be a fraction.
        multiple: an order is filled up to a multiple of this with units that have no loss (`MarkedRows`).
    """

    def __init__(
        self, lengths: numpy.ndarray, batch_size: int, seed: int, order: str, epochs: float, *, multiple: int = 1
    ) -> None:
        self._lengths = torch.from_numpy(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._order = order
        self._epochs = epochs
        self._size = math.ceil(len(lengths) / multiple) * multiple
        self.epoch = 0

    def __len__(self) -> int:
        return self._size

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Key]:
        count = len(self._lengths)
        for number, unit in enumerate([*self._units().tolist(), *range(count, self._size)]):
            place = (self.epoch + min(number / count, 1)) / self._epochs
            yield unit, self.epoch, min(place, 1 - 1e-9)

    def _units(self) -> torch.Tensor:
        if self._order == "sequential":
            return torch.arange(len(self._lengths))
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self._lengths), generator=generator)
        return self._grouped(order, generator) if self._order == "group_by_length" else order

    def _grouped(self, order: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        batches: list[torch.Tensor] = []
        for mega in order.split(MEGA * self._batch_size):
            by_length = mega[self._lengths[mega].argsort(stable=True, descending=True)]
            batches += by_length.split(self._batch_size)
        # a short batch can only be the last one, or the batches of a later epoch would shift
        last = batches.pop() if len(batches[-1]) < self._batch_size else None
        shuffled = [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
        return torch.cat([*shuffled, *([last] if last is not None else [])])


class FollowEpoch(TrainerCallback):
    """Tells the order which epoch begins; the trainer itself does not reach it where processes share the rows."""

    def __init__(self, order: EpochOrder) -> None:
        self._order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Set the epoch before the data loader is started."""
        # after a resume in the middle of an epoch the state holds a fraction
        self._order.set_epoch(math.floor((state.epoch or 0.0) + 1e-9))


class MarkedRows(torch.utils.data.Dataset[dict[str, Any]]):
    """Rows on disk, rendered and encoded when they are read.

    Args:
        rows: where they lie.
        renderer: what the model sees.
        encoder: its tokenizer.
        packs: the places in ``rows`` that are read as one unit; by default each row is one.
        multiple: units without loss are added behind the others up to a multiple of this, so that several processes
            that share the rows need not count some of them twice to come out even.
    """

    def __init__(
        self,
        rows: RowSet,
        renderer: Renderer,
        encoder: Encoder,
        packs: Sequence[Sequence[int]] | None = None,
        *,
        multiple: int = 1,
    ) -> None:
        import datasets

        self._table = datasets.Dataset.from_file(str(rows.path))
        self._numbers = rows.numbers
        self._renderer = renderer
        self._encoder = encoder
        self._packs = packs
        self._real = len(self._numbers if packs is None else packs)
        self._size = math.ceil(self._real / multiple) * multiple

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[unit] for unit in range(len(self)))

    def __getitem__(self, key: int | Key) -> dict[str, Any]:
        return self.__getitems__([key])[0]

    def __getitems__(self, keys: Sequence[int | Key]) -> list[dict[str, Any]]:
        """Return units: ``input_ids``, ``parts`` and ``marks`` of their tokens, ``lengths`` of their rows.

        ``counted`` has the lengths of the rows that count as read: all, or none of a unit that was added.
        """
        full: list[Key] = [(key, 0, 0.0) if isinstance(key, int) else key for key in keys]
        wanted = [(row, epoch, place) for unit, epoch, place in full for row in self._rows_of(unit)]
        columns = self._table[[int(self._numbers[row]) for row, _, _ in wanted]]
        names = list(columns)
        packed = (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))
        pairs = [
            self._renderer.render(unpack(row), epoch, place)
            for row, (_, epoch, place) in zip(packed, wanted, strict=True)
        ]
        encoded = iter(self._encoder.encode(pairs))
        units = []
        for unit, _, _ in full:
            members = [next(encoded) for _ in self._rows_of(unit)]
            if unit >= self._real:
                silent = [PROMPT] * len(members[0].input_ids)
                members = [replace(members[0], parts=silent, marks=[0] * len(silent))]
            units.append(
                {
                    "input_ids": [token for each in members for token in each.input_ids],
                    "parts": [part for each in members for part in each.parts],
                    "marks": [mark for each in members for mark in each.marks],
                    "lengths": [len(each.input_ids) for each in members],
                    "counted": [len(each.input_ids) for each in members] if unit < self._real else [],
                }
            )
        return units

    def _rows_of(self, unit: int) -> Sequence[int]:
        if not 0 <= unit < len(self):
            raise IndexError(f"there is no unit {unit}")
        if unit >= self._real:
            return (0,)
        return (unit,) if self._packs is None else self._packs[unit]


class Batches:
    """Pads units to the longest of a batch; labels stand where the part is block or answer.

    Args:
        pad_id: the token to pad with.
        multiple: widths are multiples of this.
        packed: whether units are packs. Their rows are told apart by positions that begin anew, and there is no
            attention mask: the model makes one of the positions.
        flat: put all packs behind each other into one line, as FlashAttention wants them.
    """

    def __init__(self, pad_id: int, multiple: int | None = None, *, packed: bool = False, flat: bool = False) -> None:
        self._pad_id = pad_id
        self._multiple = multiple or 1
        self._packed = packed
        self._flat = flat

    def __call__(self, units: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Return ``input_ids``, ``labels``, ``parts``, ``marks`` and ``examples``, each of shape (units, tokens).

        ``examples`` numbers the rows of the batch. Beside them stands ``attention_mask`` or ``position_ids``, and
        ``tokens``, the number of tokens that count as read, of shape (1).
        """
        if self._flat:
            units = [{key: [item for unit in units for item in unit[key]] for key in units[0]}]
        longest = max(len(unit["input_ids"]) for unit in units)
        width = math.ceil(longest / self._multiple) * self._multiple
        shape = (len(units), width)
        ids, parts = torch.full(shape, self._pad_id), torch.full(shape, PROMPT)
        marks, examples = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        mask, positions = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
        number = 0
        for line, unit in enumerate(units):
            length = len(unit["input_ids"])
            if length != sum(unit["lengths"]):
                raise DataError("a unit's rows are not as long as its tokens")
            ids[line, :length] = torch.tensor(unit["input_ids"])
            parts[line, :length] = torch.tensor(unit["parts"])
            marks[line, :length] = torch.tensor(unit["marks"])
            mask[line, :length] = 1
            start = 0
            for tokens in unit["lengths"]:
                positions[line, start : start + tokens] = torch.arange(tokens)
                examples[line, start : start + tokens] = number
                start, number = start + tokens, number + 1
        return {
            "input_ids": ids,
            "labels": ids.masked_fill(parts == PROMPT, -100),
            "parts": parts,
            "marks": marks,
            "examples": examples,
            "tokens": torch.tensor([sum(sum(unit["counted"]) for unit in units)]),
            **({"position_ids": positions} if self._packed else {"attention_mask": mask}),
        }
