"""The traps that other systems' semantics hold, one test or more for each: none of them can happen here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from tests.conformance.test_rules import AS_OF, ago, asked, spent
from tierwise.definitions.check import check
from tierwise.definitions.language.functions import LATER
from tierwise.definitions.language.reference import Change, Row
from tierwise.definitions.load import define
from tierwise.testing.worlds import Case, agreed, at, row


def _problems(**tags: str) -> list[str]:
    definitions, problems = define("shop", tags=tags, segments={"vips": "count(orders) > 3"})
    assert definitions is not None
    return [problem.code for problem in (*problems, *check(definitions)[1])]


@pytest.mark.parametrize(
    "text", ['count(orders, after="2026-01-01")', 'count(orders, before="2026-01-01")', "count(orders, window=3)"]
)
def test_trap_1_what_is_not_evaluated_is_refused(text: str) -> None:
    assert _problems(x=text) == ["argument"]


@pytest.mark.parametrize("name", sorted(LATER))
def test_trap_1_what_comes_later_is_refused(name: str) -> None:
    assert _problems(x=f"{name}(orders)") == ["not-yet"]


def test_trap_1_two_names_the_engine_cannot_tell_apart_are_refused() -> None:
    assert _problems(n="count(orders)", N="count(orders)") == ["duplicate-name"]


def test_trap_2_an_edge_is_exact_to_the_microsecond() -> None:
    tick = 1 / 86_400_000_000
    orders = {1: [ago(30 - tick)], 2: [ago(30)], 3: [ago(30 + tick)]}
    assert asked('count(orders, within="30d")', {"orders": orders}) == [1, 0, 0]
    assert asked('count(orders, ago="30d..90d")', {"orders": orders}) == [0, 1, 1]


def test_trap_3_at_most_two_includes_none() -> None:
    orders = {1: [], 2: spent((1, "1.00"), (2, "1.00")), 3: spent((1, "1.00"), (2, "1.00"), (3, "1.00"))}
    assert asked('count(orders, within="30d") <= 2', {"orders": orders}) == [True, True, False]


@pytest.mark.parametrize(
    "text", ['segment("gone")', 'not segment("gone")', 'tier("gone") == "a"', "gone > 3", 'tier("gone") != "a"']
)
def test_trap_4_a_reference_to_nothing_is_an_error(text: str) -> None:
    assert _problems(x=text) == ["unknown-name"]


def test_trap_5_months_and_years_are_real() -> None:
    as_of = at("2026-03-31 04:00")  # noon in Shanghai; a month before is 28 February, noon
    orders = {
        1: [row("2026-02-28 04:00:00.000001", "a")],
        2: [row("2026-02-28 04:00", "b")],
        3: [row("2026-03-01 04:00", "c")],
    }
    assert asked('count(orders, within="1mo")', {"orders": orders}, as_of=as_of) == [1, 0, 1]
    assert asked('count(orders, within="30d")', {"orders": orders}, as_of=as_of) == [0, 0, 0]
    leap = {1: [row("2024-03-01 04:00", "a")], 2: [row("2024-02-29 04:00", "b")], 3: []}
    assert asked('count(orders, within="1y")', {"orders": leap}, as_of=at("2025-02-28 04:00")) == [1, 1, 0]
    assert asked('count(orders, within="365d")', {"orders": leap}, as_of=at("2025-02-28 04:00")) == [1, 0, 0]


def test_trap_6_time_alone_changes_the_answer_at_its_instant() -> None:
    orders = {1: [row("2026-06-01 10:30", "a")], 2: [], 3: []}
    rule = 'count(orders, within="7d")'
    assert (
        asked(rule, {"orders": orders}, as_of=at("2026-06-08 10:29:59.999999"), moments=[at("2026-06-08 10:30")])[0]
        == 1
    )
    assert asked(rule, {"orders": orders}, as_of=at("2026-06-08 10:30"))[0] == 0
    assert asked("0 <= count(orders) <= 3", {"orders": orders}) == [True, True, True]  # one condition


def test_trap_7_windows_with_one_end_are_counted_apart() -> None:
    orders = {1: spent((1, "5.00"), (20, "7.00"), (50, "9.00")), 2: [], 3: []}
    both = 'sum(orders.amount, within="7d") * 10000 + sum(orders.amount, within="30d", where=amount > 6) * 100 + count(orders)'
    assert asked(both, {"orders": orders})[0] == Decimal("50703.00")
    until = 'count(orders, since="2026-05-01", until="2026-06-30") * 10 + count(orders, since="2026-06-20", until="2026-06-30")'
    assert asked(until, {"orders": orders})[0] == 31


def test_trap_9_negation_keeps_the_boundary() -> None:
    orders = {1: spent((1, "5.00")), 2: spent((1, "5.01")), 3: []}
    assert asked("not (last(orders.amount) > 5)", {"orders": orders}) == [
        True,
        False,
        True,
    ]  # 3: missing is not above 5
    assert asked("last(orders.amount) <= 5", {"orders": orders}) == [True, False, False]


def test_trap_9_and_binds_tighter_than_or() -> None:
    records = {
        c: [ago(9, "c", city=city, vip=vip)]
        for c, (city, vip) in enumerate((("a", False), ("b", False), ("b", True)), 1)
    }
    assert asked('city == "a" or city == "b" and vip', records=records) == [True, False, True]
    assert asked('(city == "a" or city == "b") and vip', records=records) == [False, False, True]


def test_trap_10_a_day_is_24_hours_or_a_local_day_as_written() -> None:
    as_of = at("2026-06-10 02:00")  # 10:00 in Shanghai
    orders = {1: [row("2026-06-09 01:59", "a")], 2: [row("2026-06-09 16:00", "b")], 3: [row("2026-06-09 15:59", "c")]}
    assert asked('count(orders, within="1d")', {"orders": orders}, as_of=as_of) == [0, 1, 1]
    assert asked('count(orders, on="today")', {"orders": orders}, as_of=as_of) == [0, 1, 0]


def test_trap_10_a_sum_is_of_all_rows() -> None:
    orders = {1: spent(*((day / 10, "0.10") for day in range(1, 200))), 2: [], 3: []}
    assert asked('sum(orders.amount, within="60d")', {"orders": orders})[0] == Decimal("19.90")


def test_trap_10_who_was_born_on_29_february_has_a_birthday_on_the_28th() -> None:
    records = {1: [ago(9, "c", birth_date=date(2000, 2, 29))], 2: [ago(9, "c", birth_date=date(2000, 3, 1))], 3: []}
    found = asked('anniversary(birth_date, within="1d")', records=records, as_of=at("2026-02-27 16:00"))
    assert found == [True, True, False]
    rule = "age(birth_date)"
    assert asked(rule, records=records, as_of=at("2026-02-27 16:00")) == [26, 25, None]


def test_trap_13_a_table_of_125_cells_has_one_tier_for_each() -> None:
    """Overlapping rules and holes between them: the first match takes the one, `otherwise` the other."""
    tiers = {
        "champions": "r >= 4 and f >= 4 and m >= 4",
        "loyal": "f >= 4",
        "recent": "r >= 4 and f <= 3",
        "at_risk": "r <= 2 and (f >= 3 or m >= 3)",
        "others": "otherwise",
    }
    cells = list(product(range(1, 6), repeat=3))
    rows = {c: [ago(1, n=r, q=Decimal(f), m=Decimal(m))] for c, (r, f, m) in enumerate(cells, 1)}
    case = Case(
        tags={"r": "last(s.n)", "f": "last(s.q)", "m": "last(s.m)"},
        as_of=AS_OF,
        customers=range(1, 126),
        streams={
            "s": {
                c: [Row(r.time, r.row_key, {k: v for k, v in r.values.items() if k != "order_id"}) for r in own]
                for c, own in rows.items()
            }
        },
        tierings={"rfm": {"tiers": tiers}},
    )
    found = agreed(case, "rfm")
    for (r, f, m), tier in zip(cells, found, strict=True):
        rules = {
            "champions": min(r, f, m) >= 4,
            "loyal": f >= 4,
            "recent": r >= 4 and f <= 3,
            "at_risk": r <= 2 and max(f, m) >= 3,
        }
        assert tier == next((name for name, holds in rules.items() if holds), "others"), (r, f, m)
    assert set(found) == set(tiers)


def test_trap_5_a_sequence_has_any_number_of_steps_and_reads_their_columns() -> None:
    def events(*found: tuple[float, str, str]) -> list[Row]:
        return [ago(days, type=kind, sku=sku) for days, kind, sku in found]

    rows = {
        1: events((5, "view", "a"), (4, "favourite", "a"), (3, "add_to_cart", "a")),
        2: events((5, "view", "a"), (4, "favourite", "b"), (3, "add_to_cart", "a")),  # of another product
        3: events((5, "view", "a"), (4, "favourite", "a"), (4, "add_to_cart", "a")),  # at the same time: no order
    }
    steps = 'events(type == "view"), events(type == "favourite"), events(type == "add_to_cart")'
    rows = {c: [Row(r.time, f"{r.row_key}{i}", r.values) for i, r in enumerate(own)] for c, own in rows.items()}
    plain = {c: [Row(r.time, r.row_key, _without_order(r)) for r in own] for c, own in rows.items()}
    assert asked(f"followed({steps}, same=sku)", {"events": plain}) == [True, False, False]
    assert asked(f'followed({steps}, within="47h")', {"events": plain}) == [False, False, False]


def _without_order(one: Row) -> dict[str, Any]:
    return {name: value for name, value in one.values.items() if name != "order_id"}


def test_trap_8_one_meaning_whoever_is_asked_about() -> None:
    """`asked` compares everyone, some customers and moments with the reference: they cannot disagree."""
    orders = {1: spent((10, "5.00")), 2: spent((10, "5.00"), (20, "7.00")), 3: []}
    rule = 'percent_rank(sum(orders.amount, within="30d"), among=exists(orders)) >= 0.5'
    assert asked(rule, {"orders": orders}) == [False, True, False]


def test_trap_11_what_is_missing_and_what_becomes_of_it_is_written_out() -> None:
    records = {1: [ago(9, "c", city="Bath")], 2: [ago(9, "c", city="York")], 3: [ago(9, "c", city=None)]}
    assert asked('city != "York"', records=records) == [True, False, True]  # missing is not York
    assert asked('city is not None and city != "York"', records=records) == [True, False, False]
    orders = {1: spent((1, "5.00")), 2: spent((40, "5.00")), 3: []}
    assert asked('sum(orders.amount, within="30d")', {"orders": orders}) == [Decimal("5.00"), Decimal(0), Decimal(0)]
    assert asked('avg(orders.amount, within="30d")', {"orders": orders}) == [5.0, None, None]  # never what it was


def test_trap_12_time_passes_and_nothing_else_happens() -> None:
    orders = {1: spent((29.5, "5.00")), 2: spent((30.5, "5.00")), 3: []}
    tiers = {"fresh": 'exists(orders, within="30d")', "stale": "exists(orders)", "none": "otherwise"}
    for as_of, expected in (
        (AS_OF, ["fresh", "stale", "none"]),
        (AS_OF + timedelta(days=1), ["stale", "stale", "none"]),
    ):
        case = Case(
            tags={},
            as_of=as_of,
            customers=(1, 2, 3),
            streams={"orders": orders},
            tierings={"freshness": {"tiers": tiers}},
        )
        assert agreed(case, "freshness") == expected


def test_trap_14_asking_changes_nothing() -> None:
    """The answer at an instant is the same before and after the answer at another one."""
    orders = {1: spent((10, "5.00"), (400, "5.00")), 2: [], 3: []}
    rule = 'count(orders, within="1y") >= 1'
    later = AS_OF + timedelta(days=400)
    for as_of, expected in ((AS_OF, True), (later, False), (AS_OF, True)):
        assert asked(rule, {"orders": orders}, as_of=as_of, moments=[later, AS_OF])[0] is expected


def test_trap_14_what_cannot_be_worked_out_is_not_false() -> None:
    """A rule over a value that is missing is false and its negation true; the value itself stays missing."""
    orders: dict[int, Sequence[Row]] = {1: spent((1, "0.00")), 2: [], 3: []}
    assert asked("sum(orders.amount) / sum(orders.coupon_amount)", {"orders": orders}) == [None, None, None]
    assert asked("(sum(orders.amount) / sum(orders.coupon_amount)) is None", {"orders": orders}) == [True, True, True]


# -- rules that those systems cannot write -----------------------------------------------------------------------------


def test_put_into_the_cart_and_not_bought() -> None:
    def cart(days: float, sku: str) -> Row:
        return Row(AS_OF - timedelta(days=days), f"e{days}{sku}", {"type": "add_to_cart", "sku": sku})

    def bought(days: float, sku: str) -> Row:
        return Row(AS_OF - timedelta(days=days), f"i{days}{sku}", {"sku": sku})

    events = {
        1: [cart(5, "a")],
        2: [cart(5, "a")],
        3: [cart(1, "a")],
        4: [cart(5, "a")],
        5: [cart(5, "a"), cart(9, "b")],
    }
    items = {2: [bought(4, "a")], 4: [bought(4, "b")], 5: [bought(4, "a"), bought(8, "b")]}
    rule = 'followed(events(type == "add_to_cart"), within="2d", same=sku, without=items())'
    # 3 can still buy; 4 bought something else; 5 bought both
    assert asked(rule, {"events": events, "items": items}, 5) == [True, False, False, True, False]


def test_fell_from_gold_to_silver() -> None:
    def fell(days: float) -> list[Change]:
        instant = AS_OF - timedelta(days=days)
        first = Change(1, "tier", "grade", None, "gold", AS_OF - timedelta(days=300), "first_run")
        return [first, Change(2, "tier", "grade", "gold", "silver", instant, "time")]

    case = Case(
        tags={"rule": 'was_tier("grade", "gold", within="90d") and tier("grade") == "silver"'},
        as_of=AS_OF,
        customers=(1, 2, 3),
        streams={"orders": {c: spent((1, "3000.00")) for c in (1, 2, 3)}},
        tierings={"grade": {"tiers": {"gold": "sum(orders.amount) >= 10000", "silver": "sum(orders.amount) >= 2000", "member": "otherwise"}}},
        changes={1: fell(10), 2: fell(100), 3: fell(90)},
    )  # fmt: skip
    assert agreed(case, "rule") == [True, False, False]


def test_assets_on_average_over_the_month() -> None:
    def balances(*found: tuple[float, str]) -> list[Row]:
        return [Row(AS_OF - timedelta(days=days), f"b{days}", {"amount": Decimal(amount)}) for days, amount in found]

    rows = {
        1: balances((200, "500000.00")),  # nothing has changed for long
        2: balances((200, "1000000.00"), (15.1, "0.00")),
        3: balances((200, "1000000.00"), (15, "0.00")),  # half a month each
    }
    rule = 'time_avg(balances.amount, within="30d") >= 500000'
    declared = {"balances": {"amount": "money"}}
    assert asked(rule, {"balances": rows}, declared=declared) == [True, False, True]


def test_this_june_against_last_june() -> None:
    as_of = at("2026-06-15 04:00")
    orders = {
        1: [row("2026-06-02 04:00", "a"), row("2025-06-15 15:59:59", "b"), row("2025-06-20 04:00", "c")],
        2: [row("2025-05-31 15:59:59", "d"), row("2025-05-31 16:00", "e"), row("2025-04-01 04:00", "f")],
        3: [row("2025-01-01 04:00", "g"), row("2025-06-14 16:00", "h"), row("2024-12-31 15:00", "i")],
    }
    for word, expected in (
        ("same day last year", [1, 0, 1]),
        ("same month last year", [1, 1, 1]),
        ("same quarter last year", [1, 3, 1]),
        ("last year to date", [1, 3, 2]),
    ):
        assert asked(f'count(orders, on="{word}")', {"orders": orders}, as_of=as_of) == expected, word
    leap = {1: [row("2023-02-28 04:00", "a")], 2: [row("2023-03-01 04:00", "b")], 3: []}
    found = asked('count(orders, on="same day last year")', {"orders": leap}, as_of=at("2024-02-29 04:00"))
    assert found == [1, 0, 0]


def test_what_a_household_spends_together() -> None:
    records = {c: [ago(300, "c", city=home)] for c, home in enumerate(("h1", "h1", "h2", None), 1)}
    orders = {1: spent((1, "60.00")), 2: spent((2, "50.00")), 3: spent((1, "90.00")), 4: spent((1, "999.00"))}
    found = asked("group_sum(sum(orders.amount), by=city) > 100", {"orders": orders}, 4, records=records)
    assert found == [True, True, False, False]


def test_an_order_that_contains_a_line_with() -> None:
    def bought(days: float, number: str, *lines: tuple[str, str]) -> tuple[Row, list[Row]]:
        time = AS_OF - timedelta(days=days)
        order = Row(time, number, {"order_id": number, "amount": sum((Decimal(a) for _, a in lines), Decimal(0))})
        found = [
            Row(time, f"{number}{sku}", {"order_id": number, "sku": sku, "amount": Decimal(a)}) for sku, a in lines
        ]
        return order, found

    pairs = {
        1: [bought(10, "o1", ("x", "60.00"), ("y", "50.00"))],
        2: [bought(10, "o2", ("x", "60.00")), bought(9, "o3", ("y", "200.00"))],  # neither order has both
        3: [bought(10, "o4", ("y", "150.00"))],
    }
    orders = {c: [order for order, _ in own] for c, own in pairs.items()}
    items = {c: [line for _, lines in own for line in lines] for c, own in pairs.items()}
    items[3].append(Row(AS_OF, "stray", {"order_id": "o1", "sku": "x"}))  # a line of another customer's order
    items[3].append(Row(AS_OF, "none", {"order_id": None, "sku": "x"}))
    streams = {"orders": orders, "items": items}
    found = asked('exists(orders, where=amount > 100 and exists(items, where=sku == "x"))', streams)
    assert found == [True, False, False]
    assert asked('count(orders, where=not exists(items, where=sku == "x"))', streams) == [0, 1, 1]
    assert asked("sum(orders.amount, where=count(items) == 1)", streams) == [0, Decimal("260.00"), Decimal("150.00")]
    assert asked("max(orders.amount, where=sum(items.amount) == amount, latest=1)", streams) == [110, 200, 150]
    assert asked('count(orders, where=exists(items, within="9d"))', streams) == [0, 0, 0]  # from as_of, not the order
    mine = 'followed(orders(exists(items, where=sku == "x")), orders(exists(items, where=sku == "y")))'
    assert asked(mine, streams) == [False, True, False]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("count(orders, where=exists(events))", "kind"),  # events are no part of orders
        ("count(items, where=exists(orders))", "kind"),
        ("count(orders, where=exists(items, where=exists(refunds)))", "kind"),
        ('count(orders, where=top(items.sku) == "x")', "argument"),
        ("count(orders, where=count(items, latest=2) > 1)", "argument"),
        ('followed(orders(), items(), within="1mo")', "argument"),
        ('followed(orders(), within="1d")', "argument"),
        ("followed(orders(), events(), same=amount)", "unknown-name"),
        ('sample(1.5, salt="x")', "argument"),
        ('sample(0.5, salt="")', "argument"),
        ("group_sum(count(orders), by=avg(orders.amount))", "kind"),
        ('anniversary("2000-01-01", within="2y", calendar="lunar")', "argument"),
        ("time_avg(orders.amount, latest=2)", "argument"),
        ('entered("gone")', "unknown-name"),
        ('was_tier("gone", "x")', "unknown-name"),
    ],
)
def test_trap_1_what_has_no_meaning_is_refused(text: str, code: str) -> None:
    assert _problems(x=text) == [code]


def test_trap_1_a_tiering_that_reads_its_own_past_is_refused() -> None:
    definitions, problems = define(
        "shop",
        tags={"once": 'was_tier("grade", "gold")'},
        segments={"again": 'entered("again", within="30d") or count(orders) > 3'},
        tierings={"grade": {"ordered": True, "tiers": {"gold": "once or count(orders) > 9", "none": "otherwise"}}},
    )
    assert definitions is not None and not problems
    found = check(definitions)[1]
    assert [problem.code for problem in found] == ["cycle"]  # the segment may: its past is an input
    assert "keep:" in found[0].hint
