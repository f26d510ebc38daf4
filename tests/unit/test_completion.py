"""Shell completion, as shells ask for it: through the environment, in a process; and in the shells that are here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support import HEAVY, TTM, distribution, environment, ok, python_process, ttm, ttm_process

if TYPE_CHECKING:
    from pathlib import Path

    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

BREAKS = " \t\n\"'@><=;|&(:"
"""Where bash cuts words, as it is told when it starts."""


def complete(line: str, shell: str = "zsh", site: Path | None = None, **variables: str) -> list[str]:
    """Return the words that a shell is offered at the end of a line."""
    done = ttm_process(site=site, _TTM_COMPLETE=f"{shell}_complete", COMP_LINE=line, **variables)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    if shell == "zsh":
        assert len(lines) % 3 == 0 or lines == [""]
        return lines[1::3]
    return [line.partition(",")[2].partition("\t")[0] for line in lines if line]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ttm tr", ["train"]),
        ("ttm tagger c", ["check"]),
        ("ttm completion ", ["bash", "zsh", "fish"]),
        ("ttm annotate --eng", ["--engine"]),
        ("ttm annotate x --engine ", ["local", "ray"]),
        ("ttm evaluate m --task le", ["length"]),
        ("ttm generate m --policy f", ["fixed"]),
        ("ttm generate m --policy=f", ["--policy=fixed"]),
        ("ttm train x --strategy co", ["cooldown"]),
        ("ttm train x --model scratch:t", ["scratch:tiny", "scratch:t"]),
        ("ttm preview x --template js", ["json", "js"]),
        ("ttm annotate x --profile lima", ["lima", "lima-translated"]),
        ("ttm annotate x --markers lang,la", []),
        ("ttm annotate x --markers lang,so", ["lang,source"]),
        ("ttm tagger train x --extractor dis", ["distilled"]),
        ("ttm markers show length_b", ["length_bucket"]),
        ("ttm templates show pa", ["paper", "pa"]),
        ("ttm profiles show alpaca-", ["alpaca-translated"]),
        ("ttm guides show f", ["fa", "fr"]),
        ("ttm generate m -m la", ["lang="]),
        ("ttm generate m -m lang=Fr", ["lang=French"]),
        ("ttm generate m --marker=lang=Fr", ["--marker=lang=French"]),
        ("ttm generate m --marker lang=French --not style=", ["style=Formal", "style=Informal", "style=Custom"]),
        ("ttm evaluate m --task length -m length_tokens=", []),
        ("ttm generate m --strength do", ["domain="]),
        ("ttm generate m --strength domain=", []),
        ("ttm stats x --set drop", ["dropout."]),
        ("ttm stats x --set dropout.s", ["dropout.sample=", "dropout.schedule="]),
        ("ttm stats x --set dropout.sample=", []),
        ("ttm stats x --set dropout.sample.", []),
        ("ttm stats x --set dropout.mode=", ["dropout.mode=independent", "dropout.mode=exact"]),
        ("ttm stats x --set dropout.each_epoch=t", ["dropout.each_epoch=true"]),
        ("ttm stats x --set dropout.rates.la", ["dropout.rates.lang="]),
        ("ttm train x --set train.st", ["train.strategy="]),
        ("ttm train x --set train.strategy=l", ["train.strategy=lora"]),
        ("ttm train x --set train.model=scratch:s", ["train.model=scratch:small"]),
        ("ttm train x --set markers.taxonomy=", ["markers.taxonomy=paper", "markers.taxonomy=paper-strict"]),
        (
            "ttm train x --set markers.declared.lang.c",
            ["markers.declared.lang.column=", "markers.declared.lang.constant="],
        ),
        ("ttm train x --set markers.options.emb", ["markers.options.embedding."]),
        ("ttm train x --set evaluate.options.winr", ["evaluate.options.winrate."]),
        ("ttm generate m --set decode.markers.lang=Fr", ["decode.markers.lang=French"]),
        ("ttm generate m --set nothing.", []),
        ("ttm experiment x -o y --set me", ["measures."]),
        ("ttm experiment x -o y --set config.dropout.mode=e", ["config.dropout.mode=exact"]),
        ("ttm experiment x -o y --set measures.", []),
        ("ttm trian ", []),
        ("ttm annotate 'my ro", ["my ro"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    """Commands, options, names of components, markers, their values and config keys are completed."""
    assert complete(line) == words


def test_all_of_a_kind(plugins: Plugins, taxonomy: Taxonomy) -> None:
    """Where nothing has been typed, all is offered that there is."""
    assert complete("ttm evaluate m --task ") == plugins.tasks().names
    assert complete("ttm generate m -m ") == [f"{name}=" for name in taxonomy.names]
    assert complete("ttm generate m -m lang=") == [f"lang={value}" for value in taxonomy.get("lang").values]


def test_what_words_mean() -> None:
    """Shells that show it are told what a word means."""
    zsh = ttm_process(_TTM_COMPLETE="zsh_complete", COMP_LINE="ttm train x --strategy lo").out
    fish = ttm_process(_TTM_COMPLETE="fish_complete", COMP_LINE="ttm train x --strategy lo").out
    assert zsh == "plain\nlora\nlora  As sft, but an adapter is trained (PEFT; keys in train.lora).\n"
    assert fish == "plain,lora\tAs sft, but an adapter is trained (PEFT; keys in train.lora).\n"


def test_markers_of_the_model(tmp_path: Path) -> None:
    """Where the model lies here, its own markers and values are offered."""
    kind = {"name": "mood", "summary": "M.", "kind": "categorical", "values": ["happy", "sad"], "aliases": {}}
    known = {
        "format": 1, "strategy": "sft", "marked": True, "dropout": {}, "rows": 1, "counts": {},
        "taxonomy": [{**kind, "minimum": None, "unit": ""}], "template": {"name": "t", "source": "", "hash": ""},
    }  # fmt: skip
    (tmp_path / "markers.json").write_text(json.dumps(known), encoding="utf-8")
    assert complete(f"ttm generate {tmp_path} -m ") == ["mood="]
    assert complete(f"ttm generate {tmp_path} hello -m mood=s") == ["mood=sad"]
    (tmp_path / "markers.json").write_text("{", encoding="utf-8")
    assert complete(f"ttm generate {tmp_path} -m ") == []


PLUGIN = """
    import os
    print("HELLO")
    os.write(1, b"from below")
    os.write(2, b"from below")
    from ttmarkers.components import MarkerType
    from ttmarkers.hookspecs import hookimpl
    import click


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("mood", "How the answer feels.", "categorical", ("happy", "dark humour"))


    @hookimpl
    def ttm_commands():
        yield click.Command("smile", params=[click.Option(["--manner"], type=click.Choice(["loud", "soft"]))])
"""


def test_plugins(site: Path) -> None:
    """What plugins add is completed, and what they print, or fail with, is not heard."""
    distribution(site, "ttmarkers-mood", {"mood_plugin": PLUGIN}, points={"mood": "mood_plugin"})
    distribution(site, "ttmarkers-bad", {"bad_plugin": "raise RuntimeError('no')"}, points={"bad": "bad_plugin"})
    assert complete("ttm smi", site=site) == ["smile"]
    assert complete("ttm smile --manner s", site=site) == ["soft"]
    assert complete("ttm generate m -m mood=h", site=site) == ["mood=happy"]
    assert complete("ttm generate m -m mood=d", "bash", site, COMP_WORDBREAKS=BREAKS) == ["dark\\ humour"]
    assert complete("ttm generate m -m 'mood=d", "bash", site, COMP_WORDBREAKS=BREAKS) == ["dark humour"]
    assert complete("ttm --no-plugin ", site=site) == ["bad", "mood"]
    assert complete("ttm --no-plugin mood generate m -m moo", site=site) == []
    assert complete("ttm --no-plugins smi", site=site) == []


def test_two_of_one_name(site: Path) -> None:
    """Components that collide do not stop completion."""
    source = """
        from ttmarkers.components import PolicyComponent
        from ttmarkers.hookspecs import hookimpl


        @hookimpl
        def ttm_decoding_policies():
            yield PolicyComponent("fixed", "Another.", "nowhere:Nothing")
    """
    distribution(site, "ttmarkers-fixed", {"fixed_plugin": source})
    assert complete("ttm generate m --policy f", site=site) == ["fixed"]


@pytest.mark.parametrize(
    "line", ["ttm ", "ttm train x --", "ttm train x --set dropout.", "ttm generate m -m lang=", "ttm train --model "]
)
def test_nothing_heavy(line: str, tmp_path: Path) -> None:
    """Completion imports nothing heavy, and takes less than a second of a processor."""
    code = """
        import atexit, json, resource, sys
        from pathlib import Path

        def tell():
            used = resource.getrusage(resource.RUSAGE_SELF)
            loaded = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
            Path(sys.argv[1]).write_text(json.dumps([loaded, used.ru_utime + used.ru_stime]))

        atexit.register(tell)
        from ttmarkers.cli import main
        main([])
    """
    told = tmp_path / "told.json"
    done = python_process(code, str(told), json.dumps(HEAVY), _TTM_COMPLETE="fish_complete", COMP_LINE=line)
    assert done.out.strip(), done
    loaded, seconds = json.loads(told.read_text(encoding="utf-8"))
    assert loaded == []
    assert seconds < 1


@pytest.mark.parametrize("asked", ["tcsh_complete", "bash_nothing", "nonsense", "bash_source"])
def test_questions_that_are_none(asked: str) -> None:
    """Other words in the variable do not run a command, and exit 1 without a word."""
    done = ttm_process("--version", _TTM_COMPLETE=asked, COMP_LINE="ttm ")
    assert (done.code, done.out, done.err) == (1, "", "")


def test_without_a_line() -> None:
    """A shell that says nothing gets nothing."""
    done = ttm_process(_TTM_COMPLETE="bash_complete")
    assert (done.code, done.out, done.err) == (0, "\n", "")


def run(shell: str, before: str, script: str) -> list[str]:
    """Run a script in a shell that has read our completion, with ``ttm`` on its path."""
    words = {"bash": ["bash", "--norc", "-c"], "zsh": ["zsh", "-f", "-c"], "fish": ["fish", "--no-config", "-c"]}
    source = ok(ttm("completion", shell)).out
    done = subprocess.run(
        [*words[shell], f"{before}\n{source}\n{script}"],
        env=environment(PATH=f"{TTM.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def needs(shell: str) -> pytest.MarkDecorator:
    """Leave a test out where there is no such shell."""
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell} here")


BASH = """
compopt() { told+=("$2"); }
ask() {
    COMP_LINE=$1 COMP_POINT=${2:-${#1}} COMPREPLY=() told=()
    _ttm_completion ttm
    echo "${told[0]}|${COMPREPLY[*]}"
}
"""


@needs("bash")
def test_in_bash() -> None:
    """Bash, which cuts words at = and :, is given what stands behind the last of them; words that go on stay open."""
    asked = (
        "ask 'ttm tr'", "ask 'ttm generate m -m la'", "ask 'ttm generate m -m lang=Fr'", "ask 'ttm train --model=scr'",
        "ask 'ttm train x --model scratch:t'", "ask 'ttm train x --set dropout.mode=e'", "ask 'ttm annotate '",
        "ask 'ttm tr --model x' 6", "complete -p ttm",
    )  # fmt: skip
    assert run("bash", BASH, "\n".join(asked)) == [
        "|train",
        "nospace|lang=",
        "|French",
        "default|scratch:tiny scratch:small",
        "default|tiny",
        "|exact",
        "default|",
        "|train",
        "complete -o nosort -F _ttm_completion ttm",
    ]


ZSH = """
compdef() { print compdef $@ }
compadd() { print -r -- "${(j: :)@}" }
_path_files() { print files }
ask() { words=("$@"); CURRENT=$#words; _ttm_completion }
"""


@needs("zsh")
def test_in_zsh() -> None:
    """Zsh is given whole words, and those that go on without a space behind them."""
    asked = "ask ttm tr\nask ttm generate m -m lang=Fr\nask ttm train --set dropout.mo\nask ttm annotate r\n"
    assert run("zsh", ZSH, asked) == [
        "compdef _ttm_completion ttm",
        "-V ttm -l -d whole_told -- train",
        "-V ttm -l -d whole_told -- lang=French",
        "-V ttm -S  -l -d open_told -- dropout.mode=",
        "files",
    ]


@needs("fish")
def test_in_fish() -> None:
    """Fish asks itself what would be completed."""
    lines = (
        "ttm tagger c",
        "ttm generate m -m lang=Fr",
        "ttm generate m --marker=lang=Fr",
        "ttm train x --set dropout.mo",
    )
    assert run("fish", "", "\n".join(f"complete -C '{line}'" for line in lines)) == [
        "check\tCompare a tagger's markers with right ones.",
        "lang=French",
        "--marker=lang=French",
        "dropout.mode=",
    ]
