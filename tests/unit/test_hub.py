"""Pushing a model to the Hub: what is sent, and what is said when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import huggingface_hub
import pytest

from ttmarkers.errors import CheckpointError, TtmError
from ttmarkers.models.hub import push

if TYPE_CHECKING:
    from pathlib import Path


class Api:
    """Stands in for the Hub's client and notes what it is asked."""

    calls: list[tuple[str, Any]]
    error: Exception | None = None

    def create_repo(self, name: str, **options: Any) -> str:
        """Note a repository."""
        type(self).calls.append((name, options))
        return f"https://hub/{name}"

    def upload_folder(self, **options: Any) -> None:
        """Note an upload, or fail."""
        if type(self).error:
            raise type(self).error
        type(self).calls.append(("upload", options))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[Api]:
    """The client of this test."""

    class Mine(Api):
        calls: list[tuple[str, Any]] = []  # noqa: RUF012 - one list a test

    monkeypatch.setattr(huggingface_hub, "HfApi", Mine)
    return Mine


def test_push(tmp_path: Path, api: type[Api]) -> None:
    """A private repository gets the folder without checkpoints."""
    (tmp_path / "markers.json").touch()
    assert push(tmp_path, "me/model") == "https://hub/me/model"
    (name, made), (_, sent) = api.calls
    assert (name, made) == ("me/model", {"private": True, "exist_ok": True})
    assert (sent["repo_id"], sent["folder_path"]) == ("me/model", tmp_path)
    assert "checkpoints/**" in sent["ignore_patterns"]


def test_unfinished_model(tmp_path: Path, api: type[Api]) -> None:
    """A folder without markers.json is not pushed."""
    with pytest.raises(CheckpointError, match="holds no finished model"):
        push(tmp_path, "me/model")
    assert api.calls == []


def test_hub_that_refuses(tmp_path: Path, api: type[Api]) -> None:
    """A failure is one sentence, and the model stays."""
    (tmp_path / "markers.json").touch()
    api.error = ConnectionError("Name or service\nnot known")
    with pytest.raises(TtmError) as caught:
        push(tmp_path, "me/model")
    assert str(caught.value) == (
        f"me/model cannot be pushed (Name or service not known): the model is in {tmp_path}, try again with --resume"
    )
