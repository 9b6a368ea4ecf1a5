"""Counts, means and covariances of each arm: all that a comparison needs of millions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tierwise.evaluation.columns import FloatArray, IntArray

__all__ = ["Moments", "moments_of"]

_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Moments:
    """One arm: `count` rows, and of its columns the `mean`, the sums of products around it, and how many are not 0."""

    count: int
    mean: FloatArray
    products: FloatArray
    nonzero: IntArray

    def covariance(self) -> FloatArray:
        """Return the covariances of the columns, as of a sample."""
        return self.products / max(self.count - 1, 1)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both together (Chan, Golub and LeVeque 1979, equation 2.1)."""
        if not self.count or not other.count:
            return other if not self.count else self
        count = self.count + other.count
        apart = other.mean - self.mean
        products = self.products + other.products + np.outer(apart, apart) * (self.count * other.count / count)
        mean = self.mean + apart * (other.count / count)
        return Moments(count, mean, products, self.nonzero + other.nonzero)


def moments_of(arms: IntArray, many: int, columns: Sequence[FloatArray]) -> list[Moments]:
    """Return the moments of each of the `many` arms.

    Args:
        arms: The arm of each row, counted from 0.
        many: How many arms there are.
        columns: The columns, equally long.

    Example:
        >>> found = moments_of(np.array([0, 1, 0]), 2, [np.array([1.0, 5.0, 3.0])])
        >>> found[0].count, found[0].mean, found[0].covariance()
        (2, array([2.]), array([[2.]]))
    """
    width = len(columns)
    found = [Moments(0, np.zeros(width), np.zeros((width, width)), np.zeros(width, np.int64)) for _ in range(many)]
    for first in range(0, arms.size, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        values = np.stack([values[part] for values in columns], axis=1)
        for arm in range(many):
            found[arm] = found[arm] + _moments(values[arms[part] == arm])
    return found


def _moments(values: NDArray[np.float64]) -> Moments:
    count, width = values.shape
    if not count:
        return Moments(0, np.zeros(width), np.zeros((width, width)), np.zeros(width, np.int64))
    mean = values.mean(axis=0)
    apart = values - mean
    return Moments(count, mean, apart.T @ apart, np.count_nonzero(values, axis=0).astype(np.int64))
