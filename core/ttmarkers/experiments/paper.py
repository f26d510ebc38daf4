"""What the paper measured, to be shown beside what was measured here.

Source: D'souza, Kreutzer, Morisot, Üstün, Hooker 2025, arXiv 2506.14702. Its model has 7B parameters and was
trained on 2.7M examples in 23 languages; it gives no intervals, except for translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class PaperTable:
    """A table or figure of the paper.

    Attributes:
        title: what it shows.
        head: names of its columns.
        rows: its figures.
        says: what a reader must know to compare it.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    says: str


TABLES: Mapping[str, PaperTable] = {
    "figure-2": PaperTable(
        "Figure 2: Arena-Hard, win rate against Gemma2-9B, by the domain's share of the training data",
        ("cases", "baseline", "markers inferred", "gain"),
        (
            ("all domains", "32.1 %", "37.8 %", "+5.7 points"),
            ("domains under 5 %", "-", "-", "+9.1 points"),
        ),
        "There a judge compares answers; head and tail are told apart by the domain's share of the training data.",
    ),
    "table-2": PaperTable(
        "Figure 3 and table 2: AlpacaEval-LI",
        ("", "baseline", "markers inferred", "markers fixed"),
        (
            ("answers longer than asked", "36.58 %", "24.74 %", "1.25 %"),
            ("win rate of the others", "14.36 %", "19.48 %", "21.22 %"),
        ),
        "A limit counts words and the marker counts tokens, punctuation included, so that fixed has slack.",
    ),
    "figure-4": PaperTable(
        "Figure 4: the quality lever, win rate by the reward model",
        ("quality_bucket", "4 (worst)", "1 (best)"),
        (("win rate", "48.2 %", "56.5 %"),),
        "The reward model that judges is the one that the marker comes from: the lever is measured by its own scale.",
    ),
    "figure-5": PaperTable(
        "Figure 5: HumanEvalPack, pass@1",
        ("", "baseline", "markers fixed", "relative"),
        (
            ("CodeFix", "0.216", "0.246", "+14.1 %"),
            ("CodeTranslation", "0.597", "0.636", "+6.5 %"),
            ("CodeGeneration", "0.406", "0.419", "+3.2 %"),
        ),
        "The rarer the task is in the training data, the greater is its gain.",
    ),
    "table-5": PaperTable(
        "Table 5: Language Confusion Benchmark, complex cross-lingual prompts in 14 languages",
        ("", "baseline", "markers fixed, without lang", "gain"),
        (("line-level pass rate", "68.6 %", "79.6 %", "+10.98 points"),),
        "The prompt asks for a language in words; markers are given, but never the language.",
    ),
    "table-6": PaperTable(
        "Table 6: AlpacaEval-LI with several markers",
        ("", "length_tokens", "length_tokens and domain"),
        (
            ("answers longer than asked", "1.25 %", "1.87 %"),
            ("win rate of the others", "21.22 %", "24.72 %"),
        ),
        "The second marker costs little of the first one's hold.",
    ),
    "table-7": PaperTable(
        "Table 7: accuracy of inferred markers by dropout (of the data set, of the markers)",
        ("dropout", "domain", "task", "format", "lang"),
        (
            ("0_50", "3.3 %", "1.9 %", "7.3 %", "1.2 %"),
            ("50_50", "74.9 %", "53.6 %", "47.4 %", "99.2 %"),
            ("70_50", "75.1 %", "51.4 %", "46.8 %", "99.1 %"),
        ),
        "No marker is given, so none can be copied from the prompt.",
    ),
    "translation": PaperTable(
        "Translation from English into 22 languages, XCOMET-XL",
        ("", "gain of fixed markers"),
        (("best language", "up to +1.18"), ("languages with a significant gain", "5")),
        "XCOMET-XL is a large model; BLEU and chrF stand in for it here, unless option comet names one.",
    ),
}
"""Name -> what the paper found."""


def paper_table(name: str) -> PaperTable:
    """Return a table of the paper.

    Raises:
        ConfigError: if there is none of this name.
    """
    if name not in TABLES:
        raise ConfigError(f"paper: there is no table {name!r}: {did_you_mean(name, TABLES)}")
    return TABLES[name]
