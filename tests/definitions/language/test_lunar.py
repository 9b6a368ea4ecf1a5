"""The lunar calendar: no day without a lunar day, new years as printed, leap months and short months."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.definitions.language.lunar import kept_on, lunar_day, lunar_days

#: New years as printed in any almanac.
NEW_YEARS = (
    "1900-01-31",
    "1990-01-27",
    "2000-02-05",
    "2023-01-22",
    "2024-02-10",
    "2025-01-29",
    "2026-02-17",
    "2033-01-31",
)


@pytest.mark.parametrize("day", NEW_YEARS)
def test_new_year(day: str) -> None:
    assert lunar_day(date.fromisoformat(day)) == (1, 1)
    assert date.fromisoformat(day) in kept_on((1, 1), date(1900, 1, 1), date(2100, 12, 31))


def test_every_day_has_one_lunar_day() -> None:
    days = list(lunar_days())
    assert all(later - earlier == timedelta(days=1) for (earlier, _), (later, _) in pairwise(days))
    assert days[0] == (date(1900, 1, 31), (1, 1))
    assert lunar_day(days[0][0] - timedelta(days=1)) is None
    assert lunar_day(days[-1][0] + timedelta(days=1)) is None


def test_a_day_of_a_leap_month_is_kept_in_the_ordinary_one() -> None:
    born = date(2025, 7, 27)  # the third of the second sixth month of 2025
    assert lunar_day(born) == (6, 3)
    assert kept_on((6, 3), date(2025, 1, 1), date(2026, 12, 31)) == [date(2025, 6, 27), date(2026, 7, 16)]


def test_a_thirtieth_is_kept_on_the_last_day_of_a_short_month() -> None:
    assert lunar_day(date(2025, 1, 28)) == (12, 29)  # the last day of a year whose twelfth month has no 30th
    assert date(2025, 1, 28) in kept_on((12, 30), date(2025, 1, 1), date(2025, 2, 1))


@given(st.tuples(st.integers(1, 12), st.integers(1, 30)), st.dates(date(1901, 1, 1), date(2099, 1, 1)))
def test_every_lunar_day_is_kept_once_a_lunar_year(day: tuple[int, int], first: date) -> None:
    found = kept_on(day, first, first + timedelta(days=385))
    assert 1 <= len(found) <= 2
    assert all(lunar_day(one) in (day, (day[0], 29)) for one in found)
