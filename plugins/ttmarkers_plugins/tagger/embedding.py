"""Extractor ``embedding``: the value whose definition and examples lie nearest, without any tagged rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError
from ttmarkers.records import Found
from ttmarkers_plugins.tagger.encoder import DEFAULT_ENCODER, Encoder, prompt_text
from ttmarkers_plugins.tagger.heads import sharpness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy
    from numpy.typing import NDArray

    from ttmarkers.annotation.guides import Briefing, Guide
    from ttmarkers.protocols import Subject

    Vectors = NDArray[numpy.float32]

FOLDS = 5
STRENGTH = 10.0  # inverse regularisation of the classifier that is fitted on definitions and examples


class EmbeddingExtractor:
    """Finds categorical markers by a linear classifier on embeddings of their guides' definitions and examples.

    Two are fitted, one on first lines and one on whole texts, and their log-probabilities are averaged: what a prompt
    is about is spread over it, what it asks for is mostly said at its beginning. Probabilities are calibrated by
    cross-validation over the examples.

    Args:
        model: a sentence-embedding model, by path or Hub name.
        batch_size: texts that are embedded together.
        device: where the model runs; a GPU if there is one.
        languages: ISO codes of the examples that are used; more of them for a model of many languages.
    """

    def __init__(
        self,
        model: str = DEFAULT_ENCODER,
        batch_size: int = 32,
        device: str | None = None,
        languages: Sequence[str] = ("en",),
    ) -> None:
        self._languages = tuple(languages)
        self._encoder = Encoder(model, batch_size, device)
        self._heads: dict[str, _Views] = {}
        self._reads: dict[str, str] = {}

    def prepare(self, briefing: Briefing) -> None:
        """Fit the classifiers of the wanted markers."""
        for kind in briefing.types:
            guide = briefing.guides.get(kind.name)
            if guide is None or not kind.values or not all(map(self._texts(guide).get, guide.values)):
                raise ConfigError(f"extractor 'embedding' cannot find {kind.name!r}: its guide lacks definitions")
            self._heads[kind.name] = self._fit(guide)
            self._reads[kind.name] = guide.reads

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the likeliest value of each marker, with its probability; none where there is nothing to read."""
        found: list[dict[str, Found]] = [{} for _ in batch]
        for reads in sorted(set(self._reads.values())):
            texts = texts_of(batch, reads)
            if not texts:
                continue
            vectors = self._encoder.encode_both(list(texts.values()))
            for name, heads in self._heads.items():
                if self._reads[name] != reads:
                    continue
                for row, chances in zip(texts, heads.probabilities(vectors), strict=True):
                    best = int(chances.argmax())
                    found[row][name] = Found(heads.values[best], float(chances[best]))
        return list(found)

    def _fit(self, guide: Guide) -> _Views:
        texts = self._texts(guide)
        values = [value for value, said in texts.items() for _ in said]
        vectors = self._encoder.encode_both([text for said in texts.values() for text in said])
        return _Views(vectors, values)

    def _texts(self, guide: Guide) -> dict[str, list[str]]:
        """Return what is said of each value: its definition and its examples."""
        texts = {}
        for value, said in guide.values.items():
            examples = [text for code in self._languages for text in said.examples.get(code, ())]
            texts[value] = [text for text in (said.definition, *examples) if text]
        return texts


def shown(subject: Subject, reads: str) -> str:
    """Return what a tagger looks at: prompt, completion, or both."""
    example = subject.example
    if reads == "completion":
        return example.completion
    return prompt_text(example) if reads == "prompt" else f"{prompt_text(example)}\n\n{example.completion}"


def texts_of(batch: Sequence[Subject], reads: str) -> dict[int, str]:
    """Return what a tagger looks at by the row's place in a batch; rows in which that is empty are left out."""
    texts = {place: shown(subject, reads) for place, subject in enumerate(batch)}
    return {place: text for place, text in texts.items() if text.strip()}


class _Views:
    """Classifiers on two views of texts, the mean of whose log-probabilities decides."""

    def __init__(self, vectors: tuple[Vectors, Vectors], values: Sequence[str]) -> None:
        import numpy
        from sklearn.model_selection import cross_val_predict

        self._models = [_classifier().fit(view, values) for view in vectors]
        self.values = [str(value) for value in self._models[0].classes_]
        self._sharpness = 1.0
        if min(Counter(values).values()) >= FOLDS:  # fewer examples tell nothing of how sure to be
            held_out = [
                cross_val_predict(_classifier(), view, values, cv=FOLDS, method="predict_log_proba") for view in vectors
            ]
            right = numpy.asarray([self.values.index(value) for value in values])
            self._sharpness = sharpness(numpy.mean(held_out, axis=0), right, numpy.ones(len(values)))

    def probabilities(self, vectors: tuple[Vectors, Vectors]) -> NDArray[numpy.float64]:
        """Return the probability of each value for each text."""
        import numpy
        from scipy.special import softmax

        scores = [model.predict_log_proba(view) for model, view in zip(self._models, vectors, strict=True)]
        found: NDArray[numpy.float64] = softmax(numpy.mean(scores, axis=0) * self._sharpness, axis=1)
        return found


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=STRENGTH, max_iter=500, class_weight="balanced")
