"""``lang``: what counts, and when nothing is said."""

from __future__ import annotations

import pytest

from ttmarkers_plugins.extractors.language import LanguageExtractor

EXTRACTOR = LanguageExtractor()
SENTENCES = {
    "English": "The committee will meet again on Tuesday.",
    "French": "Le comité se réunira de nouveau mardi prochain.",
    "Spanish": "El comité se reunirá de nuevo el próximo martes.",
    "Italian": "Il comitato si riunirà di nuovo martedì prossimo.",
    "German": "Der Ausschuss tritt am Dienstag wieder zusammen.",
    "Portuguese": "O comitê vai se reunir novamente na próxima terça-feira.",
    "Japanese": "委員会は来週の火曜日に再び開かれます。",
    "Korean": "위원회는 다음 주 화요일에 다시 열립니다.",
    "Arabic": "ستجتمع اللجنة مرة أخرى يوم الثلاثاء المقبل.",
    "Chinese": "委员会将于下周二再次开会。",
    "Russian": "Комитет снова соберётся в следующий вторник.",
    "Polish": "Komitet zbierze się ponownie w przyszły wtorek.",
    "Turkish": "Komite önümüzdeki salı günü yeniden toplanacak.",
    "Vietnamese": "Ủy ban sẽ họp lại vào thứ Ba tuần tới.",
    "Dutch": "De commissie komt volgende dinsdag weer bijeen.",
    "Czech": "Výbor se znovu sejde příští úterý.",
    "Indonesian": "Komite akan bertemu lagi pada hari Selasa depan.",
    "Ukrainian": "Комітет знову збереться наступного вівторка.",
    "Romanian": "Comitetul se va întruni din nou marțea viitoare.",
    "Greek": "Η επιτροπή θα συνεδριάσει ξανά την επόμενη Τρίτη.",
    "Hindi": "समिति अगले मंगलवार को फिर बैठक करेगी।",
    "Hebrew": "הוועדה תתכנס שוב ביום שלישי הבא.",
    "Persian": "کمیته سه‌شنبه آینده دوباره تشکیل جلسه می‌دهد.",
}


def find(text: str) -> str | None:
    """Return the language of a completion."""
    found = EXTRACTOR._one(text)
    return str(found["lang"].value) if found else None


@pytest.mark.parametrize("language", SENTENCES)
def test_every_language(language: str) -> None:
    """One sentence is enough, alone and beside code."""
    assert find(SENTENCES[language]) == language
    code = "```python\nfor number in range(10):\n    print('the number is', number)\n```"
    assert find(f"{code}\n{SENTENCES[language]}\n{code}") == language


@pytest.mark.parametrize(
    "text", ["", "42", "🎉🎉🎉", "x", "Oh, no.", "```python\nprint('hello')\n```", "$x^2 + y^2$", "\0\0"]
)
def test_nothing_to_tell(text: str) -> None:
    """Without words of a language nothing is said."""
    assert find(text) is None


def test_foreign_language() -> None:
    """Languages that the taxonomy does not have get no marker."""
    assert find("Kommittén sammanträder igen nästa tisdag klockan tio.") is None
    assert find("คณะกรรมการจะประชุมอีกครั้งในวันอังคารหน้า") is None


def test_mixed_text() -> None:
    """A text that begins in one language and ends in another gets no marker."""
    assert find(SENTENCES["French"] * 10 + SENTENCES["German"] * 10) is None


@pytest.mark.parametrize("text", ["Starburst", "Blitzkrieg", "Pasta: macaroni, rigatoni, orzo", "Futbol", "Nomadland"])
def test_one_or_two_words(text: str) -> None:
    """A word or a list of words that may be a name or a loan word is no proof of a language."""
    assert find(text) is None


def test_half_a_surrogate_pair() -> None:
    """Text that is no valid Unicode is still identified."""
    assert find("The committee \ud800 will meet again on Tuesday.") == "English"
