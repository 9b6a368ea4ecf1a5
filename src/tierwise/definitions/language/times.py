"""Durations and calendar arithmetic: what ``90d`` and ``last month`` mean, in one zone, without a clock."""

from __future__ import annotations

import re
from bisect import bisect_right
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

__all__ = [
    "A_YEAR_AGO",
    "CALENDAR_WORDS",
    "Duration",
    "Zone",
    "add_months",
    "calendar_days",
    "parse_date",
    "parse_duration",
    "parse_instant",
]

_DURATION: Final = re.compile(r"([0-9]{1,6})(mo|[mhdwy])")
_MICROS: Final = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
#: No duration is longer than this many years.
_LONGEST_YEARS: Final = 200


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: exact microseconds (`m h d w`; a day is 24 h) or calendar months (`mo y`)."""

    text: str
    months: int = 0
    micros: int = 0

    def __str__(self) -> str:
        return self.text

    @property
    def is_calendar(self) -> bool:
        """Whether it is counted in calendar months."""
        return bool(self.months)

    @property
    def is_whole_days(self) -> bool:
        """Whether it can be added to a date."""
        return self.micros % _MICROS["d"] == 0

    @property
    def longest_days(self) -> int:
        """Return at least as many days as the duration can last."""
        return self.months * 31 + -(-self.micros // _MICROS["d"])


def parse_duration(text: str) -> Duration | None:
    """Return the duration written so, or None.

    Example:
        >>> parse_duration("2w").micros == 14 * 86_400_000_000
        True
        >>> parse_duration("1y").months, parse_duration("5 days")
        (12, None)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    count, unit = int(match[1]), match[2]
    if unit in ("mo", "y"):
        months = count * (12 if unit == "y" else 1)
        return Duration(text, months=months) if months <= _LONGEST_YEARS * 12 else None
    micros = count * _MICROS[unit]
    return Duration(text, micros=micros) if micros <= _LONGEST_YEARS * 366 * _MICROS["d"] else None


def parse_date(text: str) -> date | None:
    """Return the date written ``YYYY-MM-DD``, or None."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_instant(text: str, zone: Zone) -> datetime | None:
    """Return the instant written ``YYYY-MM-DD HH:MM[:SS[.ffffff]][Z|±HH:MM]`` as naive UTC, or None.

    Without an offset it is wall time in `zone`.

    Example:
        >>> parse_instant("2026-03-01T08:00", Zone("Asia/Shanghai"))
        datetime.datetime(2026, 3, 1, 0, 0)
    """
    pattern = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?"
    if not re.fullmatch(pattern, text, re.ASCII):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).replace(tzinfo=None)
        return zone.to_utc(moment)
    except (ValueError, OverflowError):
        return None


def add_months(day: date, months: int) -> date:
    """Return the date so many months later (or earlier), clamped to the month's last day.

    Example:
        >>> add_months(date(2026, 3, 31), -1)
        datetime.date(2026, 2, 28)
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    month += 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


#: The calendar words of ``on=``: (unit, how many periods back).
CALENDAR_WORDS: Final = {
    "today": ("day", 0),
    "yesterday": ("day", 1),
    "this week": ("week", 0),
    "last week": ("week", 1),
    "this month": ("month", 0),
    "last month": ("month", 1),
    "this quarter": ("quarter", 0),
    "last quarter": ("quarter", 1),
    "this year": ("year", 0),
    "last year": ("year", 1),
}
#: Calendar words for comparing with a year ago: the unit of a year ago that holds today, up to the same day of it.
A_YEAR_AGO: Final = {
    "same day last year": "day",
    "same month last year": "month",
    "same quarter last year": "quarter",
    "last year to date": "year",
}


def calendar_days(word: str, today: date) -> tuple[date, date]:
    """Return the first day of the period and the first day after it.

    Example:
        >>> calendar_days("last month", date(2026, 3, 15))
        (datetime.date(2026, 2, 1), datetime.date(2026, 3, 1))
        >>> calendar_days("same month last year", date(2024, 2, 29))
        (datetime.date(2023, 2, 1), datetime.date(2023, 3, 1))
    """
    if word in A_YEAR_AGO:
        unit, then = A_YEAR_AGO[word], add_months(today, -12)
        first = then if unit == "day" else calendar_days(f"this {unit}", then)[0]
        return first, then + timedelta(days=1)
    unit, back = CALENDAR_WORDS[word]
    if unit == "day":
        first = today - timedelta(days=back)
        return first, first + timedelta(days=1)
    if unit == "week":
        first = today - timedelta(days=today.weekday() + 7 * back)
        return first, first + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    start_month = (today.month - 1) // months * months + 1
    first = add_months(date(today.year, start_month, 1), -back * months)
    return first, add_months(first, months)


class Zone:
    """A time zone as a list of offset changes, so that every engine converts alike.

    Between two changes an offset is constant; `changes` holds (UTC instant, offset after it) pairs from 1970 to 2100,
    preceded by the offset before the first. An hour that does not exist moves forward, one that exists twice is the
    first, as with ``fold=0`` in Python.

    Example:
        >>> london = Zone("Europe/London")
        >>> london.to_utc(datetime(2026, 3, 29, 1, 30))  # does not exist: read as 02:30 summer time
        datetime.datetime(2026, 3, 29, 1, 30)
        >>> london.to_local(datetime(2026, 7, 1, 12, 0))
        datetime.datetime(2026, 7, 1, 13, 0)
    """

    __slots__ = ("_instants", "changes", "first_offset", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.first_offset, self.changes = _changes(name)
        self._instants = [instant for instant, _ in self.changes]

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Zone) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def _offset(self, instant: datetime) -> timedelta:
        index = bisect_right(self._instants, instant)
        return self.changes[index - 1][1] if index else self.first_offset

    def to_local(self, instant: datetime) -> datetime:
        """Return the wall time of a naive UTC instant."""
        return instant + self._offset(instant)

    def to_utc(self, wall: datetime) -> datetime:
        """Return the naive UTC instant of a wall time."""
        offset = self.first_offset
        for instant, after in self.changes:
            if wall < instant + max(offset, after):
                break
            offset = after
        return wall - offset

    def day_of(self, instant: datetime) -> date:
        """Return the local date of a naive UTC instant."""
        return self.to_local(instant).date()

    def midnight(self, day: date) -> datetime:
        """Return the naive UTC instant at which the local day begins."""
        return self.to_utc(datetime.combine(day, time()))

    def add(self, instant: datetime, duration: Duration, sign: int = 1) -> datetime:
        """Return the instant one duration later (sign 1) or earlier (sign -1), calendar units at the same wall time."""
        if duration.is_calendar:
            wall = self.to_local(instant)
            day = add_months(wall.date(), sign * duration.months)
            return self.to_utc(datetime.combine(day, wall.time()))
        return instant + timedelta(microseconds=sign * duration.micros)


#: No zone has ever changed its clocks twice within so short a time: the closest was a week, less the hour.
_NO_TWO_WITHIN: Final = timedelta(days=5)


@lru_cache(maxsize=64)
def _changes(name: str) -> tuple[timedelta, tuple[tuple[datetime, timedelta], ...]]:
    info = ZoneInfo(name)

    def offset(moment: datetime) -> timedelta:
        return moment.replace(tzinfo=UTC).astimezone(info).utcoffset() or timedelta()

    step, last = datetime(1970, 1, 1), datetime(2100, 1, 1)  # naive UTC
    first = before = offset(step)
    changes = []
    while step < last:
        following = min(step + _NO_TWO_WITHIN, last)
        after = offset(following)
        if after != before:
            low, high = step, following
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            changes.append((high, after))
            before = after
        step = following
    return first, tuple(changes)
