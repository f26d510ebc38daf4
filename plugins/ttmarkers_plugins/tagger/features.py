"""What a small classifier sees of a text: hashed words and word pairs of its parts, and some facts of its form.

The first line is apart from the rest, for it mostly says what is asked for; its first three words once more. Words are
hashed, so that there is no vocabulary to keep, and weighted by how rare they are in the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttmarkers_plugins.tagger.encoder import head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ttmarkers_plugins.tagger.encoder import Encoder

BITS = 17
OPENING = 3  # words
REST = 600  # characters of the end of a text
WEIGHTS = {"head": 1.0, "opening": 0.5, "rest": 0.6}
FORM = 0.3
FIRST_LINE = 0.5  # weight of its embedding beside that of the whole text
# one character is a word in scripts without spaces
TOKEN = r"(?u)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[?:]"


@dataclass
class Features:
    """Turns texts into rows of a sparse matrix.

    Attributes:
        rarity: for each part the weight of each hashed word; fitted by `fit`.
        encoder: adds embeddings of first line and whole text, if there is one.
    """

    rarity: dict[str, NDArray[Any]]
    encoder: Encoder | None = None

    @classmethod
    def fit(cls, texts: Sequence[str], encoder: Encoder | None = None) -> Features:
        """Weigh words by how rare they are in some texts."""
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = _counts(texts)
        rarity = {name: TfidfTransformer(norm=None).fit(part).idf_.astype("float32") for name, part in counts.items()}
        return cls(rarity, encoder)

    def transform(self, texts: Sequence[str]) -> Any:
        """Return a sparse matrix with one row for each text."""
        from scipy.sparse import csr_matrix, hstack
        from sklearn.preprocessing import normalize

        parts = []
        for name, part in _counts(texts).items():
            part.data = 1 + _log(part.data)
            part.data *= self.rarity[name][part.indices]
            parts.append(normalize(part, copy=False) * WEIGHTS[name])
        parts.append(csr_matrix(_form(texts)))
        if self.encoder:
            first, whole = self.encoder.encode_both(texts)
            parts += [csr_matrix(first * FIRST_LINE), csr_matrix(whole)]
        return hstack(parts, format="csr", dtype="float32")


def _counts(texts: Sequence[str]) -> dict[str, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        n_features=2**BITS, ngram_range=(1, 2), norm=None, alternate_sign=False, token_pattern=TOKEN, dtype="float32"
    )
    heads = [head(text) for text in texts]
    cut = [
        {"head": first, "opening": " ".join(first.split()[:OPENING]), "rest": text[len(first) :][-REST:]}
        for first, text in zip(heads, texts, strict=True)
    ]
    return {name: hashing.transform(row[name] for row in cut) for name in WEIGHTS}


def _form(texts: Sequence[str]) -> Any:
    """Return lengths, question marks and whether there is more than one line."""
    import numpy

    rows = [
        (
            _log(1 + len(text)) / 5,
            _log(1 + max(len(text) - len(head(text)), 0)) / 5,
            "?" in head(text),
            text.rstrip().endswith("?"),
            "\n" in text.strip(),
        )
        for text in texts
    ]
    return numpy.asarray(rows, dtype="float32") * FORM


def _log(values: Any) -> Any:
    import numpy

    return numpy.log(values)
