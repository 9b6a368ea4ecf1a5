"""What the points outstanding amount to, when they would expire, and what became of those earned in each month."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select

from tierwise.store.schema_points import point_entries, point_lots, point_postings

__all__ = ["liability"]

_OF_THE_BRAND: Final = ("earned", "adjusted", "redeemed", "expired")
_CHUNK: Final = 50_000


def liability(connection: Connection, zone: ZoneInfo) -> dict[str, Any]:
    """Return the liability and breakage report, as of the last settling.

    What was earned and adjusted equals what was redeemed and expired and what customers still have, less what they
    owe; `difference` is 0, or the books are wrong. `breakage` of a month is the share of its points that expired,
    among those whose fate is known (spent or expired); it is missing while that is none of them.

    Args:
        connection: a reading transaction.
        zone: the zone whose months are meant.
    """
    sums = select(point_postings.c.account, func.sum(point_postings.c.amount)).group_by(point_postings.c.account)
    posted = {account: int(total) for account, total in connection.execute(sums)}
    total = {name: posted.get(name, 0) for name in (*_OF_THE_BRAND, "available", "pending", "owed")}
    total["earned"], total["adjusted"] = -total["earned"], -total["adjusted"]
    total["owed"] = -total["owed"]
    gone = total["redeemed"] + total["expired"]
    held = total["available"] + total["pending"] - total["owed"]
    by_expiry, by_earned = _by_month(connection, zone)
    return {
        **total,
        "difference": total["earned"] + total["adjusted"] - gone - held,
        "outstanding": total["available"] + total["pending"],
        "by_expiry": by_expiry,
        "by_earned": by_earned,
    }


def _by_month(connection: Connection, zone: ZoneInfo) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    lot = point_lots.c
    columns = (lot.points, lot.remaining, lot.expired, lot.reversed, lot.recalled, lot.expires_at, point_entries.c.at)
    chosen = select(*columns).join(point_entries, point_entries.c.entry_id == lot.lot_id)
    expiring: dict[str, int] = defaultdict(int)
    earned: dict[str, dict[str, int]] = {}
    for row in connection.execution_options(yield_per=_CHUNK).execute(chosen):
        if row.remaining:
            expiring["never" if row.expires_at is None else _month(row.expires_at, zone)] += row.remaining
        fates = earned.setdefault(_month(row.at, zone), dict.fromkeys(("points", "left", "expired", "taken_back"), 0))
        fates["points"] += row.points
        fates["left"] += row.remaining
        fates["expired"] += row.expired
        fates["taken_back"] += row.reversed
    return (
        [{"month": month, "points": points} for month, points in sorted(expiring.items())],
        [_cohort(month, fates) for month, fates in sorted(earned.items())],
    )


def _cohort(month: str, fates: dict[str, int]) -> dict[str, Any]:
    spent = fates["points"] - fates["left"] - fates["expired"] - fates["taken_back"]
    known = spent + fates["expired"]
    return {"month": month, **fates, "spent": spent, "breakage": fates["expired"] / known if known else None}


def _month(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m")
