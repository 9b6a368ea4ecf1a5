"""Who brings how much: what a ranking of customers concentrates, against the best one there could have been."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.value.btyd.columns import FloatArray, IntArray
from tierwise.value.btyd.groups import grouped

__all__ = ["Cells", "cells_of", "concentration", "of_tiers", "of_values"]


def concentration(customers: FloatArray, value: FloatArray) -> FloatArray:
    """Return the Gini coefficient of groups of customers in a given order, the lowest first.

    It is the area between the diagonal and the curve of cumulative value over cumulative customers (the Lorenz curve
    where the groups are ordered by what they bring), doubled: 0 of an order that tells nothing, below 0 of one that is
    upside down.

    Args:
        customers: how many are in each group; several rows are several samples.
        value: what each group brings in all.

    Example:
        >>> concentration(np.array([3.0, 1.0]), np.array([0.0, 8.0])).item()
        0.75
    """
    share = customers / customers.sum(axis=-1, keepdims=True)
    total = value.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        curve = np.cumsum(value, axis=-1) / total
    before = np.concatenate([np.zeros_like(total), curve[..., :-1]], axis=-1)
    return np.asarray(1 - (share * (curve + before)).sum(axis=-1), np.float64)


@dataclass(frozen=True)
class Cells:
    """Customers by tier and value, by value ascending: those of one cell are alike in everything that is asked here.

    `tier` counts from 0, the best one; `count` says how many customers a cell has.
    """

    tier: IntArray
    value: FloatArray
    count: FloatArray
    tiers: int

    @property
    def customers(self) -> int:
        """Return how many customers there are."""
        return int(self.count.sum())

    def sums(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return, for each row of weights of the cells, the customers and the value of each tier."""
        customers, value = np.zeros((weights.shape[0], self.tiers)), np.zeros((weights.shape[0], self.tiers))
        for tier in range(self.tiers):
            own = self.tier == tier
            customers[:, tier] = weights[:, own].sum(axis=1)
            value[:, tier] = weights[:, own] @ self.value[own]
        return customers, value


def cells_of(tier: IntArray, value: FloatArray, tiers: int) -> Cells:
    """Return customers as cells.

    Example:
        >>> cells = cells_of(np.array([0, 1, 1]), np.array([5.0, 0.0, 0.0]), 2)
        >>> cells.value.tolist(), cells.tier.tolist(), cells.count.tolist()
        ([0.0, 5.0], [1, 0], [2.0, 1.0])
    """
    groups = grouped([tier.astype(np.float64), value])
    of_tier, of_value = groups.column(0).astype(np.int64), groups.column(1)
    order = np.lexsort((of_tier, of_value))
    return Cells(of_tier[order], of_value[order], groups.count[order], tiers)


def of_tiers(customers: FloatArray, value: FloatArray) -> FloatArray:
    """Return the concentration of tiers that are listed best first."""
    return concentration(customers[..., ::-1], value[..., ::-1])


def of_values(cells: Cells, weights: FloatArray) -> FloatArray:
    """Return the concentration of the best ranking there could have been: that of the values themselves."""
    return concentration(weights, weights * cells.value)
