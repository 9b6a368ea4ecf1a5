"""Functions over a stream: from the rows that count, in order, to a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from tierwise.definitions.language.reference import clock
from tierwise.definitions.language.reference.numbers import exact_sum, mean, sortable
from tierwise.definitions.language.reference.world import Moment, Row
from tierwise.definitions.language.times import Duration
from tierwise.definitions.language.typed import Aggregate

__all__ = ["AGGREGATES", "aggregate"]

#: (node, rows in order, instant and zone) → value; the caller fits it to the kind of the node.
_Function = Callable[[Aggregate, Sequence[Row], Moment], Any]


def aggregate(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    """Return the function of the node over these rows, which stand by (time, row_key) and all count.

    `share` and `time_avg` are not here: what `of` says of a row and where the window ends, the caller knows.
    """
    return AGGREGATES[node.function](node, rows, now)


def _known(node: Aggregate, rows: Sequence[Row]) -> list[Any]:
    """The values of the node's column that are not missing."""
    found = [row.values.get(node.column) for row in rows]
    return [value for value in found if value is not None]


def _count(node: Aggregate, rows: Sequence[Row], now: Moment) -> int:
    return len(rows)


def _exists(node: Aggregate, rows: Sequence[Row], now: Moment) -> bool:
    return len(rows) > 0


def _sum(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    return exact_sum(_known(node, rows), node.kind)


def _avg(node: Aggregate, rows: Sequence[Row], now: Moment) -> float | None:
    return mean(_known(node, rows))


def _min(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    return min(_known(node, rows), default=None)


def _max(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    return max(_known(node, rows), default=None)


def _distinct(node: Aggregate, rows: Sequence[Row], now: Moment) -> int:
    return len(set(_known(node, rows)))


def _days(node: Aggregate, rows: Sequence[Row], now: Moment) -> int:
    return len({now.zone.day_of(row.time) for row in rows})


def _first(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    return next(iter(_known(node, rows)), None)


def _last(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    return next(reversed(_known(node, rows)), None)


def _nth(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    values = _known(node, rows)
    assert node.n is not None and node.n >= 1
    return values[node.n - 1] if node.n <= len(values) else None


# -- the value that stands out -----------------------------------------------------------------------------------------


def _top(node: Aggregate, rows: Sequence[Row], now: Moment) -> Any:
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        value = row.values.get(node.column)
        if value is not None:
            groups.setdefault(value, []).append(row)
    # Sorting is stable, so the last criterion is sorted by first: value, then latest time, then size.
    ranked = sorted(groups)
    ranked.sort(key=lambda value: max(row.time for row in groups[value]), reverse=True)
    ranked.sort(key=lambda value: _size(node.by, groups[value], now), reverse=True)
    if node.n is None or node.n == 1:
        return ranked[0] if ranked else None
    return tuple(ranked[: node.n]) or None


def _size(by: Aggregate | None, rows: Sequence[Row], now: Moment) -> tuple[bool, Any]:
    """How large a group of rows is; a missing size is below any."""
    if by is None:
        return True, len(rows)
    size = aggregate(by, rows, now)
    return (False, 0) if size is None else (True, sortable(size, by.kind))


# -- rhythm ------------------------------------------------------------------------------------------------------------


def _score(node: Aggregate, rows: Sequence[Row], now: Moment) -> float:
    assert node.length is not None and not node.length.is_calendar
    half_life = timedelta(microseconds=node.length.micros)
    return math.fsum(0.5 ** ((now.as_of - row.time) / half_life) for row in rows)


def _streak(node: Aggregate, rows: Sequence[Row], now: Moment) -> int:
    assert node.length is not None
    filled = {_period(now.zone.day_of(row.time), node.length) for row in rows}
    period = _period(now.today, node.length)
    if period not in filled:
        period -= 1
    length = 0
    while period in filled:
        length += 1
        period -= 1
    return length


def _periods(node: Aggregate, rows: Sequence[Row], now: Moment) -> int:
    assert node.length is not None and node.n is not None
    current = _period(now.today, node.length)
    filled = {_period(now.zone.day_of(row.time), node.length) for row in rows}
    return sum(current - node.n < period <= current for period in filled)


def _period(day: date, every: Duration) -> int:
    """The number of the calendar period the day lies in; neighbouring periods have neighbouring numbers."""
    match every.text:
        case "1d":
            return day.toordinal()
        case "1w":
            return (day.toordinal() - 1) // 7  # 1 January of the year 1 is day 1, a Monday
        case "1mo":
            return day.year * 12 + day.month - 1
        case "3mo":
            return (day.year * 12 + day.month - 1) // 3
        case "1y":
            return day.year
    raise AssertionError(every)


def _gaps(rows: Sequence[Row]) -> list[float]:
    return [clock.days(later.time - earlier.time) for earlier, later in pairwise(rows)]


def _avg_gap(node: Aggregate, rows: Sequence[Row], now: Moment) -> float | None:
    return clock.days(rows[-1].time - rows[0].time) / (len(rows) - 1) if len(rows) > 1 else None


def _min_gap(node: Aggregate, rows: Sequence[Row], now: Moment) -> float | None:
    return min(_gaps(rows), default=None)


def _max_gap(node: Aggregate, rows: Sequence[Row], now: Moment) -> float | None:
    return max(_gaps(rows), default=None)


AGGREGATES: Final[Mapping[str, _Function]] = MappingProxyType(
    {
        "count": _count,
        "exists": _exists,
        "sum": _sum,
        "avg": _avg,
        "min": _min,
        "max": _max,
        "distinct": _distinct,
        "days": _days,
        "first": _first,
        "last": _last,
        "nth": _nth,
        "top": _top,
        "score": _score,
        "streak": _streak,
        "periods": _periods,
        "avg_gap": _avg_gap,
        "min_gap": _min_gap,
        "max_gap": _max_gap,
    }
)
