"""The reference evaluator against a small truth worked out by hand: logic, numbers, times, text."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest

from tierwise.definitions.language.checker import Scope, check_expression
from tierwise.definitions.language.kinds import BOOLEAN, DATE, DECIMAL, FLOAT, INSTANT, INTEGER, MONEY, TEXT
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.reference import World, evaluate
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Const, Expr, Value
from tierwise.definitions.streams import BUILT_IN

LONDON = Zone("Europe/London")
KINDS = {
    "yes": BOOLEAN, "no": BOOLEAN, "bool0": BOOLEAN, "n": INTEGER, "big": INTEGER, "low": INTEGER, "n0": INTEGER,
    "m": MONEY, "rich": MONEY, "m0": MONEY, "q": DECIMAL, "wide": DECIMAL, "q0": DECIMAL, "f": FLOAT, "huge": FLOAT,
    "f0": FLOAT, "t": TEXT, "t0": TEXT, "day": DATE, "day0": DATE, "now": INSTANT, "end": INSTANT, "now0": INSTANT,
}  # fmt: skip
#: Names ending in 0 are missing.
KNOWN: dict[str, Value] = {
    "yes": True, "no": False, "n": 7, "big": 2**63 - 1, "low": -(2**63), "m": Decimal("19.99"),
    "rich": Decimal("9999999999999999.99"), "q": Decimal("0.500000"), "wide": Decimal("999999999999.999999"),
    "f": 0.1 + 0.2, "huge": 1e308, "t": "Äpfel und Birnen", "day": date(2024, 2, 29),
    "now": datetime.fromisoformat("2026-06-30 23:30"), "end": datetime.fromisoformat("9999-12-31 23:30"),
}  # fmt: skip
SUMMER = "2026-07-01 12:00"


def answer(text: str, as_of: str = SUMMER) -> Value:
    tags: dict[str, Expr] = {f"v_{name}": Const(KNOWN.get(name), kind=kind) for name, kind in KINDS.items()}
    scope = Scope(
        streams=BUILT_IN,
        tags={name: tag.kind for name, tag in tags.items()},
        lookups={"band_of": {"band": TEXT, "size": INTEGER}},
        zone=LONDON,
    )
    found = check_expression(parse(text), scope, text=text)
    assert found.expr is not None, "\n".join(map(str, found.problems))
    world = World(tags=tags, zone=LONDON, lookups={"band_of": {"Äpfel und Birnen": {"band": "A", "size": None}}})
    return evaluate(found.expr, world, 1, datetime.fromisoformat(as_of))


def assert_truth(text: str, truth: Value, as_of: str = SUMMER) -> None:
    value = answer(text, as_of)
    assert (value, type(value)) == (truth, type(truth)), text


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("v_n > 6", True),
        ("v_n0 > 6", False),
        ("not (v_n0 > 6)", True),
        ("v_n0 <= 6", False),
        ("v_n0 == 6", False),
        ("v_n0 != 6", True),
        ("v_n0 == v_n0", False),
        ("v_n != 7", False),
        ("v_n0 in (6, 7)", False),
        ("v_n0 not in (6, 7)", True),
        ("v_n in (6, 7)", True),
        ("v_n not in (6, 7)", False),
        ("v_n in (6, 7.0)", True),
        ("v_n in (6, 7.5)", False),
        ("v_n in (6.5, v_n)", True),
        ("v_bool0", None),
        ("v_bool0 is None", True),
        ("v_yes is not None", True),
        ("not v_bool0", True),
        ("v_bool0 or v_no", False),
        ("v_yes and v_bool0", False),
        ("v_yes or v_bool0", True),
        ("v_yes and not v_no", True),
        ("5 <= v_n < 7", False),
        ("7 <= v_n < 8", True),
        ("5 <= v_n0 < 8", False),
        ('v_t > "z"', True),  # by code point: Ä is after z
        ('v_t < "Äpfel"', False),
    ],
)
def test_logic(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("v_n + 1", 8),
        ("v_n - 8", -1),
        ("v_n * v_n", 49),
        ("-v_n", -7),
        ("-v_m", Decimal("-19.99")),
        ("v_m + v_m", Decimal("39.98")),
        ("v_m + 1", Decimal("20.99")),
        ("v_m * 3", Decimal("59.97")),
        ("v_m + v_q", Decimal("20.490000")),
        ("v_m * v_q", Decimal("9.995000")),
        ("v_q * 0.000001", Decimal("0.000001")),  # half away from zero
        ("v_q * -0.000001", Decimal("-0.000001")),
        ("v_q * 0.000001 * 0.9", Decimal("0.000001")),  # from the left, rounded at each step
        ("v_n / 2", 3.5),
        ("v_m / v_m", 1.0),
        ("v_n / 0", None),
        ("v_n / (v_q - 0.5)", None),
        ("v_f / 0.0", None),
        ("v_f * 2", (0.1 + 0.2) * 2),
        ("v_f + v_m", 0.1 + 0.2 + 19.99),
        ("v_huge * 10", None),
        ("v_huge - v_huge * 10", None),
        ("v_big + 1", None),
        ("v_low - 1", None),
        ("-v_low", None),
        ("v_low + v_big", -1),
        ("v_rich + 0", Decimal("9999999999999999.99")),
        ("v_rich + 1", None),
        ("v_wide + 0.000001", None),
        ("v_rich * 0.001", None),  # a decimal is below 10^12
        ("v_rich * 0.00001", Decimal("100000000000.000000")),
        ("v_n0 + 1", None),
        ("1 - v_n0", None),
        ("v_n0 / 2", None),
        ("-v_n0", None),
    ],
)
def test_arithmetic(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("v_f == 0.3", True),  # binary64 0.30000000000000004, to nine digits
        ("v_f > 0.3", False),
        ("v_f * 1.000000 < 0.300001", True),
        ("v_n / 3 == 2.333333", False),
        ("v_m == 19.99", True),
        ("v_m > 19.989999", True),
        ("v_n == 7.0", True),
        ("v_big == 9223372036854775807", True),
        ("v_big / 1 == 9223372036854775000", True),
        ("v_q < 1", True),
        ("v_f in (0.3, 0.4)", True),
    ],
)
def test_comparison_of_numbers(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("least(v_n, 3)", 3),
        ("greatest(v_n, v_n0)", 7),
        ("least(v_n0, v_n0)", None),
        ("least(v_n, v_m)", Decimal("7.00")),
        ("greatest(v_n, v_f)", 7.0),
        ('least(v_t, "b")', "b"),
        ("coalesce(v_n0, v_m)", Decimal("19.99")),
        ("coalesce(v_n, v_q)", Decimal("7.000000")),
        ("coalesce(v_n0, v_n0)", None),
        ('case(v_bool0, "a", v_yes, "b", v_yes, "c", "d")', "b"),
        ('case(v_no, "a", "d")', "d"),
        ('case(v_no, "a")', None),
        ("case(v_yes, 1, v_q)", Decimal("1.000000")),
        ("band(v_n, 7, 25)", "7-25"),
        ("band(v_n, 8, 25)", "<8"),
        ("band(v_n, 1, 7)", "7+"),
        ("band(v_n0, 1, 7)", None),
        ("band(v_q, 0.25, 0.50, 100)", "0.5-100"),
        ("band(v_f, 0.3, 10)", "0.3-10"),
        ("band(-v_n, -10, 0)", "-10-0"),
        ('lookup("band_of", v_t, "band")', "A"),
        ('lookup("band_of", v_t, "size")', None),
        ('lookup("band_of", "pears", "band")', None),
        ('lookup("band_of", v_t0, "band")', None),
        ("as_of", datetime.fromisoformat(SUMMER)),
    ],
)
def test_choosing(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ('contains(v_t, "und")', True),
        ('contains(v_t, "UND")', False),
        ('contains(v_t, "")', True),
        ('contains(v_t0, "")', False),
        ("contains(v_t, v_t0)", False),
        ('startswith(v_t, "Ä")', True),
        ('startswith(v_t, "")', True),
        ('startswith(v_t, "pfel")', False),
        ('startswith(v_t0, "")', False),
        ('matches(v_t, "Äpfel.*")', True),
        ('matches(v_t, "Äpfel")', False),
        ('matches("ab", "a|ab")', True),
        ('matches("1٣", "[[:digit:]]+")', False),
        ('matches(v_t0, ".*")', False),
        ("lower(v_t)", "äpfel und birnen"),
        ("lower(v_t0)", None),
        ('lower("ΟΔΟΣ")', "οδοσ"),  # no final sigma
        ('lower("İ")', "i"),
        ('contains(top(events.type, n=2), "view")', False),
    ],
)
def test_text(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("days_since(v_now)", 0),  # 23:30 UTC is the next day in London's summer
        ("days_until(v_now)", 0),
        ('days_since("2026-06-30")', 1),
        ('days_until("2026-07-04")', 3),
        ('days_since("2026-06-30 23:59")', 1),
        ("days_since(v_day0)", None),
        ("days_since(v_now0)", None),
        ("hours_since(v_now)", 12.5),
        ('hours_since("2026-07-01")', 13.0),  # from 23:00 UTC
        ('hours_since("2026-07-01 14:00")', -1.0),
        ("hours_since(v_now0)", None),
        ("year(v_now)", 2026),
        ("month(v_now)", 7),
        ("day(v_now)", 1),
        ("hour(v_now)", 0),
        ("hour(v_day)", 0),
        ("weekday(v_now)", 3),
        ('weekday("2026-07-05")', 7),
        ("weekday(v_day0)", None),
        ("v_now == v_now", True),
        ('v_now == "2026-07-01"', True),
        ('v_now < "2026-07-01"', False),
        ('v_now < "2026-07-01 00:30:00.000001"', True),
        ('v_now + "12h"', datetime.fromisoformat("2026-07-01 11:30")),
        ('v_now - "7mo"', datetime.fromisoformat("2025-12-01 00:30")),
        ('v_day + "1y"', date(2025, 2, 28)),
        ('v_day + "1w"', date(2024, 3, 7)),
        ('v_day - "1d"', date(2024, 2, 28)),
        ("v_day0 - as_of", None),
        ("as_of - v_now", 12.5 / 24),
        ("v_now - as_of", -12.5 / 24),
        ("v_now - v_day", (date(2026, 7, 1) - date(2024, 2, 29)).days),
        ('v_end + "1d"', None),
        ('v_end - "1d"', datetime.fromisoformat("9999-12-30 23:30")),
        ("year(v_end)", 9999),
    ],
)
def test_times(text: str, truth: Value) -> None:
    assert_truth(text, truth)


@pytest.mark.parametrize(
    ("zone", "local"),
    [("Europe/London", date(9999, 12, 31)), ("Asia/Shanghai", None), ("America/New_York", date(9999, 12, 31))],
)
def test_a_local_date_outside_the_calendar_is_missing(zone: str, local: date | None) -> None:
    scope = Scope(tags={"end": INSTANT}, zone=Zone(zone))
    found = check_expression(parse("year(end)"), scope)
    assert found.expr is not None
    world = World(tags={"end": Const(KNOWN["end"], kind=INSTANT)}, zone=Zone(zone))
    year = evaluate(found.expr, world, 1, datetime.fromisoformat(SUMMER))
    assert year == (local.year if local else None)


@pytest.mark.parametrize(
    ("born", "today", "months", "years"),
    [
        ("2026-01-31", "2026-02-27", 0, 0),
        ("2026-01-31", "2026-02-28", 1, 0),
        ("2026-01-31", "2026-03-30", 1, 0),
        ("2026-01-31", "2026-03-31", 2, 0),
        ("2024-02-29", "2025-02-27", 11, 0),
        ("2024-02-29", "2025-02-28", 12, 1),
        ("2024-02-29", "2028-02-28", 47, 3),
        ("2024-02-29", "2028-02-29", 48, 4),
        ("2000-07-01", "2026-06-30", 311, 25),
        ("2000-07-01", "2026-07-01", 312, 26),
        ("2026-03-01", "2026-02-28", -1, -1),
        ("2026-03-01", "2026-02-01", -1, -1),
        ("2026-03-01", "2025-03-01", -12, -1),
    ],
)
def test_months_and_years(born: str, today: str, months: int, years: int) -> None:
    assert_truth(f'months_since("{born}")', months, f"{today} 12:00")
    assert_truth(f'age("{born}")', years, f"{today} 12:00")


@pytest.mark.parametrize(
    ("born", "within", "today", "truth"),
    [
        ("1990-03-15", "7d", "2026-03-15", True),
        ("1990-03-15", "7d", "2026-03-08", True),
        ("1990-03-15", "7d", "2026-03-07", False),
        ("1990-03-15", "7d", "2026-03-16", False),
        ("1990-01-03", "1w", "2025-12-30", True),
        ("1988-02-29", "1d", "2026-02-28", True),
        ("1988-02-29", "1d", "2026-03-01", False),
        ("1988-02-29", "1d", "2028-02-27", False),
        ("1988-02-29", "1d", "2028-02-28", True),
        ("1990-02-28", "1mo", "2026-01-31", True),
        ("1990-03-01", "1mo", "2026-01-31", False),
        ("1990-06-01", "1y", "2026-06-02", True),
    ],
)
def test_anniversary(born: str, within: str, today: str, truth: bool) -> None:
    assert_truth(f'anniversary("{born}", within="{within}")', truth, f"{today} 12:00")


def test_anniversary_of_nothing_is_false() -> None:
    assert_truth('anniversary(v_day0, within="7d")', False)
    assert_truth('anniversary(v_now, within="7d")', True)
