"""What the rows of the shop promise: they refer to each other, add up, and end in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.shop.conftest import STREAMS

Ask = Callable[[str], list[tuple[Any, ...]]]
ROW_IDS = {
    "orders": "order_id", "items": "item_id", "refunds": "refund_id", "events": "event_id", "contacts": "contact_id",
    "responses": "response_id", "visits": "visit_id", "activities": "participation_id", "customers": "customer_key",
}  # fmt: skip


@pytest.mark.parametrize("stream", STREAMS)
def test_no_row_after_the_end(ask: Ask, stream: str) -> None:
    assert ask(f"SELECT count(*) FROM {stream} WHERE time >= TIMESTAMP '2026-07-01'") == [(0,)]
    assert ask(f"SELECT max(time) >= TIMESTAMP '2026-06-25' FROM {stream}") == [(True,)]
    assert ask(f"SELECT min(time) >= TIMESTAMP '2023-07-01' FROM {stream}") == [(True,)]


@pytest.mark.parametrize("table", ROW_IDS)
def test_row_ids_are_unique(ask: Ask, table: str) -> None:
    assert ask(f"SELECT count(*) = count(DISTINCT {ROW_IDS[table]}) FROM {table}") == [(True,)]


@pytest.mark.parametrize("stream", STREAMS)
def test_customers_are_known(ask: Ask, stream: str) -> None:
    assert ask(f"FROM {stream} ANTI JOIN truth USING (customer_key)") == []
    unrecorded = f"SELECT DISTINCT customer_key[1] FROM {stream} ANTI JOIN customers USING (customer_key)"
    assert set(ask(unrecorded)) <= {("v",)}, "only device numbers have no record"


def test_visitors_only_look(ask: Ask) -> None:
    assert ask("SELECT count(*) BETWEEN 60 AND 180 FROM truth WHERE customer_key LIKE 'v-%'") == [(True,)]
    assert (
        ask("SELECT customer_key FROM truth WHERE customer_key LIKE 'v-%' EXCEPT SELECT customer_key FROM events") == []
    )
    for stream in ("orders", "responses", "activities", "customers"):
        assert ask(f"SELECT count(*) FROM {stream} WHERE customer_key LIKE 'v-%'") == [(0,)]


def test_lines_add_up_to_their_order(ask: Ask) -> None:
    wrong = """
        SELECT order_id FROM all_orders
        FULL JOIN (SELECT order_id, sum(amount) AS total, count(DISTINCT time) AS times FROM items GROUP BY ALL)
        USING (order_id)
        WHERE total IS DISTINCT FROM amount OR times <> 1
    """
    assert ask(wrong) == []
    assert ask("SELECT count(*) FROM items WHERE amount < 0 OR quantity < 1") == [(0,)]
    assert ask("FROM items ANTI JOIN products USING (sku)") == []


def test_refunds_fit_their_order(ask: Ask) -> None:
    assert ask("FROM refunds ANTI JOIN all_orders USING (order_id)") == []
    wrong = """
        SELECT order_id FROM all_orders JOIN refunds USING (order_id)
        GROUP BY ALL HAVING sum(refunds.amount) > any_value(all_orders.amount)
            OR min(refunds.time) <= any_value(all_orders.time) OR bool_or(cancelled) OR min(refunds.amount) <= 0
    """
    assert ask(wrong) == []
    full = "SELECT sum((r.amount = o.amount)::INT) / count(*) FROM refunds r JOIN all_orders o USING (order_id)"
    assert 0.25 < ask(full)[0][0] < 0.55


def test_stores(ask: Ask) -> None:
    assert ask("SELECT count(*) FROM all_orders WHERE (channel = 'store') <> (store_id IS NOT NULL)") == [(0,)]
    for stream in ("all_orders", "visits"):
        assert ask(f"FROM {stream} ANTI JOIN stores USING (store_id) WHERE store_id IS NOT NULL") == []
    hours = "SELECT count(*) FROM all_orders WHERE store_id IS NOT NULL AND hour(time) NOT BETWEEN 9 AND 21"
    assert ask(hours) == [(0,)]
    assert ask("SELECT count(*) FROM visits WHERE left_at <= time OR left_at >= TIMESTAMP '2026-07-01'") == [(0,)]


def test_events(ask: Ask) -> None:
    kinds = {kind for (kind,) in ask("SELECT DISTINCT type FROM events")}
    assert kinds == {
        "view", "search", "favourite", "like", "comment", "share", "add_to_cart", "message_clicked", "coupon_used",
    }  # fmt: skip
    assert ask("SELECT count(*) FROM events WHERE (type = 'search') <> (query IS NOT NULL)") == [(0,)]
    assert ask("SELECT count(*) FROM events WHERE type = 'message_clicked' AND campaign IS NULL") == [(0,)]
    assert ask("FROM events ANTI JOIN products USING (sku) WHERE sku IS NOT NULL") == []
    assert 20 < ask("SELECT count(*) / 4000 FROM events")[0][0] < 40


def test_activities_follow_the_invitation(ask: Ask) -> None:
    wrong = """
        SELECT customer_key, activity FROM activities GROUP BY ALL
        HAVING count(*) FILTER (type = 'invited') <> 1 OR max(time) FILTER (type = 'attended') <= max(time) FILTER
            (type = 'signed_up') OR max(time) FILTER (type = 'signed_up') < max(time) FILTER (type = 'invited')
    """
    assert ask(wrong) == []
    assert ask("SELECT count(*) > 0 FROM activities WHERE type = 'attended'") == [(True,)]


def test_responses_are_never_free_text(ask: Ask) -> None:
    assert ask("SELECT count(DISTINCT answer) FROM responses")[0][0] <= 6
    low, high = ask("SELECT min(score), max(score) FROM responses WHERE question = 'recommend'")[0]
    assert 0 <= low <= 3 and high == 10
    assert ask("SELECT min(score), max(score) FROM responses WHERE type <> 'survey'") == [(1, 5)]


def test_customer_records(ask: Ask) -> None:
    earlier = """
        SELECT count(*) FROM customers c JOIN truth t ON c.referred_by = t.customer_key
        WHERE c.referred_by < c.customer_key
    """
    referred = ask("SELECT count(referred_by) FROM customers")
    assert ask(earlier) == referred and referred[0][0] > 200
    assert ask("SELECT count(*) = count(DISTINCT phone) FROM customers") == [(True,)]
    assert ask("SELECT count(*) FROM customers WHERE phone NOT SIMILAR TO '1[3-9][0-9]{9}'") == [(0,)]
    assert ask("SELECT max(n) FROM (SELECT count(*) AS n FROM customers GROUP BY household_id, district "
               "HAVING household_id IS NOT NULL)") == [(2,)]  # fmt: skip
    assert ask("SELECT count(*) FROM customers WHERE birth_date > DATE '2008-07-01'") == [(0,)]


def test_districts_can_be_looked_up(ask: Ask, shop: object) -> None:
    districts = f"read_csv('{shop}/districts.csv')"
    assert ask(f"FROM customers ANTI JOIN {districts} USING (district)") == []
    assert ask(f"SELECT DISTINCT income_band FROM {districts} ORDER BY ALL") == [("high",), ("low",), ("middle",)]


def test_back_office_mistakes(ask: Ask) -> None:
    assert ask("SELECT count(*) FROM backoffice")[0][0] > 250
    assert ask("SELECT count(*) - count(DISTINCT COLUMNS(*)) FROM backoffice")[0][0] > 0
    assert ask("SELECT count(*) FROM (FROM backoffice EXCEPT ALL SELECT DISTINCT * FROM backoffice)")[0][0] in range(
        1, 20
    )
    bad = "SELECT count(*) FROM backoffice WHERE"
    for mistake in ("customer_key IS NULL", "amount = 'abc'", "amount = 'N/A'", "time = '2026-02-30 10:15:00'"):
        assert ask(f"{bad} {mistake}")[0][0] > 0, mistake
    assert ask("FROM backoffice SEMI JOIN orders USING (order_id)") == []
