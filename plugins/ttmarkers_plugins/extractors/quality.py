"""``quality`` by a reward model, and ``quality_bucket``: quartiles of quality within each language.

Source: D'souza et al. 2025, table 1: four buckets, 1 is the best.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError
from ttmarkers.records import Found
from ttmarkers_plugins.extractors.prose import is_blank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.protocols import Subject
    from ttmarkers.records import Example, Value

POOL = ""  # the name under which small languages, and rows whose language is not known, are kept together
CUTS = (0.25, 0.5, 0.75)


class RewardModelExtractor:
    """Finds ``quality``: what a reward model makes of prompt and completion.

    Args:
        model: a path or Hub name of a model that transformers loads for sequence classification.
        batch_size: pairs that are scored together.
        max_length: tokens; the beginning of a longer conversation is cut off, so that the answer is seen.
        device: where the model runs; a GPU if there is one.
        output: which of several outputs is the score.
    """

    def __init__(
        self,
        model: str = "",
        batch_size: int = 16,
        max_length: int = 1024,
        device: str | None = None,
        output: int = 0,
    ) -> None:
        if not model:
            raise ConfigError("extractor 'reward-model' needs a model: set markers.options.reward-model.model")
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(model, truncation_side="left")
            self._model = AutoModelForSequenceClassification.from_pretrained(model).to(self._device).eval()
        except (OSError, ValueError) as error:
            reason = (str(error).strip().splitlines() or ["?"])[0]
            raise ConfigError(f"reward model {model!r} cannot be loaded: {reason}") from error
        if output >= self._model.config.num_labels:
            raise ConfigError(f"reward model {model!r} has {self._model.config.num_labels} outputs, not {output + 1}")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model.config.pad_token_id = self._tokenizer.pad_token_id
        self._batch_size, self._max_length, self._output = batch_size, max_length, output

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the score of each example; none where there is nothing to read."""
        texts = [self._text(subject.example) for subject in batch]
        found: list[Mapping[str, Found]] = [{} for _ in texts]
        said = [number for number, subject in enumerate(batch) if not is_blank(subject.example)]
        order = sorted(said, key=lambda number: len(texts[number]))  # alike lengths need little padding
        for start in range(0, len(order), self._batch_size):
            numbers = order[start : start + self._batch_size]
            for number, score in zip(numbers, self._score([texts[n] for n in numbers]), strict=True):
                found[number] = {"quality": Found(round(score, 4))}
        return found

    def _text(self, example: Example) -> str:
        turns = [{"role": turn.role, "content": turn.content} for turn in example.prompt]
        turns.append({"role": "assistant", "content": example.completion})
        if self._tokenizer.chat_template:
            return str(self._tokenizer.apply_chat_template(turns, tokenize=False))
        return "\n\n".join(turn["content"] for turn in turns)

    def _score(self, texts: list[str]) -> list[float]:
        import torch

        inputs = self._tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=self._max_length
        ).to(self._device)
        with torch.inference_mode():
            logits = self._model(**inputs).logits
        scores: list[float] = logits[:, self._output].float().tolist()
        return scores


class QualityBucketExtractor:
    """Finds ``quality_bucket`` from ``quality`` and ``lang``, by quartiles that are fitted on all rows.

    Args:
        least: languages with fewer rows are pooled, with the rows whose language is not known.
    """

    def __init__(self, least: int = 50) -> None:
        self._least = least
        self._seen: dict[str, array[float]] = {}
        self._cuts: dict[str, list[float]] = {}

    def observe(self, markers: Mapping[str, Value]) -> None:
        """Take in the quality of one row."""
        if "quality" in markers:
            self._seen.setdefault(str(markers.get("lang", POOL)), array("d")).append(float(markers["quality"]))

    def fit(self) -> Mapping[str, Any]:
        """Return the quartiles of each language and of the pool, and each bucket's 95th percentile."""
        import numpy

        groups: dict[str, array[float]] = {POOL: array("d")}
        for lang, scores in sorted(self._seen.items()):
            if lang != POOL and len(scores) >= self._least:
                groups[lang] = scores
            else:
                groups[POOL].extend(scores)
        if not groups[POOL]:
            # for languages that only new data has
            groups[POOL] = array("d", [score for scores in self._seen.values() for score in scores])
        state: dict[str, Any] = {"least": self._least, "groups": {}}
        for name, scores in groups.items():
            values = numpy.asarray(scores)
            if not len(values):
                continue
            cuts = numpy.quantile(values, CUTS).tolist()
            buckets = numpy.asarray([bucket(value, cuts) for value in values])
            tops = {
                number: float(numpy.quantile(values[buckets == number], 0.95))
                for number in "1234"
                if (buckets == number).any()
            }
            state["groups"][name] = {"n": len(values), "cuts": cuts, "p95": tops}
        self._seen = {}
        return state

    def load(self, state: Mapping[str, Any]) -> None:
        """Use quartiles that `fit` returned."""
        self._cuts = {name: list(group["cuts"]) for name, group in state["groups"].items()}

    def find(self, markers: Mapping[str, Value]) -> Mapping[str, Found]:
        """Return the bucket of a row whose quality is known; none where all rows are alike."""
        cuts = self._cuts.get(str(markers.get("lang", POOL))) or self._cuts.get(POOL)
        if "quality" not in markers or not cuts or cuts[0] == cuts[-1]:
            return {}
        return {"quality_bucket": Found(bucket(float(markers["quality"]), cuts))}


def bucket(score: float, cuts: Sequence[float]) -> str:
    """Return the bucket of a score, each quartile with its upper border, as ``pandas.qcut`` cuts.

    >>> [bucket(score, (1.0, 2.0, 3.0)) for score in (1.0, 1.5, 3.0, 3.1)]
    ['4', '3', '2', '1']
    """
    return str(4 - sum(score > cut for cut in cuts))
