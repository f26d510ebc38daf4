"""Checks of block templates: what is written is read back, whatever the markers, and the grammar says the same."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ttmarkers.blocks.source import read_source
from ttmarkers.blocks.template import Template
from ttmarkers.components import MarkerType
from ttmarkers.errors import ConfigError
from ttmarkers.taxonomies.taxonomy import Taxonomy
from ttmarkers.testing.contract import Breach, has_a_name_and_a_summary, hold, short
from ttmarkers.testing.made_up import plugins_with, taxonomy_of
from ttmarkers.testing.marker_types import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ttmarkers.blocks.grammar import BlockGrammar
    from ttmarkers.components import TemplateComponent
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value

MIXED = 60  # blocks of several markers that are drawn for each taxonomy
ANSWERS = ("Paris.", "", "\n\nTwo lines\nbelow.", " </x> [[ ]] {} ; = 50% ")


@dataclass
class Probe:
    """A template, and the taxonomies that it is tried on."""

    component: TemplateComponent
    taxonomies: list[Taxonomy]
    _seen: dict[int, Template] = field(default_factory=dict)

    @cached_property
    def source(self) -> str:
        """The template's Jinja source."""
        return read_source(self.component)

    def templates(self) -> Iterator[Template]:
        """Yield the template bound to the taxonomies, then to one whose names and values look like its own text."""
        for number, taxonomy in enumerate(self.taxonomies):
            if number not in self._seen:
                self._seen[number] = Template(self.component.name, self.source, taxonomy)
            yield self._seen[number]
        if -1 not in self._seen:
            hostile = look_alikes(self._seen[0])
            self._seen[-1] = Template(self.component.name, self.source, hostile)
        yield self._seen[-1]


def check_template(
    component: TemplateComponent, types: Iterable[MarkerType] | None = None, *, plugins: Plugins | None = None
) -> None:
    """Check a template: its source is sound, what it writes is read back, and its grammar accepts just that.

    Args:
        component: what the hook yields.
        types: marker types to write; all that installed plugins offer by default. Types whose names and values look
            like the template's own text are always tried beside them.
        plugins: where the marker types come from if ``types`` is not given.

    Raises:
        AssertionError: in one sentence, with the name of the check.

    Example:
        >>> from ttmarkers.components import TemplateComponent
        >>> check_template(TemplateComponent("compact", "Short.", "ttmarkers_templates:blocks/compact.jinja"))
    """
    taxonomy = taxonomy_of(plugins or plugins_with()) if types is None else Taxonomy(tuple(types))
    hold(f"template {component.name!r}", Probe(component, [taxonomy]), CHECKS)


def look_alikes(template: Template) -> Taxonomy:
    """Return marker types whose names and values are made of a template's own text."""
    frames = [text for pair in template.tags for text in pair]
    literals = [template.opening, template.closing, template.joiner, template.several, template.after, template.before]
    texts = dict.fromkeys(text for text in (*literals, *frames[:4]) if text)
    words = dict.fromkeys(word for text in texts for word in re.findall(r"[A-Za-z_]+", text))
    names = dict.fromkeys(["a", "ab", "a_b", "part", "part_two", *words, *(f"x{word}" for word in words)])
    values = dict.fromkeys(
        [
            *texts,
            *(f"x{text}y" for text in texts),
            *words,
            *(f"x{word}" for word in words),
            "b",
            "bc",
            "c",
            "_two",
            "two",
        ]
    )
    block = template.render({})
    values |= dict.fromkeys([block, f"{block}x", " a  b ", "%25", "50%", '"\\', "日本 é\n", "null", "1", "-0.5"])
    held = tuple(value for value in values if value)
    kinds = [MarkerType(name, "", "categorical", held) for name in names if name.isidentifier()]
    numbers = [MarkerType("n", "", "int"), MarkerType("nn", "", "float"), MarkerType("nnn", "", "int", minimum=0)]
    taken = {kind.name for kind in kinds}
    return Taxonomy((*kinds, *(kind for kind in numbers if kind.name not in taken)))


def blocks(taxonomy: Taxonomy, seed: int = 0) -> Iterator[dict[str, Value]]:
    """Yield markers to write: none, each value of each type alone, all types together, and many mixtures."""
    yield {}
    values = {kind.name: values_of(kind) for kind in taxonomy}
    for name, held in values.items():
        for value in held:
            yield {name: value}
    chance = random.Random(seed)
    yield {name: chance.choice(held) for name, held in values.items()}
    for _ in range(MIXED):
        names = chance.sample(list(values), chance.randint(1, min(len(values), 6))) if values else []
        yield {name: chance.choice(values[name]) for name in names}


def has_a_sound_source(probe: Probe) -> None:
    """The source is found, and defines the three macros as they must be."""
    try:
        for _ in probe.templates():
            pass
    except ConfigError as error:
        raise Breach(f"its source breaks the contract ({error}): see ttmarkers.blocks.template") from error


def reads_back_what_it_writes(probe: Probe) -> None:
    """``parse(render(markers)) == markers``, with the types of the values."""
    for template in probe.templates():
        for markers in blocks(template.taxonomy):
            text = template.render(markers)
            back = _parse(template, text, markers)
            if back != markers or any(type(back[name]) is not type(value) for name, value in markers.items()):
                raise Breach(
                    f"it writes {short(markers)} as {short(text)} and reads back {short(back)}: "
                    "close every value, and part every name from it, with signs that are no letters"
                )


def has_a_grammar_of_what_it_writes(probe: Probe) -> None:
    """A model that is held to the grammar can write every block, and none that is not whole."""
    for template in probe.templates():
        accepts = Acceptor(template.grammar())
        for markers in _some(template.taxonomy):
            text = template.render(markers) + template.after
            if not accepts(text):
                raise Breach(
                    f"its grammar refuses the block {short(text)}: let marker() write the same for every value"
                )
            if accepts(text[:-1]) or accepts(text + "x"):
                raise Breach(f"its grammar takes {short(text)} for whole when it is not: end blocks with a closing")
            if not Acceptor(template.grammar(markers, required=markers))(text):
                raise Breach(f"its grammar refuses {short(text)} where these markers are fixed: write each value once")


def is_parted_from_the_answer(probe: Probe) -> None:
    """An answer is delivered as it was written, behind any block, also in pieces."""
    from ttmarkers.blocks.splitting import Splitter

    for template in probe.templates():
        for markers in _some(template.taxonomy):
            block = template.render(markers)
            for answer in ANSWERS:
                text = block + template.after + answer
                split = template.split(text)
                if (split.block, split.text, split.markers) != (block, answer, markers):
                    raise Breach(
                        f"of {short(text)} it takes {short(split.block)} for the block and {short(split.text)} for the "
                        "answer: set after to what no answer begins with, such as a line break"
                    )
                splitter = Splitter(template)
                if "".join([*map(splitter.feed, text), splitter.finish()]) != answer:
                    raise Breach(f"of {short(text)}, sign by sign, another answer comes: end blocks with a closing")


class Acceptor:
    """Says whether a text is a sentence of a grammar, from its first byte to its last.

    Args:
        grammar: of a template's blocks.
        tokenizer: of llguidance, by whose tokens the text is read; bytes by default.
    """

    def __init__(self, grammar: BlockGrammar, tokenizer: Any = None) -> None:
        import llguidance

        self._tokenizer = tokenizer or llguidance.LLTokenizer("byte")
        self._grammar = llguidance.grammar_from("lark", grammar.to_lark())
        self._matcher = llguidance.LLMatcher(self._tokenizer, self._grammar)
        if self._matcher.is_error():
            raise Breach(
                f"its grammar cannot be used: {short(self._matcher.get_error())}: write plain text around values"
            )

    def __call__(self, text: str) -> bool:
        """Tell whether the text is one."""
        matcher = self._matcher.deep_copy()
        tokens = self._tokenizer.tokenize_bytes(text.encode())
        if matcher.validate_tokens(tokens) < len(tokens):
            return False
        return bool(matcher.consume_tokens(tokens) and matcher.is_accepting())


def _some(taxonomy: Taxonomy) -> list[dict[str, Value]]:
    """Return few blocks of many kinds: grammars of long lists of values take their time."""
    every = list(blocks(taxonomy))
    return [every[0], *every[1 :: max(1, len(every) // 40)][:40], *every[-8:]]


def _parse(template: Template, text: str, markers: Mapping[str, Value]) -> dict[str, Value]:
    try:
        return template.parse(text)
    except Exception as error:
        raise Breach(
            f"it writes {short(dict(markers))} as {short(text)} and cannot read that ({error}): close "
            "values and blocks, and part names from values, with signs that are no letters"
        ) from error


CHECKS = (
    has_a_name_and_a_summary,
    has_a_sound_source,
    reads_back_what_it_writes,
    has_a_grammar_of_what_it_writes,
    is_parted_from_the_answer,
)
