"""Packing: several examples in one sequence, and the proof that none sees another.

Examples are packed best-fit decreasing, as TRL's ``bfd`` does (Ding et al. 2024, arXiv 2404.10830), by their lengths
without dropout, so that packs stay the same in all epochs while what is in them is rendered anew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

import torch

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy
    from transformers import PreTrainedModel

    from ttmarkers_plugins.strategies.rows import Batches, MarkedRows

PROOFS = 3  # pairs of neighbours that are tried


def best_fit(lengths: numpy.ndarray, room: int) -> list[list[int]]:
    """Put items into as few packs as best-fit decreasing finds.

    Args:
        lengths: of the items, none above ``room``.
        room: of a pack.

    Returns:
        The items of each pack, by their places in ``lengths``.

    Example:
        >>> import numpy
        >>> best_fit(numpy.array([3, 7, 2, 5]), 10)
        [[1, 0], [3, 2]]
    """
    packs: list[list[int]] = []
    spaces: list[tuple[int, int]] = []  # (free, pack), sorted: the tightest that fits is found by bisection
    for item in (-lengths).argsort(kind="stable").tolist():
        length = int(lengths[item])
        at = bisect_left(spaces, (length, -1))
        if at == len(spaces):
            free, pack = room, len(packs)
            packs.append([])
        else:
            free, pack = spaces.pop(at)
        packs[pack].append(item)
        if free > length:
            insort(spaces, (free - length, pack))
    return packs


def prove_isolation(model: PreTrainedModel, rows: MarkedRows, batches: Batches) -> None:
    """Check on the model itself that neighbours in a pack do not see each other.

    Each of a few rows is run alone, before a neighbour and behind it. The logits must agree but for rounding: the
    square root of the weights' precision, relative to their size.

    Raises:
        ConfigError: if they do not: with this model and attention, packing would let examples read others' markers.
    """
    implementation = getattr(model.config, "_attn_implementation", None) or "its own"
    device = model.device
    tolerance = torch.finfo(model.dtype).eps ** 0.5
    training = model.training
    model.eval()
    try:
        for first in range(min(PROOFS, len(rows) - 1)):
            one, other = rows[first], rows[first + 1]
            alone = _logits(model, [one], batches, device)
            for units in ([one, other], [other, one]):
                found = _logits(model, units, batches, device)
                start = 0 if units[0] is one else len(other["input_ids"])
                found = found[start : start + len(one["input_ids"])]
                difference = float((found - alone).norm() / alone.norm())
                if not difference <= tolerance:
                    raise ConfigError(
                        f"train.packing: with attention {implementation!r} this model lets packed examples see each "
                        f"other (logits change by {difference:.1e} with a neighbour, {tolerance:.1e} is rounding), so "
                        "one would read another's markers: leave packing out, or use a model and attention that keep "
                        "them apart"
                    )
    finally:
        model.train(training)


def _logits(model: Any, units: Sequence[dict[str, Any]], batches: Batches, device: torch.device) -> torch.Tensor:
    """Return the logits of units packed into one, of shape (tokens, vocabulary)."""
    pack = {key: [item for unit in units for item in unit[key]] for key in units[0]}
    batch = batches([pack])
    inputs = {key: batch[key].to(device) for key in ("input_ids", "position_ids")}
    with torch.no_grad():
        try:
            logits = model(**inputs, use_cache=False).logits[0]
        except (TypeError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"train.packing: this model cannot be run on packed examples ({' '.join(str(error).split())[:200]}): "
                "leave packing out"
            ) from error
    kept: torch.Tensor = logits[: len(pack["input_ids"])].float()
    return kept
