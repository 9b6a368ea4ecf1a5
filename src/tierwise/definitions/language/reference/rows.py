"""Which rows count, the columns that exist only at an as_of, and the attributes of a customer at an as_of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tierwise.definitions.language.kinds import DECIMAL, MONEY
from tierwise.definitions.language.reference import clock
from tierwise.definitions.language.reference.numbers import fit
from tierwise.definitions.language.reference.world import Moment, Row, World
from tierwise.definitions.language.times import calendar_days
from tierwise.definitions.language.typed import Value, Window

__all__ = ["Refunds", "attribute_at", "in_order", "in_window", "interval", "refunds_at", "refunds_of", "rows_at"]

#: (key space, order number) → the refunds known by now.
Refunds = Mapping[tuple[Value, Value], Sequence[Row]]


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows by (time, row_key)."""
    return sorted(rows, key=lambda row: (row.time, row.row_key))


def refunds_at(world: World, as_of: datetime) -> Refunds:
    """Return all refunds of the world with time ≤ as_of that name an order, whoever's they are."""
    found: dict[tuple[Value, Value], list[Row]] = {}
    for rows in world.streams.get("refunds", {}).values():
        for row in rows:
            if row.time <= as_of and row.values.get("order_id") is not None:
                found.setdefault(_order_of(row), []).append(row)
    return found


def refunds_of(world: World, order: Row) -> list[Row]:
    """Return all refunds of money that name an order, whenever they came and whoever's they are."""
    known = [row for rows in world.streams.get("refunds", {}).values() for row in rows]
    known = [row for row in known if row.values.get("order_id") is not None and row.values.get("amount") is not None]
    return [row for row in known if _order_of(row) == _order_of(order)]


def _order_of(row: Row) -> tuple[Value, Value]:
    return row.values.get("key_space"), row.values.get("order_id")


def rows_at(stream: str, rows: Iterable[Row], refunds: Refunds, as_of: datetime) -> list[Row]:
    """Return a customer's rows that exist at as_of, in order, with `time` and the computed columns among the values."""
    seen = []
    for row in in_order(rows):
        if row.time > as_of:
            continue
        values: dict[str, Value] = {**row.values, "time": row.time}
        if stream == "orders":
            values["kept_amount"] = _kept_amount(row, refunds)
            values["kept"] = _kept(row, values["kept_amount"])
        elif stream == "visits":
            values["dwell_minutes"] = _dwell_minutes(row, as_of)
        seen.append(Row(row.time, row.row_key, values))
    return seen


def _kept_amount(order: Row, refunds: Refunds) -> Value:
    amount: Any = order.values.get("amount")
    if amount is None:
        return None
    left = Fraction(amount)
    for refund in refunds.get(_order_of(order), ()):
        paid_back: Any = refund.values.get("amount")
        if paid_back is not None:
            left -= Fraction(paid_back)
    return fit(max(left, Fraction(0)), MONEY)


def _kept(order: Row, kept_amount: Any) -> bool:
    amount = order.values.get("amount")
    if order.values.get("cancelled") is True or amount is None or kept_amount is None:
        return False
    return amount == 0 or kept_amount > 0


def _dwell_minutes(visit: Row, as_of: datetime) -> Value:
    left_at = visit.values.get("left_at")
    if not isinstance(left_at, datetime) or left_at > as_of:
        return None
    micros = (left_at - visit.time) // timedelta(microseconds=1)
    return fit(Fraction(micros, 60_000_000), DECIMAL)


def in_window(time: datetime, window: Window, since: Value, until: Value, now: Moment) -> bool:
    """Return whether a row of this time is inside every given part of the window.

    `since` and `until` are the values of the window's bounds; one that is given and missing lets no row in.
    """
    as_of, zone = now.as_of, now.zone
    if time > as_of:
        return False
    if window.within is not None and not zone.add(as_of, window.within, -1) < time:
        return False
    if window.ago is not None:
        near, far = window.ago
        if not zone.add(as_of, far, -1) < time <= zone.add(as_of, near, -1):
            return False
    if window.on:
        first, after = calendar_days(window.on, now.today)
        if not zone.midnight(first) <= time < zone.midnight(after):
            return False
    if window.since is not None and not _is_since(time, since, now):
        return False
    return window.until is None or _is_until(time, until, now)


def interval(window: Window, since: Value, until: Value, now: Moment) -> tuple[datetime, datetime] | None:
    """Return where a window begins and ends, never after as_of; None when a bound that is given is missing."""
    lows, highs, zone = [datetime.min], [now.as_of], now.zone
    if window.within is not None:
        lows.append(zone.add(now.as_of, window.within, -1))
    if window.ago is not None:
        near, far = window.ago
        lows.append(zone.add(now.as_of, far, -1))
        highs.append(zone.add(now.as_of, near, -1))
    if window.on:
        first, after = calendar_days(window.on, now.today)
        lows.append(zone.midnight(first))
        highs.append(zone.midnight(after))
    if window.since is not None:
        if not isinstance(since, date):
            return None
        lows.append(since if isinstance(since, datetime) else clock.midnight(since, zone))
    if window.until is not None:
        if not isinstance(until, date):
            return None
        if isinstance(until, datetime):
            highs.append(until)
        elif until < date.max:
            highs.append(clock.midnight(until + timedelta(days=1), zone))
    return max(lows), min(highs)


def _is_since(time: datetime, bound: Value, now: Moment) -> bool:
    if isinstance(bound, datetime):
        return time > bound
    return isinstance(bound, date) and time >= clock.midnight(bound, now.zone)


def _is_until(time: datetime, bound: Value, now: Moment) -> bool:
    if isinstance(bound, datetime):
        return time <= bound
    if not isinstance(bound, date):
        return False
    return bound == date.max or time < clock.midnight(bound + timedelta(days=1), now.zone)


def attribute_at(name: str, records: Iterable[Row], as_of: datetime) -> Value:
    """Return the newest known value with time ≤ as_of; before the first known one, that first one.

    Example:
        >>> moved = [Row(datetime(2026, 1, 1), "a", {"city": "York"}), Row(datetime(2026, 2, 1), "b", {"city": "Bath"})]
        >>> [attribute_at("city", moved, datetime(year, 1, 15)) for year in (2025, 2026, 2027)]
        ['York', 'York', 'Bath']
    """
    known = in_order(record for record in records if record.values.get(name) is not None)
    if not known:
        return None
    past = [record for record in known if record.time <= as_of]
    return (past[-1] if past else known[0]).values[name]
