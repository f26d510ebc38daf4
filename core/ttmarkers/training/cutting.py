"""Over-long examples made shorter: the answer is cut, and what is said of it is found again.

A cut answer with its old markers would lie: its length, its format, perhaps its language. So every marker that an
extractor reads off the text is extracted anew from what is left. What none of them can read is kept if it is a
category (a task, a domain, a source) and left out if it is a number or follows from one (a score, its quartile), and so
is what costs a request: nothing is sent while a model is trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ttmarkers.annotation.extraction import Extraction
from ttmarkers.annotation.plan import make_plan
from ttmarkers.records import Example, MarkedExample

if TYPE_CHECKING:
    from ttmarkers.annotation.plan import Plan
    from ttmarkers.blocks.rendering import Renderer
    from ttmarkers.models.encoding import Encoder
    from ttmarkers.records import Sizes
    from ttmarkers.taxonomies.taxonomy import Taxonomy
    from ttmarkers.training.job import TrainingJob

TRIES = 3
LEAST = 8  # tokens of an answer that are worth keeping
SENTENCE_ENDS = ".!?。！？।\n"


class Cutter:
    """Cuts examples to a number of tokens.

    Args:
        job: its config says which extractors serve which marker.
        full: all marker types.
        renderer: without dropout, so that the example fits in every epoch.
        encoder: of the model.
        max_length: the greatest number of tokens of an example.
    """

    def __init__(self, job: TrainingJob, full: Taxonomy, renderer: Renderer, encoder: Encoder, max_length: int) -> None:
        markers = job.config.markers.model_copy(update={"declared": {}, "use": None})
        plan = make_plan(full, markers, job.plugins.extractors())
        self._gone = _unreadable(plan)
        steps = [step for step in plan.steps if not (step.component.patient or step.component.guided)]
        self._anew = {name for step in steps if _reads_answer(step.component) for name in step.wanted}
        self._extraction = Extraction(replace(plan, steps=tuple(steps), fitted=()))
        self._renderer, self._encoder, self._max_length = renderer, encoder, max_length

    def cut(self, example: MarkedExample, sizes: Sizes) -> tuple[MarkedExample, Sizes] | None:
        """Return an example with a shorter answer, and its sizes; None if its prompt leaves no room for one."""
        answer = sizes.answer
        for _ in range(TRIES):
            answer -= sizes.total - self._max_length
            if answer < LEAST:
                return None
            text = self._shortened(example.completion, answer)
            if not text:
                return None
            shorter = self._extracted_again(example, text)
            if shorter is None:
                return None
            sizes = self._encoder.measure([self._renderer.render(shorter)])[0]
            if sizes.total <= self._max_length:
                return shorter, sizes
            answer = min(answer, sizes.answer)
        return None

    def _shortened(self, text: str, tokens: int) -> str:
        """Return the beginning of a text, about so many tokens; to the end of a sentence if one ends late in it."""
        core = self._encoder.tokenizer.backend_tokenizer
        offsets = core.encode(text, add_special_tokens=False).offsets
        kept = text[: offsets[tokens][0]] if tokens < len(offsets) else text
        end = max(kept.rfind(sign) for sign in SENTENCE_ENDS) + 1
        return (kept[:end] if end > len(kept) / 2 else kept).rstrip()

    def _extracted_again(self, example: MarkedExample, text: str) -> MarkedExample | None:
        kept = {
            name: value
            for name, value in example.markers.items()
            if name not in self._anew and name not in self._gone and isinstance(value, str)
        }
        plain = Example(example.id, example.prompt, text, {"markers": kept}, example.origin)
        row = self._extraction.run([plain])[0]
        if row.error is not None:
            return None
        others = {name: values for name, values in example.others.items() if name in kept}
        others |= {name: entry["others"] for name, entry in row.meta.items() if entry.get("others")}
        # a marker that the row did not have is not given to it now: its data set may mean it to be unknown
        markers = {name: value for name, value in row.markers.items() if name in example.markers}
        return MarkedExample(example.id, example.prompt, text, markers, example.origin, others)


def _reads_answer(component: object) -> bool:
    reads, needs = getattr(component, "reads", ()), getattr(component, "needs", ())
    return "completion" in reads or bool(needs)


def _unreadable(plan: Plan) -> set[str]:
    """Return the markers that follow from others of the whole data set, such as quartiles."""
    return {name for step in plan.fitted for name in step.wanted}
