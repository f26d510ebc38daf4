"""Strategies on TRL's `SFTTrainer`: ``sft`` (the paper's), and what it is compared with or made cheaper by."""

from __future__ import annotations

import dataclasses
import math
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.blocks.rendering import Renderer
from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import context_length, is_scratch, load_model, make_model, scratch_size
from ttmarkers.training.job import Trained, TrainingJob, check_base, finish
from ttmarkers.training.preparation import Prepared, describe, prepare
from ttmarkers.training.processes import is_first, wait
from ttmarkers.training.tax import describe_tax, tax_of
from ttmarkers_plugins.strategies.arguments import FAULTS, checkpoints, last_checkpoint, make_arguments, not_taken

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ttmarkers_plugins.strategies.rows import Batches, MarkedRows

WEIGHTS = (".safetensors", ".safetensors.index.json", "config.json")
"""How the names of a checkpoint's files end that make a model."""


class Sft:
    """Markers in the prompt after dropout, the whole block in the target."""

    marked = True
    writes = True

    def train(self, job: TrainingJob) -> Path:
        """Train and save: the model, its tokenizer, ``log.json``, ``run.json``, the card, and last ``markers.json``."""
        keep_freed_memory()
        arguments = make_arguments(job)  # a misspelt key is told before a long file is read
        adapter = self.adapter(job)
        limits = [limit for limit in (arguments.max_length, context_length(job.model)) if limit]
        # the rows that fit are chosen with markers for a baseline too, so that both see the same rows
        prepared = prepare(job, min(limits) if limits else None)
        tokenizer = prepared.load_tokenizer()
        model = _model(job, tokenizer)
        if self.marked:
            check_base(job, prepared)
        encoder = Encoder(tokenizer)
        if is_first():
            taxes = tax_of(job, prepared, encoder, writes=self.writes) if self.marked else {}
            for line in (*describe(prepared, marked=self.marked), *describe_tax(taxes)):
                job.say(line)
        if model.generation_config is not None:
            model.generation_config.eos_token_id = list(encoder.end_ids)  # what ends an answer ends it everywhere
        last = last_checkpoint(job)
        state = orjson.loads((last / "trainer_state.json").read_bytes()) if last else {}
        facts = {"parameters": model.num_parameters(), "processes": arguments.world_size}
        if last and state["global_step"] >= state["max_steps"]:
            log = state["log_history"]  # it was interrupted while it was saved
            if is_first():
                for path in (path for path in last.iterdir() if path.name.endswith(WEIGHTS)):
                    shutil.copy(path, job.output / path.name)
        else:
            trainer = self._trainer(job, prepared, arguments, model, encoder, adapter)
            trainer.count_tokens_from(state.get("log_history", ()))
            _train(trainer, last)
            log = trainer.state.log_history
            _save_weights(job, trainer, model)
        if is_first():
            encoder.tokenizer.save_pretrained(job.output)
            finish(job, prepared, Trained(self.marked, self.writes, log, facts))
            if not any(key.startswith("save_") for key in job.config.train.engine_keys):
                shutil.rmtree(checkpoints(job), ignore_errors=True)
        wait()
        return job.output

    def adapter(self, job: TrainingJob) -> Any:
        """Return PEFT's config of the adapter that is trained instead of the whole model; None for the model."""
        if job.config.train.lora:
            raise ConfigError("train.lora is for the strategy lora: set train.strategy, or leave it out")
        return None

    def renderer(self, job: TrainingJob, prepared: Prepared) -> Renderer:
        """Return what makes training texts of rows."""
        return Renderer(prepared.template if self.marked else None, prepared.dropout(job), self.writes)

    def _trainer(
        self,
        job: TrainingJob,
        prepared: Prepared,
        arguments: Any,
        model: PreTrainedModel,
        encoder: Encoder,
        adapter: Any,
    ) -> Any:
        import numpy
        from transformers import PrinterCallback

        from ttmarkers_plugins.strategies.progress import ShowProgress
        from ttmarkers_plugins.strategies.rows import Batches, EpochOrder, FollowEpoch, MarkedRows
        from ttmarkers_plugins.strategies.trainer import MarkerTrainer

        renderer = self.renderer(job, prepared)
        packing = bool(job.config.train.engine_keys.get("packing"))
        flat = packing and "flash" in str(getattr(model.config, "_attn_implementation", ""))
        pad_id = int(encoder.tokenizer.pad_token_id or 0)
        batches = Batches(pad_id, arguments.pad_to_multiple_of, packed=packing, flat=flat)
        at_once = arguments.per_device_train_batch_size * arguments.world_size
        # several processes must come out even without reading a row twice
        evened = at_once if arguments.world_size > 1 else 1
        packs, lengths = None, prepared.rows.lengths
        if packing:
            packs = self._packs(job, prepared, MarkedRows(prepared.rows, renderer, encoder), model, batches)
            lengths = numpy.array([lengths[pack].sum() for pack in packs], dtype=lengths.dtype)
        held_out = None
        if prepared.held_out:
            multiple = arguments.per_device_eval_batch_size * arguments.world_size
            held_out = MarkedRows(prepared.held_out, renderer, encoder, multiple=multiple)
        updates = math.ceil(math.ceil(len(lengths) / at_once) / arguments.gradient_accumulation_steps)
        epochs = arguments.max_steps / updates if arguments.max_steps > 0 else arguments.num_train_epochs
        kind = arguments.train_sampling_strategy
        order = EpochOrder(lengths, at_once, job.config.seed, kind, epochs, multiple=evened)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # TRL and PEFT still use names that transformers changes
                trainer = MarkerTrainer(
                    model=model,
                    args=arguments,
                    rows=MarkedRows(prepared.rows, renderer, encoder, packs, multiple=evened),
                    held_out=held_out,
                    processing_class=encoder.tokenizer,
                    data_collator=batches,
                    callbacks=[FollowEpoch(order), ShowProgress(job.say)],
                    block_weight=job.config.train.block_weight,
                    order=order,
                    markers=prepared.taxonomy.names if self.marked else (),
                    peft_config=adapter,
                )
        except FAULTS as error:
            raise not_taken(error) from error
        trainer.remove_callback(PrinterCallback)  # it prints on standard output, which is for results
        return trainer

    def _packs(
        self, job: TrainingJob, prepared: Prepared, rows: MarkedRows, model: PreTrainedModel, batches: Batches
    ) -> list[list[int]]:
        from ttmarkers_plugins.strategies.packing import best_fit, prove_isolation

        if not prepared.max_length:
            raise ConfigError("train.packing needs a length to fill: set train.max_length")
        prove_isolation(model, rows, batches)
        packs = best_fit(prepared.rows.lengths, prepared.max_length)
        if is_first():
            full = prepared.rows.lengths.sum() / (len(packs) * prepared.max_length)
            job.say(
                f"{len(prepared.rows)} examples are packed into {len(packs)} of {prepared.max_length} tokens, "
                f"{full:.1%} full; none sees another's tokens"
            )
        return packs


class PromptOnly(Sft):
    """Markers in the prompt after dropout, and no block in the target: the model reads markers and writes none.

    The way of CTRL (Keskar et al. 2019, arXiv 1909.05858) and SteerLM (Dong et al. 2023, arXiv 2310.05344).
    """

    writes = False


class Cooldown(Sft):
    """As `Sft`, but the last ``train.cooldown`` of the run is trained without markers, in prompt and target.

    After MeCo (Gao et al. 2025, arXiv 2501.01956): the model serves prompts without markers, and blocks, alike.
    """

    def renderer(self, job: TrainingJob, prepared: Prepared) -> Renderer:
        """Return a renderer that leaves markers out at the end of the run."""
        return dataclasses.replace(super().renderer(job, prepared), plain_from=1 - job.config.train.cooldown)


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
        try:
            return LoraConfig(**{"task_type": "CAUSAL_LM", **job.config.train.lora})
        except FAULTS as error:
            raise ConfigError(f"train.lora: PEFT does not take these keys: {' '.join(str(error).split())}") from error


class Baseline(Sft):
    """The same rows in the same order, without markers in prompt and target."""

    marked = False


def _train(trainer: Any, last: Path | None) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # each checkpoint would draw one
    with warnings.catch_warnings():
        # torch's own notes on pinned memory and the like are no news to the user
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=str(last) if last else None)


def _save_weights(job: TrainingJob, trainer: Any, model: PreTrainedModel) -> None:
    """Write the weights: gathered from all processes where each holds a part, and what is tied once."""
    weights = trainer.accelerator.get_state_dict(trainer.model) if trainer.args.world_size > 1 else None
    for name in getattr(model, "all_tied_weights_keys", None) or ():
        if weights is not None:
            weights.pop(name, None)
    if is_first():
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(job.output, state_dict=weights)


def _model(job: TrainingJob, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if is_scratch(job.model):
        model = make_model(scratch_size(job.model), tokenizer, job.config.seed)
    else:
        # small steps are lost in half precision: as TRL does, the weights are float32 and bf16 is for the arithmetic
        options = {"dtype": "float32", **(job.config.train.engine_keys.get("model_init_kwargs") or {})}
        model = load_model(job.model, **options)
    rows = int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]
    if len(tokenizer) > rows:
        raise ConfigError(
            f"model {job.model!r}: its tokenizer has {len(tokenizer)} tokens and the model only {rows}: "
            "use the tokenizer that belongs to the model"
        )
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def keep_freed_memory() -> None:
    """Let glibc keep freed memory: a step frees and takes the same large buffers, a fifth of a small model's time."""
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max = -1, -4  # names and numbers of malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(trim_threshold, 2**31 - 1)
    library.mallopt(mmap_max, 0)
