"""``ttm completion``: the scripts by which shells complete our words, and the answers that these ask for."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import FishComplete, ShellComplete, split_arg_string

from ttmarkers.cli.completing import OPEN
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
    done < <(COMP_LINE="${(j: :)${(@q)words[1,CURRENT-1]}} ${words[CURRENT]}" \
%(complete_var)s=zsh_complete ${(Q)words[1]} 2>/dev/null)
    (( $#whole )) && compadd -V ttm -l -d whole_told -- $whole
    (( $#open )) && compadd -V ttm -S '' -l -d open_told -- $open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


class _Line(ShellComplete):
    """Completion from the text of the line, which says more than its words: bash cuts ``lang=French`` in three."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, and the one at it, quotes taken off."""
        end = "\0"  # belongs to the word that is being written, if it has begun
        words = split_arg_string(os.environ["COMP_LINE"] + end)
        return words[1:-1], words[-1].removesuffix(end)


class _Bash(_Line):
    name = "bash"
    source_template = _BASH

    def complete(self) -> str:
        """Answer with what stands behind the last character at which bash cuts words, for it replaces only that."""
        args, word = self.get_completion_args()
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        kept = max((word.rfind(char) for char in "=:" if char in breaks), default=-1) + 1
        found = self.get_completions(args, word)
        if word[:1] == "-" and "=" in word:  # --option=value: click completes the value alone
            kept -= len(word.partition("=")[0]) + 1
        return "\n".join(f"{item.type},{str(item.value)[max(kept, 0) :]}" for item in found)


class _Zsh(_Line):
    name = "zsh"
    source_template = _ZSH

    def complete(self) -> str:
        """Answer with three lines for each word: its kind, itself, and itself with what it means."""
        args, word = self.get_completion_args()
        found = self.get_completions(args, word)
        before = f"{word.partition('=')[0]}=" if word[:1] == "-" and "=" in word else ""
        wide = max((len(str(item.value)) for item in found), default=0)
        lines = [(item.type, f"{before}{item.value}", f"{item.value:<{wide}}  {item.help or ''}") for item in found]
        return "\n".join(part.rstrip() for line in lines for part in line)


class _Fish(FishComplete):
    """Click's, told that a word goes on: fish writes no space behind a word that ends with ``=`` or ``.``."""

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return a word with what it means."""
        if item.type == OPEN:
            item.type = "plain"
        return super().format_completion(item)


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
        early(completing.get_completion_args()[0])
        said = completing.complete()
    except Exception:  # there is nobody to tell
        said = ""
    os.write(out, f"{said}\n".encode())
    sys.stdout.flush()
    return 0
