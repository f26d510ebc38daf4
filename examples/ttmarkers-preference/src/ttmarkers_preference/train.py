"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) with markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.datasets import rows
from ttmarkers.encoding import Encoder
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.marked import read_packed
from ttmarkers.models import context_length, load_model
from ttmarkers.preparation import prepare
from ttmarkers.rendering import Renderer
from ttmarkers.training import Trained, check_base, finish

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.preparation import Prepared
    from ttmarkers.training import TrainingJob


class Preference:
    """Prefers the completion to the column ``rejected``, both behind the same block."""

    def train(self, job: TrainingJob) -> Path:
        """Train and save."""
        import datasets
        import torch
        from trl import DPOConfig, DPOTrainer

        given = {"report_to": "none", "bf16": torch.cuda.is_available(), **job.config.train.engine_keys}
        try:
            arguments = DPOConfig(str(job.work / "dpo"), **given)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"train: TRL does not take these keys: {error}") from error
        prepared = prepare(job, context_length(job.model))
        check_base(job, prepared)
        tokenizer, model = prepared.load_tokenizer(), load_model(job.model)
        pairs = datasets.Dataset.from_list(_pairs(job, prepared, Encoder(tokenizer)))
        trainer = DPOTrainer(model, args=arguments, train_dataset=pairs, processing_class=tokenizer)
        trainer.train()
        trainer.model.save_pretrained(job.output)
        tokenizer.save_pretrained(job.output)
        finish(job, prepared, Trained(log=trainer.state.log_history))
        return job.output


def _pairs(job: TrainingJob, prepared: Prepared, encoder: Encoder) -> list[dict[str, Any]]:
    """Return prompts, and the two answers to each, as texts."""
    renderer = Renderer(prepared.template, prepared.dropout(job))
    kept = set(prepared.rows.numbers.tolist())
    found = []
    for number, (example, (origin, row)) in enumerate(
        zip(read_packed(prepared.rows.path), rows(job.inputs), strict=True)
    ):
        if number not in kept:
            continue
        if not isinstance(row.get("rejected"), str):
            raise DataError(f"{origin}: there is no column 'rejected' with the answer that is not preferred")
        pair = renderer.render(example)
        prompt = encoder.prompt_text(pair.prompt)
        found.append({"prompt": prompt, "chosen": pair.completion, "rejected": pair.block + row["rejected"]})
    return found
