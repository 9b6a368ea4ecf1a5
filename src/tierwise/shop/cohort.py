"""Who the customers of a block really are: type, rate, ticket, tastes, habits. The hidden side of the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.catalogue import BRANDS_PER_CATEGORY, Catalogue
from tierwise.shop.columns import labels
from tierwise.shop.places import PLACES
from tierwise.shop.seasons import Seasons, seconds_of_day
from tierwise.shop.settings import ShopSettings
from tierwise.shop.types import BROWSER, by_type, type_shares

__all__ = ["SHELF", "Block", "Cohort", "customer_keys", "draw_cohort", "in_household", "is_visitor", "pick", "row_ids"]

#: Products a customer has in mind: the first half are favourites, the second half whatever catches the eye.
SHELF: Final = 10
_FAVOURITES: Final = SHELF // 2


@dataclass(frozen=True, slots=True)
class Block:
    """Which customers are drawn together: numbers `first` to `first + count`, out of `customers` of the whole shop."""

    index: int
    first: int
    count: int
    customers: int
    seed: int

    def rng(self, topic: int) -> np.random.Generator:
        """Return the generator of one topic, so that a change to one table leaves the others as they are."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(1, self.index, topic)))


@dataclass(frozen=True, slots=True)
class Cohort:
    """The customers of a block, one entry each.

    `first_seen` is a second of wall time. `rate` is orders per year, `drop` the probability of dropping out after an
    order, `ticket` the usual order amount in fen, `sessions` the sessions per month of who is engaged.
    """

    block: Block
    keys: pa.Array
    number: NDArray[np.int64]
    visitor: NDArray[np.bool_]
    kind: NDArray[np.int64]
    first_seen: NDArray[np.int64]
    district: NDArray[np.int64]
    rate: NDArray[np.float64]
    regularity: NDArray[np.float64]
    drop: NDArray[np.float64]
    ticket: NDArray[np.float64]
    engaged: NDArray[np.bool_]
    sessions: NDArray[np.float64]
    satisfaction: NDArray[np.float64]
    replenishes: NDArray[np.bool_]
    concentrated: NDArray[np.bool_]
    channel: NDArray[np.int64]
    store: NDArray[np.int64]
    shelf: NDArray[np.int64]


def pick(drawn: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a position for each uniform number: `weights` has one row for all, or one row for each.

    Example:
        >>> pick(np.array([0.1, 0.9]), np.array([1.0, 1.0])).tolist()
        [0, 1]
    """
    total = np.cumsum(weights, axis=-1)
    if total.ndim == 1:
        position = np.searchsorted(total, drawn * total[-1], side="right")
    else:
        position = (total <= (drawn * total[:, -1])[:, None]).sum(axis=1)
    found: NDArray[np.int64] = np.minimum(position, total.shape[-1] - 1)
    return found


def row_ids(block: Block, count: int) -> pa.Array:
    """Return the numbers of the rows of one table: those of a block follow each other, whatever the other blocks hold.

    Example:
        >>> row_ids(Block(index=2, first=20_000, count=10, customers=50_000, seed=1), 2).to_pylist()
        [2000000000, 2000000001]
    """
    return pa.array(block.index * 10**9 + np.arange(count))


def is_visitor(number: NDArray[np.int64], seed: int, share: float) -> NDArray[np.bool_]:
    """Return whether each customer number is a device number only.

    A hash of the number decides, not a draw: a block can then tell about customers of another block.
    """
    mixed = (number.astype(np.uint64) + np.uint64(1 + seed % 2**32)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53 < share


def customer_keys(number: NDArray[np.int64], visitor: NDArray[np.bool_]) -> pa.Array:
    """Return ``c-00000012`` for known customers and ``v-00000012`` for device numbers."""
    return labels(np.where(visitor, ord("v"), ord("c")).astype(np.uint8), number, 8)


def draw_cohort(block: Block, settings: ShopSettings, seasons: Seasons, catalogue: Catalogue) -> Cohort:
    """Draw the customers of a block."""
    rng = block.rng(0)
    n = block.count
    number = block.first + np.arange(n)
    visitor = is_visitor(number, block.seed, settings.visitor_share)
    known_browsers = (settings.prospect_share - settings.visitor_share) / max(1.0 - settings.visitor_share, 1e-9)
    kind = np.where(visitor, BROWSER, pick(rng.random(n), type_shares(known_browsers)))
    # Who likes the shop buys oftener and more at a time: one latent factor moves both within a type.
    liking = rng.standard_normal(n)
    shape = by_type("rate_shape")[kind]
    rate = by_type("orders_per_year")[kind] * rng.gamma(shape) / shape * np.exp(0.12 * liking)
    spread = by_type("ticket_spread")[kind]
    noise = 0.35 * liking + np.sqrt(1.0 - 0.35**2) * rng.standard_normal(n)
    ticket = by_type("ticket")[kind] * 100.0 * np.exp(spread * noise)
    replenishes = (rng.random(n) < 0.35) & (kind != BROWSER)
    drop = rng.beta(by_type("drop")[kind, 0], by_type("drop")[kind, 1])
    engaged = rng.random(n) < by_type("engaged")[kind]
    district = _districts(rng, number, kind)
    concentrated = rng.random(n) < 0.45
    stores = PLACES.store_count[district]
    weights = by_type("channels")[kind]
    weights[:, 0] *= stores > 0
    return Cohort(
        block=block,
        keys=customer_keys(number, visitor),
        number=number,
        visitor=visitor,
        kind=kind,
        first_seen=_arrivals(rng, block, seasons),
        district=district,
        rate=rate,
        regularity=np.where(replenishes, 12.0, by_type("regularity")[kind]),
        drop=np.clip(drop, 0.002, 0.95),
        ticket=ticket,
        engaged=engaged,
        sessions=2.8 * rng.gamma(12.0, 1.0 / 12.0, n),
        satisfaction=rng.standard_normal(n) - 1.2 * drop,
        replenishes=replenishes,
        concentrated=concentrated,
        channel=pick(rng.random(n), weights),
        store=np.where(stores > 0, PLACES.first_store[district] + (rng.random(n) * stores).astype(np.int64), -1),
        shelf=_shelves(rng, kind, ticket, concentrated, catalogue),
    )


def _arrivals(rng: np.random.Generator, block: Block, seasons: Seasons) -> NDArray[np.int64]:
    """Draw when each customer was first seen; numbers are given in the order of arrival."""
    end = seasons.arriving.pace(np.array([seasons.end_day]))[0]
    slot = (block.first + np.arange(block.count) + rng.random(block.count)) / block.customers
    day = np.floor(seasons.arriving.day(slot * end)).astype(np.int64)
    second = seasons.start_second + day * 86_400 + seconds_of_day(rng, np.zeros(block.count, bool))
    held: NDArray[np.int64] = np.minimum(second, seasons.end_second - 60)
    return held


def _districts(rng: np.random.Generator, number: NDArray[np.int64], kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw where each customer lives; types with more to spend live oftener where incomes are high."""
    district = np.empty(len(number), np.int64)
    drawn = rng.random(len(number))
    for position, income in enumerate(by_type("income")):
        here = kind == position
        district[here] = pick(drawn[here], PLACES.weight * income[PLACES.income])
    # An odd number who shares a household with the even number before it lives at the same place.
    together = in_household(number) & (number % 2 == 1)
    together[0] = False
    district[together] = district[np.flatnonzero(together) - 1]
    return district


def in_household(number: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether a customer is known to share a household with the neighbouring number."""
    return ((number // 2) * 2_654_435_761 % 1000) < 90


def _shelves(
    rng: np.random.Generator,
    kind: NDArray[np.int64],
    ticket: NDArray[np.float64],
    concentrated: NDArray[np.bool_],
    catalogue: Catalogue,
) -> NDArray[np.int64]:
    """Draw the products each customer has in mind: by category, brand and what they usually pay."""
    n = len(kind)
    weights = by_type("categories")
    category = np.empty((n, SHELF), np.int64)
    drawn = rng.random((n, SHELF))
    for position in range(len(weights)):
        here = kind == position
        category[here] = pick(drawn[here].ravel(), weights[position]).reshape(-1, SHELF)
    faithful = concentrated[:, None] & (np.arange(SHELF) < _FAVOURITES + 2)
    category = np.where(faithful, category[:, :1], category)
    brand = rng.integers(0, BRANDS_PER_CATEGORY, (n, SHELF))
    one_brand = (rng.random(n) < 0.5)[:, None] & faithful
    brand = np.where(one_brand, brand[:, :1], brand)
    # A line is about half an order, and the nearest product above the wanted price is taken.
    wanted = np.log(ticket / 100.0 * 0.33)[:, None] + 0.45 * rng.standard_normal((n, SHELF))
    return catalogue.nearest((category * BRANDS_PER_CATEGORY + brand).ravel(), wanted.ravel()).reshape(n, SHELF)
