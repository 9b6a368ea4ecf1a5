"""The latent types of customer, and how people of each type behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tierwise.shop.catalogue import CATEGORIES

__all__ = ["BROWSER", "CHANNELS", "TYPES", "CustomerType", "by_type", "type_shares"]

CHANNELS: Final = ("store", "mini_program", "app", "marketplace")


@dataclass(frozen=True, slots=True)
class CustomerType:
    """How one latent type behaves.

    Purchases follow the beta-geometric/NBD of Fader, Hardie & Lee (2005): each customer has an order rate, gamma
    distributed over customers, and a probability of dropping out after each order, beta distributed. Gaps are gamma
    distributed instead of exponential (`regularity` is the shape; 2 is the condensed NBD of Chatfield & Goodhardt,
    1973), because people who have just bought are stocked up.

    Args:
        share: Share of arrivals that are not browsers.
        orders_per_year: Mean order rate while the customer stays.
        rate_shape: Gamma shape of the rate over customers; the larger, the more alike they are.
        ticket: Median order amount in yuan.
        ticket_spread: Standard deviation of the log ticket over customers.
        regularity: Gamma shape of the gaps.
        drop: Parameters of the beta distribution of the probability to drop out after an order.
        engaged: Probability of being somebody who looks around between purchases.
        income: Weight of districts with low, middle and high income.
        channels: Weight of each of `CHANNELS`.
        categories: Weight of each of `CATEGORIES`.
    """

    name: str
    share: float
    orders_per_year: float
    rate_shape: float
    ticket: float
    ticket_spread: float
    regularity: float
    drop: tuple[float, float]
    engaged: float
    income: tuple[float, float, float]
    channels: tuple[float, float, float, float]
    categories: tuple[float, ...]

    def __post_init__(self) -> None:
        assert len(self.categories) == len(CATEGORIES) and len(self.channels) == len(CHANNELS)


TYPES: Final = (
    CustomerType(
        "browser", 0.0, 0.0, 8.0, 150.0, 0.5, 2.0, (1.0, 1.0), 1.0,
        (1.0, 1.0, 1.0), (1, 4, 3, 2), (2, 1, 3, 3, 1, 2, 1, 1),
    ),
    CustomerType(
        "occasional", 0.42, 2.5, 14.0, 95.0, 0.35, 3.0, (0.55, 1.9), 0.95,
        (1.3, 1.0, 0.7), (4, 3, 2, 4), (2, 0.3, 2, 2, 1, 3, 2, 2),
    ),
    CustomerType(
        "regular", 0.29, 12.0, 14.0, 85.0, 0.32, 2.0, (0.5, 9.0), 0.78,
        (1.2, 1.1, 0.8), (5, 4, 3, 1), (2, 0.2, 1, 1, 2, 4, 4, 3),
    ),
    CustomerType(
        "connoisseur", 0.16, 2.4, 14.0, 1100.0, 0.28, 3.0, (0.6, 2.2), 0.95,
        (0.6, 1.0, 1.8), (3, 3, 3, 2), (4, 4, 4, 1, 1, 0.5, 0.2, 0.1),
    ),
    CustomerType(
        "devoted", 0.13, 13.0, 14.0, 820.0, 0.28, 2.0, (0.4, 11.0), 0.92,
        (0.5, 1.0, 2.2), (4, 4, 4, 1), (5, 1.5, 5, 1.5, 2, 1, 0.4, 0.4),
    ),
)  # fmt: skip

#: Position of the type that never buys.
BROWSER: Final = 0


def type_shares(prospect_share: float) -> NDArray[np.float64]:
    """Return the share of each type when so many of all arrivals are browsers.

    Example:
        >>> bool(np.isclose(type_shares(0.25).sum(), 1))
        True
    """
    shares = np.array([kind.share for kind in TYPES])
    shares *= (1.0 - prospect_share) / shares.sum()
    shares[BROWSER] = prospect_share
    return shares


def by_type(field: str) -> NDArray[np.float64]:
    """Return one figure of every type, in the order of `TYPES`; rows of figures for weights.

    Example:
        >>> by_type("orders_per_year").tolist()
        [0.0, 2.5, 12.0, 2.4, 13.0]
    """
    return np.array([getattr(kind, field) for kind in TYPES], np.float64)
