"""The standard set in pandas: masks first, then one group-by a column, which is how pandas is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data import AS_OF

__all__ = ["answers"]


def answers(folder: Path) -> pd.DataFrame:
    """Return the answers, one row a customer."""
    wide = pd.read_parquet(folder / "customers.parquet").set_index("customer_id")
    for part in (_orders(folder), _items(folder), _events(folder)):
        wide = wide.join(part)
    wide[_ZERO] = wide[_ZERO].fillna(0)
    wide["order_age"], wide["event_age"] = _since(wide["last_order_at"]), _since(wide["last_event_at"])
    return _grouped(wide).reset_index()


_ZERO = [
    "orders_count", "orders_365d", "spend_total", "spend_30d", "spend_90d", "spend_365d", "spend_before",
    "order_days_365d", "any_30d", "any_7d", "quantity_365d", "skus_365d", "events_7d", "events_30d", "views_30d",
    "carts_90d", "carts_7d", "coupons_30d", "active_days_30d", "active_days_90d", "channels_90d", "interest",
]  # fmt: skip


def _within(rows: pd.DataFrame, days: int) -> Any:
    return rows["time"] > pd.Timestamp(AS_OF) - pd.Timedelta(days=days)


def _day(times: Any) -> Any:
    return (times + pd.Timedelta(hours=8)).dt.floor("D")


def _since(times: Any) -> Any:
    return (pd.Timestamp(2026, 1, 1) - _day(times)).dt.days


def _best(rows: pd.DataFrame, column: str) -> Any:
    """Return each customer's value with the largest m, then the latest t, then the smallest by code point."""
    ordered = rows.reset_index().sort_values(["m", "t", column], ascending=[False, False, True])
    return ordered.groupby("customer_id")[column].first()


def _orders(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "orders.parquet")
    rows["kept_amount"] = (rows["amount"] - rows["refunded"]).clip(lower=0)
    kept = rows[~rows["cancelled"] & ((rows["amount"] == 0) | (rows["kept_amount"] > 0))]
    year, half = kept[_within(kept, 365)], rows[_within(rows, 180)]
    before = kept[_within(kept, 180) & ~_within(kept, 90)]
    by = kept.groupby("customer_id")
    return pd.DataFrame(
        {
            "orders_count": by.size(),
            "orders_365d": year.groupby("customer_id").size(),
            "spend_total": by["kept_amount"].sum(),
            "spend_30d": kept[_within(kept, 30)].groupby("customer_id")["kept_amount"].sum(),
            "spend_90d": kept[_within(kept, 90)].groupby("customer_id")["kept_amount"].sum(),
            "spend_365d": year.groupby("customer_id")["kept_amount"].sum(),
            "spend_before": before.groupby("customer_id")["kept_amount"].sum(),
            "first_order_at": by["time"].min(),
            "last_order_at": by["time"].max(),
            "order_days_365d": _day(year["time"]).groupby(year["customer_id"]).nunique(),
            "with_coupon": half.groupby("customer_id")["with_coupon"].sum(),
            "any_180d": half.groupby("customer_id").size(),
            "any_30d": rows[_within(rows, 30)].groupby("customer_id").size(),
            "any_7d": rows[_within(rows, 7)].groupby("customer_id").size(),
            "last_channel": rows.groupby("customer_id")["channel"].last(),  # the files are in the order of pos
        }
    )


def _items(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "items.parquet")
    rows = rows[_within(rows, 365)]
    by = rows.groupby("customer_id")
    ranked = rows.groupby(["customer_id", "category"]).agg(m=("amount", "sum"), t=("time", "max"))
    return pd.DataFrame(
        {
            "quantity_365d": by["quantity"].sum(),
            "skus_365d": by["sku"].nunique(),
            "top_category": _best(ranked, "category"),
        }
    )


def _events(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "events.parquet")
    recent = rows[_within(rows, 90)]
    month, week = recent[_within(recent, 30)], recent[_within(recent, 7)]
    liked = rows[rows["category"] == "c-07"]
    micros = (pd.Timestamp(AS_OF) - liked["time"]) / pd.Timedelta(microseconds=1)
    ranked = recent.groupby(["customer_id", "channel"]).agg(m=("time", "size"), t=("time", "max"))
    carts = recent[recent["type"] == "add_to_cart"]

    def counted(chosen: pd.DataFrame) -> Any:
        return chosen.groupby("customer_id").size()

    return pd.DataFrame(
        {
            "last_event_at": rows.groupby("customer_id")["time"].max(),
            "interest": (0.5 ** (micros / 2_592_000_000_000.0)).groupby(liked["customer_id"]).sum(),
            "last_viewed": rows[(rows["type"] == "view") & rows["sku"].notna()].groupby("customer_id")["sku"].last(),
            "events_7d": counted(week),
            "events_30d": counted(month),
            "views_30d": counted(month[month["type"] == "view"]),
            "carts_90d": counted(carts),
            "carts_7d": counted(carts[_within(carts, 7)]),
            "coupons_30d": counted(month[month["type"] == "coupon_used"]),
            "active_days_30d": _day(month["time"]).groupby(month["customer_id"]).nunique(),
            "active_days_90d": _day(recent["time"]).groupby(recent["customer_id"]).nunique(),
            "channels_90d": ranked.groupby("customer_id").size(),
            "top_channel": _best(ranked, "channel"),
        }
    )


def _fifth(values: Any) -> Any:
    """Return the fifth a value is in, 1 to 5, from how many are below it."""
    return 1 + (5 * (values.rank(method="min") - 1) // values.count()).clip(upper=4)


def _grouped(wide: pd.DataFrame) -> pd.DataFrame:
    buyers, age = wide[wide["orders_365d"] > 0], wide["order_age"]
    wide["r"] = 6 - _fifth(buyers["order_age"])
    wide["f"], wide["m"] = _fifth(buyers["orders_365d"]), _fifth(buyers["spend_365d"])
    count, spend = wide["orders_count"], wide["spend_365d"]
    span = (wide["last_order_at"] - wide["first_order_at"]) / pd.Timedelta(days=1)
    wide["avg_ticket"] = wide["spend_total"] / 100 / count.where(count > 0)
    wide["order_gap"] = span / (count - 1).where(count > 1)
    wide["coupon_share_180d"] = wide["with_coupon"] / wide["any_180d"]
    wide["grade"] = np.select(
        [spend >= 150_000, spend >= 50_000, spend >= 10_000], ["diamond", "gold", "silver"], "member"
    )
    cities = wide.groupby("city")["spend_365d"]
    wide["city_top"] = 1000 * (cities.rank(method="min") - 1) // cities.transform("size") >= 800
    wide["lapsing_vip"] = wide["grade"].isin(["diamond", "gold"]) & (age > 60) & (wide["coupons_30d"] == 0)
    wide["spend_halved"] = 2 * wide["spend_90d"] < wide["spend_before"]
    wide["one_order_only"] = (count == 1) & (age > 30) & (age <= 120)
    wide["coupon_lovers"] = wide["coupon_share_180d"] >= 0.6
    wide["overdue"] = age > 1.2 * wide["order_gap"]
    wide["rfm_best"] = (wide["r"] >= 4) & (wide["f"] >= 4) & (wide["m"] >= 4)
    wide["cart_left"] = (wide["carts_7d"] > 0) & (wide["any_7d"] == 0)
    wide["browsers"] = (wide["views_30d"] >= 5) & (wide["any_30d"] == 0)
    wide["app_people"] = (wide["top_channel"] == "app") & (wide["active_days_30d"] >= 4)
    loyal = (wide["orders_365d"] >= 6) & (wide["order_days_365d"] >= 4) & (age <= 90)
    wide["lifecycle"] = np.select(
        [
            count == 0,
            (count == 1) & (_since(wide["first_order_at"]) <= 60),
            loyal,
            (age <= 90) | (wide["event_age"] <= 30),
            (age <= 365) | (wide["event_age"] <= 90),
        ],
        ["prospect", "new", "loyal", "active", "dormant"],
        "lost",
    )
    month, quarter = wide["active_days_30d"], wide["active_days_90d"]
    wide["engagement"] = np.select([month >= 10, month >= 3, quarter >= 1], ["hot", "warm", "cool"], "cold")
    money = [name for name in wide.columns if name.startswith("spend_") and name != "spend_halved"]
    wide[money] = wide[money] / 100
    return wide
