"""The config's page gives the defaults that the code has."""

from __future__ import annotations

import re

import doc_links as pages
from ttmarkers.config import Config

PAGE = pages.DOCS / "reference" / "config.md"


def _told() -> dict[str, str]:
    """Return what the page's table says of each key's default."""
    told = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            keys, defaults = re.findall(r"`([^`]+)`", cells[0]), cells[-1]
            each = defaults.split(", ") if len(keys) > 1 and ", " in defaults else [defaults] * len(keys)
            told |= dict(zip(keys, each, strict=True))
    return told


def test_defaults() -> None:
    """Each number, word and switch of the config has the default that the page tells."""
    told, checked = _told(), 0
    for section, value in Config():
        settings = dict(value) if hasattr(value, "model_fields_set") else {"": value}
        for key, default in settings.items():
            name = f"{section}.{key}".rstrip(".")
            if isinstance(default, bool):
                assert told[name] == str(default).lower(), name
            elif isinstance(default, int | float):
                assert float(told[name].replace(",", "")) == default, name
            elif isinstance(default, str):
                assert told[name].strip("`") == default, name
            checked += isinstance(default, bool | int | float | str)
    assert checked >= 15


def test_no_key_that_is_not_there() -> None:
    """Each key that the page names is one of the config."""
    for name in _told():
        section, _, key = name.partition(".")
        assert section in Config.model_fields, name
        fields = getattr(Config.model_fields[section].annotation, "model_fields", {})
        assert not key or key == "*" or key.partition(".")[0] in {*fields, "packing"}, name
