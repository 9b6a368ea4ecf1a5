"""The rules people write, each with a customer who meets it, one who does not and one at the boundary; and peers' traps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tierwise.definitions.language.reference import Row
from tierwise.testing.worlds import Case, agreed, at

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
