"""Pareto/NBD and NBD against plain integration, their limits, and customers simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.value.btyd.gradients import differences
from tests.value.btyd.truths import FloatArray, gamma_nodes, integrated, pareto_individual, simulate_pareto
from tierwise.value.btyd import NBD, ParetoNBD
from tierwise.value.btyd.groups import grouped

PARAMS = {"r": 1.3, "alpha": 4.0, "s": 1.6, "beta": 9.0}
HISTORIES = [(0, 0.0, 12.0), (1, 3.0, 12.0), (4, 11.0, 12.0), (7, 6.0, 30.0)]


def given(params: dict[str, float]) -> ParetoNBD:
    """A model that was told its parameters."""
    model = ParetoNBD()
    model.params_, model.covariate_names_ = params, ()
    return model


@pytest.mark.parametrize(("x", "tx", "T"), HISTORIES)
@pytest.mark.parametrize("alpha", [4.0, 9.0, 14.0])
def test_likelihood_and_p_alive_are_integrals_over_customers(x: int, tx: float, T: float, alpha: float) -> None:
    """With α below, at and above β: the closed form has two branches, the sum over the time of leaving none."""
    params = {**PARAMS, "alpha": alpha}
    rates, leaving = gamma_nodes(params["r"], alpha), gamma_nodes(params["s"], params["beta"])

    def alive(rate: FloatArray, mu: FloatArray) -> FloatArray:
        return np.asarray(rate**x * np.exp(-(rate + mu) * T))

    total = integrated(pareto_individual(x, tx, T), rates, leaving)
    groups = grouped([np.array([float(value)]) for value in (x, tx, T)])
    value, _ = ParetoNBD()._likelihood(groups, 1.0, np.ones(0)).at(np.log(list(params.values())))
    assert np.exp(value) == pytest.approx(total, rel=1e-6)
    assert given(params).p_alive(x, tx, T) == pytest.approx(integrated(alive, rates, leaving) / total, rel=1e-6)


@pytest.mark.parametrize(("x", "tx", "T"), HISTORIES)
@pytest.mark.parametrize("h", [0.5, 26.0])
def test_expectation_is_the_integral_over_customers(x: int, tx: float, T: float, h: float) -> None:
    rates, leaving = gamma_nodes(PARAMS["r"], PARAMS["alpha"]), gamma_nodes(PARAMS["s"], PARAMS["beta"])

    def buys(rate: FloatArray, mu: FloatArray) -> FloatArray:
        return np.asarray(rate**x * np.exp(-(rate + mu) * T) * rate * -np.expm1(-mu * h) / mu)

    total = integrated(pareto_individual(x, tx, T), rates, leaving)
    expected = integrated(buys, rates, leaving) / total
    assert given(PARAMS).expected_purchases(h, x, tx, T) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("theta", [[0.3, -0.2, 0.5, 0.7], [-2.0, 3.0, 1.0, -1.0], [1.0, -3.0, 2.0, 3.0]])
def test_gradient(covariates: int, theta: list[float]) -> None:
    rng = np.random.default_rng(5)
    T = rng.uniform(1, 40, 200)
    x = rng.poisson(1.5, 200).astype(float)
    x[:4] = [300, 70, 40, 15]
    columns = [x, np.where(x > 0, T * rng.random(200), 0), T, *rng.normal(size=(covariates, 200))]
    for model in (ParetoNBD(), NBD()):
        likelihood = model._likelihood(grouped(columns), 2.0, np.ones(covariates))
        at = np.array([*theta[: len(model.names)], 0.3, -0.2][: len(model.names) + covariates])
        _, gradient = likelihood.at(at)
        assert gradient == pytest.approx(differences(likelihood, at), rel=1e-5, abs=1e-5 * np.abs(gradient).max())


def test_the_expectation_at_s_1_is_between_its_neighbours() -> None:
    around = [given({**PARAMS, "s": s}).expected_purchases(20, 4, 11, 12) for s in (0.999, 1.0, 1.001)]
    assert around[1] == pytest.approx((around[0] + around[2]) / 2, rel=1e-6)


def test_nobody_leaves_when_s_is_nothing() -> None:
    model = given({**PARAMS, "s": 1e-9})
    assert model.p_alive(3, 7, 20) == pytest.approx(1, abs=1e-6)
    assert model.expected_purchases(10, 3, 7, 20) == pytest.approx((1.3 + 3) / (4 + 20) * 10, rel=1e-6)


def test_known_parameters_are_found_again() -> None:
    rng = np.random.default_rng(2)
    truth = (0.8, 5.0, 0.7, 12.0)
    T = np.floor(rng.uniform(20, 60, 20_000))
    x, tx = simulate_pareto(rng, 20_000, truth, T)
    model = ParetoNBD().fit(x, tx, T)
    assert model.converged_, model.notes_
    for name, value in zip(model.names, truth, strict=True):
        assert abs(model.params_[name] - value) < 4 * model.standard_errors_[name], model.params_


def test_the_negative_binomial_is_found_again() -> None:
    rng = np.random.default_rng(2)
    x = rng.poisson(rng.gamma(1.5, 1 / 8.0, 20_000) * 40).astype(float)
    model = NBD().fit(x, np.where(x > 0, 20.0, 0), np.full(20_000, 40.0))
    assert abs(model.params_["r"] - 1.5) < 4 * model.standard_errors_["r"]
    assert abs(model.params_["alpha"] - 8) < 4 * model.standard_errors_["alpha"]
    assert model.expected_purchases(10, 3, 20, 40) == pytest.approx(
        (model.params_["r"] + 3) / (model.params_["alpha"] + 40) * 10
    )


def test_simulated_futures_have_the_expected_mean() -> None:
    model = given(PARAMS)
    x, tx, T = np.full(60_000, 4), np.full(60_000, 9.0), np.full(60_000, 12.0)
    drawn = model.simulate_purchases(20, x, tx, T, np.random.default_rng(8))
    assert drawn.mean() == pytest.approx(model.expected_purchases(20, 4, 9, 12), abs=4 * drawn.std() / 60_000**0.5)
