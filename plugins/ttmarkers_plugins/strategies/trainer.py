"""TRL's `SFTTrainer` with the losses of block, answer and each marker apart, and its own order of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import datasets
import torch
from trl import SFTTrainer

from ttmarkers.records import ANSWER, BLOCK, PART_NAMES
from ttmarkers.statistics import share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ttmarkers_plugins.strategies.rows import EpochOrder, MarkedRows

PARTS = (BLOCK, ANSWER)


class MarkerTrainer(SFTTrainer):  # type: ignore[misc]  # TRL ships no types
    """`SFTTrainer` that weighs the block's tokens and logs what it learns of blocks, answers and each marker.

    It logs ``block_loss`` and ``answer_loss``, ``loss.NAME`` for each marker (nats a token, its tags included), and
    ``accuracy.NAME``: the share of examples whose whole value the model would write greedily after the block so far,
    among those from whose prompt dropout took the marker; a marker in the prompt is only copied. Their number is
    ``n.NAME``; evaluation adds a 95 % interval (``.low``, ``.high``).

    TRL computes the log-probability of every token once; a hook on the model's forward reads them, so that nothing is
    computed twice and TRL's own loss stays in use.
    """

    def __init__(
        self,
        *arguments: Any,
        rows: MarkedRows,
        held_out: MarkedRows | None,
        order: EpochOrder,
        markers: Sequence[str],
        block_weight: float,
        **options: Any,
    ) -> None:
        # TRL looks at a first row and asks for its own kind of data set; ours renders rows by key
        stand_in = datasets.Dataset.from_dict({"input_ids": [[0]], "labels": [[0]]})
        super().__init__(
            *arguments, train_dataset=stand_in, eval_dataset=None if held_out is None else stand_in, **options
        )
        self.train_dataset, self.eval_dataset = rows, held_out
        self._block_weight = block_weight
        self._order = order
        self._tallies = {mode: Tally(markers) for mode in ("train", "eval")}
        self._batch: dict[str, torch.Tensor] | None = None
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        base.register_forward_hook(self._split_loss)

    def count_tokens_from(self, log: Sequence[dict[str, Any]]) -> None:
        """Go on counting tokens where a run that is resumed had come to, as its log says."""
        self._total_train_tokens = next((entry["num_tokens"] for entry in reversed(log) if "num_tokens" in entry), 0)

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
        return self._order

    def _get_eval_sampler(self, eval_dataset: Any) -> torch.utils.data.Sampler[int]:
        # the engine's grouping by length would encode all rows once more to know how long they are
        return torch.utils.data.SequentialSampler(eval_dataset)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        """Compute TRL's loss, the block's tokens weighted."""
        self._batch = {name: inputs.pop(name) for name in ("parts", "marks", "examples")}
        tokens, before = inputs.pop("tokens"), self._total_train_tokens
        try:
            found = super().compute_loss(model, inputs, *arguments, **options)
        finally:
            self._batch = None
        if self.model.training:
            # TRL counts the padding of packs, and rows that were added to make processes come out even
            self._total_train_tokens = before + int(self.accelerator.gather(tokens).sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return found

    def _split_loss(self, module: torch.nn.Module, arguments: Any, output: Any) -> None:
        log_probs = getattr(output, "log_probs", None)
        if self._batch is None or log_probs is None:
            return
        parts, marks, examples = (
            self._batch[name][:, 1:].to(log_probs.device) for name in ("parts", "marks", "examples")
        )
        tally = self._tallies["train" if module.training else "eval"]
        tally.add(-log_probs.detach().float(), output.is_top1.bool(), parts, marks, examples)
        if self._block_weight != 1.0:
            output.log_probs = torch.where(parts == BLOCK, log_probs * self._block_weight, log_probs)

    def log(self, logs: dict[str, float], *arguments: Any, **options: Any) -> None:
        """Log TRL's figures and ours, over all processes."""
        mode = "train" if self.model.training else "eval"
        if mode == "eval" and "eval_loss" not in logs:  # the run's last words, when an evaluation came just before
            super().log(logs, *arguments, **options)
            return
        loss, figures = self._tallies[mode].figures(
            self.accelerator, intervals=mode == "eval", block_weight=self._block_weight
        )
        logs.update({(f"eval_{name}" if mode == "eval" else name): value for name, value in figures.items()})
        if mode == "eval":
            logs["eval_loss"] = loss  # the engine's is a mean of batches' means, whatever number of tokens they have
        super().log(logs, *arguments, **options)


@dataclass
class _Sums:
    """Sums since the last log, one row for a part or marker."""

    parts: torch.Tensor  # (parts, 2): loss, tokens
    markers: torch.Tensor  # (markers, 2): loss, tokens
    dropped: torch.Tensor  # (markers, 2): examples whose value is right, examples


class Tally:
    """Adds up losses and hits of parts and markers.

    Args:
        markers: in the taxonomy's order.
    """

    def __init__(self, markers: Sequence[str]) -> None:
        self._names = tuple(markers)
        self._sums: _Sums | None = None

    def add(
        self,
        losses: torch.Tensor,
        right: torch.Tensor,
        parts: torch.Tensor,
        marks: torch.Tensor,
        examples: torch.Tensor,
    ) -> None:
        """Take in a batch; all tensors are of shape (units, tokens).

        Args:
            losses: of the tokens.
            right: whether a token is the likeliest.
            parts: as in `ttmarkers.records.Encoded`.
            marks: the same.
            examples: numbers the examples of the batch.
        """
        sums = self._sums = self._sums or self._empty(losses.device)
        for line, part in enumerate(PARTS):
            mask = parts == part
            sums.parts[line] += torch.stack([(losses * mask).sum(), mask.sum().float()])
        held = marks > 0
        if not self._names or not bool(held.any()):
            return
        code = marks[held] - 1
        marker, value, dropped = code // 4, (code // 2) % 2 == 1, code % 2 == 1
        sums.markers[:, 0].index_add_(0, marker, losses[held])
        sums.markers[:, 1].index_add_(0, marker, torch.ones_like(losses[held]))
        wanted = value & dropped
        # one number for an example and a marker: it is wrong if any token of its value is
        case = examples[held][wanted] * len(self._names) + marker[wanted]
        size = (int(examples.max()) + 1) * len(self._names)
        wrong = torch.zeros(size, device=losses.device).index_add_(0, case, (~right[held][wanted]).float())
        cases = torch.zeros(size, device=losses.device).index_fill_(0, case, 1.0)
        hits = cases * (wrong == 0)
        sums.dropped += torch.stack([hits, cases], 1).view(-1, len(self._names), 2).sum(0)

    def figures(
        self, accelerator: Any, *, intervals: bool, block_weight: float = 1.0
    ) -> tuple[float, dict[str, float]]:
        """Return the mean loss, weighted as in training, and the other means, over all processes; begin anew."""
        sums, self._sums = self._sums or self._empty(accelerator.device), None
        parts, markers, dropped = (
            accelerator.reduce(table, reduction="sum").tolist() for table in (sums.parts, sums.markers, sums.dropped)
        )
        found = {
            f"{PART_NAMES[part]}_loss": loss / tokens
            for part, (loss, tokens) in zip(PARTS, parts, strict=True)
            if tokens
        }
        for name, (loss, tokens), (hits, cases) in zip(self._names, markers, dropped, strict=True):
            if tokens:
                found[f"loss.{name}"] = loss / tokens
            if cases:
                estimate = share(round(hits), round(cases))
                found |= {f"accuracy.{name}": estimate.value, f"n.{name}": estimate.n}
                if intervals:
                    found |= {f"accuracy.{name}.low": estimate.low, f"accuracy.{name}.high": estimate.high}
        weights = {BLOCK: block_weight, ANSWER: 1.0}
        total = sum(weights[part] * loss for part, (loss, _) in zip(PARTS, parts, strict=True))
        return total / max(sum(tokens for _, tokens in parts), 1), found

    def _empty(self, device: torch.device) -> _Sums:
        return _Sums(
            torch.zeros(len(PARTS), 2, device=device),
            torch.zeros(len(self._names), 2, device=device),
            torch.zeros(len(self._names), 2, device=device),
        )
