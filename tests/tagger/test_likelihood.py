"""Extractor lm against models that are asked one text and one value at a time, without any cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ttmarkers.annotation.guides import Briefing, Guide, ValueGuide
from ttmarkers.components import MarkerType, read_data
from ttmarkers.errors import ConfigError
from ttmarkers_plugins.tagger.likelihood import CONTENT_FREE, TEMPLATE, LikelihoodExtractor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers.annotation.extraction import Row

LONG = ("French", "la capitale", "z", "German or what is the")  # of two and more tokens
SHORT = ("la", "de", "capital")  # of one
TEXTS = ("What is the capital of France?", "", "Was\n\nist? " * 9, "la", "Quelle est la capitale ?", "X y z.", "你好")


@pytest.fixture(scope="module", params=["llama", "gpt2", "mistral"])
def folder(
    request: pytest.FixtureRequest,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Models with rotary embeddings, with a vector learnt for each of few places, and with a short window."""
    path = tmp_path_factory.mktemp("model") / str(request.param)
    made = {"llama": lambda: model, "gpt2": lambda: gpt2(tokenizer), "mistral": lambda: mistral(tokenizer)}
    made[request.param]().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def gpt2(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Make a GPT-2 with random weights, large enough to tell texts apart."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=400, initializer_range=0.2,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return GPT2LMHeadModel(config)


def mistral(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Make a Mistral with random weights, whose layers see no more than the last 32 tokens."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=16, initializer_range=0.3, sliding_window=32, max_position_embeddings=400,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return MistralForCausalLM(config)


def briefing(values: Sequence[str], reads: Any = "prompt", question: str = "Which is it?") -> Briefing:
    """Ask for a marker with these values."""
    guide = Guide(question, reads, {value: ValueGuide("What is it?" if value == "la" else "") for value in values})
    return Briefing((MarkerType("kind", "A kind.", "categorical", tuple(values)),), {"kind": guide})


def prepared(folder: Path, values: Sequence[str], reads: str = "prompt", **options: Any) -> LikelihoodExtractor:
    """Return an extractor of the marker."""
    extractor = LikelihoodExtractor(str(folder), device="cpu", **options)
    extractor.prepare(briefing(values, reads))
    return extractor


def direct(folder: Path, values: Sequence[str], texts: Sequence[str], most: int = 10**9) -> Tensor:
    """Return the log-likelihoods, by one pass for each text and value."""
    import torch
    from jinja2 import Template
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    macros: Any = Template(read_data(TEMPLATE)).module
    guide = briefing(values).guides["kind"]
    said = [{"name": name, "definition": entry.definition} for name, entry in guide.values.items()]

    def tokens(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    scores = torch.zeros(len(texts), len(values))
    for row, text in enumerate(texts):
        middle = tokens(text)
        if len(middle) > most:
            middle = middle[: most - most // 2] + middle[len(middle) - most // 2 :]
        before = tokens(macros.prefix(guide.question, said)) + middle + tokens(macros.suffix())
        for column, value in enumerate(values):
            name = tokens(f" {value}")
            with torch.inference_mode():
                logits = model(torch.tensor([before + name]), use_cache=False).logits[0].log_softmax(-1)
            scores[row, column] = sum(logits[len(before) - 1 + n, token] for n, token in enumerate(name))
    return scores


@pytest.mark.parametrize("values", [LONG, SHORT])
def test_scores_are_those_without_caches(folder: Path, values: tuple[str, ...]) -> None:
    """Rows of different lengths and values of different numbers of tokens, in batches and alone."""
    import torch
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    lengths = {len(tokenizer(f" {value}", add_special_tokens=False)["input_ids"]) for value in values}
    assert lengths == {1} if values is SHORT else len(lengths) > 1
    wanted = direct(folder, values, TEXTS)
    assert len(set(wanted.argmax(1).tolist())) > 1 or wanted.std(0).min() > 0.01  # texts matter
    for size in (1, 3, 100):
        found = prepared(folder, values, batch_size=size)._scores("kind", TEXTS)
        torch.testing.assert_close(found, wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("calibrate", [True, False])
def test_answers(folder: Path, subject: Callable[..., Row], calibrate: bool) -> None:
    """The confidence is the share of a value; calibration takes off the mean over texts that say nothing.

    Of an empty text nothing is said.
    """
    texts = [text for text in TEXTS if text]
    scores = direct(folder, LONG, texts)
    if calibrate:
        scores = scores - direct(folder, LONG, CONTENT_FREE).log_softmax(-1).mean(0)
    chances = scores.softmax(-1)
    extractor = prepared(folder, LONG, calibrate=calibrate, batch_size=3)
    rows = [subject(text) for text in texts]
    assert [bool(row) for row in extractor.extract([subject(text) for text in TEXTS])] == [bool(t) for t in TEXTS]
    found = [row["kind"] for row in extractor.extract(rows)]
    assert [entry.value for entry in found] == [LONG[best] for best in chances.argmax(1).tolist()]
    assert [entry.confidence for entry in found] == pytest.approx(chances.max(1).values.tolist(), abs=1e-3)
    for row, entry in zip(rows[::-1], found[::-1], strict=True):
        alone = extractor.extract([row])[0]["kind"]
        assert alone.value == entry.value
        assert alone.confidence == pytest.approx(entry.confidence, abs=2e-4)


@pytest.mark.parametrize("most", [1, 4, 5])
def test_the_middle_of_long_texts_is_left_out(folder: Path, most: int) -> None:
    """So many tokens are read, the odd one at the beginning."""
    import torch

    text = "What is this? Paris, Berlin, and then the end."
    found = prepared(folder, SHORT, max_tokens=most)._scores("kind", [text])
    torch.testing.assert_close(found, direct(folder, SHORT, [text], most), atol=2e-4, rtol=1e-4)


def test_what_a_tagger_is_shown(folder: Path, subject: Callable[..., Row]) -> None:
    """Prompt, completion or both, as the guide says."""
    row = subject("What is the capital?", "The capital of France is Paris, la la.")
    for reads, text in (
        ("prompt", row.example.instruction),
        ("completion", row.example.completion),
        ("both", f"{row.example.instruction}\n\n{row.example.completion}"),
    ):
        extractor = prepared(folder, LONG, reads)
        chances = (extractor._scores("kind", [text]) - extractor._without["kind"]).softmax(-1)
        assert extractor.extract([row])[0]["kind"].confidence == pytest.approx(float(chances.max()), abs=1e-4)


def test_texts_longer_than_the_model_can_read(folder: Path, subject: Callable[..., Row]) -> None:
    """The middle is left out too if the model has fewer places than max_tokens; long guides are refused."""
    extractor = prepared(folder, SHORT, max_tokens=10**6)
    row = subject("no end of it " * 1000)
    assert extractor.extract([row, subject("la")])[0] == extractor.extract([row])[0]
    with pytest.raises(ConfigError, match="cannot read as much as is said of kind: shorten its guide"):
        extractor.prepare(briefing(SHORT, question="Why? " * 1000))


def test_what_cannot_be_loaded(folder: Path, tmp_path: Path) -> None:
    """A missing option, a name that no hub is there for, and damaged folders are one sentence each."""
    with pytest.raises(ConfigError, match=r"needs a model: set markers\.options.lm.model"):
        LikelihoodExtractor()
    for name in ("/no/such/model", "nobody/nothing", str(tmp_path)):
        with pytest.raises(ConfigError, match="cannot be loaded") as raised:
            LikelihoodExtractor(name)
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(b"broken" if file.suffix == ".safetensors" else file.read_bytes())
    with pytest.raises(ConfigError, match="cannot be loaded: Error while deserializing"):
        LikelihoodExtractor(str(tmp_path))


def test_what_it_cannot_find(folder: Path) -> None:
    """Numbers, and categories without a guide."""
    extractor = LikelihoodExtractor(str(folder))
    whole = briefing(LONG)
    for asked in (
        Briefing(whole.types, {}),
        Briefing((MarkerType("kind", "A number.", "int"),), {"kind": Guide("How many?", "prompt", {})}),
    ):
        with pytest.raises(ConfigError, match="extractor 'lm' cannot find 'kind': it finds categories with a guide"):
            extractor.prepare(asked)
