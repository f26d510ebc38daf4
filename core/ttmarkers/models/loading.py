"""Models and tokenizers: from a folder, from the Hub, or made new from the data (``scratch:tiny``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PREFIX = "scratch:"
PIECES = r" ?</?[A-Za-z_]+>| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\n|\s"
PAD, EOS = "<|pad|>", "<|end|>"


@dataclass(frozen=True)
class ScratchSize:
    """Shape of a new Llama model.

    Attributes:
        vocabulary: tokens, bytes included.
        hidden: width.
        layers: number of layers.
        heads: attention heads in each.
        inner: width inside the MLP.
        context: greatest number of tokens.
        spread: standard deviation of the first weights; narrow models learn sooner with more than Llama's 0.02.
        theta: base of the rotary embedding; a small one tells near positions apart, which short texts need.
        learning_rate: the peak that trains it well.
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    inner: int
    context: int
    spread: float
    theta: float
    learning_rate: float


SIZES = {
    # chosen for two CPU cores: tiny learns the quickstart's corpus in a minute, small sees 20,000 rows in a quarter
    # of an hour (see docs/explanation/measurements.md)
    "tiny": ScratchSize(
        1500, hidden=96, layers=2, heads=4, inner=256, context=1024, spread=0.1, theta=100.0, learning_rate=7e-3
    ),
    "small": ScratchSize(
        6000, hidden=192, layers=4, heads=4, inner=512, context=1024, spread=0.07, theta=1000.0, learning_rate=3e-3
    ),
}


def is_scratch(name: str) -> bool:
    """Return whether a model's name asks for a new one."""
    return name.startswith(PREFIX)


def scratch_size(name: str) -> ScratchSize:
    """Return the shape that a name such as ``scratch:tiny`` stands for."""
    size = name.removeprefix(PREFIX)
    if size not in SIZES:
        raise ConfigError(f"model {name!r}: there is no such size, {did_you_mean(size, SIZES)}")
    return SIZES[size]


def make_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerBase:
    """Fit a byte-level BPE tokenizer on texts.

    Words, numbers, line breaks and tags such as ``</lang>`` are never cut across, so that a tag can become one token
    and a block costs few.

    Args:
        texts: what the model will read and write.
        vocabulary: number of tokens, the 256 bytes included.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def make_model(size: ScratchSize, tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """Return a Llama model with random weights that depend on the seed alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.context,
        tie_word_embeddings=True,
        initializer_range=size.spread,
        rope_parameters={"rope_type": "default", "rope_theta": size.theta},
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or the Hub.

    Raises:
        ConfigError: if it cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"model {name!r}: its tokenizer cannot be loaded: {_first_line(error)}") from error
    return tokenizer


def load_model(name: str, **options: Any) -> PreTrainedModel:
    """Load a causal language model from a folder or the Hub.

    Args:
        name: a path or a Hub name.
        options: for ``from_pretrained``.

    Raises:
        ConfigError: if it cannot be loaded.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(name, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError, SafetensorError) as error:
        raise ConfigError(f"model {name!r} cannot be loaded: {_first_line(error)}") from error
    return model


def context_length(name: str) -> int | None:
    """Return the greatest number of tokens that a model to be trained reads, as its config says; None if it does not.

    Raises:
        ConfigError: if there is no config, or it is that of an adapter.
    """
    if is_scratch(name):
        return scratch_size(name).context
    from transformers import AutoConfig

    if (name.startswith((".", "/", "~")) or "\\" in name) and not Path(name).is_dir():
        raise ConfigError(f"model {name!r}: there is no such folder")
    if (Path(name) / "adapter_config.json").is_file():
        raise ConfigError(
            f"model {name!r} is an adapter: train its base, or merge them first (merge_and_unload of peft)"
        )
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"model {name!r}: its config cannot be loaded: {_first_line(error)}") from error
    length = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(length) if length else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
