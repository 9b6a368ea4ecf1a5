"""What a purchase of a customer is worth: the Gamma-Gamma model.

Fader, Hardie and Lee (2005), RFM and CLV; Fader and Hardie (2013), The Gamma-Gamma Model of Monetary Value; equation
numbers are the latter's. A purchase is worth Gamma(p, ν), and ν ~ Gamma(q, v) differs between customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from scipy.special import gammaln, psi

from tierwise.errors import BadRequest
from tierwise.value.btyd.columns import FloatArray, checked_amounts, checked_weights, column
from tierwise.value.btyd.groups import Coded, coded, weighted
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import Model, Params

__all__ = ["GammaGamma"]

#: From this correlation of frequency and mean value on, the model's assumption that there is none is doubtful.
_CORRELATED: Final = 0.3


class GammaGamma(Model):
    """The Gamma-Gamma model of mean purchase value; parameters p, q, v. `v` is money, in the unit of the data.

    `correlation_` is that of frequency and mean value among those who came back: the model takes it to be 0.

    Example:
        >>> from tierwise.value.btyd import GammaGamma
        >>> frequency = [1, 2, 3, 4, 5] * 20
        >>> value = [20 + (7 * i) % 31 for i in range(100)]
        >>> model = GammaGamma().fit(frequency, value)
        >>> bool(model.expected_spend(1, 50) < model.expected_spend(9, 50) < 50)
        True
    """

    names = ("p", "q", "v")

    correlation_: float

    def fit(self, frequency: Any, monetary_value: Any, weights: Any = None) -> Self:
        """Fit by maximum likelihood on those who came back.

        Args:
            frequency: Number of repeat purchases; rows with 0 are left out.
            monetary_value: Mean value of the repeat purchases.
            weights: How many customers a row stands for.

        Raises:
            BadRequest: A mean value of repeat purchases is not above 0, or a column cannot be.
            TooLittleData: Too few came back, or all spend the same.
        """
        x, mean = checked_amounts(frequency, monetary_value)
        w = checked_weights(weights, x.size)
        kept = (x > 0) & (w > 0)
        x, mean, w = x[kept], mean[kept], w[kept]
        self._enough(float(w.sum()), float(w.sum()))
        unit = float(np.average(mean, weights=w))
        scaled = mean / unit
        self.customers_ = float(w.sum())
        self.correlation_ = _correlation(x, mean, w)
        starts = [np.log(start) for start in ((2.0, 3.0, 1.0), (6.0, 4.0, 0.5), (1.0, 10.0, 10.0))]
        found = self._maximise(_Spend(coded(x), scaled, w), starts)
        notes = []
        if abs(self.correlation_) > _CORRELATED:
            notes.append(
                f"frequency and mean value are correlated ({self.correlation_:+.2f}): the model takes them as not, "
                "and misjudges those who buy often"
            )
        if np.exp(found.theta[1]) <= 1:
            notes.append("q is at most 1: the mean over customers is infinite, new customers have no expected value")
        self._learn(found, {"v": unit}, (), -float(w.sum()) * float(np.log(unit)), notes)
        return self

    def expected_spend(self, frequency: Any, monetary_value: Any) -> Any:
        """Return what a purchase of each customer is expected to be worth; the mean over all for those without repeats.

        Raises:
            BadRequest: A column cannot be, or somebody has no repeats and q is at most 1, so that no mean exists.
        """
        self._fitted()
        x, mean = checked_amounts(frequency, monetary_value)
        p, q, v = (self.params_[name] for name in self.names)
        if q <= 1 and (p * x + q <= 1).any():
            raise BadRequest(f"q is {q:.3g}, at most 1: there is no expected value without repeat purchases")
        # Equation (5): a weighted mean of the customer's own and the population's.
        found = p * (v + x * mean) / (p * x + q - 1)
        return float(found[0]) if np.ndim(frequency) == 0 and np.ndim(monetary_value) == 0 else found

    def simulate_spend(
        self,
        purchases: Any,
        frequency: Any,
        monetary_value: Any,
        rng: np.random.Generator,
        params: Params | None = None,
    ) -> FloatArray:
        """Draw what each customer's next `purchases` are worth together, given his history."""
        self._fitted()
        x, mean = checked_amounts(frequency, monetary_value)
        used = self.params_ if params is None else params
        many = np.broadcast_to(column(purchases, "purchases"), x.shape)
        rate = rng.gamma(used["q"] + used["p"] * x) / (used["v"] + x * mean)
        total = rng.gamma(np.maximum(used["p"] * many, 1e-12)) / rate
        return np.where(many > 0, total, 0.0)


def _correlation(x: FloatArray, mean: FloatArray, w: FloatArray) -> float:
    if np.ptp(x) == 0 or np.ptp(mean) == 0:
        return 0.0
    return float(np.cov(x, mean, aweights=w)[0, 1] / np.sqrt(np.cov(x, aweights=w) * np.cov(mean, aweights=w)))


@dataclass(frozen=True)
class _Spend(Likelihood):
    """Equation (1), the density of the mean of x purchases; amounts in units of their mean."""

    x: Coded
    mean: FloatArray
    count: FloatArray

    @property
    def groups(self) -> int:
        """How many rows it sums over."""
        return self.count.size

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""
        return float(self.count.sum())

    def thinned(self, step: int) -> _Spend:
        """Return the same over every `step`-th row."""
        return _Spend(Coded(self.x.values, self.x.at[::step]), self.mean[::step], self.count[::step])

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""
        p, q, v = np.exp(theta)
        ks, w, total = self.x.values, self.count, self.weight
        x = ks[self.x.at]
        of_x = np.bincount(self.x.at, w, minlength=ks.size)
        spent = x * self.mean
        ends = v + spent
        far = np.log(ends)
        logs = weighted(w * x, np.log(spent))
        pulled = weighted(w * x, far)
        plain = weighted(w, far)
        value = float(of_x @ (gammaln(p * ks + q) - gammaln(p * ks))) + total * float(q * np.log(v) - gammaln(q))
        value += p * logs - weighted(w, np.log(self.mean)) - p * pulled - q * plain
        in_p = float(of_x @ (ks * (psi(p * ks + q) - psi(p * ks)))) + logs - pulled
        in_q = float(of_x @ psi(p * ks + q)) + total * float(np.log(v) - psi(q)) - plain
        in_v = total * q / v - weighted(w, (p * x + q) / ends)
        return float(value), np.array([in_p * p, in_q * q, in_v * v], np.float64)
