"""What the purchase models are held against: customers simulated from known parameters, and plain integration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "FloatArray",
    "Individual",
    "Nodes",
    "beta_nodes",
    "bg_individual",
    "gamma_nodes",
    "integrated",
    "pareto_individual",
    "simulate_geometric",
    "simulate_pareto",
    "simulate_periods",
]

FloatArray = NDArray[np.float64]
#: The likelihood of one history given a customer's own rate and his own way of leaving.
Individual = Callable[[FloatArray, FloatArray], FloatArray]
#: Points and weights of a Gauss rule.
Nodes = tuple[FloatArray, FloatArray]


def simulate_geometric(
    rng: np.random.Generator,
    customers: int,
    params: tuple[float, float, float, float],
    T: FloatArray,
    first_too: bool = False,
) -> tuple[FloatArray, FloatArray]:
    """Return (frequency, recency) of customers who leave with p after a purchase, told purchase by purchase."""
    r, alpha, a, b = params
    rate, p = rng.gamma(r, 1 / alpha, customers), rng.beta(a, b, customers)
    x, tx, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = rng.random(customers) >= p if first_too else np.ones(customers, bool)
    while alive.any():
        now = now + rng.exponential(1 / np.maximum(rate, 1e-12))
        alive &= now <= T
        x, tx = x + alive, np.where(alive, now, tx)
        alive &= rng.random(customers) >= p
    return x, tx


def simulate_pareto(
    rng: np.random.Generator, customers: int, params: tuple[float, float, float, float], T: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (frequency, recency) of customers who leave at a time of their own."""
    r, alpha, s, beta = params
    rate, leaving = rng.gamma(r, 1 / alpha, customers), rng.gamma(s, 1 / beta, customers)
    until = np.minimum(rng.exponential(1 / np.maximum(leaving, 1e-12)), T)
    x, tx, now = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    alive = np.ones(customers, bool)
    while alive.any():
        now = now + rng.exponential(1 / np.maximum(rate, 1e-12))
        alive &= now <= until
        x, tx = x + alive, np.where(alive, now, tx)
    return x, tx


def simulate_periods(
    rng: np.random.Generator, customers: int, params: tuple[float, float, float, float], periods: int
) -> tuple[FloatArray, FloatArray]:
    """Return (frequency, recency) of customers who buy or not, period by period, and leave before one."""
    alpha, beta, gamma, delta = params
    p, leaving = rng.beta(alpha, beta, customers), rng.beta(gamma, delta, customers)
    x, tx, alive = np.zeros(customers), np.zeros(customers), np.ones(customers, bool)
    for period in range(1, periods + 1):
        alive &= rng.random(customers) >= leaving
        buys = alive & (rng.random(customers) < p)
        x, tx = x + buys, np.where(buys, period, tx)
    return x, tx


def bg_individual(x: int, tx: float, T: float) -> Individual:
    """Fader, Hardie and Lee (2005), equation (3)."""

    def likelihood(rate: FloatArray, p: FloatArray) -> FloatArray:
        alive = (1 - p) ** x * rate**x * np.exp(-rate * T)
        gone = p * (1 - p) ** (x - 1) * rate**x * np.exp(-rate * tx) if x else 0.0
        return np.asarray(alive + gone)

    return likelihood


def pareto_individual(x: int, tx: float, T: float) -> Individual:
    """Fader and Hardie (2005), A Note on Deriving the Pareto/NBD Model, equation (12)."""

    def likelihood(rate: FloatArray, leaving: FloatArray) -> FloatArray:
        both = rate + leaving
        gone = leaving / both * np.exp(-both * tx)
        return np.asarray(rate**x * (gone + rate / both * np.exp(-both * T)))

    return likelihood


def gamma_nodes(shape: float, rate: float) -> Nodes:
    """Return points and weights that average over Gamma(shape, rate)."""
    points, weights = special.roots_genlaguerre(160, shape - 1)
    return points / rate, weights / weights.sum()


def beta_nodes(a: float, b: float) -> Nodes:
    """Return points and weights that average over Beta(a, b)."""
    points, weights = special.roots_jacobi(120, b - 1, a - 1)
    return (points + 1) / 2, weights / weights.sum()


def integrated(individual: Individual, first: Nodes, second: Nodes) -> float:
    """Return the individual's function averaged over the two mixing distributions."""
    values = individual(first[0][:, None], second[0][None, :])
    return float(first[1] @ values @ second[1])
