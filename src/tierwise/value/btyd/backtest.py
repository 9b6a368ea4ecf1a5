"""Did the model foretell what is known by now? The check that stands beside every number, made at past instants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd.columns import FloatArray, IntArray, column
from tierwise.value.btyd.ladder import Ladder, PastRate, fit_ladder
from tierwise.value.btyd.predictive import Calibration, interval_at, predict, shares_held

__all__ = ["Backtest", "Origin", "Purchases", "backtest", "purchases_of"]

#: Where the known past is cut, as shares of it; what comes after is foretold and compared.
_CUTS: Final = (1 / 2, 2 / 3, 5 / 6)
#: Below and above, expected / actual is a failure, and said beside every number.
_LEVEL: Final = (0.8, 1.25)
_WANTED: Final = 0.95
#: Levels that are tried to find the one whose intervals held the share that is wanted.
_TRIED: Final = (0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.998)
#: So many times the new customers of the time after it in the first tenth are old ones whose past was cut off.
_HEAP: Final = 1.6
_HEAP_LEAST: Final = 50


@dataclass(frozen=True)
class Purchases:
    """Purchases in time order of each customer: `customer` counts from 0, `time` from the first purchase of all."""

    customer: IntArray
    time: FloatArray
    end: float

    def until(self, cut: float) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
        """Return the customers known by an instant with frequency, recency and T as of then."""
        known = self.time <= cut
        customer, time = self.customer[known], self.time[known]
        starts = np.flatnonzero(np.diff(customer, prepend=-1))
        many = np.diff(np.append(starts, customer.size))
        first, last = time[starts], time[starts + many - 1]
        return customer[starts], (many - 1).astype(np.float64), last - first, cut - first

    def between(self, customers: IntArray, cut: float, until: float) -> FloatArray:
        """Return how often customers bought after an instant, up to another."""
        later = (self.time > cut) & (self.time <= until)
        counts = np.bincount(self.customer[later], minlength=int(self.customer.max()) + 1)
        return counts[customers].astype(np.float64)


def purchases_of(customer: Any, time: Any, end: float | None = None, grain: float = 0.0) -> Purchases:
    """Return purchases as the backtest needs them.

    Args:
        customer: Who bought, a row for each purchase; any values.
        time: When, in any unit, from any beginning.
        end: The end of observation; the last purchase of all when nothing is said.
        grain: Purchases of a customer in one such unit (a day) are one purchase; 0 leaves all as they are.

    Raises:
        BadRequest: A time is missing, is after `end`, or the columns have different lengths.
    """
    when = np.atleast_1d(column(time, "time"))
    _, codes = np.unique(np.asarray(customer), return_inverse=True)
    if codes.size != when.size:
        raise BadRequest(f"`customer` has {codes.size} rows, `time` has {when.size}")
    if not when.size:
        raise TooLittleData("there are no purchases")
    if not np.isfinite(when).all():
        raise BadRequest("`time` is missing or infinite somewhere", column="time")
    last = float(when.max()) if end is None else float(end)
    if (when > last).any():
        raise BadRequest("`time` is after the end of observation somewhere", column="time")
    if grain > 0:
        # Before the beginning is taken off: the days are those of the calendar.
        when = np.floor(when / grain) * grain
    begin = float(when.min())
    when = when - begin
    order = np.lexsort((when, codes))
    codes, when = codes[order].astype(np.int64), when[order]
    if grain > 0:
        kept = np.ones(codes.size, bool)
        kept[1:] = (np.diff(codes) != 0) | (np.diff(when) != 0)
        codes, when = codes[kept], when[kept]
    return Purchases(codes, when, last - begin)


@dataclass(frozen=True)
class Origin:
    """One past instant: what was foretold from there, what came, and how the past rate alone would have done.

    `ratio` is expected / actual purchases; `coverage` the share of customers whose purchases lay in the model's own
    intervals at 95 %; `total_low` and `total_high` that interval of the total. `gave_way` is why the preferred model
    was not used, empty where it was.
    """

    cut: float
    h: float
    model: str
    customers: int
    actual: float
    expected: float
    ratio: float
    total_low: float
    total_high: float
    mae: float
    rmse: float
    coverage: float
    past_rate_ratio: float
    past_rate_mae: float
    gave_way: str


@dataclass(frozen=True)
class Backtest:
    """What the past says about a model: each origin, what intervals have to allow for, and what is wrong.

    `failures` is empty where the model kept its level and did better than the past rate; `notes` are reasons for care
    that the check itself cannot settle. Each is a sentence that belongs beside the number.
    """

    origins: tuple[Origin, ...]
    calibration: Calibration
    failures: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the model."""
        return not self.failures


def backtest(
    purchases: Purchases,
    h: float,
    rng: np.random.Generator,
    rungs: Sequence[str] = ("bg_nbd", "mbg_nbd", "nbd", "past_rate"),
    at: Callable[[float], str] = "{:g}".format,
) -> Backtest:
    """Fit at past instants, foretell what came after each, and judge.

    Args:
        purchases: All purchases up to the end of observation.
        h: How far ahead the model will be asked; each origin looks so far, or as far as the data go.
        rng: The source of chance.
        rungs: See `fit_ladder`.
        at: How an instant is written in sentences.

    Raises:
        TooLittleData: At no past instant there is enough to fit, or nothing came after it.
    """
    if not 0 < h < np.inf:
        raise BadRequest(f"`h` is {h}; it is above 0")
    origins: list[Origin] = []
    held: list[FloatArray] = []
    misses: list[float] = []
    reasons: list[str] = []
    for share in _CUTS:
        cut = purchases.end * share
        try:
            origin, covered, miss = _origin(purchases, cut, min(h, purchases.end - cut), rng, rungs)
        except TooLittleData as error:
            reasons.append(error.message)
            continue
        origins.append(origin)
        held.append(covered)
        misses.append(miss)
    if not origins:
        raise TooLittleData(f"no backtest is possible: {reasons[0]}")
    # The level whose intervals held just what is wanted, on the mean of the origins.
    shares = np.mean(held, axis=0)
    enough = np.flatnonzero(shares >= _WANTED)
    nominal = _TRIED[int(enough[0])] if enough.size else _TRIED[-1]
    miss = float(np.sqrt(np.mean(np.square(misses))))
    calibration = Calibration(_WANTED, nominal, miss, len(origins))
    return Backtest(
        tuple(origins), calibration, tuple(_failures(origins, at)), tuple(_notes(purchases, origins, h, at))
    )


def _origin(
    purchases: Purchases, cut: float, h: float, rng: np.random.Generator, rungs: Sequence[str]
) -> tuple[Origin, FloatArray, float]:
    """Return one origin, the share each tried level held, and how far the total was off beyond its own interval."""
    customers, x, tx, T = purchases.until(cut)
    ladder: Ladder = fit_ladder(x, tx, T, rungs=rungs)
    came = purchases.between(customers, cut, cut + h)
    actual = float(came.sum())
    if actual <= 0:
        raise TooLittleData("nobody bought again after the origin of the backtest")
    found = predict(ladder.model, h, x, tx, T, rng)
    shares = shares_held(ladder.model, h, (x, tx, T), came, rng, _TRIED)
    total = found.total
    own = float(np.log(found.total_high / total)) / float(np.log(interval_at(1.0, 1.0, _WANTED)[1]))
    off = abs(float(np.log(max(total, 1e-12) / actual)))
    # Only what the model's own chance does not explain is laid at its door.
    miss = float(np.sqrt(max(off**2 - own**2, 0.0)))
    naive = PastRate().fit(x, tx, T).expected_purchases(h, x, tx, T)
    error = found.expected - came
    origin = Origin(
        cut=cut,
        h=h,
        model=ladder.name,
        customers=customers.size,
        actual=actual,
        expected=total,
        ratio=total / actual,
        total_low=found.total_low,
        total_high=found.total_high,
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.square(error).mean())),
        coverage=float(shares[_TRIED.index(_WANTED)]),
        past_rate_ratio=float(naive.sum()) / actual,
        past_rate_mae=float(np.abs(naive - came).mean()),
        gave_way=ladder.rungs[0].reason,
    )
    return origin, shares, miss


def _failures(origins: Sequence[Origin], at: Callable[[float], str]) -> list[str]:
    """Return what speaks against the model, each as a sentence with its numbers."""
    found = []
    for origin in origins:
        if not _LEVEL[0] <= origin.ratio <= _LEVEL[1]:
            found.append(
                f"from {at(origin.cut)} it foretold {origin.ratio:.2f} times the purchases that came within "
                f"{origin.h:g} ({origin.expected:.0f} against {origin.actual:.0f})"
            )
        if origin.model != "past_rate" and origin.mae > origin.past_rate_mae:
            found.append(
                f"from {at(origin.cut)} the past rate alone was nearer for single customers "
                f"(mean error {origin.past_rate_mae:.3f} against {origin.mae:.3f})"
            )
    return found


def _notes(purchases: Purchases, origins: Sequence[Origin], h: float, at: Callable[[float], str]) -> list[str]:
    """Return what asks for care: a simpler model, a check shorter than the question, a past that is cut off."""
    found = [
        f"from {at(origin.cut)} {origin.model} is used: {origin.gave_way}" for origin in origins if origin.gave_way
    ]
    longest = max(origin.h for origin in origins)
    if longest < h:
        found.append(f"the data allow a check over {longest:g} at most, {h:g} is asked: nothing is known beyond")
    first = purchases.time[np.flatnonzero(np.diff(purchases.customer, prepend=-1))]
    tenths = np.histogram(first, bins=10, range=(0, max(purchases.end, 1e-12)))[0]
    after = float(np.median(tenths[1:4]))
    if tenths[0] >= _HEAP_LEAST and after > 0 and tenths[0] > _HEAP * after:
        found.append(
            f"{tenths[0]} customers seem to come in the first tenth of the time, {after:.0f} in each of the next: many "
            "are old customers whose earlier purchases are not in the data"
        )
    return found
