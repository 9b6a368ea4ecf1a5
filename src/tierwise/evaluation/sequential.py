"""How large a difference must be at each planned look, so that looking often does not find what is not there.

The share of the error that may be spent by each look follows Lan and DeMets (Biometrika 70, 1983); the bounds come from
integrating over the paths that have not crossed before (Armitage, McPherson and Rowe, JRSS A 132, 1969).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from tierwise.errors import BadRequest, near_name

__all__ = ["MOST_LOOKS", "SPENDING", "Looks", "bounds", "crossing", "spent"]

#: How the error is spent: little at first and nearly all at the end, or evenly.
SPENDING: Final = ("obrien_fleming", "pocock")
MOST_LOOKS: Final = 50

_FloatArray = NDArray[np.float64]
#: Beyond so many standard errors nothing is spent that could be told from nothing.
_FARTHEST: Final = 9.0
_NODES: Final = 256
_CLOSEST: Final = 0.005


@dataclass(frozen=True, slots=True)
class Looks:
    """When one looks: the share of the planned customers that are in by each look, the last one being 1.

    Example:
        >>> Looks.evenly(4).fractions
        (0.25, 0.5, 0.75, 1.0)
    """

    fractions: tuple[float, ...] = (1.0,)
    spending: str = "obrien_fleming"

    def __post_init__(self) -> None:
        if self.spending not in SPENDING:
            raise BadRequest(f"the error cannot be spent by `{self.spending}`", near_name(self.spending, SPENDING))
        if not 1 <= len(self.fractions) <= MOST_LOOKS:
            raise BadRequest(f"{len(self.fractions)} looks are planned; 1 to {MOST_LOOKS} are possible")
        steps = np.diff((0.0, *self.fractions))
        if not np.isfinite(steps).all() or (steps < _CLOSEST).any() or abs(self.fractions[-1] - 1) > 1e-9:
            shown = ", ".join(f"{fraction:g}" for fraction in self.fractions)
            raise BadRequest(f"the looks {shown} are no rising shares that end at 1", "write 0.25, 0.5, 1")

    @classmethod
    def evenly(cls, many: int, spending: str = "obrien_fleming") -> Looks:
        """Return so many looks at equal distances.

        Raises:
            BadRequest: There are none, or too many.
        """
        if not 1 <= many <= MOST_LOOKS:
            raise BadRequest(f"{many} looks are planned; 1 to {MOST_LOOKS} are possible")
        return cls(tuple((look + 1) / many for look in range(many)), spending)


def spent(spending: str, alpha: float, fraction: float) -> float:
    """Return how much of the two-sided error may be spent by a share of the customers.

    Example:
        >>> round(spent("obrien_fleming", 0.05, 0.5), 5), round(spent("pocock", 0.05, 0.5), 4)
        (0.00305, 0.031)
    """
    if fraction >= 1:
        return alpha
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    return float(4 * ndtr(ndtri(alpha / 4) / math.sqrt(fraction)))


@cache
def bounds(looks: Looks, alpha: float = 0.05) -> tuple[float, ...]:
    """Return how many standard errors a difference must reach at each look.

    Args:
        looks: The planned looks.
        alpha: The two-sided error of all looks together.

    Example:
        >>> [round(bound, 2) for bound in bounds(Looks.evenly(5))]
        [4.88, 3.36, 2.68, 2.29, 2.03]
        >>> [round(bound, 2) for bound in bounds(Looks.evenly(5, "pocock"))]
        [2.44, 2.43, 2.41, 2.4, 2.39]
    """
    found: list[float] = []
    paths = _Paths(0.0)
    before = 0.0
    for fraction in looks.fractions:
        now = spent(looks.spending, alpha, fraction)
        bound = paths.bound(fraction, now - before)
        paths.step(fraction, bound)
        found.append(bound)
        before = now
    return tuple(found)


def crossing(looks: Looks, limits: Sequence[float], drift: float) -> tuple[float, ...]:
    """Return the probability that each look is the first at which the difference is large enough.

    Args:
        looks: The planned looks.
        limits: See `bounds`.
        drift: The true difference in standard errors of the last look.

    Example:
        >>> looks = Looks.evenly(5)
        >>> round(sum(crossing(looks, bounds(looks), 0.0)), 4)
        0.05
    """
    paths = _Paths(drift)
    return tuple(
        paths.step(fraction, limit) for fraction, limit in zip(looks.fractions, limits, strict=True)
    )  # fmt: skip


@cache
def _quadrature() -> tuple[_FloatArray, _FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


class _Paths:
    """Brownian motion with a drift that has stayed inside the bounds so far: where it is, and with what density."""

    def __init__(self, drift: float) -> None:
        self._drift = drift
        self._time = 0.0
        self._at: _FloatArray = np.zeros(1)
        self._mass: _FloatArray = np.ones(1)

    def outside(self, fraction: float, bound: float) -> float:
        """Return the probability of being outside at the next look."""
        width, mean = self._next(fraction)
        limit = bound * math.sqrt(fraction)
        beyond = ndtr((mean - limit) / width) + ndtr((-limit - mean) / width)
        return float(self._mass @ beyond)

    def bound(self, fraction: float, spend: float) -> float:
        """Return the bound at which just so much is spent at the next look."""
        if self.outside(fraction, _FARTHEST) >= spend:
            return _FARTHEST
        return float(brentq(lambda bound: self.outside(fraction, bound) - spend, 0.0, _FARTHEST, xtol=1e-10))

    def step(self, fraction: float, bound: float) -> float:
        """Go on to the next look; return the probability of being outside there."""
        crossed = self.outside(fraction, bound)
        width, mean = self._next(fraction)
        nodes, weights = _quadrature()
        limit = bound * math.sqrt(fraction)
        places = nodes * limit
        density = np.exp(-0.5 * ((places[:, None] - mean[None, :]) / width) ** 2) / (width * math.sqrt(2 * math.pi))
        self._mass = weights * limit * (density @ self._mass)
        self._at, self._time = places, fraction
        return crossed

    def _next(self, fraction: float) -> tuple[float, _FloatArray]:
        passed = fraction - self._time
        return math.sqrt(passed), self._at + self._drift * passed
