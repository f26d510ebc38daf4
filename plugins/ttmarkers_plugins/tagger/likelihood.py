"""Extractor ``lm``: the value that a causal language model finds likeliest after question, definitions and text."""

from __future__ import annotations

import copy
import itertools
import sys
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ttmarkers.components import read_data
from ttmarkers.errors import ConfigError
from ttmarkers.records import Found
from ttmarkers_plugins.tagger.embedding import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from ttmarkers.annotation.guides import Briefing, Guide
    from ttmarkers.protocols import Subject

TEMPLATE = "ttmarkers_templates:tagging/likelihood.jinja"
CONTENT_FREE = ("N/A", "...", "[text]")


class LikelihoodExtractor:
    """Finds categorical markers by the likelihood of their values' names, with any causal model of transformers.

    The question with its definitions is read once for all rows, a row's text once for all values. What the model
    thinks of the names without any text is taken off (contextual calibration, Zhao et al. 2021, arXiv 2102.09690).

    Args:
        model: a path or Hub name.
        batch_size: rows that are read together.
        max_tokens: of a row's text, or fewer if the model cannot read so many; the middle of a longer one is left out.
        calibrate: whether to take off what the model thinks without a text.
        device: where the model runs; a GPU if there is one.
    """

    def __init__(
        self,
        model: str = "",
        batch_size: int = 8,
        max_tokens: int = 512,
        calibrate: bool = True,
        device: str | None = None,
    ) -> None:
        if not model:
            raise ConfigError("extractor 'lm' needs a model: set markers.options.lm.model")
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model)
            loaded: Any = AutoModelForCausalLM.from_pretrained(model)
            self._model = loaded.to(self._device).eval()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or ["?"])[0]
            raise ConfigError(f"language model {model!r} cannot be loaded: {reason}") from error
        self._batch_size, self._max_tokens, self._calibrate = batch_size, max_tokens, calibrate
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        self._macros: Any = environment.from_string(read_data(TEMPLATE)).module
        self._suffix = self._ending()
        self._readers: dict[str, _Reader] = {}
        self._reads: dict[str, str] = {}
        self._without: dict[str, Tensor] = {}

    def prepare(self, briefing: Briefing) -> None:
        """Read the questions of the wanted markers."""
        for kind in briefing.types:
            guide = briefing.guides.get(kind.name)
            if guide is None or not kind.values:
                raise ConfigError(f"extractor 'lm' cannot find {kind.name!r}: it finds categories with a guide")
            reader = _Reader(self._model, self._tokenizer, self._prefix(guide), tuple(guide.values))
            if reader.room <= len(self._suffix):
                raise ConfigError(
                    f"the language model cannot read as much as is said of {kind.name}: shorten its guide"
                )
            reader.read()
            self._readers[kind.name] = reader
            self._reads[kind.name] = guide.reads
            if self._calibrate:
                scores = self._scores(kind.name, CONTENT_FREE)
                self._without[kind.name] = scores.log_softmax(-1).mean(0)

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the likeliest value of each marker, with its share of the probability of all values.

        None is found where there is nothing to read.
        """
        found: list[dict[str, Found]] = [{} for _ in batch]
        for name, reader in self._readers.items():
            texts = texts_of(batch, self._reads[name])
            if not texts:
                continue
            scores = self._scores(name, list(texts.values()))
            if name in self._without:
                scores = scores - self._without[name]
            for place, chances in zip(texts, scores.softmax(-1), strict=True):
                best = int(chances.argmax())
                found[place][name] = Found(reader.values[best], round(float(chances[best]), 4))
        return list(found)

    def _prefix(self, guide: Guide) -> str:
        values = [{"name": value, "definition": said.definition} for value, said in guide.values.items()]
        return str(self._macros.prefix(guide.question, values))

    def _ending(self) -> list[int]:
        tokens: list[int] = self._tokenizer(str(self._macros.suffix()), add_special_tokens=False)["input_ids"]
        return tokens

    def _scores(self, name: str, texts: Sequence[str]) -> Tensor:
        """Return the log-likelihood of each value after each text: texts by values, on the CPU."""
        import torch

        most = min(self._max_tokens, self._readers[name].room - len(self._suffix))
        rows = [self._tokens(text, most) for text in texts]
        scores = torch.zeros(len(rows), len(self._readers[name].values))
        for chosen in self._batches([len(row) for row in rows]):
            scores[chosen] = self._readers[name].scores([rows[number] for number in chosen])
        return scores

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield numbers of rows of alike lengths; of the same length if padding would take places of a window."""
        order = sorted(range(len(lengths)), key=lengths.__getitem__)
        groups = [list(group) for _, group in itertools.groupby(order, lengths.__getitem__)]
        window = getattr(self._model.config.get_text_config(), "sliding_window", None)
        for group in groups if window else [order]:
            yield from (group[start : start + self._batch_size] for start in range(0, len(group), self._batch_size))

    def _tokens(self, text: str, most: int) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(tokens) > most:
            end = most // 2
            tokens = tokens[: most - end] + tokens[len(tokens) - end :]
        return tokens + self._suffix


class _Reader:
    """One question, read once; scores values after texts.

    Attributes:
        values: between which it decides.
        room: how many tokens the model can read between the question and a value.
    """

    def __init__(self, model: Any, tokenizer: Any, prefix: str, values: tuple[str, ...]) -> None:
        self.values = values
        self._model = model
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
        self._names = [tokenizer(f" {value}", add_special_tokens=False)["input_ids"] for value in values]
        self._ids = tokenizer(prefix, return_tensors="pt")["input_ids"].to(model.device)
        self._length = self._ids.shape[1]
        places = getattr(model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
        self.room = places - self._length - max(map(len, self._names))

    def read(self) -> None:
        """Read the question; before any row is scored."""
        import torch

        with torch.inference_mode():
            self._cache = self._model(input_ids=self._ids, use_cache=True, logits_to_keep=1).past_key_values

    def scores(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Return the log-likelihood of each value after each row of tokens."""
        import torch

        device = self._model.device
        width = max(map(len, rows))
        ids = torch.tensor([[self._pad] * (width - len(row)) + list(row) for row in rows], device=device)
        seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
        before = torch.ones(len(rows), self._length, dtype=seen.dtype, device=device)
        mask = torch.cat([before, seen], 1)
        places = (self._length + seen.cumsum(1) - 1).clamp(min=0)
        with torch.inference_mode():
            cache = copy.deepcopy(self._cache)
            cache.batch_repeat_interleave(len(rows))
            read = self._model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1
            )
            first = read.logits[:, -1].float().log_softmax(-1)
            return self._values(first, cache, mask, places[:, -1:]).cpu()

    def _values(self, first: Tensor, cache: Any, mask: Tensor, place: Tensor) -> Tensor:
        """Score the names of the values: their first token is known already, the others take one more pass."""
        import torch

        rows, many = len(first), len(self._names)
        heads = torch.tensor([name[0] for name in self._names], device=first.device)
        total = first[:, heads]
        width = max(map(len, self._names))
        if width == 1:
            return total
        cache.batch_repeat_interleave(many)
        padded = torch.tensor([name + [self._pad] * (width - len(name)) for name in self._names], device=first.device)
        real = torch.tensor([[1] * len(name) + [0] * (width - len(name)) for name in self._names], device=first.device)
        ids, kept = padded.repeat(rows, 1), real.repeat(rows, 1)
        places = place.repeat_interleave(many, 0) + 1 + torch.arange(width - 1, device=first.device)
        logits = self._model(
            input_ids=ids[:, :-1],
            attention_mask=torch.cat([mask.repeat_interleave(many, 0), kept[:, :-1]], 1),
            position_ids=places,
            past_key_values=cache,
        ).logits
        following = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        rest: Tensor = (following * kept[:, 1:]).sum(1).view(rows, many)
        return total + rest
