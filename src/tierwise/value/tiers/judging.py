"""A tiering against what came after it: value by tier with intervals, what its steps are worth, and one score."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tierwise.errors import BadRequest, TooLittleData
from tierwise.value.btyd.columns import FloatArray, column
from tierwise.value.tiers.sharing import Cells, cells_of, of_tiers, of_values

__all__ = ["Difference", "Judgement", "Step", "TierWorth", "compare", "judge"]

#: Fewer customers than this say nothing about a tiering.
_LEAST_CUSTOMERS: Final = 50
#: How many samples are drawn again, and how many cells of samples are held at a time.
_SAMPLES: Final = 400
_LEAST_SAMPLES: Final = 100
_DRAWN: Final = 40_000_000
_HELD: Final = 4_000_000
_BOUNDS: Final = (2.5, 97.5)
#: A concentration that is only the rounding of equal values.
_EQUAL: Final = 1e-9


@dataclass(frozen=True)
class TierWorth:
    """What the customers of a tier brought afterwards; `lift` is their share of the value by their share of customers.

    Bounds are those of 95 % of samples drawn again; of a tier without customers nothing is known.
    """

    tier: str
    customers: int
    share: float
    value: float
    mean: float | None
    mean_low: float | None
    mean_high: float | None
    value_share: float
    value_share_low: float
    value_share_high: float
    lift: float | None


@dataclass(frozen=True)
class Step:
    """By how much the mean of a tier is above that of the next one down; significant when its interval is above 0."""

    better: str
    worse: str
    difference: float
    low: float
    high: float
    significant: bool


@dataclass(frozen=True)
class Judgement:
    """A tiering judged: `score` is the share it has of the concentration of the best ranking there could have been.

    `separation` is η², the share of the variance of what customers brought that lies between tiers; `balance` the
    entropy of the tiers' sizes, 1 where all are equal and 0 where everybody is in one.
    """

    tiers: tuple[TierWorth, ...]
    steps: tuple[Step, ...]
    score: float
    score_low: float
    score_high: float
    gini: float
    gini_of_best: float
    separation: float
    balance: float

    @property
    def is_monotone(self) -> bool:
        """Whether each tier brought more than the next one down, beyond chance."""
        return bool(self.steps) and all(step.significant for step in self.steps)


@dataclass(frozen=True)
class Difference:
    """Two tierings of the same customers: their scores, and the interval of the difference (first less second)."""

    first: float
    second: float
    difference: float
    low: float
    high: float


def judge(tier: Any, value: Any, names: Sequence[str], rng: np.random.Generator) -> Judgement:
    """Judge a tiering by what its customers brought afterwards.

    Args:
        tier: the place of each customer's tier among `names`.
        value: what each customer brought afterwards.
        names: the tiers, best first.
        rng: the source of chance for the samples that are drawn again.

    Raises:
        BadRequest: when the columns do not fit each other or hold what is no number.
        TooLittleData: when there are fewer than 50 customers, or nothing was brought.

    Example:
        >>> value = np.arange(100.0)
        >>> found = judge(value < 50, value, ["high", "low"], np.random.default_rng(1))
        >>> found.is_monotone, found.tiers[0].value_share > 0.7, round(found.score, 2)
        (True, True, 0.75)
    """
    cells = _checked(tier, value, len(names))
    customers, brought = (row[0] for row in cells.sums(cells.count[None]))
    total, everyone = float(brought.sum()), float(customers.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = [(*cells.sums(weights), _score(cells, weights)) for weights in _samples(cells, rng)]
        many, sums, scores = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
        means, shares = sums / many, sums / sums.sum(axis=1, keepdims=True)
        own = brought / customers
        score = float(_score(cells, cells.count[None])[0])
    low, high = _bounds(scores)
    there = np.flatnonzero(customers)
    between = float((customers[there] * (own[there] - total / everyone) ** 2).sum())
    around = float((cells.count * (cells.value - total / everyone) ** 2).sum())
    return Judgement(
        tiers=tuple(
            _tier(name, float(customers[at]), float(brought[at]), everyone, total, means[:, at], shares[:, at])
            for at, name in enumerate(names)
        ),
        steps=tuple(_step(names, means, own, int(better), int(worse)) for better, worse in itertools.pairwise(there)),
        score=_within(score),
        score_low=_within(low),
        score_high=_within(high),
        gini=float(of_tiers(customers, brought)),
        gini_of_best=float(of_values(cells, cells.count)),
        separation=between / around if around > _EQUAL else 0.0,
        balance=_balance(customers),
    )


def compare(first: Any, second: Any, value: Any, tiers: tuple[int, int], rng: np.random.Generator) -> Difference:
    """Return by how much one tiering of customers tells more of what they brought than another, with its interval.

    Both are judged on the same samples, so that what chance does to both is not counted as a difference.

    Args:
        first: the place of each customer's tier in one tiering, 0 the best.
        second: the same in the other.
        value: what each customer brought afterwards.
        tiers: how many tiers each of the two has.
        rng: the source of chance.

    Raises:
        BadRequest: see `judge`.
        TooLittleData: see `judge`.

    Example:
        >>> value = np.arange(100.0)
        >>> found = compare(value < 80, value < 50, value, (2, 2), np.random.default_rng(1))
        >>> found.difference < 0
        True
    """
    sides = [_checked(side, value, many) for side, many in zip((first, second), tiers, strict=True)]
    # One cell for each pair of tiers and value: the two tierings then share their samples.
    codes = np.asarray(first, np.int64) * tiers[1] + np.asarray(second, np.int64)
    pairs = cells_of(codes, column(value, "value"), tiers[0] * tiers[1])
    own = [
        Cells(pairs.tier // tiers[1], pairs.value, pairs.count, tiers[0]),
        Cells(pairs.tier % tiers[1], pairs.value, pairs.count, tiers[1]),
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = [float(_score(side, side.count[None])[0]) for side in sides]
        drawn = [_score(own[0], weights) - _score(own[1], weights) for weights in _samples(pairs, rng)]
    low, high = _bounds(np.concatenate(drawn))
    return Difference(_within(scores[0]), _within(scores[1]), scores[0] - scores[1], low, high)


def _checked(tier: Any, value: Any, tiers: int) -> Cells:
    places, brought = np.asarray(tier).astype(np.int64), np.atleast_1d(column(value, "value"))
    if places.size != brought.size:
        raise BadRequest(f"`tier` has {places.size} rows, `value` has {brought.size}")
    if not np.isfinite(brought).all():
        raise BadRequest("`value` is missing or infinite somewhere", column="value")
    if places.size < _LEAST_CUSTOMERS:
        raise TooLittleData(f"a tiering is judged by at least {_LEAST_CUSTOMERS} customers, there are {places.size}")
    if places.min() < 0 or places.max() >= tiers:
        raise BadRequest(f"a tier is none of the {tiers} that are named", column="tier")
    if brought.sum() <= 0:
        raise TooLittleData("nobody brought anything afterwards: there is nothing to judge by")
    return cells_of(places, brought, tiers)


def _score(cells: Cells, weights: FloatArray) -> FloatArray:
    """Return the score of each row of weights: 0 where everybody brings the same, so that nobody can be told apart."""
    best = of_values(cells, weights)
    return np.asarray(np.where(best > _EQUAL, of_tiers(*cells.sums(weights)) / best, 0.0), np.float64)


def _samples(cells: Cells, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield samples drawn again, some rows at a time: how many customers of each cell are in each sample."""
    customers, size = cells.customers, cells.count.size
    chances = cells.count / cells.count.sum()
    left = int(min(max(_DRAWN // size, _LEAST_SAMPLES), _SAMPLES))
    while left:
        rows = min(left, max(1, _HELD // size))
        yield rng.multinomial(customers, chances, size=rows).astype(np.float64)
        left -= rows


def _bounds(drawn: FloatArray) -> tuple[float, float]:
    known = drawn[np.isfinite(drawn)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _BOUNDS)
    return float(low), float(high)


def _within(score: float) -> float:
    """Return a score between 0 and 1: an order that is upside down tells as little as none."""
    return min(max(score, 0.0), 1.0)


def _tier(
    name: str, customers: float, value: float, everyone: float, total: float, means: FloatArray, shares: FloatArray
) -> TierWorth:
    low, high = _bounds(means)
    share_low, share_high = _bounds(shares)
    share, part = customers / everyone, value / total
    known = customers > 0
    return TierWorth(
        tier=name,
        customers=int(customers),
        share=share,
        value=value,
        mean=value / customers if known else None,
        mean_low=low if known else None,
        mean_high=high if known else None,
        value_share=part,
        value_share_low=share_low,
        value_share_high=share_high,
        lift=part / share if known else None,
    )


def _step(names: Sequence[str], means: FloatArray, own: FloatArray, better: int, worse: int) -> Step:
    low, high = _bounds(means[:, better] - means[:, worse])
    return Step(names[better], names[worse], float(own[better] - own[worse]), low, high, low > 0)


def _balance(customers: FloatArray) -> float:
    if customers.size < 2:
        return 0.0
    shares = customers[customers > 0] / customers.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(customers.size)) + 0.0
