"""The page of the command line is what the commands say."""

from __future__ import annotations

from pathlib import Path

import click

from ttmarkers.cli import COMMANDS, pages

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_page_is_current() -> None:
    """Write it anew with ``python -m ttmarkers.cli.pages > docs/reference/cli.md``."""
    assert PAGE.read_text(encoding="utf-8") == pages.cli_page()


def test_all_is_there() -> None:
    """Each command has its section, with options, defaults and groups; what is hidden is not there."""

    @click.group()
    def root() -> None:
        """Do *things*."""

    @root.group()
    def inner() -> None:
        """Hold more."""

    @inner.command(help="Go deep.\n\n\b\nExamples:\n  root inner deep --way a")
    @click.argument("words", nargs=-1)
    @click.option("-n", "--number", type=click.IntRange(1), default=3, show_default=True, help="How [many].")
    @click.option("--way", type=click.Choice(["a", "b"]), required=True, help="Which way.")
    @click.option("--secret", hidden=True)
    def deep() -> None:
        pass

    @root.command(hidden=True)
    def unseen() -> None:
        """Be unseen."""

    page = "\n".join(pages._sections(root, click.Context(root, info_name="root")))
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "## `root`", "## `root inner`", "### `root inner deep`"
    ]  # fmt: skip
    assert "Do \\*things\\*.\n" in page
    assert "| `-n, --number INTEGER RANGE` | How \\[many\\]. [x>=1] | `3` |" in page
    assert "| `--way [a\\|b]` | Which way. [required] |  |" in page
    assert "Examples:\n\n```text\nroot inner deep --way a\n```" in page
    assert "```text\nroot inner deep [OPTIONS] [WORDS]...\n```" in page
    assert "secret" not in page
    assert all(f"\n## `ttm {name}`\n" in pages.cli_page() for name in COMMANDS)
