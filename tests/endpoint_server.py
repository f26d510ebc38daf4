"""An OpenAI-compatible server for tests: it answers from the text alone, misbehaves on demand, and notes every call."""

from __future__ import annotations

import asyncio
import json
import math
import re
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from support import Outcome

    Fault = Callable[["Call"], Awaitable[web.StreamResponse]]
    Annotate = Callable[..., Outcome]

KEY = "sk-very-distinctive-0123456789"
"""The key that tests put into the environment."""

VALUES = {"task": ("CodeFix", "Summarization", "Rewrite"), "domain": ("Code", "Culture", "Medical")}
"""What is said of a marker when the request holds no schema."""


@dataclass
class Call:
    """A request that came, and what became of it; times are of the monotonic clock."""

    body: dict[str, Any]
    headers: dict[str, str]
    came: float
    request: web.Request
    status: int = 0
    answered: float = math.inf
    tokens: tuple[int, int] = (0, 0)

    @property
    def system(self) -> str:
        """The system turn."""
        return str(self.body["messages"][0]["content"])

    @property
    def user(self) -> str:
        """The user's first turn."""
        return str(self.body["messages"][1]["content"])

    @property
    def schema(self) -> dict[str, list[str]]:
        """Marker -> the values that the schema allows; empty without a schema."""
        form = self.body.get("response_format")
        properties = form["json_schema"]["schema"]["properties"] if form else {}
        return {name: entry["enum"] for name, entry in properties.items()}

    @property
    def question(self) -> str:
        """All that is asked, the same for the same request."""
        return json.dumps([self.body["model"], self.body["messages"], self.schema])


def count(text: str) -> int:
    """Count tokens: words and single signs."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def choose(call: Call) -> dict[str, str]:
    """Return a value of each marker, by the user's text alone."""
    asked = call.schema or {name: list(values) for name, values in VALUES.items() if f'"{name}": "..."' in call.system}
    return {name: values[zlib.crc32(f"{name}{call.user}".encode()) % len(values)] for name, values in asked.items()}


@dataclass
class Server:
    """A server in a thread of its own.

    Attributes:
        say: what stands in an answer.
        fault: returns what goes wrong with a call, or None.
        pause: seconds before an answer.
        usage: whether tokens are counted.
        dear: how many tokens count for one.
        logprobs: the tokens of an answer with their log-probabilities; none if it is not set.
        calls: every call, in the order in which they came.
        most: the greatest number of calls at once.
    """

    say: Callable[[Call], str] = lambda call: json.dumps(choose(call))
    fault: Callable[[Call], Fault | None] = lambda call: None
    pause: float = 0.0
    usage: bool = True
    dear: float = 1.0
    logprobs: Callable[[str], list[tuple[str, float]]] | None = None
    calls: list[Call] = field(default_factory=list)
    most: int = 0
    url: str = ""
    _open: int = 0

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="server")
        self._thread.start()
        self._run(self._start())

    def close(self) -> None:
        """Stop, and end every call that is still waiting."""
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def good(self) -> list[Call]:
        """The calls that were answered with 200."""
        return [call for call in self.calls if call.status == 200]

    def cost(self, price_in: float, price_out: float) -> float:
        """Return what all answers cost, at prices of a million tokens."""
        return sum(call.tokens[0] * price_in + call.tokens[1] * price_out for call in self.good) / 1e6

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = Call(json.loads(await request.text()), dict(request.headers), time.monotonic(), request)
        self.calls.append(call)
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            if self.pause:
                await asyncio.sleep(self.pause)
            fault = self.fault(call)
            answer = await fault(call) if fault else web.json_response(self.completion(call))
            call.status = answer.status
            call.answered = time.monotonic()
            return answer
        finally:
            self._open -= 1

    def completion(self, call: Call, text: str | None = None) -> dict[str, Any]:
        """Return a body as the protocol has it."""
        text = self.say(call) if text is None else text
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": text}
        if self.logprobs and call.body.get("logprobs"):
            tokens = [{"token": token, "logprob": value} for token, value in self.logprobs(text)]
            choice["logprobs"] = {"content": tokens}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": call.body["model"], "choices": [choice]}
        if self.usage:
            sent = sum(count(turn["content"]) for turn in call.body["messages"])
            call.tokens = int(sent * self.dear), int(count(text) * self.dear)
            body["usage"] = {
                "prompt_tokens": call.tokens[0],
                "completion_tokens": call.tokens[1],
                "total_tokens": sum(call.tokens),
            }
        return body


def always(fault: Fault) -> Callable[[Call], Fault | None]:
    """Every call meets the fault."""
    return lambda call: fault


def times(number: int, fault: Fault) -> Callable[[Call], Fault | None]:
    """The first calls meet the fault."""
    left = iter(range(number))
    return lambda call: fault if next(left, None) is not None else None


def where(text: str, fault: Fault) -> Callable[[Call], Fault | None]:
    """Calls whose user turn holds the text meet the fault."""
    return lambda call: fault if text in call.user else None


def refuses(status: int, message: str = "no", **headers: str) -> Fault:
    """Answer with an error; ``retry_after`` becomes the header."""

    async def fault(call: Call) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": {"message": message}}, status=status, headers=named)

    return fault


def says(body: str, kind: str = "application/json") -> Fault:
    """Answer with 200 and a body of one's own."""

    async def fault(call: Call) -> web.StreamResponse:
        return web.Response(text=body, content_type=kind)

    return fault


async def silence(call: Call) -> web.StreamResponse:
    """Never answer."""
    await asyncio.sleep(600)
    return web.Response()


async def reset(call: Call) -> web.StreamResponse:
    """Break the connection in the middle of the answer."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
    await response.prepare(call.request)
    await response.write(b'{"id": "x", "choices": [{"mess')
    if call.request.transport is not None:
        call.request.transport.abort()
    return response


async def drip(call: Call) -> web.StreamResponse:
    """Send a byte now and then, for ever."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(call.request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def echo(call: Call) -> web.StreamResponse:
    """Refuse, and repeat the key in the refusal, as careless servers do."""
    return await refuses(500, f"cannot serve {call.headers['Authorization']}, sorry")(call)


def pieces(text: str, probability: float = 0.9) -> list[tuple[str, float]]:
    """Cut a text into tokens of up to four characters, all with one probability."""
    return [(piece, math.log(probability)) for piece in _cut(text)]


def _cut(text: str) -> Iterator[str]:
    for start in range(0, len(text), 4):
        yield text[start : start + 4]
