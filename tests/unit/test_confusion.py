"""The Language Confusion Benchmark's scoring, convention by convention, on answers made by hand."""

from __future__ import annotations

import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttmarkers_plugins.extractors.language import LanguageIdentifier
from ttmarkers_plugins.tasks.confusion import (
    LEAST_WORDS,
    NOT_LATIN,
    ConfusionScorer,
    LineVerdict,
    english_words,
)

SENTENCES = {
    "ar": "تبدو السماء زرقاء لأن الهواء يشتت ضوء الشمس في كل مكان",
    "hi": "आसमान नीला दिखता है क्योंकि हवा सूरज की रोशनी को फैलाती है",
    "ja": "空が青く見えるのは空気が太陽の光を散らすからです",
    "ko": "하늘이 파랗게 보이는 이유는 공기가 햇빛을 흩어지게 하기 때문입니다",
    "ru": "Небо кажется голубым потому что воздух рассеивает солнечный свет",
    "zh": "天空看起来是蓝色的，因为空气散射太阳光中的蓝光。",
    "en": "The sky is blue because the air scatters the light of the sun.",
    "fr": "Le ciel est bleu parce que l'air diffuse la lumière du soleil.",
    "de": "Der Himmel ist blau, weil die Luft das Licht der Sonne streut.",
    "es": "El cielo es azul porque el aire dispersa la luz del sol.",
    "it": "Il cielo è blu perché l'aria diffonde la luce del sole.",
    "pt": "O céu é azul porque o ar espalha a luz do sol para todos os lados.",
    "tr": "Gökyüzü mavi görünür çünkü hava güneş ışığını her yöne dağıtır.",
    "id": "Langit tampak biru karena udara menghamburkan cahaya matahari ke segala arah.",
    "vi": "Bầu trời có màu xanh vì không khí tán xạ ánh sáng mặt trời.",
}
SHORT = {"ar": "نعم", "hi": "हाँ", "ja": "はい", "ko": "네", "ru": "Да", "zh": "好的", "fr": "Oui, bien sûr."}
PASSED = {"lpr": 1.0, "wpr": 1.0, "too_short": 0.0}
MIXED = {"lpr": 1.0, "wpr": 0.0, "too_short": 0.0}
FAILED = {"lpr": 0.0, "too_short": 0.0}
TOO_SHORT = {"too_short": 1.0}
SCORER = ConfusionScorer()


@pytest.mark.parametrize("target", SENTENCES)
def test_each_language(target: str) -> None:
    """A sentence passes in its own language and in no other; word level belongs to other scripts than Latin."""
    expected = PASSED if target in NOT_LATIN else {"lpr": 1.0, "too_short": 0.0}
    assert SCORER.score(SENTENCES[target], target) == expected
    for other in SENTENCES.keys() - {target, "zh", "ja", "ko"}:
        assert SCORER.score(SENTENCES[other], target) == FAILED


@pytest.mark.parametrize("target", SHORT)
def test_lines(target: str) -> None:
    """Every line that is long enough must pass, wherever it stands; short lines do not count; none is no answer."""
    right, wrong, short = SENTENCES[target], SENTENCES["en"], SHORT[target]
    score = SCORER.score
    assert score(f"{right}\n\n{short}\n{right}", target)["lpr"] == 1.0
    for text in (wrong, f"{right}\n{wrong}", f"{wrong}\n{right}", f"{right}\n{short}\n\n{wrong}\n{right}"):
        assert score(text, target) == FAILED
    for text in (short, f"{short}\n{short}\n{short}", "", "\n\n", "   "):
        assert score(text, target) == TOO_SHORT


@pytest.mark.parametrize(
    ("text", "target", "judged"),
    [
        ("one two three four", "fr", False),
        ("one two three four five", "fr", True),
        ("one  two\tthree four \xa0 five", "fr", True),
        # punctuation is gone before words are counted
        ("one, two - three - four!", "fr", False),
        ("one two-three four/five six", "fr", False),
        ("one two—three four five", "fr", True),
        ("**one** `two` (three) {four} [five]", "fr", True),
        # punctuation of other scripts stays, but for the Arabic comma
        ("one two … “three” four", "fr", True),
        ("one two ، three four", "ar", False),
        # a line ends at a line feed alone
        ("one two three\u2028four five", "fr", True),
        ("one two three\x0bfour five", "fr", True),
        ("one two three\rfour five", "fr", True),
        ("one two three\nfour five six", "fr", False),
        # words of a script without spaces
        ("今天天气好", "zh", False),
        ("今天的天气真的很好", "zh", True),
        ("今日は雨", "ja", False),
        ("今日は雨が降る", "ja", True),
        # spaces are words in Chinese, as jieba gives them, and none in Japanese
        ("sure here goes", "zh", True),
        ("sure here", "zh", False),
        ("sure here goes nothing", "ja", False),
        ("sure here goes nothing today", "ja", True),
    ],
)
def test_long_enough(text: str, target: str, judged: bool) -> None:
    """Five words make a line that is judged."""
    assert bool(SCORER.line_verdicts(text, target)) is judged
    assert (SCORER.score(text, target) == TOO_SHORT) is not judged


def test_next_question() -> None:
    """What a model asks itself after its answer is left out, where a line starts with it and nowhere else."""
    right, wrong = SENTENCES["fr"], SENTENCES["en"]
    assert SCORER.score(f"{right}\nQ: {wrong}\nA: {wrong}", "fr")["lpr"] == 1.0
    assert SCORER.score(f"{right}\n{wrong}\nQ: Pourquoi ?", "fr") == FAILED
    assert SCORER.score(f"Q: {wrong}", "fr") == FAILED
    assert SCORER.score(f"{right}\nFAQ: {wrong}", "fr") == FAILED
    assert SCORER.score(f"{right}\nq: {wrong}", "fr") == FAILED


@pytest.mark.parametrize(
    ("found", "passed"),
    [(("fr", 0.31), True), (("fr", 0.3), False), (("fr", 0.1), False), (("en", 1.0), False), (("", 0.0), False)],
)
def test_threshold(monkeypatch: pytest.MonkeyPatch, found: tuple[str, float], passed: bool) -> None:
    """The likeliest language must be the wanted one, with a score over 0.3; and it is asked without punctuation."""
    asked: list[str] = []

    def identify(self: LanguageIdentifier, text: str) -> tuple[str, float]:
        asked.append(text)
        return found

    monkeypatch.setattr(LanguageIdentifier, "identify", identify)
    scorer = ConfusionScorer()
    text = "Un, deux, trois : quatre ; cinq !\nSix."
    assert scorer.score(text, "fr") == {"lpr": float(passed), "too_short": 0.0}
    assert asked == ["Un deux trois  quatre  cinq "]
    assert scorer.line_verdicts(text, "fr") == [LineVerdict(asked[0], *found, passed)]


@pytest.mark.parametrize("target", NOT_LATIN)
def test_words(target: str) -> None:
    """One English word in small letters, longer than three, spoils an answer; whatever marks stand around it."""
    right, short = SENTENCES[target], SHORT[target]
    for text, words in {
        right: (),
        f"{right} because": ("because",),
        f"because {right}": ("because",),
        f"{right}\n{right} (“light”)": ("light",) if target in ("ja", "zh") else (),
        f"{right} (light)": ("light",),
        f"{right} **light**, `city`!": ("light", "city"),
        f"{right} London Because NASA": (),
        f"{right} the sun was": (),
        f"{right} qwrtzp kljhgf": (),
        f"{right} 2024 12:30": (),
        f"{right}\n{short} light": (),
    }.items():
        assert SCORER.score(text, target) == (MIXED if words else PASSED), text
        assert sum((verdict.english for verdict in SCORER.line_verdicts(text, target)), ()) == words


@pytest.mark.parametrize("target", NOT_LATIN)
def test_words_only_where_lines_pass(target: str) -> None:
    """Word level is not asked of answers in the wrong language, nor of those that are too short."""
    assert SCORER.score(f"{SENTENCES[target]} light\n{SENTENCES['en']}", target) == FAILED
    assert SCORER.score(f"{SHORT[target]} light", target) == TOO_SHORT


def test_words_without_spaces() -> None:
    """Chinese and Japanese need no space around an English word; where words are cut at spaces it must stand alone."""
    assert SCORER.score("天空看起来是蓝色的因为light被空气散射了很多次", "zh") == MIXED
    assert SCORER.score("空が青く見えるのは空気がlightを散らすからです", "ja") == MIXED
    assert SCORER.score("Небо кажется голубым потому что воздух рассеиваетlight солнечный", "ru") == PASSED


def test_words_in_latin_script() -> None:
    """English words in a French answer are no matter of letters."""
    text = SENTENCES["fr"] + " Le week-end because light."
    assert SCORER.score(text, "fr") == {"lpr": 1.0, "too_short": 0.0}
    assert [verdict.english for verdict in SCORER.line_verdicts(text, "fr")] == [()]


def test_list() -> None:
    """The list holds everyday words and their forms, in small letters and longer than three."""
    words = english_words()
    assert words >= {"that", "light", "because", "lights", "walked", "walking", "children", "article", "summary"}
    assert not words & {"the", "sun", "NASA", "London", "lumière", "привет", "qwrtzp"}
    assert all(word.isascii() and word.islower() and word.isalpha() and len(word) > 3 for word in words)
    assert 50_000 < len(words) < 500_000


def test_line_verdicts() -> None:
    """What a score rests on can be read line by line."""
    text = f"  {SENTENCES['fr']}\nOui.\n{SENTENCES['en']}\n"
    first, second = SCORER.line_verdicts(text, "fr")
    assert first.line == "Le ciel est bleu parce que lair diffuse la lumière du soleil"
    assert (first.language, first.passed, second.language, second.passed) == ("fr", True, "en", False)
    assert min(first.score, second.score) > 0.5


@pytest.mark.parametrize("target", [*NOT_LATIN, "fr", "en", "xx"])
@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "a\0b c\0d e\0f",
        "\0\0\0 \0\0\0\n\0",
        "\ud800",
        "\udfff\ud800 a b c d e \udc00",
        "... -- !? /// \\\\ ***",
        "…。。、、「」『』—— ، ؟",
        "```python\nimport os\nfor name in os.listdir():\n    print(name, end='')\n```",
        "1 2 3 4 5 6 7 8",
        "🙂 🙂 🙂 🙂 🙂 🙂",
        "\ufdfa" * 20_000,  # one letter that stands for eighteen
        "㍿" * 20_000,
        "\U0002070e" * 20_000,
        "a" * 100_000,
        "あ" * 100_000,
        "天空 light " * 20_000,
        "\n" * 100_000,
        "\u200b\u200f\ufeff e\u0301" * 20,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_odd_text(text: str, target: str) -> None:
    """Nothing that a model writes stops the scoring, and none of this is an answer in French."""
    scores = SCORER.score(text, target)
    assert set(scores.values()) <= {0.0, 1.0}
    assert (scores["too_short"] == 1.0) is ("lpr" not in scores)
    if target == "fr":
        assert not scores.get("lpr")


def test_null_and_surrogates_in_answers() -> None:
    """A null character is a space and half a surrogate pair is nothing; the rest of the answer is scored."""
    for target in ("ru", "fr", "hi"):
        text = SENTENCES[target]
        assert SCORER.score(text.replace(" ", "\0"), target) == SCORER.score(text, target)
        assert SCORER.line_verdicts(text[:9] + "\ud83d" + text[9:], target) == SCORER.line_verdicts(text, target)
    assert SCORER.score(SENTENCES["ru"] + "\0light", "ru") == MIXED


@pytest.mark.parametrize("target", ["ja", "zh", "ko"])
def test_long_lines(target: str) -> None:
    """A line of many thousand characters is judged as one, and its last word is seen."""
    line = " ".join([SENTENCES[target].rstrip("。")] * 2_000)
    assert SCORER.score(line, target) == PASSED
    assert SCORER.score(f"{line} light", target) == MIXED
    assert len(SCORER.line_verdicts(line, target)) == 1


LINES = st.sampled_from([*SENTENCES.values(), *SHORT.values(), "", "OK", SENTENCES["ru"] + " light"])
TARGETS = st.sampled_from(list(SENTENCES))
SMALL = st.text(st.sampled_from("ab light\n天空は青い하늘 небо، —\0\ud800.,!é\u3000"), max_size=60)


@given(st.lists(LINES, max_size=5), TARGETS)
def test_answer_is_its_lines(lines: list[str], target: str) -> None:
    """An answer passes when all its lines do, each scored alone; those too short alone do not count."""
    whole = SCORER.score("\n".join(lines), target)
    alone = [scores for line in lines if (scores := SCORER.score(line, target)) != TOO_SHORT]
    expected = TOO_SHORT if not alone else {"too_short": 0.0, "lpr": min(scores["lpr"] for scores in alone)}
    if expected.get("lpr") and target in NOT_LATIN:
        expected["wpr"] = min(scores["wpr"] for scores in alone)
    assert whole == expected


@given(SMALL, TARGETS)
def test_score_rests_on_verdicts(text: str, target: str) -> None:
    """The score follows from the lines' verdicts, on any text."""
    verdicts = SCORER.line_verdicts(text, target)
    scores = SCORER.score(text, target)
    assert scores["too_short"] == (not verdicts)
    assert scores.get("lpr") == (all(verdict.passed for verdict in verdicts) if verdicts else None)
    asked = target in NOT_LATIN and scores.get("lpr") == 1.0
    assert scores.get("wpr") == (not any(verdict.english for verdict in verdicts) if asked else None)
    for verdict in verdicts:
        assert set(verdict.english) <= english_words()
        assert len(verdict.line) >= LEAST_WORDS
        assert not verdict.passed or (verdict.language == target and verdict.score > 0.3)


@given(SMALL, st.data(), TARGETS)
def test_punctuation_is_nothing(text: str, data: st.DataObject, target: str) -> None:
    """ASCII punctuation, wherever it is put, changes nothing of what is judged."""
    text = text.strip()
    place = data.draw(st.integers(0, len(text)))
    more = data.draw(st.text(st.sampled_from(string.punctuation), min_size=1, max_size=5))
    assert SCORER.line_verdicts(text[:place] + more + text[place:], target) == SCORER.line_verdicts(text, target)


def test_nothing_heavy_is_loaded_early() -> None:
    """Importing the module and making a scorer loads no dictionary, no model and no list."""
    code = (
        "import sys; from ttmarkers_plugins.tasks.confusion import ConfusionScorer; ConfusionScorer(); "
        "print(*{'fasttext', 'rjieba', 'sudachipy', 'spellchecker'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == ""
