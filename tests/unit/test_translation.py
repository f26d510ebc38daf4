"""Task ``translation``: rows, requests, and figures that are sacrebleu's own."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import sacrebleu

from support import ok, ttm, write_rows
from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.protocols import BatchTask, PreparedTask, Setting, Task
from ttmarkers.records import Generation
from ttmarkers_plugins.tasks import bleu
from ttmarkers_plugins.tasks.translation import TranslationTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins

ROW = {"source": "Good morning.", "reference": "Guten Morgen.", "target_lang": "de"}
PARALLEL = {
    "sent_id": 7,
    "en": "Good morning.",
    "de": "Guten Morgen.",
    "fr": "Bonjour.",
    "id": "Selamat pagi.",
    "x": "y",
}
WORDS = {
    "13a": ["Haus", "der", "Wind,", "(nun)", "3.5", "läuft", "—", "Straße", "é", "😀", "don't", "x.", "&quot;"],
    "zh": ["这座桥", "有", "两百年", "的", "历史。", "Windows", "7", "图书馆", "，", "去"],
    "char": ["図書館", "に", "行き", "ます。", "東京", "2024年"],
}


def answer(text: str) -> Generation:
    """Return a generation with this answer."""
    return Generation("1", (), text, "", {}, text, "test")


def corpus(seed: int, tokenizer: str) -> tuple[list[str], list[str]]:
    """Return answers and references that share some words; some answers are empty."""
    rng = random.Random(seed)
    sizes = (0, 3) if seed == 0 else (0, 12)
    answers = [" ".join(rng.choices(WORDS[tokenizer], k=rng.randint(*sizes))) for _ in range(20)]
    return answers, [" ".join(rng.choices(WORDS[tokenizer], k=rng.randint(1, 12))) for _ in answers]


def total(rows: Sequence[Any]) -> list[float]:
    """Add up the counts of sentences."""
    return [float(sum(column)) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize("tokenizer", WORDS)
@pytest.mark.parametrize("seed", range(6))
def test_figures_are_sacrebleus(tokenizer: str, seed: int) -> None:
    """The figure made of added counts is that of the whole corpus, and so is that of any selection with repetition."""
    answers, references = corpus(seed, tokenizer)
    rng = random.Random(seed)
    places = list(range(len(answers)))
    for _ in range(5):
        ours, theirs = [answers[place] for place in places], [references[place] for place in places]
        pairs = list(zip(ours, theirs, strict=True))
        counts = total([bleu.bleu_counts(*pair, tokenizer) for pair in pairs])
        assert bleu.bleu(counts) == sacrebleu.corpus_bleu(ours, [theirs], tokenize=tokenizer).score
        assert (
            bleu.chrf(total([bleu.chrf_counts(*pair) for pair in pairs])) == sacrebleu.corpus_chrf(ours, [theirs]).score
        )
        places = rng.choices(range(len(answers)), k=len(answers))


def test_parts_of_counts() -> None:
    """Means over seeds have no whole lengths; the same text twice is worth what it is once."""
    pairs = [("der Wind geht um das Haus", "der Wind geht um ein Haus"), ("nun denn", "nun")]
    whole = total([bleu.bleu_counts(*pair, "13a") for pair in pairs])
    assert bleu.bleu([count / 3 for count in whole]) == pytest.approx(bleu.bleu(whole), rel=1e-6)
    whole = total([bleu.chrf_counts(*pair) for pair in pairs])
    assert bleu.chrf([count / 3 for count in whole]) == pytest.approx(bleu.chrf(whole))


@pytest.mark.parametrize("text", ["", " \n ", "\x00", "​", "🙂🙂", "a" * 5000, "ﬁ Å Å"])
def test_odd_answers(text: str) -> None:
    """Empty, very long and odd answers are scored as sacrebleu scores them, and only white space is empty."""
    task = TranslationTask()
    (case,) = task.cases([ROW])
    scores = task.score(case, answer(text))
    assert scores["empty"] == float(not text.strip())
    bleu_sums, chrf_sums = scores["bleu"], scores["chrf"]
    assert isinstance(bleu_sums, tuple)
    assert isinstance(chrf_sums, tuple)
    assert bleu.bleu(bleu_sums) == sacrebleu.corpus_bleu([text], [["Guten Morgen."]]).score
    assert bleu.chrf(chrf_sums) == sacrebleu.corpus_chrf([text], [["Guten Morgen."]]).score


def test_contract() -> None:
    """It is a task that is prepared and scores all answers together; a right answer has full marks everywhere."""
    task = TranslationTask()
    assert isinstance(task, Task)
    assert isinstance(task, PreparedTask)
    assert isinstance(task, BatchTask)
    cases = task.cases(None)
    assert {case.target for case in cases} == {"de", "fr", "zh"}
    scores = task.score_all(cases, [[answer(case.reference)] for case in cases])
    for name in ("bleu", "chrf"):
        meaning = task.metrics[name]
        assert meaning.over == ("target_lang",)
        assert meaning.combine is not None
        assert meaning.combine(total([row[name] for row in scores])) == pytest.approx(100)
    assert set(scores[0]) == set(task.metrics)


@pytest.mark.parametrize("language", ["de", "German", "german", "DE", "de-AT", "deu", "deu_Latn"])
def test_languages(language: str) -> None:
    """A language is named in many ways; the case has its ISO code."""
    (case,) = TranslationTask().cases([{**ROW, "target_lang": language, "source_lang": "English"}])
    assert (case.target, case.facts["source_lang"]) == ("de", "en")
    assert case.known == {"lang": "German"}
    assert case.prompt == "Translate the following text into German.\n\nGood morning."


@pytest.mark.parametrize(
    "row",
    [
        {"src": "Good morning.", "ref": "Guten Morgen.", "target_lang": "de"},
        {"source": "Good morning.", "target": "Guten Morgen.", "target_lang": "de"},
        {"prompt": "Say good morning in German.", "completion": "Guten Morgen.", "target_lang": "de"},
    ],
    ids=lambda row: "-".join(row),
)
def test_columns(row: dict[str, str]) -> None:
    """Columns have several names; a prompt is asked as it is."""
    (case,) = TranslationTask().cases([row])
    assert case.reference == "Guten Morgen."
    assert case.prompt == row.get("prompt", "Translate the following text into German.\n\nGood morning.")
    assert case.prompts == (case.prompt,)


def test_template() -> None:
    """The instruction can be another; what the text holds is not taken for a place."""
    task = TranslationTask(template="From {source} to {target}: {text} {text}")
    (case,) = task.cases([{**ROW, "source": "{target} \\1", "source_lang": "en"}])
    assert case.prompt == "From English to German: {target} \\1 {target} \\1"
    with pytest.raises(DataError, match="row 1: the template names the source language: give it as source_lang"):
        task.cases([ROW])


def test_parallel() -> None:
    """A row of parallel sentences is translated into all of its languages, or those that are named."""
    cases = TranslationTask(source="en").cases([PARALLEL])
    assert [(case.id, case.reference) for case in cases] == [
        ("7-en-de", "Guten Morgen."),
        ("7-en-fr", "Bonjour."),
        ("7-en-id", "Selamat pagi."),
    ]
    assert {case.text for case in cases} == {"Good morning."}
    (case,) = TranslationTask(source="fr", targets=["en"], slices=["x", "target_lang"]).cases([{**PARALLEL, "id": 3}])
    assert (case.id, case.prompt) == ("7-fr-en", "Translate the following text into English.\n\nBonjour.")
    assert case.facts == {"x": "y", "target_lang": "en", "source_lang": "fr", "tokenizer": "13a"}
    numbered = {key: value for key, value in PARALLEL.items() if key != "sent_id"}
    assert [case.id for case in TranslationTask(source="en", targets=["de"]).cases([numbered] * 2)] == [
        "1-en-de",
        "2-en-de",
    ]
    with pytest.raises(DataError, match="row 1: there is no text in column 'es'"):
        TranslationTask(source="en", targets=["es"]).cases([PARALLEL])


def test_requests() -> None:
    """Markers are given under fixed alone: the task's and those of the row, the task's where both name one."""
    row = {**ROW, "id": "a", "markers": {"lang": "French", "domain": "Legal", "style": None}}
    task = TranslationTask()
    (case,) = task.cases([row])
    for policy in ("none", "inferred"):
        assert not task.request(case, policy).markers
    request = task.request(case, "fixed")
    assert request.id == "a"
    assert request.prompt[-1].content == case.prompt
    assert request.markers == {"task": "Translation", "lang": "German", "domain": "Legal"}
    fewer = TranslationTask(markers=["task"])
    assert fewer.request(case, "fixed").markers == {"task": "Translation", "domain": "Legal"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "row 1: task translation needs texts source (or prompt) and reference"),
        ({"source": "  "}, "row 1: task translation needs texts source (or prompt) and reference"),
        ({"reference": 3}, "row 1: task translation needs texts source (or prompt) and reference"),
        ({"target_lang": None}, "row 1: target_lang = None is no language of the taxonomy"),
        (
            {"target_lang": "Germn"},
            "row 1: target_lang = 'Germn' is no language of the taxonomy: did you mean 'German'?",
        ),
        ({"source_lang": "Klingon"}, "row 1: source_lang = 'Klingon' is no language of the taxonomy"),
        ({"markers": "lang"}, "row 1: markers is no mapping"),
    ],
)
def test_wrong_rows(change: dict[str, Any], message: str) -> None:
    """A row that cannot be used is named, with what is wrong."""
    with pytest.raises(DataError) as caught:
        TranslationTask().cases([{**ROW, **change}])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "Translate."}, "template: it lacks {text}"),
        ({"template": "{texts}"}, "{texts} stands for nothing: did you mean 'text'?"),
        ({"targets": ["de"]}, "targets names columns of parallel sentences: set source too"),
        ({"markers": ["domain"]}, "markers: 'domain' is not fixed by the task: known: lang, task"),
        ({"tokenizers": {"de": "13b"}}, "tokenizers.de = '13b': did you mean '13a'?"),
        ({"tokenizers": {"xx": "13a"}}, "tokenizers.xx: this is no language"),
        ({"comet": "some/model", "comet_command": "no-such-comet"}, "needs the program no-such-comet: install it"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    """An option that does not fit is told before anything is asked."""
    with pytest.raises(ConfigError) as caught:
        TranslationTask(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tokenizers(monkeypatch: pytest.MonkeyPatch, plugins: Plugins) -> None:
    """Each language is cut as sacrebleu advises; where its package is missing into characters, and that is told."""
    monkeypatch.setitem(bleu.ADVISED, "ja", "spm-that-is-missing")
    made = bleu._bleu

    def missing(name: str) -> Any:
        if name == "spm-that-is-missing":
            raise RuntimeError("pip install it")
        return made(name)

    monkeypatch.setattr(bleu, "_bleu", missing)
    bleu.advised.cache_clear()
    rows = [{**ROW, "target_lang": code, "id": code} for code in ("de", "zh", "ja")]
    task = TranslationTask()
    assert {case.id: task.slices(case)["tokenizer"] for case in task.cases(rows)} == {
        "de": "13a",
        "zh": "zh",
        "ja": "char",
    }
    said: list[str] = []
    task.prepare(Setting(make_config({}), plugins, say=said.append))
    bleu.advised.cache_clear()
    assert f"sacrebleu {sacrebleu.__version__}" in said[0]
    assert said[1:] == ["BLEU cuts Japanese into characters: pip install 'sacrebleu[ja]' gives spm-that-is-missing"]
    chosen = TranslationTask(tokenizers={"German": "intl"})
    (case,) = chosen.cases([ROW])
    assert chosen.slices(case)["tokenizer"] == "intl"


def test_by_the_command(tmp_path: Path) -> None:
    """The command gives sacrebleu's figures by language, and their mean over all."""
    rows = [
        {**PARALLEL, "sent_id": number, "de": f"Guten Morgen, {name}.", "fr": f"Bonjour {name}."}
        for number, name in enumerate(["Anna", "Bert", "Carla", "Dora"])
    ]
    texts = [
        "Guten Morgen, Anna.",
        "Guten Tag, Bert.",
        "",
        "Morgen, Dora!",
        "Bonjour Anna.",
        "Salut Bert",
        "Carla.",
        "",
    ]
    ids = [f"{number}-en-{code}" for code in ("de", "fr") for number in range(4)]
    stored = write_rows(tmp_path / "stored.jsonl", [{"id": i, "text": t} for i, t in zip(ids, texts, strict=True)])
    data = write_rows(tmp_path / "data.jsonl", rows)
    options = ["--set", "evaluate.options.translation={source: en, targets: [de, fr]}"]
    words = ["evaluate", "--task", "translation", "--data", data, "--generations", stored, *options]
    found = ok(ttm(*words, "-o", tmp_path / "run", "--json")).json()
    parts = {part["is"]: part for part in found["slices"] if part["by"] == "target_lang"}
    for name, figure in (("bleu", sacrebleu.corpus_bleu), ("chrf", sacrebleu.corpus_chrf)):
        values = []
        for code, ours in (("de", texts[:4]), ("fr", texts[4:])):
            value = figure(ours, [[row[code] for row in rows]]).score
            values.append(value)
            estimate = parts[code]["metrics"][name]
            assert estimate["value"] == pytest.approx(value, abs=1e-6)
            assert 0 <= estimate["low"] <= value <= estimate["high"] <= 100
        assert found["metrics"][name]["value"] == pytest.approx(sum(values) / 2, abs=1e-6)
    assert found["metrics"]["empty"]["value"] == 0.25
    assert {part["is"] for part in found["slices"] if part["by"] == "tokenizer"} == {"13a"}
    assert json.loads((tmp_path / "run" / "result.json").read_bytes())["meaning"]["bleu"]["over"] == ["target_lang"]
