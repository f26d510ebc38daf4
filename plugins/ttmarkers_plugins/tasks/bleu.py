"""BLEU and chrF of many sentences from counts of each, by sacrebleu (Post 2018, arXiv 1804.08771; Popović 2015).

The counts of sentences are added up and made into the figure of all, so that any selection of them has its own: this is
what a bootstrap over sentences needs. The figures are those of ``sacrebleu.corpus_bleu`` and ``corpus_chrf``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

ADVISED = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
"""sacrebleu's tokenizer for a target language; 13a for all others."""
CHARACTERS = "char"
WHOLE = 10**6  # a mean over seeds may have no whole length; such a part of it is kept


def check(name: str, *, where: str) -> None:
    """Check a tokenizer that a user names.

    Raises:
        ConfigError: if there is none of that name, or it cannot be made.
    """
    from sacrebleu.metrics.bleu import BLEU

    if name not in BLEU.TOKENIZERS:
        raise ConfigError(f"{where} = {name!r}: {did_you_mean(str(name), BLEU.TOKENIZERS)}")
    try:
        _bleu(name)
    except (RuntimeError, ImportError, OSError) as error:
        raise ConfigError(f"{where} = {name!r}: {' '.join(str(error).split())}") from error


@cache
def advised(code: str) -> str:
    """Return the tokenizer that sacrebleu advises for a language, or characters where a package for it is missing."""
    name = ADVISED.get(code, "13a")
    try:
        _bleu(name)
    except (RuntimeError, ImportError):
        return CHARACTERS
    return name


def bleu_counts(answer: str, reference: str, tokenizer: str) -> tuple[float, ...]:
    """Return the lengths of both texts in tokens, then matches and n-grams of the answer, by order."""
    found = _bleu(tokenizer).sentence_score(answer, [reference])
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def bleu(sums: Sequence[float]) -> float:
    """Return BLEU, from 0 to 100, of what `bleu_counts` found, added up."""
    from sacrebleu.metrics.bleu import BLEU

    ours, theirs, *counts = sums
    half = len(counts) // 2
    # only the ratio of the lengths matters, and sacrebleu wants whole ones
    lengths = (round(WHOLE * ours), round(WHOLE * theirs))
    return float(BLEU.compute_bleu(counts[:half], counts[half:], *lengths, smooth_method="exp").score)  # type: ignore[arg-type]


def chrf_counts(answer: str, reference: str) -> tuple[float, ...]:
    """Return n-grams of both texts and matches by order, which sacrebleu counts and does not tell."""
    return tuple(_chrf()._extract_corpus_statistics([answer], [[reference]])[0])


def chrf(sums: Sequence[float]) -> float:
    """Return chrF, from 0 to 100, of what `chrf_counts` found, added up."""
    return float(_chrf()._compute_score_from_stats(list(sums)).score)


@cache
def _bleu(tokenizer: str) -> Any:
    """Return sacrebleu's metric. The effective order, which it warns without, changes no counts."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, effective_order=True)


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
