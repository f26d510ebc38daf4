"""Limits of an answer's length: kept always, at the end of a sentence if there is one, and every cut is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttmarkers.decoding.budget import WORDS, Budget, Budgets, Limit, word_counter
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.plugins.registry import build
from ttmarkers.records import Example, Message, Origin
from ttmarkers.taxonomies.taxonomy import make_taxonomy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ttmarkers.records import Value

_PLUGINS = create_plugins(third_party=False)
EXTRACTORS = _PLUGINS.extractors()
PAPER = make_taxonomy(_PLUGINS.marker_types().all())
ENGLISH: dict[str, Value] = {"lang": "English"}
COUNTS = ("length_tokens", "length_sentences", "length_paragraphs")


class _Subject:
    """An answer as an extractor sees it."""

    def __init__(self, text: str, markers: Mapping[str, Value]) -> None:
        self.example = Example("a", (Message("user", "Hi."),), text, {}, Origin("test", 1))
        self.markers = markers


def _made(asked: Mapping[str, Value], known: Mapping[str, Value] = ENGLISH, *, words: int | None = None) -> Budget:
    made = Budgets(PAPER, EXTRACTORS, hard=True, max_words=words).make(asked, known)
    assert made is not None
    return made


def _letters(most: int) -> Budget:
    return Budget((Limit("letters", most, lambda text: sum(map(str.isalpha, text))),))


def _counted(name: str, text: str, known: Mapping[str, Value]) -> int:
    """Return what the extractor finds that counts a marker of training data."""
    component = next(entry.component for entry in EXTRACTORS if name in entry.component.markers)
    extractor: Any = build(component)
    (found,) = extractor.extract([_Subject(text, known)])
    return int(found[name].value)


def test_an_answer_within_its_limits() -> None:
    """An answer that keeps its limits is left as it is, white space and all, and nothing is reported."""
    for text in ("", " ", "One. Two.\n", "\n\nOne", "word " * 10):
        assert Budget(()).fit(text) == (text, {})
        assert _letters(100).fit(text) == (text, {})
        assert not _letters(100).exceeded(text)


def test_cut_at_a_sentence() -> None:
    """An answer that is too long ends with the last sentence that fits, its quotation marks included."""
    assert _letters(10).fit("One. Two three. Four five.") == ("One.", {"letters": 10})
    assert _letters(11).fit("One. Two three. Four five.") == ("One. Two three.", {"letters": 11})
    assert _letters(6).fit("He said: “No!” And he went.") == ("He said:", {"letters": 6})
    assert _letters(8).fit("He said: “No!” And he went.") == ("He said: “No!”", {"letters": 8})
    assert _letters(3).fit("Yes?! (No.) Perhaps...") == ("Yes?!", {"letters": 3})
    assert _letters(5).fit("Yes?! (No.) Perhaps...") == ("Yes?! (No.)", {"letters": 5})
    assert _letters(3).fit("One\n\nTwo\n\nThree") == ("One", {"letters": 3})


def test_a_point_within_a_word_ends_no_sentence() -> None:
    """Numbers, versions and addresses are not cut in two."""
    assert _letters(6).fit("It is 3.14 of example.com here") == ("It is 3.14 of", {"letters": 6})


def test_the_number_of_an_item_ends_no_sentence() -> None:
    """A list is not cut behind the number of an item that has no room: a bare number says nothing."""
    text = "Fruit:\n\n1. Apples are red and sweet.\n2. Pears are green and sweet.\n3. Plums."
    assert _letters(30).fit(text) == ("Fruit:\n\n1. Apples are red and sweet.", {"letters": 30})


def test_cut_at_a_word() -> None:
    """Where no sentence ends within the limits, the answer ends with a word, and white space is taken off its end."""
    assert _letters(5).fit("one two three four") == ("one", {"letters": 5})
    assert _letters(6).fit("one two three four") == ("one two", {"letters": 6})
    assert _letters(6).fit("one\ttwo\n three") == ("one\ttwo", {"letters": 6})


def test_cut_within_a_word() -> None:
    """An answer whose first word is too long is cut in it, and one that may have nothing has nothing."""
    assert _letters(2).fit("three words here") == ("th", {"letters": 2})
    assert _letters(4).fit(" \n  three") == (" \n  thre", {"letters": 4})
    assert _letters(0).fit("one. two.") == ("", {"letters": 0})


def test_a_long_answer_is_measured_a_few_times() -> None:
    """What is looked for is not tried one by one: an answer of thousands of sentences is counted some dozen times."""
    calls = []

    def count(text: str) -> int:
        calls.append(text)
        return text.count(" ")

    fitted, _ = Budget((Limit("spaces", 1999, count),)).fit("This is a sentence. " * 3000)
    assert fitted == ("This is a sentence. " * 500).strip()
    assert len(calls) < 50


def test_each_passed_limit_is_reported() -> None:
    """Of several limits those are reported that the answer did not keep by itself, and all are kept."""
    limits = (Limit("signs", 12, len), Limit("spaces", 9, lambda text: text.count(" ")), Limit("dots", 1, _dots))
    assert Budget(limits).fit("One two. Three. Four.") == ("One two.", {"signs": 12, "dots": 1})
    assert Budget(limits).fit("One two.") == ("One two.", {})
    assert Budget(limits[:2]).fit("One two three four") == ("One two", {"signs": 12})
    assert Budget(limits).exceeded("One two three")
    assert not Budget(limits).exceeded("One two.")


def _dots(text: str) -> int:
    return text.count(".")


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("English", ("The sky is blue.", " It is very high!", " Is it far?")),
        ("French", ("Le ciel est bleu.", " Il est haut !", " Est-il loin ?")),
        ("Chinese", ("天空是蓝色的。", "它很高！", "“它远吗？”")),
        ("Japanese", ("空は青いです。", "とても高い！", "「遠いですか？」")),
        ("Korean", ("하늘은 파랗다.", " 아주 높다!", " 멀까?")),
        ("Russian", ("Небо синее.", " Оно высоко!", " Оно далеко?")),
        ("Arabic", ("هل السماء زرقاء؟", " إنها عالية جدا.", " هل هي بعيدة؟")),
        ("Persian", ("آسمان آبی است؟", " خیلی بلند است.", " آیا دور است؟")),
        ("Hindi", ("आकाश नीला है।", " यह बहुत ऊँचा है।", " यह कितना दूर है?")),
        ("Hebrew", ("השמים כחולים.", " הם גבוהים מאוד!", " האם הם רחוקים?")),
    ],
)
def test_sentences_of_many_languages(lang: str, sentences: tuple[str, ...]) -> None:
    """A limit of tokens cuts behind a sentence whatever signs end one in the answer's language."""
    known: dict[str, Value] = {"lang": lang}
    for number in (1, 2):
        whole = "".join(sentences[:number])
        most = _counted("length_tokens", whole, known) + 1
        text = "".join(sentences)
        assert _counted("length_tokens", text, known) > most
        assert _made({"length_tokens": most}, known).fit(text) == (whole, {"length_tokens": most})


@pytest.mark.parametrize(
    ("lang", "text"), [("Chinese", "天空是蓝色的因为光的散射"), ("Japanese", "空は青いですとても高い")]
)
def test_words_without_spaces(lang: str, text: str) -> None:
    """A sentence that is too long is cut between any two signs where no spaces stand between words."""
    known: dict[str, Value] = {"lang": lang}
    fitted, enforced = _made({"length_tokens": 3}, known).fit(text)
    assert fitted
    assert text.startswith(fitted)
    assert 0 < _counted("length_tokens", fitted, known) <= 3
    assert enforced == {"length_tokens": 3}


def test_sentences_and_paragraphs() -> None:
    """Limits of sentences and paragraphs keep as many as they allow."""
    text = "One is here. Two is here.\n\nThree is here. Four is here.\n\nFive is here."
    assert _made({"length_sentences": 3}).fit(text) == (text[: text.index(" Four")], {"length_sentences": 3})
    assert _made({"length_paragraphs": 1}).fit(text) == (text[: text.index("\n\nThree")], {"length_paragraphs": 1})
    assert _made({"length_paragraphs": 2}).fit(text) == (text[: text.index("\n\nFive")], {"length_paragraphs": 2})
    both: dict[str, Value] = {"length_paragraphs": 2, "length_sentences": 1}
    assert _made(both).fit(text) == ("One is here.", {"length_paragraphs": 2, "length_sentences": 1})
    assert _made({"length_paragraphs": 3, "length_sentences": 5}).fit(text) == (text, {})


def test_words() -> None:
    """A limit of words holds for every answer, asked for or not, and counts no punctuation."""
    budgets = Budgets(None, EXTRACTORS, hard=False, max_words=4)
    budget = budgets.make({}, {})
    assert budget is not None
    assert budget.fit("One, two, three, four!") == ("One, two, three, four!", {})
    assert budget.fit("One, two. Three, four, five!") == ("One, two.", {WORDS: 4})
    assert budget.fit("one, two, three - four, five") == ("one, two, three - four,", {WORDS: 4})
    count = word_counter()
    assert [count(text) for text in ("", "...", "Hello, world!", "I don't know.", "3.5 % of it")] == [0, 0, 2, 4, 3]


def test_what_is_no_limit() -> None:
    """Only numbers that were asked for are limits, and only where limits are hard; a score is none."""
    soft = Budgets(PAPER, EXTRACTORS, hard=False, max_words=None)
    hard = Budgets(PAPER, EXTRACTORS, hard=True, max_words=None)
    assert soft.make({"length_tokens": 3}, {}) is None
    assert hard.make({}, {"length_tokens": 3}) is None
    assert hard.make({"quality": 0.5, "lang": "French", "length_bucket": "concise"}, {}) is None
    assert Budgets(None, EXTRACTORS, hard=True, max_words=None).make({"length_tokens": 3}, {}) is None
    made = Budgets(PAPER, EXTRACTORS, hard=True, max_words=7).make({"length_sentences": 2, "length_tokens": 9}, {})
    assert made is not None
    assert [(limit.name, limit.most) for limit in made.limits] == [
        ("length_tokens", 9),
        ("length_sentences", 2),
        (WORDS, 7),
    ]


TEXTS = (
    ("English", "Hello there! I don't know (yet): 3.5 % of it, e.g. this.\n\n- one\n- two\n\n```\nx = 1\n```\n"),
    ("French", "L'été, c'est aujourd'hui ? Oui."),
    ("Chinese", "天空为什么是蓝色的？因为光的散射。"),
    ("Japanese", "空はなぜ青いのですか。光の散乱のためです。"),
    ("Arabic", "لماذا السماء زرقاء؟ بسبب تشتت الضوء."),
)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(("lang", "text"), TEXTS)
def test_counted_as_training_data_is(name: str, lang: str, text: str) -> None:
    """What a limit counts is what the extractor finds that marks training data, in the answer's language."""
    known: dict[str, Value] = {"lang": lang}
    (limit,) = _made({name: 5}, known).limits
    assert limit.count(text) == _counted(name, text, known)
    assert limit.count("") == limit.count(" \n") == 0


def test_the_language_matters() -> None:
    """The same text has other numbers of tokens in other languages, and is counted by what its block says."""
    text = "Can't we? L'été d'abord."
    counts = {lang: _made({"length_tokens": 5}, {"lang": lang}).limits[0].count(text) for lang in ("English", "French")}
    assert counts == {lang: _counted("length_tokens", text, {"lang": lang}) for lang in counts}
    assert counts["English"] != counts["French"]


_WORDS = [
    "one",
    "two.",
    "three!",
    "four?",
    "\n\n",
    "\n",
    "e.g.",
    "3.14",
    "“No.”",
    "(yes)",
    "空は青い。",
    "天空",
    "l'été",
    "- x",
]
texts = st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=20).map(" ".join)


@given(text=texts, most=st.integers(0, 30))
def test_never_longer(text: str, most: int) -> None:
    """Whatever the answer, what is left of it keeps the limit, is its beginning, and a cut is reported."""
    budget = _letters(most)
    fitted, enforced = budget.fit(text)
    assert not budget.exceeded(fitted)
    assert text.startswith(fitted)
    assert enforced == ({"letters": most} if budget.exceeded(text) else {})
    assert enforced or fitted == text
    assert budget.fit(fitted) == (fitted, {})


@settings(max_examples=15)
@given(
    text=texts,
    asked=st.dictionaries(st.sampled_from(COUNTS), st.integers(0, 12), min_size=1),
    lang=st.sampled_from(["English", "French", "Chinese", "Japanese"]),
    words=st.none() | st.integers(0, 10),
)
def test_never_longer_as_extractors_count(text: str, asked: dict[str, int], lang: str, words: int | None) -> None:
    """The same holds for all limits at once, counted by the extractors."""
    known: dict[str, Value] = {"lang": lang}
    fitted, enforced = _made(asked, known, words=words).fit(text)
    assert text.startswith(fitted)
    assert enforced or fitted == text
    for name, most in asked.items():
        if fitted.strip():
            assert _counted(name, fitted, known) <= most
        assert (name in enforced) == (bool(text.strip()) and _counted(name, text, known) > most)
    if words is not None:
        assert word_counter()(fitted) <= words


@pytest.mark.parametrize(
    "text",
    ["word " * 3000 + "a" * 2500, "a" * 5000, "word. " * 50 + "=" * 2000, "天空是蓝色的。" * 400],
    ids=["words and a run", "a run", "sentences and a run", "Chinese"],
)
def test_a_run_without_spaces_is_no_way_out(text: str) -> None:
    """An answer with a run of signs that the extractor does not count as words is held to its limit all the same."""
    fitted, enforced = _made({"length_tokens": 20}).fit(text)
    assert enforced == {"length_tokens": 20}
    assert len(fitted) < len(text)  # one long word is one token


def test_numbers_as_a_user_gives_them() -> None:
    """A limit of nothing leaves nothing, and one that is greater than any answer changes none."""
    assert _made({"length_tokens": 0}).fit("Hello.") == ("", {"length_tokens": 0})
    assert _made({"length_tokens": 10**9 - 1}).fit("Hello.") == ("Hello.", {})
