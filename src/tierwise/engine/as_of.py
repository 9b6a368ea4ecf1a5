"""Which instant an answer is for: ``now``, ``latest row``, an instant, or the end of a day; and series of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from tierwise.definitions.language.times import Duration, Zone, parse_date, parse_duration, parse_instant
from tierwise.errors import BadRequest

__all__ = ["read_as_of", "series"]

#: A series of more instants than this is a slip of the pen.
_MOST_INSTANTS: Final = 5_000


def read_as_of(asked: datetime | str, zone: Zone, now: datetime, latest: Callable[[], datetime | None]) -> datetime:
    """Return an instant as naive UTC.

    Args:
        asked: a datetime (without a zone: wall time), ``now``, ``latest row``, or a written instant or date; a date
            means its last microsecond.
        zone: the project's zone.
        now: the current instant, naive UTC.
        latest: gives the time of the newest row, asked only for ``latest row``.

    Raises:
        BadRequest: when it cannot be understood, or there is no row yet.

    Example:
        >>> read_as_of("2026-03-01 08:00", Zone("Asia/Shanghai"), datetime(2026, 5, 1), lambda: None)
        datetime.datetime(2026, 3, 1, 0, 0)
    """
    if isinstance(asked, datetime):
        return zone.to_utc(asked) if asked.tzinfo is None else asked.astimezone(UTC).replace(tzinfo=None)
    if asked == "now":
        return now
    if asked == "latest row":
        found = latest()
        if found is None:
            hint = "name a source that has rows, or set as_of in tierwise.yaml"
            raise BadRequest("there is no row yet to take as_of from", hint)
        return found
    day = parse_date(asked)
    if day is not None:
        return zone.midnight(day + timedelta(days=1)) - timedelta(microseconds=1)
    instant = parse_instant(asked, zone)
    if instant is None:
        hint = 'write "2026-03-01", "2026-03-01 08:00", now or latest row'
        raise BadRequest(f"as_of {asked!r} is not an instant", hint)
    return instant


def series(first: datetime, every: str, last: datetime, zone: Zone) -> list[datetime]:
    """Return the instants from one to another, a length of time apart; months from the 31st are clamped each alone.

    Args:
        first: the first instant, naive UTC.
        every: the length of time between two, such as ``1mo``.
        last: none is after it.
        zone: whose calendar months are.

    Raises:
        BadRequest: when the length of time cannot be understood, or the series is empty or of more than 5,000.

    Example:
        >>> [day.day for day in series(datetime(2026, 1, 31), "1mo", datetime(2026, 4, 1), Zone("UTC"))]
        [31, 28, 31]
    """
    step = parse_duration(every)
    if step is None or not (step.months or step.micros):
        raise BadRequest(f"every {every!r} is not a length of time", "write 1d, 1w or 1mo")
    if last < first:
        raise BadRequest(f"{last} is before {first}", "give the earlier instant first")
    found: list[datetime] = []
    while len(found) <= _MOST_INSTANTS:
        count = len(found)
        at = zone.add(first, Duration(every, step.months * count, step.micros * count))
        if at > last:
            return found
        found.append(at)
    raise BadRequest(
        f"every {every} from {first} to {last} is more than {_MOST_INSTANTS:,} instants", "take longer steps"
    )
