"""What is checked of a code block without running it: that it can be read, and that what it names is there."""

from __future__ import annotations

import ast
import dataclasses
import json
import shlex
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import click
import yaml

from doc_pages import Block, commands
from ttmarkers.annotation.guides import read_guides
from ttmarkers.cli import Context, cli
from ttmarkers.components import GuideComponent, read_data
from ttmarkers.config import Config, over_profile
from ttmarkers.config import make_config as check_config
from ttmarkers.experiments.file import ExperimentConfig
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.taxonomies.taxonomy import make_taxonomy

if TYPE_CHECKING:
    from ttmarkers.plugins.manager import Plugins

SHELLS = ("console", "bash")
WRITTEN = ("text", "jinja", "markdown", "mermaid", "")
TTM = ("ttm", "$(which ttm)")


def check_block(block: Block) -> None:
    """Check a block by its language.

    Raises:
        Exception: of whatever kind: what cannot be read says why.
    """
    if block.language in SHELLS:
        for command in commands(block):
            check_command(command.text)
    elif block.language == "python":
        ast.parse(block.text)
    elif block.language == "yaml":
        check_yaml(block)
    elif block.language == "json":
        check_json(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language not in WRITTEN:
        raise ValueError(
            f"{block.place}: nothing checks blocks of language {block.language!r}: see tests/doc_checks.py"
        )


def check_command(line: str) -> None:
    """Check that the commands, options and config keys of a ``ttm`` command line are there; others are left alone."""
    words = shlex.split(line, comments=True)
    place = next((words.index(name) for name in TTM if name in words), None)
    if place is None:
        return
    arguments = words[place + 1 :]
    for stop in ("|", ">", "2>", "&&", ";"):
        if stop in arguments:
            arguments = arguments[: arguments.index(stop)]
    context = Context(third_party=False)
    for step in _parsed(arguments, context):
        if step.info_name != "experiment":  # whose keys are those of its own file
            check_keys(tuple(step.params.get("overrides") or ()), context)


def settings(arguments: list[str], wanted: str) -> list[str]:
    """Return words that set config keys, for a command line that takes such; none for others."""
    if not wanted:
        return []
    last = _parsed(arguments, Context())[-1]
    takes = any(parameter.name == "overrides" for parameter in last.command.params)
    return [word for setting in shlex.split(wanted) for word in ("--set", setting)] if takes else []


def _parsed(arguments: list[str], context: Context) -> list[click.Context]:
    """Return the contexts into which click takes a command line apart, as it does before it runs a command."""
    command: click.Command = cli
    name = "ttm"
    parent: click.Context | None = None
    found: list[click.Context] = []
    while True:
        try:
            step = command.make_context(name, list(arguments), parent=parent, obj=context)
        except click.exceptions.Exit:  # --help and --version end a command line
            return found
        found.append(step)
        left = [*step._protected_args, *step.args]
        if not isinstance(command, click.Group) or not left:
            return found
        named, below, arguments = command.resolve_command(step, left)
        assert named is not None
        assert below is not None
        name, command, parent = named, below, step


def check_keys(overrides: tuple[str, ...], context: Context) -> None:
    """Check config keys; what is not ours under ``train.`` must be TRL's."""
    if not overrides:
        return
    config = context.config(overrides)
    unknown = set(config.train.engine_keys) - trl_keys()
    if unknown:
        raise ValueError(f"TRL has no key {', '.join(sorted(unknown))}")


@cache
def trl_keys() -> frozenset[str]:
    """Return what TRL takes under ``train.``, for supervised and for preference training."""
    from trl import DPOConfig, SFTConfig

    return frozenset(each.name for kind in (SFTConfig, DPOConfig) for each in dataclasses.fields(kind))


def check_json(text: str) -> None:
    """Check that a text is one JSON document, or several, each on lines of its own."""
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        _, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()


def check_yaml(block: Block) -> None:
    """Check YAML as what it is: a config, an experiment, a guide; or of another program, which a directive says."""
    data = yaml.safe_load(block.text)
    kind = block.directives.get("yaml") or _kind(data)
    if kind == "other":
        return
    plugins = _plugins()
    if kind == "config":
        check_config(over_profile(data, lambda name: read_data(plugins.profiles().get(name).source)), block.place)
    elif kind == "experiment":
        ExperimentConfig.model_validate(data)
    elif kind == "guide":
        guide = GuideComponent(block.place, "", block.text)
        read_guides([guide], [], make_taxonomy(plugins.marker_types().all()))
    else:
        raise ValueError(f"{block.place}: it is neither config nor experiment nor guide: say <!-- yaml: other -->")


def _kind(data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    markers = data.get("markers")
    if set(data) == {"markers"} and isinstance(markers, dict) and all(map(_guides, markers.values())):
        return "guide"
    if set(data) <= set(Config.model_fields):
        return "config"
    return "experiment" if set(data) <= set(ExperimentConfig.model_fields) else ""


def _guides(entry: object) -> bool:
    return isinstance(entry, dict) and bool({"question", "values"} & set(entry)) and "column" not in entry


@cache
def _plugins() -> Plugins:
    return create_plugins(third_party=False)
