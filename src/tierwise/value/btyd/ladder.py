"""The fit ladder: a model that fails gives way to a simpler one, down to a stated rule of thumb, and says so."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd.columns import FloatArray, IntArray, checked_histories, checked_weights
from tierwise.value.btyd.geometric import BGNBD, MBGNBD
from tierwise.value.btyd.groups import Groups
from tierwise.value.btyd.maximum import Likelihood
from tierwise.value.btyd.model import FitWarning, Params
from tierwise.value.btyd.pareto import NBD, ParetoNBD
from tierwise.value.btyd.purchases import PurchaseModel

__all__ = ["LADDER", "Ladder", "PastRate", "Rung", "fit_ladder"]

#: How far a model's own account of the past may be off before it is not believed: expected / actual repeat purchases.
_LEVEL: Final = (0.8, 1.25)


class PastRate(PurchaseModel):
    """The rule of thumb below all models: everybody goes on at his past rate, drawn towards the mean of all.

    `rate` is the mean rate, and a customer's own history counts against `evidence` time units of it (one mean gap
    between purchases, at most the longest `T`). Whether a customer still is one it cannot tell: `p_alive` is missing,
    and it overrates those who went away.

    Example:
        >>> from tierwise.value.btyd import PastRate
        >>> model = PastRate().fit([0, 1, 2, 1] * 5, [0, 4, 8, 2] * 5, [10] * 20)
        >>> model.params_["rate"], model.expected_purchases(10, 1, 4, 10), model.p_alive(1, 4, 10)
        (0.1, 1.0, nan)
    """

    names = ("rate", "evidence")
    takes_covariates = False

    def __init__(self, minimum_customers: int = 10, minimum_repeaters: int = 0) -> None:
        super().__init__(minimum_customers, minimum_repeaters)

    def _fit(self, histories: Any, weights: FloatArray | None) -> None:
        x, T = histories.frequency, histories.T
        w = np.ones_like(x) if weights is None else weights
        observed = float(w @ T)
        if observed <= 0:
            raise TooLittleData("every customer's first purchase is at the end of observation: there is no history")
        rate = float(w @ x) / observed
        longest = float(T.max())
        self.params_ = {"rate": rate, "evidence": min(1 / rate, longest) if rate else longest}
        self.covariance_ = np.full((2, 2), np.nan)
        self.standard_errors_ = {"rate": float("nan"), "evidence": float("nan")}
        self.log_likelihood_, self.converged_, self.evaluations_, self.starts_ = float("nan"), True, 0, ()
        notes = ["a rule of thumb, no model: who went away is overrated, and whether anybody did is not known"]
        self.notes_ = tuple(notes if rate else [*notes, "nobody has bought again, so nobody is expected to"])

    def _expected(self, params: Params, h: FloatArray, *history: FloatArray) -> FloatArray:
        x, _, T, _ = history
        prior = params["evidence"]
        return np.asarray((x + params["rate"] * prior) / (T + prior) * h, np.float64)

    def _alive(self, params: Params, *history: FloatArray) -> FloatArray:
        return np.full_like(history[2], np.nan)

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
        return np.asarray(rng.poisson(self._expected(params, h, x, tx, T, factor)), np.int64)

    def _likelihood(self, groups: Groups, unit: float, spread: FloatArray) -> Likelihood:
        raise AssertionError("a rule of thumb has no likelihood")

    def _starts(self, rate: float) -> Sequence[FloatArray]:
        raise AssertionError("a rule of thumb has no likelihood")


#: The models by name, from the one preferred to the rule of thumb.
LADDER: Final[dict[str, type[PurchaseModel]]] = {
    "pareto_nbd": ParetoNBD,
    "bg_nbd": BGNBD,
    "mbg_nbd": MBGNBD,
    "nbd": NBD,
    "past_rate": PastRate,
}


@dataclass(frozen=True)
class Rung:
    """One model that was tried: why it was not used (empty for the one that was), and its account of the past.

    `level` is the repeat purchases it expects of these customers within their `T`, knowing only when they came, divided
    by those they made; NaN when it was not fitted.
    """

    name: str
    reason: str
    level: float


@dataclass(frozen=True)
class Ladder:
    """The model that is used and every model that was tried for it, in order."""

    model: PurchaseModel
    rungs: tuple[Rung, ...]

    @property
    def name(self) -> str:
        """The name of the model that is used."""
        return self.rungs[-1].name

    @property
    def fell(self) -> bool:
        """Whether a simpler model than the first is used."""
        return len(self.rungs) > 1


def fit_ladder(
    frequency: Any,
    recency: Any,
    T: Any,
    weights: Any = None,
    rungs: Sequence[str] = ("bg_nbd", "mbg_nbd", "nbd", "past_rate"),
) -> Ladder:
    """Fit the first model of a ladder that can be believed.

    One is not believed that refuses the data, did not converge, or accounts for less than 0.8 or more than 1.25 times
    the repeat purchases that were made.

    Args:
        frequency: See `PurchaseModel.fit`.
        recency: See `PurchaseModel.fit`.
        T: See `PurchaseModel.fit`.
        weights: See `PurchaseModel.fit`.
        rungs: Names of `LADDER`, the preferred one first.

    Raises:
        BadRequest: A column holds what no history can be, or a name is unknown.
        TooLittleData: Not even the last one can be fitted; the error lists every reason.

    Example:
        >>> ladder = fit_ladder([0, 1, 2, 1] * 5, [0, 4, 8, 2] * 5, [10] * 20)
        >>> ladder.name, ladder.rungs[0].reason
        ('past_rate', 'BGNBD needs 50 customers, there are 20')
    """
    unknown = [name for name in rungs if name not in LADDER]
    if unknown or not rungs:
        raise BadRequest(f"no purchase model `{unknown[0] if unknown else ''}`", f"known: {', '.join(LADDER)}")
    histories = checked_histories(frequency, recency, T)
    w = checked_weights(weights, histories.frequency.size)
    tried: list[Rung] = []
    for name in rungs:
        model = LADDER[name]()
        try:
            with warnings.catch_warnings():
                # What a fit warns of is a rung's reason here.
                warnings.simplefilter("ignore", FitWarning)
                model.fit(histories.frequency, histories.recency, histories.T, w)
        except TooLittleData as error:
            tried.append(Rung(name, error.message, float("nan")))
            continue
        level = _level(model, histories.frequency, histories.T, w)
        reason = "" if model.converged_ else model.notes_[0]
        # Without a single repeat there is no level to compare, and only the rule of thumb gets here.
        if not reason and np.isfinite(level) and not _LEVEL[0] <= level <= _LEVEL[1]:
            reason = f"it accounts for {level:.2f} times the repeat purchases that were made"
        tried.append(Rung(name, reason, level))
        if not reason:
            return Ladder(model, tuple(tried))
    said = "; ".join(f"{rung.name}: {rung.reason}" for rung in tried)
    raise TooLittleData(f"no purchase model can be fitted: {said}", rungs=[rung.name for rung in tried])


def _level(model: PurchaseModel, x: FloatArray, T: FloatArray, w: FloatArray) -> float:
    """Return expected / actual repeat purchases of customers of whom only their coming is known."""
    made = float(w @ x)
    if made <= 0:
        return float("nan")
    return float(w @ model.expected_purchases(T, 0.0, 0.0, 0.0)) / made
