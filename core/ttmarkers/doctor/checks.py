"""What `ttmarkers.doctor.findings` asks: packages, optional parts, devices, programs, files, plugins, the shell."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ttmarkers import __version__
from ttmarkers.doctor.findings import Answer
from ttmarkers.doctor.plugins import plugin_questions
from ttmarkers.errors import TtmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ttmarkers.doctor.findings import Question
    from ttmarkers.plugins.manager import Plugins

NAME = "ttmarkers"
EXTRAS = {
    "lora": "training adapters (strategy lora)",
    "embedding": "tagging by sentence embeddings (extractor embedding)",
    "ray": "annotating on several machines (ttm annotate --engine ray)",
    "lm-eval": "models with markers under lm-evaluation-harness",
}
"""Optional parts, and what each is for; those for developers are left out."""

PROGRAMS = {
    "g++": ("C++ programs of task code", "apt install g++, or Xcode's command line tools"),
    "java": ("Java programs of task code", "apt install default-jdk"),
    "javac": ("Java programs of task code", "apt install default-jdk"),
    "node": ("JavaScript programs of task code", "apt install nodejs"),
    "rustc": ("Rust programs of task code", "apt install rustc"),
    "comet-score": ("COMET in task translation", "pipx install unbabel-comet"),
}
"""Programs that some tasks run, what for, and how to get them."""

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
ROOM = 5 * 10**9  # bytes; a small model and its checkpoints
COMPLETED = {
    "bash": ("~/.local/share/bash-completion/completions/ttm", "~/.bashrc"),
    "zsh": ("~/.zsh/functions/_ttm", "~/.zshrc"),
    "fish": ("~/.config/fish/completions/ttm.fish", "~/.config/fish/config.fish"),
}
"""Where the shells' scripts stand, and where else ``ttm completion`` may be called."""


def all_questions(plugins: Callable[[], Plugins]) -> Iterator[Question]:
    """Yield every question, in the report's order."""
    yield "Python and packages", "Python", _python
    yield "Python and packages", NAME, _ourselves
    for requirement in _requirements():
        yield "Python and packages", requirement, functools.partial(_package, requirement)
    for extra in EXTRAS:
        yield "Optional parts", extra, functools.partial(_extra, extra)
    yield "Devices", "torch", _devices
    yield "Devices", "memory", _memory
    for program in PROGRAMS:
        yield "Programs", program, functools.partial(_program, program)
    yield "Programs", "sandbox", _sandbox
    yield "Files and network", "offline", _offline
    yield "Files and network", "temporary files", lambda: _writable("temporary files", Path(tempfile.gettempdir()))
    yield "Files and network", "Hub's cache", lambda: _cache("Hub's cache", _hub())
    yield "Files and network", "our cache", lambda: _cache("our cache", _own())
    yield "Files and network", "here", lambda: _writable("here", Path.cwd())
    yield from plugin_questions(plugins)
    yield "Terminal", "terminal", _terminal
    yield "Terminal", "completion", _completion


def _python() -> Answer:
    from importlib.metadata import metadata

    text = f"{platform.python_version()}, {sys.executable}"
    wanted = metadata(NAME).get_all("Requires-Python") or [""]
    from packaging.specifiers import SpecifierSet

    if SpecifierSet(wanted[0]).contains(platform.python_version(), prereleases=True):
        return Answer("Python", text)
    return Answer(
        "Python", f"{text}; needed: {wanted[0]}", "failed", "use another Python, in an environment of its own"
    )


def _ourselves() -> Answer:
    from importlib.metadata import version

    place = Path(__file__).parents[1]
    if version(NAME) == __version__:
        return Answer(NAME, f"{__version__}, {place}")
    text = f"{__version__} in {place}, but {version(NAME)} by its metadata"
    return Answer(NAME, text, "warning", "install it again: pip install --force-reinstall --no-deps ttmarkers")


def _requirements(extra: str = "") -> list[str]:
    """Return what the framework asks for, or only one of its extras, without conditions."""
    from importlib.metadata import PackageNotFoundError, requires

    from ttmarkers.plugins.requirements import holding

    try:
        asked = requires(NAME) or []
    except PackageNotFoundError:
        return []  # is told by another question
    plain = holding(asked)
    return [wanted for wanted in holding(asked, extra) if wanted not in plain] if extra else plain


def _package(requirement: str) -> Answer:
    from ttmarkers.plugins.requirements import installed, name_of, unmet

    name = name_of(requirement)
    version = installed(name)
    if version is None:
        return Answer(name, f"not installed, needed: {requirement}", "failed", f"pip install '{requirement}'")
    if unmet([requirement]):
        return Answer(name, f"{version}, needed: {requirement}", "failed", f"pip install -U '{requirement}'")
    return Answer(name, version)


def _extra(extra: str) -> Answer:
    from ttmarkers.plugins.requirements import unmet

    wanted = _requirements(extra)
    if not wanted:
        text = f"not known to the installed metadata: {EXTRAS[extra]}"
        return Answer(extra, text, "warning", f"install {NAME} again, of the version that is used")
    lacking = unmet(wanted)
    if not lacking:
        return Answer(extra, f"installed: {EXTRAS[extra]}")
    needs = ", ".join(f"{name} (there is {version})" if version else name for name, version in lacking.items())
    return Answer(extra, f"not installed: {EXTRAS[extra]}; needs {needs}", "absent", f"pip install '{NAME}[{extra}]'")


def _devices() -> Iterator[Answer]:
    from ttmarkers.doctor.devices import devices

    try:
        found = devices()
    except TtmError as error:
        yield Answer("torch", str(error), "failed", "pip install --force-reinstall torch")
        return
    cuda = found["built_for_cuda"]
    yield Answer("torch", f"{found['torch']}, built {f'for CUDA {cuda}' if cuda else 'without CUDA'}")
    for number, card in enumerate(found["devices"]):
        memory = f", {card['memory'] / 2**30:.0f} GiB" if card["memory"] else ""
        bf16 = {True: ", bf16", False: ", no bf16: set train.fp16=true"}.get(card["bf16"], "")
        yield Answer(f"{card['kind']}:{number}", f"{card['name']}{memory}{bf16}")
    if not found["devices"]:
        why = "no GPU that torch can use" if cuda else "torch is built without CUDA"
        yield Answer("GPU", f"none: {why}; small models train on the CPU", "absent", "see https://pytorch.org")
    yield Answer("CPU", f"{found['processors']} processors, torch uses {found['threads']} threads")


def _memory() -> Answer:
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Answer("memory", f"{whole / 2**30:.0f} GiB")


def _program(name: str) -> Answer:
    what, how = PROGRAMS[name]
    found = shutil.which(name)
    return Answer(name, found) if found else Answer(name, f"not there: {what}", "absent", how)


def _sandbox() -> Answer:
    from ttmarkers.sandbox.programs import protections

    found = protections()
    if found.strong:
        return Answer("sandbox", found.text())
    text = f"{found.text()}: programs that a model wrote are not shut in"
    return Answer("sandbox", text, "warning", "run task code on Linux 6.2 or newer, or allow user namespaces")


def _offline() -> Answer:
    on = [name for name in OFFLINE if os.environ.get(name, "").lower() in ("1", "on", "true", "yes")]
    if not on:
        return Answer("offline", "no: names on the Hub are looked up there")
    return Answer("offline", f"yes, by {', '.join(on)}: only what is in the cache is found")


def _hub() -> Path:
    """Return the Hub's cache, as its library finds it."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _own() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / NAME


def _cache(name: str, folder: Path) -> Answer:
    """Look at a folder that is made when it is needed first."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return _writable(name, there, folder)


def _writable(name: str, folder: Path, meant: Path | None = None) -> Answer:
    said = str(meant or folder)
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "make room there, mend the rights, or name another folder (TMPDIR, HF_HOME, XDG_CACHE_HOME)"
        needed = name == "temporary files"
        return Answer(name, f"{said}: {error.strerror}", "failed" if needed else "warning", remedy)
    free = shutil.disk_usage(folder).free
    text = f"{said}, {free / 1e9:.1f} GB free"
    return Answer(name, text) if free >= ROOM else Answer(name, text, "warning", "make room before you train")


def _terminal() -> Answer:
    encoding = (getattr(sys.__stdout__, "encoding", "") or "").lower().replace("-", "")
    size = shutil.get_terminal_size()
    text = f"{size.columns} columns, {os.environ.get('TERM', 'no TERM')}, {encoding}"
    if encoding == "utf8":
        return Answer("terminal", text)
    return Answer("terminal", f"{text}: not all languages can be shown", "warning", "set PYTHONUTF8=1")


def _completion() -> Answer:
    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in COMPLETED:
        return Answer("completion", f"none for the shell {shell or '(unknown)'}", "absent", "ttm completion --help")
    script, settings = (Path(name).expanduser() for name in COMPLETED[shell])
    if script.exists() or (settings.is_file() and "ttm completion" in settings.read_text(errors="replace")):
        return Answer("completion", f"installed for {shell}")
    how = f"ttm completion {shell} > {COMPLETED[shell][0]}"
    return Answer("completion", f"not installed for {shell}", "absent", f"{how} (ttm completion --help)")
