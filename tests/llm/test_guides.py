"""Guides: those of plugins, of users and the shipped ones, what is asked by them, and files that are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support import ENGLISH, FRENCH, distribution, read_rows, write_rows
from ttmarkers.annotation.guides import Guide, read_guides
from ttmarkers.errors import ConfigError
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from pathlib import Path

    from endpoint_server import Annotate, Server
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.taxonomies.taxonomy import Taxonomy

MOOD = '''
    from ttmarkers.components import GuideComponent, MarkerType
    from ttmarkers.hookspecs import hookimpl

    GUIDE = """
    markers:
      mood:
        question: How does the answer feel?
        reads: both
        values:
          happy: {definition: Full of joy., examples: ["What a day!"]}
    ---
    language: fr
    examples: {mood: {happy: ["Quelle belle journée !"]}}
    """


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("mood", "The feel.", "categorical", ("happy", "sad, or so"))
        yield MarkerType("weight", "How much it matters.", "int", minimum=0)
        yield MarkerType("bare", "Nothing is said of it.", "categorical", ("x", "y"))


    @hookimpl
    def ttm_guides():
        import textwrap
        yield GuideComponent("mood", "What moods mean.", textwrap.dedent(GUIDE))
'''


@pytest.fixture
def mood(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin with marker types of its own, and a guide to one of them."""
    distribution(site, "ttmarkers-mood", {"ttmarkers_mood": MOOD})
    monkeypatch.syspath_prepend(site)


def guide(tmp_path: Path, text: str) -> tuple[str, str]:
    """Write a guide file and return the words that name it."""
    path = tmp_path / "guide.yaml"
    path.write_text(text, encoding="utf-8")
    return "--set", f"markers.guides=[{path}]"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Guide]:
    """The guides that are shipped."""
    from ttmarkers.plugins.manager import create_plugins
    from ttmarkers.taxonomies.taxonomy import make_taxonomy

    plugins = create_plugins(third_party=False)
    return read_guides(plugins.guides().all().values(), [], make_taxonomy(plugins.marker_types().all()))


@pytest.mark.parametrize("name", ["task", "domain", "format", "style"])
def test_shipped_guides(shipped: dict[str, Guide], taxonomy: Taxonomy, name: str) -> None:
    """Every value has a definition of its own and examples in English that no other value has."""
    values = shipped[name].values
    assert tuple(values) == taxonomy.get(name).values
    assert shipped[name].question.endswith("?")
    assert len({said.definition for said in values.values()} - {""}) == len(values)
    texts: list[Any] = [text for said in values.values() for text in said.examples["en"]]
    assert len(texts) == len(set(texts))
    assert all(said.examples["en"] and all(map(str.strip, said.examples["en"])) for said in values.values())


def test_examples_in_all_languages(shipped: dict[str, Guide]) -> None:
    """Task and domain have examples of each value in all 23 languages, none of them twice."""
    assert len(LANGUAGES) == 23
    for name in ("task", "domain"):
        for code in LANGUAGES.values():
            lacking = [value for value, said in shipped[name].values.items() if not said.examples.get(code)]
            assert not lacking, f"{name} in {code}"
            texts = [text for said in shipped[name].values.values() for text in said.examples[code]]
            assert len(texts) == len(set(texts)), f"{name} in {code}"


@pytest.mark.usefixtures("mood")
def test_types_of_plugins(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """A plugin's types are asked for by its own guide, or by their bare names; its values come back as they are."""
    source = write_rows(tmp_path / "rows.jsonl", [ENGLISH, FRENCH])
    server.say = lambda call: json.dumps({"mood": "sad, or so", "bare": "Y"})
    server.logprobs = lambda text: [(text[:10], 0.0), (text[10:22], -0.5), (text[22:], 0.0)]
    assert annotate(source, concurrency=1, markers="mood,bare").code == 0
    english, french = server.calls
    assert english.schema == {"mood": ["happy", "sad, or so", "Unspecified"], "bare": ["x", "y", "Unspecified"]}
    assert "mood: How does the answer feel?\n- happy: Full of joy.\n- sad, or so\n- Unspecified: " in english.system
    assert "bare: Nothing is said of it.\n- x\n- y\n- Unspecified: " in english.system
    assert '"What a day!" -> "happy"' in english.system
    assert '"Quelle belle journée !" -> "happy"' in french.system
    assert f"<completion>\n{ENGLISH['completion']}\n</completion>" in english.user
    row = read_rows(tmp_path / "out.jsonl")[0]
    assert row["markers"] == {"bare": "y", "mood": "sad, or so"}
    assert row["markers_meta"]["mood"]["confidence"] == pytest.approx(0.6065, abs=1e-4)


@pytest.mark.usefixtures("mood")
def test_numbers(server: Server, annotate: Annotate, tmp_path: Path, english: Path) -> None:
    """A number is asked for on the points of its guide, and only with one."""
    done = annotate(english, markers="weight")
    assert (done.code, server.calls) == (2, [])
    assert done.err == "ttm: extractor 'llm' cannot ask for 'weight': write a guide with points of its scale\n"
    values = "{1: {definition: Little.}, 5: {definition: Much.}}"
    words = guide(tmp_path, f"markers: {{weight: {{question: How much?, values: {values}}}}}")
    server.say = lambda call: '{"weight": "5"}' if len(call.body["messages"]) > 2 else '{"weight": 7}'
    assert annotate(english, "out.jsonl", *words, markers="weight").code == 0
    assert server.calls[0].schema == {"weight": ["1", "5"]}
    assert len(server.calls) == 2
    assert read_rows(tmp_path / "out.jsonl")[0]["markers"] == {"weight": 5}


def test_guide_of_a_user(server: Server, annotate: Annotate, tmp_path: Path, english: Path) -> None:
    """A user's file replaces what it repeats, and nothing else."""
    assert annotate(english).code == 0
    words = guide(tmp_path, "markers: {task: {values: {Rewrite: {definition: Say it otherwise.}}}}")
    assert annotate(english, "mine.jsonl", *words).code == 0
    before, after = (call.system.splitlines() for call in server.calls)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new for _, new in changed] == ["- Rewrite: Say it otherwise."]
    assert changed[0][0].startswith("- Rewrite: ")


BAD_GUIDES = {
    "markers: {taks: {}}": "unknown marker 'taks'",
    "language: fr\nexamples: {taks: {}}": "unknown marker 'taks'",
    "markers: {task: {values: {Rewite: {}}}}": "marker 'task' has no value 'Rewite': did you mean 'Rewrite'?",
    "language: fr\nexamples: {task: {Rewite: []}}": "marker 'task' has no value 'Rewite'",
    "[1, 2]": "a guide: it must hold keys",
    "just text": "a guide: it must hold keys",
    "marker: {}": "marker: there is no such key",
    "language: fr": "'language' and 'examples' go together",
    "markers: {task: 3}": "markers.task: it must hold keys",
    "markers: {task: {reads: all}}": "markers.task.reads: Input should be 'prompt', 'completion' or 'both'",
    "markers: {task: {value: {}}}": "markers.task.value: there is no such key",
    "markers: {task: {values: {Rewrite: x}}}": "markers.task.values.Rewrite: it must hold keys",
    "markers: {task: {values: {Rewrite: {examples: x}}}}": "markers.task.values.Rewrite.examples",
    "language: fr\nexamples: {task: {Rewrite: x}}": "examples.task.Rewrite",
    "markers: {task: [": "is no YAML: ",
    "markers: [task]": "markers",
    "markers: {task: {values: [Rewrite]}}": "markers.task",
    "markers: {task: {question: [What?]}}": "markers.task",
    "markers: {task: {values: {Rewrite: {definition: [x]}}}}": "markers.task.values.Rewrite",
    "language: fr\nexamples: [task]": "examples",
    "language: [fr]\nexamples: {task: {}}": "language",
    "markers: {1: {}}": "markers.1",
    "\xff": "cannot be read",
}


@pytest.mark.parametrize(("text", "message"), list(BAD_GUIDES.items()))
def test_bad_guides(tmp_path: Path, plugins: Plugins, taxonomy: Taxonomy, text: str, message: str) -> None:
    """A guide file that cannot be used is named in one sentence, with what is wrong in it."""
    path = tmp_path / "guide.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError) as caught:
        read_guides(plugins.guides().all().values(), [path], taxonomy)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_guides_on_the_command_line(server: Server, annotate: Annotate, tmp_path: Path, english: Path) -> None:
    """A guide file that is not there, or not right, is exit 2 before anything is sent."""
    done = annotate(english, "out.jsonl", *guide(tmp_path, "markers: {taks: {}}"))
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "guide.yaml): did you mean 'task'?" in done.err
    done = annotate(english, "out.jsonl", "--set", "markers.guides=[/no/such.yaml]")
    assert (done.code, done.err) == (
        2,
        "ttm: markers.guides: /no/such.yaml cannot be read: No such file or directory\n",
    )
    assert not server.calls
