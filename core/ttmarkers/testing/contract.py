"""What the checks stand on: a check has a name, and says in one sentence which contract a component breaks."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Check = Callable[[Any], None]

T = TypeVar("T")

PRINTS_NOTHING = "prints-nothing"
"""The check that every component passes beside its own."""


class ConformanceError(AssertionError):
    """A component breaks a contract.

    Attributes:
        component: what it is, such as ``extractor 'mood'``.
        check: the name of the check.
    """

    def __init__(self, component: str, check: str, sentence: str) -> None:
        super().__init__(f"{component}: {sentence} (check {check})")
        self.component, self.check = component, check


class Breach(Exception):  # noqa: N818 - it is told as a ConformanceError, and never seen outside
    """What a check raises: the sentence without the component's name, with how to mend it."""


@dataclass
class Heard:
    """What was written to standard output."""

    text: str = ""


@contextmanager
def listening() -> Iterator[Heard]:
    """Catch what is written to standard output, by Python, by native code and by child processes."""
    heard, written = Heard(), io.StringIO()
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            with redirect_stdout(written):
                yield heard
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            file.seek(0)
            heard.text = written.getvalue() + file.read().decode("utf-8", "replace")


def name_of(check: Check) -> str:
    """Return the name under which a check is told.

    >>> def keeps_order(probe): ...
    >>> name_of(keeps_order)
    'keeps-order'
    """
    return check.__name__.replace("_", "-")


def hold(component: str, probe: T, checks: Sequence[Callable[[T], None]]) -> None:
    """Run checks in order, and stop at the first that fails.

    Args:
        component: what is checked, such as ``extractor 'mood'``.
        probe: what the checks are given.
        checks: each raises `Breach`, or whatever the component raises.

    Raises:
        ConformanceError: with the component, the sentence, and the name of the check.
    """
    for check in checks:
        error: Exception | None = None
        with listening() as heard:
            try:
                check(probe)
            except Exception as caught:
                error = caught
        if isinstance(error, Breach):
            raise ConformanceError(component, name_of(check), str(error)) from error.__cause__
        if error is not None:
            raise ConformanceError(component, name_of(check), f"it raises {told(error)}: mend it there") from error
        if heard.text:
            line = heard.text.splitlines()[0]
            raise ConformanceError(
                component,
                PRINTS_NOTHING,
                f"it prints {short(line)} on standard output, where results stand: use logging or standard error",
            )


def told(error: BaseException) -> str:
    """Return an error on one line, with its type."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__} ({text})" if text else type(error).__name__


def short(value: object, most: int = 100) -> str:
    """Return a value as Python writes it, cut to a length.

    >>> short("a" * 20, 9)
    "'aaaaa..."
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def check_name(name: str, pattern: str, words: str) -> None:
    """Raise `Breach` unless a name is one that users can write."""
    import re

    if not isinstance(name, str) or not re.fullmatch(pattern, name):
        raise Breach(f"the name {name!r} cannot be written by users: use {words}")


def check_summary(summary: object) -> None:
    """Raise `Breach` unless there is one line that listings can show."""
    if not isinstance(summary, str) or not summary.strip() or len(summary.splitlines()) > 1:
        raise Breach("it has no summary of one line, which the listings show: write one")


COMPONENT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
COMPONENT_WORDS = "letters, digits, dots, dashes and underscores"


def has_a_name_and_a_summary(probe: Any) -> None:
    """Users write the name, and listings show the summary."""
    check_name(probe.component.name, COMPONENT_NAME, COMPONENT_WORDS)
    check_summary(probe.component.summary)
