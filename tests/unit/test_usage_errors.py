"""Wrong command lines: one sentence that says what, where, and how to mend it; for commands of plugins too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import distribution, sentence, ttm, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

FORM = re.compile(r"ttm: [a-z][^:]+( \([^)]+\))?: .+\n")

WRONG = [
    (["trian"], "unknown command 'trian': did you mean 'train'?"),
    (["markers", "lst"], "unknown command 'lst' (ttm markers): did you mean 'list'?"),
    (["tagger", "chekc", "x"], "unknown command 'chekc' (ttm tagger): did you mean 'check'?"),
    (["--confg", "x", "train"], "unknown option '--confg' (ttm): did you mean '--config'?"),
    (["train", "x", "-o", "y", "--modle", "z"], "unknown option '--modle' (ttm train): did you mean '--model'?"),
    (["tagger", "train", "x", "--exctractor", "y"], "unknown option '--exctractor' (ttm tagger train): did you mean"),
    (["markers", "list", "--jsn"], "unknown option '--jsn' (ttm markers list): did you mean '--json'?"),
    (["lint", "x", "-y"], "unknown option '-y' (ttm lint): known: --help, --json, --no-lengths, --set, -h"),
    (
        ["train", "x", "--no-plugins"],
        "unknown option '--no-plugins' (ttm train): it belongs to ttm, so write it before train",
    ),
    (
        ["tagger", "train", "x", "--debug"],
        "unknown option '--debug' (ttm tagger train): it belongs to ttm, so write it before tagger",
    ),
    (
        ["annotate", "x", "-o", "y", "--engine", "loca"],
        "unknown value 'loca' (ttm annotate, option --engine [local|ray]): did you mean 'local'?",
    ),
    (["completion", "bsh"], "unknown value 'bsh' (ttm completion, argument {bash|zsh|fish}): did you mean 'bash'?"),
    (
        ["annotate"],
        "missing argument INPUT... (ttm annotate): for example: ttm annotate rows.jsonl -o marked.jsonl",
    ),
    (
        ["train", "x"],
        "missing option -o/--output PATH (ttm train): for example: ttm train marked.jsonl --model scratch:tiny -o",
    ),
    (["markers", "show"], "missing argument NAME (ttm markers show): for example: ttm markers show lang"),
    (
        ["tagger", "train", "x", "-o"],
        "option '-o' requires an argument (ttm tagger train): for example: ttm tagger train tagged.jsonl -o tagger",
    ),
    (["annotate", "x", "-o", "y", "--limit", "0"], "option -n/--limit N (ttm annotate): 0 is not in the range x>=1"),
    (["annotate", "x", "-o", "y", "--limit", "a"], "option -n/--limit N (ttm annotate): 'a' is not a valid integer"),
    (["quickstart", "x"], "got unexpected extra argument (x) (ttm quickstart): for example: ttm quickstart"),
    (
        ["markers", "list", "x"],
        "got unexpected extra argument (x) (ttm markers list): write ttm markers list [OPTIONS]",
    ),
    (["markers", "show", "langs"], "unknown marker 'langs': did you mean 'lang'?"),
    (["templates", "show", "papr"], "unknown template 'papr': did you mean 'paper'?"),
    (["evaluate", "m", "--task", "lenght"], "unknown task 'lenght' (--task): did you mean 'length'?"),
    (["annotate", "x", "-o", "y", "--profile", "doly"], "unknown profile 'doly' (data.profile): did you mean 'dolly'?"),
    (["annotate", "x", "-o", "y", "--markers", "lng"], "unknown marker 'lng' (markers.use): did you mean 'lang'?"),
    (["preview", "x", "--template", "papr"], "unknown template 'papr' (template): did you mean 'paper'?"),
    (
        ["tagger", "train", "x", "-o", "y", "--extractor", "destilled"],
        "unknown extractor 'destilled' (--extractor): did you mean 'distilled'?",
    ),
    (
        ["stats", "x", "--set", "dropout.sampel=1"],
        "unknown key 'dropout.sampel' (the options): did you mean 'dropout.sample'?",
    ),
    (["stats", "x", "--set", "sample=1"], "unknown key 'sample' (the options): did you mean 'dropout.sample'?"),
    (["stats", "x", "--set", "dropuot.sample=1"], "unknown key 'dropuot' (the options): did you mean 'dropout'?"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_wrong_words(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is told in one sentence with the nearest right word or an example; exit 2, nothing is written."""
    monkeypatch.chdir(tmp_path)
    done = ttm("--no-plugins", *words)
    assert (done.code, done.out) == (2, "")
    assert message in sentence(done.err)
    assert FORM.fullmatch(done.err), done.err
    assert not list(tmp_path.iterdir())


def test_train_names(tmp_path: Path) -> None:
    """A strategy's name is told before a model is made."""
    done = ttm("train", "x.jsonl", "-o", tmp_path / "y", "--model", "scratch:tiny", "--strategy", "stf")
    assert done.code == 2
    assert "unknown strategy 'stf' (train.strategy): did you mean 'sft'?" in sentence(done.err)


PLUGIN = '''
    """Commands of a plugin, written as click's own documentation writes them."""
    import click
    from ttmarkers.hookspecs import hookimpl


    @click.group()
    def mood():
        """Moods."""


    @mood.command()
    @click.argument("text")
    @click.option("--manner", type=click.Choice(["loud", "soft"]))
    def smile(text, manner):
        """Smile."""


    @click.command(epilog="Such as:\\n\\n  ttm wave --at me")
    @click.option("--at", required=True)
    def wave(at):
        """Wave."""
        if at == "nobody":
            raise click.BadParameter("there is nobody.", param_hint="--at")
        raise click.ClickException("it rains.")


    @hookimpl
    def ttm_commands():
        yield mood
        yield wave
'''


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["mood", "smiel"], 2, "unknown command 'smiel' (ttm mood): did you mean 'smile'?"),
        (["moood"], 2, "unknown command 'moood': did you mean 'mood'?"),
        (
            ["mood", "smile", "x", "--maner=soft"],
            2,
            "unknown option '--maner' (ttm mood smile): did you mean '--manner'?",
        ),
        (
            ["mood", "smile", "x", "--manner", "sfot"],
            2,
            "unknown value 'sfot' (ttm mood smile, option --manner [loud|soft]): did you mean 'soft'?",
        ),
        (["mood", "smile"], 2, "missing argument TEXT (ttm mood smile): write ttm mood smile [OPTIONS] TEXT"),
        (["wave"], 2, "missing option --at TEXT (ttm wave): for example: ttm wave --at me"),
        (["wave", "--at", "nobody"], 2, "invalid value for --at: there is nobody (ttm wave): for example: ttm wave"),
        (["wave", "--at", "you"], 1, "it rains"),
        (["wave", "--debug", "--at", "you"], 2, "unknown option '--debug' (ttm wave): it belongs to ttm"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_of_plugins(words: list[str], code: int, message: str, mood: Path) -> None:
    """Commands of plugins get the same sentences, whatever they themselves do about errors."""
    done = ttm_process(*words, site=mood)
    assert (done.code, done.out) == (code, "")
    assert message in sentence(done.err)


@pytest.fixture(scope="module")
def mood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plugin that has commands."""
    folder = tmp_path_factory.mktemp("site")
    distribution(folder, "ttmarkers-mood", {"mood_commands": PLUGIN})
    return folder


def test_command_of_a_broken_plugin(site: Path) -> None:
    """A command that is not found may be one of a plugin that did not load: that is said, without a traceback."""
    distribution(site, "ttmarkers-bad", {"bad_plugin": "raise RuntimeError('no')"}, points={"bad": "bad_plugin"})
    done = ttm_process("smile", site=site)
    assert done.code == 2
    line = sentence(done.err)
    assert line.startswith("ttm: unknown command 'smile': known: ")
    assert line.endswith("(plugins that did not load: bad; see ttm plugins list)")


@pytest.mark.parametrize("words", [[], ["markers"], ["tagger"]], ids=" ".join)
def test_group_without_a_command(words: list[str]) -> None:
    """A group that is told nothing shows its help, and counts as wrongly used."""
    done = ttm(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ttm")
    assert "Commands:" in done.err
