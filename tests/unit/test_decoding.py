"""Policies are run over requests: in order, and one that has no room takes no other with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ttmarkers.components import PolicyComponent
from ttmarkers.decoding import run_policy
from ttmarkers.errors import NoRoomError
from ttmarkers.records import Generation, Message, Request
from ttmarkers.registry import Entry, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Narrow:
    """Answers with the request's id, and has no room for some."""

    def generate(self, engine: Any, requests: Sequence[Request]) -> Iterator[Generation]:
        """Yield the generations of requests."""
        assert len(requests) <= engine.batch_size
        for request in requests:
            if request.id in ("2", "5"):
                raise NoRoomError(f"no room for {request.id}")
            yield Generation(request.id, request.prompt, request.id, "", {}, request.id, "narrow")


def test_one_without_room() -> None:
    """Requests come back in order whatever their lengths; those without room say so, and all others are answered."""
    registry = Registry("policy", [Entry(PolicyComponent("narrow", "", Narrow), "test 1.0")])
    requests = [Request(str(number), (Message("user", "x" * (7 * number % 5)),)) for number in range(11)]
    engine: Any = SimpleNamespace(batch_size=3, listener=None)
    found = list(run_policy("narrow", registry, engine, requests))
    assert [each.id for each in found] == [request.id for request in requests]
    assert {each.id: each.fault for each in found if each.fault} == {"2": "no room for 2", "5": "no room for 5"}
    assert [each.text for each in found if not each.fault] == [each.id for each in found if not each.fault]
