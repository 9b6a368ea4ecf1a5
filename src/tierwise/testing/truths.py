"""The truth by hand: for every function, option and operator what it says about rows that fit on one screen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from tierwise.definitions.language.reference import Change, Row
from tierwise.testing.worlds import Case, at, row

__all__ = [
    "AS_OF",
    "FORMS",
    "GROUPS",
    "HISTORY",
    "MEMBERSHIP",
    "NOTHING",
    "OPTIONS",
    "PEOPLE",
    "POPULATION",
    "RANKED",
    "RECORDED",
    "ROWS",
    "SCALARS",
    "SEQUENCES",
    "STREAM",
    "TIMED",
    "TRIED",
]

#: Monday, 15 June 2026, noon in Shanghai.
AS_OF: Final = at("2026-06-15 04:00")


def _at(local: str) -> datetime:
    """The instant of a wall time in Shanghai (UTC+8)."""
    return datetime.fromisoformat(local + "+08:00").astimezone(UTC).replace(tzinfo=None)


# -- over a stream -----------------------------------------------------------------------------------------------------

#: Customer 1's rows. q tells them apart: a sum of q names the rows that were summed.
ROWS: Final = tuple(
    Row(_at(local), key, {"n": n, "m": None if m is None else Decimal(m), "t": t, "b": b, "q": Decimal(q), "d": date.fromisoformat("2026-05-20"), "i": _at("2026-05-20 09:00")})
    for key, local, n, m, t, b, q in (
        ("a", "2025-11-05 10:00", 5, "10.00", "x", True, 1),
        ("b", "2026-02-10 10:00", None, None, "y", False, 2),
        ("c", "2026-04-20 10:00", 7, "2.50", "x", True, 4),
        ("d", "2026-05-20 09:00", 1, "4.00", "z", None, 8),
        ("e", "2026-06-10 09:00", 3, "-1.00", "x", False, 16),
        ("f", "2026-06-14 12:00", 2, None, "z", True, 32),
        ("g", "2026-06-15 00:00", 4, "6.00", "y", True, 64),
        ("h", "2026-06-15 12:00:00.000001", 100, "1000.00", "w", True, 128),  # not known yet
    )
)  # fmt: skip
#: Customer 1 has the rows, 2 has none, 3 has only one that is not known yet.
STREAM: Final = Case(
    tags={}, as_of=AS_OF, customers=(1, 2, 3), streams={"s": {1: ROWS, 3: ROWS[7:]}}, moments=(at("2026-07-01 00:00"), at("2026-05-01 00:00"))
)  # fmt: skip

#: Expression → what it says of customer 1; nothing follows anything for the others.
SEQUENCES: Final[dict[str, bool]] = {
    'followed(s(t == "x"), s(t == "z"))': True,
    "followed(s(1 == 2), s(False))": False,
    'followed(s(t == "z"), s(t == "x"), s(t == "y"))': True,  # d, e, g
    'followed(s(t == "y"), s(t == "z"), s(t == "y"), s(t == "x"))': False,
    "followed(s(), s(), s(), s(), s(), s(), s())": True,
    "followed(s(), s(), s(), s(), s(), s(), s(), s())": False,
    'followed(s(t == "w"), s())': False,
    'followed(s(), s(t == "w"))': False,  # not known yet
    'followed(s(t == "x"), s(t == "z"), within="99h")': True,  # e to f, to the microsecond
    'followed(s(t == "x"), s(t == "z"), within="98h")': False,
    'followed(s(t == "x"), s(t == "z"), s(t == "y"), within="111h")': True,
    'followed(s(t == "x"), s(t == "z"), s(t == "y"), within="110h")': False,
    'followed(s(t == "x"), s(t == "z"), s(t == "y"), gap="99h")': True,
    'followed(s(t == "x"), s(t == "z"), s(t == "y"), gap="98h")': False,
    'followed(s(n == 5), s(n == 1), s(n == 2), gap="30d")': False,  # a to d is longer, d to f is not
    "followed(s(n == 7), s(n == 2))": True,
    "followed(s(n == 7), s(n == 2), same=t)": False,
    "followed(s(n == 1), s(n == 2), same=t)": True,
    'followed(s(n == 5), s(n == 7), s(n == 3), same=t, gap="166d", within="217d")': True,
    'followed(s(n == 5), s(n == 7), s(n == 3), same=t, gap="165d", within="217d")': False,
    'followed(s(n == 5), s(n == 7), s(n == 3), same=t, gap="166d", within="216d")': False,
    'followed(s(n == 3), within="4d", without=s(t == "z"))': True,  # f comes 99 hours after e
    'followed(s(n == 3), within="5d", without=s(t == "z"))': False,
    'followed(s(n == 3), within="5d", same=t, without=s(t == "z"))': True,  # of another t
    'followed(s(n == 2), within="12h", without=s(t == "y"))': False,  # the end of `within` is in it
    'followed(s(n == 2), within="11h", without=s(t == "y"))': True,
    'followed(s(n == 2), within="1d", without=s(n == 2))': True,  # a row does not come after itself
    'followed(s(n == 4), within="12h", without=s(t == "x"))': True,  # just over
    'followed(s(n == 4), within="13h", without=s(t == "x"))': False,  # it can still come
    'followed(s(n == 7), s(n == 1), within="30d", without=s(n == 3))': True,
    'followed(s(n == 7), s(n == 1), within="60d", without=s(n == 3))': False,
    'followed(s(n == 7), s(n == 3), without=s(t == "z"))': False,  # d is between
    'followed(s(n == 7), s(n == 3), without=s(t == "y"))': True,
    'followed(s(t == "x"), s(t == "z"), without=s(n == 1))': True,  # not from c to f, but from e
}

#: Which rows each option leaves.
OPTIONS: Final = {
    "": "abcdefg",
    "where=1 < n < 5": "efg",
    "where=b": "acfg",
    "where=not b": "bde",
    'where=time < "2026-06-01"': "abcd",
    'within="6d"': "efg",
    'within="24h"': "g",  # f is exactly 24 hours old
    'within="1mo"': "defg",
    "within=param.span": "cdefg",
    'ago="6d..400d"': "abcd",
    'ago="1d..26d"': "ef",
    'ago="0d..1d"': "g",
    'ago="1mo..2mo"': "c",
    'since="2026-06-10"': "efg",
    'since="2026-06-10 08:59"': "efg",
    'since="2026-06-10 09:00"': "fg",  # an instant is left out, a date is not
    "since=first(s.i)": "efg",
    "since=first(s.d)": "defg",
    'until="2026-05-20"': "abcd",
    'until="2026-05-20 09:00"': "abcd",
    'until="2026-05-20 08:59"': "abc",
    "until=first(s.i)": "abcd",
    "until=first(s.d)": "abcd",
    'since="2026-02-10", until="2026-05-19"': "bc",
    'since=first(s.time, where=t == "w")': "",  # a bound that is missing lets no row in
    'on="today"': "g",
    'on="yesterday"': "f",
    'on="this week"': "g",
    'on="last week"': "ef",
    'on="this month"': "efg",
    'on="last month"': "d",
    'on="this quarter"': "cdefg",
    'on="last quarter"': "b",
    'on="this year"': "bcdefg",
    'on="last year"': "a",
    'on="same day last year"': "",
    'on="same month last year"': "",
    'on="same quarter last year"': "",
    'on="last year to date"': "",
    "latest=3": "efg",
    "where=b, latest=2": "fg",
    'until="2026-05-20", latest=1': "d",
    'on="today", within="30d", where=b, latest=5': "g",
}  # fmt: skip

#: The options every function is tried with; they leave everything, `abcd`, `efg` or nothing.
TRIED: Final = (
    "", "where=1 < n < 5", 'within="6d"', 'ago="6d..400d"', 'since="2026-06-10"', 'since="2026-06-10 08:59"', "since=first(s.i)",
    'until="2026-05-20"', 'until="2026-05-20 09:00"', "until=first(s.d)", 'on="this month"', "latest=3", 'where=t == "w"',
)  # fmt: skip
OPTIONS['where=t == "w"'] = ""

_Y: Final = 24.0
#: Each form of each function: of all seven rows, of a to d, of e to g, of nothing.
FORMS: Final[dict[str, tuple[Any, Any, Any, Any]]] = {
    "count(s)": (7, 4, 3, 0),
    "exists(s)": (True, True, True, False),
    "sum(s.n)": (22, 13, 9, 0),
    "sum(s.m)": (Decimal("21.50"), Decimal("16.50"), Decimal("5.00"), Decimal("0.00")),
    "avg(s.m)": (4.3, 5.5, 2.5, None),
    "min(s.n)": (1, 1, 2, None),
    "min(s.t)": ("x", "x", "x", None),
    "max(s.m)": (Decimal("10.00"), Decimal("10.00"), Decimal("6.00"), None),
    "max(s.time)": (_at("2026-06-15 00:00"), _at("2026-05-20 09:00"), _at("2026-06-15 00:00"), None),
    "distinct(s.t)": (3, 3, 3, 0),
    "distinct(s.m)": (5, 3, 2, 0),
    "days(s)": (7, 4, 3, 0),
    "share(s, of=b)": (4 / 7, 0.5, 2 / 3, None),
    "first(s.m)": (Decimal("10.00"), Decimal("10.00"), Decimal("-1.00"), None),
    "first(s.time)": (_at("2025-11-05 10:00"), _at("2025-11-05 10:00"), _at("2026-06-10 09:00"), None),
    "last(s.m)": (Decimal("6.00"), Decimal("4.00"), Decimal("6.00"), None),
    "last(s.b)": (True, True, True, None),
    "nth(s.n, 2)": (7, 7, 2, None),
    "nth(s.n, 4)": (3, None, None, None),
    "top(s.t)": ("x", "x", "y", None),
    "top(s.t, by=sum(s.n))": ("x", "x", "y", None),
    "top(s.t, by=min(s.m))": ("y", "z", "y", None),  # x -1, y 6, z 4 · x 2.50, y missing, z 4 · x -1, y 6, z missing
    "top(s.t, n=2)": (("x", "y"), ("x", "z"), ("y", "z"), None),
    "top(s.t, by=count(s), n=9)": (("x", "y", "z"), ("x", "z", "y"), ("y", "z", "x"), None),
    'score(s, half_life="30d")': (
        sum(0.5 ** (age / 30) for age in (222 + 2 / _Y, 125 + 2 / _Y, 56 + 2 / _Y, 26 + 3 / _Y, 5 + 3 / _Y, 1, 0.5)),
        sum(0.5 ** (age / 30) for age in (222 + 2 / _Y, 125 + 2 / _Y, 56 + 2 / _Y, 26 + 3 / _Y)),
        sum(0.5 ** (age / 30) for age in (5 + 3 / _Y, 1, 0.5)),
        0.0,
    ),
    'streak(s, every="1d")': (2, 0, 2, 0),
    'streak(s, every="1w")': (2, 0, 2, 0),
    'streak(s, every="1mo")': (3, 2, 1, 0),
    'streak(s, every="3mo")': (3, 3, 1, 0),
    'streak(s, every="1y")': (2, 2, 1, 0),
    'periods(s, every="1d", n=2)': (2, 0, 2, 0),
    'periods(s, every="1w", n=2)': (2, 0, 2, 0),
    'periods(s, every="1mo", n=3)': (3, 2, 1, 0),
    'periods(s, every="3mo", n=3)': (3, 3, 1, 0),
    'periods(s, every="1y", n=2)': (2, 2, 1, 0),
    "avg_gap(s)": ((222 - 10 / _Y) / 6, (196 - 1 / _Y) / 3, (5 - 9 / _Y) / 2, None),
    "min_gap(s)": (0.5, 30 - 1 / _Y, 0.5, None),
    "max_gap(s)": (97.0, 97.0, 4.125, None),
}  # fmt: skip
NOTHING: Final = 3

#: The average over time of n = 5 (from 5 November 10:00), 7 (20 April 10:00), 1 (20 May 9:00), 3 (10 June 9:00), 2
#: (14 June 12:00), 4 (15 June 0:00); of m = -1 from 10 June on, 6 from 15 June on. Weights are hours.
TIMED: Final[dict[str, float | None]] = {
    "time_avg(s.n)": (3984 * 5 + 719 * 7 + 504 * 1 + 99 * 3 + 12 * 2 + 12 * 4) / 5330,
    'time_avg(s.n, within="6d")': (21 * 1 + 99 * 3 + 12 * 2 + 12 * 4) / 144,  # what was before the window holds in it
    'time_avg(s.n, within="24h")': 3.0,
    'time_avg(s.n, ago="1d..2d")': 3.0,
    'time_avg(s.n, on="yesterday")': 2.5,
    'time_avg(s.n, on="last year")': 5.0,
    'time_avg(s.n, since="2026-06-15")': 4.0,
    'time_avg(s.n, since="2026-06-14 12:00", until="2026-06-14 18:00")': 2.0,
    'time_avg(s.n, until="2025-11-05")': 5.0,
    'time_avg(s.n, until="2025-11-05 09:00")': None,  # nothing is known yet
    'time_avg(s.n, since=first(s.time, where=t == "w"))': None,
    'time_avg(s.n, where=n > 2, within="24h")': 3.5,
    'time_avg(s.m, within="24h")': 2.5,  # the row without m changes nothing
    "time_avg(s.q, since=as_of)": None,
}

# -- scalars -----------------------------------------------------------------------------------------------------------

#: Customer 1 is known in every way, customer 2 in none.
PEOPLE: Final = Case(
    tags={},
    as_of=AS_OF,
    customers=(1, 2),
    streams={"s": {1: [row("2026-06-01", "a", t="x", n=2), row("2026-06-02", "b", t="y", n=5), row("2026-06-03", "c", t="x", n=2)]}},
    records={
        1: [
            row("2026-01-01", "old", birth_date=date(1999, 1, 1), city="Paris"),
            row(
                "2026-02-01", "new", birth_date=date(2000, 2, 29), city="Wuhan", registered_at=_at("2026-03-01 08:00"), children=3,
                income=Decimal("19.90"), weight=Decimal("1.5"), ratio=0.25, vip=True,
            ),
            row("2026-06-15 04:00:00.000001", "later", city="Rome"),
        ]
    },
    parameters={"p": {"type": "integer", "default": 2}, "day": {"type": "date", "default": "2026-03-01"}},
    lookups={"band": {"Wuhan": {"rate": 3, "name": "W", "open": True}, "Paris": {"rate": 1, "name": "P", "open": False}}},
)  # fmt: skip

#: Expression → of customer 1, of customer 2 of whom nothing is known.
SCALARS: Final[dict[str, tuple[Any, Any]]] = {
    # arithmetic
    "children + 1": (4, None),
    "children + 1 + 0.5 + income": (Decimal("24.400000"), None),
    "children - 5": (-2, None),
    "children * 2 * 0.5": (Decimal("3.000000"), None),
    "children / 2": (1.5, None),
    "children / 0": (None, None),
    "-children": (-3, None),
    "-ratio": (-0.25, None),
    "income + 1": (Decimal("20.90"), None),
    "income - weight": (Decimal("18.400000"), None),
    "income * 2": (Decimal("39.80"), None),
    "income * 0.5": (Decimal("9.950000"), None),
    "income / 2": (9.95, None),
    "0.000001 * 0.5": (Decimal("0.000001"), Decimal("0.000001")),  # half away from zero
    "-0.000001 * 0.5": (Decimal("-0.000001"), Decimal("-0.000001")),
    "9223372036854775807 + 1": (None, None),
    "9223372036854775807 + 1 - 1": (None, None),  # the sum is made first
    "999999999999.0 * 999999999999.0": (None, None),
    "param.p + 1": (3, 3),
    "ratio + children": (3.25, None),
    # comparison and logic
    "children == 3": (True, False),
    "children != 3": (False, True),
    "children < 3": (False, False),
    "children <= 3": (True, False),
    "children > 2": (True, False),
    "children >= 4": (False, False),
    "not (children > 5)": (True, True),
    "children <= 5": (True, False),
    "2 < children <= 3": (True, False),
    "1 / 3 * 3 == 1": (True, True),
    "ratio + 1 / 10000000000 == 0.25": (True, False),  # to 9 digits
    "ratio + 1 / 100000000 == 0.25": (False, False),
    "income == 19.9": (True, False),
    'city < "a"': (True, False),
    'city == "wuhan"': (False, False),
    'city != "Rome"': (True, True),
    'city in ("Rome", "Wuhan")': (True, False),
    'city not in ("Rome", "Wuhan")': (False, True),
    "children in (1, 3.0)": (True, False),
    "children not in (1, 2)": (True, True),
    "ratio in (0.25, 1)": (True, False),
    '"x" in top(s.t, n=2)': (True, False),
    '"w" not in top(s.t, n=2)': (True, True),
    "vip": (True, None),
    "vip == True": (True, False),
    "vip and children > 2": (True, False),
    "vip or children > 5": (True, False),
    "not vip": (False, True),
    "children is None": (False, True),
    "children is not None": (True, False),
    'birth_date == "2000-02-29"': (True, False),
    'registered_at == "2026-03-01"': (True, False),
    'registered_at > "2026-03-01"': (False, False),
    'registered_at >= "2026-03-01 08:00"': (True, False),
    'registered_at < "2026-03-01T00:00:00.000001Z"': (True, False),
    # times
    'registered_at + "1mo"': (_at("2026-04-01 08:00"), None),
    'registered_at - "90d"': (_at("2025-12-01 08:00"), None),
    'birth_date + "1y"': (date(2001, 2, 28), None),
    'birth_date - "1mo"': (date(2000, 1, 29), None),
    'birth_date + "2w"': (date(2000, 3, 14), None),
    "as_of": (AS_OF, AS_OF),
    "as_of - registered_at": (106 + 4 / 24, None),
    "registered_at - birth_date": (9497, None),
    "days_since(registered_at)": (106, None),
    "days_until(registered_at)": (-106, None),
    'days_until("2026-07-01")': (16, 16),
    "days_since(param.day)": (106, 106),
    "hours_since(registered_at)": (106 * 24 + 4.0, None),
    'hours_since("2026-06-15")': (12.0, 12.0),
    "months_since(registered_at)": (3, None),
    'months_since("2026-06-16")': (-1, -1),
    'months_since("2026-01-31")': (4, 4),
    "year(registered_at)": (2026, None),
    "month(registered_at)": (3, None),
    "day(registered_at)": (1, None),
    "weekday(registered_at)": (7, None),
    "hour(registered_at)": (8, None),
    "hour(birth_date)": (0, None),
    "age(birth_date)": (26, None),
    'age("2027-01-01")': (-1, -1),
    'anniversary("1990-06-15", within="1d")': (True, True),
    'anniversary("1990-06-16", within="1d")': (True, True),
    'anniversary("1990-06-17", within="1d")': (False, False),
    'anniversary("1990-06-14", within="30d")': (False, False),
    'anniversary("1990-06-14", within="1y")': (True, True),
    'anniversary(birth_date, within="8mo")': (False, False),
    'anniversary(birth_date, within="9mo")': (True, False),
    # by the lunar calendar 15 June 2026 is 1 May, 19 June 5 May; 29 February 2000 was 25 January, as 2 March 2027 is
    'anniversary("1990-05-28", within="3d", calendar="lunar")': (False, False),
    'anniversary("1990-05-28", within="4d", calendar="lunar")': (True, True),
    'anniversary("1990-05-28", within="4d", calendar="solar")': (False, False),
    'anniversary(birth_date, within="259d", calendar="lunar")': (False, False),
    'anniversary(birth_date, within="260d", calendar="lunar")': (True, False),
    # places
    "distance_km(0, 0, 90, 0)": (6371.0088 * 3.141592653589793 / 2, 6371.0088 * 3.141592653589793 / 2),
    "distance_km(0, -179.5, 0, 179.5)": (6371.0088 * 3.141592653589793 / 180, 6371.0088 * 3.141592653589793 / 180),
    "distance_km(children, ratio, 3, 0.25)": (0.0, None),
    "distance_km(90.000001, 0, 0, 0)": (None, None),
    # choosing
    "band(children, 0, 3)": ("3+", None),
    "band(children, 4)": ("<4", None),
    "band(income, 19.90, 20)": ("19.9-20", None),
    "band(ratio, 0.25, 0.50)": ("0.25-0.5", None),
    'coalesce(city, "x")': ("Wuhan", "x"),
    "coalesce(children, weight, 0.5)": (Decimal("3.000000"), Decimal("0.500000")),
    "coalesce(vip, vip)": (True, None),
    "case(vip, 1, 2)": (1, 2),
    'case(vip, "a")': ("a", None),
    "case(children > 5, 1, vip, 2.5)": (Decimal("2.500000"), None),
    "least(children, weight)": (Decimal("1.500000"), None),
    "least(children, 2)": (2, 2),
    'least(city, "a")': ("Wuhan", "a"),
    "least(income, 9223372036854775807)": (Decimal("19.90"), None),  # no money is that large
    "greatest(children, 2)": (3, 2),
    "greatest(birth_date, birth_date)": (date(2000, 2, 29), None),
    'lookup("band", city, "rate")': (3, None),
    'lookup("band", "Paris", "open")': (False, False),
    'lookup("band", "Rome", "name")': (None, None),
    # text
    'contains(city, "uh")': (True, False),
    'contains(city, "")': (True, False),
    'contains(top(s.t, n=2), "y")': (True, False),
    'startswith(city, "Wu")': (True, False),
    'startswith(city, "uh")': (False, False),
    'matches(city, "W.*n")': (True, False),
    'matches(city, "uh")': (False, False),
    "lower(city)": ("wuhan", None),
    'lower("İΑΣẞ")': ("iασß", "iασß"),
}

# -- populations and memberships ---------------------------------------------------------------------------------------

#: Spend 10, 20, 20, 40, nothing (0), missing in a city; customers 1 to 4 shop in x, 5 in y, of 6 no shop is known.
RANKED: Final = Case(
    tags={},
    as_of=AS_OF,
    customers=(1, 2, 3, 4, 5, 6),
    streams={"s": {c: [row("2026-06-01", "a", n=n, t=t)] for c, n, t in ((1, 10, "x"), (2, 20, "x"), (3, 20, "x"), (4, 40, "x"), (5, 30, "y"), (6, None, None))}},
    tierings={"grade": {"ordered": True, "tiers": {"gold": "last(s.n) >= 40", "silver": "last(s.n) >= 20", "none": "otherwise"}}},
    segments={"many": "last(s.n) > 15"},
)  # fmt: skip
_STD: Final = (
    104 / 1
) ** 0.5  # of 10, 20, 20, 40, 30: mean 24, squares 196 + 16 + 16 + 256 + 36 = 520, a fifth of it 104


def _bucket(salt: str, customer: int) -> int:
    """The first digit of the digest: half of all customers have one below 8."""
    return int(hashlib.md5(f"{salt}|{customer}".encode()).hexdigest()[0], 16)


#: Expression → of customers 1 to 6. In order the values are 10, 20, 20, 30, 40.
POPULATION: Final[dict[str, Sequence[Any]]] = {
    "ntile(last(s.n), 2)": (1, 1, 1, 2, 2, None),  # the cut point is 20
    'ntile(last(s.n), 2, best="low")': (2, 2, 2, 1, 1, None),
    "ntile(last(s.n), 4)": (1, 1, 1, 4, 3, None),  # 20, 20, 30
    "ntile(last(s.n), 2, by=last(s.t))": (1, 1, 1, 2, 1, None),  # of x 20
    "ntile(last(s.n), 2, among=last(s.n) < 40)": (1, 1, 1, None, 2, None),
    "quintile(last(s.n))": (1, 2, 2, 5, 4, None),  # 10, 20, 20, 30: two below 20 … one below 20
    'quintile(last(s.n), best="low")': (5, 4, 4, 1, 2, None),
    "quintile(last(s.n), among=last(s.n) > 15)": (None, 1, 1, 4, 3, None),  # of 20, 20, 30, 40: 20, 20, 30, 40
    "quintile(last(s.n), by=last(s.t))": (1, 2, 2, 4, 1, None),  # of 10, 20, 20, 40: 10, 20, 20, 40
    "percent_rank(last(s.n))": (0.0, 0.2, 0.2, 0.8, 0.6, None),
    'percent_rank(last(s.n), best="low")': (0.8, 0.4, 0.4, 0.0, 0.2, None),
    "percent_rank(last(s.n), by=last(s.t))": (0.0, 0.25, 0.25, 0.75, 0.0, None),
    "percent_rank(last(s.n), among=last(s.n) < 40)": (0.0, 0.25, 0.25, None, 0.75, None),
    "rank(last(s.n))": (5, 3, 3, 1, 2, None),
    'rank(last(s.n), best="low")': (1, 2, 2, 5, 4, None),
    "rank(last(s.n), by=last(s.t))": (4, 2, 2, 1, 1, None),
    "rank(last(s.n), among=last(s.n) < 40)": (4, 2, 2, None, 1, None),
    "in_top(last(s.n), n=3)": (False, True, True, True, True, False),
    'in_top(last(s.n), n=1, best="low")': (True, False, False, False, False, False),
    "in_top(last(s.n), percent=20)": (False, False, False, True, False, False),
    "in_top(last(s.n), percent=20.5)": (False, False, False, True, True, False),
    "in_top(last(s.n), n=1, by=last(s.t))": (False, False, False, True, True, False),
    "in_top(last(s.n), n=1, among=last(s.n) < 40)": (False, False, False, False, True, False),
    "above_mean(last(s.n))": (False, False, False, True, True, False),
    'above_mean(last(s.n), best="low")': (True, True, True, False, False, False),
    "above_mean(last(s.n), by=last(s.t))": (False, False, False, True, False, False),  # of x 22.5, of y 30
    "above_mean(last(s.n), among=last(s.n) < 40)": (False, False, False, False, True, False),  # 20
    "zscore(last(s.n))": (-14 / _STD, -4 / _STD, -4 / _STD, 16 / _STD, 6 / _STD, None),
    'zscore(last(s.n), best="low")': (14 / _STD, 4 / _STD, 4 / _STD, -16 / _STD, -6 / _STD, None),
    "zscore(last(s.n), by=last(s.t))": (-12.5 / 118.75**0.5, -2.5 / 118.75**0.5, -2.5 / 118.75**0.5, 17.5 / 118.75**0.5, None, None),
    "zscore(last(s.n), among=last(s.n) == 20)": (None, None, None, None, None, None),  # all equal: no deviation
    "quintile(rank(last(s.n)))": (5, 3, 3, 1, 2, None),  # of ranks 1, 2, 3, 3, 5: 1, 2, 3, 3
    "quintile(last(s.n)) + rank(last(s.n))": (6, 5, 5, 6, 6, None),
}  # fmt: skip


def _changes(*entries: tuple[str, str, str | None, str, str, str]) -> list[Change]:
    return [
        Change(seq, kind, name, was, into, at(when), cause)
        for seq, (kind, name, was, into, when, cause) in enumerate(entries, 1)
    ]


#: What was recorded of customers 1 and 2; of 3 nothing. As of 15 June 04:00, 90 days are back to 17 March 04:00.
RECORDED: Final = Case(
    tags={},
    as_of=AS_OF,
    customers=(1, 2, 3),
    streams={"s": {1: [row("2026-06-01", "a", n=10, t="x")], 2: [row("2026-06-01", "a", n=20, t="y")]}},
    tierings={
        "grade": {"ordered": True, "tiers": {"gold": "last(s.n) >= 40", "silver": "last(s.n) >= 20", "none": "otherwise"}},
        "level": {"ordered": True, "tiers": {"top": 'last(s.n) > 40 and last(s.t) == "y"', "middle": 'last(s.t) == "y" or last(s.n) < 5', "low": "otherwise"}},
    },
    segments={"many": "last(s.n) > 15"},
    changes={
        1: _changes(
            ("tier", "grade", None, "gold", "2026-01-01", "first_run"),
            ("segment", "many", None, "in", "2026-01-01", "first_run"),
            ("tier", "grade", "gold", "silver", "2026-03-17 04:00", "time"),
            ("segment", "many", "in", "out", "2026-05-01", "event"),
            ("segment", "many", "out", "in", "2026-06-01", "event"),
            ("tier", "grade", "silver", "gold", "2026-06-15 04:00", "event"),  # at as_of: not before it
        ),
        2: _changes(
            ("tier", "grade", None, "none", "2026-02-01", "event"),
            ("tier", "grade", "none", "silver", "2026-05-16 04:00", "event"),
            ("segment", "many", None, "in", "2026-06-10", "event"),
        ),
    },
    moments=(at("2026-03-17 04:00"), at("2026-08-01 00:00")),
)  # fmt: skip
HISTORY: Final[dict[str, Sequence[Any]]] = {
    'was_tier("grade", "gold")': (True, False, False),
    'was_tier("grade", "gold", within="90d")': (False, False, False),  # until that instant, not in it
    'was_tier("grade", "gold", within="91d")': (True, False, False),
    'was_tier("grade", "silver", within="1d")': (True, True, False),  # still, as recorded
    'was_tier("level", "top")': (False, False, False),
    'tier_since("grade")': (at("2026-03-17 04:00"), at("2026-05-16 04:00"), None),
    'entered("grade", "silver")': (True, True, False),
    'entered("grade", "silver", within="30d")': (False, False, False),
    'entered("grade", "silver", within="31d")': (False, True, False),
    'entered("grade", "gold")': (False, False, False),  # the first run finds, nobody enters
    'entered("grade", "none")': (False, True, False),
    'left("grade", "gold")': (True, False, False),
    'left("grade", "gold", within="90d")': (False, False, False),
    'left("grade", "gold", within="91d")': (True, False, False),
    'entered("many")': (True, True, False),
    'entered("many", within="14d")': (False, True, False),
    'left("many")': (True, False, False),
    'left("many", within="30d")': (False, False, False),
    'to_next("grade")': (10, 20, None),
    'to_next("level")': (None, 20, None),  # of the first the rule above is an `or`
}

#: Over groups: 10, 20, 20, 40 shop in x, 30 in y; of the sixth no shop is known.
GROUPS: Final[dict[str, Sequence[Any]]] = {
    "group_sum(last(s.n), by=last(s.t))": (90, 90, 90, 90, 30, None),
    "group_sum(first(s.m), by=last(s.t))": (Decimal("0.00"),) * 5 + (None,),  # all are missing
    "group_count(by=last(s.t))": (4, 4, 4, 4, 1, None),
    "group_count(last(s.n) > 15, by=last(s.t))": (3, 3, 3, 3, 1, None),
    "group_avg(last(s.n), by=last(s.t))": (22.5, 22.5, 22.5, 22.5, 30.0, None),
    "group_avg(first(s.m), by=last(s.t))": (None,) * 6,
    "group_min(last(s.n), by=last(s.t))": (10, 10, 10, 10, 30, None),
    "group_max(last(s.n), by=last(s.t))": (40, 40, 40, 40, 30, None),
    "group_max(last(s.t), by=count(s))": ("y",) * 6,
    "group_sum(rank(last(s.n)), by=last(s.t))": (12, 12, 12, 12, 2, None),
    "group_count(group_sum(last(s.n), by=last(s.t)) > 50, by=count(s) > 0)": (4,) * 6,
    'group_count(segment("many"), by=tier("grade"))': (0, 3, 3, 1, 3, 0),
}

MEMBERSHIP: Final[dict[str, Sequence[Any]]] = {
    'segment("many")': (False, True, True, True, True, False),
    'not segment("many")': (True, False, False, False, False, True),
    'tier("grade")': ("none", "silver", "silver", "gold", "silver", "none"),
    'tier("grade") == "gold"': (False, False, False, True, False, False),
    'tier("grade") != "gold"': (True, True, True, False, True, True),
    'tier("grade") in ("gold", "none")': (True, False, False, True, False, True),
    'at_least("grade", "silver")': (False, True, True, True, True, False),
    'at_least("grade", "none")': (True, True, True, True, True, True),
    'sample(0.5, salt="春")': tuple(_bucket("春", customer) < 8 for customer in range(1, 7)),
    'sample(0, salt="春")': (False,) * 6,
    'sample(1, salt="春")': (True,) * 6,
}  # fmt: skip
