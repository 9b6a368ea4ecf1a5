"""A tiering is judged by what came: sensible ones above chance, upside-down ones as low as none, with true intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.tiers import compare, judge
from tierwise.value.tiers.sharing import cells_of, of_tiers, of_values

NAMES = ["gold", "silver", "member"]


def _shop(seed: int, size: int = 2_000) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Customers of three tiers, of whom 10, 30 and 60 of a hundred bring 90, 30 and 5 on average, most nothing."""
    rng = np.random.default_rng(seed)
    tier = rng.choice(3, size, p=[0.1, 0.3, 0.6])
    buys = rng.random(size) < 0.5
    return tier, np.round(buys * rng.gamma(1.0, np.array([180.0, 60.0, 10.0])[tier]), 2)


def test_a_sensible_tiering_is_above_chance_and_above_one_tier_for_everybody() -> None:
    tier, value = _shop(1)
    good = judge(tier, value, NAMES, np.random.default_rng(5))
    shuffled = judge(np.random.default_rng(2).permutation(tier), value, NAMES, np.random.default_rng(5))
    one = judge(np.zeros_like(tier), value, ["everybody"], np.random.default_rng(5))
    assert good.is_monotone
    assert 0.5 < good.score_low < good.score < good.score_high < 1
    assert not shuffled.is_monotone
    assert shuffled.score < 0.1 < good.score_low
    assert (one.score, one.is_monotone, one.balance) == (0, False, 0)
    assert good.separation > shuffled.separation + 0.1
    upside_down = judge(2 - tier, value, NAMES, np.random.default_rng(5))
    assert upside_down.score == 0
    assert upside_down.gini == pytest.approx(-good.gini)


def test_the_numbers_of_a_tier_are_those_of_its_customers() -> None:
    tier, value = _shop(3)
    found = judge(tier, value, NAMES, np.random.default_rng(5))
    for place, one in enumerate(found.tiers):
        own = value[tier == place]
        assert (one.tier, one.customers) == (NAMES[place], own.size)
        assert one.mean == pytest.approx(own.mean())
        assert one.value_share == pytest.approx(own.sum() / value.sum())
        assert one.lift == pytest.approx(one.value_share / one.share)
        assert one.mean_low is not None and one.mean_high is not None
        # The bootstrap of a mean is the normal interval of it, but for chance.
        half = 1.96 * own.std() / np.sqrt(own.size)
        assert one.mean_high - one.mean_low == pytest.approx(2 * half, rel=0.2)
    assert sum(one.share for one in found.tiers) == pytest.approx(1)
    best_first = np.sort(value)[::-1]
    places = np.searchsorted(np.cumsum(np.bincount(tier)), np.arange(value.size), side="right")
    assert judge(places, best_first, NAMES, np.random.default_rng(5)).score > 0.85


def test_intervals_hold_what_they_promise() -> None:
    """Of 30 shops of one kind, the interval of the score holds that of a very large one nearly always."""
    tier, value = _shop(99, 300_000)
    cells = cells_of(tier, value, 3)
    true = of_tiers(np.bincount(tier).astype(float), np.bincount(tier, value).astype(float)) / of_values(
        cells, cells.count
    )
    held = 0
    for seed in range(30):
        found = judge(*_shop(seed, 500), NAMES, np.random.default_rng(1))
        held += int(found.score_low <= true <= found.score_high)
    assert held >= 26


def test_one_seed_one_answer_and_a_tier_without_customers() -> None:
    tier, value = _shop(4)
    once, again = (judge(tier, value, [*NAMES, "nobody"], np.random.default_rng(7)) for _ in range(2))
    assert once == again
    nobody = once.tiers[-1]
    assert (nobody.customers, nobody.mean, nobody.lift, nobody.value_share) == (0, None, None, 0)
    assert [step.worse for step in once.steps] == ["silver", "member"]


def test_two_tierings_are_compared_on_the_same_samples() -> None:
    tier, value = _shop(5)
    blurred = np.where(np.random.default_rng(1).random(tier.size) < 0.3, 2, tier)
    found = compare(tier, blurred, value, (3, 3), np.random.default_rng(5))
    assert found.difference == pytest.approx(found.first - found.second)
    assert 0 < found.low < found.difference < found.high
    same = compare(tier, tier, value, (3, 3), np.random.default_rng(5))
    assert (same.difference, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("tier", "value", "error", "said"),
    [
        (np.zeros(10), np.ones(10), TooLittleData, "at least 50 customers, there are 10"),
        (np.zeros(60), np.zeros(60), TooLittleData, "nobody brought anything"),
        (np.zeros(60), np.full(60, np.nan), BadRequest, "missing or infinite"),
        (np.zeros(60), np.ones(59), BadRequest, "60 rows, `value` has 59"),
        (np.full(60, 3), np.ones(60), BadRequest, "none of the 3"),
    ],
)
def test_what_is_refused(
    tier: NDArray[np.float64], value: NDArray[np.float64], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        judge(tier, value, NAMES, np.random.default_rng(1))


def test_customers_who_all_bring_the_same_cannot_be_told_apart() -> None:
    found = judge(np.arange(60) % 3, np.full(60, 5.0), NAMES, np.random.default_rng(1))
    assert (found.score, found.separation) == (0, 0)
