"""Customers who can buy once a period and may leave before one: BG/BB.

Fader, Hardie and Shang (2010), Customer-Base Analysis in a Discrete-Time Noncontractual Setting; equation numbers are
theirs. A living customer buys in a period with p ~ Beta(α, β) and leaves before a period with θ ~ Beta(γ, δ).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import betaln, psi

from tierwise.errors import BadRequest
from tierwise.value.btyd.columns import FloatArray, Histories, IntArray, checked_horizon, column
from tierwise.value.btyd.groups import Groups, coded, grouped
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import Params
from tierwise.value.btyd.purchases import PurchaseModel

__all__ = ["BGBB"]


class BGBB(PurchaseModel):
    """The BG/BB model; parameters alpha, beta, gamma, delta. Time is counted in periods.

    `frequency` is the number of periods with a purchase, `recency` the last of them (counted from 1; 0 without any) and
    `T` the number of periods observed. `p_alive` is the probability of being a customer at the start of period T + 1
    (the paper's equation 10).

    Example:
        >>> from tierwise.value.btyd import BGBB
        >>> model = BGBB().fit([0, 1, 2, 6, 3], [0, 1, 4, 6, 6], [6] * 5, weights=[60, 20, 10, 25, 15])
        >>> bool(model.p_alive(6, 6, 6) > model.p_alive(2, 4, 6)), model.expected_purchases(0, 2, 4, 6)
        (True, 0.0)
    """

    names = ("alpha", "beta", "gamma", "delta")
    takes_covariates = False
    _times = ()

    def fit(self, frequency: Any, recency: Any, T: Any, weights: Any = None, covariates: Any = None) -> Self:
        """Fit by maximum likelihood; see `PurchaseModel.fit`. Covariates are refused."""
        _whole_periods(frequency, recency, T)
        return super().fit(frequency, recency, T, weights, covariates)

    def _fit(self, histories: Histories, weights: FloatArray | None) -> None:
        groups = grouped([histories.frequency, histories.recency, histories.T], weights)
        found = self._maximise(self._likelihood(groups, 1.0, np.ones(0)), self._starts(1.0))
        self._learn(found, {}, (), 0.0, ())

    def _asked(self, frequency: Any, recency: Any, T: Any, covariates: Any) -> Histories:
        _whole_periods(frequency, recency, T)
        return super()._asked(frequency, recency, T, covariates)

    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        return _Discrete(groups.column(0), groups.column(1), groups.column(2), groups.count)

    def _starts(self, rate: float) -> Sequence[FloatArray]:
        return [np.log(start) for start in ((1.0, 1.0, 0.7, 3.0), (2.0, 3.0, 1.0, 10.0), (0.5, 0.5, 0.5, 1.0))]

    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        x, tx, T, _ = history
        alpha, beta, gamma, delta = (params[name] for name in self.names)
        kept = betaln(alpha + x, beta + T - x) - betaln(alpha, beta)
        kept += betaln(gamma, delta + T + 1) - betaln(gamma, delta)
        return np.asarray(np.exp(kept - _Discrete(x, tx, T, np.ones_like(x)).each(params)), np.float64)

    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        x, tx, T, _ = history
        if (h != np.floor(h)).any():
            raise BadRequest("`h` is not a whole number of periods", column="h")
        alpha, beta, gamma, delta = (params[name] for name in self.names)
        # Equation (13) as the plain sum over periods: its closed form is 0 / 0 at γ = 1.
        starts = coded(T)
        furthest = int(h.max()) if h.size else 0
        ahead = np.arange(1, furthest + 1)
        survives = np.exp(betaln(gamma, delta + starts.values[:, None] + ahead) - betaln(gamma, delta))
        summed = np.concatenate([np.zeros((starts.values.size, 1)), np.cumsum(survives, axis=1)], axis=1)
        buys = betaln(alpha + x + 1, beta + T - x) - betaln(alpha, beta)
        likely = _Discrete(x, tx, T, np.ones_like(x)).each(params)
        return np.asarray(np.exp(buys - likely) * summed[starts.at, h.astype(np.int64)], np.float64)

    def _drawn(
        self,
        params: Params,
        h: FloatArray,
        x: FloatArray,
        tx: FloatArray,
        T: FloatArray,
        factor: FloatArray,
        rng: np.random.Generator,
    ) -> IntArray:
        alpha, beta, gamma, delta = (params[name] for name in self.names)
        if (checked_horizon(h) != np.floor(h)).any():
            raise BadRequest("`h` is not a whole number of periods", column="h")
        alive = rng.random(x.size) < self._alive(params, x, tx, T, factor)
        leaving = np.clip(rng.beta(gamma, delta + T + 1), 1e-12, 1.0)
        # Alive at the start of the next period, he can buy in it; he leaves before the k-th period after it.
        periods = np.minimum(rng.geometric(leaving), h.astype(np.int64))
        return np.where(alive, rng.binomial(periods, rng.beta(alpha + x, beta + T - x)), 0).astype(np.int64)


def _whole_periods(frequency: Any, recency: Any, T: Any) -> None:
    x, tx, periods = (
        np.atleast_1d(column(values, name))
        for values, name in ((frequency, "frequency"), (recency, "recency"), (T, "T"))
    )
    for name, values in (("recency", tx), ("T", periods)):
        if (values != np.floor(values))[np.isfinite(values)].any():
            raise BadRequest(f"`{name}` is not a whole number of periods", column=name)
    if x.size == tx.size and (x > tx).any():
        raise BadRequest("`frequency` is above `recency`: more purchases than periods until the last", column="recency")


@dataclass(frozen=True)
class _Discrete(Likelihood):
    """Equation (5): alive through all T periods, or gone before period t_x + i + 1 for i = 0 … T - t_x - 1."""

    x: FloatArray
    tx: FloatArray
    T: FloatArray
    count: FloatArray

    @property
    def groups(self) -> int:
        """How many distinct rows it sums over."""
        return self.count.size

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""
        return float(self.count.sum())

    def thinned(self, step: int) -> _Discrete:
        """Return the same over every `step`-th group."""
        return _Discrete(*(part[::step] for part in (self.x, self.tx, self.T, self.count)))

    def _terms(self) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Return, for each term of each group: its group, where groups begin, the periods lived, whether he left."""
        many = (self.T - self.tx).astype(np.int64) + 1
        begins = np.concatenate([[0], np.cumsum(many)[:-1]])
        group = np.repeat(np.arange(self.x.size), many)
        lived = self.tx[group] + (np.arange(group.size) - begins[group])
        return group, begins, lived, (lived < self.T[group]).astype(np.float64)

    def each(self, params: Params) -> FloatArray:
        """Return the log-likelihood of each group."""
        group, begins, lived, left = self._terms()
        alpha, beta, gamma, delta = (params[name] for name in BGBB.names)
        terms = betaln(alpha + self.x[group], beta + lived - self.x[group]) - betaln(alpha, beta)
        terms += betaln(gamma + left, delta + lived) - betaln(gamma, delta)
        top = np.maximum.reduceat(terms, begins)
        return np.asarray(top + np.log(np.add.reduceat(np.exp(terms - top[group]), begins)), np.float64)

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""
        alpha, beta, gamma, delta = np.exp(theta)
        group, begins, lived, left = self._terms()
        x, missed = self.x[group], lived - self.x[group]
        terms = betaln(alpha + x, beta + missed) - betaln(alpha, beta)
        terms += betaln(gamma + left, delta + lived) - betaln(gamma, delta)
        top = np.maximum.reduceat(terms, begins)
        parts = np.exp(terms - top[group])
        sums = np.add.reduceat(parts, begins)
        share = parts / sums[group] * self.count[group]
        bought, stayed = psi(alpha + beta + lived), psi(gamma + delta + left + lived)
        gradient = np.array(
            [
                share @ (psi(alpha + x) - bought) - self.weight * (psi(alpha) - psi(alpha + beta)),
                share @ (psi(beta + missed) - bought) - self.weight * (psi(beta) - psi(alpha + beta)),
                share @ (psi(gamma + left) - stayed) - self.weight * (psi(gamma) - psi(gamma + delta)),
                share @ (psi(delta + lived) - stayed) - self.weight * (psi(delta) - psi(gamma + delta)),
            ]
        )
        return float(self.count @ (top + np.log(sums))), gradient * np.exp(theta)
