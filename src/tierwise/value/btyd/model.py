"""What all purchase models have in common: fitting, what a fit tells, and how far it can be trusted."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
from scipy.special import ndtri

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd.columns import FloatArray
from tierwise.value.btyd.maximum import LOG_BOUND, Likelihood, Optimum, maximise

__all__ = ["MINIMUM_CUSTOMERS", "MINIMUM_REPEATERS", "SPAN", "FitWarning", "Model", "Params"]

Params = Mapping[str, float]

#: With fewer customers, or fewer who came back, nothing is fitted: the estimates would be noise.
MINIMUM_CUSTOMERS: Final = 50
MINIMUM_REPEATERS: Final = 10
#: The longest time in the data becomes so many units while the maximum is sought.
SPAN: Final = 40.0

_REASONS: Final = {
    "bound": "{names} ran to the edge of what is sought: the data do not determine them",
    "slope": "the search ended where the likelihood still rises (slope {slope:.1e})",
    "flat": "the likelihood is flat in some direction: several answers fit as well",
}


class FitWarning(UserWarning):
    """A fit did not end at a clear maximum; its numbers are not to be relied on."""


class Model:
    """A model with scikit-learn's manners: settings in the constructor, `fit` returns itself, results end in `_`.

    After `fit`: `params_` (by their usual names), `log_likelihood_`, `standard_errors_` and `covariance_` (of the
    parameters in the order of `params_`, from the curvature of the log-likelihood), `converged_`, `notes_`,
    `customers_`, `evaluations_`, `starts_` (the mean log-likelihood each start reached).
    """

    #: The parameters, all positive, in the order of the literature.
    names: ClassVar[tuple[str, ...]]

    params_: dict[str, float]
    log_likelihood_: float
    standard_errors_: dict[str, float]
    covariance_: FloatArray
    converged_: bool
    notes_: tuple[str, ...]
    customers_: float
    evaluations_: int
    starts_: tuple[float, ...]

    def __init__(self, minimum_customers: int = MINIMUM_CUSTOMERS, minimum_repeaters: int = MINIMUM_REPEATERS) -> None:
        self.minimum_customers = minimum_customers
        self.minimum_repeaters = minimum_repeaters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **settings: Any) -> Self:
        """Change settings by name."""
        for name, value in settings.items():
            if name not in self.get_params():
                raise BadRequest(f"{type(self).__name__} has no setting `{name}`")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        if not hasattr(self, "params_"):
            return f"{type(self).__name__}()"
        said = ", ".join(f"{name}={value:.4g}" for name, value in self.params_.items())
        return f"<{type(self).__name__} {said}>"

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return an interval for each parameter, symmetrical in its logarithm, so that it stays above 0.

        Of the parameters alone: what customers will do varies by more, see `tierwise.value.btyd.predictive`.
        """
        self._fitted()
        if not 0 < level < 1:
            raise BadRequest(f"`level` is {level}; it lies between 0 and 1")
        reach = float(ndtri(0.5 + level / 2))
        found = {}
        for name, value in self.params_.items():
            error = self.standard_errors_[name]
            if name in self.names:
                found[name] = (value * np.exp(-reach * error / value), value * np.exp(reach * error / value))
            else:
                found[name] = (value - reach * error, value + reach * error)
        return {name: (float(low), float(high)) for name, (low, high) in found.items()}

    def draw_params(self, draws: int, rng: np.random.Generator) -> list[dict[str, float]]:
        """Draw parameters that the data leave possible (normal in their logarithms around the estimate).

        Raises:
            TooLittleData: The fit did not converge, so there is nothing to draw from.
        """
        self._fitted()
        if not self.converged_:
            raise TooLittleData(f"{type(self).__name__} did not converge: {'; '.join(self.notes_)}")
        logs = np.array([np.log(v) if n in self.names else v for n, v in self.params_.items()])
        per = np.array([1 / v if n in self.names else 1.0 for n, v in self.params_.items()])
        drawn = rng.multivariate_normal(logs, self.covariance_ * np.outer(per, per), size=draws, method="eigh")
        positive = [name in self.names for name in self.params_]
        values = np.where(positive, np.exp(drawn), drawn)
        return [dict(zip(self.params_, row.tolist(), strict=True)) for row in values]

    def _fitted(self) -> None:
        if not hasattr(self, "params_"):
            raise BadRequest(f"this {type(self).__name__} is not fitted yet", "call fit(…) first")

    def _enough(self, customers: float, repeaters: float) -> None:
        """Refuse to fit what would be noise."""
        name = type(self).__name__
        if customers < self.minimum_customers:
            raise TooLittleData(
                f"{name} needs {self.minimum_customers} customers, there are {customers:g}",
                customers=customers,
                needed=self.minimum_customers,
            )
        if repeaters < self.minimum_repeaters:
            found = f"only {repeaters:g}" if repeaters else "none"
            raise TooLittleData(
                f"{name} needs {self.minimum_repeaters} customers who bought again, {found} did",
                repeaters=repeaters,
                needed=self.minimum_repeaters,
            )

    def _maximise(self, likelihood: Likelihood, starts: Sequence[FloatArray], extra: Sequence[str] = ()) -> Optimum:
        bounds = np.array([LOG_BOUND] * len(self.names) + [50.0] * len(extra))
        padded = [np.concatenate([start, np.zeros(len(extra))]) for start in starts]
        return maximise(likelihood, padded, bounds)

    def _learn(
        self, found: Optimum, units: Mapping[str, float], extra: Sequence[str], log_units: float, notes: Sequence[str]
    ) -> None:
        """Take over an optimum; parameters are multiplied by their `units`, `log_units` joins the likelihood."""
        names = (*self.names, *extra)
        values = np.concatenate([np.exp(found.theta[: len(self.names)]), found.theta[len(self.names) :]])
        factor = np.array([units.get(name, 1.0) for name in names])
        values = values * factor
        # d(parameter) / d(unconstrained): the value itself for a logarithm; covariates are scaled by their unit.
        slopes = np.where([name in self.names for name in names], values, factor)
        self.params_ = dict(zip(names, values.tolist(), strict=True))
        self.covariance_ = found.covariance * np.outer(slopes, slopes)
        errors = np.sqrt(np.where(np.diag(self.covariance_) >= 0, np.diag(self.covariance_), np.nan))
        self.standard_errors_ = dict(zip(names, errors.tolist(), strict=True))
        self.log_likelihood_ = found.log_likelihood + log_units
        self.converged_ = found.converged
        self.evaluations_ = found.evaluations
        self.starts_ = found.starts
        said = list(notes)
        if found.reason:
            logs = zip(self.names, found.theta[: len(self.names)], strict=True)
            edge = [name for name, value in logs if abs(value) >= LOG_BOUND - 0.05]
            text = _REASONS[found.reason].format(names=" and ".join(edge), slope=found.gradient)
            said.insert(0, text)
            warnings.warn(f"{type(self).__name__} did not converge: {text}", FitWarning, stacklevel=4)
        self.notes_ = tuple(said)
