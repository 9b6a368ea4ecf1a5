"""The simulated people behave like people: some come back, they shop on big days, some only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tierwise.shop import ShopSettings
from tierwise.shop.seasons import build_seasons

Ask = Callable[[str], list[tuple[Any, ...]]]


def test_volumes(ask: Ask) -> None:
    assert 3 < ask("SELECT count(*) / 4000 FROM orders")[0][0] < 6
    assert 6 < ask("SELECT count(*) / 4000 FROM items")[0][0] < 12


def test_repeat_rate(ask: Ask) -> None:
    buyers = "(SELECT count(*) AS n FROM all_orders GROUP BY customer_key)"
    assert 0.55 < ask(f"SELECT count(*) FILTER (n > 1) / count(*) FROM {buyers}")[0][0] < 0.85


def test_singles_day_is_the_peak_of_the_year(ask: Ask) -> None:
    for year in (2024, 2025):
        days = f"SELECT strftime(time, '%m-%d') FROM orders WHERE year(time) = {year} GROUP BY 1 ORDER BY count(*) DESC"
        assert ask(days)[0] == ("11-11",)


def test_spring_festival_is_quiet(ask: Ask) -> None:
    quiet = ask("SELECT count(*) / 10 FROM orders WHERE time >= '2026-02-15' AND time < '2026-02-25'")[0][0]
    usual = ask("SELECT count(*) / 30 FROM orders WHERE time >= '2026-04-01' AND time < '2026-05-01'")[0][0]
    assert quiet < 0.6 * usual


def test_nights_are_quiet(ask: Ask) -> None:
    share = "SELECT count(*) FILTER (hour(time) BETWEEN 2 AND 5) / count(*) FROM events"
    assert ask(share)[0][0] < 0.05


def test_the_shop_grows(ask: Ask) -> None:
    early, late = ask("SELECT count(*) FROM customers GROUP BY registered_at > '2024-12-31' ORDER BY 1")
    assert late[0] > 1.2 * early[0]


def test_people_have_favourites(ask: Ask) -> None:
    favourite = """
        SELECT avg(share) FROM (
            SELECT customer_key, max(n) / sum(n) AS share, sum(n) AS lines
            FROM (SELECT customer_key, category, count(*) AS n FROM items JOIN products USING (sku) GROUP BY ALL)
            GROUP BY ALL HAVING lines >= 10)
        JOIN truth USING (customer_key) WHERE {}concentrated
    """
    focused, spread = ask(favourite.format(""))[0][0], ask(favourite.format("NOT "))[0][0]
    assert focused > 0.6 > spread


def test_replenishers_buy_regularly(ask: Ask) -> None:
    gaps = """
        SELECT avg(s / m) FROM (
            SELECT customer_key, avg(gap) AS m, stddev(gap) AS s, count(gap) AS n FROM (
                SELECT customer_key,
                    epoch(time - lag(time) OVER (PARTITION BY customer_key ORDER BY time)) / 86400 AS gap
                FROM all_orders) GROUP BY ALL HAVING n >= 8)
        JOIN truth USING (customer_key) WHERE {}replenishes
    """
    assert ask(gaps.format(""))[0][0] < 0.45 < 0.6 < ask(gaps.format("NOT "))[0][0]


def test_orders_cost_what_the_ticket_says(ask: Ask) -> None:
    ratio = "SELECT avg(amount / ticket) FROM all_orders JOIN truth USING (customer_key)"
    assert 0.9 < ask(ratio)[0][0] < 1.2


def test_the_shop_clock_keeps_time_on_average() -> None:
    clock = build_seasons(ShopSettings()).buying
    days = np.array([0.0, 10.5, 400.0])
    assert np.allclose(clock.day(clock.pace(days)), days)
    assert np.isclose(clock.total[-1], len(clock.total) - 1)
