"""Cron lines: what is refused, and which slot is the last one, in wall time and over its jumps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tierwise.definitions.schedules import cron_problem, latest_slot

DAY = timedelta(days=1)


@pytest.mark.parametrize("line", ["0 3 * * *", "*/15 8-20 * * mon-fri", "30 4 1 1,7 *", "0 0 * * sun"])
def test_good_lines(line: str) -> None:
    assert cron_problem(line) == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "has 0"),
        ("0 3 * * * *", "has 6"),
        ("x 3 * * *", "is no cron line"),
        ("0 24 * * *", "is no cron line"),
        ("0 3 * * 0", "a weekday is written mon"),
        ("0 3 * * mon-5", "a weekday is written mon"),
    ],
)
def test_refused_lines(line: str, says: str) -> None:
    assert says in cron_problem(line)


def test_the_newest_slot_of_several() -> None:
    until = datetime(2026, 3, 2, 10, 7, 30, tzinfo=UTC)
    assert latest_slot("*/5 * * * *", "UTC", until - DAY, until) == datetime(2026, 3, 2, 10, 5, tzinfo=UTC)


def test_both_ends_of_the_time_looked_at() -> None:
    slot = datetime(2026, 3, 2, 3, tzinfo=UTC)
    assert latest_slot("0 3 * * *", "UTC", slot - timedelta(hours=1), slot) == slot
    assert latest_slot("0 3 * * *", "UTC", slot, slot + timedelta(hours=1)) is None


def test_wall_time_before_and_after_the_clocks_change() -> None:
    """In London three o'clock is 3 h UTC in winter and 2 h UTC in summer; the clocks change on 29 March 2026."""
    slots = [
        latest_slot("0 3 * * *", "Europe/London", day - DAY, day)
        for day in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC))
    ]
    assert [slot.hour for slot in slots if slot is not None] == [3, 2]
