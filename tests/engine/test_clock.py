"""The clock in SQL says what zones and the calendar say, for a fixed instant and for a column of instants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

import pyarrow as pa
import pytest
from sqlglot import exp

from tierwise.definitions.language.times import CALENDAR_WORDS, Duration, Zone, calendar_days, parse_duration
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.sql import col

ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)

zones = pytest.mark.parametrize("name", ZONES)


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckEngine]:
    with DuckEngine(None, threads=1) as opened:
        yield opened


def _instants(zone: Zone) -> list[datetime]:
    """Ordinary instants, and both sides of changes of the clock early, today and late."""
    changes = [change for change, _ in (*zone.changes[:3], *zone.changes[-3:], *_around_2026(zone))]
    near = [
        change + step for change in changes for step in (-2 * HOUR, -HOUR, -TICK, timedelta(), TICK, HOUR, 2 * HOUR)
    ]
    return [
        *near,
        datetime(2026, 1, 31, 16),
        datetime(2024, 2, 29, 23, 59, 59, 999999),
        datetime(1960, 7, 1),
        datetime(2150, 7, 1),
    ]


def _around_2026(zone: Zone) -> list[tuple[datetime, timedelta]]:
    return [change for change in zone.changes if 2025 <= change[0].year <= 2026]


def _ask(
    engine: DuckEngine, clock: Clock, instants: list[datetime], *wanted: exp.Expression
) -> list[tuple[object, ...]]:
    """What the expressions say of each instant, which stands in the column w of t."""
    for macro, body in clock.macros().items():
        engine._defined.discard(macro)  # one engine, many zones
        engine.define(macro, body)
    engine.register("t", pa.table({"k": list(range(len(instants))), "w": pa.array(instants, pa.timestamp("us"))}))
    return engine.rows(exp.select(*wanted).from_("t").order_by("k"))


@zones
def test_wall_times_and_back(engine: DuckEngine, name: str) -> None:
    zone = Zone(name)
    instants = _instants(zone)
    clock = Clock(zone, None, col("w"))
    found = _ask(engine, clock, instants, clock.local(col("w")), clock.to_utc(col("w")), clock.local_date(col("w")))
    assert found == [(zone.to_local(at), zone.to_utc(at), zone.day_of(at)) for at in instants]


@zones
def test_times_of_rows_need_fewer_changes(engine: DuckEngine, name: str) -> None:
    zone = Zone(name)
    as_of = datetime(2026, 11, 15)
    instants = [at for at in _instants(zone) if datetime(2000, 1, 1) <= at <= as_of]
    clock = Clock(zone, as_of)
    assert _ask(engine, clock, instants, clock.local(col("w"), of_row=True)) == [
        (zone.to_local(at),) for at in instants
    ]
    assert len(clock.local(col("w"), of_row=True).sql()) <= len(
        Clock(zone, None, col("w")).local(col("w"), of_row=True).sql()
    )


@zones
@pytest.mark.parametrize("text", ["30m", "1d", "2w", "1mo", "13mo", "1y"])
def test_durations(engine: DuckEngine, name: str, text: str) -> None:
    zone, duration = Zone(name), parse_duration(text)
    assert isinstance(duration, Duration)
    instants = _instants(zone)
    clock = Clock(zone, None, col("w"))
    found = _ask(engine, clock, instants, clock.add(col("w"), duration, 1), clock.minus(duration))
    assert found == [(zone.add(at, duration), zone.add(at, duration, -1)) for at in instants]
    fixed = Clock(zone, instants[0])
    assert _ask(engine, fixed, instants[:1], fixed.minus(duration)) == [(zone.add(instants[0], duration, -1),)]
    assert fixed.fixed_minus(duration) == zone.add(instants[0], duration, -1)


@zones
def test_calendar_words(engine: DuckEngine, name: str) -> None:
    zone = Zone(name)
    instants = [at for at in _instants(zone) if at.year < 2100]
    clock = Clock(zone, None, col("w"))
    pairs = [clock.calendar(word) for word in CALENDAR_WORDS]
    found = _ask(engine, clock, instants, *(edge for pair in pairs for edge in pair))
    for at, answer in zip(instants, found, strict=True):
        expected = [zone.midnight(day) for word in CALENDAR_WORDS for day in calendar_days(word, zone.day_of(at))]
        assert list(answer) == expected, at
    fixed = Clock(zone, instants[0])
    edges = [edge for word in CALENDAR_WORDS for edge in fixed.calendar(word)]
    assert _ask(engine, fixed, instants[:1], *edges) == [found[0]]


@zones
def test_midnights_and_today(engine: DuckEngine, name: str) -> None:
    zone = Zone(name)
    days = [date(2026, 3, 29) + timedelta(days=k) for k in range(0, 400, 7)]
    clock = Clock(zone, None, col("w"))
    midnights = [zone.midnight(day) for day in days]
    starts = [datetime.combine(day, time()) for day in days]
    assert _ask(engine, clock, starts, clock.midnight(clock_date())) == [(at,) for at in midnights]
    assert _ask(engine, clock, midnights, clock.today) == [(day,) for day in days]
    assert Clock(zone, midnights[0]).fixed_midnight(midnights[0] + HOUR) == midnights[0]


def clock_date() -> exp.Expression:
    """The column w as a date."""
    return exp.cast(col("w"), "DATE")


@pytest.mark.parametrize(("name", "instant"), [("Asia/Shanghai", datetime.max), ("America/New_York", datetime.min)])
def test_a_wall_time_outside_the_calendar_is_missing(engine: DuckEngine, name: str, instant: datetime) -> None:
    clock = Clock(Zone(name), None, col("w"))
    assert _ask(engine, clock, [instant], clock.local(col("w"))) == [(None,)]


def test_zones_of_many_changes_are_functions_of_the_backend() -> None:
    assert not Clock(Zone("UTC")).macros()
    assert not Clock(Zone("Asia/Shanghai")).macros()
    london = Clock(Zone("Europe/London"), None, col("w"))
    assert set(london.macros()) == {"local_time", "utc_time"}
    assert len(london.local(col("w")).sql()) < 50
