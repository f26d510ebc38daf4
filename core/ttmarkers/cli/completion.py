"""``ttm completion``: the scripts by which shells complete our words, and the answers that these ask for."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import click
from click.shell_completion import ShellComplete, split_arg_string

from ttmarkers.cli.options import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

    from ttmarkers.cli import Context

VARIABLE = "_TTM_COMPLETE"
"""Set by the scripts: which shell asks."""

_BASH = """\
%(complete_func)s() {
    local kind word
    COMPREPLY=()
    while IFS=, read -r kind word; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            open) compopt -o nospace; COMPREPLY+=("$word") ;;
            plain) COMPREPLY+=("$word") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
%(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local kind word told
    local -a whole whole_told open open_told
    while IFS= read -r kind && IFS= read -r word && IFS= read -r told; do
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files ;;
            open) open+=("$word"); open_told+=("$told") ;;
            plain) whole+=("$word"); whole_told+=("$told") ;;
        esac
    done < <(COMP_LINE="${words[1,CURRENT]}" %(complete_var)s=zsh_complete ${(Q)words[1]} 2>/dev/null)
    (( $#whole )) && compadd -V ttm -l -d whole_told -- $whole
    (( $#open )) && compadd -V ttm -S '' -l -d open_told -- $open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    for line in (env COMP_LINE=(commandline -cp) %(complete_var)s=fish_complete %(prog_name)s 2>/dev/null)
        set -l part (string split -m 1 , -- $line)
        switch $part[1]
            case dir
                __fish_complete_directories $part[2]
            case file
                __fish_complete_path $part[2]
            case '*'
                echo $part[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class _Line(ShellComplete):
    """Completion from the text of the line, which says more than its words: bash cuts ``lang=French`` in three."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one at it, quotes taken off."""
        end = "\0"  # belongs to the word that is being written, if it has begun
        words = split_arg_string(os.environ["COMP_LINE"] + end)
        return words[1:-1], words[-1].removesuffix(end)

    def complete(self) -> str:
        """Return what may stand at the cursor, as whole words in the form of the shell's script."""
        args, word = self.get_completion_args()
        found = self.get_completions(args, word)
        option, equals, _ = word.partition("=") if word[:1] == "-" else ("", "", "")
        for item in found:
            if equals:  # click completes the value alone
                item.value = f"{option}={item.value}"
        return "\n".join(self.written(found, word))

    def written(self, found: list[CompletionItem[str]], word: str) -> list[str]:
        """Return the lines that the script reads, for words that begin as ``word`` does."""
        raise NotImplementedError


class _Bash(_Line):
    name = "bash"
    source_template = _BASH

    def written(self, found: list[CompletionItem[str]], word: str) -> list[str]:
        """Return what stands behind the last character at which bash cuts words, for it replaces only that."""
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        kept = max((word.rfind(char) for char in "=:" if char in breaks), default=-1) + 1
        quoted = any(os.environ["COMP_LINE"].count(mark) % 2 for mark in "'\"")
        return [f"{item.type},{item.value[kept:] if quoted else _escaped(item.value[kept:])}" for item in found]


def _escaped(word: str) -> str:
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", word)


class _Zsh(_Line):
    name = "zsh"
    source_template = _ZSH

    def written(self, found: list[CompletionItem[str]], word: str) -> list[str]:
        """Return three lines for each word: its kind, itself, and itself with what it means."""
        wide = max((len(item.value) for item in found), default=0)
        lines = [(item.type, item.value, f"{item.value:<{wide}}  {item.help or ''}".rstrip()) for item in found]
        return [part for line in lines for part in line]


class _Fish(_Line):
    name = "fish"
    source_template = _FISH

    def written(self, found: list[CompletionItem[str]], word: str) -> list[str]:
        """Return each word with what it means; fish itself writes no space behind one that goes on."""
        return [f"{item.type},{item.value}" + (f"\t{item.help}" if item.help else "") for item in found]


SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


@click.command(
    epilog=examples(
        "ttm completion bash > ~/.local/share/bash-completion/completions/ttm",
        "ttm completion zsh > ~/.zsh/functions/_ttm",
        "ttm completion fish > ~/.config/fish/completions/ttm.fish",
    )
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a shell completes ttm's words.

    SHELL is bash, zsh or fish. Put the script where the shell looks for it, as below, and open a new shell; or read it
    at once: source <(ttm completion bash). For zsh the folder must stand in fpath before compinit is called
    (fpath=(~/.zsh/functions $fpath) in ~/.zshrc).
    """
    root = context.find_root()
    click.echo(SHELLS[shell](root.command, {}, root.info_name or "ttm", VARIABLE).source(), nl=False)


def answer(cli: click.Command, instruction: str, context: Context, early: Callable[[list[str]], None]) -> int:
    """Tell a shell what may stand at its cursor. Plugins may say what they like: the shell hears nothing of it.

    Args:
        cli: the command ``ttm``.
        instruction: which shell asks, such as ``bash_complete``.
        context: of the command, not filled yet.
        early: reads the words before the cursor for what decides which plugins are loaded.
    """
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    out, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # also of code that is not Python's
        os.dup2(nothing, descriptor)
    try:
        completing = SHELLS[shell](cli, {"obj": context}, "ttm", VARIABLE)
        words, _ = completing.get_completion_args()
        early(words)
        context.typed = tuple(words)
        said = completing.complete()
    except Exception:  # there is nobody to tell
        said = ""
    os.write(out, f"{said}\n".encode())
    sys.stdout.flush()
    return 0
