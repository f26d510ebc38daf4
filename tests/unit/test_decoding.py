"""Policies are run over requests: in order, and one that has no room takes no other with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ttmarkers.components import PolicyComponent
from ttmarkers.decoding.run import load, run_policy
from ttmarkers.errors import NoRoomError
from ttmarkers.plugins.registry import Entry, Registry
from ttmarkers.records import Generation, Message, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pytest
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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


def test_a_gpu_is_used(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model goes to the GPU if there is one, unless its options say where; without one it stays."""
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    moved: list[str] = []
    monkeypatch.setattr(type(model), "to", lambda self, device: moved.append(device) or self)
    for there, options in ((False, {}), (True, {"device_map": "cpu"}), (True, {})):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        assert load(str(tmp_path), "none", **options).checkpoint is None
        assert moved == (["cuda"] if there and not options else [])
