"""Gamma-Gamma against plain integration, by hand, and on spend simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.value.btyd.gradients import differences
from tests.value.btyd.truths import gamma_nodes
from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd import FitWarning, GammaGamma
from tierwise.value.btyd.groups import coded
from tierwise.value.btyd.spend import _Spend

TRUTH = (4.0, 3.5, 20.0)


def simulated(customers: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (frequency, mean value) of customers whose purchases are drawn one by one."""
    rng = np.random.default_rng(seed)
    p, q, v = TRUTH
    x = rng.geometric(0.4, customers)
    own = rng.gamma(q, 1 / v, customers)
    mean = np.array([rng.gamma(p, 1 / rate, many).mean() for rate, many in zip(own, x, strict=True)])
    return x.astype(float), mean


@pytest.mark.parametrize(("x", "mean"), [(1, 8.0), (3, 8.0), (12, 8.0)])
def test_likelihood_is_the_integral_over_customers(x: int, mean: float) -> None:
    p, q, v = TRUTH
    rates, weights = gamma_nodes(q, v)
    by_integration = float(weights @ stats.gamma.pdf(mean, p * x, scale=1 / (rates * x)))
    value, _ = _Spend(coded(np.array([float(x)])), np.array([mean]), np.ones(1)).at(np.log(TRUTH))
    assert np.exp(value) == pytest.approx(by_integration, rel=1e-9)


def test_gradient() -> None:
    x, mean = simulated(300, 1)
    likelihood = _Spend(coded(x), mean, np.random.default_rng(0).uniform(0.5, 2, 300))
    for theta in ([0.0, 0.0, 0.0], [1.0, 2.0, -1.0], [-1.0, 0.5, 3.0]):
        _, gradient = likelihood.at(np.array(theta))
        assert gradient == pytest.approx(differences(likelihood, np.array(theta)), rel=1e-6, abs=1e-3)


def test_known_parameters_are_found_again() -> None:
    model = GammaGamma().fit(*simulated(20_000, 5))
    assert model.converged_, model.notes_
    for name, value in zip(model.names, TRUTH, strict=True):
        assert abs(model.params_[name] - value) < 4 * model.standard_errors_[name], model.params_


def test_amounts_in_another_unit_give_the_same_model() -> None:
    x, mean = simulated(2_000, 9)
    yuan, cents = GammaGamma().fit(x, mean), GammaGamma().fit(x, mean * 100)
    assert cents.params_["v"] == pytest.approx(yuan.params_["v"] * 100, rel=1e-4)
    assert cents.params_["q"] == pytest.approx(yuan.params_["q"], rel=1e-4)
    assert cents.log_likelihood_ == pytest.approx(yuan.log_likelihood_ - 2_000 * np.log(100), abs=1e-3)
    assert cents.expected_spend(3, 1000) == pytest.approx(yuan.expected_spend(3, 10) * 100, rel=1e-4)


def test_expected_spend_by_hand() -> None:
    model = GammaGamma()
    model.params_ = {"p": 6.0, "q": 4.0, "v": 15.0}
    assert model.expected_spend(0, None) == pytest.approx(6 * 15 / 3)
    assert model.expected_spend([0, 2], [None, 20.0]) == pytest.approx([30, 6 * (15 + 40) / (12 + 3)])


def test_simulated_spend_has_the_expected_mean() -> None:
    model = GammaGamma()
    model.params_ = {"p": 6.0, "q": 4.0, "v": 15.0}
    drawn = model.simulate_spend(
        np.full(60_000, 3), np.full(60_000, 2), np.full(60_000, 20.0), np.random.default_rng(3)
    )
    assert drawn.mean() == pytest.approx(3 * model.expected_spend(2, 20), abs=4 * drawn.std() / 60_000**0.5)
    assert model.simulate_spend([0], [2], [20.0], np.random.default_rng(3)).tolist() == [0]


@pytest.mark.parametrize("bad", [0.0, -5.0, None, np.inf])
def test_a_mean_value_that_cannot_be_is_refused(bad: float | None) -> None:
    """A zero gave the peer an infinite total without any error."""
    with pytest.raises(BadRequest, match=r"`monetary_value` is .* in 1 row \(row 2"):
        GammaGamma().fit([1, 2, 3, 0], [10.0, 20.0, bad, None])


def test_the_same_amount_from_everybody_is_no_basis_and_is_said() -> None:
    with pytest.warns(FitWarning, match="did not converge"):
        model = GammaGamma().fit([1, 2, 3] * 40, [10.0] * 120)
    assert not model.converged_
    assert model.notes_


def test_too_few_are_refused() -> None:
    with pytest.raises(TooLittleData, match="needs 50 customers, there are 2"):
        GammaGamma().fit([1, 2, 0, 0], [10.0, 20.0, None, None])


def test_frequency_that_goes_with_value_is_noted() -> None:
    x, mean = simulated(2_000, 9)
    assert not GammaGamma().fit(x, mean).notes_
    assert "correlated" in GammaGamma().fit(x, mean * x).notes_[0]
