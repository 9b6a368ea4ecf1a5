"""What customers may really do: intervals of outcomes, which hold more chance than the parameters' own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from tierwise.errors import BadRequest
from tierwise.value.btyd.columns import FloatArray, IntArray, checked_histories, checked_weights
from tierwise.value.btyd.groups import grouped
from tierwise.value.btyd.model import Params
from tierwise.value.btyd.purchases import PurchaseModel

__all__ = ["UNCALIBRATED", "Calibration", "Prediction", "interval_at", "predict", "shares_held"]

#: How many futures are drawn for each distinct history, and how many sets of parameters.
_FUTURES: Final = 300
_PARAMS: Final = 60
_BLOCK: Final = 4_096
#: The total's dependence on the parameters is worked out on about so many groups.
_THIN: Final = 2_000


@dataclass(frozen=True)
class Calibration:
    """What a backtest taught about a model's intervals.

    `nominal` is the level at which the model's own intervals held as many outcomes as was wanted; `miss` is how far its
    totals were off beyond their own intervals, as a relative standard deviation; `origins` is from how many backtests.
    """

    level: float
    nominal: float
    miss: float
    origins: int


#: Nothing is known of how the model fares: its own intervals are taken as they are.
UNCALIBRATED: Final = Calibration(0.95, 0.95, 0.0, 0)


@dataclass(frozen=True)
class Prediction:
    """The purchases of each customer within `h`: the mean, and an interval for what will really be counted.

    `total` is the sum over customers (by weight) with an interval of its own: single chances even out in it, while
    what is wrong with the model does not.
    """

    h: float
    level: float
    expected: FloatArray
    low: IntArray
    high: IntArray
    total: float
    total_low: float
    total_high: float


def predict(
    model: PurchaseModel,
    h: float,
    frequency: Any,
    recency: Any,
    T: Any,
    rng: np.random.Generator,
    calibration: Calibration = UNCALIBRATED,
    weights: Any = None,
) -> Prediction:
    """Predict the purchases within `h`, with intervals of the outcomes (not of the parameters alone).

    Args:
        model: A fitted model without covariates.
        h: How far ahead.
        frequency: See `PurchaseModel.fit`.
        recency: See `PurchaseModel.fit`.
        T: See `PurchaseModel.fit`.
        rng: The source of chance: the same one gives the same intervals.
        calibration: What a backtest taught (`tierwise.value.btyd.backtest`); without it the model is believed.
        weights: How many customers a row stands for.

    Raises:
        BadRequest: A column holds what no history can be.
        TooLittleData: The model did not converge.
    """
    histories = checked_histories(frequency, recency, T)
    w = checked_weights(weights, histories.frequency.size)
    groups = grouped([histories.frequency, histories.recency, histories.T], w)
    x, tx, span = (groups.column(number) for number in range(3))
    expected = np.asarray(model.expected_purchases(h, x, tx, span), np.float64)
    (low,), (high,), variance = _outcomes(model, h, (x, tx, span), rng, [calibration.nominal])
    total = float(groups.count @ expected)
    spread = _spread(model, h, (x, tx, span), groups.count, rng)
    noise = float(groups.count @ variance) / max(total, 1e-12) ** 2
    total_low, total_high = interval_at(
        total, float(np.sqrt(spread**2 + noise + calibration.miss**2)), calibration.level
    )
    of_row = groups.of_row
    return Prediction(h, calibration.level, expected[of_row], low[of_row], high[of_row], total, total_low, total_high)


def shares_held(
    model: PurchaseModel,
    h: float,
    history: tuple[FloatArray, FloatArray, FloatArray],
    came: FloatArray,
    rng: np.random.Generator,
    levels: Sequence[float],
) -> FloatArray:
    """Return, for each level, the share of customers (x, t_x, T) whose purchases lay in the model's own interval."""
    groups = grouped(list(history))
    x, tx, T = (groups.column(number) for number in range(3))
    low, high, _ = _outcomes(model, h, (x, tx, T), rng, levels)
    return np.asarray(np.mean((low[:, groups.of_row] <= came) & (came <= high[:, groups.of_row]), axis=1), np.float64)


def interval_at(total: float, relative: float, level: float) -> tuple[float, float]:
    """Return the interval of a total whose relative standard deviation is known; a total stays above 0.

    Example:
        >>> interval_at(100.0, 0.0, 0.95)
        (100.0, 100.0)
    """
    if not 0 < level < 1:
        raise BadRequest(f"`level` is {level}; it lies between 0 and 1")
    reach = float(np.exp(ndtri(0.5 + level / 2) * relative))
    return total / reach, total * reach


def _params_of(model: PurchaseModel, rng: np.random.Generator, draws: int) -> list[Params]:
    """Return parameters the data leave possible; a rule of thumb has only its own."""
    if np.isfinite(model.covariance_).all():
        return [*model.draw_params(draws, rng)]
    return [model.params_]


def _outcomes(
    model: PurchaseModel,
    h: float,
    history: tuple[FloatArray, FloatArray, FloatArray],
    rng: np.random.Generator,
    levels: Sequence[float],
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return, for each level, the bounds of what each distinct history may lead to; and its variance."""
    size, many = history[0].size, len(levels)
    low, high, variance = np.zeros((many, size), np.int64), np.zeros((many, size), np.int64), np.zeros(size)
    possible = _params_of(model, rng, _FUTURES)
    for start in range(0, size, _BLOCK):
        part = slice(start, start + _BLOCK)
        x, tx, T = (values[part] for values in history)
        futures = np.array(
            [
                model.simulate_purchases(h, x, tx, T, rng, params=possible[draw % len(possible)])
                for draw in range(_FUTURES)
            ]
        )
        futures.sort(axis=0)
        # Counts: the bounds are outcomes that were drawn, so that the interval holds at least its share.
        low[:, part] = futures[[int(np.floor((1 - level) / 2 * (_FUTURES - 1))) for level in levels]]
        high[:, part] = futures[[int(np.ceil((1 + level) / 2 * (_FUTURES - 1))) for level in levels]]
        variance[part] = futures.var(axis=0)
    return low, high, variance


def _spread(
    model: PurchaseModel,
    h: float,
    history: tuple[FloatArray, FloatArray, FloatArray],
    count: FloatArray,
    rng: np.random.Generator,
) -> float:
    """Return how much the total varies with the parameters, relative to itself."""
    possible = _params_of(model, rng, _PARAMS)
    if len(possible) == 1:
        return 0.0
    step = max(1, count.size // _THIN)
    x, tx, T = (values[::step] for values in history)
    ahead = np.full(x.size, float(h))
    totals = [float(count[::step] @ model._expected(params, ahead, x, tx, T, np.ones_like(x))) for params in possible]
    logs = np.log(np.maximum(totals, 1e-12))
    return float(np.std(logs))
