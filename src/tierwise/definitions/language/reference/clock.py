"""Times as the language means them: calendar arithmetic that may leave the calendar, and scalar functions of time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final

from tierwise.definitions.language.lunar import kept_on, lunar_day
from tierwise.definitions.language.reference.world import Moment
from tierwise.definitions.language.times import Duration, Zone, add_months

__all__ = [
    "age", "anniversary", "between", "date_of", "days", "hours_since", "lunar_anniversary", "midnight",
    "months_since", "shifted", "wall",
]  # fmt: skip

_DAY: Final = timedelta(days=1)


def days(length: timedelta) -> float:
    """Return a length of time in days."""
    return length / _DAY


def wall(moment: datetime | date, zone: Zone) -> datetime | None:
    """Return the local wall time; of a date its 00:00; missing outside the years 1 to 9999."""
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time())
    try:
        return zone.to_local(moment)
    except OverflowError:
        return None


def date_of(moment: datetime | date, zone: Zone) -> date | None:
    """Return the local date."""
    local = wall(moment, zone)
    return None if local is None else local.date()


def midnight(day: date, zone: Zone) -> datetime:
    """Return the instant the local day begins; one outside the years 1 to 9999 is the nearest inside."""
    try:
        return zone.midnight(day)
    except OverflowError:
        return datetime.combine(date.min, time.min) if day.year == 1 else datetime.combine(date.max, time.max)


def shifted(moment: datetime | date, duration: Duration, sign: int, zone: Zone) -> datetime | date | None:
    """Return the instant or date one duration later (sign 1) or earlier (-1); missing outside the years 1 to 9999."""
    try:
        if isinstance(moment, datetime):
            return zone.add(moment, duration, sign)
        if duration.is_calendar:
            return add_months(moment, sign * duration.months)
        assert duration.is_whole_days, duration
        return moment + sign * timedelta(microseconds=duration.micros)
    except (OverflowError, ValueError):
        return None


def between(left: datetime | date, right: datetime | date, zone: Zone) -> float | int | None:
    """Return left − right in days: a float between two instants, a whole number where a date is involved."""
    if isinstance(left, datetime) and isinstance(right, datetime):
        return days(left - right)
    a, b = date_of(left, zone), date_of(right, zone)
    return None if a is None or b is None else (a - b).days


def hours_since(moment: datetime | date, now: Moment) -> float | None:
    """Return the elapsed hours; a date means its local midnight, missing outside the years 1 to 9999."""
    try:
        instant = moment if isinstance(moment, datetime) else now.zone.midnight(moment)
    except OverflowError:
        return None
    return (now.as_of - instant) / timedelta(hours=1)


def months_since(day: date, today: date) -> int:
    """Return the largest k with the day k months later at or before today.

    Example:
        >>> months_since(date(2026, 1, 31), date(2026, 2, 28)), months_since(date(2026, 3, 1), date(2026, 2, 28))
        (1, -1)
    """
    # k months later lies in the month of today, k + 1 months later after it.
    k = (today.year - day.year) * 12 + today.month - day.month
    return k if add_months(day, k) <= today else k - 1


def age(day: date, today: date) -> int:
    """Return the largest k with the day k years later at or before today; 29 February falls on the 28th."""
    k = today.year - day.year
    return k if add_months(day, 12 * k) <= today else k - 1


def anniversary(day: date, within: Duration, today: date, zone: Zone) -> bool:
    """Return whether an anniversary of the day falls on today … today + within, the end included."""
    last: Any = shifted(today, within, 1, zone) or date.max
    return any(today <= _anniversary_in(year, day) <= last for year in range(today.year, last.year + 1))


def lunar_anniversary(day: date, within: Duration, today: date, zone: Zone) -> bool:
    """Return whether the lunar day of a day is kept on today … today + within, the end included."""
    lunar = lunar_day(day)
    last: Any = shifted(today, within, 1, zone) or date.max
    return lunar is not None and bool(kept_on(lunar, today, last))


def _anniversary_in(year: int, day: date) -> date:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return date(year, 2, 28) if (day.month, day.day) == (2, 29) and not leap else date(year, day.month, day.day)
