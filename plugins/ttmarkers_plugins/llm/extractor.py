"""Extractor ``llm``: markers by asking a language model, with nothing asked twice and nothing spent unseen.

Source: D'souza et al. 2025, section 3: an LLM gets the definition of each class and examples in the prompt's language.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import ConfigError, StoppedError
from ttmarkers.records import Spending
from ttmarkers_plugins.extractors.language import LanguageExtractor
from ttmarkers_plugins.extractors.prose import is_blank, prose
from ttmarkers_plugins.llm.once import Once, UnusableError, ask_twice
from ttmarkers_plugins.llm.questions import Question, Questions, confidences, to_found
from ttmarkers_plugins.llm.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ttmarkers.annotation.guides import Briefing
    from ttmarkers.errors import DataError
    from ttmarkers.protocols import Subject
    from ttmarkers.records import Found
    from ttmarkers_plugins.llm.endpoint import Endpoint, Reply

LOOKED_AT = 2000  # characters of a prompt whose language is told


class LlmExtractor:
    """Finds any categorical marker, and numbers on the scale of their guide, by asking a language model.

    The answer is held to the taxonomy by a JSON schema where the server takes one, and read strictly in any case. An
    answer that cannot be used is asked for once more; then the marker is ``Unspecified`` if it has that value, or
    absent. The probability that the model gave the value, where the server tells it, is the confidence; else it is 1.

    Args:
        model: the model's name.
        base_url: the endpoint, such as ``http://localhost:8000/v1``; by default ``OPENAI_BASE_URL``, then OpenAI's.
        key_variable: the environment variable that holds the key.
        together: whether all markers of a row are asked for in one request, or each in its own.
        examples: examples of each value that the model is shown.
        template: a Jinja file to use instead of the shipped one (`ttmarkers_plugins.llm.questions`).
        cache: the file of answers; by default in the user's cache folder.
        concurrency: requests at once, in each worker.
        timeout: seconds for one try.
        retries: further tries of one request.
        price_in: price of a million tokens of requests.
        price_out: price of a million tokens of answers.
        max_chars: how much of a prompt or completion is shown.
        request: further keys of the request, such as ``{max_tokens: 60}``.
    """

    def __init__(
        self,
        model: str = "",
        base_url: str = "",
        key_variable: str = "OPENAI_API_KEY",
        together: bool = True,
        examples: int = 1,
        template: str | None = None,
        cache: str | None = None,
        concurrency: int = 16,
        timeout: float = 60.0,
        retries: int = 6,
        price_in: float = 0.0,
        price_out: float = 0.0,
        max_chars: int = 4000,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = Settings(
            model, base_url, key_variable, concurrency, timeout, retries, price_in, price_out, dict(request or {})
        )
        self._settings.check({"examples": (examples, 0), "max_chars": (max_chars, 2)})
        self._together, self._examples, self._template, self._max_chars = together, examples, template, max_chars
        self._once = Once(self._settings, cache)
        self._answers = self._once.answers
        self._estimated: set[str] = set()

    def prepare(self, briefing: Briefing) -> None:
        """Take in the markers to ask for, what is said of their values, and what may be spent."""
        for kind in briefing.types:
            if kind.name not in briefing.guides or not briefing.guides[kind.name].values:
                raise ConfigError(
                    f"extractor 'llm' cannot ask for {kind.name!r}: write a guide with points of its scale"
                )
        if briefing.max_cost is not None and not any((self._settings.price_in, self._settings.price_out)):
            raise ConfigError("--max-cost needs prices: set markers.options.llm.price_in and price_out")
        self._briefing = briefing
        self._names = tuple(kind.name for kind in briefing.types)
        self._questions = Questions(
            briefing.types,
            briefing.guides,
            self._settings.identity,
            template=self._template,
            examples=self._examples,
            max_chars=self._max_chars,
        )

    def estimate(self, batch: Sequence[Subject]) -> Spending:
        """Return what asking for these rows would take beyond what is known and what was estimated before."""
        asked = {question.key: question for questions in map(self._ask, batch) for question in questions}
        known = self._answers.get(asked)
        new = [question for key, question in asked.items() if key not in known and key not in self._estimated]
        self._estimated.update(question.key for question in new)
        tokens_in = sum(map(self._questions.tokens_in, new))
        tokens_out = sum(question.tokens_out for question in new)
        return Spending(len(new), len(known), tokens_in, tokens_out, self._settings.cost(tokens_in, tokens_out))

    def extract(self, batch: Sequence[Subject]) -> list[Mapping[str, Found] | DataError]:
        """Return what the model says of each row; a `DataError` where it cannot be had."""
        asked = [self._ask(subject) for subject in batch]
        wanted = {question.key: question for questions in asked for question in questions}
        known, failed = self._once.get({key: partial(self._answer, question) for key, question in wanted.items()})
        return [self._collect(questions, known, failed) for questions in asked]

    def _ask(self, subject: Subject) -> list[Question]:
        """Return the requests of a row: for what is not known yet; none where there is nothing to read."""
        example = subject.example
        if is_blank(example):
            return []
        names = tuple(name for name in self._names if name not in subject.markers)
        groups = [names] if self._together and names else [(name,) for name in names]
        return [self._questions.ask(example, group) for group in groups]

    def _collect(
        self, questions: Sequence[Question], known: Mapping[str, Any], failed: Mapping[str, DataError]
    ) -> Mapping[str, Found] | DataError:
        found: dict[str, Found] = {}
        for question in questions:
            if question.key in failed:
                return failed[question.key]
            answer = known[question.key]
            found.update(to_found(answer["values"], answer["confidence"]))
        return found

    async def _answer(self, question: Question, endpoint: Endpoint) -> dict[str, Any]:
        """Ask, and once more if the answer cannot be used."""
        names = question.names
        language, _ = self._language.identify(prose(question.prompt[:LOOKED_AT]))
        system = self._questions.system(names, language)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question.user}]
        send, read = partial(self._paid, question, endpoint), partial(self._questions.read, names)
        try:
            values, reply = await ask_twice(send, messages, read, self._questions.again)
        except UnusableError:
            return {"values": self._questions.abstain(names), "confidence": dict.fromkeys(names, 0.0)}
        return {"values": values, "confidence": confidences(names, reply.text, reply.tokens)}

    async def _paid(self, question: Question, endpoint: Endpoint, messages: Sequence[dict[str, str]]) -> Reply:
        """Send a request if the run can afford it, and add up what it cost."""
        run, limit = self._briefing.run, self._briefing.max_cost
        expected = self._settings.cost(self._questions.tokens_in(question), question.tokens_out)
        if limit is not None and not self._answers.spend(run, expected, limit):
            raise StoppedError(
                f"--max-cost {limit:g} is reached ({self._answers.spent(run):.4f} spent): what is done is kept, "
                "go on with --resume, which may spend as much again"
            )
        reply = await endpoint.ask(messages, self._questions.schema(question.names))
        if limit is not None and reply.tokens_in:
            self._answers.spend(run, self._settings.cost(reply.tokens_in, reply.tokens_out) - expected, None)
        return reply

    @cached_property
    def _language(self) -> LanguageExtractor:
        return LanguageExtractor()
