"""What customers do between purchases: sessions in the app, store visits, answers to campaigns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.catalogue import CATEGORIES, SEARCH_WORDS, Catalogue
from tierwise.shop.cohort import SHELF, Cohort, pick, row_ids
from tierwise.shop.columns import instants, picked
from tierwise.shop.places import PLACES
from tierwise.shop.purchases import Orders
from tierwise.shop.seasons import Seasons, seconds_of_day
from tierwise.shop.settings import ShopSettings
from tierwise.shop.types import BROWSER

__all__ = ["Presence", "Sessions", "draw_presence", "draw_sessions", "events_table", "visits_table"]

_TYPES: Final = (
    "view", "search", "favourite", "like", "comment", "share", "add_to_cart", "message_clicked", "coupon_used",
)  # fmt: skip
_VIEW, _SEARCH, _CART, _CLICK, _COUPON = 0, 1, 6, 7, 8
#: Weight of each type among the actions of a session; the last two arise in their own way.
_ACTIONS: Final = np.array([0.52, 0.13, 0.08, 0.09, 0.03, 0.04, 0.11])
_CHANNELS: Final = ("mini_program", "app", "web")
_WORDS_PER_CATEGORY: Final = len(SEARCH_WORDS) // len(CATEGORIES)

# Sessions, first looks and looks before an order of an average customer, measured at the default settings.
_SESSIONS: Final = 19.9
_AROUND_ORDERS: Final = 4.9
#: Sessions older than this are left out first when few events are wanted.
_RECENT_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class Presence:
    """Until when each customer looks around: day numbers, `until` possibly beyond the shop's end.

    Someone quiet never browses: `until` is then the day they were first seen.
    """

    since: NDArray[np.float64]
    until: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Visits to the app or the mini-program: whose, and when (seconds of wall time)."""

    customer: NDArray[np.int64]
    second: NDArray[np.int64]


def draw_presence(cohort: Cohort, orders: Orders, seasons: Seasons) -> Presence:
    """Draw how long each customer keeps looking around."""
    rng = cohort.block.rng(3)
    n = len(cohort.kind)
    since = (cohort.first_seen - seasons.start_second) / 86_400
    # Half of those who only browse are gone within weeks, the other half stay for more than a year.
    short = rng.random(n) < np.where(cohort.visitor, 0.75, 0.45)
    browser = since + np.where(short, rng.exponential(18.0, n), 60.0 + rng.exponential(520.0, n))
    dropped = (orders.purchases.dropped_at - seasons.start_second) / 86_400
    # Who stops buying mostly stops looking soon after, but one in five goes on for long: interest without purchase.
    lingers = rng.random(n) < 0.2
    linger = np.where(lingers, 60.0 + rng.exponential(700.0, n), rng.exponential(14.0, n))
    # The interest of a faithful customer can also end before the purchases do.
    tired = since + 120.0 + rng.exponential(5000.0, n)
    buyer = np.minimum(np.maximum(dropped + linger, since), np.where(lingers, np.inf, tired))
    until = np.where(cohort.kind == BROWSER, browser, buyer)
    return Presence(since, np.where(cohort.engaged, until, since))


def draw_sessions(cohort: Cohort, presence: Presence, seasons: Seasons, settings: ShopSettings) -> Sessions:
    """Draw the sessions: habitual, one at a random moment of every span of the customer's own length."""
    rng = cohort.block.rng(4)
    per_pace = cohort.sessions * 12.0 / 365.0
    since = seasons.browsing.pace(presence.since)
    until = seasons.browsing.pace(np.minimum(presence.until, seasons.end_day))
    length = np.maximum(until - since, 0.0)
    count = np.ceil(length * per_pace).astype(np.int64)
    customer = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(customer)) - (np.cumsum(count) - count)[customer]
    span = (nth + rng.random(len(customer))) / per_pace[customer]
    inside = span < length[customer]
    customer, span = customer[inside], span[inside]
    day = seasons.browsing.day(since[customer] + span)
    second = seasons.start_second + np.floor(day).astype(np.int64) * 86_400
    second += seconds_of_day(rng, np.zeros(len(customer), bool))
    share = (settings.events_per_customer - _AROUND_ORDERS) / _SESSIONS
    old = second < seasons.end_second - _RECENT_DAYS * 86_400
    kept = ~old | (rng.random(len(customer)) < share)
    kept &= (second > cohort.first_seen[customer]) & (second < seasons.end_second)
    # Everyone is first seen in a session, except some of those who come to know the shop in a store.
    greeted = np.flatnonzero(cohort.visitor | (rng.random(len(count)) < 0.75))
    return Sessions(
        np.concatenate((greeted, customer[kept])), np.concatenate((cohort.first_seen[greeted], second[kept]))
    )


@dataclass(frozen=True, slots=True)
class _Events:
    customer: NDArray[np.int64]
    second: NDArray[np.int64]
    kind: NDArray[np.int64]
    sku: NDArray[np.int64]
    campaign: NDArray[np.int64]


def events_table(
    cohort: Cohort,
    sessions: Sessions,
    orders: Orders,
    seasons: Seasons,
    catalogue: Catalogue,
    settings: ShopSettings,
) -> pa.Table:
    """Return what happened in the sessions and around the online orders as a table."""
    rng = cohort.block.rng(5)
    parts = [
        _session_events(cohort, sessions, seasons, settings, rng),
        _order_events(cohort, orders, seasons, rng),
        _coupon_events(orders, seasons),
    ]
    customer = np.concatenate([part.customer for part in parts])
    second = np.concatenate([part.second for part in parts])
    kind = np.concatenate([part.kind for part in parts])
    sku = np.concatenate([part.sku for part in parts])
    campaign = np.concatenate([part.campaign for part in parts])
    # Searches are for what the customer has in mind, in words of its category.
    word = catalogue.category[np.maximum(sku, 0)] * _WORDS_PER_CATEGORY
    word += (rng.random(len(word)) * _WORDS_PER_CATEGORY).astype(np.int64)
    channel = np.where(rng.random(len(kind)) < 0.12, 2, cohort.channel[customer] % 2)
    at = np.flatnonzero((second < seasons.end_second) & (second >= cohort.first_seen[customer]))
    searching = kind[at] == _SEARCH
    columns = {
        "event_id": row_ids(cohort.block, len(at)),
        "customer_key": picked(customer[at], cohort.keys),
        "time": instants(second[at]),
        "type": picked(kind[at], _TYPES),
        "sku": picked(np.where(searching, -1, sku[at]), catalogue.sku),
        "channel": picked(channel[at], _CHANNELS),
        "campaign": picked(campaign[at], seasons.campaigns),
        "query": picked(np.where(searching, word[at], -1), SEARCH_WORDS),
    }
    return pa.table(columns)


def _session_events(
    cohort: Cohort, sessions: Sessions, seasons: Seasons, settings: ShopSettings, rng: np.random.Generator
) -> _Events:
    """Draw the actions of every session, one or more."""
    n = len(sessions.customer)
    more = max((settings.events_per_customer - _AROUND_ORDERS) / _SESSIONS - 1.0, 0.0)
    count = 1 + rng.poisson(more, n)
    session = np.repeat(np.arange(n), count)
    nth = np.arange(len(session)) - (np.cumsum(count) - count)[session]
    customer = sessions.customer[session]
    m = len(session)
    pause = 20 + (rng.random(m) * 70).astype(np.int64)
    second = np.asarray(sessions.second[session] + nth * pause, np.int64)
    kind = pick(rng.random(m), _ACTIONS)
    # Who only looks seldom puts anything into the cart.
    shy = (cohort.kind[customer] == BROWSER) & (kind == _CART) & (rng.random(m) < 0.6)
    kind = np.where(shy, _VIEW, kind)
    running = seasons.campaign[seasons.day_number(sessions.second)][session]
    # A session on a campaign day often begins with a tap on the message that announced it.
    returning = sessions.second > cohort.first_seen[sessions.customer]
    answers = (nth == 0) & (running >= 0) & (rng.random(m) < 0.4) & returning[session]
    kind = np.where(answers, _CLICK, kind)
    slot = (SHELF * rng.random(m) ** np.where(cohort.concentrated[customer], 2.0, 1.1)).astype(np.int64)
    sku = np.where(answers, -1, cohort.shelf[customer, slot])
    return _Events(customer, second, kind, sku, np.where(answers, running, -1))


def _order_events(cohort: Cohort, orders: Orders, seasons: Seasons, rng: np.random.Generator) -> _Events:
    """Draw the look and the cart that lead to online orders."""
    online = np.flatnonzero((orders.store < 0) & orders.past(seasons) & (rng.random(len(orders.store)) < 0.6))
    customer = orders.purchases.customer[online]
    placed = orders.purchases.second[online]
    sku = orders.line_sku[np.searchsorted(orders.line_order, online)]
    m = len(online)
    looked = placed - 120 - (rng.random(m) * 170).astype(np.int64)
    carted = placed - 10 - (rng.random(m) * 80).astype(np.int64)
    return _Events(
        np.concatenate((customer, customer)),
        np.concatenate((looked, carted)),
        np.repeat(np.array([_VIEW, _CART]), m),
        np.concatenate((sku, sku)),
        np.full(2 * m, -1),
    )


def _coupon_events(orders: Orders, seasons: Seasons) -> _Events:
    """Return an event for each coupon used, naming the campaign of the day if there is one."""
    used = np.flatnonzero((orders.coupon > 0) & ~orders.cancelled & orders.past(seasons))
    second = orders.purchases.second[used]
    running = seasons.campaign[seasons.day_number(second)].astype(np.int64)
    return _Events(
        orders.purchases.customer[used], second, np.full(len(used), _COUPON), np.full(len(used), -1), running
    )


def visits_table(cohort: Cohort, sessions: Sessions, orders: Orders, seasons: Seasons) -> pa.Table:
    """Return store visits as a table: most purchases in a store, and now and then a look around."""
    rng = cohort.block.rng(6)
    bought = np.flatnonzero((orders.store >= 0) & orders.past(seasons))
    bought = bought[rng.random(len(bought)) < 0.7]
    buyer = orders.purchases.customer[bought]
    # Who mostly buys in a store also walks in without buying, on some of the days on which they look at the app.
    likes_stores = (cohort.channel == 0) & (cohort.store >= 0)
    strolls = np.flatnonzero(likes_stores[sessions.customer] & (rng.random(len(sessions.customer)) < 0.14))
    stroller = sessions.customer[strolls]
    midnight = sessions.second[strolls] // 86_400 * 86_400
    strolled = midnight + seconds_of_day(rng, np.ones(len(strolls), bool))
    placed = orders.purchases.second[bought]
    came = placed - 120 - (rng.gamma(2.0, 480.0, len(bought))).astype(np.int64)
    went = placed + 30 + (rng.gamma(2.0, 60.0, len(bought))).astype(np.int64)
    left = strolled + 120 + rng.gamma(1.6, 560.0, len(strolls)).astype(np.int64)
    customer = np.concatenate((buyer, stroller))
    store = np.concatenate((orders.store[bought], cohort.store[stroller]))
    entered = np.concatenate((came, strolled))
    gone = np.concatenate((went, left))
    at = np.flatnonzero((gone < seasons.end_second) & (entered >= cohort.first_seen[customer]))
    columns = {
        "visit_id": row_ids(cohort.block, len(at)),
        "customer_key": picked(customer[at], cohort.keys),
        "time": instants(entered[at]),
        "left_at": instants(gone[at]),
        "store_id": picked(store[at], PLACES.store_ids()),
    }
    return pa.table(columns)
