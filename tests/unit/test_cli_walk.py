"""All commands and options, walked: one name, one meaning, one form; each says what it does, and none is heavy."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click
import pytest

from support import HEAVY, greetings, python_process, ttm, write_rows
from ttmarkers.cli import COMMANDS, Context, cli
from ttmarkers.cli.steering import parse_markers, parse_strengths
from ttmarkers.config import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

HELP_NAMES = cli.context_settings["help_option_names"]

NO_JSON = {"ttm completion": "prints a script"}
"""Commands whose result is no data, and why."""

MORE_NAMES = {"--output": {"--out"}}
"""Further names of an option that some command has had for long."""

CHOSEN = {"policy": "policies", "task_name": "tasks", "strategy": "strategies", "profile": "profiles"}
"""Options whose value is the name of a component, and of which kind."""


def walk(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command and of all below it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None, name
            yield from walk(click.Context(command, context, name, terminal_width=80))


ALL = {
    context.command_path: context
    for context in walk(
        click.Context(
            cli, info_name="ttm", obj=Context(third_party=False), terminal_width=80, help_option_names=HELP_NAMES
        )
    )
}
LEAVES = {path: context for path, context in ALL.items() if not isinstance(context.command, click.Group)}
every_command = pytest.mark.parametrize("path", ALL)
every_leaf = pytest.mark.parametrize("path", LEAVES)


def options(path: str) -> list[click.Option]:
    """Return a command's options."""
    return [param for param in ALL[path].command.params if isinstance(param, click.Option)]


def commands_in(context: click.Context) -> list[str]:
    """Return the examples of use at the end of a command's help."""
    return [line.strip() for line in (context.command.epilog or "").splitlines() if line.strip().startswith("ttm ")]


def first_sentence(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    return (command.help or "").partition("\n\n")[0].replace("\n", " ")


def test_the_walk_reaches_all() -> None:
    """The walk reaches every command of the list, and commands of groups."""
    assert {path.split()[1] for path in ALL if " " in path} == set(COMMANDS)
    assert {"ttm tagger train", "ttm markers show", "ttm plugins list"} <= set(LEAVES)


@every_command
def test_first_sentence_fits_the_list(path: str) -> None:
    """A command's help begins with one sentence, which is its line in the list and is not cut there."""
    context, sentence = ALL[path], first_sentence(ALL[path].command)
    assert sentence[:1].isupper(), sentence
    assert sentence.endswith("."), sentence
    if context.parent:
        line = next(line for line in context.parent.get_help().splitlines() if line.split()[:1] == [context.info_name])
        assert line.split(maxsplit=1)[1] == sentence
        assert len(line) <= 80


def test_list_says_what_the_commands_say() -> None:
    """The list of commands, which imports none, says what each says of itself."""
    assert {name: first_sentence(ALL[f"ttm {name}"].command) for name in COMMANDS} == COMMANDS


def test_groups_are_in_order() -> None:
    """A group lists first what one does first: its commands in the order in which they are written."""
    for context in ALL.values():
        if isinstance(context.command, click.Group) and context.parent:
            assert context.command.list_commands(context) == list(context.command.commands)


@every_command
def test_every_option_has_help(path: str) -> None:
    """Every option is explained by a sentence, and every argument is spoken of in the command's help."""
    for option in options(path):
        help_text = option.help or ""
        assert help_text[:1].isupper(), option.opts
        assert help_text.endswith("."), (option.opts, help_text)
        assert not option.hidden
    for param in ALL[path].command.params:
        if isinstance(param, click.Argument) and not isinstance(param.type, click.Choice):
            name = param.make_metavar(ALL[path]).strip("[]").removesuffix("...")
            assert name in (ALL[path].command.help or ""), f"{name} is not explained"


def test_options_mean_the_same_everywhere() -> None:
    """An option has one set of names, one type and one metavar in all commands, and arrives under one name."""
    forms: defaultdict[str, dict[object, list[str]]] = defaultdict(dict)
    for path in ALL:
        for option in options(path):
            names = frozenset(option.opts) - {more for name in option.opts for more in MORE_NAMES.get(name, ())}
            kind = json.dumps(option.type.to_info_dict(), default=str)
            form = (names, option.name, option.metavar, kind, option.is_flag, option.multiple, option.nargs)
            for name in option.opts:
                forms[name].setdefault(form, []).append(path)
    assert not {name: list(found.items()) for name, found in forms.items() if len(found) > 1}


def test_nothing_is_named_in_two_ways() -> None:
    """What arrives under one name, or is explained in the same words, has one name on the command line."""
    by_name: defaultdict[str, set[str]] = defaultdict(set)
    by_help: defaultdict[str, set[str]] = defaultdict(set)
    for path in ALL:
        for option in options(path):
            longest = max(set(option.opts) - {"--out"}, key=len)
            by_name[str(option.name)].add(longest)
            by_help[str(option.help)].add(longest)
    assert not {name: found for name, found in by_name.items() if len(found) > 1}
    assert not {text: found for text, found in by_help.items() if len(found) > 1}


@every_command
def test_values_are_named(path: str) -> None:
    """An option that takes a value says what it takes by a short word, or by the list of its choices."""
    for option in options(path):
        if not option.is_flag and not isinstance(option.type, click.Choice):
            assert option.metavar, option.opts


@every_leaf
def test_results_as_json(path: str) -> None:
    """Every command prints its result as JSON if asked, but those that are listed."""
    assert any("--json" in option.opts for option in options(path)) != (path in NO_JSON)


@every_command
def test_short_help(path: str) -> None:
    """``-h`` is ``--help``, for every command."""
    words = path.split()[1:]
    done = ttm("--no-plugins", *words, "-h")
    assert (done.code, done.err) == (0, "")
    assert done.out == ttm("--no-plugins", *words, "--help").out
    assert done.out.startswith(f"Usage: {path} ")


def test_help_of_all_commands_imports_nothing_heavy() -> None:
    """Importing every command and writing its help imports no heavy package."""
    code = """
        import json, sys
        import click
        from ttmarkers.cli import Context, cli

        def write(context):
            assert context.get_help()
            if isinstance(context.command, click.Group):
                for name in context.command.list_commands(context):
                    write(click.Context(context.command.get_command(context, name), context, name))

        write(click.Context(cli, info_name="ttm", obj=Context(third_party=False)))
        print([name for name in json.loads(sys.argv[1]) if name in sys.modules])
    """
    done = python_process(code, json.dumps(HEAVY))
    assert done.out == "[]\n", done


WRITERS: dict[str, tuple[str, ...]] = {
    "annotate": ("ROWS", "-o", "THERE"),
    "annotate --quarantine": ("ROWS", "-o", "NEW", "--quarantine", "THERE"),
    "checkpoint migrate": ("FOLDER", "-o", "FOLDER"),
    "plugins new": ("mood", "-o", "FOLDER"),
    "tagger train": ("ROWS", "-o", "THERE"),
    "stats --html": ("ROWS", "--html", "THERE"),
    "train": ("ROWS", "-o", "FOLDER", "--model", "scratch:tiny"),
    "generate": ("model", "hi", "-o", "THERE"),
    "evaluate": ("model", "--task", "length", "-o", "FOLDER"),
    "report": ("FOLDER", "-o", "THERE"),
    "quickstart": ("--out", "FOLDER"),
}
"""Command, and the option that writes if it is not -o -> words that let it write over what is there."""

GOES_ON = {"experiment": "goes on where it was, and refuses folders that are none of its own"}


def test_all_writers_are_known() -> None:
    """Every option that names something to write stands in the table below."""
    found = set()
    for path in LEAVES:
        for option in options(path):
            if isinstance(option.type, click.Path):
                name = "" if option.name == "output" else f" {option.opts[-1]}"
                found.add(f"{path.removeprefix('ttm ')}{name}")
    assert found == {*WRITERS, *GOES_ON}


@pytest.mark.parametrize("name", WRITERS)
def test_existing_outputs_are_refused(name: str, tmp_path: Path) -> None:
    """No command overwrites an output: exit 2, one sentence, and all is as it was."""
    rows = write_rows(tmp_path / "rows.jsonl", greetings(3))
    folder = tmp_path / "folder"
    folder.mkdir()
    there = folder / "there.jsonl"
    there.write_text("mine", encoding="utf-8")
    places = {"ROWS": rows, "THERE": there, "FOLDER": folder, "NEW": tmp_path / "new.jsonl"}
    option = name.split()[-1] if "--" in name else "-o"
    words = WRITERS[name]
    done = ttm(*name.partition(" --")[0].split(), *(places.get(word, word) for word in words))
    wanted = there if "THERE" in words else folder
    assert done.code == 2
    assert done.err == f"ttm: {wanted} exists already: remove it or name another output with {option}\n"
    assert there.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "rows.jsonl"]


@every_leaf
def test_examples_are_there(path: str) -> None:
    """A command that must be told something shows how, and its first example is one of itself."""
    shown = commands_in(LEAVES[path])
    if any(param.required for param in LEAVES[path].command.params):
        assert shown
        assert f"{shown[0]} ".startswith(f"{path} ")
    assert all(len(line) <= 78 for line in shown), "it is cut on a narrow screen"


@pytest.mark.parametrize("line", [line for context in LEAVES.values() for line in commands_in(context)])
def test_examples_are_true(line: str, plugins: Plugins, taxonomy: Taxonomy) -> None:
    """Every example is a command line that is read without a fault, and names only what there is."""
    words = shlex.split(line.partition(" > ")[0])[1:]
    context = cli.make_context("ttm", words, obj=Context(third_party=False))
    rest = [*context._protected_args, *context.args]
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
    given: dict[str, Any] = context.params
    for name, kind in CHOSEN.items():
        if given.get(name):
            getattr(plugins, kind)().get(given[name])
    settings = given.get("overrides", ())
    if context.info_name == "experiment":
        assert all(setting.startswith("config.") for setting in settings)
    load_config(None, [setting.removeprefix("config.") for setting in settings])
    taxonomy.check(parse_markers(given.get("markers", ()), "-m"))
    taxonomy.check(parse_markers(given.get("negative", ()), "--not"))
    taxonomy.select(parse_strengths(given.get("strengths", ())))
    taxonomy.select(given.get("use", ()))
