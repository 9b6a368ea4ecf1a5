"""Numerical gradients, to hold the analytic ones against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.value.btyd.maximum import Likelihood

__all__ = ["differences"]


def differences(likelihood: Likelihood, at: NDArray[np.float64], step: float = 1e-5) -> NDArray[np.float64]:
    """Return the gradient by central differences."""
    found = np.empty(at.size)
    for place in range(at.size):
        aside = np.zeros(at.size)
        aside[place] = step
        found[place] = (likelihood.at(at + aside)[0] - likelihood.at(at - aside)[0]) / (2 * step)
    return found
