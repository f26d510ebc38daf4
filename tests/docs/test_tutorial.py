"""The tutorial is the example plugin: each file of the one stands in the other, word for word."""

from __future__ import annotations

from doc_pages import ROOT, Block, read_page

EXAMPLE = ROOT / "examples" / "ttmarkers-readability"
TUTORIAL = "docs/tutorial/first-plugin.md"
CACHES = ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache")
EMPTY = "src/ttmarkers_readability/py.typed"  # which the tutorial makes with touch


def test_the_files_of_the_plugin_stand_in_the_tutorial() -> None:
    """All of them, in full; blocks of one name are the parts of a file."""
    parts: dict[str, list[str]] = {}
    for item in read_page(TUTORIAL):
        if isinstance(item, Block) and item.file:
            parts.setdefault(item.file, []).append(item.text)
    files = [path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*") if path.is_file()]
    names = {str(path) for path in files if not any(part in CACHES for part in path.parts)} - {EMPTY}
    assert names == {name for name in parts if not name.startswith("try/")}
    for name in names:
        text = "\n\n\n".join(parts[name]) + "\n"
        assert text == (EXAMPLE / name).read_text(encoding="utf-8"), f"{name} and the tutorial differ"
    assert (EXAMPLE / EMPTY).read_text(encoding="utf-8") == ""
