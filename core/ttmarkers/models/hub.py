"""Finished models to the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ttmarkers.errors import CheckpointError, ConfigError, TtmError

if TYPE_CHECKING:
    from pathlib import Path

LEFT_OUT = ("checkpoints/**", ".work/**")


def check_name(name: str) -> None:
    """Raise `ConfigError` for what cannot be the name of a repository."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError(f"--push-to {name!r}: write OWNER/NAME ({' '.join(str(error).split())})") from error


def push(folder: Path, name: str) -> str:
    """Upload a finished model with its markers and card; return its address.

    The repository is made if it is not there, private. The token is ``HF_TOKEN``, or what ``hf auth login`` stored.

    Args:
        folder: what ``ttm train`` wrote.
        name: ``owner/name`` of the repository.

    Raises:
        CheckpointError: if the folder holds no finished model.
        TtmError: if the Hub refuses or cannot be reached.
    """
    if not (folder / "markers.json").is_file():
        raise CheckpointError(f"{folder} holds no finished model: train it first with ttm train")
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=name, folder_path=folder, ignore_patterns=list(LEFT_OUT), commit_message="Model with its markers"
        )
    except Exception as error:  # the Hub's client changes its HTTP library, and with it its errors
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise TtmError(
            f"{name} cannot be pushed ({reason}): the model is in {folder}, try again with --resume"
        ) from error
    return str(address)
