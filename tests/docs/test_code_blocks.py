"""Every code block of the documentation is run, or at least checked: what a page shows works as it stands there.

How a page says more of a block is told in `doc_pages`; why a block is not run stands in front of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doc_given import copy_example
from doc_pages import Block, pages, read_page
from doc_runner import PageRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAST_RUN = 0.5  # of all blocks that can be run


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what several pages are given is kept."""
    return tmp_path_factory.mktemp("given")


@pytest.fixture
def runner(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageRunner]:
    """What runs a page, in a folder of its own."""
    folder = tmp_path / "page"
    folder.mkdir()
    made = PageRunner(folder, shared, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("page", [page for page in pages() if read_page(page)])
def test_page(page: str, runner: PageRunner) -> None:
    """The blocks of a page do what the page says, in its order."""
    copy_example(page, runner.folder)
    for item in read_page(page):
        runner.run(item)


def test_most_blocks_are_run(record_property: pytest.RecordProperty) -> None:
    """Blocks that are not run say why, are counted, and are the lesser part."""
    blocks = [item for page in pages() for item in read_page(page) if isinstance(item, Block)]
    able = [block for block in blocks if block.language in ("console", "bash", "python")]
    left = [block for block in able if not block.runs]
    for block in left:
        record_property("not run", f"{block.place}: {block.directives['norun']}")
        print(f"not run: {block.place}: {block.directives['norun']}")
    print(f"{len(able) - len(left)} of {len(able)} blocks are run")
    assert all(block.directives["norun"].strip() for block in left)
    assert len(left) <= (1 - LEAST_RUN) * len(able)
