"""Extractor embedding with vectors that are chosen here, and with a tiny model; the other taggers with that model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy
import pytest

from support import plan_of
from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.guides import Briefing, Guide, ValueGuide
from ttmarkers.annotation.plan import brief
from ttmarkers.annotation.tagging import TaggerJob
from ttmarkers.components import ExtractorComponent, GuideComponent, MarkerType
from ttmarkers.errors import ConfigError
from ttmarkers.records import MarkedExample, Message, Origin
from ttmarkers.taxonomies.taxonomy import Taxonomy
from ttmarkers_plugins.tagger.distilled import DistilledExtractor
from ttmarkers_plugins.tagger.embedding import EmbeddingExtractor
from ttmarkers_plugins.tagger.encoder import HEAD_CHARS, HEAD_WORDS, Encoder, head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ttmarkers.annotation.extraction import Row

    Subjects = Callable[..., Row]

WORDS = ("joy", "sunny", "tears", "grief", "rage", "furious", "joie")
PLACES = {"joy": 0, "sunny": 0, "tears": 1, "grief": 1, "rage": 2, "furious": 2, "joie": 0}
GUIDE = """
markers:
  mood:
    question: How does the answer feel?
    reads: completion
    values:
      happy: {definition: Full of joy., examples: ["sunny"]}
      sad: {definition: Full of tears.}
      angry: {definition: Full of rage.}
"""


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Let texts lie on an axis for each mood, by their words; returns what was embedded, call by call."""
    seen: list[list[str]] = []

    def encode(_: Encoder, texts: Sequence[str]) -> Any:
        seen.append(list(texts))
        found = numpy.full((len(texts), 4), 0.01, dtype="float32")
        for row, text in zip(found, texts, strict=True):
            for word in WORDS:
                row[PLACES[word]] += text.lower().count(word)
        return found / numpy.linalg.norm(found, axis=1, keepdims=True)

    monkeypatch.setattr(Encoder, "__init__", lambda *_: None)
    monkeypatch.setattr(Encoder, "encode", encode)
    return seen


def test_the_nearest_definition_wins(vectors: object, mood: MarkerType, guide: Guide, subject: Subjects) -> None:
    """Its value is found, none of an empty text; confidence is less where two are near, and the same in any batch."""
    extractor = EmbeddingExtractor()
    extractor.prepare(Briefing((mood,), {"mood": guide}))
    rows = [
        subject("What grief!"),
        subject("All joy"),
        subject("furious"),
        subject("rage and tears, rage"),
        subject(""),
    ]
    *results, nothing = extractor.extract(rows)
    assert nothing == {}
    found = [row["mood"] for row in results]
    assert [entry.value for entry in found] == ["sad", "happy", "angry", "angry"]
    assert found[3].confidence < found[2].confidence
    assert [extractor.extract([row])[0]["mood"] for row in rows[:4]] == found
    assert all(0 < entry.confidence <= 1 for entry in found)


def test_first_line_and_whole_text_count_alike(
    vectors: list[list[str]], mood: MarkerType, guide: Guide, subject: Subjects
) -> None:
    """Against a first line the rest of the text weighs as much; a text of one line is embedded once."""
    extractor = EmbeddingExtractor()
    extractor.prepare(Briefing((mood,), {"mood": guide}))
    vectors.clear()
    first, more = extractor.extract([subject("joy"), subject("joy\n\nrage rage rage rage rage")])
    assert vectors == [["joy", "joy\n\nrage rage rage rage rage"]]
    assert first["mood"].confidence > more["mood"].confidence
    line = extractor.extract([subject("joy rage rage rage rage rage")])[0]["mood"]
    assert line.value == "angry"
    assert more["mood"].value == "happy" or more["mood"].confidence < line.confidence - 0.05


def test_examples_of_other_languages(vectors: list[list[str]], mood: MarkerType, guide: Guide) -> None:
    """They are used where the options name them."""
    guide.values["happy"].examples["fr"] = ["Quelle joie"]
    for languages, said in ((["en"], False), (["en", "fr"], True)):
        vectors.clear()
        EmbeddingExtractor(languages=languages).prepare(Briefing((mood,), {"mood": guide}))
        assert ("Quelle joie" in vectors[0]) == said
        assert {"Such as joy.", "Some sunny words"} <= set(vectors[0])


def test_a_marker_of_a_plugin(vectors: object, mood: MarkerType, subject: Subjects) -> None:
    """Its guide is told to the extractor, which is shown what the guide says."""
    component = ExtractorComponent(
        "embedding", "By embeddings.", EmbeddingExtractor, reads=("completion",), default=False, guided=True
    )
    plan = plan_of(Taxonomy((mood,)), [component], {"extractors": {"mood": ["embedding"]}})
    extraction = Extraction(brief(plan, [GuideComponent("mood", "What moods mean.", GUIDE)], ()))
    (row,) = extraction.run([subject("Rage?", "Oh what joy").example])
    assert row.error is None
    assert row.markers == {"mood": "happy"}
    assert row.meta["mood"]["source"] == "extractor:embedding"


@pytest.mark.parametrize("lack", ["guide", "definition", "values"])
def test_what_it_cannot_find(vectors: object, mood: MarkerType, guide: Guide, lack: str) -> None:
    """Without a guide, with a value of which nothing is said, and numbers."""
    guides = {} if lack == "guide" else {"mood": guide}
    if lack == "definition":
        guide.values["sad"] = ValueGuide("", {"fr": ["Quelle tristesse"]})
    kind = MarkerType("mood", "A number.", "int") if lack == "values" else mood
    with pytest.raises(ConfigError, match="extractor 'embedding' cannot find 'mood': its guide lacks definitions"):
        EmbeddingExtractor().prepare(Briefing((kind,), guides))


def test_without_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(
        ConfigError, match=r"embeddings need sentence-transformers: pip install 'ttmarkers\[embedding\]'"
    ):
        EmbeddingExtractor()


def test_first_lines() -> None:
    """Blank lines before are left out, and long ones are cut, with and without spaces."""
    assert head("\n  \n a  b\tc \nd") == "a b c"
    assert head("") == head(" \n") == ""
    assert head("w " * 100) == " ".join(["w"] * HEAD_WORDS)
    assert head("字" * 5000) == "字" * HEAD_CHARS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of sentence-transformers with random weights."""
    library = pytest.importorskip("sentence_transformers")
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    from ttmarkers.models.loading import make_tokenizer

    path = tmp_path_factory.mktemp("encoder")
    tokenizer = make_tokenizer([" ".join(WORDS), "They thought of a party and went home."], 320)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=64, initializer_range=0.3, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(path / "bert")
    end = ("<|end|>", tokenizer.convert_tokens_to_ids("<|end|>"))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A <|end|>", special_tokens=[end])
    tokenizer.model_max_length, tokenizer.padding_side = 64, "right"
    tokenizer.save_pretrained(path / "bert")
    library.SentenceTransformer(str(path / "bert"), device="cpu").save(str(path / "whole"))
    return str(path / "whole")


def test_a_real_model(folder: str, mood: MarkerType, guide: Guide, subject: Subjects) -> None:
    """Its vectors have length one; a definition is its own value's; batches do not matter; long texts are cut."""
    encoder = Encoder(folder, batch_size=3, device="cpu")
    texts = ["joy", "", "They thought of rage. " * 500, "你好"]
    vectors = encoder.encode(texts)
    numpy.testing.assert_allclose(numpy.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        numpy.testing.assert_allclose(encoder.encode([text])[0], vector, atol=1e-5)
    extractor = EmbeddingExtractor(folder, device="cpu", batch_size=2)
    extractor.prepare(Briefing((mood,), {"mood": guide}))
    rows = [subject(entry.definition) for entry in guide.values.values()]
    found = extractor.extract(rows)
    assert [row["mood"].value for row in found] == list(guide.values)
    for row, many in zip(rows, found, strict=True):
        assert extractor.extract([row])[0]["mood"].confidence == pytest.approx(many["mood"].confidence, abs=1e-4)


def test_a_distilled_tagger_with_embeddings(
    folder: str, mood: MarkerType, guide: Guide, subject: Subjects, moods: Callable[..., Any], tmp_path: Path
) -> None:
    """It loads the model that it was trained with, and refuses another."""
    rows = [
        MarkedExample(row["id"], (Message("user", row["prompt"]),), "Well.", row["markers"], Origin("rows", n))
        for n, row in enumerate(moods(90))
    ]
    job = TaggerJob(rows, (mood,), {"mood": guide}, tmp_path / "tagger", options={"encoder": folder})
    assert DistilledExtractor.train(job).markers["mood"].accuracy.value > 0.8
    extractor = DistilledExtractor(str(job.output), device="cpu")
    assert extractor.extract([subject("they thought of grief and then went home")])[0]["mood"].value == "sad"
    facts = (job.output / "tagger.json").read_text()
    assert folder in facts
    (job.output / "tagger.json").write_text(facts.replace(f'"{folder}"', "null"))
    with pytest.raises(ConfigError, match="was trained with other embeddings: train it anew"):
        DistilledExtractor(str(job.output))
    (job.output / "tagger.json").write_text(facts.replace(folder, "/no/such/model"))
    with pytest.raises(ConfigError, match="embedding model '/no/such/model' cannot be loaded"):
        DistilledExtractor(str(job.output))


@pytest.mark.parametrize("name", ["/no/such/model", "nobody/nothing", "sentence-transformers/all-mpnet-base-v2"])
def test_models_that_cannot_be_loaded(folder: str, name: str) -> None:
    """One sentence, which says what to do without a hub."""
    with pytest.raises(ConfigError, match=r"cannot be loaded: .*; without a hub give a path") as raised:
        Encoder(name)
    assert "\n" not in str(raised.value)
    assert name in str(raised.value)


def test_a_damaged_model(folder: str, tmp_path: Path) -> None:
    """Weights that are none are one sentence too."""
    import shutil

    shutil.copytree(folder, tmp_path / "broken")
    for file in (tmp_path / "broken").rglob("*.safetensors"):
        file.write_bytes(b"broken")
    with pytest.raises(ConfigError, match="cannot be loaded: Error while deserializing"):
        Encoder(str(tmp_path / "broken"))
