"""The stores' back office file: some orders of the stores as CSV, with the mistakes people make by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tierwise.shop.cohort import Cohort
from tierwise.shop.columns import money_text
from tierwise.shop.places import PLACES
from tierwise.shop.purchases import Orders
from tierwise.shop.seasons import Seasons
from tierwise.shop.settings import SHANGHAI, ShopSettings

__all__ = ["HEADER", "Quota", "backoffice_lines", "choose_backoffice", "quota"]

HEADER: Final = "order_id,customer_key,time,amount,coupon_amount,channel,store_id,cancelled"
_GOOD_ROWS: Final = 300
_BROKEN_ROWS: Final = 500
#: Column and what stands in it: no customer, an amount or a time that is none.
_MISTAKES: Final = ((1, ""), (3, "abc"), (2, "2026-02-30 10:15:00"), (3, "N/A"), (2, "昨天下午"))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=SHANGHAI)


@dataclass(frozen=True, slots=True)
class Quota:
    """At most so many good and broken rows from each block, so that the file stays small for a shop of any size."""

    good: int
    broken: int


def quota(blocks: int) -> Quota:
    """Return what each of so many blocks may contribute."""
    return Quota(max(_GOOD_ROWS // blocks, 1), max(_BROKEN_ROWS // blocks, 1))


def choose_backoffice(cohort: Cohort, orders: Orders, seasons: Seasons, limit: Quota) -> NDArray[np.bool_]:
    """Return which orders are only in the back office file: a few of those made in a store."""
    rng = cohort.block.rng(11)
    eligible = np.flatnonzero((orders.store >= 0) & orders.past(seasons))
    count = min(limit.good, len(eligible) // 20)
    chosen = np.zeros(len(orders.store), bool)
    chosen[rng.choice(eligible, count, replace=False)] = True
    return chosen


def backoffice_lines(
    cohort: Cohort,
    orders: Orders,
    ids: list[str],
    chosen: NDArray[np.bool_],
    seasons: Seasons,
    settings: ShopSettings,
    limit: Quota,
) -> list[str]:
    """Return the lines of a block's share of the file, by time: good ones, exact repetitions and broken ones.

    Args:
        cohort: The customers of the block.
        orders: Their orders.
        ids: The numbers of the chosen orders, in the order of their positions.
        chosen: Which orders are in the file.
        seasons: The shop's calendar.
        settings: `dirt` says how many rows are broken; without dirt nothing is repeated either.
        limit: The share of the block.
    """
    rng = cohort.block.rng(12)
    keys: list[str] = cohort.keys.to_pylist()
    stores: list[str] = PLACES.store_ids().to_pylist()
    dated = []
    for position, order_id in zip(np.flatnonzero(chosen).tolist(), ids, strict=True):
        second = int(orders.purchases.second[position])
        fields = [
            order_id,
            keys[orders.purchases.customer[position]],
            _text(second),
            money_text(int(orders.amount[position])),
            money_text(int(orders.coupon[position])),
            "store",
            stores[orders.store[position]],
            "true" if orders.cancelled[position] else "false",
        ]
        dated.append((second, ",".join(fields)))
        if settings.dirt and rng.random() < 0.02:
            dated.append((second, ",".join(fields)))
    past = int(orders.past(seasons).sum())
    broken = min(int(settings.dirt * past + rng.random()), limit.broken)
    for nth in range(broken):
        dated.append(_broken_line(cohort, nth, keys, stores, seasons, rng))
    return [line for _, line in sorted(dated)]


def _broken_line(
    cohort: Cohort, nth: int, keys: list[str], stores: list[str], seasons: Seasons, rng: np.random.Generator
) -> tuple[int, str]:
    """Return a row that nobody can accept, and the second it belongs at."""
    second = seasons.end_second - 1 - int(rng.integers(0, 300 * 86_400))
    known = np.flatnonzero(~cohort.visitor)
    fields = [
        f"b-{cohort.block.index:04d}-{nth:03d}",
        keys[known[rng.integers(0, len(known))]] if len(known) else "",
        _text(second),
        money_text(int(rng.integers(900, 90_000))),
        "0.00",
        "store",
        stores[int(rng.integers(0, len(stores)))],
        "false",
    ]
    # The kinds come in turn, so that a file with five broken rows has one of each.
    column, text = _MISTAKES[(cohort.block.index + nth) % len(_MISTAKES)]
    fields[column] = text
    return second, ",".join(fields)


def _text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
