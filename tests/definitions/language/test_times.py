"""Durations, calendar words, months and zones: what time means, in one place and without a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.definitions.language.times import (
    CALENDAR_WORDS,
    Duration,
    Zone,
    add_months,
    calendar_days,
    parse_date,
    parse_duration,
    parse_instant,
)

DAY = 86_400_000_000
at = datetime.fromisoformat


@pytest.mark.parametrize(
    ("text", "months", "micros"),
    [
        ("5m", 0, 300_000_000),
        ("24h", 0, DAY),
        ("30d", 0, 30 * DAY),
        ("2w", 0, 14 * DAY),
        ("3mo", 3, 0),
        ("2y", 24, 0),
        ("0d", 0, 0),
        ("030d", 0, 30 * DAY),
        ("200y", 2400, 0),
    ],
)
def test_durations(text: str, months: int, micros: int) -> None:
    assert parse_duration(text) == Duration(text, months, micros)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "30",
        "30 d",
        " 30d",
        "30d\n",
        "-30d",
        "1.5d",
        "30D",
        "30days",
        "1M",
        "３０d",
        "٣d",
        "201y",
        "1000000d",
        "99999w",
    ],
)
def test_not_durations(text: str) -> None:
    assert parse_duration(text) is None


def test_what_a_duration_says_of_itself() -> None:
    month, hours, day = (parse_duration(text) for text in ("1mo", "36h", "1d"))
    assert month is not None and hours is not None and day is not None
    assert (month.is_calendar, hours.is_calendar, day.is_calendar) == (True, False, False)
    assert (month.is_whole_days, hours.is_whole_days, day.is_whole_days) == (True, False, True)
    assert (month.longest_days, hours.longest_days, day.longest_days) == (31, 2, 1)
    assert str(month) == "1mo"


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-03-31", -1, "2026-02-28"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2026-01-15", -1, "2025-12-15"),
        ("2025-12-31", 2, "2026-02-28"),
        ("2026-05-05", 0, "2026-05-05"),
        ("9999-12-31", 0, "9999-12-31"),
        ("0001-01-31", 1, "0001-02-28"),
    ],
)
def test_months_are_clamped(day: str, months: int, expected: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(expected)


@pytest.mark.parametrize(("day", "months"), [("9999-12-31", 1), ("0001-01-01", -1), ("2026-01-01", 120_000)])
def test_a_day_outside_the_calendar_is_refused(day: str, months: int) -> None:
    with pytest.raises(ValueError, match=r"out of range|must be in"):
        add_months(date.fromisoformat(day), months)


@pytest.mark.parametrize(
    ("word", "first", "after"),
    [
        ("today", "2026-03-01", "2026-03-02"),
        ("yesterday", "2026-02-28", "2026-03-01"),
        ("this week", "2026-02-23", "2026-03-02"),  # a Sunday belongs to the week that began on Monday
        ("last week", "2026-02-16", "2026-02-23"),
        ("this month", "2026-03-01", "2026-04-01"),
        ("last month", "2026-02-01", "2026-03-01"),
        ("this quarter", "2026-01-01", "2026-04-01"),
        ("last quarter", "2025-10-01", "2026-01-01"),
        ("this year", "2026-01-01", "2027-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
    ],
)
def test_calendar_words(word: str, first: str, after: str) -> None:
    expected = date.fromisoformat(first), date.fromisoformat(after)
    assert calendar_days(word, date(2026, 3, 1)) == expected


@given(st.sampled_from(sorted(CALENDAR_WORDS)), st.dates(date(1971, 1, 1), date(2099, 1, 1)))
def test_this_holds_today_and_last_ends_where_it_begins(word: str, today: date) -> None:
    first, after = calendar_days(word, today)
    if word == "today" or word.startswith("this"):
        assert first <= today < after
    else:
        unit = "today" if word == "yesterday" else word.replace("last", "this")
        assert after == calendar_days(unit, today)[0]


@pytest.mark.parametrize(
    "text", ["2026-3-1", "2026-02-30", "20260301", "2026-03-01 ", "２０２６-03-01", "0000-01-01", ""]
)
def test_not_dates(text: str) -> None:
    assert parse_date(text) is None


def test_dates() -> None:
    assert parse_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-01 08:00", "2026-03-01T00:00"),
        ("2026-03-01T08:00:30", "2026-03-01T00:00:30"),
        ("2026-03-01 08:00:00.5", "2026-03-01T00:00:00.500000"),
        ("2026-03-01T08:00Z", "2026-03-01T08:00"),
        ("2026-03-01T08:00:00-05:00", "2026-03-01T13:00"),
    ],
)
def test_instants(text: str, utc: str) -> None:
    assert parse_instant(text, Zone("Asia/Shanghai")) == datetime.fromisoformat(utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01",
        "2026-03-01 8:00",
        "2026-03-01 25:00",
        "2026-02-30 08:00",
        "2026-03-01  08:00",
        "0001-01-01T00:00+01:00",
        "x",
    ],
)
def test_not_instants(text: str) -> None:
    assert parse_instant(text, Zone("Asia/Shanghai")) is None


# -- zones ----------------------------------------------------------------------------------------------------------


def test_an_hour_that_does_not_exist_moves_forward() -> None:
    berlin = Zone("Europe/Berlin")
    assert berlin.to_utc(at("2026-03-29 02:30")) == at("2026-03-29 01:30")
    assert berlin.to_local(at("2026-03-29 01:30")) == at("2026-03-29 03:30")


def test_an_hour_that_exists_twice_is_the_first() -> None:
    berlin = Zone("Europe/Berlin")
    assert berlin.to_utc(at("2026-10-25 02:30")) == at("2026-10-25 00:30")


def test_days_are_exact_and_months_keep_the_wall_time_across_a_change() -> None:
    berlin = Zone("Europe/Berlin")
    noon = berlin.to_utc(at("2026-03-28 12:00"))
    day, month = parse_duration("1d"), parse_duration("1mo")
    assert day is not None and month is not None
    assert berlin.to_local(berlin.add(noon, day)) == at("2026-03-29 13:00")
    assert berlin.to_local(berlin.add(noon, month)) == at("2026-04-28 12:00")
    assert berlin.to_local(berlin.add(noon, month, -1)) == at("2026-02-28 12:00")


def test_a_month_before_the_last_of_march_is_clamped() -> None:
    shanghai = Zone("Asia/Shanghai")
    month = parse_duration("1mo")
    assert month is not None
    end = shanghai.to_utc(at("2026-03-31 09:30"))
    assert shanghai.to_local(shanghai.add(end, month, -1)) == at("2026-02-28 09:30")


def test_a_day_begins_at_its_first_instant() -> None:
    # In these places a clock has gone from 23:59 straight to 01:00: midnight does not exist.
    assert Zone("America/Sao_Paulo").midnight(date(2018, 11, 4)) == at("2018-11-04 03:00")
    assert Zone("Asia/Shanghai").midnight(date(2026, 3, 1)) == at("2026-02-28 16:00")
    assert Zone("Asia/Shanghai").day_of(at("2026-02-28 16:00")) == date(2026, 3, 1)
    assert Zone("Asia/Shanghai").day_of(at("2026-02-28 15:59:59")) == date(2026, 2, 28)


def test_zones_are_equal_by_name() -> None:
    assert Zone("UTC") == Zone("UTC") != Zone("Asia/Shanghai")
    assert len({Zone("UTC"), Zone("UTC")}) == 1
    assert repr(Zone("UTC")) == "Zone('UTC')"


_ZONES = st.sampled_from(
    [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "UTC",
    ]
)


@given(_ZONES, st.datetimes(at("1970-01-03"), at("2099-12-30")))
@settings(max_examples=200)
def test_zones_agree_with_the_standard_library(name: str, moment: datetime) -> None:
    zone, info = Zone(name), ZoneInfo(name)
    local = moment.replace(tzinfo=UTC).astimezone(info).replace(tzinfo=None)
    assert zone.to_local(moment) == local
    assert zone.to_utc(moment) == moment.replace(tzinfo=info).astimezone(UTC).replace(tzinfo=None)


@given(_ZONES, st.integers(0, 200), st.integers(-7200, 7200))
@settings(max_examples=200)
def test_zones_agree_around_a_change(name: str, index: int, seconds: int) -> None:
    zone, info = Zone(name), ZoneInfo(name)
    changes = zone.changes or ((at("2026-01-01"), timedelta()),)
    instant = changes[index % len(changes)][0] + timedelta(seconds=seconds)
    wall = zone.to_local(instant)
    assert wall == instant.replace(tzinfo=UTC).astimezone(info).replace(tzinfo=None)
    assert zone.to_utc(wall) == wall.replace(tzinfo=info).astimezone(UTC).replace(tzinfo=None)
    for written in (instant, wall + timedelta(minutes=30)):
        assert zone.to_utc(written) == written.replace(tzinfo=info).astimezone(UTC).replace(tzinfo=None)


@pytest.mark.parametrize("name", ["America/Boa_Vista", "Asia/Gaza", "America/Argentina/Tucuman"])
def test_changes_a_week_apart_are_both_found(name: str) -> None:
    """These zones have changed their clocks twice within less time than any other; each hour of 2000 to 2041 is asked."""
    zone, info = Zone(name), ZoneInfo(name)
    near = [instant for instant, _ in zone.changes if at("2000-01-01") < instant < at("2041-01-01")]
    for change in near:
        for hours in range(-24 * 8, 24 * 8):
            moment = change + timedelta(hours=hours)
            assert zone.to_local(moment) == moment.replace(tzinfo=UTC).astimezone(info).replace(tzinfo=None)
