"""BG/NBD and MBG/NBD against plain integration, their limits, and customers simulated from known parameters."""

from __future__ import annotations

import numpy as np
import pytest

from tests.value.btyd.gradients import differences
from tests.value.btyd.truths import FloatArray, beta_nodes, bg_individual, gamma_nodes, integrated, simulate_geometric
from tierwise.value.btyd import BGNBD, MBGNBD
from tierwise.value.btyd.groups import grouped

PARAMS = {"r": 1.3, "alpha": 4.0, "a": 1.2, "b": 2.5}
HISTORIES = [(0, 0.0, 12.0), (1, 3.0, 12.0), (4, 11.0, 12.0), (7, 6.0, 30.0)]
RATES = gamma_nodes(PARAMS["r"], PARAMS["alpha"])
LEAVING = beta_nodes(PARAMS["a"], PARAMS["b"])


def given(kind: type[BGNBD], params: dict[str, float]) -> BGNBD:
    """A model that was told its parameters."""
    model = kind()
    model.params_, model.covariate_names_ = params, ()
    return model


@pytest.mark.parametrize(("x", "tx", "T"), HISTORIES)
def test_likelihood_is_the_integral_over_customers(x: int, tx: float, T: float) -> None:
    groups = grouped([np.array([float(value)]) for value in (x, tx, T)])
    likelihood = BGNBD()._likelihood(groups, 1.0, np.ones(0))
    value, _ = likelihood.at(np.log(list(PARAMS.values())))
    assert np.exp(value) == pytest.approx(integrated(bg_individual(x, tx, T), RATES, LEAVING), rel=1e-6)


@pytest.mark.parametrize(("x", "tx", "T"), HISTORIES)
@pytest.mark.parametrize("h", [0.5, 26.0])
def test_expectation_and_p_alive_are_integrals_over_customers(x: int, tx: float, T: float, h: float) -> None:
    model = given(BGNBD, PARAMS)
    likely = bg_individual(x, tx, T)

    def alive(rate: FloatArray, p: FloatArray) -> FloatArray:
        return np.asarray((1 - p) ** x * rate**x * np.exp(-rate * T))

    def buys(rate: FloatArray, p: FloatArray) -> FloatArray:
        return np.asarray(alive(rate, p) * -np.expm1(-rate * p * h) / p)

    total = integrated(likely, RATES, LEAVING)
    assert model.p_alive(x, tx, T) == pytest.approx(integrated(alive, RATES, LEAVING) / total, rel=1e-6)
    assert model.expected_purchases(h, x, tx, T) == pytest.approx(integrated(buys, RATES, LEAVING) / total, rel=1e-6)


def test_the_modified_model_has_one_more_chance_to_leave() -> None:
    """Without a repeat, L = E[1-p] E[e^-λT] + E[p]: alive and silent, or gone at once."""
    r, alpha, a, b = PARAMS.values()
    silent = (alpha / (alpha + 12)) ** r
    by_hand = b / (a + b) * silent + a / (a + b)
    groups = grouped([np.zeros(1), np.zeros(1), np.full(1, 12.0)])
    value, _ = MBGNBD()._likelihood(groups, 1.0, np.ones(0)).at(np.log(list(PARAMS.values())))
    assert np.exp(value) == pytest.approx(by_hand, rel=1e-12)
    assert given(MBGNBD, PARAMS).p_alive(0, 0, 12) == pytest.approx(b / (a + b) * silent / by_hand, rel=1e-12)
    assert given(BGNBD, PARAMS).p_alive(0, 0, 12) == 1


@pytest.mark.parametrize("kind", [BGNBD, MBGNBD])
@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("theta", [[0.3, -0.2, 0.5, 0.7], [-2.0, 3.0, 1.0, -1.0], [1.0, -3.0, 2.0, 3.0]])
def test_gradient(kind: type[BGNBD], covariates: int, theta: list[float]) -> None:
    rng = np.random.default_rng(5)
    T = rng.uniform(1, 40, 200)
    x = rng.poisson(1.5, 200).astype(float)
    x[:4] = [300, 70, 40, 15]
    columns = [x, np.where(x > 0, T * rng.random(200), 0), T, *rng.normal(size=(covariates, 200))]
    likelihood = kind()._likelihood(grouped(columns), 2.0, np.ones(covariates))
    at = np.array([*theta, 0.3, -0.2][: 4 + covariates])
    _, gradient = likelihood.at(at)
    assert gradient == pytest.approx(differences(likelihood, at), rel=1e-5, abs=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("a", [0.3, 0.9999999, 1.0, 1.0000001, 2.5])
def test_the_closed_form_and_the_sum_over_p_agree(a: float) -> None:
    """Also where a is 1 and the closed form is 0 / 0, and for customers with hundreds of purchases."""
    model = given(BGNBD, {**PARAMS, "a": a})
    near = given(BGNBD, {**PARAMS, "a": a * (1.0003 if a >= 1 else 0.9997)})
    x = np.array([0, 1, 5, 59, 60, 61, 400])
    tx, T = np.where(x > 0, 30.0, 0), np.full(7, 30.0)
    found = model.expected_purchases(26, x, tx, T)
    assert np.isfinite(found).all()
    assert found == pytest.approx(near.expected_purchases(26, x, tx, T), rel=1e-3)
    # Not from x = 0 to 1: in this model only those without a repeat are surely alive.
    assert (np.diff(found[1:]) > 0).all()


def test_nobody_leaves_when_a_is_nothing() -> None:
    """Then the model is the NBD: (r + x) / (alpha + T) purchases a unit of time."""
    model = given(BGNBD, {**PARAMS, "a": 1e-9})
    assert model.expected_purchases(10, 3, 7, 20) == pytest.approx((1.3 + 3) / (4 + 20) * 10, rel=1e-6)
    assert model.p_alive(3, 7, 20) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("kind", "first_too"), [(BGNBD, False), (MBGNBD, True)])
def test_known_parameters_are_found_again(kind: type[BGNBD], first_too: bool) -> None:
    rng = np.random.default_rng(11)
    truth = (0.8, 5.0, 0.7, 2.0)
    T = np.floor(rng.uniform(20, 60, 20_000))
    x, tx = simulate_geometric(rng, 20_000, truth, T, first_too)
    model = kind().fit(x, tx, T)
    assert model.converged_, model.notes_
    for name, value in zip(model.names, truth, strict=True):
        assert abs(model.params_[name] - value) < 4 * model.standard_errors_[name], model.params_


def test_a_covariate_is_found_again() -> None:
    rng = np.random.default_rng(3)
    city = rng.integers(0, 2, 20_000).astype(float)
    T = np.full(20_000, 52.0)
    # Who buys at twice the rate has lived twice as long, as far as BG/NBD is concerned.
    x, tx = simulate_geometric(rng, 20_000, (0.8, 5.0, 0.7, 2.0), T * 2.0**city)
    model = BGNBD().fit(x, tx / 2.0**city, T, covariates=city)
    assert model.converged_
    assert abs(model.params_["gamma_1"] - np.log(2)) < 4 * model.standard_errors_["gamma_1"]
    assert model.expected_purchases(10, 2, 50, 52, covariates=[[1.0]]) > model.expected_purchases(
        10, 2, 50, 52, covariates=[[0.0]]
    )


@pytest.mark.parametrize("kind", [BGNBD, MBGNBD])
def test_simulated_futures_have_the_expected_mean(kind: type[BGNBD]) -> None:
    model = given(kind, PARAMS)
    x, tx, T = np.full(60_000, 4), np.full(60_000, 9.0), np.full(60_000, 12.0)
    drawn = model.simulate_purchases(20, x, tx, T, np.random.default_rng(8))
    assert drawn.mean() == pytest.approx(model.expected_purchases(20, 4, 9, 12), abs=4 * drawn.std() / 60_000**0.5)
