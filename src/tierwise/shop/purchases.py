"""What customers buy: orders, their lines and refunds, up to the shop's end and for a year beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.catalogue import Catalogue
from tierwise.shop.cohort import SHELF, Cohort, pick, row_ids
from tierwise.shop.columns import instants, labels, money, picked
from tierwise.shop.places import PLACES
from tierwise.shop.seasons import FUTURE_DAYS, Seasons, seconds_of_day
from tierwise.shop.types import CHANNELS

__all__ = ["Orders", "Purchases", "Refunds", "draw_orders", "items_table", "orders_table", "refunds_table"]

_STORE: Final = 0
_LINES: Final = np.array([0.45, 0.30, 0.17, 0.08])
_COUPONS: Final = np.array([500, 1000, 2000, 3000, 5000, 10000, 20000])
_REFUND_KINDS: Final = ("return", "price_cut", "complaint")


@dataclass(frozen=True, slots=True)
class Purchases:
    """When customers buy. `customer` is a position in the cohort, `second` wall time, `nth` counts from 0.

    `dropped_at` holds per customer the second of the order after which they dropped out, or a far future.
    """

    customer: NDArray[np.int64]
    second: NDArray[np.int64]
    nth: NDArray[np.int64]
    in_store: NDArray[np.bool_]
    dropped_at: NDArray[np.int64]
    first_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Orders:
    """Orders with their lines. `line_order` is the position of the order of each line; amounts are fen."""

    purchases: Purchases
    channel: NDArray[np.int64]
    store: NDArray[np.int64]
    amount: NDArray[np.int64]
    coupon: NDArray[np.int64]
    cancelled: NDArray[np.bool_]
    refunds: Refunds
    line_order: NDArray[np.int64]
    line_sku: NDArray[np.int64]
    line_quantity: NDArray[np.int64]
    line_amount: NDArray[np.int64]

    def past(self, seasons: Seasons) -> NDArray[np.bool_]:
        """Return which orders are before the shop's end; only those are ever written."""
        return self.purchases.second < seasons.end_second

    def kept_amount(self) -> NDArray[np.int64]:
        """Return what stays of each order after cancelling and refunds."""
        back = np.bincount(self.refunds.order, self.refunds.amount, len(self.amount))
        return np.where(self.cancelled, 0, self.amount - back.astype(np.int64))

    def ids(self, cohort: Cohort) -> pa.Array:
        """Return the order numbers: the customer's number and which of their orders it is."""
        number = cohort.number[self.purchases.customer] * 1000 + self.purchases.nth
        return labels("o", number, 11)


@dataclass(frozen=True, slots=True)
class Refunds:
    """Money paid back. `order` is the position of the order."""

    order: NDArray[np.int64]
    second: NDArray[np.int64]
    amount: NDArray[np.int64]
    kind: NDArray[np.int64]


def draw_orders(cohort: Cohort, seasons: Seasons, catalogue: Catalogue) -> Orders:
    """Draw every order of a cohort until a year past the shop's end."""
    purchases = _purchases(cohort, seasons, cohort.block.rng(1))
    rng = cohort.block.rng(2)
    n = len(purchases.customer)
    channel = _channels(cohort, purchases, rng)
    line_order, line_sku, quantity, line_amount = _lines(cohort, purchases, seasons, catalogue, rng)
    starts = np.searchsorted(line_order, np.arange(n))
    gross = np.add.reduceat(line_amount, starts) if n else np.zeros(0, np.int64)
    coupon = _coupons(gross, rng)
    line_amount = _take_coupon(line_amount, line_order, starts, gross, coupon)
    amount = gross - coupon
    cancelled = rng.random(n) < np.where(channel == _STORE, 0.003, 0.025)
    return Orders(
        purchases=purchases,
        channel=channel,
        store=np.where(channel == _STORE, cohort.store[purchases.customer], -1),
        amount=amount,
        coupon=coupon,
        cancelled=cancelled,
        refunds=_refunds(purchases, amount, cancelled, rng),
        line_order=line_order,
        line_sku=line_sku,
        line_quantity=quantity,
        line_amount=line_amount,
    )


def _purchases(cohort: Cohort, seasons: Seasons, rng: np.random.Generator) -> Purchases:
    """Draw when each customer buys: a first time, then gamma gaps on the shop's clock until they drop out."""
    n = len(cohort.rate)
    first_day = (cohort.first_seen - seasons.start_second) // 86_400
    at_once = rng.random(n) < 0.6
    later = 1 + np.floor(rng.exponential(20.0, n)).astype(np.int64)
    buys = cohort.rate > 0
    horizon = seasons.end_day + FUTURE_DAYS
    # The first purchase happens on the spot or some days later; a later one finds its second of the day below.
    start = np.where(at_once, first_day, first_day + later).astype(np.float64)
    left = seasons.buying.pace(np.array([horizon]))[0] - seasons.buying.pace(start)
    expected = np.maximum(cohort.rate / 365.0 * np.maximum(left, 0.0), 0.0)
    # Nobody exceeds this many orders by chance; it bounds the work for those who never drop out.
    ceiling = np.ceil(expected + 5.0 * np.sqrt(expected + 1.0) + 3.0).astype(np.int64)
    planned = rng.geometric(cohort.drop)
    count = np.where(buys & (start < horizon), np.minimum(planned, ceiling), 0)
    customer = np.repeat(np.arange(n), count)
    begin = np.cumsum(count) - count
    nth = np.arange(len(customer)) - begin[customer]
    shape = cohort.regularity[customer]
    gap = rng.standard_gamma(shape) / shape * 365.0 / cohort.rate[customer]
    gap[nth == 0] = 0.0
    run = np.cumsum(gap)
    gone = run - run[begin[customer]]
    day = np.floor(seasons.buying.day(seasons.buying.pace(start)[customer] + gone)).astype(np.int64)
    in_store = (cohort.channel[customer] == _STORE) ^ (rng.random(len(customer)) < 0.15)
    in_store &= cohort.store[customer] >= 0
    second = seasons.start_second + day * 86_400 + seconds_of_day(rng, in_store)
    first = cohort.first_seen + np.rint(300 + 3300 * rng.random(n)).astype(np.int64)
    second = np.where((nth == 0) & at_once[customer], first[customer], second)
    in_store &= (second % 86_400 >= 9 * 3600) & (second % 86_400 < 22 * 3600)
    # A second order on the day of the first must not come before it.
    earliest = second[begin[customer]] if len(customer) else second
    second = np.where(nth > 0, np.maximum(second, earliest + 60 * nth), second)
    far = np.int64(2**60)
    first_at, dropped_at = np.full(n, far), np.full(n, far)
    some = np.flatnonzero(count)
    first_at[some] = second[begin[some]]
    ended = np.flatnonzero((count > 0) & (planned == count))
    dropped_at[ended] = second[begin[ended] + count[ended] - 1]
    kept = second < seasons.end_second + FUTURE_DAYS * 86_400
    return Purchases(customer[kept], second[kept], nth[kept], in_store[kept], dropped_at, first_at)


def _channels(cohort: Cohort, purchases: Purchases, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the channel of each order: a store, the customer's usual one, or now and then another."""
    usual = cohort.channel[purchases.customer]
    other = 1 + pick(rng.random(len(usual)), np.array([4.0, 3.0, 2.0]))
    online = np.where((usual == _STORE) | (rng.random(len(usual)) < 0.15), other, usual)
    return np.where(purchases.in_store, _STORE, online)


def _lines(
    cohort: Cohort, purchases: Purchases, seasons: Seasons, catalogue: Catalogue, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Draw the lines: order, product, quantity and amount before coupons."""
    n = len(purchases.customer)
    busy = seasons.busy[seasons.day_number(purchases.second)]
    # Big days, and lines of at least one piece, raise what is paid; the factor keeps the average near `ticket`.
    wanted = 0.79 * cohort.ticket[purchases.customer] * np.exp(0.28 * rng.standard_normal(n))
    wanted *= np.where(busy > 1.8, 1.25, 1.0)
    order = np.repeat(np.arange(n), 1 + pick(rng.random(n), _LINES))
    customer = purchases.customer[order]
    m = len(order)
    share = 0.3 + rng.random(m)
    share /= np.bincount(order, share, n)[order]
    concentrated = cohort.concentrated[customer]
    slot = (SHELF * rng.random(m) ** np.where(concentrated, 2.2, 1.2)).astype(np.int64)
    staple = cohort.replenishes[customer] & (rng.random(m) < 0.55)
    sku = cohort.shelf[customer, np.where(staple, 0, slot)]
    price = catalogue.price[sku]
    # Rounding at random keeps the amount right on average, also when a product is dearer than the line should be.
    quantity = np.floor(share * wanted[order] / price + rng.random(m)).astype(np.int64)
    quantity = np.clip(quantity, 1, 12)
    percent = np.where(busy > 1.8, 80, 100) - 5 * pick(rng.random(n), np.array([0.6, 0.2, 0.12, 0.08]))
    return order, sku, quantity, price * quantity * percent[order] // 100


def _coupons(gross: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the coupon of each order: at most a seventh of it, and only now and then."""
    largest = np.searchsorted(_COUPONS, gross // 7, side="right")
    chosen = np.maximum(largest - 1 - (rng.random(len(gross)) < 0.4), 0)
    used = (largest > 0) & (rng.random(len(gross)) < 0.24)
    return np.where(used, _COUPONS[chosen], 0)


def _take_coupon(
    line_amount: NDArray[np.int64],
    line_order: NDArray[np.int64],
    starts: NDArray[np.int64],
    gross: NDArray[np.int64],
    coupon: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Spread each coupon over the lines, to the fen: shares rounded down, what is left over on the dearest part."""
    if not len(gross):
        return line_amount
    less = line_amount * coupon[line_order] // np.maximum(gross[line_order], 1)
    net = line_amount - less
    rest = coupon - np.add.reduceat(less, starts)
    # At most one fen per line is left over, and every first line costs more than that.
    net[starts] -= rest
    assert (net >= 0).all()
    return net


def _refunds(
    purchases: Purchases, amount: NDArray[np.int64], cancelled: NDArray[np.bool_], rng: np.random.Generator
) -> Refunds:
    """Draw refunds: in full, in part, and now and then in two parts."""
    n = len(amount)
    order = np.flatnonzero((rng.random(n) < 0.035) & ~cancelled & (amount > 0))
    m = len(order)
    full = rng.random(m) < 0.42
    part = np.maximum((amount[order] * (0.08 + 0.5 * rng.random(m))).astype(np.int64), 1)
    back = np.where(full, amount[order], part)
    wait = np.rint(86_400 * np.minimum(0.3 + rng.gamma(2.0, 3.0, m), 60.0)).astype(np.int64)
    kind = np.where(full, np.where(rng.random(m) < 0.9, 0, 2), pick(rng.random(m), np.array([0.3, 0.5, 0.2])))
    again = np.flatnonzero(~full & (rng.random(m) < 0.12))
    second_part = (amount[order[again]] - back[again]) // 2
    when = purchases.second[order] + wait
    return Refunds(
        order=np.concatenate((order, order[again])),
        second=np.concatenate((when, when[again] + 3 * 86_400)),
        amount=np.concatenate((back, second_part)),
        kind=np.concatenate((kind, np.full(len(again), 2))),
    )


def orders_table(cohort: Cohort, orders: Orders, ids: pa.Array, kept: NDArray[np.bool_]) -> pa.Table:
    """Return the chosen orders as a table."""
    at = np.flatnonzero(kept)
    columns = {
        "order_id": ids.take(pa.array(at)),
        "customer_key": picked(orders.purchases.customer[at], cohort.keys),
        "time": instants(orders.purchases.second[at]),
        "amount": money(orders.amount[at]),
        "coupon_amount": money(orders.coupon[at]),
        "channel": picked(orders.channel[at], CHANNELS),
        "store_id": picked(orders.store[at], PLACES.store_ids()),
        "cancelled": pa.array(orders.cancelled[at]),
    }
    return pa.table(columns)


def items_table(
    cohort: Cohort, orders: Orders, ids: pa.Array, kept: NDArray[np.bool_], catalogue: Catalogue
) -> pa.Table:
    """Return the lines of the chosen orders as a table."""
    at = np.flatnonzero(kept[orders.line_order])
    order = orders.line_order[at]
    columns = {
        "item_id": row_ids(cohort.block, len(at)),
        "order_id": ids.take(pa.array(order)),
        "customer_key": picked(orders.purchases.customer[order], cohort.keys),
        "time": instants(orders.purchases.second[order]),
        "sku": picked(orders.line_sku[at], catalogue.sku),
        "quantity": pa.array(orders.line_quantity[at].astype(np.int32)),
        "amount": money(orders.line_amount[at]),
    }
    return pa.table(columns)


def refunds_table(cohort: Cohort, orders: Orders, ids: pa.Array, seasons: Seasons) -> pa.Table:
    """Return the refunds paid before the shop's end as a table."""
    refunds = orders.refunds
    at = np.flatnonzero(refunds.second < seasons.end_second)
    order = refunds.order[at]
    columns = {
        "refund_id": row_ids(cohort.block, len(at)),
        "order_id": ids.take(pa.array(order)),
        "customer_key": picked(orders.purchases.customer[order], cohort.keys),
        "time": instants(refunds.second[at]),
        "amount": money(refunds.amount[at]),
        "kind": picked(refunds.kind[at], _REFUND_KINDS),
    }
    return pa.table(columns)
