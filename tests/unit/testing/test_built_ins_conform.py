"""Every component that comes with ttmarkers passes the checks that authors of plugins have for theirs."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest

from judge_support import prefers
from ttmarkers.cli import COMMANDS, Context, cli
from ttmarkers.plugins.kinds import KINDS
from ttmarkers.plugins.manager import create_plugins
from ttmarkers.records import Generation
from ttmarkers.testing import (
    check_extractor,
    check_guide,
    check_marker_type,
    check_plugin,
    check_policy,
    check_profile,
    check_strategy,
    check_task,
    check_template,
)
from ttmarkers.testing.commands import CHECKS, Probe, has_a_name_of_its_own
from ttmarkers.testing.contract import hold
from ttmarkers_plugins.marker_types import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from endpoint_server import Server
    from ttmarkers.plugins.manager import Plugins

BUILT_IN = create_plugins(third_party=False)


def each(components: Iterable[Any]) -> pytest.MarkDecorator:
    """Run a test with each component of a registry."""
    return pytest.mark.parametrize("component", [e.component for e in components], ids=lambda found: found.name)


@each(BUILT_IN.marker_types())
def test_marker_types(component: Any, plugins: Plugins) -> None:
    """Every value of the paper's types can be written."""
    check_marker_type(component, plugins=plugins)


@each(BUILT_IN.templates())
def test_templates(component: Any, plugins: Plugins) -> None:
    """The templates write the paper's taxonomy."""
    check_template(component, plugins=plugins)


@each(BUILT_IN.guides())
def test_guides(component: Any, plugins: Plugins) -> None:
    """Guides speak of markers and values that there are."""
    check_guide(component, plugins=plugins)


@each(BUILT_IN.profiles())
def test_profiles(component: Any, plugins: Plugins) -> None:
    """Profiles are parts of a config."""
    check_profile(component, plugins=plugins)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str) -> None:
    """Our own commands keep to what is asked of others', but for a name that we do not have."""
    command = cli.get_command(click.Context(cli, obj=Context(third_party=False)), name)
    assert command is not None
    hold(name, Probe(command), [check for check in CHECKS if check is not has_a_name_of_its_own])


@each(e for e in BUILT_IN.extractors() if e.component.default)
def test_extractors(component: Any, plugins: Plugins) -> None:
    """Extractors that are asked without being named need nothing."""
    check_extractor(component, plugins=plugins)


def test_extractor_reward_model(plugins: Plugins, reward_model: str) -> None:
    """Scores of a small reward model."""
    check_extractor(plugins.extractors().get("reward-model"), options={"model": reward_model}, plugins=plugins)


def test_extractor_lm(plugins: Plugins, language_model: str) -> None:
    """Likelihoods of a small language model."""
    options = {"model": language_model}
    check_extractor(plugins.extractors().get("lm"), options=options, markers=["quality_bucket"], plugins=plugins)


def test_extractor_embedding(plugins: Plugins, vectors: None) -> None:
    """The nearest definition, by vectors that mean nothing."""
    check_extractor(plugins.extractors().get("embedding"), plugins=plugins)


def test_extractor_distilled(with_mood: Plugins, tagger: str) -> None:
    """A tagger that was trained here."""
    component = with_mood.extractors().get("distilled")
    check_extractor(component, options={"tagger": tagger}, markers=["mood"], plugins=with_mood)


def test_extractor_llm(plugins: Plugins, server: Server) -> None:
    """A language model behind an endpoint; estimating sends nothing to it."""
    options = {"model": "m", "base_url": server.url, "retries": 2, "timeout": 5, "price_in": 1.0, "price_out": 2.0}
    component = plugins.extractors().get("llm")
    check_extractor(component, options=options, markers=["task", "domain"], plugins=plugins)
    assert server.calls


def test_every_extractor_is_checked() -> None:
    """A new extractor that is asked only when it is named needs a test above."""
    named = {e.component.name for e in BUILT_IN.extractors() if not e.component.default}
    assert named == {"reward-model", "lm", "embedding", "distilled", "llm"}


@each(BUILT_IN.policies())
def test_policies(component: Any, ttm_model: Path) -> None:
    """The policies answer with a tiny model."""
    check_policy(component, model=ttm_model, options={"candidates": 2} if component.name == "best-of" else None)


SAID = {
    "English": "The sky is blue because air scatters the blue light of the sun.",
    "French": "Le ciel est bleu parce que l'air diffuse la lumière bleue du soleil.",
    "German": "Der Himmel ist blau, weil die Luft das blaue Licht der Sonne streut.",
    "Spanish": "El cielo es azul porque el aire dispersa la luz azul del sol.",
    "Turkish": "Gökyüzü mavidir çünkü hava güneşin mavi ışığını her yöne dağıtır.",
    "Russian": "Небо голубое, потому что воздух рассеивает голубой свет солнца.",
    "Chinese": "天空是蓝色的，因为空气会散射太阳的蓝光，所以我们看到蓝天。",
}
BY_CODE = {LANGUAGES[name]: text for name, text in SAID.items()}
RATER = "import json,sys; print(json.dumps([text.count('good') for text in json.load(sys.stdin)['answers']]))"


def knows(case: Any) -> Generation:
    """Return the markers of a case's row, and an answer that shows them."""
    text = SAID[case.known["lang"]]
    return Generation(case.id, case.prompt, text, "<block>", dict(case.known), text, "inferred")


GOLD: dict[str, tuple[Callable[[Any], str | Generation] | None, dict[str, Any]]] = {
    "length": (lambda case: "Yes, it is.", {}),
    "control": (lambda case: " ".join(["word"] * case.tokens), {}),
    "language": (lambda case: BY_CODE[case.target], {}),
    "markers": (knows, {}),
    "frontier": (lambda case: " ".join(["This is a sentence."] * (case.value or 3)), {"top": ["adherence"]}),
    "translation": (None, {}),
    "quality": (
        lambda case: "A good, good, good answer.",
        {"options": {"scorer": "program", "command": shlex.join([sys.executable, "-c", RATER]), "buckets": ["1"]}},
    ),
    "code-repair": (lambda case: case.problem.reference, {"options": {"languages": ["python"]}}),
    "code-generation": (lambda case: case.problem.reference, {"options": {"languages": ["python"]}}),
    "code-translation": (
        lambda case: case.problem.reference,
        {"options": {"languages": ["python"], "source": "javascript"}},
    ),
}
"""What scores at the top of each task, and how the task is checked."""


@each(e for e in BUILT_IN.tasks() if e.component.name != "winrate")
def test_tasks(component: Any, plugins: Plugins) -> None:
    """The tasks' embedded samples score their gold at the top."""
    gold, arguments = GOLD[component.name]
    check_task(component, gold=gold, plugins=plugins, **arguments)


def test_task_winrate(plugins: Plugins, server: Server) -> None:
    """A judge behind an endpoint that prefers the answer with more praise in it."""
    server.say = prefers(lambda text: text.count("splendid"))
    options = {"model": "m", "base_url": server.url, "retries": 2, "timeout": 5}
    component = plugins.tasks().get("winrate")
    check_task(component, gold=lambda case: "A splendid answer.", options=options, plugins=plugins)
    assert server.calls


@each(e for e in BUILT_IN.strategies() if e.component.name != "lora")
def test_strategies(component: Any, plugins: Plugins) -> None:
    """The strategies train a tiny model that then answers."""
    check_strategy(component, plugins=plugins)


def test_strategy_lora(plugins: Plugins, ttm_model: Path) -> None:
    """An adapter needs a model that is there."""
    check_strategy(plugins.strategies().get("lora"), model=ttm_model, plugins=plugins)


def test_the_built_ins_are_a_plugin() -> None:
    """Their module is light and quiet, as every plugin's must be."""
    names = [f"{kind} {entry.component.name}" for kind in KINDS for entry in BUILT_IN.registry(kind)]
    check_plugin("ttmarkers_plugins", leave_out=names)
