"""A broken component must fail with the very check that is there for it, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ttmarkers.testing import ConformanceError
from ttmarkers.testing.contract import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Bite(NamedTuple):
    """A broken component.

    Attributes:
        check: the name of the check that must find it.
        words: what the sentence must say.
        component: what is broken, or what makes it.
        arguments: further ones of the check.
    """

    check: str
    words: str
    component: Any
    arguments: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def bites(cases: Sequence[Bite]) -> pytest.MarkDecorator:
    """Run a test with each broken component."""
    return pytest.mark.parametrize("bite", cases, ids=[f"{place}-{bite.check}" for place, bite in enumerate(cases)])


def fails(bite: Bite, check: Callable[..., None], **more: Any) -> None:
    """Run a check on a broken component, and look at how it fails."""
    with pytest.raises(ConformanceError) as caught:
        check(bite.component, **{**more, **bite.arguments})
    assert (caught.value.check, bite.words in str(caught.value)) == (bite.check, True), str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(caught.value.component)


def all_bitten(checks: Iterable[Callable[[Any], None]], cases: Iterable[Bite]) -> None:
    """Look that no check is without a component that it finds broken."""
    assert {name_of(check) for check in checks} <= {bite.check for bite in cases}
