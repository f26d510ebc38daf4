"""The values that flow through the loop, one frozen dataclass for each stage.

``row -> Example -> MarkedExample -> RenderedPair -> Encoded -> Generation -> scores``. A later stage adds to the
one before it and never overwrites it: the raw text of a generation stays beside the stripped one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Value = str | int | float
"""What a marker can hold: a category, a count, or a score."""

Part = int
"""Which part of a training text a token belongs to: `PROMPT`, `BLOCK` or `ANSWER`."""

PROMPT, BLOCK, ANSWER = 0, 1, 2
PART_NAMES = ("prompt", "block", "answer")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from: a file's path or a data set's name, and its number there (from 1)."""

    name: str
    row: int

    def __str__(self) -> str:
        return f"{self.name}, row {self.row}"


@dataclass(frozen=True, slots=True)
class Parallel:
    """Rows that hold one sentence in several languages.

    Attributes:
        languages: column -> name of its language.
        sources: the columns that are translated from; each into all others.
    """

    languages: Mapping[str, str]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A training example without markers: the turns so far, and the answer to learn.

    Attributes:
        id: the row's own id, or a stable hash of its text; two rows of the same text share it.
        prompt: all turns before the completion; the last is the user's.
        completion: the assistant's last turn, never empty.
        columns: the row as it was read.
        origin: the file and row, for messages to the user.
    """

    id: str
    prompt: tuple[Message, ...]
    completion: str
    columns: Mapping[str, Any]
    origin: Origin

    @property
    def instruction(self) -> str:
        """The text of the last user turn."""
        return self.prompt[-1].content


@dataclass(frozen=True, slots=True)
class Found:
    """A marker that an extractor found on one example.

    Attributes:
        value: the value that goes into the block.
        confidence: from 0 to 1; 1 for counts and for what the data set says of itself.
        others: further values that hold too, in order; the paper gives one value per marker and calls that a limit.
    """

    value: Value
    confidence: float = 1.0
    others: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Spending:
    """What a paid extractor would take: requests beyond the answers that are known, tokens, and their cost."""

    requests: int = 0
    known: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def __add__(self, other: Spending) -> Spending:
        return Spending(
            self.requests + other.requests,
            self.known + other.known,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class MarkedExample:
    """An example and what is known of it. A marker that is not known is absent.

    ``others`` holds the further values of markers that have more than one.
    """

    id: str
    prompt: tuple[Message, ...]
    completion: str
    markers: Mapping[str, Value]
    origin: Origin
    others: Mapping[str, Sequence[Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a marker stands in a block, in characters.

    Attributes:
        index: its place in the taxonomy.
        start: where its own text begins, tags included.
        value: where its value begins.
        value_end: where its value ends.
        end: where its own text ends.
    """

    index: int
    start: int
    value: int
    value_end: int
    end: int


@dataclass(frozen=True, slots=True)
class RenderedPair:
    """A marked example as text: what the model reads, and what it learns to write.

    ``completion`` is ``block`` (with the white space that follows it) and then ``answer``; without markers
    ``block`` is empty. ``dropped`` names the markers that dropout took out of the prompt, ``spans`` says where the
    markers stand in ``block``.
    """

    id: str
    prompt: tuple[Message, ...]
    block: str
    answer: str
    dropped: tuple[str, ...] = ()
    spans: tuple[tuple[str, Span], ...] = ()

    @property
    def completion(self) -> str:
        """The text to learn: the block, then the answer."""
        return self.block + self.answer


def mark(index: int, *, value: bool, dropped: bool) -> int:
    """Return one number, at least 1, for a token of a marker.

    Args:
        index: the marker's place in the taxonomy.
        value: whether the token belongs to the marker's value, not to what stands around it.
        dropped: whether dropout took the marker out of the prompt, so that it cannot be copied.
    """
    return 1 + 4 * index + 2 * value + dropped


@dataclass(frozen=True, slots=True)
class Encoded:
    """A rendered pair as token ids, with the part that each token belongs to.

    Tokens of `PROMPT` carry no loss; tokens of `BLOCK` and `ANSWER` do. ``marks`` says which marker of the block a
    token belongs to: 0 for none, else as `mark` makes it. A token that belongs to two markers counts for the first.
    """

    id: str
    input_ids: list[int]
    parts: list[Part]
    marks: list[int] = field(default_factory=list)

    @property
    def labels(self) -> list[int]:
        """Token ids where there is loss, -100 elsewhere."""
        return [token if part else -100 for token, part in zip(self.input_ids, self.parts, strict=True)]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many tokens the parts of an encoded pair have."""

    prompt: int
    block: int
    answer: int

    @property
    def total(self) -> int:
        """All tokens."""
        return self.prompt + self.block + self.answer


Score = float | tuple[float, ...]
"""What one case scores: a number, or the numbers that a metric of the whole set is made of (see `Metric.combine`)."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a task measures.

    Attributes:
        better: ``lower``, ``higher`` or ``neither``.
        share: whether it lies between 0 and 1.
        over: the slices whose means are averaged, the outermost first: ``("target_lang", "source")`` is the mean over
            target languages of the mean over their sources of the mean over cases. None: the mean over cases.
        combine: makes the figure from the sums of what each case scores, for metrics that are no mean over cases
            (BLEU); None for means.
    """

    better: str
    share: bool = True
    over: tuple[str, ...] = ()
    combine: Callable[[Sequence[float]], float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what ``result.json`` says of the metric."""
        return {"better": self.better, "share": self.share, **({"over": list(self.over)} if self.over else {})}


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to answer, with the markers that are asked for, and those that the answer should be led away from."""

    id: str
    prompt: tuple[Message, ...]
    markers: Mapping[str, Value] = field(default_factory=dict)
    negative: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote to one prompt.

    Attributes:
        raw: the whole text, block included, as decoded.
        block: the block as written, empty if there was none.
        markers: the markers read from the block.
        text: the answer without the block: what a user sees and what is scored.
        fault: what was wrong with the block, empty if nothing.
        stats: counts, such as ``forward_passes``, ``block_tokens`` and ``answer_tokens``.
        chances: marker -> value -> probability, the likeliest first, where a policy found it out.
        enforced: limit -> number that the answer was cut to; such an answer did not obey.
        asked: the markers that were asked for.
    """

    id: str
    prompt: tuple[Message, ...]
    raw: str
    block: str
    markers: Mapping[str, Value]
    text: str
    policy: str
    fault: str = ""
    stats: Mapping[str, int | float] = field(default_factory=dict)
    chances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    enforced: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, Value] = field(default_factory=dict)
