"""Nothing is asked twice: what is known is looked up, what is not is asked, and kept as soon as it is there."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttmarkers.errors import DataError
from ttmarkers_plugins.llm.answers import Answers, default_path
from ttmarkers_plugins.llm.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ttmarkers_plugins.llm.endpoint import Reply
    from ttmarkers_plugins.llm.settings import Settings

    Ask = Callable[[Endpoint], Awaitable[Any]]
    Messages = Sequence[dict[str, str]]

POLL = 0.2  # seconds between looks for an answer that another process has asked for


class UnusableError(DataError):
    """A model answered twice, and neither answer can be used."""


class Once:
    """An endpoint behind a store of answers.

    Args:
        settings: how the endpoint is asked; it is made when the first answer is missing.
        cache: the file of answers; by default in the user's cache folder.
    """

    def __init__(self, settings: Settings, cache: str | None = None) -> None:
        self.settings = settings
        self.answers = Answers(Path(cache).expanduser() if cache else default_path(), settings.again)
        self._endpoint: Endpoint | None = None

    def get(self, asks: Mapping[str, Ask]) -> tuple[dict[str, Any], dict[str, DataError]]:
        """Return the answers by key, and the errors of those that cannot be had.

        Args:
            asks: key -> what asks the endpoint for the answer, and returns it in a form that JSON holds.
        """
        known = self.answers.get(asks)
        failed: dict[str, DataError] = {}
        missing = [key for key in asks if key not in known]
        if missing:
            endpoint = self._endpoint = self._endpoint or Endpoint(self.settings)
            jobs = [partial(self._fetch, endpoint, key, asks[key], known, failed) for key in missing]
            endpoint.run(endpoint.each(jobs))
        return known, failed

    async def _fetch(
        self, endpoint: Endpoint, key: str, ask: Ask, known: dict[str, Any], failed: dict[str, DataError]
    ) -> None:
        while not self.answers.claim(key):
            await asyncio.sleep(POLL)
            answer = self.answers.get([key])
            if answer:
                known.update(answer)
                return
        try:
            answer = await ask(endpoint)
            self.answers.put(key, answer)
            known[key] = answer
        except DataError as error:
            self.answers.release(key)
            failed[key] = error
        except BaseException:
            self.answers.release(key)
            raise


async def ask_twice(
    send: Callable[[Messages], Awaitable[Reply]],
    messages: Messages,
    read: Callable[[str], Any],
    again: Callable[[str], str],
) -> tuple[Any, Reply]:
    """Ask, and once more if the answer cannot be used; return what was read, and where.

    Args:
        send: sends messages.
        messages: of the request.
        read: reads an answer, or raises a `DataError`.
        again: returns what is said after an answer that cannot be used, given what is wrong with it.

    Raises:
        UnusableError: if the second answer cannot be used either.
    """
    reply = await send(messages)
    try:
        return read(reply.text), reply
    except DataError as error:
        said = {"role": "assistant", "content": reply.text}
        messages = [*messages, said, {"role": "user", "content": again(str(error))}]
    reply = await send(messages)
    try:
        return read(reply.text), reply
    except DataError as error:
        raise UnusableError(str(error)) from error
