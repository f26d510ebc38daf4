"""Task ``translation``: texts translated into a language that is asked for in words.

Source: D'souza et al. 2025 (English into 22 languages). BLEU and chrF are sacrebleu's, over a whole target
language (Post 2018, arXiv 1804.08771; Popović 2015): each case scores the counts that they are made of, the figure is
made from their sums, and the mean is over target languages. COMET is the program ``comet-score``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, DataError, did_you_mean
from ttmarkers.records import Message, Metric, Request
from ttmarkers_plugins.marker_types import LANGUAGES
from ttmarkers_plugins.tasks.bleu import ADVISED, CHARACTERS, advised, bleu, bleu_counts, check, chrf, chrf_counts
from ttmarkers_plugins.tasks.comet import Comet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Score, Value

TEMPLATE = "Translate the following text into {target}.\n\n{text}"
PLACES = ("text", "source", "target")
FIXED = ("task", "lang")
NAMES = {code: name for name, code in LANGUAGES.items()}
CODES = {
    "eng": "en", "fra": "fr", "spa": "es", "ita": "it", "deu": "de", "por": "pt", "jpn": "ja", "kor": "ko", "ara": "ar",
    "arb": "ar", "zho": "zh", "cmn": "zh", "rus": "ru", "pol": "pl", "tur": "tr", "vie": "vi", "nld": "nl", "ces": "cs",
    "ind": "id", "ukr": "uk", "ron": "ro", "ell": "el", "hin": "hi", "heb": "he", "fas": "fa", "pes": "fa",
}  # fmt: skip
"""Codes of three letters, as FLORES writes them."""


@dataclass(frozen=True)
class TranslationCase:
    """A text to translate.

    Attributes:
        id: name of the case.
        prompt: what is asked.
        text: what is to be translated; None if only the whole prompt is known.
        reference: a right translation.
        target: ISO code of the language that is translated into.
        markers: the row's own, to be fixed.
        facts: what results are broken down by.
    """

    id: str
    prompt: str
    text: str | None
    reference: str
    target: str
    markers: Mapping[str, Value]
    facts: Mapping[str, str]

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched."""
        return (self.prompt,)

    @property
    def known(self) -> dict[str, Value]:
        """The language of the answer, which may be a rare one."""
        return {"lang": NAMES[self.target]}


class TranslationTask:
    """BLEU and chrF for each target language and their mean over these, COMET if a model is named, and empty answers.

    Args:
        template: how a text is asked for; ``{text}``, ``{target}`` and ``{source}`` stand for it and its languages.
        source: the column of rows of parallel sentences, named by its language, that is translated from.
        targets: the columns that it is translated into; all other languages of the row by default.
        markers: which of ``task`` and ``lang`` are fixed.
        tokenizers: language -> sacrebleu's tokenizer, where it is not the one that sacrebleu advises.
        comet: a model of COMET, such as ``Unbabel/wmt22-comet-da``.
        comet_command: the program that runs it.
        slices: columns of the rows to break results down by.
    """

    samples = 1

    def __init__(
        self,
        template: str = TEMPLATE,
        source: str | None = None,
        targets: Sequence[str] = (),
        markers: Sequence[str] = FIXED,
        tokenizers: Mapping[str, str] | None = None,
        comet: str | None = None,
        comet_command: str = "comet-score",
        slices: Iterable[str] = (),
    ) -> None:
        for place in re.findall(r"\{(\w+)\}", template):
            if place not in PLACES:
                raise ConfigError(
                    f"{_option('template')}: {{{place}}} stands for nothing: {did_you_mean(place, PLACES)}"
                )
        if "{text}" not in template:
            raise ConfigError(f"{_option('template')}: it lacks {{text}}, for which the text is put in")
        if targets and source is None:
            raise ConfigError(f"{_option('targets')} names columns of parallel sentences: set source too")
        for name in markers:
            if name not in FIXED:
                raise ConfigError(
                    f"{_option('markers')}: {name!r} is not fixed by the task: {did_you_mean(name, FIXED)}"
                )
        self._template, self._source, self._targets = template, source, tuple(targets)
        self._markers, self._slices = tuple(markers), tuple(slices)
        self._tokenizers = _checked(tokenizers or {})
        self._met: set[str] = set()  # target languages of the cases
        self._comet = Comet(comet, comet_command, where=_option("comet")) if comet else None
        self.metrics = {
            "bleu": Metric("higher", share=False, over=("target_lang",), combine=bleu),
            "chrf": Metric("higher", share=False, over=("target_lang",), combine=chrf),
            **({"comet": Metric("higher", share=False, over=("target_lang",))} if comet else {}),
            "empty": Metric("lower"),
        }

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[TranslationCase]:
        """Read rows of one translation each, or of parallel sentences if ``source`` is set."""
        found: list[TranslationCase] = []
        for number, row in enumerate(SAMPLE if rows is None else rows, 1):
            given = self._unfold(number, row) if self._source and rows is not None else [row]
            found += [self._case(number, each) for each in given]
        self._met = {case.target for case in found}
        return found

    def _unfold(self, number: int, row: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield a row for each language that a row of parallel sentences is translated into."""
        source = str(self._source)
        languages = [column for column in row if _code(column) not in (None, _code(source)) and _text(row, column)]
        for column in (source, *self._targets):
            if not _text(row, column):
                raise DataError(
                    f"row {number}: there is no text in column {column!r}: {did_you_mean(column, languages)}"
                )
        # a text under id is Indonesian
        names = (row.get("sent_id"), row.get("id") if isinstance(row.get("id"), int) else None, number)
        name = next(each for each in names if each is not None)
        rest = {key: value for key, value in row.items() if _code(key) is None}
        for target in self._targets or languages:
            pair = {"source": row[source], "reference": row[target], "source_lang": source, "target_lang": target}
            yield {**rest, **pair, "id": f"{name}-{source}-{target}"}

    def _case(self, number: int, row: Mapping[str, Any]) -> TranslationCase:
        text, reference = _text(row, "source", "src"), _text(row, "reference", "target", "ref", "completion")
        if reference is None or (text is None and _text(row, "prompt") is None):
            raise DataError(f"row {number}: task translation needs texts source (or prompt) and reference")
        target = _language(number, row, "target_lang")
        source = _language(number, row, "source_lang") if row.get("source_lang") is not None else None
        if text is None and self._comet:
            raise DataError(f"row {number}: COMET reads the text that is translated: give it as source")
        given = row.get("markers") or {}
        if not isinstance(given, Mapping):
            raise DataError(f'row {number}: markers is no mapping: write {{"domain": "Legal"}}')
        markers = {name: value for name, value in given.items() if value is not None}
        facts = {name: str(row[name]) for name in self._slices if row.get(name) is not None}
        facts |= {"target_lang": target, **({"source_lang": source} if source else {})}
        facts["tokenizer"] = self._tokenizer(target)
        prompt = _text(row, "prompt") or self._asked(number, str(text), source, target)
        return TranslationCase(str(row.get("id", number)), prompt, text, reference, target, markers, facts)

    def _asked(self, number: int, text: str, source: str | None, target: str) -> str:
        if source is None and "{source}" in self._template:
            raise DataError(f"row {number}: the template names the source language: give it as source_lang")
        said = {"text": text, "target": NAMES[target], "source": NAMES.get(source or "", "")}
        return re.sub(r"\{(\w+)\}", lambda place: said[place[1]], self._template)

    def _tokenizer(self, code: str) -> str:
        return self._tokenizers.get(code) or advised(code)

    def prepare(self, setting: Setting) -> None:
        """Say how BLEU cuts where it is not as advised, and leave out markers that the model does not know."""
        import sacrebleu

        setting.say(
            f"BLEU and chrF are those of sacrebleu {sacrebleu.__version__}; the slice tokenizer says how BLEU cuts"
        )
        for code in sorted(self._met & ADVISED.keys() - self._tokenizers.keys()):
            if advised(code) == CHARACTERS:
                more = f"pip install 'sacrebleu[{code}]' gives {ADVISED[code]}"
                setting.say(f"BLEU cuts {NAMES[code]} into characters: {more}")
        if setting.checkpoint is not None and setting.checkpoint.marked:
            known = {kind.name for kind in setting.checkpoint.taxonomy}
            for name in self._markers:
                if name not in known:
                    setting.say(f"the model knows no marker {name}, so it is not asked for")
            self._markers = tuple(name for name in self._markers if name in known)

    def request(self, case: TranslationCase, policy: str) -> Request:
        """Ask in words; under ``fixed`` with the markers too, and with those of the row."""
        own: dict[str, Value] = {"task": "Translation", "lang": NAMES[case.target]}
        row = {name: value for name, value in case.markers.items() if name not in own}
        markers = {**{name: own[name] for name in self._markers}, **row} if policy == "fixed" else {}
        return Request(case.id, (Message("user", case.prompt),), markers)

    def score(self, case: TranslationCase, generation: Generation) -> dict[str, Score]:
        """Return the counts that BLEU and chrF are made of. COMET is found by `score_all`, for all cases together."""
        answer = generation.text
        return {
            "bleu": bleu_counts(answer, case.reference, self._tokenizer(case.target)),
            "chrf": chrf_counts(answer, case.reference),
            "empty": float(not answer.strip()),
        }

    def score_all(
        self, cases: Sequence[TranslationCase], answers: Sequence[Sequence[Generation]]
    ) -> list[dict[str, Score]]:
        """Return the scores of each case."""
        found = [self.score(case, given[0]) for case, given in zip(cases, answers, strict=True)]
        if self._comet:
            texts = [
                (str(case.text), given[0].text, case.reference) for case, given in zip(cases, answers, strict=True)
            ]
            for scores, comet in zip(found, self._comet.scores(texts), strict=True):
                scores["comet"] = comet
        return found

    def slices(self, case: TranslationCase) -> Mapping[str, str]:
        """Break down by the languages, by how BLEU cuts, and by the columns that were asked for."""
        return case.facts


def _option(name: str) -> str:
    return f"evaluate.options.translation.{name}"


def _text(row: Mapping[str, Any], *names: str) -> str | None:
    """Return the first column that holds a text; an empty one is none."""
    return next((row[name] for name in names if isinstance(row.get(name), str) and row[name].strip()), None)


def _code(language: object) -> str | None:
    """Return the ISO code of a language of the taxonomy, by its name or a code (``de-AT``, ``deu_Latn``)."""
    text = str(language).strip().lower()
    names = {name.lower(): code for name, code in LANGUAGES.items()}
    found = re.fullmatch(r"([a-z]{2,3})(?:[-_][a-z]{2,4})?", text)
    first = found[1] if found else ""
    return names.get(text) or (first if first in NAMES else CODES.get(first))


def _language(number: int, row: Mapping[str, Any], column: str) -> str:
    """Return the ISO code of the language that a column names."""
    code = _code(row.get(column))
    if code is None:
        hint = did_you_mean(str(row.get(column)), [*LANGUAGES, *NAMES])
        raise DataError(f"row {number}: {column} = {row.get(column)!r} is no language of the taxonomy: {hint}")
    return code


def _checked(tokenizers: Mapping[str, str]) -> dict[str, str]:
    """Return tokenizers by ISO code."""
    found = {}
    for language, name in tokenizers.items():
        code, where = _code(language), f"{_option('tokenizers')}.{language}"
        if code is None:
            raise ConfigError(f"{where}: this is no language: {did_you_mean(language, [*LANGUAGES, *NAMES])}")
        check(name, where=where)
        found[code] = name
    return found


SAMPLE = (
    {
        "id": "1", "source_lang": "en", "target_lang": "de", "source": "The ferry leaves at noon if the wind permits.",
        "reference": "Die Fähre legt um zwölf Uhr ab, wenn der Wind es zulässt.",
    },
    {
        "id": "2", "source_lang": "en", "target_lang": "de", "source": "Who has put the bread on the windowsill?",
        "reference": "Wer hat das Brot auf die Fensterbank gelegt?",
    },
    {
        "id": "3", "source_lang": "en", "target_lang": "fr", "source": "My aunt grows tomatoes behind the old station.",
        "reference": "Ma tante cultive des tomates derrière l'ancienne gare.",
    },
    {
        "id": "4", "source_lang": "en", "target_lang": "fr", "source": "The lamp went out before the guests arrived.",
        "reference": "La lampe s'est éteinte avant l'arrivée des invités.",
    },
    {
        "id": "5", "source_lang": "en", "target_lang": "zh", "source": "Tomorrow we are going to the library together.",
        "reference": "明天我们一起去图书馆。",
    },
    {
        "id": "6", "source_lang": "en", "target_lang": "zh", "source": "This bridge is two hundred years old.",
        "reference": "这座桥有两百年的历史。",
    },
)  # fmt: skip
"""The embedded sample, of our own."""
