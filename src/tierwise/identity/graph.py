"""Connected components and the parts of a graph that hold things together, over whole arrays."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Ints", "between", "components", "dense", "several"]

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def dense(values: Ints) -> tuple[Ints, int]:
    """Return the values numbered from 0 without gaps, in their order, and how many there are.

    Example:
        >>> numbered, count = dense(np.array([70, 3, 70]))
        >>> numbered.tolist(), count
        ([1, 0, 1], 2)
    """
    distinct, numbered = np.unique(values, return_inverse=True)
    return numbered.astype(np.int64, copy=False).reshape(-1), len(distinct)


def components(count: int, left: Ints, right: Ints) -> Ints:
    """Return for each of `count` nodes the number of its component; `left` and `right` are the ends of the edges.

    Example:
        >>> components(4, np.array([0, 2]), np.array([2, 2])).tolist()
        [0, 1, 0, 2]
    """
    if not len(left):
        return np.arange(count, dtype=np.int64)
    # Imported late: a project that links nothing starts without it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    small = np.int32 if count < 2**31 else np.int64
    ends = left.astype(small, copy=False), right.astype(small, copy=False)
    edges = coo_array((np.ones(len(left), np.int8), ends), shape=(count, count)).tocsr()
    _, labels = connected_components(edges, directed=False)
    return np.asarray(labels, np.int64)


def several(groups: Ints, values: Ints) -> Ints:
    """Return the groups that hold more than one distinct value, sorted.

    Example:
        >>> several(np.array([1, 1, 2, 2, 3]), np.array([5, 6, 7, 7, 8])).tolist()
        [1]
    """
    order = np.lexsort((values, groups))
    of, value = groups[order], values[order]
    changes = (of[1:] == of[:-1]) & (value[1:] != value[:-1])
    return np.unique(of[1:][changes])


def between(left: Ints, right: Ints, ends: Ints) -> Bools:
    """Return which edges may lie on a way from one of `ends` to another: what hangs on one place only does not.

    Args:
        left: one end of each edge.
        right: the other end.
        ends: the nodes between which ways are sought.

    Example:
        >>> between(np.array([0, 1, 1]), np.array([1, 2, 3]), np.array([0, 2])).tolist()
        [True, True, False]
    """
    nodes, numbered = np.unique(np.concatenate([left, right]), return_inverse=True)
    numbered = numbered.reshape(-1)
    a, b = numbered[: len(left)], numbered[len(left) :]
    kept = np.isin(nodes, ends)
    inside = np.ones(len(left), np.bool_)
    while True:
        degrees = np.bincount(a[inside], minlength=len(nodes)) + np.bincount(b[inside], minlength=len(nodes))
        loose = (degrees <= 1) & ~kept
        falls = inside & (loose[a] | loose[b])
        if not falls.any():
            return inside
        inside &= ~falls
