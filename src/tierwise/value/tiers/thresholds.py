"""Other numbers in a tiering's rules that would have told more: sought on one past, to be tried on another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from tierwise.errors import TooLittleData
from tierwise.value.btyd.columns import FloatArray, IntArray
from tierwise.value.tiers.rules import Rules
from tierwise.value.tiers.sharing import of_tiers

__all__ = ["Found", "better_thresholds"]

#: The shares of customers below the numbers that are tried.
_TRIED: Final = np.concatenate([np.arange(1, 20) / 20, [0.97, 0.98, 0.99, 0.995]])
_ROUNDS: Final = 4
#: So many customers are looked at while numbers are sought.
_LOOKED_AT: Final = 20_000
#: A tier keeps at least this share of the customers, or half of what it has, whichever is less.
_LEAST_SHARE: Final = 0.01
#: What is gained on the past less than this is chance.
_LEAST_GAIN: Final = 0.001


@dataclass(frozen=True)
class Found:
    """The numbers that were found, and the concentration of the value in the past with the old ones and with them."""

    numbers: tuple[int | Decimal, ...]
    was: float
    is_: float


def better_thresholds(rules: Rules, columns: Mapping[str, Any], value: FloatArray, order: Sequence[int]) -> Found:
    """Seek the numbers whose tiers concentrate the value most, one after the other, until none is better.

    Only numbers at which the sizes stay usable are taken: no tier loses more than half of its customers below one in a
    hundred. What fits one past best fits another less well, so the answer is worth only what it does there.

    Args:
        rules: the tiering's rules.
        columns: what they compare and what else they ask, of each customer (see `Rules.place`).
        value: what each customer brought afterwards.
        order: the places of the tiers, best first.

    Raises:
        TooLittleData: when nobody brought anything, or no rule compares with a number.

    Example:
        >>> from tierwise.definitions.language.parser import parse
        >>> rules = Rules({"high": parse("spend > 900"), "low": None}, {})
        >>> value = np.repeat([0.0, 10.0], 500)
        >>> better_thresholds(rules, {"measured0$": np.arange(1000.0)}, value, [0, 1]).numbers
        (500,)
    """
    if not rules.thresholds:
        raise TooLittleData("no rule of it compares something with a number")
    if not value.size or value.sum() <= 0:
        raise TooLittleData("nobody brought anything afterwards: there is nothing to go by")
    step = -(-value.size // _LOOKED_AT)
    some = {name: np.asarray(values)[::step] for name, values in columns.items()}
    search = _Search(rules, some, value[::step], order)
    numbers = [threshold.number for threshold in rules.thresholds]
    best = was = search.told(numbers)
    for _ in range(_ROUNDS):
        before = best
        for together in search.moves():
            told, tried = search.best_of(numbers, together)
            if told > best + _LEAST_GAIN:
                best, numbers = told, tried
        if best == before:
            break
    return Found(tuple(numbers), was, best)


class _Search:
    """The tiers that numbers make of customers, and how much of the value they tell."""

    def __init__(self, rules: Rules, columns: Mapping[str, Any], value: FloatArray, order: Sequence[int]) -> None:
        self.rules, self.columns, self.value, self.order = rules, columns, value, list(order)
        self.candidates = {name: _candidates(columns[name]) for name in rules.measured}
        now = self.sizes(rules.place(columns, _floats([threshold.number for threshold in rules.thresholds])))
        self.least = np.minimum(_LEAST_SHARE * value.size, now / 2)

    def sizes(self, placed: IntArray) -> FloatArray:
        """Return how many customers each tier has."""
        return np.bincount(placed, minlength=len(self.order)).astype(np.float64)

    def told(self, numbers: Sequence[int | Decimal]) -> float:
        """Return the concentration of the value by the tiers that numbers make; below all where one is too small."""
        placed = self.rules.place(self.columns, _floats(numbers))
        customers = self.sizes(placed)
        if (customers < self.least).any():
            return -np.inf
        sums = np.bincount(placed, self.value, minlength=len(self.order)).astype(np.float64)
        return round(float(of_tiers(customers[self.order], sums[self.order])), 9)

    def moves(self) -> list[tuple[int, ...]]:
        """Return which numbers are changed together: each alone, and two of one thing, which bound one another."""
        thresholds = self.rules.thresholds
        pairs = [
            pair
            for pair in itertools.combinations(range(len(thresholds)), 2)
            if thresholds[pair[0]].measured == thresholds[pair[1]].measured
        ]
        return [*((at,) for at in range(len(thresholds))), *pairs]

    def best_of(self, numbers: Sequence[int | Decimal], together: tuple[int, ...]) -> tuple[float, list[int | Decimal]]:
        """Return the best numbers that differ only in these, and what they tell.

        Of numbers that tell as much, those farthest from what anybody has: they will part others as well.
        """
        found, room, chosen = -np.inf, 0.0, list(numbers)
        every = 1 if len(together) == 1 else 2
        choices = [self.candidates[self.rules.thresholds[at].measured][::every] for at in together]
        for choice in itertools.product(*choices):
            tried = list(numbers)
            for at, (number, _) in zip(together, choice, strict=True):
                tried[at] = number
            told, around = self.told(tried), min(one for _, one in choice)
            if (told, around) > (found, room):
                found, room, chosen = told, around, tried
        return found, chosen


def _candidates(measured: FloatArray) -> list[tuple[int | Decimal, float]]:
    """Return numbers people would write, whole ones of what is counted, each with the room around it."""
    known = measured[np.isfinite(measured)]
    if not known.size:
        return []
    cuts = np.unique(np.quantile(known, _TRIED))
    whole = bool((known == np.rint(known)).all())
    ends = np.sort(np.concatenate([cuts, (cuts[1:] + cuts[:-1]) / 2]))
    tried = dict.fromkeys(_rounded(float(cut), whole) for cut in ends)
    return [(number, float(np.abs(cuts - float(number)).min())) for number in tried]


def _rounded(number: float, whole: bool) -> int | Decimal:
    """Return a number with two significant digits, whole where what is measured is.

    Example:
        >>> _rounded(12345.6, False), _rounded(7.0, True), _rounded(0.1234, False)
        (Decimal('12000'), 7, Decimal('0.12'))
    """
    if whole:
        return round(number) if abs(number) < 100 else int(float(f"{number:.2g}"))
    return Decimal(f"{Decimal(f'{number:.2g}'):f}")


def _floats(numbers: Sequence[int | Decimal]) -> list[float]:
    return [float(number) for number in numbers]
