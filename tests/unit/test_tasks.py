"""The tasks' own counting: words, borders, languages and markers, on answers made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.config import make_config
from ttmarkers.errors import ConfigError, DataError, TtmError
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.protocols import Setting
from ttmarkers.records import Generation
from ttmarkers_plugins.tasks.control import ControlTask
from ttmarkers_plugins.tasks.frontier import FrontierTask
from ttmarkers_plugins.tasks.language import LanguageTask
from ttmarkers_plugins.tasks.length import LengthTask, word_counter
from ttmarkers_plugins.tasks.markers import MarkersTask, binned, calibration_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ttmarkers.records import Value


def answer(text: str, markers: Mapping[str, Value] | None = None) -> Generation:
    """Return a generation with this answer."""
    return Generation("1", (), text, "", markers or {}, text, "test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("   \n", 0),
        ("... -- !? “ ”", 0),
        ("One two three", 3),
        ("Hello, world!", 2),
        ("Yes. No. (Maybe)", 3),
        ('He said "no".', 3),
        ("Don't stop.", 3),
        ("It's the dog's bone", 6),
        ("A well-known state-of-the-art method", 4),
        ("3.5 apples and 1,000 pears", 5),
        ("either/or", 1),
        ("- first\n- second\n\n* third", 3),
        ("1. first\n2. second", 4),
        ("café déjà-vu", 2),
    ],
)
def test_words(text: str, words: int) -> None:
    """Words are NLTK's word tokens without punctuation: contractions are two words, hyphenated words one."""
    assert word_counter()(text) == words


LIMIT = {"instruction": "Use 5 words or less.\n\nWhy?", "original_instruction": "Why?", "max_len": 5}


@pytest.mark.parametrize(
    ("text", "violations", "overshoot", "empty"),
    [
        ("one two three four five", 0.0, 0.0, 0.0),
        ("one, two, three: four, five!", 0.0, 0.0, 0.0),
        ("one two three four five six", 1.0, 0.2, 0.0),
        (" ".join(["word"] * 15), 1.0, 2.0, 0.0),
        ("", 0.0, 0.0, 1.0),
    ],
)
def test_length_borders(text: str, violations: float, overshoot: float, empty: float) -> None:
    """As many words as asked keep the limit, one more does not; how much too long is given too."""
    task = LengthTask()
    (case,) = task.cases([LIMIT])
    scores = task.score(case, answer(text))
    assert scores["violations"] == violations
    assert scores["overshoot"] == pytest.approx(overshoot)
    assert scores["empty"] == empty
    assert set(scores) == set(task.metrics)


def test_length_requests() -> None:
    """The limit is asked in words, or under fixed by the marker and without the sentence."""
    task = LengthTask()
    (case,) = task.cases([LIMIT])
    for policy in ("none", "inferred"):
        request = task.request(case, policy)
        assert (request.prompt[0].content, request.markers) == (LIMIT["instruction"], {})
    fixed = task.request(case, "fixed")
    assert (fixed.prompt[0].content, fixed.markers) == ("Why?", {"length_tokens": 5})


def test_length_slices_and_sample() -> None:
    """Results are broken down by limit and by columns that are asked for; the sample holds the protocol's prompts."""
    task = LengthTask(slices=["kind"])
    limits = [25, 26, 200, 201]
    cases = task.cases([{**LIMIT, "max_len": limit, "kind": "x"} for limit in limits])
    assert [task.slices(case)["limit"] for case in cases] == ["at most 25", "at most 50", "at most 200", "over 200"]
    assert all(task.slices(case)["kind"] == "x" for case in cases)
    sample = task.cases(None)
    assert len(sample) >= 8
    for case in sample:
        start = f"Answer the following instruction using {case.limit} words or less.\n\n"
        assert case.instruction == start + case.original


def test_length_with_other_markers() -> None:
    """Under fixed further markers of the row are asked for, if the option names them."""
    row = {**LIMIT, "markers": {"domain": "Legal", "lang": "French", "task": None}}
    task = LengthTask(also=["domain", "task"])
    (case,) = task.cases([row])
    assert task.request(case, "fixed").markers == {"domain": "Legal", "length_tokens": 5}
    assert task.request(case, "inferred").markers == {}
    assert case.known == {"domain": "Legal", "lang": "French"}


def test_win_rate_of_answers_that_keep_the_limit(tmp_path: Path) -> None:
    """With a scorer, answers that keep the limit are compared with the row's; the others are not."""
    program = tmp_path / "judge.py"
    program.write_text("import json, sys\nprint([len(text) for text in json.load(sys.stdin)['answers']])\n")
    task = LengthTask(scorer="program", command=f"python {program}")
    cases = task.cases([{**LIMIT, "id": name, "output": "four"} for name in "abc"])
    scores = task.score_all(cases, [[answer(text)] for text in ("longer", "four", "one two three four five six")])
    assert [each.get("win_rate") for each in scores] == [1.0, 0.5, None]
    assert [each["violations"] for each in scores] == [0.0, 0.0, 1.0]
    assert "win_rate" in task.metrics
    with pytest.raises(ConfigError, match="case 'a' has no answer to compare with"):
        task.score_all(task.cases([{**LIMIT, "id": "a"}]), [[answer("one")]])


def test_length_in_sentences() -> None:
    """The unit sentences counts sentences and asks by its own marker; another unit is refused."""
    task = LengthTask(unit="sentences")
    (case,) = task.cases([{**LIMIT, "max_len": 2}])
    assert task.request(case, "fixed").markers == {"length_sentences": 2}
    assert task.score(case, answer("One. Two!"))["violations"] == 0.0
    assert task.score(case, answer("One. Two! Three?"))["violations"] == 1.0
    with pytest.raises(ConfigError, match=r"evaluate\.options\.length\.unit = 'word': did you mean 'words'"):
        LengthTask(unit="word")


@pytest.mark.parametrize("row", [{"instruction": "Why?"}, {**LIMIT, "max_len": "few"}, {**LIMIT, "max_len": None}])
def test_length_bad_rows(row: dict[str, Any]) -> None:
    """A row without instruction, original or whole limit is named."""
    with pytest.raises(
        DataError, match="row 2: task length needs instruction, original_instruction and a whole number"
    ):
        LengthTask().cases([LIMIT, row])


def test_control() -> None:
    """An answer within a tenth of the wanted tokens succeeds, on both sides of the border."""
    task = ControlTask(lengths=[20, 10])
    cases = task.cases([{"id": "a", "prompt": "Why?"}])
    assert [(case.id, case.tokens) for case in cases] == [("a@20", 20), ("a@10", 10)]
    assert task.request(cases[0], "fixed").markers == {"length_tokens": 20}
    assert task.request(cases[0], "inferred").markers == {}
    kept = {n: task.score(cases[0], answer(" ".join(["word"] * n))) for n in (17, 18, 20, 22, 23)}
    assert {n: scores["adherence"] for n, scores in kept.items()} == {17: 0.0, 18: 1.0, 20: 1.0, 22: 1.0, 23: 0.0}
    assert kept[17]["error"] == pytest.approx(0.15)
    assert task.score(cases[1], answer("Nine words, and one full stop: ten."))["length"] == 10.0
    assert task.slices(cases[0]) == {"tokens": "0020"}
    with pytest.raises(ConfigError, match="'Klingon' is no language of the taxonomy"):
        ControlTask(lang="Klingon")
    with pytest.raises(ConfigError, match="lengths"):
        ControlTask(lengths=[10, 0])


FRENCH = "Le ciel est bleu parce que l'air diffuse la lumière du soleil."
ENGLISH = "The sky is blue because the air scatters the light of the sun."
CHINESE = "天空是蓝色的，因为空气散射太阳光中的蓝光。"


@pytest.mark.parametrize(
    ("target", "text", "lpr"),
    [
        ("fr", FRENCH, 1.0),
        ("fr", f"{FRENCH}\n\n{FRENCH}", 1.0),
        ("fr", ENGLISH, 0.0),
        ("fr", f"{FRENCH}\n{ENGLISH}", 0.0),
        ("fr", f"{FRENCH}\nOK, yes.", 1.0),
        ("zh", CHINESE, 1.0),
        ("zh", f"{CHINESE}\n{ENGLISH}", 0.0),
        ("en", ENGLISH, 1.0),
        ("fr", "Oui.", None),
        ("fr", "", None),
        ("zh", "好的。", None),
    ],
)
def test_language(target: str, text: str, lpr: float | None) -> None:
    """An answer passes if every line of five words or more is in the wanted language; short ones are counted apart."""
    task = LanguageTask()
    (case,) = task.cases([{"prompt": "Why?", "target_lang": target}])
    scores = task.score(case, answer(text))
    assert scores.get("lpr") == lpr
    assert scores["too_short"] == float(lpr is None)


def test_language_requests() -> None:
    """Under fixed the row's markers are asked for, but never lang, which would give the answer away."""
    task = LanguageTask()
    row = {"prompt": "Why?", "target_lang": "fr", "setting": "crosslingual"}
    with_markers, without = task.cases([{**row, "markers": {"lang": "French", "task": "Rewrite", "domain": None}}, row])
    assert task.request(with_markers, "fixed").markers == {"task": "Rewrite"}
    assert task.request(with_markers, "inferred").markers == {}
    assert task.slices(without) == {"setting": "crosslingual", "target_lang": "fr"}
    assert with_markers.known == {"lang": "French", "task": "Rewrite"}
    with pytest.raises(ConfigError, match="case '2' has no markers to fix"):
        task.request(without, "fixed")
    published = {"prompt": "Why?", "language": "fr", "task": "crosslingual", "source": "okapi", "completion": "So."}
    (case,) = task.cases([published])
    assert task.slices(case) == {"setting": "crosslingual", "target_lang": "fr", "source": "okapi"}
    with pytest.raises(DataError, match="row 1: task language needs texts prompt and target_lang"):
        task.cases([{"prompt": "Why?"}])
    assert {case.target for case in task.cases(None)} >= {"fr", "zh"}


ROW = {"prompt": "Why?", "completion": "So.", "markers": {"lang": "French", "task": "Rewrite", "domain": None}}


def prepared(task: Any, **sections: Any) -> Any:
    """Return a task that was told of its setting."""
    task.prepare(Setting(make_config(sections), create_plugins(third_party=False)))
    return task


def test_markers_inferred() -> None:
    """Each marker that the row has is compared; one that the model left out is wrong, one the row lacks is no case."""
    task = prepared(MarkersTask(markers=["lang", "task", "domain"]))
    case, bare = task.cases([ROW, {**ROW, "markers": {}}])
    assert task.request(case, "inferred").markers == {}
    hits = {"accuracy.lang": 1.0, "macro.lang": 1.0, "accuracy.task": 0.0, "macro.task": 0.0, "accuracy": 0.5}
    for wrong in ({"task": "CodeFix", "domain": "Legal"}, {}):
        scores = task.score(case, answer(FRENCH, {"lang": "French", **wrong}))
        assert scores == {**hits, "adherence.lang": 1.0}
    assert task.score(bare, answer("", {"lang": "French"})) == {}
    assert task.slices(case) == {"lang": "French", "task": "Rewrite"}
    with pytest.raises(DataError, match="row 1: there are no markers: annotate the file first"):
        task.cases([{"prompt": "Why?", "completion": "So."}])
    with pytest.raises(ConfigError, match="did you mean 'lang'"):
        prepared(MarkersTask(markers=["langg"]))


def test_markers_given() -> None:
    """What was given is copied, so it is no accuracy; whether the answer shows it is adherence."""
    task = prepared(MarkersTask(markers=["lang", "task", "length_sentences"], give=["lang", "length_sentences"]))
    (case,) = task.cases([{**ROW, "markers": {"lang": "French", "task": "Rewrite", "length_sentences": 4}}])
    assert task.request(case, "fixed").markers == {"lang": "French", "length_sentences": 4}
    given = {"lang": "French", "length_sentences": 4}
    scores = task.score(case, replace(answer(ENGLISH, {**given, "task": "Rewrite"}), asked=given))
    assert scores == {
        "accuracy": 1.0,
        "accuracy.task": 1.0,
        "macro.task": 1.0,
        "adherence.lang": 0.0,
        "adherence.length_sentences": 0.0,
    }
    shown = task.score(case, replace(answer(f"{FRENCH} {FRENCH} {FRENCH}"), asked=given))  # three sentences: one off
    assert (shown["adherence.lang"], shown["adherence.length_sentences"]) == (1.0, 1.0)


def test_calibration_of_markers() -> None:
    """Probabilities are compared with how often they come true, in bins."""
    task = prepared(MarkersTask(markers=["lang"]))
    (case,) = task.cases([ROW])
    generation = replace(answer(FRENCH, {"lang": "French"}), chances={"lang": {"French": 0.75, "English": 0.25}})
    scores = task.score(case, generation)
    assert scores["calibration.lang"] == binned(0.75, True)
    sums = [sum(pair) for pair in zip(binned(0.75, True), binned(0.75, False), binned(0.1, False), strict=True)]
    assert calibration_error(sums) == pytest.approx((abs(1.5 - 1) + 0.1) / 3)
    assert task.metrics["calibration.lang"].combine is calibration_error


def test_frontier() -> None:
    """Each prompt is asked with each value and with none; what else changes is told by the answer to none."""
    task = prepared(FrontierTask(marker="length_sentences", values=[1, 5]))
    cases = task.cases([{"id": "a", "prompt": "Why?"}])
    assert [case.id for case in cases] == ["a@", "a@1", "a@5"]
    assert [task.request(case, "fixed").markers for case in cases] == [
        {},
        {"length_sentences": 1},
        {"length_sentences": 5},
    ]
    free, one, five = task.score_all(cases, [[answer(FRENCH)], [answer(FRENCH)], [answer(ENGLISH)]])
    assert "adherence" not in free
    assert (one["adherence"], one["unasked"], one["changed.lang"]) == (1.0, 1.0, 0.0)
    assert (five["adherence"], five["unasked"], five["changed.lang"]) == (0.0, 0.0, 1.0)
    assert [task.slices(case)["length_sentences"] for case in cases] == ["(not asked)", "1", "5"]
    with pytest.raises(ConfigError, match="use policy fixed or guided"):
        task.request(cases[0], "inferred")
    with pytest.raises(ConfigError, match="say which values of 'lang'"):
        FrontierTask(marker="lang")
    with pytest.raises(ConfigError, match="no extractor finds 'source'"):
        prepared(FrontierTask(marker="source", values=["Human"]))
    with pytest.raises(TtmError, match="Klingon"):
        prepared(FrontierTask(marker="lang", values=["Klingon"]))
