"""Extractor ``distilled``: a small classifier, trained on rows that a language model or people have tagged.

After WebOrganizer (Wettig et al. 2025, arXiv 2502.10341), which tags a small part of a corpus by a large model and the
rest by a classifier that learnt from it.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.annotation.agreement import Agreement, agree
from ttmarkers.annotation.tagging import TaggerReport
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Found
from ttmarkers_plugins.tagger import store
from ttmarkers_plugins.tagger.embedding import shown, texts_of
from ttmarkers_plugins.tagger.encoder import Encoder, head
from ttmarkers_plugins.tagger.features import Features
from ttmarkers_plugins.tagger.heads import Head, sharpness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ttmarkers.annotation.guides import Briefing
    from ttmarkers.annotation.tagging import TaggerJob
    from ttmarkers.components import MarkerType
    from ttmarkers.protocols import Subject
    from ttmarkers.records import MarkedExample

FOLDS = 5
LEAST_ROWS = 50


class DistilledExtractor:
    """Finds the markers that a tagger made by ``ttm tagger train`` knows.

    Args:
        tagger: the folder that ``ttm tagger train`` wrote.
        batch_size: texts that are embedded together, if the tagger uses embeddings.
        device: where its embedding model runs, if it has one.
    """

    def __init__(self, tagger: str = "", batch_size: int = 32, device: str | None = None) -> None:
        if not tagger:
            raise ConfigError("extractor 'distilled' needs a tagger: set markers.options.distilled.tagger")
        self._tagger = store.load(Path(tagger), batch_size, device)
        self._wanted = tuple(self._tagger.heads)

    def prepare(self, briefing: Briefing) -> None:
        """Take in which markers are wanted."""
        self._wanted = tuple(kind.name for kind in briefing.types)
        for kind in briefing.types:
            if kind.name not in self._tagger.heads:
                known = ", ".join(self._tagger.heads)
                raise ConfigError(f"the tagger {self._tagger.path} finds {known}, not {kind.name}: train another")
            strange = set(self._tagger.heads[kind.name].values) - {*kind.values, *kind.aliases}
            if strange:
                raise ConfigError(
                    f"the tagger {self._tagger.path} knows values of {kind.name} that the taxonomy does not have "
                    f"({', '.join(sorted(strange))}): train it anew"
                )

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found]]:
        """Return the likeliest value of each marker, with its probability; none where there is nothing to read."""
        found: list[dict[str, Found]] = [{} for _ in batch]
        for reads in sorted({self._tagger.reads[name] for name in self._wanted}):
            texts = texts_of(batch, reads)
            if not texts:
                continue
            features = self._tagger.features.transform(list(texts.values()))
            for name in self._wanted:
                if self._tagger.reads[name] == reads:
                    classifier = self._tagger.heads[name]
                    chances = classifier.probabilities(features)
                    for row, best, sure in zip(texts, chances.argmax(1), chances.max(1), strict=True):
                        found[row][name] = Found(classifier.values[best], float(sure))
        return list(found)

    @classmethod
    def train(cls, job: TaggerJob) -> TaggerReport:
        """Train a tagger and write its folder.

        Rows are weighted by the inverse square root of their file's size, so that a few good rows are not drowned.
        Agreement is measured by cross-validation in which rows with the same first line stay together, and
        probabilities are calibrated on the same held-out scores.

        Raises:
            DataError: if no marker has enough rows.
        """
        options = dict(job.options)
        encoder = Encoder(options.pop("encoder")) if options.get("encoder") else None
        if options:
            raise ConfigError(f"the tagger 'distilled' has no option {', '.join(sorted(options))}: it has encoder")
        lacking = {kind.name: _lacking(kind, job) for kind in job.types}
        skipped = {name: reason for name, reason in lacking.items() if reason}
        if len(skipped) == len(lacking):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
            raise DataError(f"nothing can be learnt: {reasons or 'the rows have no marker that is a category'}")
        reports: dict[str, Agreement] = {}
        tagger = store.Tagger(job.output, Features.fit([shown(row, "both") for row in _subjects(job.rows)], encoder))
        for kind in job.types:
            if kind.name not in skipped:
                reports[kind.name] = _Learner(kind, _rows_with(kind, job), job, tagger).learn()
        report = TaggerReport(reports, skipped)
        store.save(tagger, report.to_json())
        return report


class _Subject:
    """A marked row as extractors see one."""

    def __init__(self, row: MarkedExample) -> None:
        self.example = row
        self.markers = row.markers


def _subjects(rows: Sequence[MarkedExample]) -> list[Any]:
    return [_Subject(row) for row in rows]


def _rows_with(kind: MarkerType, job: TaggerJob) -> list[MarkedExample]:
    return [row for row in job.rows if kind.name in row.markers]


def _lacking(kind: MarkerType, job: TaggerJob) -> str:
    """Return why a marker cannot be learnt; an empty text if it can."""
    rows = _rows_with(kind, job)
    if not kind.values or len(rows) < LEAST_ROWS or len({row.markers[kind.name] for row in rows}) < 2:
        return f"{len(rows)} rows; at least {LEAST_ROWS} of two values of a category are needed"
    if len(set(_folds(rows, _reads(kind, job), job.seed))) < 2:
        return "the texts have the same first line, so that none can be held out: leave that line out"
    return ""


def _reads(kind: MarkerType, job: TaggerJob) -> str:
    return job.guides[kind.name].reads if kind.name in job.guides else "both"


def _folds(rows: Sequence[MarkedExample], reads: str, seed: int) -> list[int]:
    return [_fold(head(shown(subject, reads)), seed) for subject in _subjects(rows)]


class _Learner:
    """Learns one marker."""

    def __init__(self, kind: MarkerType, rows: Sequence[MarkedExample], job: TaggerJob, tagger: store.Tagger) -> None:
        import numpy

        self._kind, self._tagger, self._seed = kind, tagger, job.seed
        guide = job.guides.get(kind.name)
        self._reads = _reads(kind, job)
        texts = [shown(subject, self._reads) for subject in _subjects(rows)]
        self._folds = _folds(rows, self._reads, job.seed)
        self._values = [str(row.markers[kind.name]) for row in rows]
        sizes: dict[str, int] = {}
        for row in rows:
            sizes[row.origin.name] = sizes.get(row.origin.name, 0) + 1
        self._weights = [1 / math.sqrt(sizes[row.origin.name]) for row in rows]
        self._own = len(texts)
        self._own_weights = numpy.asarray(self._weights)
        said = [(text, value) for value, entry in (guide.values if guide else {}).items()
                for text in (entry.definition, *entry.examples.get("en", ())) if text]  # fmt: skip
        self._values += [value for _, value in said]
        self._weights += [1 / math.sqrt(max(len(said), 1))] * len(said)
        self._features = tagger.features.transform([*texts, *(text for text, _ in said)])

    def learn(self) -> Agreement:
        """Fit the classifier into the tagger, and return how it agrees with held-out rows."""
        import numpy

        names = sorted(set(self._values))
        scores = numpy.full((self._own, len(names)), -numpy.inf)
        folds = numpy.asarray(self._folds)
        for fold in range(FOLDS):
            rows = numpy.flatnonzero(folds == fold)
            if len(rows):
                classifier = self._fit(numpy.r_[numpy.flatnonzero(folds != fold), self._own : len(self._values)])
                columns = numpy.asarray([names.index(value) for value in classifier.values])
                scores[numpy.ix_(rows, columns)] = classifier.scores(self._features[rows])
        scores = numpy.maximum(scores, scores[numpy.isfinite(scores)].min())
        right = numpy.asarray([names.index(value) for value in self._values[: self._own]])
        report = self._report(names, scores, right, folds)
        final = self._fit(numpy.arange(len(self._values)))
        final.sharpness = sharpness(scores, right, self._own_weights)
        self._tagger.heads[self._kind.name] = final
        self._tagger.reads[self._kind.name] = self._reads
        return report

    def _fit(self, rows: NDArray[Any]) -> Head:
        chosen = rows.tolist()
        return Head.fit(
            self._features[rows], [self._values[n] for n in chosen], [self._weights[n] for n in chosen], self._seed
        )

    def _report(
        self, names: Sequence[str], scores: NDArray[Any], right: NDArray[Any], folds: NDArray[Any]
    ) -> Agreement:
        """Compare held-out scores with the right values; those of a fold are calibrated on the other folds."""
        import numpy
        from scipy.special import softmax

        chances = numpy.zeros_like(scores)
        for fold in range(FOLDS):
            own = folds == fold
            if own.any():
                factor = sharpness(scores[~own], right[~own], self._own_weights[~own]) if (~own).any() else 1.0
                chances[own] = softmax(scores[own] * factor, axis=1)
        said = [names[best] for best in chances.argmax(axis=1)]
        return agree(self._values[: self._own], said, chances.max(axis=1).tolist(), seed=self._seed)


def _fold(text: str, seed: int) -> int:
    """Return the fold of a row: a function of seed and first line."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode("utf-8", "replace")).digest()[:4], "big") % FOLDS
