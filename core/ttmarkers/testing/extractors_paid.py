"""Checks of extractors that are told of markers, and of those that cost something."""

from __future__ import annotations

import math
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, NoReturn
from unittest import mock

from ttmarkers.annotation.guides import Briefing
from ttmarkers.errors import ConfigError
from ttmarkers.plugins.registry import build
from ttmarkers.records import Spending
from ttmarkers.testing.contract import Breach, short, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ttmarkers.testing.findings import Probe


class SentError(Exception):
    """Something was to be sent."""


@contextmanager
def unplugged() -> Iterator[list[str]]:
    """Refuse every connection and look-up of a name, and note where it was to go."""
    sent: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        places = [argument for argument in arguments if not isinstance(argument, socket.socket)]
        sent.append(short(places[0] if places else ""))
        raise SentError(f"nothing may be sent to {sent[-1]}")

    with ExitStack() as stack:
        for place, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
            stack.enter_context(mock.patch.object(place, name, refuse))
        yield sent


def is_told_of_its_markers(probe: Probe) -> None:
    """A guided extractor takes in what it is told, or says in one sentence what it lacks."""
    for briefing in (probe.briefing(), Briefing(probe.briefing().types, {}, max_cost=1.0, run="bare")):
        made = build(probe.component, probe.options)
        try:
            made.prepare(briefing)
        except Exception as error:
            if isinstance(error, ConfigError) and not briefing.guides:
                continue  # it may well need one, and says so
            named = ", ".join(kind.name for kind in briefing.types)
            how = "with" if briefing.guides else "without"
            raise Breach(f"it raises {told(error)} when it is told of {named} {how} guides: take both") from error


def estimates_without_sending(probe: Probe) -> None:
    """What a run would cost is said before anything is spent."""
    extractor = probe.make()
    with unplugged() as sent:
        try:
            extractor.estimate(probe.fresh())
        except Exception as error:
            if not sent:
                raise
            raise Breach(f"its estimate sends something to {sent[0]}: count, and send nothing") from error
    if sent:
        raise Breach(f"its estimate sends something to {sent[0]}: count, and send nothing")


def estimates_numbers(probe: Probe) -> None:
    """An estimate is a number of everything, and nothing for no rows."""
    for rows in (probe.fresh(), []):
        spending = probe.make().estimate(rows)
        if not isinstance(spending, Spending):
            raise Breach(f"its estimate is {type(spending).__name__}: return ttmarkers.records.Spending")
        figures = astuple(spending)
        if not all(math.isfinite(figure) and figure >= 0 for figure in figures) or (not rows and any(figures)):
            raise Breach(f"it estimates {spending} for {len(rows)} rows: count from nothing up")


GUIDED_CHECKS = (is_told_of_its_markers,)
PAID_CHECKS = (estimates_without_sending, estimates_numbers)
