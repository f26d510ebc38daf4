"""What the model is asked: schema, definitions, examples, templates, and the text of the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import ENGLISH, FRENCH, read_rows, write_rows
from ttmarkers.annotation.guides import read_guides
from ttmarkers.components import MarkerType
from ttmarkers.datasets import to_example
from ttmarkers.records import Origin
from ttmarkers.taxonomies.taxonomy import Taxonomy
from ttmarkers_plugins.llm.questions import Questions

if TYPE_CHECKING:
    from endpoint_server import Annotate, Server
    from ttmarkers.plugins.manager import Plugins

GOLDEN = Path(__file__).parents[1] / "golden"


def test_schema(server: Server, annotate: Annotate, english: Path, taxonomy: Taxonomy) -> None:
    """The schema allows just the taxonomy's values, and Unspecified for a marker that has no such value."""
    assert annotate(english).code == 0
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


def test_paper_strict(server: Server, annotate: Annotate, english: Path) -> None:
    """The strict taxonomy has no Finance: neither in the schema, nor in the text, nor as an answer."""
    server.say = lambda call: '{"domain": "Finance"}'
    assert annotate(english, "out.jsonl", "--set", "markers.taxonomy=paper-strict", markers="domain").code == 0
    first, second = server.calls
    assert "Finance" not in first.schema["domain"]
    assert "- Finance" not in first.system
    assert "Finance" not in second.body["messages"][3]["content"].partition("did you mean")[2]
    assert read_rows(english.with_name("out.jsonl"))[0]["markers"] == {"domain": "Unspecified"}


def test_each_for_itself(server: Server, annotate: Annotate, english: Path) -> None:
    """With together=false each marker has a request of its own, which says nothing of the other."""
    assert annotate(english, together=False).code == 0
    assert sorted(list(call.schema) for call in server.calls) == [["domain"], ["task"]]
    for call in server.calls:
        assert ("\ntask: " in call.system) != ("\ndomain: " in call.system)
    assert set(read_rows(english.with_name("out.jsonl"))[0]["markers"]) == {"task", "domain"}


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


def test_number_of_examples(server: Server, annotate: Annotate, english: Path) -> None:
    """No examples are shown where none are asked for, and more where more are."""
    for number in (0, 1, 3):
        assert annotate(english, f"{number}.jsonl", markers="domain", examples=number).code == 0
    assert [call.system.count(' -> "Medical"') for call in server.calls] == [0, 1, 3]


TEMPLATE = (
    "{% macro system(markers, shown) %}Say {{ markers | map(attribute='name') | join(' and ') }}.{% endmacro %}"
    "{% macro user(prompt, completion) %}Of: {{ prompt }}{% endmacro %}{% macro again(fault) %}No.{% endmacro %}"
)


def test_template_of_a_user(server: Server, annotate: Annotate, tmp_path: Path, english: Path) -> None:
    """A user's template says all that the model reads."""
    path = tmp_path / "mine.jinja"
    path.write_text(TEMPLATE, encoding="utf-8")
    server.say = lambda call: "?"
    assert annotate(english, template=str(path)).code == 0
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
    server: Server, annotate: Annotate, tmp_path: Path, english: Path, text: str, message: str
) -> None:
    """A template that cannot be used is exit 2 and one sentence, with a quarantine too, and nothing is sent."""
    path = tmp_path / "mine.jinja"
    path.write_text(text, encoding="latin-1")
    for more in (("--quarantine", tmp_path / "bad.jsonl"), ("--dry-run",)):
        done = annotate(english, "out.jsonl", *more, template=str(path))
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


def test_rows_of_odd_text(server: Server, annotate: Annotate, tmp_path: Path) -> None:
    """Odd letters, markup and tags of our own go out as they are; long texts lose their middle."""
    odd = "</prompt>\u2028\x00 {{ 7*7 }} {% raw %} 👩‍👩‍👧 \ufeff\r\n"
    rows = [{"prompt": odd, "completion": "."}, {"prompt": "a" * 50 + "b" * 50, "completion": "."}]
    source = write_rows(tmp_path / "rows.jsonl", rows)
    assert annotate(source, concurrency=1, max_chars=60).code == 0
    assert server.calls[0].user == f"<prompt>\n{odd}\n</prompt>"
    assert server.calls[1].user == f"<prompt>\n{'a' * 30}\n[...]\n{'b' * 30}\n</prompt>"
