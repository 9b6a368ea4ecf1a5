"""Models of when customers buy and whether they still do: what all of them are asked, and how it is answered."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import numpy as np

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd.columns import (
    FloatArray,
    Histories,
    IntArray,
    checked_histories,
    checked_horizon,
    checked_weights,
    column,
)
from tierwise.value.btyd.groups import Groups, grouped
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import SPAN, Model, Params

__all__ = ["PurchaseModel"]

#: Nodes and weights on [0, 1] by which discounted purchases are summed; purchases over time are a smooth curve.
_NODES, _WEIGHTS = (part / 2 for part in np.polynomial.legendre.leggauss(12))
_DISCOUNT_AT: Final[FloatArray] = _NODES + 0.5
_DISCOUNT_BY: Final[FloatArray] = _WEIGHTS


class PurchaseModel(Model):
    """A model of repeat purchases; `h` is how far ahead is asked, in the unit of `recency` and `T`.

    Columns may be lists, NumPy, pandas, Polars or Arrow columns, or single numbers; the answers are NumPy arrays (a
    number where all arguments are numbers). Equal histories are computed once.
    """

    #: Whether customers can be told apart by static covariates of their purchase rate.
    takes_covariates = True
    #: The covariates of the last fit, in order.
    covariate_names_: tuple[str, ...]

    def fit(self, frequency: Any, recency: Any, T: Any, weights: Any = None, covariates: Any = None) -> Self:
        """Fit by maximum likelihood.

        Args:
            frequency: Number of repeat purchases (all but the first; purchases of one day are one purchase).
            recency: Time from the first purchase to the last; 0 when there is no repeat.
            T: Time from the first purchase to the end of observation.
            weights: How many customers a row stands for.
            covariates: A column, or a table with a row for each customer: what is known of them and does not change.
                A purchase rate is multiplied by exp(gamma · covariate).

        Raises:
            BadRequest: A column holds what no history can be.
            TooLittleData: There are too few customers, or too few who came back, or everybody is the same.
        """
        histories = checked_histories(frequency, recency, T, covariates)
        given = checked_weights(weights, histories.frequency.size)
        if weights is not None and not given.all():
            kept = given > 0
            some = None if histories.covariates is None else histories.covariates[kept]
            histories = Histories(histories.frequency[kept], histories.recency[kept], histories.T[kept], some)
            given = given[kept]
        self._enough(float(given.sum()), float(given @ (histories.frequency > 0)))
        self.covariate_names_ = self._covariates_of(histories, covariates)
        self.customers_ = float(given.sum())
        self._fit(histories, None if weights is None else given)
        return self

    def expected_purchases(self, h: Any, frequency: Any, recency: Any, T: Any, covariates: Any = None) -> Any:
        """Return how many purchases are expected of each customer within the next `h`."""
        return self._scored(self._expected, h, frequency, recency, T, covariates)

    def p_alive(self, frequency: Any, recency: Any, T: Any, covariates: Any = None) -> Any:
        """Return the probability that each customer still is one, at the end of observation."""
        return self._scored(self._alive, None, frequency, recency, T, covariates)

    def discounted_purchases(
        self, h: Any, frequency: Any, recency: Any, T: Any, discount_rate: float = 0.0, covariates: Any = None
    ) -> Any:
        """Return the purchases expected within the next `h`, each worth less the later it comes.

        Args:
            h: How far ahead.
            frequency: See `fit`.
            recency: See `fit`.
            T: See `fit`.
            discount_rate: What a unit of time costs: 0.002 says that money in one unit is worth 1 / 1.002 today. From
                a yearly rate and weeks: ``(1 + 0.10) ** (1 / 52) - 1``.
            covariates: See `fit`.
        """
        if not 0 <= discount_rate < np.inf:
            raise BadRequest(f"`discount_rate` is {discount_rate}; it is 0 or more")
        if discount_rate == 0:
            return self.expected_purchases(h, frequency, recency, T, covariates)
        rate = float(np.log1p(discount_rate))

        # ∫ e^(-rate·t) dE(t) by parts: only the curve E itself is needed, and it is smooth.
        def discounted(params: Params, ahead: FloatArray, *history: FloatArray) -> FloatArray:
            total = np.exp(-rate * ahead) * self._expected(params, ahead, *history)
            for at, by in zip(_DISCOUNT_AT, _DISCOUNT_BY, strict=True):
                until = ahead * at
                total += rate * ahead * by * np.exp(-rate * until) * self._expected(params, until, *history)
            return total

        return self._scored(discounted, h, frequency, recency, T, covariates)

    def clv(
        self,
        h: Any,
        frequency: Any,
        recency: Any,
        T: Any,
        spend: Any,
        discount_rate: float = 0.0,
        margin: float = 1.0,
        covariates: Any = None,
    ) -> Any:
        """Return the value of each customer's purchases within the next `h`.

        Args:
            h: How far ahead.
            frequency: See `fit`.
            recency: See `fit`.
            T: See `fit`.
            spend: What a purchase of each customer is worth (`GammaGamma.expected_spend`), or one number for all.
            discount_rate: See `discounted_purchases`.
            margin: The share of the spend that is kept, between 0 and 1.
            covariates: See `fit`.
        """
        if not 0 <= margin <= 1:
            raise BadRequest(f"`margin` is {margin}; it is a share between 0 and 1")
        worth = column(spend, "spend")
        if not (np.isfinite(worth).all() and (worth >= 0).all()):
            raise BadRequest("`spend` is missing, negative or infinite somewhere", column="spend")
        purchases = self.discounted_purchases(h, frequency, recency, T, discount_rate, covariates)
        return purchases * worth[()] * margin

    def simulate_purchases(
        self,
        h: float,
        frequency: Any,
        recency: Any,
        T: Any,
        rng: np.random.Generator,
        params: Params | None = None,
        covariates: Any = None,
    ) -> IntArray:
        """Draw one possible future for each customer: how often they buy within the next `h`, given their history."""
        self._fitted()
        histories = self._asked(frequency, recency, T, covariates)
        used = self.params_ if params is None else params
        ahead = np.broadcast_to(checked_horizon(h), histories.frequency.shape)
        return self._drawn(used, ahead, *self._parts(used, histories), rng)

    def _scored(
        self,
        answer: Callable[..., FloatArray],
        h: Any,
        frequency: Any,
        recency: Any,
        T: Any,
        covariates: Any,
    ) -> Any:
        """Answer once for each distinct history (and horizon), give every customer the answer of his own."""
        self._fitted()
        histories = self._asked(frequency, recency, T, covariates)
        ahead = None if h is None else checked_horizon(h)
        several = ahead is not None and ahead.ndim > 0 and ahead.size > 1
        rows = histories.frequency.size
        plain = all(np.ndim(value) == 0 for value in (frequency, recency, T, h))
        columns = [histories.frequency, histories.recency, histories.T]
        if several and ahead is not None:
            if rows not in {1, ahead.size}:
                raise BadRequest(f"`h` has {ahead.size} rows, the histories have {rows}", column="h")
            columns = [np.broadcast_to(values, ahead.shape) for values in columns]
            columns.append(ahead)
        width = 0 if histories.covariates is None else histories.covariates.shape[1]
        for number in range(width):
            assert histories.covariates is not None
            columns.append(np.broadcast_to(histories.covariates[:, number], columns[0].shape))
        groups = grouped(columns)
        values = [groups.column(number) for number in range(len(columns))]
        table = np.stack(values[-width:], axis=1) if width else None
        parts = self._parts(self.params_, Histories(values[0], values[1], values[2], table))
        if ahead is None:
            found = answer(self.params_, *parts)
        else:
            each = values[3] if several else np.broadcast_to(ahead.reshape(-1)[:1], values[0].shape)
            found = answer(self.params_, each, *parts)
        return float(found[0]) if plain else found[groups.of_row]

    def _asked(self, frequency: Any, recency: Any, T: Any, covariates: Any) -> Histories:
        histories = checked_histories(frequency, recency, T, covariates)
        width = 0 if histories.covariates is None else histories.covariates.shape[1]
        if width != len(self.covariate_names_):
            raise BadRequest(f"the model was fitted with {len(self.covariate_names_)} covariates, {width} are given")
        return histories

    def _parts(self, params: Params, histories: Histories) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return x, t_x, T and the factor of each purchase rate."""
        factor = np.ones_like(histories.T)
        if histories.covariates is not None:
            gammas = np.array([params[name] for name in self.covariate_names_])
            factor = np.exp(histories.covariates @ gammas)
        return histories.frequency, histories.recency, histories.T, factor

    def _covariates_of(self, histories: Histories, covariates: Any) -> tuple[str, ...]:
        if histories.covariates is None:
            return ()
        name = type(self).__name__
        if not self.takes_covariates:
            raise BadRequest(f"{name} takes no covariates")
        table = histories.covariates
        constant = np.flatnonzero(np.ptp(table, axis=0) == 0)
        if constant.size:
            raise BadRequest(f"covariate {int(constant[0]) + 1} is the same for everybody; leave it out")
        if np.linalg.matrix_rank(table - table.mean(axis=0)) < table.shape[1]:
            raise BadRequest("a covariate is a sum of others; leave one out")
        titles = [str(title) for title in getattr(covariates, "columns", [])]
        if len(titles) != table.shape[1]:
            titles = [str(number + 1) for number in range(table.shape[1])]
        return tuple(f"gamma_{title}" for title in titles)

    def _fit(self, histories: Histories, weights: FloatArray | None) -> None:
        """Group, scale, maximise, and take the estimate over."""
        unit = float(histories.T.max()) / SPAN
        if unit <= 0:
            raise TooLittleData("every customer's first purchase is at the end of observation: there is no history")
        table = histories.covariates
        columns = [histories.frequency, histories.recency, histories.T]
        spread = np.ones(0)
        if table is not None:
            spread = table.std(axis=0)
            columns += [table[:, number] for number in range(table.shape[1])]
        groups = grouped(columns, weights)
        mean = float(groups.count @ groups.column(0)) / max(float(groups.count @ groups.column(2)) / unit, 1e-12)
        found = self._maximise(self._likelihood(groups, unit, spread), self._starts(mean), self.covariate_names_)
        units = dict.fromkeys(self._times, unit)
        units |= dict(zip(self.covariate_names_, (1 / spread).tolist(), strict=True))
        repeats = float(groups.count @ groups.column(0))
        self._learn(found, units, self.covariate_names_, -repeats * float(np.log(unit)), ())

    #: The parameters that are times.
    _times: tuple[str, ...] = ("alpha",)

    @abstractmethod
    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        """Return the likelihood over groups of (x, t_x, T, covariates …), times divided by `unit`."""

    @abstractmethod
    def _starts(self, rate: float) -> Sequence[FloatArray]:
        """Return where the search begins, given the purchases in a scaled unit of time."""

    @abstractmethod
    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        """Return the purchases expected within `h` for histories (x, t_x, T, factor of the rate)."""

    @abstractmethod
    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        """Return the probability of being alive for histories (x, t_x, T, factor of the rate)."""

    @abstractmethod
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
        """Draw the purchases within `h` once for each history."""
