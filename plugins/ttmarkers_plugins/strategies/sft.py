"""Strategies ``sft`` (the paper's) and ``baseline`` (the same without markers), both on TRL's `SFTTrainer`."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from typing import TYPE_CHECKING, Any

from ttmarkers.encoding import Encoder
from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.manifest import manifest, write_json
from ttmarkers.model_card import write_card
from ttmarkers.models import is_scratch, load_model, make_model, scratch_size
from ttmarkers.rendering import Renderer
from ttmarkers.training import (
    TokenCounts,
    TrainingData,
    TrainingJob,
    check_rows,
    describe,
    make_checkpoint,
    prepare_rows,
    prepare_tokenizer,
)

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# TRL's defaults are for large pretrained models; a new model of a few million parameters wants others
SCRATCH_DEFAULTS: dict[str, Any] = {
    "lr_scheduler_type": "cosine",
    "warmup_steps": 50,
    "per_device_train_batch_size": 16,
    "weight_decay": 0.01,
    "adam_beta2": 0.98,
    "gradient_checkpointing": False,
    "num_train_epochs": 1,
    "train_sampling_strategy": "group_by_length",
}
OURS = ("output_dir", "dataset_kwargs", "remove_unused_columns", "completion_only_loss", "disable_tqdm")
UNSUPPORTED = ("packing", "padding_free", "assistant_only_loss", "dataloader_persistent_workers")


class Sft:
    """Markers in the prompt after dropout, the whole block in the target."""

    marked = True
    writes = True

    def train(self, job: TrainingJob) -> Path:
        """Train and save: the model, its tokenizer, ``log.json``, ``run.json``, and last ``markers.json``."""
        if job.resume and (job.output / "markers.json").exists():
            job.say(f"{job.output} is finished already")
            return job.output
        arguments = _arguments(job)  # a misspelt key is told before a long file is read
        data = prepare_rows(job)
        tokenizer = prepare_tokenizer(job, data)
        model = _model(job, tokenizer)
        dropout = data.dropout(job.config)
        encoder = Encoder(tokenizer)
        limit = _limit(arguments, model)
        # the rows that fit are chosen with markers for a baseline too, so that both see the same rows
        counts, kept, lengths = check_rows(job, data, encoder, Renderer(data.template, dropout), limit)
        for line in describe(counts):
            job.say(line)
        renderer = Renderer(data.template if self.marked else None, dropout, self.writes)
        trainer = _trainer(job, data, arguments, model, renderer, encoder, kept, lengths, self.adapter(job))
        last = _last_checkpoint(job)
        _keep_freed_memory()
        with warnings.catch_warnings():
            # torch's own notes on pinned memory and the like are no news to the user
            warnings.simplefilter("ignore")
            trainer.train(resume_from_checkpoint=last)
        self._save(job, data, counts, trainer, model, tokenizer)
        return job.output

    def adapter(self, job: TrainingJob) -> Any:
        """Return PEFT's config of the adapter that is trained instead of the whole model; None for the model."""
        if job.config.train.lora:
            raise ConfigError("train.lora is for the strategy lora: set train.strategy, or leave it out")
        return None

    def _save(
        self,
        job: TrainingJob,
        data: TrainingData,
        counts: TokenCounts,
        trainer: Any,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        from transformers.utils import logging

        logging.disable_progress_bar()
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(job.output)
        tokenizer.save_pretrained(job.output)
        log = trainer.state.log_history
        write_json(job.output / "log.json", log)
        facts = {"model": job.model, "rows": counts.examples, "parameters": model.num_parameters()}
        write_json(
            job.output / "run.json",
            manifest("train", job.config, job.plugins, job.inputs, template_hash=data.template.hash, **facts),
        )
        if not any(key.startswith("save_") for key in job.config.train.engine_keys):
            shutil.rmtree(_checkpoints(job), ignore_errors=True)
        # this file says that the others are whole
        checkpoint = make_checkpoint(job, data, counts, marked=self.marked, writes=self.writes)
        write_card(job, checkpoint, log)
        checkpoint.save(job.output)


class PromptOnly(Sft):
    """Markers in the prompt after dropout, and no block in the target: the model reads markers and writes none.

    The way of CTRL (Keskar et al. 2019, arXiv 1909.05858) and SteerLM (Dong et al. 2023, arXiv 2310.05344).
    """

    writes = False


class Lora(Sft):
    """As `Sft`, but a low-rank adapter is trained (Hu et al. 2021, arXiv 2106.09685); ``train.lora`` has its keys."""

    def adapter(self, job: TrainingJob) -> Any:
        """Return PEFT's `LoraConfig` of the keys in the config."""
        if is_scratch(job.model):
            raise ConfigError("strategy lora adapts a model that has learned something: name one with --model")
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise ConfigError("strategy lora needs peft: pip install 'ttmarkers[lora]'") from error
        known = {field.name for field in dataclasses.fields(LoraConfig)}
        for key in job.config.train.lora:
            if key not in known:
                raise ConfigError(f"train.lora.{key} is no key of PEFT's LoraConfig: {did_you_mean(key, known)}")
        return LoraConfig(**{"task_type": "CAUSAL_LM", **job.config.train.lora})


class Baseline(Sft):
    """The same rows in the same order, without markers in prompt and target."""

    marked = False


def _model(job: TrainingJob, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if is_scratch(job.model):
        model = make_model(scratch_size(job.model), tokenizer, job.config.seed)
    else:
        model = load_model(job.model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]
    if len(tokenizer) > rows:
        raise ConfigError(
            f"model {job.model!r}: its tokenizer has {len(tokenizer)} tokens and the model only {rows}: "
            "use the tokenizer that belongs to the model"
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _arguments(job: TrainingJob) -> Any:
    """Return TRL's arguments: its defaults, ours for new models, and the config's keys untouched."""
    import torch
    from trl import SFTConfig

    given = job.config.train.engine_keys
    known = {field.name for field in dataclasses.fields(SFTConfig)}
    for key in given:
        if key not in known:
            ours = set(type(job.config.train).model_fields)
            raise ConfigError(
                f"train.{key} is a key neither of ttmarkers nor of TRL's SFTConfig: {did_you_mean(key, known | ours)}"
            )
        if key in OURS:
            raise ConfigError(f"train.{key} is set by ttmarkers: leave it out")
        if key in UNSUPPORTED and given[key]:
            raise ConfigError(f"train.{key} is not supported yet: leave it out")
    # YAML reads the word no as false
    given = {key: "no" if value is False and key.endswith("_strategy") else value for key, value in given.items()}
    cuda = torch.cuda.is_available()
    defaults: dict[str, Any] = {
        "seed": job.config.seed,
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "report_to": "none",
        "save_total_limit": 1,
        "dataloader_pin_memory": cuda,
        **(_scratch_defaults(job.model) if is_scratch(job.model) else {}),
    }
    fixed = {
        "output_dir": str(_checkpoints(job)),
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "disable_tqdm": True,
    }
    try:
        with warnings.catch_warnings():
            # transformers renames its keys over two releases; TRL still sets the old ones itself
            warnings.simplefilter("ignore", FutureWarning)
            made = SFTConfig(**{**defaults, **given, **fixed})
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"train: TRL does not take these keys: {' '.join(str(error).split())}") from error
    if job.config.train.block_weight != 1 and (made.label_smoothing_factor or made.loss_type == "dft"):
        raise ConfigError(
            "train.block_weight needs the plain loss: leave out train.label_smoothing_factor and train.loss_type"
        )
    return made


def _scratch_defaults(name: str) -> dict[str, Any]:
    return {**SCRATCH_DEFAULTS, "learning_rate": scratch_size(name).learning_rate}


def _limit(arguments: Any, model: PreTrainedModel) -> int | None:
    """Return the greatest number of tokens of an example."""
    context = getattr(model.config, "max_position_embeddings", None)
    limits = [limit for limit in (arguments.max_length, context) if limit]
    return min(limits) if limits else None


def _trainer(
    job: TrainingJob,
    data: TrainingData,
    arguments: Any,
    model: PreTrainedModel,
    renderer: Renderer,
    encoder: Encoder,
    kept: list[int],
    lengths: list[int],
    adapter: Any,
) -> Any:
    import datasets
    from transformers import PrinterCallback

    from ttmarkers_plugins.strategies.progress import ShowProgress
    from ttmarkers_plugins.strategies.trainer import (
        EpochSampler,
        FollowEpoch,
        MarkerTrainer,
        PadRows,
        RenderRows,
    )

    rows = datasets.Dataset.from_file(str(data.path))
    if len(kept) < len(rows):
        rows = rows.select(kept)
    transform = RenderRows(renderer, encoder)
    group = arguments.train_sampling_strategy == "group_by_length"
    sampler = EpochSampler(lengths, arguments.per_device_train_batch_size, job.config.seed, group=group)
    trainer = _made(
        MarkerTrainer,
        model=model,
        args=arguments,
        train_dataset=rows.with_transform(transform),
        processing_class=encoder.tokenizer,
        data_collator=PadRows(int(encoder.tokenizer.pad_token_id or 0), arguments.pad_to_multiple_of),
        callbacks=[FollowEpoch(transform, sampler), ShowProgress(job.say)],
        block_weight=job.config.train.block_weight,
        sampler=sampler,
        peft_config=adapter,
    )
    trainer.remove_callback(PrinterCallback)  # it prints on standard output, which is for results
    return trainer


def _keep_freed_memory() -> None:
    """Let glibc keep freed memory: a step frees and takes the same large buffers, a fifth of a small model's time."""
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max = -1, -4  # names and numbers of malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(trim_threshold, 2**31 - 1)
    library.mallopt(mmap_max, 0)


def _made(trainer: Any, **options: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TRL and PEFT still use names that transformers changes
            return trainer(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"train: TRL does not take these keys: {' '.join(str(error).split())}") from error


def _checkpoints(job: TrainingJob) -> Path:
    return job.output / "checkpoints"


def _last_checkpoint(job: TrainingJob) -> str | None:
    if not job.resume:
        return None
    # the state is written last: a checkpoint without it was cut off
    whole = [path.parent for path in _checkpoints(job).glob("checkpoint-*/trainer_state.json")]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None
