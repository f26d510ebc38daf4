"""The marker tax: which share of the tokens that a model reads and learns are markers, by template."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ttmarkers.blocks.rendering import Renderer
from ttmarkers.blocks.source import template_component
from ttmarkers.blocks.template import load_template
from ttmarkers.dropout import draw
from ttmarkers.errors import TtmError
from ttmarkers.marked import read_packed
from ttmarkers.records import ANSWER, BLOCK
from ttmarkers.statistics import Estimate, mean, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ttmarkers.components import TemplateComponent
    from ttmarkers.dropout import Dropout
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.records import MarkedExample
    from ttmarkers.taxonomies.taxonomy import Taxonomy
    from ttmarkers.training.job import TrainingJob
    from ttmarkers.training.preparation import Prepared

SAMPLE = 500
DRAWN = 20_000  # rows that the sample is drawn from: further ones would have to be read


@dataclass(frozen=True)
class Tax:
    """What a template's markers cost.

    Attributes:
        tokens: tokens that markers add to an example, prompt and target together, on average.
        share: their share of all tokens of the example.
        target: their share of the tokens that carry loss.
    """

    tokens: Estimate
    share: Estimate
    target: Estimate


def tax_of(job: TrainingJob, prepared: Prepared, encoder: Encoder, *, writes: bool = True) -> dict[str, Tax | str]:
    """Return the tax of the job's template and of every registered one, on rows drawn from those to train on.

    Args:
        job: what is trained.
        prepared: its rows.
        encoder: of the model.
        writes: whether targets have blocks.
    """
    first = range(min(len(prepared.rows), DRAWN))
    numbers = sorted(first, key=lambda number: draw(job.config.seed, "tax", number))[:SAMPLE]
    wanted = {int(prepared.rows.numbers[number]) for number in numbers}
    last = max(wanted)
    examples = (
        example for number, example in enumerate(islice(read_packed(prepared.rows.path), last + 1)) if number in wanted
    )
    templates = {job.config.template: template_component(job.config.template, job.plugins)}
    templates |= {entry.component.name: entry.component for entry in job.plugins.templates()}
    return marker_tax(examples, templates, prepared.taxonomy, prepared.dropout(job), encoder, writes=writes)


def marker_tax(
    examples: Iterable[MarkedExample],
    templates: Mapping[str, TemplateComponent],
    taxonomy: Taxonomy,
    dropout: Dropout,
    encoder: Encoder,
    *,
    writes: bool = True,
) -> dict[str, Tax | str]:
    """Return the tax of each template, or why it cannot be used.

    Args:
        examples: a sample; at most `SAMPLE` are taken.
        templates: by name.
        taxonomy: the markers that are written.
        dropout: as in training, in its first epoch.
        encoder: of the model; a tokenizer that was fitted to one template favours it.
        writes: whether targets have blocks.
    """
    sample = list(islice(examples, SAMPLE))
    plain = [
        len(found.input_ids) for found in encoder.encode([Renderer(None, dropout).render(each) for each in sample])
    ]
    found: dict[str, Tax | str] = {}
    for name, component in templates.items():
        try:
            renderer = Renderer(load_template(component, taxonomy), dropout, writes)
            encoded = encoder.encode([renderer.render(each) for each in sample])
        except TtmError as error:
            found[name] = str(error)
            continue
        lengths = [len(each.input_ids) for each in encoded]
        blocks = [each.parts.count(BLOCK) for each in encoded]
        learned = [each.parts.count(BLOCK) + each.parts.count(ANSWER) for each in encoded]
        added = [length - bare for length, bare in zip(lengths, plain, strict=True)]
        found[name] = Tax(_mean(added), ratio(added, lengths), ratio(blocks, learned))
    return found


def describe_tax(taxes: Mapping[str, Tax | str]) -> list[str]:
    """Return a line for each template."""
    lines = []
    for name, tax in taxes.items():
        if isinstance(tax, str):
            lines.append(f"marker tax of template {name}: {tax}")
            continue
        lines.append(
            f"marker tax of template {name}: {tax.tokens.text(share=False)} tokens an example, "
            f"{tax.share.text()} of all tokens, {tax.target.text()} of those learned (n = {tax.tokens.n})"
        )
    return lines


def _mean(values: Sequence[float]) -> Estimate:
    return mean([float(value) for value in values], share=False)
