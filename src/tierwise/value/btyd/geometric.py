"""Customers who may leave after a purchase: BG/NBD, and MBG/NBD in which they may leave after the first one too.

Fader, Hardie and Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the Pareto/NBD Model; equation
numbers are theirs. Batislam, Denizel and Filiztekin (2007), Empirical validation and comparison of models for customer
base analysis. While alive a customer buys at rate λ ~ Gamma(r, α) and leaves after a purchase with p ~ Beta(a, b).
The modified model only counts the first purchase as one more chance to leave, so that one class holds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from scipy.special import betaln, expit, gammaln, hyp2f1, psi, roots_jacobi

from tierwise.value.btyd.columns import FloatArray, IntArray
from tierwise.value.btyd.groups import Coded, Groups, coded, weighted
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import Params
from tierwise.value.btyd.purchases import PurchaseModel

__all__ = ["BGNBD", "MBGNBD"]

#: From so many purchases on, and near a = 1, expectations are summed over p instead of through ₂F₁, which loses digits.
_MANY: Final = 60
_NEAR_ONE: Final = 1e-4
_NODES: Final = 64


class BGNBD(PurchaseModel):
    """The BG/NBD model; parameters r, alpha, a, b.

    Example:
        >>> from tierwise.value.btyd import BGNBD
        >>> frequency, recency = [0, 1, 1, 2, 3, 5, 8, 12], [0, 3, 20, 10, 30, 15, 38, 37]
        >>> model = BGNBD().fit(frequency, recency, [39] * 8, weights=[60, 12, 8, 6, 6, 3, 3, 2])
        >>> model.p_alive(5, 35, 39) > model.p_alive(5, 15, 39), model.expected_purchases(0, 2, 20, 39)
        (True, 0.0)
    """

    names = ("r", "alpha", "a", "b")
    #: How many chances to leave there are before the first repeat purchase.
    _chances: ClassVar[int] = 0

    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        x, tx, T = groups.columns[:3]
        extra = groups.columns[3:]
        if not extra:
            return _Geometric(
                self._chances, x, Coded(tx.values / unit, tx.at), Coded(T.values / unit, T.at), groups.count
            )
        table = np.stack([part.values[part.at] for part in extra], axis=1) / spread
        own = np.arange(groups.count.size)
        return _Geometric(
            self._chances,
            x,
            Coded(tx.values[tx.at] / unit, own),
            Coded(T.values[T.at] / unit, own),
            groups.count,
            table,
        )

    def _starts(self, rate: float) -> Sequence[FloatArray]:
        guesses = ((0.3, 1.5, 0.8, 2.5), (1.0, 1.2, 0.3, 3.0), (3.0, 2.0, 1.5, 1.5), (0.6, 1.0, 0.1, 5.0))
        return [np.log([r, max(r / max(rate * gain, 1e-9), 1e-3), a, b]) for r, gain, a, b in guesses]

    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        x, tx, T, factor = history
        r, alpha, a, b = _of(params, factor)
        chances = x + self._chances
        with np.errstate(divide="ignore"):
            odds = np.log(a) - np.log(np.where(chances > 0, b + chances - 1, np.inf))
        return np.asarray(expit(-(odds + (r + x) * (np.log(alpha + T) - np.log(alpha + tx)))), np.float64)

    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        x, _, T, factor = history
        r, alpha, a, b = _of(params, factor)
        left = b + x + self._chances
        found = np.zeros_like(h)
        ahead = h > 0
        if abs(a - 1) > _NEAR_ONE:
            z = h / (alpha + T + h)
            with np.errstate(all="ignore"):
                # Equation (10), with the alive probability apart.
                series = hyp2f1(r + x, left, a + left - 1, z)
                found = (a + left - 1) / (a - 1) * (1 - np.exp((r + x) * np.log1p(-z)) * series)
            doubtful = ahead & ((x >= _MANY) | ~np.isfinite(found) | (found <= 0))
        else:
            doubtful = ahead
        if doubtful.any():
            at = np.flatnonzero(doubtful)
            found[at] = _summed_over_p(r + x[at], alpha[at] + T[at], a, left[at], h[at])
        return np.where(ahead, found, 0.0) * self._alive(params, *history)

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
        r, alpha, a, b = _of(params, factor)
        alive = rng.random(x.size) < self._alive(params, x, tx, T, factor)
        rate = rng.gamma(r + x) / (alpha + T)
        leaving = np.maximum(rng.beta(a, b + x + self._chances), 1e-12)
        wanted = rng.poisson(rate * h)
        return np.where(alive, np.minimum(wanted, rng.geometric(leaving)), 0).astype(np.int64)


class MBGNBD(BGNBD):
    """The modified BG/NBD model: a customer may leave after the first purchase too; parameters r, alpha, a, b.

    Example:
        >>> from tierwise.value.btyd import MBGNBD
        >>> frequency, recency = [0, 1, 1, 2, 3, 5, 8, 12], [0, 3, 20, 10, 30, 15, 38, 37]
        >>> model = MBGNBD().fit(frequency, recency, [39] * 8, weights=[60, 12, 8, 6, 6, 3, 3, 2])
        >>> model.p_alive(0, 0, 39) < 1
        True
    """

    _chances = 1


def _of(params: Params, factor: FloatArray) -> tuple[float, FloatArray, float, float]:
    return params["r"], params["alpha"] / factor, params["a"], params["b"]


def _summed_over_p(shape: FloatArray, scale: FloatArray, a: float, left: FloatArray, h: FloatArray) -> FloatArray:
    """Return E[(1 - (1 + p·h/scale)^-shape) / p] over p ~ Beta(a, left): the purchases of one who is alive.

    Exact for what the closed form cannot do: a = 1, where it is 0 / 0, and many purchases, where its series cancels.
    """
    found = np.empty_like(h)
    distinct = coded(left)
    for number, value in enumerate(distinct.values):
        at = np.flatnonzero(distinct.at == number)
        nodes, weights = roots_jacobi(_NODES, value - 1, a - 1)
        p = np.maximum((nodes + 1) / 2, 1e-15)
        decay = shape[at, None] * np.log1p(p * (h[at] / scale[at])[:, None])
        found[at] = (-np.expm1(-decay) / p) @ (weights / weights.sum())
    return found


@dataclass(frozen=True)
class _Geometric(Likelihood):
    """Equation (6), the sum of two branches: alive at T, or gone since t_x.

    Logarithms are taken once for each distinct time, gamma functions once for each distinct x. With covariates, times
    are given for each group and α is divided by the factor of the group's rate.
    """

    chances: int
    x: Coded
    tx: Coded
    T: Coded
    count: FloatArray
    table: FloatArray | None = None

    @property
    def groups(self) -> int:
        """How many distinct rows it sums over."""
        return self.count.size

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""
        return float(self.count.sum())

    def thinned(self, step: int) -> _Geometric:
        """Return the same over every `step`-th group."""
        every = slice(None, None, step)
        if self.table is None:
            tx, T = replace(self.tx, at=self.tx.at[every]), replace(self.T, at=self.T.at[every])
            return replace(self, x=replace(self.x, at=self.x.at[every]), tx=tx, T=T, count=self.count[every])
        own = np.arange(self.count[every].size)
        tx, T = Coded(self.tx.values[every], own), Coded(self.T.values[every], own)
        x = replace(self.x, at=self.x.at[every])
        return replace(self, x=x, tx=tx, T=T, count=self.count[every], table=self.table[every])

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""
        r, alpha, a, b = np.exp(theta[:4])
        each = alpha if self.table is None else alpha * np.exp(-(self.table @ theta[4:]))
        ks, w = self.x.values, self.count
        of_x = np.bincount(self.x.at, w, minlength=ks.size)
        after = b + ks + self.chances
        with np.errstate(divide="ignore"):
            odds = np.where(ks + self.chances > 0, np.log(a) - np.log(np.maximum(after - 1, 1e-300)), -np.inf)
        shape = (r + ks)[self.x.at]
        log_T, log_tx = np.log(each + self.T.values), np.log(each + self.tx.values)
        far, near = self._take(log_T, self.T), self._take(log_tx, self.tx)
        lead = odds[self.x.at] + shape * (far - near)
        small = np.exp(-np.abs(lead))
        gone = np.where(lead > 0, 1.0, small) / (1 + small)
        kept = 1 - gone
        branch = np.maximum(lead, 0) + np.log1p(small) - shape * far
        of_customers = self._summed(np.log(each))
        value = weighted(w, branch) + r * of_customers
        value += float(of_x @ (gammaln(r + ks) - gammaln(r) + betaln(a, after) - betaln(a, b)))
        in_r = float(of_x @ (psi(r + ks) - psi(r))) + of_customers - weighted(w, kept * far + gone * near)
        pull = shape * (
            kept * self._take(1 / (each + self.T.values), self.T)
            + gone * self._take(1 / (each + self.tx.values), self.tx)
        )
        # By the logarithm of each group's α.
        in_alpha = r - (each * pull)
        gone_of_x = np.bincount(self.x.at, w * gone, minlength=ks.size)
        shared = psi(a + b) - psi(a + after)
        in_a = of_x @ (shared + np.zeros_like(ks)) + gone_of_x.sum() / a
        chance = ks + self.chances > 0
        in_b = of_x @ (shared + psi(after) - psi(b)) - (gone_of_x[chance] / (after[chance] - 1)).sum()
        gradient = [in_r * r, weighted(w, in_alpha), in_a * a, in_b * b]
        if self.table is not None:
            gradient += (-(w * in_alpha) @ self.table).tolist()
        return value, np.array(gradient, np.float64)

    def _take(self, values: FloatArray, times: Coded) -> FloatArray:
        return values[times.at] if self.table is None else values

    def _summed(self, logs: FloatArray) -> float:
        return float(logs * self.weight) if self.table is None else weighted(self.count, logs)
