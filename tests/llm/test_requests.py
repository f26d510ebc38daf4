"""What the model is asked: schema, definitions, examples, templates; and the guides that they come from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import distribution, read_rows, write_rows
from ttmarkers.components import MarkerType
from ttmarkers.datasets import to_example
from ttmarkers.errors import ConfigError
from ttmarkers.guides import Guide, read_guides
from ttmarkers.records import Origin
from ttmarkers.taxonomy import Taxonomy
from ttmarkers_plugins.llm.questions import Questions, confidences
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from endpoint_server import Annotate, Server
    from ttmarkers.plugins import Plugins

GOLDEN = Path(__file__).parents[1] / "golden"
ENGLISH = {"prompt": "How do I sort a list of numbers by their last digit in Python?", "completion": "With a key."}
FRENCH = {"prompt": "Comment trier une liste de nombres d'après leur dernier chiffre ?", "completion": "Avec une clé."}
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
def source(tmp_path: Path) -> Path:
    """One row in English."""
    return write_rows(tmp_path / "rows.jsonl", [ENGLISH])


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


def test_schema(server: Server, annotate: Annotate, source: Path, taxonomy: Taxonomy) -> None:
    """The schema allows just the taxonomy's values, and Unspecified for a marker that has no such value."""
    assert annotate(source).code == 0
    (call,) = server.calls
    assert call.schema == {
        "task": [*taxonomy.get("task").values, "Unspecified"],
        "domain": list(taxonomy.get("domain").values),
    }
    assert call.body["response_format"]["json_schema"]["strict"] is True
    schema = call.body["response_format"]["json_schema"]["schema"]
    assert (schema["required"], schema["additionalProperties"]) == (["task", "domain"], False)
    assert (call.body["model"], call.body["temperature"], call.body["logprobs"]) == ("m", 0, True)
    for value in taxonomy.get("task").values:
        assert f"\n- {value}: " in call.system
    assert call.user == f"<prompt>\n{ENGLISH['prompt']}\n</prompt>"


def test_paper_strict(server: Server, annotate: Annotate, source: Path) -> None:
    """The strict taxonomy has no Finance: neither in the schema, nor in the text, nor as an answer."""
    server.say = lambda call: '{"domain": "Finance"}'
    assert annotate(source, "out.jsonl", "--set", "markers.taxonomy=paper-strict", markers="domain").code == 0
    first, second = server.calls
    assert "Finance" not in first.schema["domain"]
    assert "- Finance" not in first.system
    assert "Finance" not in second.body["messages"][3]["content"].partition("did you mean")[2]
    assert read_rows(source.with_name("out.jsonl"))[0]["markers"] == {"domain": "Unspecified"}


def test_each_for_itself(server: Server, annotate: Annotate, source: Path) -> None:
    """With together=false each marker has a request of its own, which says nothing of the other."""
    assert annotate(source, together=False).code == 0
    assert sorted(list(call.schema) for call in server.calls) == [["domain"], ["task"]]
    for call in server.calls:
        assert ("\ntask: " in call.system) != ("\ndomain: " in call.system)
    assert set(read_rows(source.with_name("out.jsonl"))[0]["markers"]) == {"task", "domain"}


def test_language_of_examples(
    server: Server, annotate: Annotate, tmp_path: Path, plugins: Plugins, taxonomy: Taxonomy
) -> None:
    """A French prompt comes with French examples, an English one with English ones; code with English ones too."""
    code = {"prompt": "x = [1, 2]\nx.sort()", "completion": "It is sorted."}
    source = write_rows(tmp_path / "rows.jsonl", [ENGLISH, FRENCH, code])
    assert annotate(source, concurrency=1, examples=2).code == 0
    guides = read_guides(plugins.guides().all().values(), [], taxonomy)
    for call, language, other in zip(server.calls, ("en", "fr", "en"), ("fr", "en", "fr"), strict=True):
        for name in ("task", "domain"):
            for value, said in guides[name].values.items():
                for text in said.examples[language][:2]:
                    assert f"{json.dumps(text, ensure_ascii=False)} -> " in call.system, value
                assert json.dumps(said.examples[other][0], ensure_ascii=False) not in call.system


def test_number_of_examples(server: Server, annotate: Annotate, source: Path) -> None:
    """No examples are shown where none are asked for, and more where more are."""
    for number in (0, 1, 3):
        assert annotate(source, f"{number}.jsonl", markers="domain", examples=number).code == 0
    assert [call.system.count(' -> "Medical"') for call in server.calls] == [0, 1, 3]


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
def test_numbers(server: Server, annotate: Annotate, tmp_path: Path, source: Path) -> None:
    """A number is asked for on the points of its guide, and only with one."""
    done = annotate(source, markers="weight")
    assert (done.code, server.calls) == (2, [])
    assert done.err == "ttm: extractor 'llm' cannot ask for 'weight': write a guide with points of its scale\n"
    values = "{1: {definition: Little.}, 5: {definition: Much.}}"
    words = guide(tmp_path, f"markers: {{weight: {{question: How much?, values: {values}}}}}")
    server.say = lambda call: '{"weight": "5"}' if len(call.body["messages"]) > 2 else '{"weight": 7}'
    assert annotate(source, "out.jsonl", *words, markers="weight").code == 0
    assert server.calls[0].schema == {"weight": ["1", "5"]}
    assert len(server.calls) == 2
    assert read_rows(tmp_path / "out.jsonl")[0]["markers"] == {"weight": 5}


def test_guide_of_a_user(server: Server, annotate: Annotate, tmp_path: Path, source: Path) -> None:
    """A user's file replaces what it repeats, and nothing else."""
    assert annotate(source).code == 0
    words = guide(tmp_path, "markers: {task: {values: {Rewrite: {definition: Say it otherwise.}}}}")
    assert annotate(source, "mine.jsonl", *words).code == 0
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


def test_guides_on_the_command_line(server: Server, annotate: Annotate, tmp_path: Path, source: Path) -> None:
    """A guide file that is not there, or not right, is exit 2 before anything is sent."""
    done = annotate(source, "out.jsonl", *guide(tmp_path, "markers: {taks: {}}"))
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "guide.yaml): did you mean 'task'?" in done.err
    done = annotate(source, "out.jsonl", "--set", "markers.guides=[/no/such.yaml]")
    assert (done.code, done.err) == (
        2,
        "ttm: markers.guides: /no/such.yaml cannot be read: No such file or directory\n",
    )
    assert not server.calls


TEMPLATE = (
    "{% macro system(markers, shown) %}Say {{ markers | map(attribute='name') | join(' and ') }}.{% endmacro %}"
    "{% macro user(prompt, completion) %}Of: {{ prompt }}{% endmacro %}{% macro again(fault) %}No.{% endmacro %}"
)


def test_template_of_a_user(server: Server, annotate: Annotate, tmp_path: Path, source: Path) -> None:
    """A user's template says all that the model reads."""
    path = tmp_path / "mine.jinja"
    path.write_text(TEMPLATE, encoding="utf-8")
    server.say = lambda call: "?"
    assert annotate(source, template=str(path)).code == 0
    texts = [turn["content"] for turn in server.calls[-1].body["messages"]]
    assert texts == ["Say task and domain.", f"Of: {ENGLISH['prompt']}", "?", "No."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% macro system(", "is no Jinja: "),
        ("{{ 1 / 0 }}" + TEMPLATE, "is no Jinja: "),
        (TEMPLATE.replace("again", "once"), "has no macro 'again'"),
        (TEMPLATE.replace("{{ prompt }}", "{{ promt }}"), "macro user: 'promt' is undefined"),
        (TEMPLATE.replace("(markers, shown)", "()"), "macro system: "),
        (TEMPLATE.replace("Say", "{{ ''.__class__.__mro__ }}"), "macro system: "),
        ("\xff", "is no Jinja: "),
    ],
)
def test_bad_templates(
    server: Server, annotate: Annotate, tmp_path: Path, source: Path, text: str, message: str
) -> None:
    """A template that cannot be used is exit 2 and one sentence, with a quarantine too, and nothing is sent."""
    path = tmp_path / "mine.jinja"
    path.write_text(text, encoding="latin-1")
    for more in (("--quarantine", tmp_path / "bad.jsonl"), ("--dry-run",)):
        done = annotate(source, "out.jsonl", *more, template=str(path))
        assert (done.code, len(done.err.splitlines())) == (2, 1), done.err
        assert f"ttm: template {path}" in done.err
        assert message in done.err
    assert not server.calls


SMALL = Taxonomy(
    (
        MarkerType("mood", "How it feels.", "categorical", ("happy", "sad")),
        MarkerType("domain", "What it is about.", "categorical", ("Code", "Culture", "Unspecified")),
    )
)
SAID = """
markers:
  mood:
    question: How does the answer feel?
    reads: both
    values:
      happy: {definition: Full of joy., examples: ["What a day!", "Hooray"]}
      sad: {definition: Full of sorrow.}
---
language: fr
examples: {mood: {happy: ["Quelle « belle » journée !"], sad: ["Hélas\\nhélas"]}}
"""


@pytest.fixture
def questions(tmp_path: Path) -> Questions:
    """Questions of two small markers."""
    path = tmp_path / "guide.yaml"
    path.write_text(SAID, encoding="utf-8")
    return Questions(list(SMALL), read_guides([], [path], SMALL), {"model": "m"}, max_chars=40)


def test_golden_request(request: pytest.FixtureRequest, questions: Questions) -> None:
    """System text, user text, schema and second request are exactly those of the golden file."""
    row = {"prompt": "Tell <b>me</b> a story of a {{ curly }} dog & its cat", "completion": "Once upon a time."}
    found = {}
    for names in (("mood", "domain"), ("domain",)):
        question = questions.ask(to_example(row, Origin("f", 1)), names)
        for language in ("en", "fr", "xx"):
            found["+".join(names) + f" {language}"] = {
                "system": questions.system(names, language).splitlines(),
                "user": question.user.splitlines(),
            }
        found["+".join(names) + " schema"] = questions.schema(names)
    found["again"] = questions.again("mood is no text")
    path = GOLDEN / "llm-request.json"
    if request.config.getoption("--update-golden"):
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == found


@pytest.mark.parametrize(
    ("text", "name", "sure"),
    [
        ('{"a": "x"}', "a", [("{", 0.5), ('"a": "', 0.5), ("x", 0.25), ('"}', 0.5)]),
        ('{"a": "x, y"}', "a", [('{"a": "', 0.5), ("x", 0.5), (", y", 0.5), ('"}', 0.5)]),
        ('{"a": "x}y"}', "a", [('{"a": "', 0.5), ("x}", 0.5), ("y", 0.5), ('"}', 0.5)]),
        ('{"a": 5\n}', "a", [('{"a":', 0.5), (" 5", 0.25), ("\n", 0.5), ("}", 0.5)]),
        ('{"b": "a", "a": "x"}', "a", [('{"b": "a", "a": "', 0.5), ('x"}', 0.25)]),
        ('{"aa": "z", "a": "x"}', "a", [('{"aa": "z', 0.5), ('", "a": "', 0.5), ("x", 0.25), ('"}', 0.5)]),
    ],
)
def test_confidence_of_tokens(text: str, name: str, sure: list[tuple[str, float]]) -> None:
    """Just the tokens of the value count, however they are cut and whatever signs the value has."""
    assert "".join(token for token, _ in sure) == text
    assert confidences([name], text, [(token, math.log(value)) for token, value in sure]) == {name: 0.25}


@pytest.fixture(scope="module")
def shipped() -> dict[str, Guide]:
    """The guides that are shipped."""
    from ttmarkers.plugins import create_plugins
    from ttmarkers.taxonomy import make_taxonomy

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


def test_rows_of_odd_text(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Odd letters, markup and tags of our own go out as they are; long texts lose their middle."""
    odd = "</prompt>\u2028\x00 {{ 7*7 }} {% raw %} 👩‍👩‍👧 \ufeff\r\n"
    rows = [{"prompt": odd, "completion": "."}, {"prompt": "a" * 50 + "b" * 50, "completion": "."}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert annotate(source, concurrency=1, max_chars=60).code == 0
    assert server.calls[0].user == f"<prompt>\n{odd}\n</prompt>"
    assert server.calls[1].user == f"<prompt>\n{'a' * 30}\n[...]\n{'b' * 30}\n</prompt>"
