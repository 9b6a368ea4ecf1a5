"""The ladder: what fails gives way to something simpler, and every reason is told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.value.btyd.truths import simulate_geometric
from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd import BGNBD, NBD, PastRate, fit_ladder


def test_the_preferred_model_is_used_where_it_fits() -> None:
    rng = np.random.default_rng(1)
    T = np.floor(rng.uniform(20, 60, 2_000))
    ladder = fit_ladder(*simulate_geometric(rng, 2_000, (0.8, 5.0, 0.7, 2.0), T), T)
    assert ladder.name == "bg_nbd"
    assert isinstance(ladder.model, BGNBD)
    assert not ladder.fell
    assert ladder.rungs[0].level == pytest.approx(1, abs=0.05)


def test_customers_who_never_leave_end_at_the_model_that_says_so() -> None:
    """Then BG/NBD has nothing to learn a and b from; what a fit warns of is the reason, not a warning any more."""
    rng = np.random.default_rng(3)
    x = rng.poisson(rng.gamma(2.0, 1 / 4.0, 2_000) * 40).astype(float)
    ladder = fit_ladder(x, np.where(x > 0, 40 * x / (x + 1), 0), np.full(2_000, 40.0), rungs=["bg_nbd", "nbd"])
    assert isinstance(ladder.model, NBD)
    assert "edge of what is sought" in ladder.rungs[0].reason


@pytest.mark.parametrize(
    ("frequency", "recency", "reason"),
    [
        ([0, 1, 2] * 5, [0, 4, 8] * 5, "needs 50 customers, there are 15"),
        ([0] * 90, [0] * 90, "needs 10 customers who bought again, none did"),
        ([3] * 90, [5] * 90, "edge of what is sought"),
    ],
)
def test_down_to_the_rule_of_thumb(frequency: list[int], recency: list[int], reason: str) -> None:
    ladder = fit_ladder(frequency, recency, [10] * len(frequency), rungs=["bg_nbd", "past_rate"])
    assert [rung.name for rung in ladder.rungs] == ["bg_nbd", "past_rate"]
    assert ladder.fell
    assert reason in ladder.rungs[0].reason
    assert "rule of thumb" in ladder.model.notes_[0]


def test_the_rule_of_thumb_by_hand() -> None:
    """20 purchases in 200 weeks: one in 10 weeks, so 10 weeks of evidence for the mean beside a customer's own 10."""
    model = PastRate().fit([0, 1, 2, 1] * 5, [0, 4, 8, 2] * 5, [10] * 20)
    assert model.params_ == {"rate": 0.1, "evidence": 10.0}
    assert model.expected_purchases(10, [0, 2], [0, 8], [10, 10]).tolist() == [0.5, 1.5]
    assert np.isnan(model.p_alive(2, 8, 10))
    drawn = model.simulate_purchases(10, [2] * 20_000, [8] * 20_000, [10] * 20_000, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(1.5, abs=0.05)


def test_nobody_who_came_back_is_expected_to_and_it_is_said() -> None:
    model = PastRate().fit([0] * 30, [0] * 30, [10] * 30)
    assert model.expected_purchases(10, 0, 0, 10) == 0
    assert "nobody has bought again" in model.notes_[1]


@pytest.mark.parametrize(
    ("frequency", "recency", "T", "said"),
    [
        ([2], [5], [10], "past_rate: PastRate needs 10 customers, there are 1"),
        ([0] * 60, [0] * 60, [0] * 60, "there is no history"),
    ],
)
def test_too_little_for_any_is_refused_with_every_reason(
    frequency: list[int], recency: list[int], T: list[int], said: str
) -> None:
    with pytest.raises(TooLittleData, match="no purchase model can be fitted: bg_nbd") as refused:
        fit_ladder(frequency, recency, T)
    assert said in str(refused.value)


def test_unknown_models_are_refused() -> None:
    with pytest.raises(BadRequest, match="no purchase model `bgnbd`"):
        fit_ladder([1], [1], [2], rungs=["bgnbd"])
