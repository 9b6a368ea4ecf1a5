"""Which instant an answer is for: ``now``, ``latest row``, an instant, or the end of a day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tierwise.definitions.language.times import Zone, parse_date, parse_instant
from tierwise.errors import BadRequest

__all__ = ["read_as_of"]


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
