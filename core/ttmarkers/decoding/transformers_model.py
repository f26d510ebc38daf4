"""A causal language model of transformers behind `ttmarkers.decoding.language_model.LanguageModel`."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import LogitsProcessor, StoppingCriteria

from ttmarkers.decoding.language_model import Written
from ttmarkers.decoding.prefix_cache import PrefixCache, can_cache
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import GenerationConfig, PreTrainedModel

    from ttmarkers.decoding.language_model import Continuation
    from ttmarkers.decoding.sampling import Sampler


class TransformersModel:
    """Runs a model, and keeps the keys and values of the sequences that it was last asked about.

    A model that keeps something else (a recurrent state) is run over whole sequences, one by one, until it writes the
    answer.

    Args:
        model: any causal model.
        settings: for ``generate``; nothing in it draws at random.
        sampler: how the next token is chosen.
    """

    def __init__(self, model: PreTrainedModel, settings: GenerationConfig, sampler: Sampler) -> None:
        self._model = model.eval()
        self._settings, self._sampler = settings, sampler
        self._config = model.config.get_text_config()
        self._caches = can_cache(self._config)
        self._last = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._cache = PrefixCache()

    @property
    def vocabulary(self) -> int:
        """The width of the logits, which may exceed the tokenizer's vocabulary."""
        return int(self._config.vocab_size)

    @property
    def context(self) -> int | None:
        """The greatest number of tokens, if the config says."""
        length = getattr(self._config, "max_position_embeddings", None)
        return int(length) if length else None

    def logits(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor]:
        """Return the logits after the last tokens of each row (see the protocol)."""
        with torch.inference_mode():
            if self._caches:
                try:
                    found = self._cached(rows, counts)
                    if found is not None:
                        return found
                except BaseException:  # a pass that did not end leaves keys that belong to no row
                    self._cache = PrefixCache()
                    raise
                self._caches, self._cache = False, PrefixCache()
            return [self._whole(list(row), count) for row, count in zip(rows, counts, strict=True)]

    def _whole(self, row: list[int], count: int) -> Tensor:
        ids = torch.tensor([row], device=self._model.device)
        options = {"logits_to_keep": count} if self._last else {}
        found: Tensor = self._model(input_ids=ids, use_cache=False, **options).logits
        return found[0, -count:].float().cpu()

    def _cached(self, rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[Tensor] | None:
        """Return the logits by reading what the cache does not hold; None if the model fills no cache."""
        limits = [len(row) - count for row, count in zip(rows, counts, strict=True)]
        kept = self._cache.prepare(rows, limits)
        fresh = [list(row[length:]) for row, length in zip(rows, kept, strict=True)]
        width, before = max(map(len, fresh)), self._cache.width
        # at first rows end together, later they begin together: so no row ever has a gap
        gaps = [0 if before else width - len(part) for part in fresh]
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros(len(rows), before + width, dtype=torch.long)
        places = torch.zeros(len(rows), width, dtype=torch.long)
        for number, (part, gap, length) in enumerate(zip(fresh, gaps, kept, strict=True)):
            ids[number, gap : gap + len(part)] = torch.tensor(part)
            mask[number, before - length : before] = 1
            mask[number, before + gap : before + gap + len(part)] = 1
            places[number, gap : gap + len(part)] = torch.arange(length, length + len(part))
        wanted = [
            range(gap + len(part) - count, gap + len(part))
            for part, gap, count in zip(fresh, gaps, counts, strict=True)
        ]
        columns = sorted({column for each in wanted for column in each})
        device = self._model.device
        options = {"logits_to_keep": torch.tensor(columns, device=device)} if self._last else {}
        found = (
            self._model(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                position_ids=places.to(device),
                past_key_values=self._cache.cache,
                use_cache=True,
                **options,
            )
            .logits.float()
            .cpu()
        )
        if not self._cache.filled(before + width):
            return None
        self._cache.extended(rows, [before + gap + len(part) for gap, part in zip(gaps, fresh, strict=True)])
        where = {column: place for place, column in enumerate(columns)} if self._last else {c: c for c in columns}
        return [found[number, where[each[0]] : where[each[-1]] + 1] for number, each in enumerate(wanted)]

    def write(self, rows: Sequence[Continuation]) -> list[Written]:
        """Go on with sequences by ``generate``, from what the cache holds of them (see the protocol).

        Raises:
            ConfigError: if transformers does not take the settings.
        """
        sequences = [list(tokens) for row in rows for tokens in (row.tokens, *(b.tokens for b in row.branches))]
        width = max(map(len, sequences))
        past = self._past(sequences)
        ids = torch.full((len(sequences), width), int(self._settings.pad_token_id))
        mask = torch.zeros_like(ids)
        for number, tokens in enumerate(sequences):
            ids[number, width - len(tokens) :] = torch.tensor(tokens)
            mask[number, width - len(tokens) :] = 1
        settings = copy.copy(self._settings)
        settings.max_new_tokens = max(row.limit for row in rows)
        watcher = _Watcher(rows, width)
        with torch.inference_mode():
            try:
                found = self._model.generate(
                    input_ids=ids.to(self._model.device),
                    attention_mask=mask.to(self._model.device),
                    past_key_values=past,
                    generation_config=settings,
                    logits_processor=self._processors(rows, width),
                    stopping_criteria=[watcher] if watcher.needed else None,
                )
            except ValueError as error:
                reason = " ".join(str(error).split())
                raise ConfigError(f"decode: transformers does not take these settings: {reason}") from error
        return self._ended(rows, found[:, width:].tolist(), watcher.lengths)

    def _past(self, sequences: list[list[int]]) -> Any:
        """Return a cache of which all sequences lack the same number of last tokens; None if there is none."""
        if not self._caches:
            return None
        lacking = max(len(row) - length for row, length in zip(sequences, self._known(sequences), strict=True))
        self._cache.prepare(sequences, [len(row) - lacking for row in sequences])
        past, self._cache = self._cache.cache, PrefixCache()
        return past if past.get_seq_length() else None

    def _known(self, sequences: list[list[int]]) -> list[int]:
        return [min(length, len(row) - 1) for row, length in zip(sequences, self._cache.known(sequences), strict=True)]

    def _processors(self, rows: Sequence[Continuation], start: int) -> list[LogitsProcessor] | None:
        found: list[LogitsProcessor] = []
        if any(row.branches for row in rows):
            found.append(_Mixer(rows))
        if self._sampler.draws:
            found.append(_Chooser(self._sampler, rows, start))
        return found or None

    def _ended(
        self, rows: Sequence[Continuation], found: list[list[int]], lengths: Sequence[int | None]
    ) -> list[Written]:
        ends = self._settings.eos_token_id
        stops = set(ends if isinstance(ends, list) else [ends])
        written, number = [], 0
        for row, most in zip(rows, lengths, strict=True):
            tokens = found[number][: row.limit if most is None else most]  # others of the batch may have gone on
            number += 1 + len(row.branches)
            length = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
            written.append(Written(tokens[:length], min(length + 1, len(tokens))))
        return written


class _Mixer(LogitsProcessor):
    """Gives all rows of a request the mixture of their scores."""

    def __init__(self, rows: Sequence[Continuation]) -> None:
        self._groups, number = [], 0
        for row in rows:
            weights = [row.weight, *(branch.weight for branch in row.branches)]
            self._groups.append((number, torch.tensor(weights)))
            number += len(weights)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Mix log-probabilities."""
        mixed = scores.log_softmax(-1)
        for start, weights in self._groups:
            if len(weights) > 1:
                part = mixed[start : start + len(weights)]
                one = (weights.to(part.device)[:, None] * part).sum(0)
                mixed[start : start + len(weights)] = one.masked_fill(~part.isfinite().all(0), -torch.inf)
        return cast("torch.FloatTensor", mixed)


class _Chooser(LogitsProcessor):
    """Chooses the next token of each request by the sampler, and leaves no other."""

    def __init__(self, sampler: Sampler, rows: Sequence[Continuation], start: int) -> None:
        self._sampler, self._start = sampler, start
        self._names = [row.name for row in rows for _ in range(1 + len(row.branches))]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Leave the chosen token."""
        step = input_ids.shape[1] - self._start
        chosen = self._sampler.choose(scores, [(name, "answer", step) for name in self._names])
        left = torch.full_like(scores, -torch.inf)
        left[torch.arange(len(chosen)), torch.tensor(chosen)] = 0.0
        return cast("torch.FloatTensor", left)


class _Watcher(StoppingCriteria):
    """Ends a row at its own limit, or when its watch says so.

    Attributes:
        lengths: the number of new tokens at which each row was ended; None for one that was not.
    """

    def __init__(self, rows: Sequence[Continuation], start: int) -> None:
        self._rows, self._start = rows, start
        self.lengths: list[int | None] = [None] * len(rows)
        self.needed = any(row.watch for row in rows) or len({row.limit for row in rows}) > 1

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        """Return for each row whether it ends."""
        done, place, length = [], 0, input_ids.shape[1] - self._start
        for number, row in enumerate(self._rows):
            if self.lengths[number] is None:
                stops = row.watch is not None and row.watch(input_ids[place, self._start :].tolist())
                if stops or length >= row.limit:
                    self.lengths[number] = length
            done += [self.lengths[number] is not None] * (1 + len(row.branches))
            place += 1 + len(row.branches)
        return cast("torch.BoolTensor", torch.tensor(done, device=input_ids.device))
