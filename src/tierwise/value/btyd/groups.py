"""Groups of customers with one and the same history: what is computed for one of them holds for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tierwise.value.btyd.columns import FloatArray, IntArray

__all__ = ["Coded", "Groups", "coded", "grouped", "weighted"]

#: Times usually lie on a grid: whole days, or days written in weeks. Steps per unit that are tried.
_GRIDS: Final = (1, 7)
#: A table over all possible keys is used while it is at most so many times as long as the rows.
_DENSE: Final = 8


@dataclass(frozen=True)
class Coded:
    """A column as its distinct values in ascending order, and for each row the place of its own among them."""

    values: FloatArray
    at: IntArray


@dataclass(frozen=True)
class Groups:
    """The distinct rows of some columns; `count` is the weight of each, `of_row` the group of each original row."""

    columns: tuple[Coded, ...]
    count: FloatArray
    of_row: IntArray

    def column(self, number: int) -> FloatArray:
        """Return one column's value for each group."""
        coded_column = self.columns[number]
        return coded_column.values[coded_column.at]


def coded(values: FloatArray) -> Coded:
    """Return a column as codes; whole numbers and days in weeks are coded without sorting the rows.

    Example:
        >>> coded(np.array([7.0, 0.0, 7.0])).at.tolist()
        [1, 0, 1]
    """
    for steps in _GRIDS:
        scaled = values * steps if steps > 1 else values
        whole = np.rint(scaled)
        # Only values that come back exactly are on the grid: codes must never make two different times one.
        if values.size and whole.min() >= 0 and (whole / steps == values).all():
            top = int(whole.max())
            if top <= _DENSE * values.size + 4096:
                keys = whole.astype(np.int64)
                seen = np.flatnonzero(np.bincount(keys, minlength=top + 1))
                places = np.zeros(top + 1, np.int64)
                places[seen] = np.arange(seen.size)
                return Coded(seen / steps, places[keys])
            break
    found, at = np.unique(values, return_inverse=True)
    return Coded(found, at.astype(np.int64, copy=False))


def grouped(columns: Sequence[FloatArray], weights: FloatArray | None = None) -> Groups:
    """Return the distinct rows of columns (no value missing), each with the weight of the rows it stands for.

    Example:
        >>> groups = grouped([np.array([1.0, 0.0, 1.0]), np.array([2.0, 3.0, 2.0])])
        >>> groups.column(0).tolist(), groups.column(1).tolist(), groups.count.tolist(), groups.of_row.tolist()
        ([0.0, 1.0], [3.0, 2.0], [1.0, 2.0], [1, 0, 1])
    """
    codes = [coded(values) for values in columns]
    sizes = [max(found.values.size, 1) for found in codes]
    space = int(np.prod([float(size) for size in sizes]))
    rows = codes[0].at.size
    if space >= 1 << 62:
        return _by_sorting_rows(codes, weights)
    keys = codes[0].at
    for found, size in zip(codes[1:], sizes[1:], strict=True):
        keys = keys * size + found.at
    if space <= _DENSE * rows + 4096:
        seen = np.flatnonzero(np.bincount(keys, minlength=space))
        places = np.zeros(space, np.int64)
        places[seen] = np.arange(seen.size)
        of_row = places[keys]
    else:
        seen, of_row = np.unique(keys, return_inverse=True)
    parts: list[Coded] = []
    rest = seen
    for found, size in zip(reversed(codes), reversed(sizes), strict=True):
        rest, at = np.divmod(rest, size)
        parts.append(Coded(found.values, at))
    return Groups(tuple(reversed(parts)), _counts(of_row, weights, seen.size), of_row)


def weighted(weights: FloatArray, values: FloatArray) -> float:
    """Return the sum of values, each times its weight.

    Not ``weights @ values``: for long columns that wakes the threads of the linear algebra library, which wait for each
    other longer than the sum takes, and on a busy machine four times as long.

    Example:
        >>> weighted(np.array([2.0, 1.0]), np.array([10.0, 5.0]))
        25.0
    """
    return float(np.einsum("i,i->", weights, values))


def _by_sorting_rows(codes: Sequence[Coded], weights: FloatArray | None) -> Groups:
    table = np.stack([found.at for found in codes], axis=1)
    seen, of_row = np.unique(table, axis=0, return_inverse=True)
    parts = tuple(Coded(found.values, seen[:, number]) for number, found in enumerate(codes))
    flat: NDArray[np.int64] = of_row.reshape(-1)
    return Groups(parts, _counts(flat, weights, seen.shape[0]), flat)


def _counts(of_row: IntArray, weights: FloatArray | None, size: int) -> FloatArray:
    return np.bincount(of_row, weights, minlength=size).astype(np.float64)
