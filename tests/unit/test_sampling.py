"""The sampler takes the likeliest token, or one drawn by a number of the seed and the request's own place."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from ttmarkers.decoding.sampling import WARPERS, Sampler
from ttmarkers.dropout import draw
from ttmarkers.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCORES = [0.3, 2.0, -1.0, 1.5, -math.inf, 0.9, 1.2, -2.5]
DRAWS = 4000
SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "neutral": {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
    "cold": {"temperature": 0.5},
    "hot": {"temperature": 5.0},
    "top-k": {"top_k": 3},
    "more-than-all": {"top_k": 100},
    "top-p": {"top_p": 0.7},
    "min-p": {"min_p": 0.3},
    "all": {"temperature": 1.7, "top_k": 6, "top_p": 0.95, "min_p": 0.1},
}

settings = pytest.mark.parametrize("name", SETTINGS)
logits = st.lists(st.floats(-20, 20), min_size=1, max_size=30)


def chances(scores: list[float], given: Mapping[str, Any]) -> list[float]:
    """Return the probability of each token, by the words of the settings' documentation."""
    heat = given.get("temperature", 1.0)
    found = _normal([math.exp(score / heat) for score in scores])
    least = sorted(found, reverse=True)[: given.get("top_k") or len(found)][-1]
    found = _normal([chance if chance >= least else 0.0 for chance in found])
    kept, total = set(), 0.0
    for place in sorted(range(len(found)), key=lambda place: -found[place]):
        if total < given.get("top_p", 1.0):  # the fewest tokens that reach it
            kept.add(place)
        total += found[place]
    found = _normal([chance if place in kept else 0.0 for place, chance in enumerate(found)])
    least = given.get("min_p", 0.0) * max(found)
    return _normal([chance if chance >= least else 0.0 for chance in found])


def _normal(found: list[float]) -> list[float]:
    return [chance / sum(found) for chance in found]


@given(rows=st.lists(st.lists(st.floats(-20, 20), min_size=5, max_size=5), min_size=1, max_size=4), seed=st.integers())
def test_likeliest(rows: list[list[float]], seed: int) -> None:
    """Without draws the likeliest token is taken, whatever seed, settings and keys are; the first of equal ones."""
    sampler = Sampler(seed, False, {"temperature": -3, "top_k": "few"})
    keys = [(seed, number) for number in range(len(rows))]
    assert sampler.choose(torch.tensor(rows), keys) == [row.index(max(row)) for row in torch.tensor(rows).tolist()]
    assert torch.equal(sampler.shaped(torch.tensor(rows)), torch.tensor(rows))


@settings
def test_frequencies(name: str) -> None:
    """Over many keys, each token is drawn as often as its probability says, and never one that has none."""
    sampler = Sampler(1, True, SETTINGS[name])
    keys = [(f"request {number}", "answer", number % 7) for number in range(DRAWS)]
    chosen = sampler.choose(torch.tensor([SCORES]).expand(DRAWS, -1), keys)
    expected = chances(SCORES, SETTINGS[name])
    found = [chosen.count(place) for place in range(len(SCORES))]
    assert not any(count for count, chance in zip(found, expected, strict=True) if not chance)
    likely = [place for place, chance in enumerate(expected) if chance]
    test = chisquare([found[place] for place in likely], [DRAWS * expected[place] for place in likely])
    assert test.pvalue > 1e-3
    assert sampler.shaped(torch.tensor([SCORES])).softmax(-1)[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_frequencies_of_places() -> None:
    """The places of one request are drawn independently of each other."""
    sampler = Sampler(2, True)
    even = torch.zeros(DRAWS, 2)
    first = sampler.choose(even, [(f"r{number}", "block", 0) for number in range(DRAWS)])
    second = sampler.choose(even, [(f"r{number}", "block", 1) for number in range(DRAWS)])
    pairs = list(zip(first, second, strict=True))
    counts = [pairs.count((one, two)) for one in range(2) for two in range(2)]
    assert chisquare(counts).pvalue > 1e-3


@settings
@given(row=logits, seed=st.integers(0, 99), others=st.lists(st.integers(0, 99), max_size=5))
def test_alone_and_in_a_batch(name: str, row: list[float], seed: int, others: list[int]) -> None:
    """The same key draws the same token alone, again, and among any others."""
    sampler = Sampler(seed, True, SETTINGS[name])
    key = ("a request", "answer", 3)
    (alone,) = sampler.choose(torch.tensor([row]), [key])
    keys: list[tuple[str | int, ...]] = [("other", number) for number in others]
    neighbours = [row[::-1] for _ in others]
    half = len(others) // 2
    batch = torch.tensor([*neighbours[:half], row, *neighbours[half:]])
    for again in (sampler, Sampler(seed, True, SETTINGS[name])):
        assert again.choose(batch, [*keys[:half], key, *keys[half:]])[half] == alone


def test_other_seeds_and_keys_draw_others() -> None:
    """Every part of a key counts, and so does the seed."""
    even = torch.zeros(1, 10**6)
    keys: list[tuple[str | int, ...]] = [("a", "b", 1), ("a", "b", 2), ("a", "c", 1), ("b", "b", 1), ("ab", "", 1)]
    chosen = [Sampler(seed, True).choose(even, [key])[0] for seed in range(3) for key in keys]
    assert len(set(chosen)) == len(chosen)


def test_draws_by_the_number_of_its_key() -> None:
    """Of equal tokens, the one that the key's number falls into is drawn."""
    keys = [("r", number) for number in range(50)]
    chosen = Sampler(8, True).choose(torch.zeros(50, 64), keys)
    assert chosen == [int(draw(8, "r", str(number)) * 64) for number in range(50)]


@pytest.mark.parametrize("draws", [True, False])
@given(data=st.data())
def test_never_what_may_not_stand(draws: bool, data: st.DataObject) -> None:
    """A token at minus infinity is never chosen, at either end or in the middle, however hot."""
    row = data.draw(logits)
    allowed = data.draw(st.sets(st.integers(0, len(row) - 1), min_size=1))
    scores = torch.tensor([[score if place in allowed else -math.inf for place, score in enumerate(row)]])
    given = data.draw(st.sampled_from([*SETTINGS.values(), {"temperature": 1000.0}, {"typical_p": 0.5}]))
    sampler = Sampler(0, draws, given)
    keys = [(number,) for number in range(20)]
    assert set(sampler.choose(scores.expand(20, -1), keys)) <= allowed


@pytest.mark.parametrize("number", [0.0, 1 - 2**-53])
def test_numbers_at_the_ends(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least and the greatest number that can be drawn choose the first and the last token that may stand."""
    monkeypatch.setattr("ttmarkers.decoding.sampling.draw", lambda *_: number)
    scores = torch.tensor([[-math.inf, 0.0, -math.inf, 1.0, -math.inf]])
    assert Sampler(0, True).choose(scores, [("a",)]) == [3 if number else 1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", -1.0),
        ("temperature", "hot"),
        ("top_k", -2),
        ("top_k", 0.5),
        ("top_p", 1.5),
        ("top_p", -0.1),
        ("min_p", 2.0),
        ("typical_p", 3.0),
        ("epsilon_cutoff", 1.0),
        ("eta_cutoff", -1.0),
    ],
)
def test_bad_values(key: str, value: Any) -> None:
    """A value that cannot be is refused at once, in one sentence that names its key in the config."""
    with pytest.raises(ConfigError, match=rf"^decode\.{key} = ") as caught:
        Sampler(0, True, {key: value})
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", WARPERS)
def test_every_key_shapes(key: str) -> None:
    """Each key has an effect of its own on the scores."""
    values = {"temperature": 0.5, "top_k": 2, "top_p": 0.5, "min_p": 0.5, "typical_p": 0.3}
    sampler = Sampler(0, True, {key: values.get(key, 0.15)})
    assert not torch.equal(sampler.shaped(torch.tensor([SCORES])), torch.tensor([SCORES]))
