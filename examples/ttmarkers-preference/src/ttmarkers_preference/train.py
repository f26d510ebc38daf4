"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290) with markers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.rendering import Renderer
from ttmarkers.datasets import rows
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.marked import read_packed
from ttmarkers.models.encoding import Encoder
from ttmarkers.models.loading import context_length, load_model
from ttmarkers.training.job import Trained, check_base, finish
from ttmarkers.training.preparation import prepare
from ttmarkers.training.processes import is_first, wait

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.training.job import TrainingJob
    from ttmarkers.training.preparation import Prepared


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
        if is_first():
            trainer.model.save_pretrained(job.output)
            tokenizer.save_pretrained(job.output)
            finish(job, prepared, Trained(log=trainer.state.log_history))
        wait()
        return job.output


def _pairs(job: TrainingJob, prepared: Prepared, encoder: Encoder) -> list[dict[str, Any]]:
    """Return prompts, and the two answers to each, as texts; answers end as the chat template ends a turn."""
    renderer = Renderer(prepared.template, prepared.dropout(job))
    kept = set(prepared.rows.numbers.tolist())
    # by their origin: rows that were left out or cut (train.overlong) may be numbered otherwise than in the input
    rejected = {origin: row.get("rejected") for origin, row in rows(job.inputs)}
    found = []
    for number, example in enumerate(read_packed(prepared.rows.path)):
        if number not in kept:
            continue
        other = rejected[example.origin]
        if not isinstance(other, str):
            raise DataError(f"{example.origin}: there is no column 'rejected' with the answer that is not preferred")
        pair = renderer.render(example)
        answers = {"chosen": pair.completion, "rejected": pair.block + other}
        ended = {name: answer + encoder.suffix for name, answer in answers.items()}
        found.append({"prompt": encoder.prompt_text(pair.prompt), **ended})
    return found
