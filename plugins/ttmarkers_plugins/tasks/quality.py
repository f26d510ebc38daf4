"""Task ``quality``: what asking for a better or worse answer does to it, by a reward model or a program.

Source: D'souza et al. 2025, section 4.4 (figure 5): win rate by a reward model under each ``quality_bucket``, with the
``quality`` at the 95th percentile of the same language and bucket.

**A judge that also made the markers is circular.** A model that learned its quality markers from the scores of one
reward model learned what *that* model likes; that it then wins by the same model's scores says that it learned its
markers, and not that its answers are better. For the second, score with another model, or with ``winrate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from ttmarkers.datasets import rows as read_rows
from ttmarkers.datasets import to_prompt
from ttmarkers.errors import ConfigError
from ttmarkers.evaluation.tail import known_markers
from ttmarkers.records import Metric, Origin, Request
from ttmarkers_plugins.marker_types import LANGUAGES
from ttmarkers_plugins.policies.scorers import LazyRater, Texts
from ttmarkers_plugins.tasks.opponents import opponent, own_answer, sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.protocols import Setting
    from ttmarkers.records import Generation, Message, Value

BUCKETS = ("1", "2", "3", "4")
POOL = ""  # rows of all languages together
HIGH = 0.95
OF_MODEL = "model"  # in place of a file: what the model's markers.json holds
SECTION = "evaluate.options.quality"
CODES = {code: name for name, code in LANGUAGES.items()}

Percentiles = dict[str, dict[str, float]]
"""Language -> bucket -> quality at the 95th percentile; `POOL` stands for languages that are not named."""


@dataclass(frozen=True)
class QualityCase:
    """A prompt, the bucket that it is asked with (empty for none), and another system's answer if its row has one.

    ``group`` is the name that the same prompt has in all buckets.
    """

    id: str
    group: str
    prompt: tuple[Message, ...]
    bucket: str
    lang: str
    other: str | None = None
    known: Mapping[str, Value] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text by which a stored answer may be matched: none where a prompt is asked several times."""
        return () if self.bucket else (self.prompt[-1].content,)


class QualityTask:
    """Win rate by scores against another system's answers, by the quality that is asked for; 1 is the best.

    Under ``fixed`` each prompt is asked with each ``quality_bucket``, and with its ``quality`` where percentiles are
    given; a case is then named ``NAME@BUCKET``. Under other policies nothing can be asked for, and each prompt is one
    case (`choose`). An answer that scores higher than the other system's to the same prompt is a win, the same a tie.
    ``reward`` is the score itself. See this module's text for what these figures do not say.

    Args:
        scorer: ``reward-model`` or ``program`` (`ttmarkers_plugins.policies.scorers`).
        percentiles: an annotated file, whose ``quality`` is looked at by ``lang`` and ``quality_bucket``; or ``model``,
            for what the model's ``markers.json`` keeps of its training data; or a mapping ``{French: {1: 4.5}}``.
        buckets: those that are asked with; none asks each prompt once.
        slices: columns of the rows to break results down by.
        options: of the scorer: ``model`` and others of the extractor ``reward-model``, or ``command`` and ``seconds``.
    """

    metrics: ClassVar[dict[str, Metric]] = {"win_rate": Metric("higher"), "reward": Metric("higher", share=False)}
    samples = 1

    def __init__(
        self,
        scorer: str = "reward-model",
        percentiles: str | Mapping[Any, Mapping[Any, float]] | None = None,
        buckets: Iterable[Any] = BUCKETS,
        slices: Iterable[str] = (),
        **options: Any,
    ) -> None:
        self._rater = LazyRater("quality", scorer, options)
        self._buckets = tuple(map(str, buckets))
        for name in self._buckets:
            if name not in BUCKETS:
                raise ConfigError(f"{SECTION}.buckets: {name!r} is none of {', '.join(BUCKETS)}")
        self._slices = tuple(slices)
        self._given = percentiles
        self._percentiles: Percentiles = {}
        self._against: Mapping[str, str] = {}
        self._cases: list[QualityCase] = []

    def cases(self, rows: Iterable[Mapping[str, Any]] | None) -> list[QualityCase]:
        """Read rows with ``prompt``, ``instruction`` or ``messages``; each is a case in each bucket.

        They may have another system's answer (``output`` or ``reference``), ``lang`` and ``markers``.
        """
        self._cases = []
        for number, row in enumerate(sample() if rows is None else rows, 1):
            case = self._case(number, row)
            named = [replace(case, id=f"{case.group}@{bucket}", bucket=bucket) for bucket in self._buckets]
            self._cases += named or [case]
        return list(self._cases)

    def _case(self, number: int, row: Mapping[str, Any]) -> QualityCase:
        prompt, known = to_prompt(row, Origin("data", number)), known_markers(row)
        lang = str(known.get("lang") or row.get("lang") or POOL)
        facts = {name: str(row[name]) for name in self._slices if row.get(name) is not None}
        name = str(row.get("id", number))
        return QualityCase(name, name, prompt, "", CODES.get(lang, lang), own_answer(row), known, facts)

    def choose(self, cases: Sequence[QualityCase], policy: str) -> list[QualityCase]:
        """Return the cases to ask under a policy: each prompt once, unless ``fixed`` asks for its buckets."""
        if policy == "fixed":
            return list(cases)
        return list({case.group: replace(case, id=case.group, bucket="") for case in cases}.values())

    def prepare(self, setting: Setting) -> None:
        """Take in the other system's answers and the percentiles, and load the scorer."""
        self._against = setting.against
        if self._cases and all(case.other is None and self._answered(case) is None for case in self._cases):
            self._other(self._cases[0])
        self._percentiles = self._high(setting)
        self._rater.load()

    def request(self, case: QualityCase, policy: str) -> Request:
        """Ask the prompt; under ``fixed`` with the case's bucket, and the quality that belongs to it if given."""
        self._other(case)
        if policy != "fixed" or not case.bucket:
            return Request(case.id, case.prompt)
        markers: dict[str, Value] = {"quality_bucket": case.bucket}
        if self._percentiles:
            markers["quality"] = self._quality(case)
        return Request(case.id, case.prompt, markers)

    def score(self, case: QualityCase, generation: Generation) -> dict[str, float]:
        """Score one answer and the other system's."""
        return self.score_all([case], [[generation]])[0]

    def score_all(
        self, cases: Sequence[QualityCase], answers: Sequence[Sequence[Generation]]
    ) -> list[dict[str, float]]:
        """Score all answers together; of each prompt, each text once."""
        groups: dict[str, tuple[QualityCase, dict[str, None]]] = {}
        for case, found in zip(cases, answers, strict=True):
            _, texts = groups.setdefault(case.group, (case, {}))
            texts |= dict.fromkeys((self._other(case), found[0].text))
        asked = [Texts(name, case.prompt, tuple(texts)) for name, (case, texts) in groups.items()]
        rated = self._rater.load().rate(asked)
        scores = {
            each.id: dict(zip(each.answers, numbers, strict=True)) for each, numbers in zip(asked, rated, strict=True)
        }
        return [
            _compared(scores[case.group][found[0].text], scores[case.group][self._other(case)])
            for case, found in zip(cases, answers, strict=True)
        ]

    def slices(self, case: QualityCase) -> dict[str, str]:
        """Break down by the bucket, and by the columns that were asked for."""
        return {**({"quality_bucket": case.bucket} if case.bucket else {}), **case.facts}

    def _answered(self, case: QualityCase) -> str | None:
        """Return the answer of ``--against``, which may be kept by the case's name or by its prompt's."""
        return self._against.get(case.group, self._against.get(case.id))

    def _other(self, case: QualityCase) -> str:
        found = self._answered(case)
        return opponent(case.group, case.other, {} if found is None else {case.group: found}, task="quality")

    def _high(self, setting: Setting) -> Percentiles:
        if self._given is None:
            return {}
        if self._given == OF_MODEL:
            return _of_model(setting)
        if isinstance(self._given, str):
            return _of_file(self._given)
        return _of_mapping(self._given)

    def _quality(self, case: QualityCase) -> float:
        of_language = self._percentiles.get(case.lang, self._percentiles.get(POOL, {}))
        if case.bucket not in of_language:
            raise ConfigError(
                f"{SECTION}.percentiles has none of language {case.lang or '(not known)'!r} in bucket {case.bucket} "
                f"(case {case.id!r}): add it, or leave the bucket out of {SECTION}.buckets"
            )
        return of_language[case.bucket]


def _compared(ours: float, theirs: float) -> dict[str, float]:
    return {"win_rate": 0.5 if ours == theirs else float(ours > theirs), "reward": ours}


def _of_file(name: str) -> Percentiles:
    """Return the percentiles of an annotated file, by language and over all languages."""
    import numpy

    found: dict[str, dict[str, list[float]]] = {}
    for _, row in read_rows([name]):
        markers = known_markers(row)
        if "quality" in markers and "quality_bucket" in markers:
            for lang in {str(markers.get("lang", POOL)), POOL}:
                of_bucket = found.setdefault(lang, {}).setdefault(str(markers["quality_bucket"]), [])
                of_bucket.append(float(markers["quality"]))
    if not found:
        raise ConfigError(f"{SECTION}.percentiles: no row of {name} has both markers quality and quality_bucket")
    return {
        lang: {bucket: round(float(numpy.quantile(scores, HIGH)), 4) for bucket, scores in buckets.items()}
        for lang, buckets in found.items()
    }


def _of_model(setting: Setting) -> Percentiles:
    """Return what was fitted on the model's training data (`ttmarkers_plugins.extractors.quality`)."""
    facts = setting.checkpoint.facts if setting.checkpoint else {}
    groups = facts.get("fitted", {}).get("quality-quartiles", {}).get("groups", {})
    if not groups:
        raise ConfigError(f"{SECTION}.percentiles = {OF_MODEL!r}: the model's markers.json holds none: give a file")
    return {lang: {bucket: round(score, 4) for bucket, score in group["p95"].items()} for lang, group in groups.items()}


def _of_mapping(given: Mapping[Any, Mapping[Any, float]]) -> Percentiles:
    try:
        return {
            CODES.get(str(lang), str(lang)): {str(bucket): float(score) for bucket, score in buckets.items()}
            for lang, buckets in given.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(f"{SECTION}.percentiles: write languages with buckets: {{French: {{1: 4.5}}}}") from None
