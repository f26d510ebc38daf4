"""Synthetic rows by name: ``synthetic:length:400`` is 400 rows of the set ``length``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.synthetic import code, corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ttmarkers.synthetic.corpus import Row

PREFIX = "synthetic:"
SETS: Mapping[str, Callable[[int, int], list[Row]]] = {
    "train": corpus.training_rows,
    "length": corpus.length_rows,
    "language": corpus.language_rows,
    "quality": corpus.quality_rows,
    "code": code.training_rows,
    "generation": partial(code.case_rows, "CodeGeneration"),
    "repair": partial(code.case_rows, "CodeFix"),
    "translation": partial(code.case_rows, "CodeTranslation"),
}
"""Name -> what makes so many rows with a seed."""


def synthetic_rows(source: str, seed: int) -> list[Row]:
    """Return the rows of ``synthetic:NAME:N``.

    Raises:
        ConfigError: if there is no such set, or no number.
    """
    name, colon, number = source.removeprefix(PREFIX).partition(":")
    if name not in SETS:
        raise ConfigError(f"{source}: there is no synthetic set {name!r}: {did_you_mean(name, SETS)}")
    if not colon or not number.isdecimal() or not int(number):
        raise ConfigError(f"{source}: say how many rows, as in {PREFIX}{name}:400")
    return SETS[name](int(number), seed)
