"""Keys and values of sequences that were read, kept so that what begins alike need not be read again.

Rows end at different columns, because each goes on by a number of tokens of its own. Before the next pass every row is
moved to the right edge, without the tokens that it no longer begins with; so there is never a gap inside a row, which
a model with a sliding window would count as places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from ttmarkers.decoding.sequences import common

if TYPE_CHECKING:
    from collections.abc import Sequence


def can_cache(config: Any) -> bool:
    """Say whether a model keeps keys and values for each token, and nothing else that could not be taken back."""
    try:
        layers = DynamicCache(config=config).layers
    except (TypeError, ValueError, AttributeError, KeyError):
        return False
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


class PrefixCache:
    """The cache of one batch of sequences.

    Layers with a sliding window keep all tokens here: what leaves a window cannot be taken back.
    """

    def __init__(self) -> None:
        self.cache = DynamicCache()
        self._rows: list[list[int]] = []
        self._ends: list[int] = []

    @property
    def _layers(self) -> list[Any]:
        """The layers that hold anything; some models share them."""
        layers: list[Any] = list(self.cache.layers)
        return [layer for layer in layers if layer.get_seq_length()]

    @property
    def width(self) -> int:
        """The number of columns."""
        return int(self.cache.get_seq_length())

    def prepare(self, rows: Sequence[Sequence[int]], most: Sequence[int]) -> list[int]:
        """Make the cache hold beginnings of the given rows, each ending at the right edge; return their lengths.

        Args:
            rows: the sequences that are wanted.
            most: how many tokens of each may come from the cache.
        """
        sources, kept = [], []
        for number, (row, limit) in enumerate(zip(rows, most, strict=True)):
            source, length = self._source(list(row), number)
            sources.append(source)
            kept.append(max(0, min(length, limit)))
        if not any(kept):
            self.__init__()  # type: ignore[misc]
            return kept
        self._move(sources, kept)
        return kept

    def filled(self, columns: int) -> bool:
        """Say whether a pass put as many columns into the cache as it was given; some models take no notice of it."""
        return self.width == columns

    def known(self, rows: Sequence[Sequence[int]]) -> list[int]:
        """Return how many tokens of each row need not be read again."""
        return [self._source(list(row), number)[1] for number, row in enumerate(rows)]

    def extended(self, rows: Sequence[Sequence[int]], ends: Sequence[int]) -> None:
        """Take down what the cache holds after a pass: the rows, and the column where each ends."""
        self._rows = [list(row) for row in rows]
        self._ends = list(ends)

    def _source(self, row: list[int], number: int) -> tuple[int, int]:
        """Return the cached row that begins most like a row, and for how many tokens."""
        if number < len(self._rows):
            cached = self._rows[number]
            if row[: len(cached)] == cached:
                return number, len(cached)
        best, most = 0, 0
        for place, cached in enumerate(self._rows):
            length = common(row, cached)
            if length > most:
                best, most = place, length
        return best, most

    def _move(self, sources: list[int], kept: list[int]) -> None:
        width = max(kept)
        ends = [
            self._ends[source] - len(self._rows[source]) + length for source, length in zip(sources, kept, strict=True)
        ]
        same = sources == list(range(len(self._rows)))
        if same and all(end == width for end in ends):
            self._crop(width)
            return
        layers = self._layers
        device = layers[0].keys.device
        places = torch.arange(width) + torch.tensor(ends)[:, None] - width
        places = places.clamp_(min=0).to(device)
        chosen = None if same else torch.tensor(sources, device=device)
        for layer in layers:
            layer.keys = _gathered(layer.keys, chosen, places)
            layer.values = _gathered(layer.values, chosen, places)

    def _crop(self, width: int) -> None:
        if width < self.width:
            for layer in self._layers:
                layer.keys, layer.values = layer.keys[:, :, :width], layer.values[:, :, :width]


def _gathered(states: torch.Tensor, rows: torch.Tensor | None, places: torch.Tensor) -> torch.Tensor:
    """Return columns of states of shape (rows, heads, columns, width), for each row its own."""
    if rows is not None:
        states = states.index_select(0, rows)
    index = places[:, None, :, None].expand(-1, states.shape[1], -1, states.shape[3])
    return states.gather(2, index)
