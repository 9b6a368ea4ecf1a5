"""The true tiers can be found: simple rules over the rows agree with the hidden process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tierwise.shop.truth import ENGAGEMENT_TIERS, LIFECYCLE_TIERS, PURCHASE_TIERS

Ask = Callable[[str], list[tuple[Any, ...]]]

#: The observed figures of each customer at the end of the records.
FIGURES = """
    WITH net AS (
        SELECT o.*, o.amount - coalesce(r.back, 0) AS kept_amount,
            NOT cancelled AND (o.amount = 0 OR coalesce(r.back, 0) < o.amount) AS kept,
            epoch(TIMESTAMP '2026-07-01' - time) / 86400 AS age
        FROM all_orders o LEFT JOIN (SELECT order_id, sum(amount) AS back FROM refunds GROUP BY ALL) r USING (order_id)
    ), bought AS (
        SELECT customer_key, count(*) FILTER (kept) AS orders, max(age) FILTER (kept) AS first_days,
            min(age) FILTER (kept) AS last_days, count(*) FILTER (kept AND age <= 365) AS orders_365d,
            count(DISTINCT time::DATE) FILTER (age <= 365) AS days_365d,
            sum(kept_amount) FILTER (kept AND age <= 365) AS spend_365d, sum(kept_amount) FILTER (kept) AS spend
        FROM net GROUP BY ALL
    ), looked AS (
        SELECT customer_key, min(epoch(TIMESTAMP '2026-07-01' - time) / 86400) AS event_days FROM events GROUP BY ALL
    )
    SELECT truth.*, coalesce(orders, 0) AS orders, coalesce(last_days, 9999) AS last_days, first_days,
        coalesce(event_days, 9999) AS event_days, coalesce(orders_365d, 0) AS orders_365d,
        coalesce(days_365d, 0) AS days_365d, coalesce(spend_365d, 0) AS spend_365d, coalesce(spend, 0) AS spend
    FROM truth LEFT JOIN bought USING (customer_key) LEFT JOIN looked USING (customer_key)
"""
#: tiering → rules in order, as SQL over `FIGURES`; the first match wins.
RULES = {
    "purchase_tier": """CASE WHEN orders = 0 THEN 'prospect' WHEN last_days > 240 THEN 'lost'
        WHEN spend_365d >= 4500 AND orders_365d >= 4 THEN 'vip' WHEN spend / orders >= 400 THEN 'potential'
        WHEN orders_365d >= 4 THEN 'ordinary' ELSE 'occasional' END""",
    "lifecycle_tier": """CASE WHEN orders = 0 THEN 'prospect' WHEN orders = 1 AND first_days <= 60 THEN 'new'
        WHEN orders_365d >= 6 AND days_365d >= 4 AND last_days <= 90 THEN 'loyal'
        WHEN last_days <= 90 OR event_days <= 30 THEN 'active'
        WHEN last_days <= 365 OR event_days <= 365 THEN 'dormant' ELSE 'lost' END""",
    "engagement_tier": """CASE WHEN last_days <= 270 AND (event_days <= 30 OR last_days <= 60) THEN 'active'
        WHEN event_days <= 30 THEN 'potential' ELSE 'dormant' END""",
}
TIERS = {"purchase_tier": PURCHASE_TIERS, "lifecycle_tier": LIFECYCLE_TIERS, "engagement_tier": ENGAGEMENT_TIERS}


@pytest.mark.parametrize("tiering", RULES)
def test_rules_find_the_tiers(ask: Ask, tiering: str) -> None:
    found = ask(f"SELECT {tiering}, {RULES[tiering]}, count(*) FROM ({FIGURES}) GROUP BY ALL")
    true, ruled, right = Counter[str](), Counter[str](), Counter[str]()
    for truth, rule, count in found:
        true[truth] += count
        ruled[rule] += count
        right[truth] += count * (truth == rule)
    assert set(true) == set(TIERS[tiering])
    assert sum(true.values()) == 4_000
    assert sum(right.values()) >= 0.88 * 4_000
    for tier in TIERS[tiering]:
        assert true[tier] >= 0.03 * 4_000, f"{tier} is too rare to show anything"
        assert right[tier] >= 0.7 * true[tier], f"recall of {tier}"
        assert right[tier] >= 0.7 * ruled[tier], f"precision of {tier}"


def test_truth_agrees_with_itself(ask: Ask) -> None:
    assert ask("SELECT count(*) FROM truth WHERE alive AND dropped_out_at IS NOT NULL") == [(0,)]
    assert ask("SELECT count(*) FROM truth WHERE gone_at < dropped_out_at") == [(0,)]
    assert ask("SELECT count(*) FROM truth WHERE dropped_out_at >= TIMESTAMP '2026-07-01'") == [(0,)]
    assert ask("SELECT count(*) FROM truth WHERE (purchase_tier = 'prospect') <> (lifecycle_tier = 'prospect')") == [
        (0,)
    ]


def test_who_has_dropped_out_spends_nothing(ask: Ask) -> None:
    assert ask("SELECT sum(future_spend_365d) FROM truth WHERE dropped_out_at IS NOT NULL") == [(0,)]
    assert ask("SELECT sum(future_spend_365d) FROM truth WHERE segment = 'browser'") == [(0,)]


def test_the_future_follows_the_tier(ask: Ask) -> None:
    by_tier: dict[str, float] = dict(
        ask("SELECT purchase_tier, avg(future_spend_365d)::DOUBLE FROM truth GROUP BY ALL")
    )
    assert by_tier["vip"] > by_tier["potential"] > by_tier["ordinary"] > by_tier["occasional"] > by_tier["lost"] == 0
