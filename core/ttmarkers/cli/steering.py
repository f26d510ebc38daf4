"""Options by which markers are asked for, and the engine that they make; for ``ttm generate`` and ``ttm evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ttmarkers.cli import completing
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ttmarkers.cli import Context
    from ttmarkers.config import Config
    from ttmarkers.decoding.steering import Steered

_ASK = "Ask for a marker (may be repeated)."
_AWAY = "Lead away from a marker, with policy guided (may be repeated)."
_POLICY = "Decoding policy (ttm policies list); by default what fits model and markers."
_STRENGTH = "How much policy guided guides, for all markers or for one (may be repeated)."
_HARD = "Cut answers to the numbers that are asked for (length_tokens ...), and say so."
_OPTIONS = (
    click.option(
        "-m",
        "--marker",
        "markers",
        multiple=True,
        metavar="NAME=VALUE",
        help=_ASK,
        shell_complete=completing.markers,
    ),
    click.option(
        "--not", "negative", multiple=True, metavar="NAME=VALUE", help=_AWAY, shell_complete=completing.markers
    ),
    click.option("--policy", metavar="NAME", help=_POLICY, shell_complete=completing.names("policies")),
    click.option(
        "--strength",
        "strengths",
        multiple=True,
        metavar="[NAME=]X",
        help=_STRENGTH,
        shell_complete=completing.strengths,
    ),
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


def steer(context: Context, config: Config, model: str, steering: Steering, *, explain: bool = False) -> Steered:
    """Load a model, and check all that the options ask of it.

    Raises:
        ConfigError: for a policy, marker, value or strength that does not fit.
    """
    from ttmarkers.decoding.steering import Wish
    from ttmarkers.decoding.steering import steer as steered

    wish = Wish(
        parse_markers(steering.markers, "-m"),
        parse_markers(steering.negative, "--not"),
        steering.policy,
        parse_strengths(steering.strengths),
        steering.hard_length,
        explain,
    )
    return steered(context.plugins, config, model, wish)


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
