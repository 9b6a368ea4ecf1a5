"""How much moves: the values that rules read between two instants, and the customers between tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tierwise.value.btyd.columns import FloatArray, column

__all__ = ["Migration", "drift", "migration"]

_BINS: Final = 10
#: A bin that is empty on one side counts as this share: its logarithm would be none.
_FLOOR: Final = 1e-4


def drift(before: Any, after: Any) -> float:
    """Return the population stability index of a column between two instants.

    The values of the first instant are cut into tenths (what is missing is a part of its own), and the index is
    Σ (a − b) ln(a / b) over the shares b before and a after. By the custom of credit scoring below 0.1 is steady and
    above 0.25 another population.

    Args:
        before: the values of everybody known at the first instant.
        after: the values of everybody known at the second.

    Example:
        >>> drift([1, 2, 3, 4] * 25, [1, 2, 3, 4] * 10), drift([1, 2, 3, 4] * 25, [4] * 100) > 0.25
        (0.0, True)
    """
    old, new = np.atleast_1d(column(before, "before")), np.atleast_1d(column(after, "after"))
    known = old[np.isfinite(old)]
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if known.size else np.array([], np.float64)
    b, a = (_shares(side, edges) for side in (old, new))
    return float(((a - b) * np.log(a / b)).sum())


def _shares(values: FloatArray, edges: FloatArray) -> FloatArray:
    missing = ~np.isfinite(values)
    at = np.where(missing, edges.size + 1, np.searchsorted(edges, np.where(missing, 0.0, values), side="left"))
    counts = np.bincount(at, minlength=edges.size + 2)
    return np.maximum(counts / max(values.size, 1), _FLOOR)


@dataclass(frozen=True)
class Migration:
    """Who went where between two instants, of those who were in a tier at both.

    `stayed` is the share that is where it was. `entropy` is how little the tier before tells of the tier after: 0 when
    it settles it, 1 when it tells nothing. `kappa` (Cohen) is the agreement beyond that of chance: 1 when nobody moved,
    0 when the tiers might have been drawn anew; it is missing where everybody is in one tier.
    """

    customers: int
    stayed: float
    entropy: float
    kappa: float | None


def migration(moves: Mapping[tuple[str, str], int], names: Sequence[str]) -> Migration | None:
    """Return what a migration matrix says; nothing when nobody was in a tier at both instants.

    Args:
        moves: how many went from one tier to another, by (was, is).
        names: the tiers.

    Example:
        >>> found = migration({("high", "high"): 40, ("low", "low"): 50, ("low", "high"): 10}, ["high", "low"])
        >>> found.stayed, round(found.kappa, 2)
        (0.9, 0.8)
    """
    at = {name: place for place, name in enumerate(names)}
    counts = np.zeros((len(at), len(at)))
    for (was, is_), customers in moves.items():
        if was in at and is_ in at:
            counts[at[was], at[is_]] += customers
    total = counts.sum()
    if not total:
        return None
    shares = counts / total
    rows = shares.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(shares > 0, np.log(shares / rows), 0.0)
    stayed = float(np.trace(shares))
    by_chance = float((shares.sum(axis=1) * shares.sum(axis=0)).sum())
    kappa = (stayed - by_chance) / (1 - by_chance) if by_chance < 1 - 1e-12 else None
    entropy = float(-(shares * logs).sum() / np.log(len(at))) + 0.0 if len(at) > 1 else 0.0
    return Migration(int(total), stayed, entropy, kappa)
