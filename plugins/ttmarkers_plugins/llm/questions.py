"""What a model is asked about a row, the schema of its answer, and how the answer is read."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ttmarkers.components import read_data
from ttmarkers.errors import ConfigError, DataError
from ttmarkers.records import Found
from ttmarkers.taxonomies.taxonomy import check_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.annotation.guides import Guide
    from ttmarkers.components import MarkerType
    from ttmarkers.records import Example, Value

TEMPLATE = "ttmarkers_templates:tagging/request.jinja"
UNSPECIFIED = "Unspecified"
CHARS_A_TOKEN = 4  # bytes; about right for English, and for an estimate in other scripts
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """One request.

    Attributes:
        names: the markers that are asked for.
        prompt: the row's prompt, in whose language examples are shown.
        user: what the model is shown of the row.
        key: hash of model, texts and schema, under which the answer is kept.
    """

    names: tuple[str, ...]
    prompt: str
    user: str
    key: str

    @property
    def tokens_out(self) -> int:
        """About how many tokens an answer has."""
        return 4 + 8 * len(self.names)


class Questions:
    """Makes requests of rows, and reads answers.

    Args:
        types: the marker types that can be asked for.
        guides: what is said of them.
        identity: model and settings, which are part of every key.
        template: a Jinja file with the macros ``system``, ``user`` and ``again``; the shipped one by default.
        examples: how many examples of each value are shown, in the row's language where there are any.
        max_chars: how much of a prompt or completion is shown; the middle of a longer one is left out.
    """

    def __init__(
        self,
        types: Sequence[MarkerType],
        guides: Mapping[str, Guide],
        identity: Mapping[str, Any],
        *,
        template: str | None = None,
        examples: int = 1,
        max_chars: int = 4000,
    ) -> None:
        self._types = {kind.name: kind for kind in types}
        self._guides = guides
        self._identity = json.dumps(identity, sort_keys=True)
        self._examples, self._max_chars = examples, max_chars
        self._template = template or TEMPLATE
        self._source, self._macros = _macros(template)
        self._stems: dict[tuple[str, ...], str] = {}
        self._systems: dict[tuple[tuple[str, ...], str], str] = {}

    def ask(self, example: Example, names: tuple[str, ...]) -> Question:
        """Return the request for these markers of a row."""
        shown = clip(example.completion, self._max_chars) if self._shows_completion(names) else None
        prompt = "\n\n".join(turn.content for turn in example.prompt)
        user = self._write("user", clip(prompt, self._max_chars), shown)
        key = hashlib.sha256(f"{self._stem(names)}\0{user}".encode("utf-8", "replace")).hexdigest()
        return Question(names, prompt, user, key)

    def tokens_in(self, question: Question) -> int:
        """About how many tokens a request has, were its prompt English."""
        size = len(self.system(question.names, "en").encode()) + len(question.user.encode("utf-8", "replace"))
        return size // CHARS_A_TOKEN + 8

    def again(self, fault: str) -> str:
        """Return what is said after an answer that could not be used."""
        return self._write("again", fault)

    def schema(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the JSON schema of an answer, as endpoints take it in ``response_format``."""
        properties = {name: {"type": "string", "enum": self._allowed(name)} for name in names}
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(names),
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": "markers", "strict": True, "schema": schema}}

    def read(self, names: Sequence[str], text: str) -> dict[str, Value | None]:
        """Return the marker values of an answer; None where the model says that it cannot tell.

        Raises:
            DataError: if the answer is no JSON object of just these markers with values of the taxonomy.
        """
        fenced = _FENCE.match(text.strip())
        try:
            answer = json.loads(fenced[1] if fenced else text)
        except ValueError as error:
            raise DataError(f"the answer is no JSON ({error})") from error
        if not isinstance(answer, dict) or set(answer) != set(names):
            raise DataError(f"the answer does not hold just the keys {', '.join(names)}")
        found: dict[str, Value | None] = {}
        for name in names:
            said = answer[name]
            if not isinstance(said, str | int | float) or isinstance(said, bool):
                raise DataError(f"{name} is neither a text nor a number")
            kind = self._types[name]
            if str(said).casefold() == UNSPECIFIED.casefold():
                found[name] = UNSPECIFIED if UNSPECIFIED in kind.values else None
            elif not kind.values and str(said) not in self._allowed(name):
                raise DataError(f"{name} = {said!r} is none of {', '.join(self._allowed(name))}")
            else:
                found[name] = check_value(kind, said)
        return found

    def abstain(self, names: Sequence[str]) -> dict[str, Value | None]:
        """Return what stands for markers on which no usable answer came."""
        return {name: UNSPECIFIED if UNSPECIFIED in self._types[name].values else None for name in names}

    def _write(self, macro: str, *arguments: Any) -> str:
        try:
            return str(getattr(self._macros, macro)(*arguments))
        except Exception as error:  # a template can run any expression, and fail as it likes
            raise ConfigError(f"template {self._template}, macro {macro}: {' '.join(str(error).split())}") from error

    def _allowed(self, name: str) -> list[str]:
        values = list(self._types[name].values or self._guides[name].values)
        return values if UNSPECIFIED in values or not self._types[name].values else [*values, UNSPECIFIED]

    def _shows_completion(self, names: Sequence[str]) -> bool:
        return any(self._guides[name].reads != "prompt" for name in names)

    def system(self, names: tuple[str, ...], language: str) -> str:
        """Return what a model is told about these markers, with examples in a language (ISO code)."""
        if (names, language) not in self._systems:
            markers = [self._marker(name, language) for name in names]
            self._systems[names, language] = self._write("system", markers, self._shows_completion(names))
        return self._systems[names, language]

    def _stem(self, names: tuple[str, ...]) -> str:
        """Return the part of a key that rows share: all that the system text is made of, whatever its language."""
        if names not in self._stems:
            said = json.dumps([asdict(self._guides[name]) for name in names], sort_keys=True)
            parts = (self._identity, self._source, str(self._examples), said, json.dumps(self.schema(names)))
            self._stems[names] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return self._stems[names]

    def _marker(self, name: str, language: str) -> dict[str, Any]:
        guide = self._guides[name]
        values = [
            {"name": value, "definition": said.definition, "examples": said.in_language(language)[: self._examples]}
            for value, said in guide.values.items()
        ]
        if UNSPECIFIED in self._allowed(name) and UNSPECIFIED not in guide.values:
            values.append({"name": UNSPECIFIED, "definition": "None of these, or it cannot be told.", "examples": []})
        return {"name": name, "question": guide.question, "values": values}


def clip(text: str, most: int) -> str:
    """Return a text, without its middle if it is longer than so many characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[...]\n{text[-half:]}"


def _macros(template: str | None) -> tuple[str, Any]:
    """Return the source and the macros of a template file."""
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=False)
    # Jinja's own writes é as \u00e9 and ' as \u0027, for HTML: a model is to read what was written
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    try:
        source = Path(template).read_text(encoding="utf-8") if template else read_data(TEMPLATE)
        module: Any = environment.from_string(source).module
    except OSError as error:
        raise ConfigError(f"template {template} cannot be read: {error.strerror}") from error
    except Exception as error:  # as in Questions._write, and a file of other bytes is no text
        raise ConfigError(f"template {template or TEMPLATE} is no Jinja: {' '.join(str(error).split())}") from error
    for name in ("system", "user", "again"):
        if not hasattr(module, name):
            raise ConfigError(f"template {template} has no macro {name!r}")
    return source, module


def confidences(names: Sequence[str], text: str, tokens: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the probability that the model gave each value of its answer.

    Args:
        names: the markers in the answer.
        text: the answer.
        tokens: its tokens with their log-probabilities, in order; together they are the text.
    """
    found: dict[str, float] = {}
    if "".join(token for token, _ in tokens) != text:
        return found
    for name in names:
        match = re.search(rf'"{re.escape(name)}"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,}}]+))', text)
        if not match:
            continue
        start, end = match.span(match.lastindex or 0)
        place, total = 0, 0.0
        for token, logprob in tokens:
            if place < end and place + len(token) > start:
                total += logprob
            place += len(token)
        found[name] = round(min(math.exp(total), 1.0), 4)
    return found


def to_found(values: Mapping[str, Value | None], sure: Mapping[str, float]) -> dict[str, Found]:
    """Return an answer as markers, without those that the model could not tell."""
    return {name: Found(value, sure.get(name, 1.0)) for name, value in values.items() if value is not None}
