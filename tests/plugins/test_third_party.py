"""A plugin of another distribution: its components show up beside the built-ins, and are used like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import Outcome, distribution, read_rows, ttm_process, write_rows

if TYPE_CHECKING:
    from pathlib import Path

HOOKS = '''
    """What ttmarkers-mood offers; nothing heavy is imported here."""
    import click
    from ttmarkers.components import ExtractorComponent, MarkerType, PolicyComponent, StrategyComponent
    from ttmarkers.components import TaskComponent, TemplateComponent
    from ttmarkers.hookspecs import hookimpl

    TERSE = (
        "{% set before = ' ' %}{% set after = '\\n' %}{% macro opening() %}({% endmacro %}"
        "{% macro marker(name, value) %}{{ name }}:{{ value }}|{% endmacro %}{% macro closing() %}){% endmacro %}"
    )


    @hookimpl
    def ttm_marker_types():
        yield MarkerType("mood", "How the answer feels.", "categorical", ("happy", "sad"), {":-)": "happy"})


    @hookimpl
    def ttm_extractors():
        yield ExtractorComponent("mood", "Counts smileys.", "ttmarkers_mood_extract:Mood", markers=("mood",))


    @hookimpl
    def ttm_templates():
        yield TemplateComponent("terse", "Round brackets.", TERSE)


    @hookimpl
    def ttm_training_strategies():
        yield StrategyComponent("frozen", "Trains nothing.", "ttmarkers_mood_extract:Frozen")


    @hookimpl
    def ttm_decoding_policies():
        yield PolicyComponent("happy", "Always asks for mood happy.", "ttmarkers_mood_extract:Happy")


    @hookimpl
    def ttm_tasks():
        yield TaskComponent("mood", "Share of happy answers.", "ttmarkers_mood_extract:MoodTask")


    @hookimpl
    def ttm_commands():
        yield click.Command("smile", callback=lambda: click.echo(":-)"), help="Print a smiley.")
'''
EXTRACT = '''
    """The heavy part of ttmarkers-mood."""
    from dataclasses import dataclass
    from pathlib import Path
    from ttmarkers.records import Found, Message, Metric, Request


    class Mood:
        def __init__(self, smiley=":-)"):
            self.smiley = smiley

        def extract(self, batch):
            return [{"mood": Found("happy")} if self.smiley in s.example.completion else {} for s in batch]


    class Frozen:
        def train(self, job):
            job.output.mkdir(parents=True, exist_ok=True)
            (job.output / "frozen.txt").write_text(job.model)
            return job.output


    class Happy:
        def generate(self, engine, requests):
            return iter(())


    @dataclass
    class Case:
        id: str
        prompts: tuple


    class MoodTask:
        metrics = {"accuracy": Metric("higher")}

        def cases(self, rows):
            return [Case("1", ("Hi",)), Case("2", ("Ho",))]

        def request(self, case, policy):
            return Request(case.id, (Message("user", case.prompts[0]),))

        def score(self, case, generation):
            return {"accuracy": float(":-)" in generation.text)}

        def slices(self, case):
            return {}
'''
ROWS = [{"prompt": "Hi", "completion": "Hello :-)"}, {"prompt": "Ho", "completion": "Oh no."}]


@pytest.fixture
def mood(site: Path) -> Path:
    """The folder of an installed distribution ttmarkers-mood."""
    distribution(site, "ttmarkers-mood", {"ttmarkers_mood": HOOKS, "ttmarkers_mood_extract": EXTRACT}, version="2.3")
    return site


def _ok(done: Outcome) -> Outcome:
    assert done.code == 0, done.err
    return done


def test_plugins_list(mood: Path) -> None:
    """The plugin is listed with its distribution, version, hooks and components."""
    builtin, entry = _ok(ttm_process("plugins", "list", "--json", site=mood)).json()
    assert builtin["name"] == "builtin"
    assert {key: entry[key] for key in ("name", "distribution", "version", "status", "error")} == {
        "name": "ttmarkers_mood",
        "distribution": "ttmarkers-mood",
        "version": "2.3",
        "status": "ok",
        "error": "",
    }
    assert len(entry["hooks"]) == 7
    assert entry["components"] == {
        "marker_types": ["mood"],
        "extractors": ["mood"],
        "templates": ["terse"],
        "strategies": ["frozen"],
        "policies": ["happy"],
        "tasks": ["mood"],
        "commands": ["smile"],
    }
    shown = [line.split() for line in _ok(ttm_process("plugins", "list", site=mood)).out.splitlines()]
    assert ["template", "terse", "ttmarkers_mood", "ttmarkers-mood", "2.3", "ok"] in shown


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("markers", "mood"),
        ("extractors", "mood"),
        ("templates", "terse"),
        ("strategies", "frozen"),
        ("policies", "happy"),
        ("tasks", "mood"),
    ],
)
def test_listings(mood: Path, group: str, name: str) -> None:
    """Each listing shows the plugin's component with its distribution, after which nothing of the built-ins is lost."""
    entries = {entry["name"]: entry for entry in _ok(ttm_process(group, "list", "--json", site=mood)).json()}
    assert entries[name]["distribution"] == "ttmarkers-mood 2.3"
    without = _ok(ttm_process("--no-plugins", group, "list", "--json", site=mood)).json()
    assert sorted([entry["name"] for entry in without] + [name]) == sorted(entries)


def test_marker_and_template(mood: Path) -> None:
    """The marker type comes after the paper's, and is shown with who finds it."""
    names = [kind["name"] for kind in _ok(ttm_process("markers", "list", "--json", site=mood)).json()]
    assert names[-2:] == ["lang", "mood"]
    shown = _ok(ttm_process("markers", "show", "mood", site=mood)).out
    assert "values: happy, sad" in shown
    assert ":-) = happy" in shown
    assert "extractors: mood" in shown
    block = _ok(ttm_process("templates", "show", "terse", site=mood)).out.splitlines()[-1]
    assert block == "(length_tokens:199|task:OpenEnded|lang:French|)"


def test_annotate_and_preview(mood: Path, tmp_path: Path) -> None:
    """The extractor is asked without being named, takes its options from the config, and its marker is written."""
    rows, out = write_rows(tmp_path / "rows.jsonl", ROWS), tmp_path / "out.jsonl"
    _ok(ttm_process("annotate", rows, "-o", out, "--markers", "mood", site=mood))
    assert [row["markers"] for row in read_rows(out)] == [{"mood": "happy"}, {}]
    assert read_rows(out)[0]["markers_meta"] == {"mood": {"confidence": 1.0, "source": "extractor:mood"}}
    other = tmp_path / "other.jsonl"
    option = "markers.options.mood.smiley='no.'"
    _ok(ttm_process("annotate", rows, "-o", other, "--markers", "mood", "--set", option, site=mood))
    assert [row["markers"] for row in read_rows(other)] == [{}, {"mood": "happy"}]
    words = ["preview", out, "--template", "terse", "--set", "dropout.dataset=0", "--set", "dropout.sample=0", "--json"]
    first, second = _ok(ttm_process(*words, site=mood)).lines()
    assert (first["prompt"], first["completion"]) == ("Hi (mood:happy|)", "(mood:happy|)\nHello :-)")
    assert (second["prompt"], second["completion"]) == ("Ho", "()\nOh no.")


def test_command(mood: Path) -> None:
    """The command stands in the help, has help of its own, and runs."""
    assert "smile" in _ok(ttm_process("--help", site=mood)).out
    assert "Print a smiley." in _ok(ttm_process("smile", "--help", site=mood)).out
    assert _ok(ttm_process("smile", site=mood)).out == ":-)\n"
    misspelt = ttm_process("smiel", site=mood)
    assert (misspelt.code, misspelt.out) == (2, "")
    assert "unknown command 'smiel': did you mean 'smile'?" in misspelt.err


def test_strategy_and_task(mood: Path, tmp_path: Path) -> None:
    """The strategy trains when it is named, and the task scores stored answers."""
    rows = write_rows(tmp_path / "rows.jsonl", ROWS)
    output = tmp_path / "model"
    _ok(ttm_process("train", rows, "--model", "scratch:tiny", "-o", output, "--strategy", "frozen", site=mood))
    assert (output / "frozen.txt").read_text() == "scratch:tiny"
    answers = write_rows(tmp_path / "answers.jsonl", [{"prompt": "Hi", "text": ":-)"}, {"id": "2", "text": ":-("}])
    done = _ok(ttm_process("evaluate", "--task", "mood", "--generations", answers, "--json", site=mood)).json()
    assert (done["task"], done["n"], done["metrics"]["accuracy"]["value"]) == ("mood", 2, 0.5)


def test_two_entry_points_of_one_distribution(site: Path) -> None:
    """Two plugins of one distribution are listed apart, each with its own components."""
    source = """
        from ttmarkers.components import MarkerType
        from ttmarkers.hookspecs import hookimpl

        @hookimpl
        def ttm_marker_types():
            yield MarkerType("NAME", "", "int")
    """
    modules = {f"two_{name}": source.replace("NAME", name) for name in ("one", "other")}
    distribution(site, "ttmarkers-two", modules, points={"one": "two_one", "other": "two_other"})
    _, one, other = _ok(ttm_process("plugins", "list", "--json", site=site)).json()
    assert (one["name"], one["components"]) == ("one", {"marker_types": ["one"]})
    assert (other["name"], other["components"]) == ("other", {"marker_types": ["other"]})
