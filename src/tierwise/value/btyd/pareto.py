"""Customers who may leave at any time: Pareto/NBD, and NBD for those who never do.

Schmittlein, Morrison and Colombo (1987), Counting Your Customers. While alive a customer buys at rate λ ~ Gamma(r, α);
he leaves at rate μ ~ Gamma(s, β), whether he buys or not. The likelihood's integral over the time of leaving is summed
with Gauss-Legendre nodes in log time: no hypergeometric function, and an exact gradient of what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import exprel, gammaln, psi

from tierwise.value.btyd.columns import FloatArray, IntArray
from tierwise.value.btyd.groups import Groups, weighted
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import Params
from tierwise.value.btyd.purchases import PurchaseModel

__all__ = ["NBD", "ParetoNBD"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
#: Groups are worked through in blocks that fit the processor's cache.
_BLOCK: Final = 4096
#: Beyond a fall by exp(-40) the integrand counts for nothing.
_FALL: Final = 40.0


class ParetoNBD(PurchaseModel):
    """The Pareto/NBD model; parameters r, alpha, s, beta.

    Example:
        >>> from tierwise.value.btyd import ParetoNBD
        >>> frequency, recency = [0, 1, 1, 2, 3, 5, 8, 12], [0, 3, 20, 10, 30, 15, 38, 37]
        >>> model = ParetoNBD().fit(frequency, recency, [39] * 8, weights=[60, 12, 8, 6, 6, 3, 3, 2])
        >>> model.p_alive(5, 35, 39) > model.p_alive(5, 15, 39)
        True
    """

    names = ("r", "alpha", "s", "beta")
    _times = ("alpha", "beta")

    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        extra = [groups.column(number) for number in range(3, len(groups.columns))]
        table = np.stack(extra, axis=1) / spread if extra else np.empty((groups.count.size, 0))
        return _Pareto(groups.column(0), groups.column(1) / unit, groups.column(2) / unit, groups.count, table)

    def _starts(self, rate: float) -> Sequence[FloatArray]:
        return [
            np.log([r, max(r / max(rate * gain, 1e-9), 1e-3), s, beta])
            for r, gain, s, beta in ((0.5, 1.5, 0.5, 10.0), (1.0, 1.2, 1.0, 40.0), (2.0, 2.0, 1.5, 20.0))
        ]

    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        x, tx, T, factor = history
        found = np.empty_like(T)
        r, alpha, s, beta = _of(params, factor)
        for start in range(0, T.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            gone, kept = _branches(r, alpha[part], s, beta, x[part], tx[part], T[part])
            top = np.maximum(kept, gone.max(axis=1))
            alive = np.exp(kept - top)
            found[part] = alive / (alive + np.exp(gone - top[:, None]).sum(axis=1))
        return found

    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        x, _, T, factor = history
        r, alpha, s, beta = _of(params, factor)
        # (1 - ((β+T)/(β+T+h))^(s-1)) / (s-1), written so that s = 1 is no special case.
        ahead = np.log1p(h / (beta + T))
        lifetime = (beta + T) * ahead * exprel(-(s - 1) * ahead)
        return np.asarray((r + x) / (alpha + T) * lifetime * self._alive(params, *history), np.float64)

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
        r, alpha, s, beta = _of(params, factor)
        alive = rng.random(x.size) < self._alive(params, x, tx, T, factor)
        rate = rng.gamma(r + x) / (alpha + T)
        leaving = np.maximum(rng.gamma(s, size=x.size) / (beta + T), 1e-300)
        until = np.minimum(rng.exponential(size=x.size) / leaving, h)
        return np.where(alive, rng.poisson(rate * until), 0).astype(np.int64)


class NBD(PurchaseModel):
    """Purchases at rates that differ, by customers who never leave: what is fitted when leaving cannot be told.

    Parameters r, alpha. The simplest model with a likelihood; it overrates customers who went away.

    Example:
        >>> from tierwise.value.btyd import NBD
        >>> frequency, recency = [0, 1, 1, 2, 3, 5, 8, 12], [0, 3, 20, 10, 30, 15, 38, 37]
        >>> model = NBD().fit(frequency, recency, [39] * 8, weights=[60, 12, 8, 6, 6, 3, 3, 2])
        >>> model.p_alive(2, 20, 39)
        1.0
    """

    names = ("r", "alpha")

    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        extra = [groups.column(number) for number in range(3, len(groups.columns))]
        table = np.stack(extra, axis=1) / spread if extra else np.empty((groups.count.size, 0))
        return _Nbd(groups.column(0), groups.column(2) / unit, groups.count, table)

    def _starts(self, rate: float) -> Sequence[FloatArray]:
        return [np.log([r, max(r / max(rate, 1e-9), 1e-3)]) for r in (0.5, 2.0)]

    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        return np.ones_like(history[2])

    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        x, _, T, factor = history
        return np.asarray((params["r"] + x) / (params["alpha"] / factor + T) * h, np.float64)

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
        rate = rng.gamma(params["r"] + x) / (params["alpha"] / factor + T)
        return np.asarray(rng.poisson(rate * h), np.int64)


def _of(params: Params, factor: FloatArray) -> tuple[float, FloatArray, float, float]:
    return params["r"], params["alpha"] / factor, params["s"], params["beta"]


def _nodes(
    r: float, alpha: FloatArray, s: float, beta: float, x: FloatArray, tx: FloatArray, T: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the times of leaving at which the integrand is taken, and the logarithm of their weights.

    The nodes lie evenly in log(m + τ), m the smaller of α and β, in which both factors are smooth, and end where the
    purchase factor has fallen so far that the rest counts for nothing.
    """
    low = np.minimum(alpha, beta)
    with np.errstate(over="ignore"):
        fallen = (alpha + tx) * np.exp(np.minimum(_FALL / (r + x), 600.0)) - alpha
    end = np.minimum(T, fallen)
    first, last = np.log(low + tx), np.log(low + end)
    half = np.maximum((last - first) / 2, 0)
    logs = (first + half)[:, None] + half[:, None] * _NODES
    with np.errstate(divide="ignore"):
        weights = np.log(s * half)[:, None] + np.log(_WEIGHTS) + logs
    return np.exp(logs) - low[:, None], weights


def _branches(
    r: float, alpha: FloatArray, s: float, beta: float, x: FloatArray, tx: FloatArray, T: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the logarithms of what each node adds (gone by T) and of the branch alive at T."""
    tau, weights = _nodes(r, alpha, s, beta, x, tx, T)
    shape = r + x
    gone = weights - shape[:, None] * np.log(alpha[:, None] + tau) - (s + 1) * np.log(beta + tau)
    return gone, -shape * np.log(alpha + T) - s * np.log(beta + T)


@dataclass(frozen=True)
class _Pareto(Likelihood):
    x: FloatArray
    tx: FloatArray
    T: FloatArray
    count: FloatArray
    table: FloatArray

    @property
    def groups(self) -> int:
        """How many distinct rows it sums over."""
        return self.count.size

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""
        return float(self.count.sum())

    def thinned(self, step: int) -> _Pareto:
        """Return the same over every `step`-th group."""
        return _Pareto(*(part[::step] for part in (self.x, self.tx, self.T, self.count, self.table)))

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""
        r, alpha, s, beta = np.exp(theta[:4])
        each = alpha * np.exp(-(self.table @ theta[4:]))
        value, gradient = 0.0, np.zeros(theta.size)
        for start in range(0, self.x.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            block, by_r, by_alpha, by_s, by_beta = _block(
                float(r), each[part], float(s), float(beta), self.x[part], self.tx[part], self.T[part]
            )
            w = self.count[part]
            value += float(w @ block)
            gradient[:4] += [w @ by_r * r, w @ by_alpha, w @ by_s * s, w @ by_beta * beta]
            gradient[4:] -= (w * by_alpha) @ self.table[part]
        ks, at = np.unique(self.x, return_inverse=True)
        of_x = np.bincount(at, self.count)
        value += float(of_x @ (gammaln(r + ks) - gammaln(r))) + self.weight * float(s * np.log(beta))
        value += float(r * (self.count @ np.log(each)))
        gradient[0] += (of_x @ (psi(r + ks) - psi(r)) + self.count @ np.log(each)) * r
        gradient[1] += self.weight * r
        gradient[4:] -= r * (self.count @ self.table)
        gradient[2] += self.weight * np.log(beta) * s
        gradient[3] += self.weight * s
        return value, gradient


def _block(
    r: float, alpha: FloatArray, s: float, beta: float, x: FloatArray, tx: FloatArray, T: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return log(alive + gone) for each group and its derivatives by r, log α, s and β."""
    tau, weights = _nodes(r, alpha, s, beta, x, tx, T)
    shape = r + x
    log_alpha, log_beta = np.log(alpha[:, None] + tau), np.log(beta + tau)
    gone = weights - shape[:, None] * log_alpha - (s + 1) * log_beta
    far_alpha, far_beta = np.log(alpha + T), np.log(beta + T)
    kept = -shape * far_alpha - s * far_beta
    top = np.maximum(kept, gone.max(axis=1))
    alive, left = np.exp(kept - top), np.exp(gone - top[:, None])
    total = alive + left.sum(axis=1)
    by_r = -(alive * far_alpha + (left * log_alpha).sum(axis=1)) / total
    by_alpha = -shape * alpha * (alive / (alpha + T) + (left / (alpha[:, None] + tau)).sum(axis=1)) / total
    # s stands before the integral and in the exponent.
    by_s = -(alive * far_beta + (left * log_beta).sum(axis=1)) / total + left.sum(axis=1) / (s * total)
    by_beta = -(alive * s / (beta + T) + (s + 1) * (left / (beta + tau)).sum(axis=1)) / total
    return top + np.log(total), by_r, by_alpha, by_s, by_beta


@dataclass(frozen=True)
class _Nbd(Likelihood):
    x: FloatArray
    T: FloatArray
    count: FloatArray
    table: FloatArray

    @property
    def groups(self) -> int:
        """How many distinct rows it sums over."""
        return self.count.size

    @property
    def weight(self) -> float:
        """How many customers those rows stand for."""
        return float(self.count.sum())

    def thinned(self, step: int) -> _Nbd:
        """Return the same over every `step`-th group."""
        return _Nbd(*(part[::step] for part in (self.x, self.T, self.count, self.table)))

    def at(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return the log-likelihood and its gradient."""
        r, alpha = np.exp(theta[:2])
        each, w, shape = alpha * np.exp(-(self.table @ theta[2:])), self.count, r + self.x
        far = np.log(each + self.T)
        value = weighted(w, gammaln(shape) - gammaln(r) + r * np.log(each) - shape * far)
        in_r = weighted(w, psi(shape) - psi(r) + np.log(each) - far)
        in_alpha = r - each * shape / (each + self.T)
        gradient = [in_r * r, weighted(w, in_alpha), *(-(w * in_alpha) @ self.table)]
        return value, np.array(gradient, np.float64)
