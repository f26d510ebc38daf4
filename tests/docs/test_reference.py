"""Reference pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ttmarkers.cli import main
from ttmarkers.config import Config

DOCS = Path(__file__).parents[2] / "docs"


def test_taxonomy_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """The taxonomy's page is what the command prints: write it anew with ``ttm markers list --markdown``."""
    with pytest.raises(SystemExit):
        main(["--no-plugins", "markers", "list", "--markdown"])
    assert (DOCS / "reference" / "taxonomy.md").read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize("section", ["data", "markers", "dropout", "train", "decode", "evaluate"])
def test_every_config_key_is_documented(section: str) -> None:
    """The config's page names every key."""
    page = (DOCS / "reference" / "config.md").read_text(encoding="utf-8")
    model = Config.model_fields[section].annotation
    assert model is not None
    for key in model.model_fields:  # type: ignore[attr-defined]
        assert f"`{section}.{key}" in page, key
