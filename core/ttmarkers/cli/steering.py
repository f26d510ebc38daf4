"""Options by which markers are asked for, and the engine that they make; for ``ttm generate`` and ``ttm evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ttmarkers.asking import Asking
    from ttmarkers.cli import Context
    from ttmarkers.config import Config
    from ttmarkers.generation import Engine
    from ttmarkers.records import Value

_ASK = "Ask for a marker (may be repeated)."
_AWAY = "Lead away from a marker (policy guided)."
_POLICY = "Decoding policy (ttm policies list); by default what fits model and markers."
_STRENGTH = "How much policy guided guides, for all markers or for one."
_HARD = "Cut answers to the numbers that are asked for (length_tokens ...), and say so."
_OPTIONS = (
    click.option("-m", "--marker", "markers", multiple=True, metavar="NAME=VALUE", help=_ASK),
    click.option("--not", "negative", multiple=True, metavar="NAME=VALUE", help=_AWAY),
    click.option("--policy", help=_POLICY),
    click.option("--strength", "strengths", multiple=True, metavar="[NAME=]X", help=_STRENGTH),
    click.option("--hard-length", is_flag=True, help=_HARD),
)


def steering_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ask for markers; they arrive as one `Steering` named ``steering``."""

    def gathered(*positional: Any, **values: Any) -> None:
        names = ("markers", "negative", "policy", "strengths", "hard_length")
        command(*positional, steering=Steering(**{name: values.pop(name) for name in names}), **values)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


@dataclass(frozen=True)
class Steering:
    """What the options say, as text."""

    markers: tuple[str, ...]
    negative: tuple[str, ...]
    policy: str | None
    strengths: tuple[str, ...]
    hard_length: bool


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


def steer(context: Context, config: Config, model: str, steering: Steering, *, explain: bool = False) -> Steered:
    """Load a model, and check all that is asked of it.

    Raises:
        ConfigError: for a policy, marker, value or strength that does not fit.
    """
    from ttmarkers.asking import Asking
    from ttmarkers.budget import Budgets
    from ttmarkers.decoding import choose_policy, load_engine

    decode = config.decode
    given, away = parse_markers(steering.markers, "-m"), parse_markers(steering.negative, "--not")
    wanted = steering.policy or decode.policy or ("posterior" if explain else None)
    if wanted:
        context.plugins.policies().get(wanted, where="decode.policy")
    engine = load_engine(model, decode, policy=wanted, seed=config.seed)
    asking = Asking(engine.checkpoint, context.plugins.extractors())
    markers = asking.check({**decode.markers, **given}, where="-m")
    negative = asking.check({**decode.negative, **away}, where="--not")
    for name in markers:
        if negative.get(name) == markers[name]:
            raise ConfigError(f"-m and --not both name {name} = {markers[name]}: leave one out")
    if negative and not wanted:
        wanted = "guided"
    hard = decode.hard_length or steering.hard_length
    if hard or decode.max_words:
        taxonomy = engine.checkpoint.taxonomy if engine.checkpoint else None
        engine.budgets = Budgets(taxonomy, context.plugins.extractors(), hard=hard, max_words=decode.max_words)
    options = {name: dict(values) for name, values in decode.options.items()}
    if steering.strengths:
        wanted = wanted or "guided"
        if wanted != "guided":
            raise ConfigError(f"--strength is for policy guided, not {wanted}: leave one of them out")
        options["guided"] = _strong(options.get("guided", {}), steering.strengths, {**negative, **markers})
    if explain and wanted != "posterior":
        raise ConfigError(f"--explain is for policy posterior, not {wanted}: leave one of them out")
    return Steered(engine, choose_policy(wanted, engine, markers), markers, negative, options, asking)


def _strong(options: Mapping[str, Any], words: Iterable[str], asked: Mapping[str, Value]) -> dict[str, Any]:
    """Return the options of policy guided with the strengths of the command line over those of the config."""
    given = parse_strengths(words)
    for name in given:
        if name and name not in asked:
            raise ConfigError(f"--strength {name}: the marker is not asked for: give it with -m or --not")
    below = options.get("strength", {})
    return {**options, "strength": {**(below if isinstance(below, dict) else {"": below}), **given}}


def parse_markers(words: Iterable[str], option: str) -> dict[str, str]:
    """Return the markers of ``NAME=VALUE`` options."""
    markers: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{option} {word!r}: write NAME=VALUE, such as lang=French")
        if name in markers:
            raise ConfigError(f"{option} {word!r}: {name} is given twice")
        markers[name] = value
    return markers


def parse_strengths(words: Iterable[str]) -> dict[str, float]:
    """Return the strengths of ``[NAME=]X`` options; that of all markers has an empty name."""
    strengths = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            strengths[name] = float(number)
        except ValueError:
            raise ConfigError(f"--strength {word!r}: write a number, or NAME=NUMBER, such as lang=2") from None
    return strengths
