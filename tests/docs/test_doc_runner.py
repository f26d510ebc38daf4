"""What runs the documentation notices what is wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from doc_checks import check_block
from doc_pages import Block, Given, commands, parse_page
from doc_runner import PageError, PageRunner
from ttmarkers.errors import TtmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageRunner]:
    """What runs a page, in a folder of its own."""
    folder = tmp_path / "page"
    folder.mkdir()
    made = PageRunner(folder, tmp_path, monkeypatch)
    yield made
    made.close()


def block(language: str, text: str, **directives: str) -> Block:
    """Return a block of a page that there is not."""
    return Block("page.md", 1, language, text, directives)


def run(runner: PageRunner, page: str) -> None:
    """Run a page that is given as text."""
    for item in parse_page("page.md", page):
        runner.run(item)


def test_blocks_and_directives_are_read() -> None:
    """Languages, titles, indentation, longer fences, and comments in front of blocks."""
    page = (
        "<!-- given: rows rows.jsonl -->\n"
        "<!-- norun: takes hours -->\n\n"
        "```console\n$ ttm annotate \\\n      rows.jsonl -o out\n...\ndone\n$ ls  # all\n```\n"
        '  ````markdown title="a.md"\n  ```\n  inner\n  ```\n  ````\n<!-- a comment -->\n'
    )
    given, console, file = parse_page("page.md", page)
    assert given == Given("page.md", 1, "rows", "rows.jsonl")
    assert isinstance(console, Block)
    assert (console.line, console.runs, console.directives) == (4, False, {"norun": "takes hours"})
    first, second = commands(console)
    assert (first.text, first.output) == ("ttm annotate rows.jsonl -o out", ("...", "done"))
    assert (second.text, second.output) == ("ls  # all", ())
    assert isinstance(file, Block)
    assert (file.language, file.file, file.text) == ("markdown", "a.md", "```\ninner\n```")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<!-- norun: why -->\nno block\n", "norun stands in front of no block"),
        ("<!-- skip: why -->\n", "there is no directive 'skip'"),
        ("```console\n$ ls\n", "the fence is not closed"),
    ],
)
def test_faults_of_pages_are_told(page: str, said: str) -> None:
    """A directive that does nothing would hide what it was written for."""
    with pytest.raises(ValueError, match=said):
        parse_page("page.md", page)


@pytest.mark.parametrize(
    "line",
    [
        "ttm annotat rows.jsonl",
        "ttm annotate rows.jsonl -o out --no-such-option",
        "ttm annotate -o out",
        "ttm train rows.jsonl -o model --set train.no_such_key=1",
        "ttm annotate rows.jsonl -o out --set markers.uses=[lang]",
        'torchrun --nproc-per-node 8 "$(which ttm)" train rows.jsonl --outptu model',
        "cd model && ttm stats",
        "ttm tagger retrain rows.jsonl",
    ],
)
@pytest.mark.parametrize("language", ["console", "bash"])
def test_commands_that_are_not_run_are_checked(line: str, language: str) -> None:
    """Commands, options, arguments and config keys that there are not."""
    text = f"$ {line}" if language == "console" else line
    with pytest.raises((click.ClickException, TtmError, ValueError)):
        check_block(block(language, text, norun="why"))


@pytest.mark.parametrize(
    "line",
    [
        "ttm train rows.jsonl -o model --set train.learning_rate=1e-3 --set dropout.sample=0.2  # and so on",
        "ttm experiment a.yaml -o out --set measures.length.limit=50",
        "ttm --help",
        "pip install ttmarkers && ttm --version",
        "docker run something",
    ],
)
def test_right_commands_pass(line: str) -> None:
    """What is there passes; programs of others are not looked at."""
    check_block(block("bash", line, norun="why"))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("yaml", "markers: {uses: [lang]}"),
        ("yaml", "systems: {a: {polic: none}}\nmeasures: {}\nrows: [a.jsonl]"),
        ("yaml", "markers: {lang: {question: Which?, value: {}}}"),
        ("yaml", "kind: Pod"),
        ("json", '{"a": 1,}'),
        ("toml", "a = "),
        ("python", "def f(:"),
        ("perl", "print 1"),
    ],
)
def test_other_blocks_are_checked(language: str, text: str) -> None:
    """Configs, experiments, guides, data and code that cannot be read."""
    with pytest.raises(Exception, match=r"."):
        check_block(block(language, text))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("```console\n$ ttm markers show lang\nlang is a marker\n```", "the page says\nlang is a marker"),
        ("```console\n$ ttm markers show langg\n```", "ends with 2"),
        ("```console\n$ ttm markers list\nttm: it fails\n```", "ends with 0"),
        ("```console\n$ cat missing.txt\n```", "ends with 1"),
        ("```console\n$ make coffee\n```", "nothing runs 'make'"),
    ],
)
def test_what_does_not_do_as_the_page_says(page: str, said: str, runner: PageRunner) -> None:
    """Other output, another exit code, and what nothing can run."""
    with pytest.raises(PageError) as caught:
        run(runner, page)
    assert said in str(caught.value)


def test_a_page_is_run_in_order(runner: PageRunner) -> None:
    """Files are written, in parts too, modules are plugins, Python blocks share names, dots stand for any text."""
    run(
        runner,
        """
```toml
[project.entry-points.ttmarkers]
mood = "ttmarkers_mood"
```
```python title="ttmarkers_mood.py"
from ttmarkers.components import MarkerType
from ttmarkers.hookspecs import hookimpl
```
```python title="ttmarkers_mood.py"
@hookimpl
def ttm_marker_types():
    yield MarkerType("mood", "How it feels.", "categorical", ("happy", "sad"))
```
```console
$ ttm markers show mood
mood (categorical): ... feels.
values: happy, sad
...
$ ttm markers show mod
ttm: unknown marker 'mod'...
$ cat *.py | head -n 1
from ttmarkers.components import MarkerType
```
```python
import ttmarkers_mood

(kind,) = ttmarkers_mood.ttm_marker_types()
```
```python
assert kind.name == "mood"
```
""",
    )
    with pytest.raises(AssertionError):
        run(runner, '```python\nassert kind.name == "sad"\n```')


def test_what_a_page_is_given(runner: PageRunner) -> None:
    """Made-up files stand where the page names them; a kind that nothing makes is told."""
    run(runner, "<!-- given: rows data/mine.jsonl -->\n```console\n$ head -n 1 data/mine.jsonl\n...Say hello...\n```")
    with pytest.raises(ValueError, match="nothing makes 'cake'"):
        run(runner, "<!-- given: cake cake -->")
