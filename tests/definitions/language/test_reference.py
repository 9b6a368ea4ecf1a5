"""The reference evaluator against a small truth worked out by hand: streams, windows, computed columns, definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import pytest

from tierwise.definitions.language.checker import Scope, TierNames, check_expression
from tierwise.definitions.language.functions import FUNCTIONS
from tierwise.definitions.language.kinds import BOOLEAN, DATE, DECIMAL, FLOAT, INSTANT, INTEGER, MONEY, TEXT, Kind
from tierwise.definitions.language.kinds import tier_of as kind_of_tier
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.reference import Evaluation, Row, World, evaluate, tier_of
from tierwise.definitions.language.reference.aggregates import AGGREGATES
from tierwise.definitions.language.reference.populations import COMPARISONS
from tierwise.definitions.language.reference.scalars import SCALARS
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Apply, Const, Expr, TagOf, TierOf, Value
from tierwise.definitions.streams import BUILT_IN, Column, Stream

LONDON = Zone("Europe/London")
COLUMNS: Mapping[str, Kind] = {
    "n": INTEGER, "q": DECIMAL, "m": MONEY, "f": FLOAT, "t": TEXT, "b": BOOLEAN, "d": DATE, "i": INSTANT,
}  # fmt: skip
STREAMS = {**BUILT_IN, "s": Stream("s", tuple(Column(name, kind) for name, kind in COLUMNS.items()))}


def at(text: str) -> datetime:
    """An instant as it is written in UTC."""
    return datetime.fromisoformat(text)


def row(time: str, key: str = "", **values: Value) -> Row:
    return Row(at(time), key, values)


def checked(text: str, tags: Mapping[str, Kind] | None = None) -> Expr:
    scope = Scope(
        streams=STREAMS,
        attributes={"city": TEXT, "joined": DATE},
        tags=tags or {},
        segments=("vip",),
        tierings={"grade": TierNames(("gold", "silver", "none"), ordered=True)},
        parameters={"least": (INTEGER, 2)},
        zone=LONDON,
    )
    found = check_expression(parse(text), scope, text=text)
    assert found.expr is not None, "\n".join(map(str, found.problems))
    return found.expr


def over(text: str, rows: Sequence[Row], as_of: str = "2026-01-11 10:00") -> Value:
    return evaluate(checked(text), World(streams={"s": {1: rows}}, zone=LONDON), 1, at(as_of))


# B and C are known at one instant; rows stand in no order.
ROWS = (
    row("2026-01-10 22:00", "d", t="x", n=1, m=None, b=True),
    row("2026-01-03 10:00", "c", t="z", n=7, m=None, b=None),
    row("2026-01-01 10:00", "a", t="x", n=5, m=Decimal("10.00"), b=False),
    row("2026-01-03 10:00", "b", t="y", n=None, m=Decimal("2.50"), b=True),
    row("2026-01-11 10:00:00.000001", "e", t="future", n=100, m=Decimal(1000), b=True),
)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("count(s)", 4),
        ("count(s, where=b)", 2),
        ("count(s, where=not b)", 2),
        ("count(s, where=n is None)", 1),
        ('exists(s, where=t == "y")', True),
        ('exists(s, where=t == "future")', False),
        ("sum(s.n)", 13),
        ("sum(s.m)", Decimal("12.50")),
        ('sum(s.m, where=t == "z")', Decimal("0.00")),
        ("avg(s.n)", 13 / 3),
        ("avg(s.m)", 6.25),
        ("min(s.n)", 1),
        ("max(s.n)", 7),
        ("max(s.t)", "z"),
        ("max(s.time)", at("2026-01-10 22:00")),
        ("distinct(s.t)", 3),
        ("distinct(s.m)", 2),
        ("days(s)", 3),
        ('share(s, of=t == "x")', 0.5),
        ("share(s, of=b, where=n > 1)", 0.0),
        ("first(s.n)", 5),
        ("last(s.n)", 1),
        ("last(s.m)", Decimal("2.50")),
        ('last(s.t, until="2026-01-03")', "z"),
        ('first(s.t, since="2026-01-03")', "y"),
        ("nth(s.n, 2)", 7),
        ("nth(s.t, 2)", "y"),
        ("nth(s.n, 3)", 1),
        ("nth(s.n, 4)", None),
        ("top(s.t)", "x"),
        ('score(s, half_life="1d")', 0.5**10 + 2 * 0.5**8 + 0.5**0.5),
        ("avg_gap(s)", 9.5 / 3),
        ("min_gap(s)", 0.0),
        ("max_gap(s)", 7.5),
        ("count(s, latest=3)", 3),
        ("sum(s.n, latest=2)", 8),
        ('sum(s.n, where=t == "x", latest=1)', 1),
        ('sum(s.n, until="2026-01-03", latest=2)', 7),
        ("count(s, where=n > customer.least_n)", 1),
        ("count(s, where=n > param.least)", 2),
        ("count(s, where=time < as_of)", 4),
    ],
)
def test_over_a_stream(text: str, truth: Value) -> None:
    five = Const(5, kind=INTEGER)
    world = World(
        streams={"s": {1: ROWS, 2: [row("2026-01-01", n=9)]}},
        parameters={"least": 2},
        tags={"least_n": five},
        zone=LONDON,
    )
    value = evaluate(checked(text, {"least_n": INTEGER}), world, 1, at("2026-01-11 10:00"))
    assert value == truth
    assert type(value) is type(truth)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("count(s)", 0),
        ("exists(s)", False),
        ("sum(s.n)", 0),
        ("sum(s.m)", Decimal("0.00")),
        ("sum(s.f)", 0.0),
        ("distinct(s.t)", 0),
        ("days(s)", 0),
        ('score(s, half_life="1d")', 0.0),
        ('streak(s, every="1d")', 0),
        *((f"{name}(s.n)", None) for name in ("avg", "min", "max", "first", "last", "top")),
        ("nth(s.n, 1)", None),
        ("top(s.n, n=3)", None),
        ("share(s, of=b)", None),
        *((f"{name}(s)", None) for name in ("avg_gap", "min_gap", "max_gap")),
    ],
)
def test_of_nothing(text: str, truth: Value) -> None:
    value = over(text, [row("2026-01-12", n=3)])
    assert value == truth
    assert type(value) is type(truth)


@pytest.mark.parametrize("name", ["avg_gap", "min_gap", "max_gap"])
def test_one_row_has_no_gap(name: str) -> None:
    assert over(f"{name}(s)", [row("2026-01-01")]) is None


def test_sums_are_exact() -> None:
    assert over("sum(s.f)", [row("2026-01-01", str(i), f=0.1) for i in range(10)]) == 1.0
    assert over("sum(s.f)", [row("2026-01-01", str(i), f=f) for i, f in enumerate([1e100, 1.0, -1e100])]) == 1.0
    big = Decimal("9999999999999999.99")
    assert over("sum(s.m)", [row("2026-01-01", "a", m=big), row("2026-01-02", "b", m=Decimal("0.01"))]) is None
    assert over("avg(s.m)", [row("2026-01-01", "a", m=big), row("2026-01-02", "b", m=big)]) == 1e16
    assert over("sum(s.n)", [row("2026-01-01", "a", n=2**63 - 1), row("2026-01-02", "b", n=1)]) is None


def test_top() -> None:
    rows = [
        row("2026-01-01", "a", t="p", n=1),
        row("2026-01-05", "b", t="p", n=1),
        row("2026-01-02", "c", t="q", n=9),
        row("2026-01-06", "d", t="q", n=None),
        row("2026-01-07", "e", t="r", n=None),
        row("2026-01-07", "f", t="Z", n=None),
        row("2026-01-08", "g", t=None, n=50),
    ]
    assert over("top(s.t)", rows) == "q"  # two rows each; q was later
    assert over("top(s.t, n=9)", rows) == ("q", "p", "Z", "r")  # Z and r at one time: the smaller by code point
    assert over("top(s.t, by=sum(s.n), n=9)", rows) == ("q", "p", "Z", "r")
    assert over("top(s.t, by=min(s.n), n=2)", rows) == ("q", "p")
    negative = [row("2026-01-01", "a", t="p", n=-5), row("2026-01-02", "b", t="q", n=None)]
    assert over("top(s.t, by=max(s.n))", negative) == "p"  # missing is smaller than any
    assert over("top(s.t, by=sum(s.n))", negative) == "q"  # a sum of missing values is 0
    assert over("top(s.n)", [row("2026-01-01", "a", n=10), row("2026-01-01", "b", n=9)]) == 9
    assert over("top(s.t, where=n is not None)", rows) == "p"
    assert over("top(s.t)", [*rows, row("2026-01-01", "h", t="Z")]) == "Z"
    assert over("top(s.t, latest=3)", rows) == "Z"


@pytest.mark.parametrize(
    ("every", "as_of", "times", "truth"),
    [
        ("1d", "2026-01-05 12:00", ["2026-01-05 09:00", "2026-01-05 08:00", "2026-01-04", "2026-01-02"], 2),
        ("1d", "2026-01-05 12:00", ["2026-01-04", "2026-01-03"], 2),
        ("1d", "2026-01-05 12:00", ["2026-01-03", "2026-01-02"], 0),
        ("1d", "2026-07-02 12:00", ["2026-06-30 23:30", "2026-07-02 01:00"], 2),  # 23:30 is 1 July in London
        ("1w", "2026-03-15 12:00", ["2026-03-09", "2026-03-08", "2026-03-01 23:59"], 3),  # Monday, two Sundays
        ("1w", "2026-03-15 12:00", ["2026-03-08 23:59", "2026-02-22"], 1),
        ("1mo", "2026-01-15 12:00", ["2025-12-31", "2025-11-01", "2025-09-30"], 2),
        ("3mo", "2026-04-01 12:00", ["2026-03-31", "2025-12-31", "2025-06-30"], 2),
        ("3mo", "2026-04-01 12:00", ["2026-01-01", "2025-12-31"], 2),
        ("1y", "2026-04-01 12:00", ["2026-01-01", "2025-12-31", "2023-01-01"], 2),
    ],
)
def test_streak(every: str, as_of: str, times: list[str], truth: int) -> None:
    assert over(f'streak(s, every="{every}")', [row(time) for time in times], as_of) == truth


@pytest.mark.parametrize(
    ("window", "as_of", "inside", "outside"),
    [
        (
            'within="30d"',
            "2026-03-15 12:00",
            ["2026-02-13 12:00:00.000001", "2026-03-15 12:00"],
            ["2026-02-13 12:00", "2026-03-15 12:00:00.000001"],
        ),
        (
            'ago="30d..60d"',
            "2026-03-15 12:00",
            ["2026-01-14 12:00:00.000001", "2026-02-13 12:00"],
            ["2026-01-14 12:00", "2026-02-13 12:00:00.000001"],
        ),
        # a day is 24 hours, also when the clocks change on 29 March 2026 at 01:00 UTC
        ('within="1d"', "2026-03-29 12:00", ["2026-03-28 12:00:01"], ["2026-03-28 12:00"]),
        # months keep the wall time: 12:00 in summer time back to 12:00 in winter time, clamped to the month's end
        ('within="1mo"', "2026-03-31 11:00", ["2026-02-28 12:00:01"], ["2026-02-28 12:00"]),
        ('within="1mo"', "2024-03-31 11:00", ["2024-02-29 12:00:01"], ["2024-02-29 12:00"]),
        ('within="1y"', "2028-02-29 12:00", ["2027-02-28 12:00:01"], ["2027-02-28 12:00"]),
        # 01:30 does not exist on 29 March: 02:30 summer time; it exists twice on 25 October: the first
        ('within="1mo"', "2026-04-29 00:30", ["2026-03-29 01:30:01"], ["2026-03-29 01:30"]),
        ('within="1mo"', "2026-11-25 01:30", ["2026-10-25 00:30:01"], ["2026-10-25 00:30"]),
        ('since="2026-03-29"', "2026-05-01", ["2026-03-29 00:00"], ["2026-03-28 23:59:59"]),
        ('until="2026-03-29"', "2026-05-01", ["2026-03-29 22:59:59", "2020-01-01"], ["2026-03-29 23:00"]),
        ('since="2026-07-01 08:00"', "2026-08-01", ["2026-07-01 07:00:00.000001"], ["2026-07-01 07:00"]),
        ('until="2026-07-01T08:00:00Z"', "2026-08-01", ["2026-07-01 08:00"], ["2026-07-01 08:00:00.000001"]),
        (
            'on="last month"',
            "2026-04-10",
            ["2026-03-01 00:00", "2026-03-31 22:59:59"],
            ["2026-02-28 23:59:59", "2026-03-31 23:00"],
        ),
        (
            'on="this week"',
            "2026-03-15 12:00",
            ["2026-03-09 00:00", "2026-03-15 12:00"],
            ["2026-03-08 23:59:59", "2026-03-15 12:01"],
        ),
        ('on="today"', "2026-07-01 23:30", ["2026-07-01 23:00"], ["2026-07-01 22:59:59"]),
        (
            'on="last quarter"',
            "2026-02-10",
            ["2025-10-01", "2025-12-31 23:59:59"],
            ["2025-09-30 22:59:59", "2026-01-01"],
        ),
        ('since=as_of - "10d", until=as_of - "1d"', "2026-03-15", ["2026-03-14"], ["2026-03-05", "2026-03-14 00:01"]),
        (
            'within="30d", ago="0d..1d", until="2026-03-14"',
            "2026-03-15 12:00",
            ["2026-03-14 23:59"],
            ["2026-03-14 12:00", "2026-03-15"],
        ),
        ("since=first(s.time)", "2026-03-15", [], ["2026-03-14"]),
        ("since=last(s.i)", "2026-03-15", [], ["2026-03-14"]),
        ("until=last(s.d)", "2026-03-15", [], ["2026-03-14"]),
    ],
)
def test_windows(window: str, as_of: str, inside: list[str], outside: list[str]) -> None:
    """Each time alone: does a row of this time count?"""
    counted = {time: over(f"count(s, {window})", [row(time)], as_of) for time in [*inside, *outside]}
    assert counted == {**dict.fromkeys(inside, 1), **dict.fromkeys(outside, 0)}


def test_bounds_at_the_end_of_the_calendar() -> None:
    rows = [row("2026-01-01", d=date.max, i=at("9999-12-31 23:59"))]
    assert over("count(s, until=last(s.d))", rows) == 1
    assert over("count(s, until=last(s.i))", rows) == 1
    assert over("count(s, since=last(s.d))", rows) == 0
    rows = [row("2026-01-01", d=date.min)]
    shanghai = World(streams={"s": {1: rows}}, zone=Zone("Asia/Shanghai"))
    assert evaluate(checked("count(s, since=last(s.d))"), shanghai, 1, at("2026-02-01")) == 1


def order(time: str, number: str | None, amount: str | None, **values: Value) -> Row:
    return row(time, f"{number}", order_id=number, amount=None if amount is None else Decimal(amount), **values)


def test_kept_orders() -> None:
    orders = [
        order("2026-01-01", "1", "100.00"),
        order("2026-01-02", "2", "50.00", cancelled=False),
        order("2026-01-03", "3", "0.00"),
        order("2026-01-04", "4", None),
        order("2026-01-05", "5", "30.00", cancelled=True),
        order("2026-01-06", "6", "20.00", cancelled=None, key_space="app"),
        order("2026-01-07", None, "5.00"),
    ]
    refunds = {
        1: [order("2026-01-08", "1", "40.00"), order("2026-01-09", "6", "20.00"), order("2026-01-09", None, "5.00")],
        2: [
            order("2026-01-10", "1", "70.00"),
            order("2026-01-08", "2", "50.00"),
            order("2026-01-11", "6", "19.99", key_space="app"),
        ],
    }
    world = World(streams={"orders": {1: orders}, "refunds": refunds}, zone=LONDON)

    def kept(as_of: str) -> dict[str, Value]:
        expr = 'case(last(orders.kept, where=order_id == "{0}"), last(orders.kept_amount, where=order_id == "{0}"))'
        return {n: evaluate(checked(expr.format(n)), world, 1, at(as_of)) for n in "123456"}

    never = {"4": None, "5": None, "3": Decimal(0)}
    assert kept("2026-01-07 23:59") == {"1": Decimal(100), "2": Decimal(50), "6": Decimal(20), **never}
    assert kept("2026-01-08 00:00") == {"1": Decimal(60), "2": None, "6": Decimal(20), **never}
    # never below 0; refunds of other customers count, those of another key space do not
    assert kept("2026-02-01") == {"1": None, "2": None, "6": Decimal("0.01"), **never}
    late = Evaluation(world, at("2026-02-01"))
    assert late.value(checked('first(orders.kept_amount, where=order_id == "1")'), 1) == Decimal("0.00")
    assert late.value(checked('first(orders.kept_amount, where=order_id == "4")'), 1) is None
    assert late.value(checked("sum(orders.kept_amount, where=kept)"), 1) == Decimal("5.01")
    # counted in the order's own window, whenever the refund was
    assert late.value(checked('count(orders, where=not kept, until="2026-01-02")'), 1) == 2


def test_dwell_minutes() -> None:
    visits = [
        row("2026-01-01 10:00", "a", left_at=at("2026-01-01 10:00:10")),
        row("2026-01-02 10:00", "b", left_at=None),
    ]
    world = World(streams={"visits": {1: visits}}, zone=LONDON)
    text = checked("max(visits.dwell_minutes)")
    assert evaluate(text, world, 1, at("2026-01-03")) == Decimal("0.166667")
    assert evaluate(text, world, 1, at("2026-01-01 10:00:10")) == Decimal("0.166667")
    assert evaluate(text, world, 1, at("2026-01-01 10:00:09")) is None


def test_attributes() -> None:
    records = [
        row("2026-02-01", "b", city="Bath", joined=None),
        row("2026-01-01", "a", city=None, joined=date(2020, 1, 1)),
        row("2026-03-01", "c", city=None, joined=None),
        row("2026-04-01", "d", city="York"),
        row("2026-04-01", "e", city="Hull"),
    ]
    world = World(records={1: records}, zone=LONDON)
    for as_of, city in [("2025-01-01", "Bath"), ("2026-03-05", "Bath"), ("2026-04-01", "Hull")]:
        assert evaluate(checked("city"), world, 1, at(as_of)) == city
    assert evaluate(checked("joined"), world, 1, at("2026-05-01")) == date(2020, 1, 1)
    assert evaluate(checked("joined"), world, 2, at("2026-05-01")) is None


def test_tags_segments_and_tierings() -> None:
    orders = {1: [order("2026-01-01", "1", "100.00")], 2: [order("2026-01-02", "2", "10.00")]}
    world = World(
        streams={"orders": orders},
        customers=(1, 2, 3),
        parameters={"least": 50},
        tags={"spend": checked("sum(orders.kept_amount)"), "flag": checked("last(orders.cancelled)")},
        segments={"vip": checked("spend >= param.least", {"spend": MONEY})},
        tierings={"grade": [
            ("gold", checked('segment("vip")')), ("silver", checked("spend > 0", {"spend": MONEY})), ("none", None),
        ]},
        zone=LONDON,
    )  # fmt: skip
    as_of = at("2026-02-01")
    assert [tier_of("grade", world, customer, as_of) for customer in (1, 2, 3)] == ["gold", "silver", "none"]
    assert tier_of("grade", world, 1, at("2025-12-31")) == "none"
    for text, truth in [
        ('tier("grade") == "silver"', [False, True, False]),
        ('tier("grade") in ("gold", "none")', [True, False, True]),
        ('at_least("grade", "silver")', [True, True, False]),
        ('segment("vip")', [True, False, False]),
        ("flag is None", [True, True, True]),
        ("not flag", [True, True, True]),
    ]:
        expr = checked(text, {"flag": BOOLEAN})
        assert [evaluate(expr, world, customer, as_of) for customer in (1, 2, 3)] == truth, text
    silver = Apply(
        "at_least", (TierOf("grade", kind=kind_of_tier("grade")), Const("silver", kind=TEXT)), kind=BOOLEAN
    )  # fmt: skip
    assert [evaluate(silver, world, customer, as_of) for customer in (1, 2, 3)] == [True, True, False]


def test_what_was_worked_out_is_remembered() -> None:
    def tag(i: int) -> Expr:
        return TagOf(f"t{i}", kind=INTEGER)

    tags: dict[str, Expr] = {"t0": Const(1, kind=INTEGER)}
    for i in range(60):
        tags[f"t{i + 1}"] = Apply("+", (tag(i), tag(i)), kind=INTEGER)
    assert evaluate(tag(60), World(tags=tags), 1, at("2026-01-01")) == 2**60


def test_every_function_is_here() -> None:
    nodes = {"share", "time_avg", "lookup", "segment", "tier", "at_least", "sample", "followed"}
    nodes |= {"was_tier", "tier_since", "entered", "left", "to_next"} | {name for name in FUNCTIONS if "group_" in name}
    assert set(FUNCTIONS) <= {*AGGREGATES, *SCALARS, *COMPARISONS, *nodes}
