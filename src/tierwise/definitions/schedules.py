"""What can be done later by a worker, and when it is to be done by itself: kinds of jobs, cron lines, their slots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["JOB_KINDS", "cron_problem", "latest_slot"]

#: Every kind of job with the parameters it takes.
JOB_KINDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "run": ("as_of", "import_sources"),
        "people.purge": (),
        "points.earn": (),
        "points.settle": (),
        "store.check": (),
    }
)
_MOMENT: Final = timedelta(microseconds=1)


def cron_problem(line: str) -> str:
    """Return what is wrong with a cron line (minute, hour, day, month, weekday), or nothing.

    Example:
        >>> cron_problem("0 3 * * mon-fri"), cron_problem("0 3 * * 1")
        ('', 'a weekday is written mon, tue …: its numbers mean different days in different programs')
    """
    # Imported late, here and below: most projects have no schedule, and every command loads the definitions.
    from apscheduler.triggers.cron import CronTrigger

    fields = line.split()
    if len(fields) != 5:
        return f"a cron line has five fields (minute, hour, day, month, weekday), `{line}` has {len(fields)}"
    if any(sign.isdigit() for sign in fields[4].partition("/")[0]):
        return "a weekday is written mon, tue …: its numbers mean different days in different programs"
    try:
        CronTrigger.from_crontab(line, "UTC")
    except ValueError as error:
        return f"`{line}` is no cron line: {error}"
    return ""


def latest_slot(line: str, timezone: str, since: datetime, until: datetime) -> datetime | None:
    """Return the last instant in (since, until] at which a cron line fires, or nothing.

    Args:
        line: The cron line, in wall time.
        timezone: The zone of that wall time.
        since: An instant with its zone.
        until: A later one.

    Example:
        >>> from datetime import UTC
        >>> day = datetime(2026, 3, 1, tzinfo=UTC)
        >>> latest_slot("0 3 * * *", "Asia/Shanghai", day, day + timedelta(days=1)).isoformat()
        '2026-03-01T19:00:00+00:00'
    """
    from apscheduler.triggers.cron import CronTrigger

    trigger = CronTrigger.from_crontab(line, ZoneInfo(timezone))
    found: datetime | None = None
    after = since + _MOMENT
    while True:
        slot = trigger.get_next_fire_time(None, after)
        if slot is None or slot > until:
            return found
        found = slot.astimezone(until.tzinfo)
        after = found + _MOMENT
