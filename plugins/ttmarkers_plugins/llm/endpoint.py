"""Requests to an OpenAI-compatible endpoint: many at once, patient with a busy server, ended when it is of no use.

The ``openai`` client sends them; when and how often they are sent again is decided here, because a server that says
``Retry-After`` to one request means all of them.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import threading
from dataclasses import dataclass
from socket import gaierror
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ttmarkers.errors import ConfigError, DataError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from tenacity import RetryCallState

    from ttmarkers_plugins.llm.settings import Settings

DEFAULT_URL = "https://api.openai.com/v1"
LONGEST_WAIT = 60.0  # seconds between two tries, but for a server that asks for more
LONGEST_ASKED = 600.0  # what a server may ask for
GIVE_UP = 20  # requests that fail one after another, all their tries included, before a run is stopped


@dataclass(frozen=True)
class Reply:
    """What came back: the text, its tokens with log-probabilities where given, and the tokens that were counted."""

    text: str
    tokens: Sequence[tuple[str, float]] = ()
    tokens_in: int = 0
    tokens_out: int = 0


class Endpoint:
    """A model behind an endpoint. Its requests run in a thread of their own.

    Raises:
        ConfigError: if the key is missing, or the address holds a password.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        parts = urlsplit(self._url)
        if parts.username or parts.password:
            raise ConfigError(f"{settings.owner}: base_url holds a password: put the key into the environment instead")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{settings.owner}: base_url {self._url!r} is no address such as http://localhost:8000/v1"
            )
        self._key = os.environ.get(settings.key_variable, "").strip()
        if not self._key and self._url == DEFAULT_URL:
            raise ConfigError(f"{settings.owner} needs a key: set the environment variable {settings.key_variable}")
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"the key in the environment variable {settings.key_variable} holds letters that cannot be sent: copy "
                "it again"
            )
        self._left_out: set[str] = set()  # what the server does not take
        self._not_before = 0.0
        self._failures, self._reached = 0, False
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="llm").start()
        self._client: Any = None
        atexit.register(self.close)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(timeout=5)
            self._client = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the thread of requests and return what it returns."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def each(self, jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Run jobs, as many at once as the settings allow; the first error ends the others that have not begun."""
        pending = iter(jobs)
        errors: list[BaseException] = []

        async def worker() -> None:
            for job in pending:
                if errors:
                    return
                try:
                    await job()
                except Exception as error:
                    errors.append(error)
                    return

        await asyncio.gather(*(worker() for _ in range(min(self._settings.concurrency, len(jobs)))))
        if errors:
            raise errors[0]

    async def ask(self, messages: Sequence[dict[str, str]], schema: dict[str, Any]) -> Reply:
        """Send a request, again and again while the server is busy or out of order.

        Raises:
            DataError: if this request cannot be answered.
            ConfigError: if none can: wrong key, address or model.
            StoppedError: if `GIVE_UP` requests in a row failed.
        """
        import openai
        import tenacity

        passing = (openai.APIConnectionError, TimeoutError, ValueError)
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self._settings.retries + 1),
            wait=self._wait,
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, passing) or _is_passing(error)),
            reraise=True,
        )
        try:
            reply: Reply = await retrying(self._send, messages, schema)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise ConfigError(self._final(error)) from None
        except (openai.OpenAIError, TimeoutError, ValueError) as error:
            bad_request = isinstance(error, openai.APIStatusError) and not _is_passing(error)
            self._failures = 0 if bad_request else self._failures + 1
            if not self._reached and isinstance(_connection_fault(error), ConnectionRefusedError | gaierror):
                raise StoppedError(
                    f"nothing answers at {self._url} ({self._reason(error)}): start the server or mend "
                    f"{self._settings.section}.base_url; what is done is kept, {self._settings.again}"
                ) from None
            if self._failures >= GIVE_UP:
                raise StoppedError(
                    f"{self._url} failed {self._failures} requests in a row, the last with: {self._reason(error)}; "
                    f"what is done is kept, {self._settings.again} when it works again"
                ) from None
            raise DataError(f"{self._url} gave no answer ({self._reason(error)})") from None
        self._failures, self._reached = 0, True
        return reply

    async def _send(self, messages: Sequence[dict[str, str]], schema: dict[str, Any]) -> Reply:
        import openai

        if self._client is None:
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self._url,
                max_retries=0,
                timeout=self._settings.timeout,
                http_client=openai.DefaultAioHttpClient(),
            )
        while True:
            # another request may be told to wait longer while this one waits
            while (pause := self._not_before - self._loop.time()) > 0:
                await asyncio.sleep(pause)
            keys = {"response_format": schema, "logprobs": True}
            keys = {name: value for name, value in keys.items() if name not in self._left_out}
            try:
                # a server that sends a byte now and then never meets the client's own limit
                async with asyncio.timeout(self._settings.timeout):
                    # what goes into the body as it is, the client need not look through: a third of its time
                    body = {"temperature": 0, **keys, **self._settings.request, "messages": messages}
                    answer = await self._client.chat.completions.create(
                        model=self._settings.model, messages=[], extra_body=body
                    )
                return _reply(answer)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not self._leave_out(str(error), keys):
                    raise

    def _leave_out(self, message: str, sent: dict[str, Any]) -> bool:
        """Note what a server says that it does not take; tell whether there was any."""
        words = {"response_format": ("response_format", "json_schema", "schema"), "logprobs": ("logprobs", "logprob")}
        named = [name for name in sent if any(word in message.casefold() for word in words[name])]
        self._left_out.update(named)
        return bool(named)

    def _wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait: what the server asked for, else longer each time with some chance in it."""
        import tenacity

        error = state.outcome.exception() if state.outcome else None
        asked = _asked(error)
        if asked is None:
            return tenacity.wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT)(state)
        self._not_before = max(self._not_before, self._loop.time() + asked)
        return asked

    def _final(self, error: Exception) -> str:
        status = getattr(error, "status_code", 0)
        mend = f"see {self._settings.section}.model = {self._settings.model!r} and base_url"
        if status in (401, 403):
            mend = f"see the key in the environment variable {self._settings.key_variable}"
        return f"{self._url} refuses: {self._reason(error)}: {mend}"

    def _reason(self, error: Exception) -> str:
        """Return an error's text on one line, without the key."""
        text = " ".join(str(error).split()) or type(error).__name__
        fault = _connection_fault(error)
        if fault:  # which the client calls a timeout
            text = " ".join(str(fault).split())
        elif isinstance(error, TimeoutError):
            text = f"no whole answer within {self._settings.timeout:g} s"
        if self._key:
            text = text.replace(self._key, "***")
        return text[:300].rstrip(".")


def _connection_fault(error: BaseException) -> OSError | None:
    """Return what the operating system said, if a connection was not made or broke."""
    found: OSError | None = None
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            found = cause  # the innermost is the system's own
        cause = cause.__cause__ or cause.__context__
    return found


def _is_passing(error: BaseException) -> bool:
    """Tell whether an error may be gone at the next try: a busy or broken server, or an answer cut short."""
    return getattr(error, "status_code", 0) in (408, 409, 425, 429) or getattr(error, "status_code", 0) >= 500


def _asked(error: BaseException | None) -> float | None:
    """Return the seconds that a server asks to wait in ``Retry-After``, given in seconds or as a date."""
    from email.utils import parsedate_to_datetime
    from time import time

    response = getattr(error, "response", None)
    text = response.headers.get("retry-after") if response is not None else None
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED) if math.isfinite(seconds) else None


def _reply(answer: Any) -> Reply:
    """Return what is used of the client's answer; a `ValueError` if it is not what the protocol says."""
    try:
        choice = answer.choices[0]
        # a model that refuses leaves the content empty: an answer all the same, if one that cannot be used
        text = choice.message.content or getattr(choice.message, "refusal", None) or choice.message.content
        content = getattr(choice.logprobs, "content", None) or ()
        tokens = tuple((str(token.token), float(token.logprob)) for token in content)
        usage = answer.usage
        counted = (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)
    except (AttributeError, IndexError, TypeError) as error:
        raise ValueError("the answer is not of the form of chat completions") from error
    if not isinstance(text, str):
        raise ValueError("the answer holds no text")
    return Reply(text, tokens, *counted)
