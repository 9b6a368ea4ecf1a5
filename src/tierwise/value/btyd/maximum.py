"""The maximum of a likelihood: many starts on few rows, one polish on all of them, and how sure the answer is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from tierwise.value.btyd.columns import FloatArray

__all__ = ["LOG_BOUND", "Likelihood", "Optimum", "maximise"]

#: Parameters are sought as logarithms within ± this; one that stops there has no finite estimate.
LOG_BOUND: Final = 11.0
#: The starts are compared on about so many groups; only the best is carried on over all of them.
_THIN: Final = 3_000
#: At a maximum the gradient of the mean log-likelihood, in log-parameters, is below this.
_FLAT: Final = 1e-5
_STEP: Final = 1e-4


class Likelihood(Protocol):
    """A log-likelihood of unconstrained parameters with its gradient."""

    @property
    def groups(self) -> int:
        """How many distinct rows it sums over."""

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""

    def thinned(self, step: int) -> Likelihood:
        """Return the same over every `step`-th group."""


@dataclass(frozen=True)
class Optimum:
    """Where the likelihood is highest. `covariance` (of the unconstrained parameters) is NaN where it is not curved."""

    theta: FloatArray
    log_likelihood: float
    covariance: FloatArray
    converged: bool
    reason: str
    gradient: float
    evaluations: int
    starts: tuple[float, ...]


def maximise(likelihood: Likelihood, starts: Sequence[FloatArray], bounds: FloatArray) -> Optimum:
    """Find the maximum from several starts.

    Every start runs on every n-th group until it stops; the best place found is where the search over all groups
    begins, in coordinates in which the likelihood of the few is round, so that it takes few steps. Does that end
    anywhere but at a maximum, every start runs over all groups.

    Args:
        likelihood: What is maximised.
        starts: Unconstrained parameters, the most plausible first.
        bounds: The largest absolute value of each parameter.
    """
    # The optimiser's matrices have ten rows; threads of the linear algebra library would only wait for each other, on a
    # busy machine longer than the whole fit takes.
    with threadpool_limits(1, user_api="blas"):
        return _maximised(likelihood, starts, bounds)


def _maximised(likelihood: Likelihood, starts: Sequence[FloatArray], bounds: FloatArray) -> Optimum:
    counter = _Counter(likelihood)
    step = max(1, likelihood.groups // _THIN)
    few = likelihood.thinned(step) if step > 1 else likelihood
    tried = [_search(_Counter(few), start, bounds) for start in starts]
    first = max(tried, key=lambda found: found[1])
    scale = _whitening(few, first[0])
    theta = first[0] if step == 1 else _search(counter, first[0], bounds, scale)[0]
    gradient = _slope(counter, theta)
    if gradient > _FLAT:
        again = [_search(counter, start, bounds) for start in (theta, *starts)]
        theta = max(again, key=lambda found: found[1])[0]
        gradient = _slope(counter, theta)
    hessian = _hessian(counter, theta)
    return _judged(counter, theta, hessian, gradient, bounds, tuple(found[1] for found in tried))


class _Counter:
    """The mean negative log-likelihood, and how often it was asked for."""

    def __init__(self, likelihood: Likelihood) -> None:
        self.likelihood = likelihood
        self.asked = 0

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        self.asked += 1
        value, gradient = self.likelihood.at(theta)
        if not np.isfinite(value) or not np.isfinite(gradient).all():
            # A place where numbers run out is as bad as can be; the line search then turns back.
            return 1e12, np.zeros_like(theta)
        return -value / self.likelihood.weight, -gradient / self.likelihood.weight


def _search(
    objective: _Counter, start: FloatArray, bounds: FloatArray, scale: FloatArray | None = None
) -> tuple[FloatArray, float]:
    """Return where the search ends and the mean log-likelihood there."""
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8, "maxcor": 10}
    if scale is None:
        box = np.stack([-bounds, bounds], axis=1)
        found = minimize(objective.at, start, jac=True, method="L-BFGS-B", bounds=box, options=options)
        return np.asarray(found.x, np.float64), -float(found.fun)
    matrix: FloatArray = scale

    def rounded(steps: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = objective.at(np.clip(start + matrix @ steps, -bounds, bounds))
        return value, matrix.T @ gradient

    found = minimize(rounded, np.zeros_like(start), jac=True, method="L-BFGS-B", options={**options, "gtol": 3e-7})
    return np.clip(start + matrix @ found.x, -bounds, bounds), -float(found.fun)


def _whitening(likelihood: Likelihood, theta: FloatArray) -> FloatArray:
    """Return the coordinates in which the likelihood is as curved in every direction, or the given ones."""
    curvature = _hessian(_Counter(likelihood), theta)
    values, vectors = np.linalg.eigh(curvature)
    steps = 1.0 / np.sqrt(np.clip(values, max(float(values.max()), 1e-12) * 1e-6, None))
    return np.asarray(vectors * steps, np.float64)


def _slope(objective: _Counter, theta: FloatArray) -> float:
    return float(np.abs(objective.at(theta)[1]).max())


def _hessian(objective: _Counter, theta: FloatArray) -> FloatArray:
    """Return the curvature of the mean negative log-likelihood, from differences of its exact gradient."""
    found = np.empty((theta.size, theta.size))
    for place in range(theta.size):
        step = np.zeros_like(theta)
        step[place] = _STEP
        found[place] = (objective.at(theta + step)[1] - objective.at(theta - step)[1]) / (2 * _STEP)
    return np.asarray((found + found.T) / 2, np.float64)


def _judged(
    objective: _Counter,
    theta: FloatArray,
    hessian: FloatArray,
    gradient: float,
    bounds: FloatArray,
    starts: tuple[float, ...],
) -> Optimum:
    value = -objective.at(theta)[0] * objective.likelihood.weight
    curved = bool(np.isfinite(hessian).all()) and bool(np.linalg.eigvalsh(hessian).min() > 1e-9)
    at_bound = np.abs(theta) >= bounds - 0.05
    covariance = np.full_like(hessian, np.nan)
    if curved:
        covariance = np.asarray(np.linalg.inv(hessian) / objective.likelihood.weight, np.float64)
    reason = ""
    if at_bound.any():
        reason = "bound"
    elif not gradient <= _FLAT:
        reason = "slope"
    elif not curved:
        reason = "flat"
    return Optimum(theta, value, covariance, not reason, reason, gradient, objective.asked, starts)
