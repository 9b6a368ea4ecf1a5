"""The standard set in Polars: lazy, streaming, one group-by for each stream and window."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from benchmarks.data import AS_OF

__all__ = ["answers"]


def answers(folder: Path) -> pl.DataFrame:
    """Return the answers, one row a customer."""
    wide = (
        pl.scan_parquet(folder / "customers.parquet")
        .join(_orders(folder), on="customer_id", how="left")
        .join(_items(folder), on="customer_id", how="left")
        .join(_favourite(folder), on="customer_id", how="left")
        .join(_events(folder), on="customer_id", how="left")
        .join(_recent(folder), on="customer_id", how="left")
        .join(_channels(folder), on="customer_id", how="left")
        .with_columns(pl.col(_ZERO).fill_null(0), order_age=_since("last_order_at"), event_age=_since("last_event_at"))
    )
    return _grouped(wide.collect(engine="streaming"))


_ZERO = [
    "orders_count", "orders_365d", "spend_total", "spend_30d", "spend_90d", "spend_365d", "spend_before",
    "order_days_365d", "any_30d", "any_7d", "quantity_365d", "skus_365d", "events_7d", "events_30d", "views_30d",
    "carts_90d", "carts_7d", "coupons_30d", "active_days_30d", "active_days_90d", "channels_90d", "interest",
]  # fmt: skip


def _within(days: int) -> pl.Expr:
    return pl.col("time") > AS_OF - timedelta(days=days)


def _day(column: str = "time") -> pl.Expr:
    return (pl.col(column) + timedelta(hours=8)).dt.date()


def _since(column: str) -> pl.Expr:
    return (pl.lit(date(2026, 1, 1)) - _day(column)).dt.total_days()


def _orders(folder: Path) -> pl.LazyFrame:
    kept, paid = pl.col("kept"), pl.col("kept_amount")
    before = pl.col("time").is_between(AS_OF - timedelta(days=180), AS_OF - timedelta(days=90), closed="right")
    rows = (
        pl.scan_parquet(folder / "orders.parquet")
        .with_columns(kept_amount=(pl.col("amount") - pl.col("refunded")).clip(lower_bound=0))
        .with_columns(kept=~pl.col("cancelled") & ((pl.col("amount") == 0) | (paid > 0)))
    )
    return rows.group_by("customer_id").agg(
        orders_count=kept.sum().cast(pl.Int64),
        orders_365d=(kept & _within(365)).sum().cast(pl.Int64),
        spend_total=paid.filter(kept).sum(),
        spend_30d=paid.filter(kept & _within(30)).sum(),
        spend_90d=paid.filter(kept & _within(90)).sum(),
        spend_365d=paid.filter(kept & _within(365)).sum(),
        spend_before=paid.filter(kept & before).sum(),
        first_order_at=pl.col("time").filter(kept).min(),
        last_order_at=pl.col("time").filter(kept).max(),
        order_days_365d=_day().filter(kept & _within(365)).n_unique().cast(pl.Int64),
        with_coupon=(pl.col("with_coupon") & _within(180)).sum(),
        any_180d=_within(180).sum(),
        any_30d=_within(30).sum().cast(pl.Int64),
        any_7d=_within(7).sum().cast(pl.Int64),
        last_channel=pl.col("channel").sort_by("pos").last(),
    )


def _items(folder: Path) -> pl.LazyFrame:
    rows = pl.scan_parquet(folder / "items.parquet").filter(_within(365))
    return rows.group_by("customer_id").agg(
        quantity_365d=pl.col("quantity").sum(), skus_365d=pl.col("sku").n_unique().cast(pl.Int64)
    )


def _best(rows: pl.LazyFrame, column: str) -> pl.LazyFrame:
    """Keep the value with the largest m, then the latest t, then the smallest by code point."""
    order = [pl.col("m"), pl.col("t"), pl.col(column)]
    return rows.group_by("customer_id").agg(
        pl.col(column).sort_by(order, descending=[True, True, False]).first().alias(f"top_{column}"),
        pl.len().cast(pl.Int64).alias(f"{column}s_90d"),
    )


def _favourite(folder: Path) -> pl.LazyFrame:
    rows = pl.scan_parquet(folder / "items.parquet").filter(_within(365) & pl.col("category").is_not_null())
    found = rows.group_by("customer_id", "category").agg(m=pl.col("amount").sum(), t=pl.col("time").max())
    return _best(found, "category").select("customer_id", "top_category")


def _channels(folder: Path) -> pl.LazyFrame:
    rows = pl.scan_parquet(folder / "events.parquet").filter(_within(90) & pl.col("channel").is_not_null())
    return _best(rows.group_by("customer_id", "channel").agg(m=pl.len(), t=pl.col("time").max()), "channel")


def _events(folder: Path) -> pl.LazyFrame:
    age = (pl.lit(AS_OF) - pl.col("time")).dt.total_microseconds() / 2_592_000_000_000.0
    views = (pl.col("type") == "view") & pl.col("sku").is_not_null()
    return (
        pl.scan_parquet(folder / "events.parquet")
        .group_by("customer_id")
        .agg(
            last_event_at=pl.col("time").max(),
            interest=pl.lit(0.5).pow(age.filter(pl.col("category") == "c-07")).sum(),
            last_viewed=pl.col("sku").filter(views).sort_by(pl.col("pos").filter(views)).last(),
        )
    )


def _recent(folder: Path) -> pl.LazyFrame:
    kind = pl.col("type")
    rows = pl.scan_parquet(folder / "events.parquet").filter(_within(90))
    return rows.group_by("customer_id").agg(
        events_7d=_within(7).sum().cast(pl.Int64),
        events_30d=_within(30).sum().cast(pl.Int64),
        views_30d=((kind == "view") & _within(30)).sum().cast(pl.Int64),
        carts_90d=(kind == "add_to_cart").sum().cast(pl.Int64),
        carts_7d=((kind == "add_to_cart") & _within(7)).sum().cast(pl.Int64),
        coupons_30d=((kind == "coupon_used") & _within(30)).sum().cast(pl.Int64),
        active_days_30d=_day().filter(_within(30)).n_unique().cast(pl.Int64),
        active_days_90d=_day().n_unique().cast(pl.Int64),
    )


def _fifth(column: str) -> pl.Expr:
    """Return the fifth a value is in, 1 to 5, from how many are below it."""
    below = pl.col(column).rank("min").cast(pl.Int64) - 1
    return 1 + (5 * below // pl.col(column).count().cast(pl.Int64)).clip(upper_bound=4)


def _grouped(wide: pl.DataFrame) -> pl.DataFrame:
    buyers = wide.filter(pl.col("orders_365d") > 0).select(
        "customer_id", r=6 - _fifth("order_age"), f=_fifth("orders_365d"), m=_fifth("spend_365d")
    )
    age, spend = pl.col("order_age"), pl.col("spend_365d")
    below = spend.rank("min").over("city").cast(pl.Int64) - 1
    grade = pl.when(spend >= 150_000).then(pl.lit("diamond")).when(spend >= 50_000).then(pl.lit("gold"))
    span = (pl.col("last_order_at") - pl.col("first_order_at")).dt.total_microseconds() / 86_400_000_000.0
    found = (
        wide.join(buyers, on="customer_id", how="left")
        .with_columns(
            avg_ticket=pl.when(pl.col("orders_count") > 0).then(pl.col("spend_total") / 100 / pl.col("orders_count")),
            order_gap=pl.when(pl.col("orders_count") > 1).then(span / (pl.col("orders_count") - 1)),
            coupon_share_180d=pl.when(pl.col("any_180d") > 0).then(pl.col("with_coupon") / pl.col("any_180d")),
            grade=grade.when(spend >= 10_000).then(pl.lit("silver")).otherwise(pl.lit("member")),
            city_top=pl.when(pl.col("city").is_not_null()).then(1000 * below // pl.len().over("city") >= 800),
        )
        .with_columns(
            lapsing_vip=pl.col("grade").is_in(["diamond", "gold"]) & (age > 60) & (pl.col("coupons_30d") == 0),
            spend_halved=2 * pl.col("spend_90d") < pl.col("spend_before"),
            one_order_only=(pl.col("orders_count") == 1) & (age > 30) & (age <= 120),
            coupon_lovers=pl.col("coupon_share_180d") >= 0.6,
            overdue=age > 1.2 * pl.col("order_gap"),
            rfm_best=(pl.col("r") >= 4) & (pl.col("f") >= 4) & (pl.col("m") >= 4),
            cart_left=(pl.col("carts_7d") > 0) & (pl.col("any_7d") == 0),
            browsers=(pl.col("views_30d") >= 5) & (pl.col("any_30d") == 0),
            app_people=(pl.col("top_channel") == "app") & (pl.col("active_days_30d") >= 4),
            lifecycle=_lifecycle(),
            engagement=_engagement(),
        )
    )
    money = [name for name in found.columns if name.startswith("spend_") and name != "spend_halved"]
    return found.with_columns(pl.col(pl.Boolean).fill_null(False), pl.col(money) / 100)


def _engagement() -> pl.Expr:
    month, quarter = pl.col("active_days_30d"), pl.col("active_days_90d")
    hot = pl.when(month >= 10).then(pl.lit("hot")).when(month >= 3).then(pl.lit("warm"))
    return hot.when(quarter >= 1).then(pl.lit("cool")).otherwise(pl.lit("cold"))


def _lifecycle() -> pl.Expr:
    count, age, event_age = pl.col("orders_count"), pl.col("order_age"), pl.col("event_age")
    loyal = (pl.col("orders_365d") >= 6) & (pl.col("order_days_365d") >= 4) & (age <= 90)
    return (
        pl.when(count == 0).then(pl.lit("prospect"))
        .when((count == 1) & (_since("first_order_at") <= 60)).then(pl.lit("new"))
        .when(loyal).then(pl.lit("loyal"))
        .when((age <= 90) | (event_age <= 30)).then(pl.lit("active"))
        .when((age <= 365) | (event_age <= 90)).then(pl.lit("dormant"))
        .otherwise(pl.lit("lost"))
    )  # fmt: skip
