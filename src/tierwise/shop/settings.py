"""What can be chosen about the simulated shop, and what comes back after writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

from tierwise.errors import BadRequest

__all__ = ["BLOCK_CUSTOMERS", "SHANGHAI", "SHOP_END", "ShopSettings", "ShopSummary"]

#: The shop's zone. There has been no summer time since 1991, so a fixed offset is exact for every shop.
SHANGHAI: Final = timezone(timedelta(hours=8), "Asia/Shanghai")

#: The instant the shop's records stop: midnight after 30 June 2026. No row is at or after it.
SHOP_END: Final = datetime(2026, 7, 1, tzinfo=SHANGHAI)

#: Customers drawn from one seed. Parts hold whole blocks, so the size of the parts never changes a row.
BLOCK_CUSTOMERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """How the simulated brand is.

    Args:
        end: The instant the records stop, with a zone. Every row is earlier, and in Shanghai wall time.
        years: How long the shop has been recording, at least 1.5.
        growth: Growth of customer arrivals, as log per year (0.35 is 42 % a year).
        prospect_share: Share of arrivals who only ever browse.
        visitor_share: Share of arrivals known by a device number only (``v-…``); they are among those who browse.
        events_per_customer: Average number of event rows per customer. Below about 20 the older sessions are left out,
            as a brand does that keeps its click log for a short time.
        dirt: Rows of the back office file that are broken, as a share of all orders (at most 500 rows); 0 for none.
        customers_per_part: Customers per Parquet part, a multiple of `BLOCK_CUSTOMERS`.

    Example:
        >>> ShopSettings().start.isoformat()
        '2023-07-01T00:00:00+08:00'
    """

    end: datetime = SHOP_END
    years: float = 3.0
    growth: float = 0.35
    prospect_share: float = 0.22
    visitor_share: float = 0.03
    events_per_customer: float = 30.0
    dirt: float = 0.001
    customers_per_part: int = 50_000

    def __post_init__(self) -> None:
        if self.end.tzinfo is None:
            raise BadRequest(f"shop setting end = {self.end.isoformat()}: must have a zone")
        if not 2015 <= self.end.year <= 2035 or self.end.microsecond:
            raise BadRequest(
                f"shop setting end = {self.end.isoformat()}: must be a whole second in the years 2015 to 2035"
            )
        _require("years", self.years, 1.5, 10.0)
        _require("growth", self.growth, 0.0, 2.0)
        _require("prospect_share", self.prospect_share, 0.0, 0.9)
        _require("visitor_share", self.visitor_share, 0.0, self.prospect_share)
        _require("events_per_customer", self.events_per_customer, 1.0, 1000.0)
        _require("dirt", self.dirt, 0.0, 0.1)
        if self.customers_per_part < BLOCK_CUSTOMERS or self.customers_per_part % BLOCK_CUSTOMERS:
            raise BadRequest(
                f"shop setting customers_per_part = {self.customers_per_part}: must be a multiple of {BLOCK_CUSTOMERS}"
            )

    @property
    def start(self) -> datetime:
        """The midnight from which customers arrive."""
        first = self.end.astimezone(SHANGHAI) - timedelta(days=round(self.years * 365.25))
        return first.replace(hour=0, minute=0, second=0)


@dataclass(frozen=True, slots=True)
class ShopSummary:
    """What was written: the number of rows per table (a table's parts added up).

    Example:
        >>> ShopSummary(customers=5, rows={"orders": 12}).rows["orders"]
        12
    """

    customers: int
    rows: Mapping[str, int] = field(default_factory=dict)


def _require(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside its bounds, saying which."""
    if not low <= value <= high:
        raise BadRequest(f"shop setting {name} = {value}: must be from {low} to {high}")
