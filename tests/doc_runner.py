"""Runs the code blocks of a page of the documentation, in order, in a folder of the page's own.

``ttm`` runs in this process, Python blocks share one namespace, files are written where the page says, and
``pip install .`` installs for real, offline, into a folder that is found while the page runs.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from doc_checks import check_block, settings
from doc_given import make
from doc_pages import Block, Command, Given, commands

if TYPE_CHECKING:
    import pytest

BIN = Path(sys.executable).parent
PLAIN = ("mkdir", "touch", "cat", "ls", "head", "cp", "python")  # programs that a page may run as they are
SHELL = ("|", ">", "<", "&&", "||", ";")
GROUP = "ttmarkers"
WIPED = "..."


class PageError(AssertionError):
    """A block of a page does not do what the page says."""


class PageRunner:
    """Runs one page.

    Args:
        folder: where the page's files are.
        shared: where what several pages are given is kept.
        patch: undoes what is changed of the process when the page is done.
    """

    def __init__(self, folder: Path, shared: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self._shared, self._patch = folder, shared, patch
        self._site = folder / ".site"
        self._site.mkdir()
        self._names: dict[str, Any] = {"__name__": "page"}
        self._written: set[Path] = set()
        self._paths: list[Path] = []
        patch.chdir(folder)
        for path in (self._site, folder):
            self._find(path)

    def run(self, item: Block | Given) -> None:
        """Run a block, or only check it; or make what the page is given.

        Raises:
            PageError: if it does not do what the page says.
        """
        if isinstance(item, Given):
            make(item, self.folder, self._shared)
            return
        check = not item.runs or item.language not in ("console", "bash")
        if check:
            check_block(item)
        if item.runs:
            self._do(item)

    def _do(self, block: Block) -> None:
        if block.file:
            self._write(block)
        elif block.language in ("console", "bash"):
            for command in commands(block):
                self._command(block, command)
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of libraries, which readers are not stopped by
                exec(compile(block.text, block.place, "exec"), self._names)
        if block.language == "toml":
            self._declare(block)

    def _write(self, block: Block) -> None:
        """Write a file; blocks of one name are parts of it."""
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = ""
        if path in self._written:
            before = path.read_text(encoding="utf-8") + ("\n\n" if path.suffix == ".py" else "")
        path.write_text(f"{before}{block.text}\n", encoding="utf-8")
        self._written.add(path)
        self._forget()

    def _declare(self, block: Block) -> None:
        """Let a module of the page be a plugin, if the page shows its entry point and no whole project."""
        project = tomllib.loads(block.text).get("project", {})
        points = project.get("entry-points", {}).get(GROUP, {})
        if not points or "name" in project:
            return
        info = self._site / f"{next(iter(points.values()))}-1.0.dist-info"
        info.mkdir()
        name = info.name.removesuffix("-1.0.dist-info").replace("_", "-")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        lines = [f"[{GROUP}]", *(f"{key} = {value}" for key, value in points.items()), ""]
        (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        self._forget()

    def _command(self, block: Block, command: Command) -> None:
        words = [found for word in shlex.split(command.text, comments=True) for found in self._matching(word)]
        if words[0] == "ttm" and not any(sign in words for sign in SHELL):
            code, printed = _ttm([*words[1:], *settings(words[1:], block.directives.get("set", ""))])
        elif words[:2] == ["pip", "install"] and words[-1].startswith("."):
            code, printed = self._install(words[-1])
        elif words[0] in PLAIN or words[0] == "ttm":
            code, printed = self._process(["bash", "-c", command.text])
        else:
            raise PageError(f"{block.place}: nothing runs {words[0]!r} here: say <!-- norun: WHY --> before the block")
        fails = any(line.startswith("ttm: ") for line in command.output)
        if (code != 0) != fails:
            raise PageError(f"{block.place}: $ {command.text}\nends with {code}:\n{printed}")
        if command.output and "output varies" not in block.directives:
            _compare(block, command, printed)

    def _matching(self, word: str) -> list[str]:
        """Return the files that a word names, as a shell does; the word itself if it names none."""
        found = sorted(str(path.relative_to(self.folder)) for path in self.folder.glob(word)) if "*" in word else []
        return found or [word]

    def _install(self, target: str) -> tuple[int, str]:
        """Install a project of the page; what is installed to be edited is found where it is."""
        options = ("--no-deps", "--no-build-isolation", "--no-index", "--upgrade", "--target", self._site)
        done = self._process([sys.executable, "-m", "pip", "install", "-q", *map(str, options), target])
        source = self.folder / target / "src"
        if source.is_dir():
            self._find(source)  # in front of the copy
        self._forget()
        return done

    def _process(self, words: list[str]) -> tuple[int, str]:
        paths = os.pathsep.join([*map(str, self._paths), os.environ.get("PYTHONPATH", "")])
        variables = {
            "PYTHONPATH": paths,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            words,
            env={**os.environ, **variables, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self._forget()
        return done.returncode, done.stdout

    def _find(self, path: Path) -> None:
        """Let modules be found in a folder, first of all."""
        if path not in self._paths:
            self._paths.insert(0, path)
            self._patch.syspath_prepend(path)

    def _forget(self) -> None:
        """Import modules of the page anew: they may have changed."""
        importlib.invalidate_caches()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(self.folder):
                del sys.modules[name]

    def close(self) -> None:
        """Leave nothing of the page's modules behind."""
        self._forget()


def _ttm(words: list[str]) -> tuple[int, str]:
    """Run the command line in this process, and return its exit code and all that it printed, in order."""
    from ttmarkers.cli import main

    printed = io.StringIO()
    code: object = 0
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        mock.patch("sys.stdin", io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of libraries: other tests look at them
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code
    return code if isinstance(code, int) else 1, printed.getvalue()


def _compare(block: Block, command: Command, printed: str) -> None:
    """Compare what is printed with the page, where ``...`` stands for anything, on a line and in place of lines."""
    shown, found = _lines("\n".join(command.output)), _lines(printed)
    if not re.fullmatch("".join(map(_pattern, shown)), "".join(f"{line}\n" for line in found)):
        said, got = "\n".join(shown), "\n".join(found)
        raise PageError(f"{block.place}: $ {command.text}\nthe page says\n{said}\nand it prints\n{got}")


def _pattern(line: str) -> str:
    if line == WIPED:
        return r"(?:.*\n)*"
    return ".*".join(re.escape(part) for part in line.split(WIPED)) + r"\n"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]
