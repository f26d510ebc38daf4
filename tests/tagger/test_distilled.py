"""Extractor distilled: learns what words decide, means its probabilities, and refuses what it does not know."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy
import orjson
import pytest
from scipy.special import log_softmax, softmax

from support import marked
from ttmarkers.annotation.agreement import agree
from ttmarkers.annotation.guides import Briefing, Guide
from ttmarkers.components import MarkerType
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Message
from ttmarkers_plugins.tagger import distilled, store
from ttmarkers_plugins.tagger.distilled import FOLDS, DistilledExtractor
from ttmarkers_plugins.tagger.encoder import head
from ttmarkers_plugins.tagger.heads import Head, sharpness

if TYPE_CHECKING:
    from collections.abc import Callable

    from ttmarkers.annotation.extraction import Row
    from ttmarkers.annotation.tagging import TaggerJob

    Moods = Callable[..., list[dict[str, Any]]]
    Subjects = Callable[..., Row]

FILES = ("tagger.json", "weights.npz")


def test_it_finds_what_words_decide(job: TaggerJob, moods: Moods, mood: MarkerType, subject: Subjects) -> None:
    """New rows, and what is written of them; the answers of the loaded tagger are those of any batch."""
    report = DistilledExtractor.train(job)
    assert report.skipped == {}
    assert report.markers["mood"].n == 150
    assert report.markers["mood"].coverage.value == 1
    assert report.markers["mood"].accuracy.value > 0.7
    assert report.markers["mood"].calibration_error.value < 0.15
    extractor = DistilledExtractor(str(job.output))
    extractor.prepare(Briefing((mood,), {}))
    rows = moods(60, seed=9)
    subjects = [subject(row["prompt"]) for row in rows]
    found = [row["mood"] for row in extractor.extract(subjects)]
    assert sum(entry.value == row["markers"]["mood"] for entry, row in zip(found, rows, strict=True)) > 55
    assert all(1 / 3 <= entry.confidence <= 1 for entry in found)
    alone = [extractor.extract([one])[0]["mood"] for one in reversed(subjects)][::-1]
    assert [entry.value for entry in alone] == [entry.value for entry in found]
    assert [entry.confidence for entry in alone] == pytest.approx([entry.confidence for entry in found], abs=1e-6)
    assert orjson.loads((job.output / "tagger.json").read_bytes())["held_out"] == report.to_json()


def test_the_same_seed_gives_the_same_bytes(job: TaggerJob) -> None:
    """Of weights and report; another seed gives others."""
    folders = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folder = job.output.with_name(name)
        DistilledExtractor.train(replace(job, output=folder, seed=seed))
        folders.append([(folder / file).read_bytes() for file in FILES])
    assert folders[0] == folders[1]
    assert folders[0] != folders[2]


def test_what_is_shown_decides(job: TaggerJob, guide: Guide, moods: Moods, subject: Subjects) -> None:
    """A marker of the completion is not read from the prompt."""
    rows = [{**row, "prompt": "Go on.", "completion": row["prompt"]} for row in moods(90)]
    answers = replace(guide, reads="completion")
    DistilledExtractor.train(replace(job, rows=marked(rows), guides={"mood": answers}))
    extractor = DistilledExtractor(str(job.output))
    first, second = extractor.extract(
        [subject("Rage!", "They thought of grief"), subject("Joy!", "They thought of rage")]
    )
    assert (first["mood"].value, second["mood"].value) == ("sad", "angry")


def test_rows_with_the_same_first_line_are_held_out_together(job: TaggerJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that tell nothing but the row itself do not help on rows that were held out."""
    seen: list[tuple[set[str], set[str]]] = []
    fit = distilled._Learner._fit

    def watch(learner: Any, rows: Any) -> Head:
        own = [int(n) for n in rows if n < learner._own]
        texts = [head(row.prompt[0].content) for row in job.rows]
        seen.append(({texts[n] for n in own}, {texts[n] for n in range(learner._own) if n not in own}))
        return fit(learner, rows)

    monkeypatch.setattr(distilled._Learner, "_fit", watch)
    prompts = [f"  Question {n // 3} of joy  \nand {n}" for n in range(150)]
    rows = [replace(row, prompt=(Message("user", text),)) for row, text in zip(job.rows, prompts, strict=True)]
    job = replace(job, rows=rows)
    report = DistilledExtractor.train(job)
    assert len(seen) == FOLDS + 1
    assert all(not fitted & held_out for fitted, held_out in seen)
    assert set.union(*(held_out for _, held_out in seen)) == {f"Question {n} of joy" for n in range(50)}
    assert report.markers["mood"].accuracy.value < 0.7


def test_confidences_are_those_of_new_rows(job: TaggerJob, moods: Moods) -> None:
    """Of rows that are said with so much confidence, so many are right, because the scores were sharpened so."""
    DistilledExtractor.train(replace(job, rows=marked(moods(400, wrong=0.4)), guides={}))
    tagger = store.load(job.output, 32, None)
    fitted, rows = tagger.heads["mood"], moods(400, seed=7, wrong=0.4)
    features = tagger.features.transform([row["prompt"] for row in rows])
    errors = []
    for factor in (1.0, 4.0, 0.25):
        chances = softmax(fitted.scores(features) * fitted.sharpness * factor, axis=1)
        said = [fitted.values[best] for best in chances.argmax(1)]
        found = agree([row["markers"]["mood"] for row in rows], said, chances.max(1).tolist())
        errors.append(found.calibration_error.value)
    assert errors[0] < 0.1
    assert errors[0] < min(errors[1:]) / 2


def test_sharpness_is_where_right_values_are_likeliest() -> None:
    """The loss is least there, and a classifier that is too sure by a factor is brought down by it."""
    random = numpy.random.default_rng(0)
    honest = random.normal(size=(4000, 3)) * 2
    right = numpy.asarray([random.choice(3, p=row) for row in softmax(honest, axis=1)])
    weights = random.uniform(0.5, 1, 4000)
    best = sharpness(honest * 5, right, weights)
    assert best == pytest.approx(0.2, rel=0.1)

    def loss(factor: float) -> float:
        chosen = log_softmax(honest * 5 * factor, axis=1)[numpy.arange(4000), right]
        return -float((chosen * weights).sum())

    assert loss(best) < min(loss(best * 1.01), loss(best / 1.01))
    assert sharpness(honest, right, weights) == pytest.approx(5 * best, rel=1e-3)


@pytest.mark.parametrize("values", [["a"] * 4, ["a", "a", "b", "b"], ["a", "b", "c", "c"]])
def test_probabilities_of_one_two_and_three_values(values: list[str]) -> None:
    """They sum to one, and the rows themselves are told apart."""
    from scipy.sparse import csr_matrix

    texts = csr_matrix(
        numpy.asarray([[ord(value) - 96 == n for n in range(1, 4)] for value in values], dtype="float32")
    )
    fitted = Head.fit(texts, values, [1.0] * 4, 0)
    chances = fitted.probabilities(texts)
    numpy.testing.assert_allclose(chances.sum(1), 1, atol=1e-6)
    assert [fitted.values[best] for best in chances.argmax(1)] == values


def test_markers_that_cannot_be_learnt(job: TaggerJob, mood: MarkerType) -> None:
    """Numbers, few rows, and a single value are skipped with a reason; if nothing is left the command fails."""
    weight = MarkerType("weight", "A number.", "int")
    rare = MarkerType("rare", "Few rows have it.", "categorical", ("x", "y"))
    same = MarkerType("same", "All have the same.", "categorical", ("x", "y"))
    rows = [
        replace(row, markers={**row.markers, "weight": n, "same": "x", **({"rare": "xy"[n % 2]} if n < 49 else {})})
        for n, row in enumerate(job.rows)
    ]
    report = DistilledExtractor.train(replace(job, rows=rows, types=(mood, weight, rare, same)))
    assert list(report.markers) == ["mood"]
    assert report.skipped == {
        "weight": "150 rows; at least 50 of two values of a category are needed",
        "rare": "49 rows; at least 50 of two values of a category are needed",
        "same": "150 rows; at least 50 of two values of a category are needed",
    }
    other = job.output.with_name("other")
    with pytest.raises(DataError, match=r"nothing can be learnt: rare: 49 rows; .* needed; same: 150 rows"):
        DistilledExtractor.train(replace(job, rows=rows, types=(rare, same), output=other))
    with pytest.raises(DataError, match="nothing can be learnt: the rows have no marker that is a category"):
        DistilledExtractor.train(replace(job, rows=(), types=(), output=other))
    assert not other.exists()


def test_values_that_one_fold_has_alone(job: TaggerJob) -> None:
    """A value that only one row has, and no guide: the classifier that does not see that row knows one value."""
    rows = [replace(row, markers={"mood": "sad" if n == 7 else "happy"}) for n, row in enumerate(job.rows)]
    report = DistilledExtractor.train(replace(job, rows=rows, guides={}))
    assert report.markers["mood"].values["sad"]["recall"] == 0
    assert report.markers["mood"].accuracy.value == pytest.approx(149 / 150)


def test_texts_that_begin_alike(job: TaggerJob) -> None:
    """Rows that all have one first line cannot be held out, and the reason says so."""
    rows = [replace(row, prompt=(Message("user", f"Read this.\n{row.prompt[0].content}"),)) for row in job.rows]
    with pytest.raises(DataError, match="mood: the texts have the same first line, so that none can be held out"):
        DistilledExtractor.train(replace(job, rows=rows))


def test_rows_of_a_small_file_count_for_more(job: TaggerJob, moods: Moods, subject: Subjects) -> None:
    """Sixty good rows are heard beside six hundred that say the opposite of some words."""
    swapped = {"happy": "sad", "sad": "happy", "angry": "angry"}
    many = [{**row, "markers": {"mood": swapped[row["markers"]["mood"]]}} for row in moods(600)]
    few = moods(60, seed=3)
    DistilledExtractor.train(replace(job, rows=[*marked(many, "many"), *marked(few, "few")], guides={}))
    one = DistilledExtractor(str(job.output)).extract([subject("they thought of joy")])[0]["mood"]
    alone = job.output.with_name("alone")
    DistilledExtractor.train(replace(job, rows=marked([*many, *few], "one"), guides={}, output=alone))
    other = DistilledExtractor(str(alone)).extract([subject("they thought of joy")])[0]["mood"]
    assert other.value == "sad"
    assert one.value == "happy" or one.confidence < other.confidence


def test_another_taxonomy_is_refused(job: TaggerJob, mood: MarkerType) -> None:
    """A marker that was not learnt, and values that are no longer there; new values are no harm."""
    DistilledExtractor.train(job)
    extractor = DistilledExtractor(str(job.output))
    strange = MarkerType("task", "Something else.", "categorical", ("x", "y"))
    with pytest.raises(ConfigError, match="finds mood, not task: train another"):
        extractor.prepare(Briefing((mood, strange), {}))
    with pytest.raises(ConfigError, match=r"knows values of mood that the taxonomy does not have \(angry\): train it"):
        extractor.prepare(Briefing((replace(mood, values=("happy", "sad")),), {}))
    extractor.prepare(Briefing((replace(mood, values=(*mood.values, "bored")),), {}))


def test_options() -> None:
    """The folder must be named; training has one option."""
    with pytest.raises(ConfigError, match=r"needs a tagger: set markers\.options.distilled.tagger"):
        DistilledExtractor()


def test_an_unknown_option_of_training(job: TaggerJob) -> None:
    """The message says which there is."""
    with pytest.raises(ConfigError, match="'distilled' has no option depth: it has encoder"):
        DistilledExtractor.train(replace(job, options={"depth": 3}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\n",
        "写一首关于快乐的诗",
        "\ud800 joy \udfff",
        "字" * 10**6,
        "joy " * 250_000,
        "a" * 10**6,
        "b\n" * 500_000,
    ],
    ids=["empty", "white", "Chinese", "surrogates", "characters", "words", "word", "lines"],
)
def test_odd_texts(job: TaggerJob, subject: Subjects, text: str) -> None:
    """They are learnt from and answered, in a time that is bounded."""
    rows = [replace(job.rows[0], prompt=(Message("user", text),)), *job.rows]
    DistilledExtractor.train(replace(job, rows=rows))
    extractor = DistilledExtractor(str(job.output))
    start = time.perf_counter()
    found = extractor.extract([subject(text), subject("They thought of grief", text)])
    assert time.perf_counter() - start < 5
    assert ("mood" in found[0]) == bool(text.strip())  # of nothing, nothing is said
    assert all(row["mood"].value in ("happy", "sad", "angry") for row in found if row)
    assert found[1]["mood"].value == "sad"
