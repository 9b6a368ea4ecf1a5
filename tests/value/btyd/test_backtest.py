"""Whether the past was foretold: intervals that hold outcomes, and failures that are noticed without being asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd import BGNBD, Calibration, backtest, predict, purchases_of
from tierwise.value.btyd.backtest import Purchases

FloatArray = NDArray[np.float64]


def shop(seed: int, customers: int = 1_500, weeks: int = 78, busy: tuple[int, int, float] = (0, 0, 1.0)) -> Purchases:
    """Purchases of customers who come all along and leave as BG/NBD has it; `busy` multiplies rates in some weeks."""
    rng = np.random.default_rng(seed)
    came = rng.uniform(0, weeks * 0.6, customers)
    rate, leaves = rng.gamma(0.8, 1 / 5.0, customers), rng.beta(0.7, 2.0, customers)
    who, when = [np.arange(customers)], [came]
    alive, now = np.ones(customers, bool), came.copy()
    while alive.any():
        inside = (now >= busy[0]) & (now < busy[1])
        now = now + rng.exponential(1 / np.maximum(rate * np.where(inside, busy[2], 1.0), 1e-9))
        alive &= now <= weeks
        who.append(np.flatnonzero(alive))
        when.append(now[alive])
        alive &= rng.random(customers) >= leaves
    return purchases_of(np.concatenate(who), np.concatenate(when), weeks)


def test_histories_at_a_past_instant_by_hand() -> None:
    """Purchases of one day are one; who came later is not known yet."""
    found = purchases_of(["b", "a", "a", "a", "b", "c"], [1.0, 0.2, 3.1, 3.9, 6.0, 5.0], end=8.2, grain=1.0)
    customers, x, tx, T = found.until(4.0)
    assert customers.tolist() == [0, 1]
    assert (x.tolist(), tx.tolist(), T.tolist()) == ([1, 0], [3, 0], [4, 3])
    assert found.between(customers, 4.0, 8.0).tolist() == [0, 1]


def test_a_model_that_is_right_passes_and_its_intervals_hold() -> None:
    purchases = shop(1)
    found = backtest(purchases, 26, np.random.default_rng(7))
    assert found.passed, found.failures
    assert [origin.model for origin in found.origins] == ["bg_nbd"] * 3
    for origin in found.origins:
        assert 0.85 < origin.ratio < 1.15
        assert origin.coverage >= 0.93
        assert origin.mae < origin.past_rate_mae
    assert found.calibration.miss < 0.1


def test_it_is_the_same_whenever_it_is_asked() -> None:
    purchases = shop(2, customers=400)
    assert backtest(purchases, 20, np.random.default_rng(7)) == backtest(purchases, 20, np.random.default_rng(7))


def test_a_season_the_model_cannot_know_is_noticed() -> None:
    """Everybody buys four times as often in the last quarter of the time."""
    found = backtest(shop(3, busy=(58, 78, 4.0)), 20, np.random.default_rng(7))
    assert not found.passed
    assert "times the purchases that came" in found.failures[0]
    assert found.calibration.miss > 0.2


def test_old_customers_who_look_new_are_noticed() -> None:
    whole = shop(4, weeks=104)
    later = whole.time >= 40
    found = backtest(purchases_of(whole.customer[later], whole.time[later], 104), 20, np.random.default_rng(7))
    assert any("earlier purchases are not in the data" in note for note in found.notes)


def test_a_question_beyond_the_data_is_noted() -> None:
    found = backtest(shop(2, customers=400), 200, np.random.default_rng(7))
    assert any("200 is asked: nothing is known beyond" in note for note in found.notes)


def test_what_a_backtest_taught_widens_intervals() -> None:
    customers, x, tx, T = shop(1).until(78)
    model = BGNBD().fit(x, tx, T)
    own = predict(model, 26, x, tx, T, np.random.default_rng(1))
    taught = predict(model, 26, x, tx, T, np.random.default_rng(1), Calibration(0.95, 0.99, 0.2, 3))
    assert own.expected.shape == own.low.shape == own.high.shape == customers.shape
    assert own.total == pytest.approx(float(model.expected_purchases(26, x, tx, T).sum()))
    assert taught.total_low < own.total_low < own.total < own.total_high < taught.total_high
    assert (taught.high >= own.high).all()
    assert taught.high.sum() > own.high.sum()


def test_the_total_holds_more_than_the_parameters_alone() -> None:
    """A bare interval of the parameters leaves out that customers are chance themselves."""
    _, x, tx, T = shop(5, customers=300).until(78)
    model = BGNBD().fit(x, tx, T)
    found = predict(model, 26, x, tx, T, np.random.default_rng(1))
    drawn = [
        float(BGNBD._expected(model, params, np.full(x.size, 26.0), x, tx, T, np.ones_like(x)).sum())
        for params in model.draw_params(200, np.random.default_rng(2))
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found.total_high / found.total_low > high / low


@pytest.mark.parametrize(
    ("customer", "time", "end", "error", "said"),
    [
        (["a"], [1.0, 2.0], None, BadRequest, "`customer` has 1 rows"),
        (["a", "b"], [1.0, None], None, BadRequest, "missing or infinite"),
        (["a", "b"], [1.0, 2.0], 1.5, BadRequest, "after the end of observation"),
        ([], [], None, TooLittleData, "no purchases"),
    ],
)
def test_purchases_that_cannot_be_are_refused(
    customer: list[str], time: list[float], end: float | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        purchases_of(customer, time, end)


def test_too_little_for_a_backtest_is_refused() -> None:
    with pytest.raises(TooLittleData, match="no backtest is possible"):
        backtest(purchases_of(["a", "b", "a"], [0.0, 1.0, 5.0]), 3, np.random.default_rng(1))
    with pytest.raises(BadRequest, match="`h`"):
        backtest(shop(2, customers=100), 0, np.random.default_rng(1))
