"""Published distributions and comparisons with them, by definition: nothing is tabulated, all values are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from tierwise.definitions.language.kinds import BOOLEAN, FLOAT
from tierwise.definitions.language.reference.numbers import fit, mean, nine_digits, sortable
from tierwise.definitions.language.typed import Population, Value

__all__ = ["COMPARISONS", "Published", "compare_with", "nowhere"]


@dataclass(frozen=True, slots=True)
class Published:
    """One distribution: for each group (the value of `by`; None without it) the values of `x`, in any order."""

    groups: Mapping[Value, Sequence[Value]]


def nowhere(node: Population) -> Value:
    """Return the answer for a customer who is compared with nobody: false for a condition, else missing."""
    return False if node.kind == BOOLEAN else None


def compare_with(node: Population, x: Value, group: Sequence[Value]) -> Any:
    """Return where x stands in a group that was published and is not empty."""
    return COMPARISONS[node.function](node, x, group)


def _sorted(node: Population, values: Sequence[Value]) -> list[Any]:
    return sorted(sortable(value, node.x.kind) for value in values)


def _cut_point(ascending: Sequence[Any], k: int, n: int) -> Any:
    """The smallest value with at least k/n of the values at or below it: the m-th smallest for m = k/n of them."""
    m = math.ceil(Fraction(k * len(ascending), n))
    return ascending[m - 1]


def _cut_point_from_above(ascending: Sequence[Any], k: int, n: int) -> Any:
    """The largest value with at least k/n of the values at or above it: the m-th largest."""
    m = math.ceil(Fraction(k * len(ascending), n))
    return ascending[-m]


def _ntile(node: Population, x: Value, group: Sequence[Value]) -> int:
    n = 5 if node.function == "quintile" else node.n
    assert n is not None
    values, own = _sorted(node, group), sortable(x, node.x.kind)
    tile = 1 + sum(1 for k in range(1, n) if _cut_point(values, k, n) < own)
    return n + 1 - tile if node.best == "low" else tile


def _percent_rank(node: Population, x: Value, group: Sequence[Value]) -> float:
    values, own = _sorted(node, group), sortable(x, node.x.kind)
    if node.best == "low":
        return sum(1 for k in range(1, 1001) if _cut_point_from_above(values, k, 1000) > own) / 1000
    return sum(1 for k in range(1, 1001) if _cut_point(values, k, 1000) < own) / 1000


def _rank(node: Population, x: Value, group: Sequence[Value]) -> int:
    values, own = _sorted(node, group), sortable(x, node.x.kind)
    better = [v for v in values if (v < own if node.best == "low" else v > own)]
    return 1 + len(better)


def _in_top(node: Population, x: Value, group: Sequence[Value]) -> bool:
    rank = _rank(node, x, group)
    if node.n is not None:
        return rank <= node.n
    assert node.percent is not None
    return Decimal((rank - 1) * 100) < node.percent * len(group)


def _placed(node: Population, group: Sequence[Value]) -> tuple[Any, ...]:
    """The values as they are compared: floats of 9 digits."""
    return tuple(sortable(value, node.x.kind) for value in group)


@lru_cache(maxsize=256)
def _mean_and_deviation(group: tuple[Any, ...]) -> tuple[float | None, float | None]:
    """The mean, as `avg` has it, and the population standard deviation; missing when it is 0 or beyond binary64."""
    exact = [Fraction(value) for value in group]
    middle = sum(exact, Fraction()) / len(exact)
    variance: Any = fit(sum(((value - middle) ** 2 for value in exact), Fraction()) / len(exact), FLOAT)
    return mean(group), math.sqrt(variance) if variance else None


def _above_mean(node: Population, x: Any, group: Sequence[Value]) -> bool:
    average, _ = _mean_and_deviation(_placed(node, group))
    if average is None:
        return False
    own, middle = nine_digits(float(x)), nine_digits(average)
    return own < middle if node.best == "low" else own > middle


def _zscore(node: Population, x: Any, group: Sequence[Any]) -> float | None:
    average, deviation = _mean_and_deviation(_placed(node, group))
    if average is None or deviation is None:
        return None
    score = (float(sortable(x, node.x.kind)) - average) / deviation
    return -score if node.best == "low" else score


COMPARISONS: Final[Mapping[str, Callable[[Population, Any, Sequence[Any]], Any]]] = MappingProxyType(
    {
        "ntile": _ntile,
        "quintile": _ntile,
        "percent_rank": _percent_rank,
        "rank": _rank,
        "in_top": _in_top,
        "above_mean": _above_mean,
        "zscore": _zscore,
    }
)
