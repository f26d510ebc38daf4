"""What is asked of a model beside prompts, checked: the policy, markers to lead to and away from, strengths, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttmarkers.decoding.asking import Asking
from ttmarkers.decoding.budget import Budgets
from ttmarkers.decoding.run import choose_policy, load_engine
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ttmarkers.config import Config, DecodeConfig
    from ttmarkers.decoding.generation import Engine
    from ttmarkers.plugins.manager import Plugins
    from ttmarkers.records import Value


@dataclass(frozen=True)
class Wish:
    """What a user says of how a model is to be asked, over what the config says.

    Attributes:
        markers: to ask for.
        negative: to lead away from.
        policy: its name.
        strengths: marker -> strength of guidance; that of all markers has an empty name.
        hard_length: whether answers are cut to the numbers that are asked for.
        explain: whether the probabilities of markers are wanted.
    """

    markers: Mapping[str, object] = field(default_factory=dict)
    negative: Mapping[str, object] = field(default_factory=dict)
    policy: str | None = None
    strengths: Mapping[str, float] = field(default_factory=dict)
    hard_length: bool = False
    explain: bool = False


@dataclass(frozen=True)
class Steered:
    """An engine, and how it is to be asked.

    Attributes:
        engine: the model.
        policy: name of the policy.
        markers: those to ask for.
        negative: those to lead away from.
        options: arguments of policies, by name.
        asking: checks further markers.
    """

    engine: Engine
    policy: str
    markers: Mapping[str, Value]
    negative: Mapping[str, Value]
    options: Mapping[str, Mapping[str, Any]]
    asking: Asking


def steer(plugins: Plugins, config: Config, model: str, wish: Wish) -> Steered:
    """Load a model, and check all that is asked of it.

    Raises:
        ConfigError: for a policy, marker, value or strength that does not fit.
    """
    decode = config.decode
    wanted = wish.policy or decode.policy or ("posterior" if wish.explain else None)
    if wanted:
        plugins.policies().get(wanted, where="decode.policy")
    engine = load_engine(model, decode, policy=wanted, seed=config.seed)
    asking = Asking(engine.checkpoint, plugins.extractors())
    markers = asking.check({**decode.markers, **wish.markers}, where="-m")
    negative = asking.check({**decode.negative, **wish.negative}, where="--not")
    if name := engine.wording.clash(markers, negative):
        raise ConfigError(f"-m and --not both name {name} = {markers[name]}: leave one out")
    if negative and not wanted:
        wanted = "guided"
    limit(engine, plugins, decode, hard=wish.hard_length)
    options = {name: dict(values) for name, values in decode.options.items()}
    if wish.strengths:
        wanted = wanted or "guided"
        if wanted != "guided":
            raise ConfigError(f"--strength is for policy guided, not {wanted}: leave one of them out")
        options["guided"] = _strong(options.get("guided", {}), wish.strengths, {**negative, **markers})
    if wish.explain and wanted != "posterior":
        raise ConfigError(f"--explain is for policy posterior, not {wanted}: leave one of them out")
    return Steered(engine, choose_policy(wanted, engine.checkpoint, markers), markers, negative, options, asking)


def limit(engine: Engine, plugins: Plugins, decode: DecodeConfig, *, hard: bool = False) -> None:
    """Have an engine cut its answers to the limits that the config sets; ``hard`` as ``decode.hard_length``."""
    hard = hard or decode.hard_length
    if hard or decode.max_words:
        taxonomy = engine.checkpoint.taxonomy if engine.checkpoint else None
        engine.budgets = Budgets(taxonomy, plugins.extractors(), hard=hard, max_words=decode.max_words)


def _strong(options: Mapping[str, Any], given: Mapping[str, float], asked: Iterable[str]) -> dict[str, Any]:
    """Return the options of policy guided with the strengths that were given over those of the config."""
    for name in given:
        if name and name not in asked:
            raise ConfigError(f"--strength {name}: the marker is not asked for: give it with -m or --not")
    below = options.get("strength", {})
    return {**options, "strength": {**(below if isinstance(below, dict) else {"": below}), **given}}
