"""What stands in for models and servers that components need, so that they can be checked here."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from endpoint_server import KEY, Server
from reward_model import save_reward_model
from support import marked
from ttmarkers.annotation.tagging import TaggerJob
from ttmarkers.components import MarkerType
from ttmarkers.testing import plugins_with
from ttmarkers_plugins.llm import endpoint
from ttmarkers_plugins.tagger.distilled import DistilledExtractor
from ttmarkers_plugins.tagger.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers.plugins.manager import Plugins

MOOD = MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"), {":-)": "happy", ":-(": "sad"})


@pytest.fixture(scope="session")
def with_mood() -> Plugins:
    """The built-ins, and the marker type `MOOD`."""
    return plugins_with(MOOD, installed=False)


@pytest.fixture(scope="session")
def reward_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> str:
    """The folder of a reward model with random weights."""
    return str(save_reward_model(tmp_path_factory.mktemp("reward"), tokenizer))


@pytest.fixture(scope="session")
def language_model(
    tmp_path_factory: pytest.TempPathFactory, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> str:
    """The folder of a language model with random weights."""
    folder = tmp_path_factory.mktemp("lm")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tagger that tells moods."""
    rows = [
        {
            "id": f"r{number}",
            "prompt": f"Row {number}: they thought of {('joy', 'grief')[number % 2]} and went home.",
            "completion": "Well.",
            "markers": {"mood": MOOD.values[number % 2]},
        }
        for number in range(80)
    ]
    folder = tmp_path_factory.mktemp("tagger") / "tagger"
    DistilledExtractor.train(TaggerJob(marked(rows), (MOOD,), {}, folder, 0))
    return str(folder)


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let texts have vectors that depend on them alone, in place of an embedding model."""

    def encode(_: Encoder, texts: Sequence[str]) -> Any:
        seeds = [zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts]
        found = numpy.stack([numpy.random.default_rng(seed).normal(size=16) for seed in seeds])
        return (found / numpy.linalg.norm(found, axis=1, keepdims=True)).astype("float32")

    monkeypatch.setattr(Encoder, "__init__", lambda *_: None)
    monkeypatch.setattr(Encoder, "encode", encode)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An endpoint that answers by the text alone, with a key and a cache of the test's own."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(endpoint, "LONGEST_WAIT", 0.02)
    server = Server()
    yield server
    server.close()
