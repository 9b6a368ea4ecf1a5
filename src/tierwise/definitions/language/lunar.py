"""The Chinese lunar calendar as data: the lunar day of a date, and the dates on which a lunar day is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Final

from lunar_python import LunarYear

__all__ = ["FIRST_YEAR", "LAST_YEAR", "LunarDay", "kept_on", "lunar_day", "lunar_days"]

#: The lunar years that are known; a date outside them has no lunar day.
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2100
#: The ordinal of a date is its Julian day less this.
_JULIAN: Final = 1_721_425

#: A lunar month, 1 to 12, and a day of it, 1 to 30; a leap month has the number of the month it follows.
LunarDay = tuple[int, int]


@cache
def _months(year: int) -> tuple[tuple[int, bool, date, int], ...]:
    """Return (number, whether it is a leap month, first day, length) of the months of a lunar year."""
    return tuple(
        (
            abs(month.getMonth()),
            month.getMonth() < 0,
            date.fromordinal(int(month.getFirstJulianDay()) - _JULIAN),
            month.getDayCount(),
        )
        for month in LunarYear.fromYear(year).getMonthsInYear()
    )


def lunar_day(day: date) -> LunarDay | None:
    """Return the lunar month and day of a date, or None outside the known years.

    Example:
        >>> lunar_day(date(2025, 1, 29)), lunar_day(date(2025, 7, 25)), lunar_day(date(1899, 1, 1))
        ((1, 1), (6, 1), None)
    """
    for year in (day.year - 1, day.year):
        if FIRST_YEAR <= year <= LAST_YEAR:
            for number, _, first, length in _months(year):
                if 0 <= (day - first).days < length:
                    return number, (day - first).days + 1
    return None


def lunar_days() -> Iterator[tuple[date, LunarDay]]:
    """Yield every date of the known years with its lunar day."""
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        for number, _, first, length in _months(year):
            yield from ((first + timedelta(days=n), (number, n + 1)) for n in range(length))


def kept_on(day: LunarDay, first: date, last: date) -> list[date]:
    """Return the dates from `first` to `last`, both included, on which a lunar day is kept.

    It is kept once a lunar year, in the ordinary month of its number (also one that was of a leap month), and on the
    month's last day when the month has no such day.

    Example:
        >>> kept_on((6, 30), date(2025, 1, 1), date(2026, 12, 31))
        [datetime.date(2025, 7, 24), datetime.date(2026, 8, 12)]
    """
    found = []
    for year in range(max(first.year - 1, FIRST_YEAR), min(last.year, LAST_YEAR) + 1):
        for number, leap, begins, length in _months(year):
            if number == day[0] and not leap:
                kept = begins + timedelta(days=min(day[1], length) - 1)
                if first <= kept <= last:
                    found.append(kept)
    return found
