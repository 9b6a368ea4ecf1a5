"""The rules people write, each with a customer who meets it, one who does not and one at the boundary; and peers' traps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from tests.conformance.worlds import Case, agreed, at, row
from tierwise.definitions.check import check
from tierwise.definitions.language.functions import LATER
from tierwise.definitions.language.reference import Row
from tierwise.definitions.load import define

#: 1 July 2026, 00:00 in Shanghai.
AS_OF = at("2026-06-30 16:00")
Rows = Mapping[int, Sequence[Row]]


def ago(days: float, key: str = "", **values: Any) -> Row:
    """A row so many days before the answer."""
    time = AS_OF - timedelta(days=days)
    return Row(time, key or f"{days:09.4f}", {"order_id": key or f"o{days}", **values})


def spent(*pairs: tuple[float, str]) -> list[Row]:
    """Orders: (days ago, amount)."""
    return [ago(days, amount=Decimal(amount)) for days, amount in pairs]


def asked(rule: str, streams: Mapping[str, Rows] | None = None, customers: int = 3, **more: Any) -> list[Any]:
    """What the rule says of customers 1, 2, 3 …, agreed on by all evaluations."""
    tags = {**more.pop("tags", {}), "rule": rule}
    as_of = more.pop("as_of", AS_OF)
    return agreed(
        Case(tags=tags, as_of=as_of, customers=range(1, customers + 1), streams=streams or {}, **more), "rule"
    )


# -- rules: [meets it, does not, at the boundary] ----------------------------------------------------------------------


def test_spending_halved() -> None:
    orders = {
        1: spent((100, "100.00"), (10, "49.99")),
        2: spent((100, "100.00"), (10, "80.00")),
        3: spent((100, "100.00"), (10, "50.00")),  # exactly half
    }
    rule = 'sum(orders.kept_amount, within="90d") < 0.5 * sum(orders.kept_amount, ago="90d..180d")'
    assert asked(rule, {"orders": orders}) == [True, False, False]


def test_spending_halved_by_a_refund() -> None:
    orders = {1: spent((100, "100.00"), (10, "60.00")), 2: spent((100, "100.00"), (10, "60.00")), 3: []}
    orders[2] = [Row(o.time, o.row_key, {**o.values, "order_id": f"two{o.row_key}"}) for o in orders[2]]
    refunds = {1: [ago(5, "r", amount=Decimal("20.00"))], 2: [], 3: []}
    refunds[1] = [Row(refunds[1][0].time, "r", {"order_id": "o10", "amount": Decimal("20.00")})]
    rule = 'sum(orders.kept_amount, within="90d") < 0.5 * sum(orders.kept_amount, ago="90d..180d")'
    assert asked(rule, {"orders": orders, "refunds": refunds}) == [True, False, False]


def test_bought_again_within_30_days_of_the_first_order() -> None:
    orders = {
        1: spent((100, "10.00"), (80, "10.00")),
        2: spent((100, "10.00"), (60, "10.00")),
        3: spent((100, "10.00"), (70, "10.00")),  # 30 days to the microsecond: until an instant is included
    }
    rule = 'exists(orders, since=first(orders.time), until=first(orders.time) + "30d", where=kept)'
    assert asked(rule, {"orders": orders}) == [True, False, True]


def test_most_orders_with_a_coupon() -> None:
    def bought(*coupons: str | None) -> list[Row]:
        amounts = [None if coupon is None else Decimal(coupon) for coupon in coupons]
        return [ago(index + 1, amount=Decimal(9), coupon_amount=amount) for index, amount in enumerate(amounts)]

    orders = {1: bought("5.00", "1.00"), 2: bought("5.00", None), 3: bought("1.00", "1.00", "1.00", "0.00", None)}
    assert asked('share(orders, of=coupon_amount > 0, within="180d") >= 0.6', {"orders": orders}) == [True, False, True]


def test_a_coupon_expires_soon() -> None:
    def coupon(state: str, valid_until: str) -> list[Row]:
        return [ago(30, state=state, valid_until=date.fromisoformat(valid_until))]

    coupons = {
        1: coupon("granted", "2026-07-02"),
        2: coupon("used", "2026-07-02"),
        3: coupon("granted", "2026-07-04"),
        4: coupon("granted", "2026-07-05"),
    }
    rule = 'exists(coupons, where=state == "granted" and 0 <= days_until(valid_until) <= 3)'
    declared = {"coupons": {"state": "text", "valid_until": "date", "order_id": "text"}}
    assert asked(rule, {"coupons": coupons}, 4, declared=declared) == [True, False, True, False]


def test_an_order_three_times_ones_own_average() -> None:
    orders = {
        1: spent(*((day, "10.00") for day in range(20, 29)), (5, "100.00")),  # the average is 19
        2: spent(*((day, "10.00") for day in range(20, 29)), (8, "100.00")),  # not within the week
        3: spent(
            (30, "10.00"), (29, "10.00"), (5, "10.00"), (4, "10.00"), (3, "160.00")
        ),  # the average is 40: 160 > 120
        4: spent((30, "50.00"), (29, "50.00"), (28, "50.00"), (3, "450.00")),  # 150: exactly 3 times, and not more
    }
    rule = 'exists(orders, where=amount > 3 * customer.avg_ticket, within="7d")'
    assert asked(rule, {"orders": orders}, 4, tags={"avg_ticket": "avg(orders.amount)"}) == [True, False, True, False]


def test_the_best_fifth_of_a_city() -> None:
    spend = {customer: spent((10, f"{customer}.00")) for customer in range(1, 6)} | {6: spent((10, "1000.00"))}
    records = {c: [ago(300, "c", city="Wuhan" if c < 6 else None)] for c in range(1, 7)}
    found = asked(
        "percent_rank(spend_365d, by=city) >= 0.8", {"orders": spend}, 6, records=records, tags={"spend_365d": 'sum(orders.amount, within="365d")'}
    )  # fmt: skip
    assert found == [False, False, False, False, True, False]  # four fifths are below; without a city there is no place


def test_past_the_usual_interval() -> None:
    orders = {
        1: spent((33, "1.00"), (23, "1.00"), (13, "1.00")),
        2: spent((31, "1.00"), (21, "1.00"), (11, "1.00")),
        3: spent((32, "1.00"), (22, "1.00"), (12, "1.00")),  # 12 days is 1.2 times 10, not more
    }
    rule = "days_since(last_order_at) > 1.2 * avg_gap(orders)"
    assert asked(rule, {"orders": orders}, tags={"last_order_at": "last(orders.time)"}) == [True, False, False]


def test_birthday_in_the_next_week() -> None:
    births = ("1990-07-03", "1990-07-09", "1990-07-08", "2000-07-01", "1990-06-30")
    records = {c: [ago(300, "c", birth_date=date.fromisoformat(born))] for c, born in enumerate(births, 1)}
    found = asked('anniversary(birth_date, within="7d")', None, 5, records=records)
    assert found == [True, False, True, True, False]


def test_orders_at_night() -> None:
    def at_hours(*hours: str) -> list[Row]:
        return [
            Row(datetime.fromisoformat(f"2026-06-{10 + i} {h}") - timedelta(hours=8), f"k{i}", {"order_id": f"k{i}"})
            for i, h in enumerate(hours)
        ]

    orders = {
        1: at_hours("22:00", "23:59:59", "12:00"),
        2: at_hours("21:59:59", "00:00", "23:00"),
        3: at_hours("22:00", "12:00"),
    }
    assert asked('share(orders, of=hour(time) >= 22, within="90d") > 0.5', {"orders": orders}) == [True, False, False]


def test_the_last_three_messages_were_not_opened() -> None:
    def messages(*clicked: bool | None, channel: str = "sms") -> list[Row]:
        return [ago(30 - i, f"m{i}", clicked=was, channel=channel) for i, was in enumerate(clicked)]

    sent = {
        1: messages(True, False, None, False),
        2: messages(False, True, False, False),
        3: messages(False),  # fewer than three count too
        4: messages(False, channel="wechat"),  # of none there is no share
    }
    rule = 'share(messages, of=clicked, where=channel == "sms", latest=3) == 0'
    declared = {"messages": {"clicked": "boolean", "channel": "text", "order_id": "text"}}
    assert asked(rule, {"messages": sent}, 4, declared=declared) == [True, False, True, False]


def test_the_baby_is_one_to_one_and_a_half() -> None:
    births = ("2025-06-15", "2025-07-02", "2025-07-01", "2025-01-01")
    records = {c: [ago(300, "c", baby_birthday=date.fromisoformat(born))] for c, born in enumerate(births, 1)}
    assert asked("12 <= months_since(baby_birthday) < 18", None, 4, records=records) == [True, False, True, False]


RFM = {
    "orders_365d": 'count(orders, within="365d")',
    "last_order_at": "last(orders.time)",
    "r": 'quintile(days_since(last_order_at), best="low", among=orders_365d > 0)',
    "f": "quintile(orders_365d, among=orders_365d > 0)",
    "m": 'quintile(sum(orders.amount, within="365d"), among=orders_365d > 0)',
}


def test_rfm() -> None:
    # Customer k ordered k times, the last time 60 - 10k days ago; 6 long ago: no place at all.
    orders = {c: spent(*((60 - 10 * c + i, "10.00") for i in range(c))) for c in range(1, 6)} | {
        6: spent((500, "9.00"))
    }
    found = asked("r >= 4 and f >= 4 and m >= 4", {"orders": orders}, 6, tags=RFM)
    assert found == [False, False, False, True, True, False]
    assert asked("r", {"orders": orders}, 6, tags=RFM) == [1, 2, 3, 4, 5, None]


# -- what others got wrong ---------------------------------------------------------------------------------------------


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
