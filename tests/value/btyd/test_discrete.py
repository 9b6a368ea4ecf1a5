"""BG/BB against cases counted by hand, and customers simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.value.btyd.gradients import differences
from tests.value.btyd.truths import simulate_periods
from tierwise.errors import BadRequest
from tierwise.value.btyd import BGBB
from tierwise.value.btyd.groups import grouped


def given(**params: float) -> BGBB:
    """A model that was told its parameters."""
    model = BGBB()
    model.params_, model.covariate_names_ = params, ()
    return model


FLAT = given(alpha=1.0, beta=1.0, gamma=1.0, delta=1.0)


@pytest.mark.parametrize(
    ("x", "tx", "T", "likelihood"),
    [
        (1, 1, 1, 1 / 4),  # bought (1/2) and was there to buy (1/2)
        (0, 0, 1, 3 / 4),  # there and silent (1/4), or gone before (1/2)
        (2, 2, 2, 1 / 9),  # E[p²] E[(1-θ)²]
        (1, 1, 2, 1 / 6 * 1 / 3 + 1 / 2 * 1 / 6),  # silent in the second, or gone: E[p(1-p)]E[(1-θ)²] + E[p]E[(1-θ)θ]
    ],
)
def test_likelihood_by_hand(x: int, tx: int, T: int, likelihood: float) -> None:
    groups = grouped([np.array([float(value)]) for value in (x, tx, T)])
    value, _ = BGBB()._likelihood(groups, 1.0, np.ones(0)).at(np.zeros(4))
    assert np.exp(value) == pytest.approx(likelihood, rel=1e-12)


def test_answers_by_hand() -> None:
    # After a purchase in the only period: E[(1-θ)²] / E[1-θ] is alive in the next, in which he buys with E[p²] / E[p].
    assert FLAT.p_alive(1, 1, 1) == pytest.approx((1 / 3) / (1 / 2))
    assert FLAT.expected_purchases(1, 1, 1, 1) == pytest.approx((1 / 3) / (1 / 2) * (1 / 3) / (1 / 2))
    assert FLAT.expected_purchases(2, 1, 1, 1) == pytest.approx(2 / 3 * (1 / 3 + 1 / 4) / (1 / 2))


def test_gradient() -> None:
    rng = np.random.default_rng(4)
    x, tx = simulate_periods(rng, 300, (1.2, 0.8, 0.7, 2.8), 8)
    likelihood = BGBB()._likelihood(grouped([x, tx, np.full(300, 8.0)]), 1.0, np.ones(0))
    for theta in ([0.0, 0.0, 0.0, 0.0], [1.0, -1.0, 2.0, 0.5], [-2.0, 3.0, -1.0, 2.0]):
        _, gradient = likelihood.at(np.array(theta))
        assert gradient == pytest.approx(differences(likelihood, np.array(theta)), rel=1e-6, abs=1e-3)


def test_known_parameters_are_found_again() -> None:
    truth = (1.2, 0.8, 0.7, 2.8)
    x, tx = simulate_periods(np.random.default_rng(7), 20_000, truth, 8)
    model = BGBB().fit(x, tx, np.full(20_000, 8))
    assert model.converged_, model.notes_
    for name, value in zip(model.names, truth, strict=True):
        assert abs(model.params_[name] - value) < 4 * model.standard_errors_[name], model.params_


def test_simulated_futures_have_the_expected_mean() -> None:
    model = given(alpha=1.2, beta=0.8, gamma=0.7, delta=2.8)
    x, tx, T = np.full(60_000, 3), np.full(60_000, 5), np.full(60_000, 6)
    drawn = model.simulate_purchases(5, x, tx, T, np.random.default_rng(8))
    assert drawn.mean() == pytest.approx(model.expected_purchases(5, 3, 5, 6), abs=4 * drawn.std() / 60_000**0.5)


@pytest.mark.parametrize(
    ("x", "tx", "T", "said"),
    [
        ([2], [1], [6], "more purchases than periods"),
        ([1], [1.5], [6], "whole number of periods"),
        ([1], [1], [5.5], "whole number of periods"),
    ],
)
def test_what_is_no_count_of_periods_is_refused(x: list[float], tx: list[float], T: list[float], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        FLAT.p_alive(x, tx, T)


def test_part_of_a_period_ahead_and_covariates_are_refused() -> None:
    with pytest.raises(BadRequest, match="whole number of periods"):
        FLAT.expected_purchases(1.5, 1, 1, 2)
    with pytest.raises(BadRequest, match="takes no covariates"):
        BGBB().fit([0, 1] * 50, [0, 1] * 50, [6] * 100, covariates=[1.0, 2.0] * 50)
