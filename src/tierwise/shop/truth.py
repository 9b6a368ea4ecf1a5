"""The hidden truth: each customer's tiers as they follow from the latent process, and what they spend next year.

No row of the sources is looked at. The tiers follow from type, rate, ticket, the instant of dropping out, and until
when a customer keeps looking around; only "has a first (second) purchase happened yet" is a fact of the process itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.browsing import Presence
from tierwise.shop.cohort import Cohort
from tierwise.shop.columns import instants, money, picked
from tierwise.shop.purchases import Orders
from tierwise.shop.seasons import Seasons
from tierwise.shop.types import TYPES

__all__ = ["ENGAGEMENT_TIERS", "LIFECYCLE_TIERS", "PURCHASE_TIERS", "truth_table"]

PURCHASE_TIERS: Final = ("prospect", "lost", "vip", "potential", "ordinary", "occasional")
LIFECYCLE_TIERS: Final = ("prospect", "new", "loyal", "active", "dormant", "lost")
ENGAGEMENT_TIERS: Final = ("active", "potential", "dormant")

_DAY: Final = 86_400
#: A customer who dropped out counts as lost to purchasing after this long; before it nobody could know.
_LOST_AFTER_DAYS: Final = 180
#: Likewise a customer counts as dormant when nothing is to be seen of them for this long.
_DORMANT_AFTER_DAYS: Final = 30
#: What the latent rate and ticket must promise over the last year.
_VIP_SPEND_FEN: Final = 450_000
_BIG_TICKET_FEN: Final = 40_000
_FREQUENT: Final = 4.0
_LOYAL: Final = 6.0


def truth_table(cohort: Cohort, orders: Orders, presence: Presence, seasons: Seasons) -> pa.Table:
    """Return the true state of every customer at the shop's end, device numbers included."""
    purchases = orders.purchases
    end = seasons.end_second
    bought = purchases.first_at < end
    dropped = purchases.dropped_at < end
    looking = presence.until >= seasons.end_day
    until = _second(presence.until, seasons)
    left = np.where(bought, np.maximum(purchases.dropped_at, until), until)
    gone = np.where(bought, dropped & ~looking, ~looking)
    # Orders to be expected over the last year: the first one if it was in it, and the rate for as long as it lasted.
    tenure = np.clip((end - purchases.first_at) / (365.0 * _DAY), 0.0, None)
    expected = cohort.rate * np.minimum(tenure, 1.0) + (tenure < 1.0)
    future = ~orders.past(seasons)
    who = purchases.customer[future]
    spend = np.bincount(who, orders.kept_amount()[future], len(dropped)).astype(np.int64)
    kept = np.bincount(who, ~orders.cancelled[future], len(dropped)).astype(np.int32)
    lost = bought & (purchases.dropped_at < end - _LOST_AFTER_DAYS * _DAY)
    columns = {
        "customer_key": cohort.keys,
        "segment": picked(cohort.kind, [kind.name for kind in TYPES]),
        "purchase_tier": picked(_purchase_tier(cohort, bought, lost, expected), PURCHASE_TIERS),
        "lifecycle_tier": picked(_lifecycle_tier(cohort, orders, looking, left, expected, seasons), LIFECYCLE_TIERS),
        "engagement_tier": picked(_engagement_tier(cohort, bought, lost, dropped, looking), ENGAGEMENT_TIERS),
        "alive": pa.array(~np.where(bought, dropped, gone)),
        "looking": pa.array(looking),
        "dropped_out_at": instants(np.where(dropped, purchases.dropped_at, 0), dropped),
        "gone_at": instants(np.where(gone, left, 0), gone),
        "orders_per_year": pa.array(cohort.rate),
        "gap_shape": pa.array(cohort.regularity),
        "drop_probability": pa.array(np.where(cohort.rate > 0, cohort.drop, np.nan), from_pandas=True),
        "ticket": money(np.rint(cohort.ticket).astype(np.int64)),
        "sessions_per_month": pa.array(np.where(cohort.engaged, cohort.sessions, 0.0)),
        "satisfaction": pa.array(cohort.satisfaction),
        "replenishes": pa.array(cohort.replenishes),
        "concentrated": pa.array(cohort.concentrated),
        "future_orders_365d": pa.array(kept),
        "future_spend_365d": money(spend),
    }
    return pa.table(columns)


def _second(day: NDArray[np.float64], seasons: Seasons) -> NDArray[np.int64]:
    return seasons.start_second + (np.minimum(day, 1e6) * _DAY).astype(np.int64)


def _purchase_tier(
    cohort: Cohort, bought: NDArray[np.bool_], lost: NDArray[np.bool_], expected: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the tier by money: what rate and ticket promise, unless there is no purchase yet or none any more."""
    vip = (expected >= _FREQUENT) & (expected * cohort.ticket >= _VIP_SPEND_FEN)
    big = cohort.ticket >= _BIG_TICKET_FEN
    return np.select([~bought, lost, vip, big, expected >= _FREQUENT], [0, 1, 2, 3, 4], 5)


def _lifecycle_tier(
    cohort: Cohort,
    orders: Orders,
    looking: NDArray[np.bool_],
    left: NDArray[np.int64],
    expected: NDArray[np.float64],
    seasons: Seasons,
) -> NDArray[np.int64]:
    """Return the stage of life: looking around keeps a customer active as buying does."""
    purchases = orders.purchases
    end = seasons.end_second
    bought, dropped = purchases.first_at < end, purchases.dropped_at < end
    number = np.bincount(purchases.customer[orders.past(seasons)], minlength=len(bought))
    new = (number == 1) & (purchases.first_at >= end - 60 * _DAY)
    staying = ~dropped | (left >= end - _DORMANT_AFTER_DAYS * _DAY)
    loyal = staying & (expected >= _LOYAL)
    active = looking | (staying & (dropped | (cohort.rate >= _FREQUENT)))
    lost = dropped & (left < end - 365 * _DAY)
    return np.select([~bought, new, loyal, active, lost], [0, 1, 2, 3, 5], 4)


def _engagement_tier(
    cohort: Cohort,
    bought: NDArray[np.bool_],
    lost: NDArray[np.bool_],
    dropped: NDArray[np.bool_],
    looking: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Return active (buys, and looks or buys often), potential (looks and does not buy) or dormant."""
    buying = bought & ~lost
    active = buying & (looking | (~dropped & (cohort.rate >= _FREQUENT)))
    return np.select([active, looking], [0, 1], 2)
