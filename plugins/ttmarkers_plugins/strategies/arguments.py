"""The settings of TRL's trainer: its defaults, ours for new models, and the config's keys untouched."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import orjson

from ttmarkers.errors import ConfigError, did_you_mean
from ttmarkers.models.loading import is_scratch, scratch_size
from ttmarkers.training.processes import processes

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.training.job import TrainingJob

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
OURS = (
    "output_dir", "dataset_kwargs", "remove_unused_columns", "completion_only_loss", "disable_tqdm",
    "resume_from_checkpoint", "dataset_text_field", "dataset_num_proc", "shuffle_dataset", "data_seed",
)  # fmt: skip
UNSUPPORTED = (
    "padding_free", "assistant_only_loss", "eval_packing", "push_to_hub", "chat_template_path", "eos_token",
    "pad_token", "eval_on_start", "save_only_model",
)  # fmt: skip
AT_LEAST_ONE = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
ORDERS = ("random", "sequential", "group_by_length")
FAULTS = (TypeError, ValueError, ImportError, RuntimeError, AttributeError, KeyError)
"""What TRL, transformers and PEFT raise for settings that they do not take."""
PATIENCE = 24 * 60 * 60  # seconds that other processes wait for the first to prepare the rows


def checkpoints(job: TrainingJob) -> Path:
    """Return the folder of a run's checkpoints."""
    return job.output / "checkpoints"


def last_checkpoint(job: TrainingJob) -> Path | None:
    """Return the newest whole checkpoint of a job that is resumed."""
    if not job.resume:
        return None
    # the state is written last: a checkpoint without a whole one was cut off
    whole = [path.parent for path in checkpoints(job).glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _is_json(path: Path) -> bool:
    try:
        orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        return False
    return True


def make_arguments(job: TrainingJob) -> Any:
    """Return TRL's `SFTConfig` for a job. It has ``packing`` off: `ttmarkers_plugins.strategies.packing` does it.

    Raises:
        ConfigError: for a key that does not exist, is set by us, or does not fit.
    """
    import torch
    from trl import SFTConfig

    given = job.config.train.engine_keys
    _check_keys(job, {field.name for field in dataclasses.fields(SFTConfig)})
    # YAML reads the word no as false
    given = {key: "no" if value is False and key.endswith("_strategy") else value for key, value in given.items()}
    cuda = torch.cuda.is_available()
    defaults: dict[str, Any] = {
        "seed": job.config.seed,
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "report_to": "none",
        "save_total_limit": 2,  # should the newest be cut off
        "dataloader_pin_memory": cuda,
        "ddp_timeout": PATIENCE,
        "ddp_find_unused_parameters": False,
        # without it processes on a machine that has no accelerator do not find each other
        "use_cpu": processes() > 1 and not torch.accelerator.is_available(),
        **(
            {**SCRATCH_DEFAULTS, "learning_rate": scratch_size(job.model).learning_rate}
            if is_scratch(job.model)
            else {}
        ),
    }
    fixed = {
        "output_dir": str(checkpoints(job)),
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "packing": False,
        "model_init_kwargs": None,  # the model is loaded by us
    }
    try:
        with warnings.catch_warnings():
            # transformers renames its keys over two releases; TRL still sets the old ones itself
            warnings.simplefilter("ignore", FutureWarning)
            made = SFTConfig(**{**defaults, **given, **fixed})
            _make_trackers(made)
    except FAULTS as error:
        raise not_taken(error) from error
    if made.world_size != processes():
        raise ConfigError(
            f"{processes()} processes were launched and do not find each other: launch them with accelerate launch or "
            "torchrun, and set train.use_cpu=true if they have no accelerator"
        )
    if job.config.train.block_weight != 1 and (made.label_smoothing_factor or made.loss_type == "dft"):
        raise ConfigError(
            "train.block_weight needs the plain loss: leave out train.label_smoothing_factor and train.loss_type"
        )
    if made.eval_strategy != "no" and not job.config.train.held_out:
        raise ConfigError("train.eval_strategy needs rows: set train.held_out to a share of the rows, or to files")
    return made


def not_taken(error: Exception) -> ConfigError:
    """Return what to say of settings that TRL refuses."""
    return ConfigError(f"train: TRL does not take these keys: {' '.join(str(error).split())}")


def _check_keys(job: TrainingJob, known: set[str]) -> None:
    given = job.config.train.engine_keys
    if "cooldown" in job.config.train.model_fields_set and job.config.train.strategy != "cooldown":
        raise ConfigError("train.cooldown is for the strategy cooldown: set train.strategy, or leave it out")
    for key in given:
        if key not in known:
            ours = set(type(job.config.train).model_fields)
            raise ConfigError(
                f"train.{key} is a key neither of ttmarkers nor of TRL's SFTConfig: {did_you_mean(key, known | ours)}"
            )
        if key in OURS:
            raise ConfigError(f"train.{key} is set by ttmarkers: leave it out")
        if key in UNSUPPORTED and given[key]:
            raise ConfigError(f"train.{key} is not supported: leave it out")
    _check_values(job, given)
    order = given.get("train_sampling_strategy", ORDERS[0])
    if order not in ORDERS:
        raise ConfigError(f"train.train_sampling_strategy = {order} is not supported: use {', '.join(ORDERS)}")
    if given.get("packing") and given.get("packing_strategy", "bfd") != "bfd":
        raise ConfigError(
            f"train.packing_strategy = {given['packing_strategy']} cuts examples: use bfd, which keeps them whole"
        )


def _check_values(job: TrainingJob, given: dict[str, Any]) -> None:
    """Check the kinds of values that TRL takes in and fails at later."""
    from trl import SFTConfig

    kinds = {field.name: type(field.default) for field in dataclasses.fields(SFTConfig)}
    for key, value in given.items():
        if (
            kinds[key] in (int, float)
            and (isinstance(value, bool) or not isinstance(value, int | float))
            and value is not None
        ):
            raise ConfigError(f"train.{key} = {value!r}: it takes a number")
        if kinds[key] is bool and not isinstance(value, bool):
            raise ConfigError(f"train.{key} = {value!r}: it takes true or false")
        if key in AT_LEAST_ONE and value < 1:
            raise ConfigError(f"train.{key} = {value!r}: it is at least 1")
    if given.get("max_steps") == 0 or given.get("dataloader_num_workers", 0) < 0:
        raise ConfigError(
            "train.max_steps is at least 1 (or -1: train.num_train_epochs counts), and no worker is less than 0"
        )
    if not isinstance(given.get("model_init_kwargs") or {}, dict):
        raise ConfigError("train.model_init_kwargs holds keys with values, such as {attn_implementation: eager}")


def _make_trackers(arguments: Any) -> None:
    """Raise what a tracker that is not installed raises, before anything is read."""
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    for tracker in get_reporting_integration_callbacks(arguments.report_to):
        tracker()
