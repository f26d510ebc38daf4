"""Dropout is a pure function of seed, example id and epoch, and has the rates that it says."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import python_process
from ttmarkers.dropout import Dropout
from ttmarkers.errors import ConfigError

NAMES = ("length_tokens", "task", "domain", "format", "lang")
IDS = [f"example-{number}" for number in range(20_000)]


def test_golden_values() -> None:
    """The draws are those that models were trained with: other draws would break every resumed run."""
    drop = Dropout(dataset=0.25, sample=0.5, seed=0)
    assert [drop.kept(NAMES, "example-1", epoch) for epoch in range(4)] == [("task", "format"), (), (), ()]
    other = Dropout(dataset=0.25, sample=0.5, seed=7)
    assert other.kept(NAMES, "a", 0) == ("length_tokens", "task", "domain", "format")
    assert other.kept(NAMES, "Ünï 日本", 0) == ("length_tokens", "task", "format", "lang")
    exact = Dropout(dataset=0.0, sample=0.5, mode="exact", seed=3)
    assert [exact.kept(NAMES, name, 0) for name in ("a", "b")] == [("domain", "format"), ("domain", "format", "lang")]


@pytest.mark.parametrize("mode", ["independent", "exact"])
def test_same_in_any_order(mode: str) -> None:
    """A result does not depend on what was asked before it."""
    drop = Dropout(mode=mode, seed=1)  # type: ignore[arg-type]
    keys = [(name, epoch) for name in IDS[:200] for epoch in range(3)]
    first = {key: drop.kept(NAMES, *key) for key in keys}
    random.Random(0).shuffle(keys)
    assert {key: drop.kept(NAMES, *key) for key in keys} == first
    assert len(set(first.values())) > 5


@pytest.mark.parametrize("mode", ["independent", "exact"])
def test_same_in_another_process(mode: str) -> None:
    """A process with another hash seed draws the same."""
    code = """
        import json, sys
        from ttmarkers.dropout import Dropout
        drop = Dropout(mode=sys.argv[1], seed=5)
        print(json.dumps([drop.kept(json.loads(sys.argv[2]), f"example-{n}", n % 3) for n in range(300)]))
    """
    there = python_process(code, mode, json.dumps(NAMES), PYTHONHASHSEED="12345")
    drop = Dropout(mode=mode, seed=5)  # type: ignore[arg-type]
    here = [list(drop.kept(NAMES, f"example-{number}", number % 3)) for number in range(300)]
    assert there.json() == here


def test_quarter_of_the_time() -> None:
    """At 50_50 a given marker is in a prompt a quarter of the time, alone and whatever the others do."""
    drop = Dropout(dataset=0.5, sample=0.5)
    kept = [drop.kept(NAMES, name, 0) for name in IDS]
    for name in NAMES:
        assert _near(sum(name in names for names in kept), 0.25)
    shown = [names for names in kept if names]
    # five markers leave a shown block empty once in 32 draws
    assert _near(len(shown), 0.5 * (1 - 0.5**5))
    assert _near(sum({"task", "lang"} <= set(names) for names in kept), 0.5 * 0.25)


def test_each_rate_alone() -> None:
    """Dataset dropout takes whole blocks, sample dropout takes markers one by one."""
    whole = [Dropout(dataset=0.3, sample=0.0).kept(NAMES, name, 0) for name in IDS]
    assert set(whole) == {(), NAMES}
    assert _near(sum(not names for names in whole), 0.3)
    single = [Dropout(dataset=0.0, sample=0.3).kept(NAMES, name, 0) for name in IDS]
    for name in NAMES:
        assert _near(sum(name not in names for names in single), 0.3)


def test_seeds_and_epochs_differ() -> None:
    """Another seed or epoch draws independently: two draws agree as often as chance lets them."""
    base = [bool(Dropout(sample=0.0).kept(NAMES, name, 0)) for name in IDS]
    seed = [bool(Dropout(sample=0.0, seed=1).kept(NAMES, name, 0)) for name in IDS]
    epoch = [bool(Dropout(sample=0.0).kept(NAMES, name, 1)) for name in IDS]
    for other in (seed, epoch):
        assert _near(sum(a == b for a, b in zip(base, other, strict=True)), 0.5)


@pytest.mark.parametrize(
    ("count", "sample", "gone"), [(10, 0.3, {3}), (10, 0.5, {5}), (4, 0.25, {1}), (5, 0.5, {2, 3})]
)
def test_exact_fraction(count: int, sample: float, gone: set[int]) -> None:
    """Mode exact drops exactly its share; where that is no whole number, the one below or above."""
    names = [f"m{number}" for number in range(count)]
    drop = Dropout(dataset=0.0, sample=sample, mode="exact")
    sizes = [count - len(drop.kept(names, name, 0)) for name in IDS[:4000]]
    assert set(sizes) == gone
    assert math.isclose(sum(sizes) / len(sizes), count * sample, abs_tol=0.04)


def test_exact_is_fair() -> None:
    """Mode exact drops every marker equally often."""
    drop = Dropout(dataset=0.0, sample=0.4, mode="exact")
    kept = [drop.kept(NAMES, name, 0) for name in IDS]
    for name in NAMES:
        assert _near(sum(name in names for names in kept), 0.6)


@pytest.mark.parametrize("mode", ["independent", "exact"])
def test_rates_zero_and_one(mode: str) -> None:
    """A rate of 0 never drops and a rate of 1 always does."""
    keep = Dropout(dataset=0.0, sample=0.0, mode=mode)  # type: ignore[arg-type]
    whole = Dropout(dataset=1.0, sample=0.0, mode=mode)  # type: ignore[arg-type]
    each = Dropout(dataset=0.0, sample=1.0, mode=mode)  # type: ignore[arg-type]
    for name in IDS[:500]:
        assert keep.kept(NAMES, name, 0) == NAMES
        assert whole.kept(NAMES, name, 0) == ()
        assert each.kept(NAMES, name, 0) == ()


def test_each_epoch_false() -> None:
    """Without each_epoch all epochs repeat the draws of epoch 0; with it they differ."""
    fixed, fresh = Dropout(each_epoch=False), Dropout()
    first = [fixed.kept(NAMES, name, 0) for name in IDS[:300]]
    assert [fixed.kept(NAMES, name, 3) for name in IDS[:300]] == first
    assert [fresh.kept(NAMES, name, 0) for name in IDS[:300]] == first
    assert [fresh.kept(NAMES, name, 3) for name in IDS[:300]] != first


@given(
    st.lists(st.text(min_size=1), unique=True, max_size=8),
    st.text(),
    st.floats(0, 1),
    st.sampled_from(["independent", "exact"]),
)
def test_order_and_independence_of_names(names: list[str], example: str, sample: float, mode: str) -> None:
    """Kept markers are a subsequence, and giving the names in another order keeps the same ones."""
    drop = Dropout(dataset=0.0, sample=sample, mode=mode)  # type: ignore[arg-type]
    kept = drop.kept(names, example, 0)
    assert list(kept) == [name for name in names if name in kept]
    assert set(drop.kept(names[::-1], example, 0)) == set(kept)


@pytest.mark.parametrize("key", ["dataset", "sample"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_impossible_share(key: str, share: float) -> None:
    """A share outside 0 to 1 is refused by name."""
    with pytest.raises(ConfigError, match=rf"dropout\.{key} = .*between 0 and 1"):
        Dropout(**{key: share})


def _near(count: int, share: float) -> bool:
    """Whether a count over `IDS` lies within four standard deviations of a share."""
    return abs(count - share * len(IDS)) < 4 * math.sqrt(len(IDS) * share * (1 - share))


def test_rates_of_markers() -> None:
    """A marker with a rate of its own has that rate, the others the common one, and their draws stay as they were."""
    plain, own = Dropout(dataset=0.0, sample=0.5), Dropout(dataset=0.0, sample=0.5, rates={"lang": 0.1})
    kept = [own.kept(NAMES, name, 0) for name in IDS]
    assert math.isclose(sum("lang" in names for names in kept) / len(IDS), 0.9, abs_tol=0.01)
    before = [plain.kept(NAMES, name, 0) for name in IDS[:500]]
    for old, new in zip(before, kept, strict=False):
        assert [name for name in old if name != "lang"] == [name for name in new if name != "lang"]


def test_rare_values_are_spared() -> None:
    """A value under the border is dropped less, by the share that tail says; others as before."""
    shares = {"lang": {"Greek": 0.01, "English": 0.9}}
    drop = Dropout(dataset=0.4, sample=0.5, tail=0.5, shares=shares)
    rare = [drop.kept(NAMES, name, 0, {"lang": "Greek"}) for name in IDS]
    common = [drop.kept(NAMES, name, 0, {"lang": "English"}) for name in IDS]
    assert math.isclose(sum("lang" in names for names in rare) / len(IDS), 0.8 * 0.75, abs_tol=0.01)
    assert math.isclose(sum("lang" in names for names in common) / len(IDS), 0.6 * 0.5, abs_tol=0.01)
    assert math.isclose(sum("task" in names for names in rare) / len(IDS), 0.8 * 0.5, abs_tol=0.01)
    assert Dropout(tail=0.5, shares=shares).kept(NAMES, "a", 0) == Dropout().kept(NAMES, "a", 0)


def test_rates_that_cannot_be() -> None:
    """Shares beyond 0 and 1, and rates beside an exact share, are refused."""
    for wrong in ({"rates": {"lang": 1.5}}, {"tail": -0.1}, {"mode": "exact", "rates": {"lang": 0.2}}):
        with pytest.raises(ConfigError, match="dropout"):
            Dropout(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ((), {0.0: 1.0, 0.99: 1.0}),
        (((0.9, 1.0), (0.9, 0.0)), {0.0: 1.0, 0.89: 1.0, 0.9: 0.0, 0.99: 0.0}),
        (((0.2, 1.0), (0.6, 0.5)), {0.0: 1.0, 0.2: 1.0, 0.4: 0.75, 0.6: 0.5, 0.9: 0.5}),
        (((0.5, 0.0), (1.0, 1.0)), {0.0: 0.0, 0.5: 0.0, 0.75: 0.5}),
    ],
)
def test_factor_of_a_schedule(schedule: tuple[tuple[float, float], ...], factors: dict[float, float]) -> None:
    """A factor is linear between points, level outside them, and steps where two points share a place."""
    drop = Dropout(schedule=schedule)
    assert {place: drop.factor(place) for place in factors} == pytest.approx(factors)


def test_schedule_thins_out() -> None:
    """A lower factor takes whole blocks out of more prompts, and leaves the others as they were."""
    plain = Dropout(dataset=0.2, sample=0.5)
    thin = Dropout(dataset=0.2, sample=0.5, schedule=((0.0, 1.0), (1.0, 0.0)))
    for place in (0.0, 0.25, 0.5, 0.75):
        pairs = [(plain.kept(NAMES, name, 0), thin.kept(NAMES, name, 0, place=place)) for name in IDS]
        assert all(thinned in ((), whole) for whole, thinned in pairs)
        gone = sum(bool(whole) and not thinned for whole, thinned in pairs) / sum(bool(whole) for whole, _ in pairs)
        assert gone == pytest.approx(place, abs=0.02)


@pytest.mark.parametrize("schedule", [((0.5, 2.0),), ((0.9, 1.0), (0.1, 0.0)), ((-0.1, 1.0),)])
def test_wrong_schedules(schedule: tuple[tuple[float, float], ...]) -> None:
    """Points out of range or order are refused."""
    with pytest.raises(ConfigError, match=r"dropout.schedule: give points \[place, factor\] between 0 and 1"):
        Dropout(schedule=schedule)
