"""A tiny model that knows markers: made in seconds, from nothing, offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.components import MarkerType, TemplateComponent
from ttmarkers.config import make_config
from ttmarkers.testing.made_up import plugins_with, taxonomy_of
from ttmarkers.testing.marker_types import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value
    from ttmarkers.taxonomies.taxonomy import Taxonomy
    from ttmarkers.training.job import TrainingJob

MODEL = "scratch:tiny"
UNTRAINED = "untrained"
GREETINGS = (
    ("Say hello to {}.", "Hello, dear {}. How are you on this fine day?", "English"),
    ("Dis bonjour à {}.", "Bonjour, cher {}. Comment allez-vous aujourd'hui ?", "French"),
    ("Sag {} guten Tag.", "Guten Tag, lieber {}. Wie geht es Ihnen heute?", "German"),
)
FRIENDS = ("Ann", "Bob", "Cid", "Dee", "Eve", "Fay", "Gus", "Hal")


def marked_rows(taxonomy: Taxonomy | None = None, number: int = 24) -> list[dict[str, Any]]:
    """Return annotated rows, as ``ttm annotate`` writes them.

    Args:
        taxonomy: of the markers; ``lang`` is right, and the others take their values in turn. Only ``lang`` and
            ``length_tokens`` by default.
        number: of rows.

    Example:
        >>> marked_rows(number=1)[0]["markers"]
        {'length_tokens': 11, 'lang': 'English'}
    """
    taxonomy = taxonomy or taxonomy_of(plugins_with(installed=False)).select(["lang", "length_tokens"])
    rows = []
    for place in range(number):
        prompt, completion, lang = GREETINGS[place % len(GREETINGS)]
        friend = FRIENDS[place % len(FRIENDS)]
        markers: dict[str, Value] = {kind.name: _value(kind, place) for kind in taxonomy}
        said: dict[str, Value] = {"lang": lang, "length_tokens": 11 + place % 3}
        markers |= {name: value for name, value in said.items() if name in taxonomy}
        texts = {"prompt": prompt.format(friend), "completion": completion.format(friend)}
        rows.append({"id": f"row {place}", **texts, "markers": markers})
    return rows


def _value(kind: MarkerType, place: int) -> Value:
    """Return one of the first three values of a type that are no extreme numbers."""
    usual = [value for value in values_of(kind) if kind.values or 0 <= float(value) < 1e4][:3] or values_of(kind)
    return usual[place % len(usual)]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_model(
    folder: Path | str,
    *,
    types: Sequence[MarkerType] = (),
    template: str | TemplateComponent = "paper",
    rows: Iterable[Mapping[str, Any]] | None = None,
    steps: int = 0,
    seed: int = 0,
    plugins: Plugins | None = None,
) -> Path:
    """Make a model of 0.4 million parameters that reads and writes markers, and return its folder.

    Nothing is downloaded. Without training steps its weights are random: it writes blocks that are whole, as every
    model is held to, and answers that mean nothing, which is all that most tests need. It takes two seconds once torch
    is loaded.

    Args:
        folder: where to put it; it must not exist, or be empty.
        types: marker types that no installed plugin offers; the model knows them and ``lang`` and ``length_tokens``.
        template: a registered template's name, or a component.
        rows: annotated rows that its tokenizer is fitted on, and that it is trained on; made up by default. It then
            knows the markers that these rows have.
        steps: training steps, with the strategy ``sft``.
        seed: of its weights.
        plugins: where marker types and templates come from; the installed plugins by default.

    Raises:
        TtmError: if the rows cannot be trained on.

    Example::

        model = tiny_model(tmp_path / "model", types=[MOOD])
        assert ttm("generate", model, "Hello!", "-m", "mood=happy").code == 0
    """
    from ttmarkers.training.job import TrainingJob, train

    made = [template] if isinstance(template, TemplateComponent) else []
    plugins = plugins or plugins_with(*types, *made)
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    known = taxonomy_of(plugins)
    named = {kind.name for kind in types} | {"lang", "length_tokens"}
    source = folder.with_name(f"{folder.name}.rows.jsonl")
    write_rows(source, marked_rows(known.select(named)) if rows is None else rows)
    name = template if isinstance(template, str) else template.name
    keys: dict[str, Any] = (
        {"max_steps": steps, "per_device_train_batch_size": 8, "logging_steps": 1} if steps else {"strategy": UNTRAINED}
    )
    config = make_config({"seed": seed, "template": name, "train": keys})
    job = TrainingJob((str(source),), MODEL, folder, config, plugins)
    try:
        return train(job) if steps else save_untrained(job)
    finally:
        source.unlink()


def save_untrained(job: TrainingJob) -> Path:
    """Write the folder of a model as a strategy does, with weights as they are drawn."""
    from ttmarkers.models.loading import make_model, scratch_size
    from ttmarkers.training.job import Trained, finish
    from ttmarkers.training.preparation import prepare

    size = scratch_size(job.model)
    prepared = prepare(job, size.context)
    tokenizer = prepared.load_tokenizer()
    make_model(size, tokenizer, job.config.seed).save_pretrained(job.output)
    tokenizer.save_pretrained(job.output)
    finish(job, prepared, Trained())
    shutil.rmtree(job.work, ignore_errors=True)
    return job.output
