"""Draws whole cases: typed expressions that refer to each other, and rows that sit on every edge of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from tierwise.definitions.language.reference import Change, Row
from tierwise.definitions.language.times import Zone, parse_duration
from tierwise.definitions.language.typed import Value
from tierwise.testing.vocabulary import ATTRIBUTES, DURATIONS, TIERS
from tierwise.testing.worlds import Case, around, at
from tierwise.testing.writer import KINDS, Writer

__all__ = ["AGES", "VALUES", "Pick", "draw_case", "draw_world"]

#: Draws one of a sequence.
Pick = Callable[[Sequence[Any]], Any]

_ZONES: Final = ("Asia/Shanghai", "UTC", "Europe/London", "America/New_York")
#: Instants of answers: ordinary ones, month and year ends, 29 February, both sides of every kind of clock change.
_AS_OF: Final = [
    at(text)
    for text in (
        "2026-06-30 16:00", "2026-03-31 10:15:30.000001", "2024-02-29 12:00", "2025-02-28 23:59:59.999999", "2025-12-31 16:00",
        "2026-01-01 00:00", "2026-03-29 00:59:59", "2026-03-29 01:00", "2026-10-25 00:30", "2026-10-25 01:30",
        "2026-03-08 06:59", "2026-03-08 07:00", "2026-11-01 05:30", "2026-11-01 06:30", "2026-05-31 23:30", "2026-08-29 01:30",
    )
]  # fmt: skip
_SPECIAL_TIMES: Final = [
    at(text)
    for text in (
        "2024-02-29 12:00", "2024-02-28 16:00", "2026-01-31 15:59:59.999999", "2026-01-31 16:00", "2026-03-29 00:59:59.999999",
        "2026-03-29 01:00", "2025-10-26 00:30", "2025-10-26 01:00", "2026-03-08 07:00", "2025-11-02 05:30", "2025-11-02 06:30",
        "2025-12-31 23:59:59.999999", "2000-01-01 16:00", "2030-01-01 00:00",
    )
]  # fmt: skip
#: How old rows are.
AGES: Final = (
    *(timedelta(days=days) for days in (0, 1, 7, 29, 30, 31, 59, 60, 61, 89, 90, 91, 180, 181, 365, 366, 730)),
    timedelta(hours=1), timedelta(hours=23), timedelta(hours=25), timedelta(minutes=90), timedelta(days=-1), timedelta(days=-30),
)  # fmt: skip

#: Values of each kind. Floats are multiples of 2^-10 (and a few far out), so that a sum has one value in any order.
VALUES: Final[dict[str, Sequence[Any]]] = {
    "boolean": (True, False, None),
    "integer": (0, 1, 2, 5, -3, 18, 2**63 - 1, -(2**63), 9007199254740993, None),
    "decimal": (*tuple(Decimal(x) for x in ("0", "0.000001", "1.5", "-2.25", "19.9", "999999999999.999999", "-999999999999.999999")), None),
    "money": (*tuple(Decimal(x) for x in ("0.00", "0.01", "10.00", "19.90", "-5.00", "50.00", "100.50", "9999999999999999.99", "-9999999999999999.99")), None),
    "float": (0.0, 0.5, -0.25, 1.5, 3.0, 1024.0009765625, 1e300, 2.0**-1000, None),
    "text": ("app", "store", "App", "", "微信", "Straße", "İstanbul", "ΑΣ", "é", "a\nb", "o'ne", "\\", '"', "👍", "_", "10", None),
    "date": (
        *map(date.fromisoformat, ("2000-02-29", "2026-03-31", "2026-02-28", "2025-12-31", "1987-05-03", "2024-02-29", "2026-07-01", "2026-01-31", "1900-03-01")),
        date.min, date.max, None,
    ),
    "instant": (*_SPECIAL_TIMES, at("1987-05-03 16:00"), at("1900-01-01 00:00"), at("2150-07-01 00:00"), datetime.min, datetime.max, at("9999-12-31 16:00"), None),
}  # fmt: skip
_MILD: Final = {
    "money": VALUES["money"][:7],
    "integer": VALUES["integer"][:6],
    "decimal": VALUES["decimal"][:5],
    "float": VALUES["float"][:6],
}

_STREAM_KINDS: Final = {
    "orders": {"order_id": "order", "amount": "money", "coupon_amount": "money", "channel": "text", "cancelled": "boolean"},
    "refunds": {"order_id": "order", "amount": "money", "kind": "text"},
    "events": {"type": "text", "sku": "text", "channel": "text"},
    "visits": {"store_id": "text", "left_at": "instant"},
    "s": {"n": "integer", "q": "decimal", "m": "money", "f": "float", "t": "text", "b": "boolean", "d": "date", "i": "instant"},
}  # fmt: skip


def _edges(as_of: datetime, zone: Zone, windows: Sequence[str]) -> list[datetime]:
    """Instants on and beside the edges of these windows, of the calendar's periods and of the answer itself."""
    today = zone.day_of(as_of)
    found = around(as_of, 1, -1)
    for text in windows:
        duration = parse_duration(text)
        assert duration is not None
        found += around(zone.add(as_of, duration, -1), 1)
    for day in (today, today.replace(day=1), today.replace(month=1, day=1), today - timedelta(days=today.weekday())):
        found += around(zone.midnight(day), -1)
    return found


def _rows(pick: Pick, stream: str, times: Sequence[datetime], mild: bool, count: int, start: int) -> list[Row]:
    rows = []
    for index in range(count):
        values: dict[str, Any] = {"key_space": pick(("a", "a", "a", "b"))}
        time = pick(times)
        for column, kind in _STREAM_KINDS[stream].items():
            if kind == "order":
                values[column] = (
                    f"o{start + index}" if stream == "orders" else pick((*(f"o{k}" for k in range(12)), None))
                )
            elif column == "left_at":
                values[column] = pick(
                    (
                        None,
                        time,
                        time + timedelta(microseconds=30),
                        time + timedelta(minutes=90),
                        time + timedelta(days=40),
                        datetime.max,
                    )
                )
            elif stream == "refunds" and kind == "money":
                values[column] = pick((*_MILD["money"], None))
            else:
                values[column] = pick((*_MILD[kind], None) if mild and kind in _MILD else VALUES[kind])
        rows.append(Row(time, f"{pick('kKé')}{start + index}", values))
    return rows


def draw_case(pick: Pick, tags: int = 25, depth: int = 3) -> Case:
    """Draw a case: a handful of customers with rows on the edges, and expressions of every kind about them.

    Args:
        pick: draws one of a sequence, such as `random.Random(1).choice`.
        tags: how many of them.
        depth: how deep their expressions are nested at most.
    """
    case, windows, times = draw_world(pick)
    writer = Writer(pick, depth, windows)
    written = {f"t{index}": writer.tag(f"t{index}", pick(KINDS)) for index in range(tags // 2)}
    tierings = {
        "grade": {
            "ordered": True,
            "tiers": {"gold": writer.write("boolean"), "silver": writer.write("boolean"), "none": "otherwise"},
        }
    }
    segments = {"vips": writer.write("boolean")}
    writer.memberships = True
    written |= {f"u{index}": writer.tag(f"u{index}", pick(KINDS)) for index in range(tags - len(written))}
    return replace(
        case,
        tags=written,
        segments=segments,
        tierings=tierings,
        changes={customer: _changes(pick, times) for customer in case.customers},
        moments=[pick([time for time in times if time > case.as_of]), pick([t for t in times if t < case.as_of])],
    )


def draw_world(pick: Pick) -> tuple[Case, list[str], list[datetime]]:
    """Draw rows, records and parameters; return them without definitions, with lengths of time and instants of theirs.

    Args:
        pick: draws one of a sequence.
    """
    zone = Zone(pick(_ZONES))
    as_of = pick(_AS_OF)
    windows = [pick(DURATIONS) for _ in range(2)]
    spelled = [json.loads(window) if window.startswith('"') else "2mo" for window in windows]
    edges = _edges(as_of, zone, [*spelled, "30d", "90d"])
    times = [*edges, *_SPECIAL_TIMES, *(as_of - age for age in AGES)]
    few = [pick(edges), pick(edges), pick(times), pick(times)]  # rows of one instant, also across streams
    mild = pick((True, True, True, False))
    customers = list(range(1, pick((3, 5, 7)) + 1))
    streams: dict[str, dict[int, list[Row]]] = {}
    for stream in _STREAM_KINDS:
        streams[stream] = {}
        start = 0
        for customer in customers:
            count = pick((0, 1, 1, 2, 3, 5))
            streams[stream][customer] = _rows(pick, stream, pick((times, edges, few, few)), mild, count, start)
            start += count
    parameters = {
        "p": {"type": "integer", "default": 2},
        "share": {"type": "decimal", "default": "0.5"},
        "span": {"type": "duration", "default": "2mo"},
    }
    bands: dict[str, dict[str, Value]] = {
        "app": {"rate": 3, "name": "App", "known": True},
        "微信": {"rate": None, "name": "W", "known": None},
        "": {"rate": 0, "name": "", "known": False},
    }
    case = Case(
        tags={},
        as_of=as_of,
        customers=customers,
        streams=streams,
        records={customer: _records(pick, times, mild) for customer in customers},
        zone=zone.name,
        parameters=parameters,
        lookups={"band": bands},
    )
    return case, windows, times


def _changes(pick: Pick, times: Sequence[datetime]) -> list[Change]:
    """Entries of the membership log: of the tiering and the segment in turn, each from where the one before led."""
    found: list[Change] = []
    for kind, name, values in (("tier", "grade", TIERS), ("segment", "vips", ("in", "out"))):
        was: str | None = None
        for time in sorted(pick(times) for _ in range(pick((0, 1, 2, 4)))):
            into = pick([value for value in values if value != was])
            cause = pick(("event", "time", "first_run", "backfill"))
            found.append(Change(len(found) + 1, kind, name, was, into, time, cause))
            was = into
    return found


def _records(pick: Pick, times: Sequence[datetime], mild: bool) -> list[Row]:
    rows = []
    for index in range(pick((0, 1, 1, 2, 3))):
        values = {
            name: pick((*_MILD[kind], None) if mild and kind in _MILD else VALUES[kind])
            for name, kind in ATTRIBUTES.items()
        }
        rows.append(Row(pick(times), f"c{index}", values))
    return rows
