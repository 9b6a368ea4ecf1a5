"""Tierings that remember: hand-computed truths, and the engine against the reference over generated lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.test_generated import EXAMPLES
from tierwise.definitions.language.reference import Row
from tierwise.definitions.language.typed import Value
from tierwise.testing.worlds import Case, agreed, at, differences, row

RULES = {
    "gold": 'sum(orders.kept_amount, within="100d") >= 1000',
    "silver": 'sum(orders.kept_amount, within="100d") >= 200',
    "member": "otherwise",
}
KEEP = {"term": "100d", "downgrade": "one_step", "grace": "20d", "on_refund": "reassess"}


def order(time: str, amount: int, key: str = "") -> Row:
    return row(time, key, order_id=key or time, amount=Decimal(amount))


def refund(time: str, of: str, amount: int) -> Row:
    return row(time, order_id=of, amount=Decimal(amount))


def programme(
    orders: Sequence[Row],
    as_of: str,
    refunds: Sequence[Row] = (),
    keep: Mapping[str, Any] = KEEP,
    tiers: Mapping[str, Any] = RULES,
    zone: str = "Asia/Shanghai",
) -> Case:
    return Case(
        tags={},
        as_of=at(as_of),
        streams={"orders": {1: orders}, "refunds": {1: refunds}},
        tierings={"grade": {"tiers": tiers, "keep": keep} if keep else {"tiers": tiers}},
        zone=zone,
    )


GOLD_THEN_NOTHING = [order("2026-01-01", 1000)]  # in gold until 11 April, in grace until 1 May


@pytest.mark.parametrize(
    ("as_of", "tier"),
    [
        ("2025-12-31", "member"),
        ("2026-01-01", "gold"),
        ("2026-04-10 23:59:59", "gold"),  # the money is out of the window, the term is not over
        ("2026-04-11", "gold"),  # in grace
        ("2026-04-30 23:59:59.999999", "gold"),
        ("2026-05-01", "silver"),  # one step, although not even silver is earned
        ("2026-08-08 23:59:59.999999", "silver"),
        ("2026-08-09", "silver"),  # its term is over: in grace
        ("2026-08-29", "member"),
        ("2030-01-01", "member"),
    ],
)
def test_a_tier_is_kept_for_its_term_then_its_grace_then_one_step_down(as_of: str, tier: str) -> None:
    assert agreed(programme(GOLD_THEN_NOTHING, as_of), "grade") == [tier]


def test_without_grace_and_down_to_what_is_earned() -> None:
    keep = {"term": "100d", "downgrade": "to_qualified"}
    assert agreed(programme(GOLD_THEN_NOTHING, "2026-04-10 23:00", keep=keep), "grade") == ["gold"]
    assert agreed(programme(GOLD_THEN_NOTHING, "2026-04-11", keep=keep), "grade") == ["member"]


def test_an_upgrade_is_at_once_and_has_a_term_of_its_own() -> None:
    orders = [order("2026-01-01", 300), order("2026-03-01", 900)]
    assert agreed(programme(orders, "2026-02-28"), "grade") == ["silver"]
    assert agreed(programme(orders, "2026-03-01"), "grade") == ["gold"]
    assert agreed(programme(orders, "2026-06-28 23:00"), "grade") == ["gold"], "100 days, then 20 of grace"
    assert agreed(programme(orders, "2026-06-29"), "grade") == ["silver"]


def test_a_tier_earned_again_at_the_end_of_its_term_has_a_new_term() -> None:
    orders = [order("2026-01-01", 1000), order("2026-03-30", 1000)]
    # at the end of the term, 11 April, the second order counts: a term until 20 July, grace until 9 August
    assert agreed(programme(orders, "2026-08-08 23:00"), "grade") == ["gold"]
    assert agreed(programme(orders, "2026-08-09"), "grade") == ["silver"]


def test_a_tier_earned_again_in_grace_has_a_new_term_from_then() -> None:
    orders = [order("2026-01-01", 1000), order("2026-04-20", 1000)]
    # again on 20 April: a term until 29 July, grace until 18 August
    assert agreed(programme(orders, "2026-08-17 23:00"), "grade") == ["gold"]
    assert agreed(programme(orders, "2026-08-18"), "grade") == ["silver"]


def test_a_refund_takes_away_what_was_earned_with_it() -> None:
    orders = [order("2026-01-01", 700, "a"), order("2026-01-05", 400, "b")]
    back = [refund("2026-02-01", "b", 400)]
    assert agreed(programme(orders, "2026-01-31", back), "grade") == ["gold"]
    assert agreed(programme(orders, "2026-02-01", back), "grade") == ["silver"]
    ignoring = {**KEEP, "on_refund": "ignore"}
    assert agreed(programme(orders, "2026-02-01", back, ignoring), "grade") == ["gold"]


def test_a_refund_long_after_is_judged_as_if_the_money_had_never_come() -> None:
    orders = [order("2026-01-01", 1000, "a")]
    whole, part = [refund("2026-04-10 20:00", "a", 1000)], [refund("2026-04-10 20:00", "a", 1)]
    # at the refund's time the money is out of the window anyway; what counts is the judgement of 1 January
    assert agreed(programme(orders, "2026-04-10 20:00", whole), "grade") == ["member"]
    assert agreed(programme(orders, "2026-04-10 20:00", part), "grade") == ["silver"]


def test_a_refund_that_changes_no_judgement_takes_nothing_away() -> None:
    orders = [order("2026-01-01", 1100, "a"), order("2026-02-01", 50, "b")]
    back = [refund("2026-04-10 20:00", "b", 50)]
    assert agreed(programme(orders, "2026-04-10 20:00", back), "grade") == ["gold"]


def test_a_refund_is_made_good_by_what_came_since() -> None:
    orders = [order("2026-01-01", 1000, "a"), order("2026-02-01", 1000, "b")]
    back = [refund("2026-02-10", "a", 1000)]
    assert agreed(programme(orders, "2026-02-10", back), "grade") == ["gold"]
    again = [*back, refund("2026-02-20", "b", 1000)]
    assert agreed(programme(orders, "2026-02-20", again), "grade") == ["member"]


def test_the_calendar_of_a_term() -> None:
    keep = {"term": "1mo", "downgrade": "to_qualified"}
    tiers = {"gold": 'exists(orders, within="10d")', "member": "otherwise"}
    life = [order("2026-01-31 04:00", 1)]  # noon in Shanghai: until noon of 28 February
    assert agreed(programme(life, "2026-02-28 03:59", keep=keep, tiers=tiers), "grade") == ["gold"]
    assert agreed(programme(life, "2026-02-28 04:00", keep=keep, tiers=tiers), "grade") == ["member"]


def test_stay_in_a_programme_is_what_the_tier_is_kept_by() -> None:
    tiers = {**RULES, "gold": {"rule": RULES["gold"], "stay": 'sum(orders.kept_amount, within="100d") >= 500'}}
    orders = [order("2026-01-01", 1000), order("2026-03-30", 500)]
    assert agreed(programme(orders, "2026-07-01", tiers=tiers), "grade") == ["gold"]
    assert agreed(programme(orders, "2026-07-01"), "grade") == ["silver"]


STAYING = {
    "busy": {"rule": 'count(orders, within="30d") >= 3', "stay": 'count(orders, within="30d") >= 1'},
    "quiet": "exists(orders)",
    "none": "otherwise",
}


@pytest.mark.parametrize(
    ("as_of", "tier"),
    [
        ("2026-01-02", "quiet"),
        ("2026-01-03", "busy"),
        ("2026-02-01 12:00", "busy"),  # one order in thirty days is left
        ("2026-02-02", "quiet"),
        ("2026-02-20", "quiet"),  # an order after the tier was lost by time alone does not bring it back
    ],
)
def test_hysteresis(as_of: str, tier: str) -> None:
    orders = [order(f"2026-{day}", 1) for day in ("01-01", "01-02", "01-03", "02-20")]
    assert agreed(programme(orders, as_of, keep={}, tiers=STAYING), "grade") == [tier]


def test_without_rows_the_rules_decide_at_as_of() -> None:
    case = Case(
        tags={}, as_of=at("2026-05-01"), tierings={"grade": {"tiers": RULES, "keep": KEEP}}, streams={"orders": {}}
    )
    assert agreed(case, "grade") == ["member"]


def test_what_reads_a_programme_reads_what_it_remembers() -> None:
    case = programme(GOLD_THEN_NOTHING, "2026-04-20")
    tags = {"best": 'at_least("grade", "gold")', "name": 'case(tier("grade") == "gold", "g", "-")'}
    reading = Case(tags=tags, as_of=case.as_of, streams=case.streams, tierings=case.tierings)
    assert (agreed(reading, "best"), agreed(reading, "name")) == ([True], ["g"])


def test_a_programme_that_reads_a_programme() -> None:
    case = programme(GOLD_THEN_NOTHING, "2026-04-20")
    above = {"tiers": {"yes": 'at_least("grade", "silver")', "no": "otherwise"}, "keep": {"term": "50d"}}
    both = Case(tags={}, as_of=case.as_of, streams=case.streams, tierings={**case.tierings, "club": above})
    assert agreed(both, "club") == ["yes"]


# -- generated lives ---------------------------------------------------------------------------------------------------

START = datetime(2026, 1, 1)
days = st.integers(0, 400)


@st.composite
def lives(draw: st.DrawFn) -> Case:
    """Some customers with orders and refunds, a tiering that remembers, and instants to ask about."""
    orders: dict[int, list[Row]] = {}
    refunds: dict[int, list[Row]] = {}
    for customer in (1, 2, 3):
        for n in range(draw(st.integers(0, 5))):
            time = START + timedelta(days=draw(days), hours=draw(st.sampled_from((0, 6))))
            key, amount = f"{customer}-{n}", draw(st.sampled_from((50, 300, 600, 1000)))
            orders.setdefault(customer, []).append(Row(time, key, {"order_id": key, "amount": Decimal(amount)}))
            if draw(st.booleans()):
                back = time + timedelta(days=draw(st.integers(0, 150)))
                paid = draw(st.sampled_from((1, 300, amount)))
                values: dict[str, Value] = {"order_id": key, "amount": Decimal(paid)}
                refunds.setdefault(draw(st.sampled_from((1, 2, 3))), []).append(Row(back, f"r{key}", values))
    keep = {
        "term": draw(st.sampled_from(("30d", "100d", "3mo", "1y"))),
        "downgrade": draw(st.sampled_from(("one_step", "to_qualified"))),
        "grace": draw(st.sampled_from((None, "10d", "1mo"))),
        "on_refund": draw(st.sampled_from(("reassess", "ignore"))),
    }
    window = draw(st.sampled_from(("60d", "200d", "6mo")))
    total = f'sum(orders.kept_amount, within="{window}")'
    gold: Any = f"{total} >= 1000"
    if draw(st.booleans()):
        gold = {"rule": gold, "stay": f"{total} >= 500"}
    silver: Any = "avg(orders.kept_amount) >= 300"
    if draw(st.booleans()):
        silver = {"rule": silver, "stay": "days_since(last(orders.time)) <= 40"}
    tiers = {"gold": gold, "silver": silver, "member": "otherwise"}
    remembers = isinstance(gold, dict) or isinstance(silver, dict)
    tiering = {"tiers": tiers} if remembers and draw(st.booleans()) else {"tiers": tiers, "keep": keep}
    asked = sorted(START + timedelta(days=day) for day in draw(st.lists(days, min_size=3, max_size=6)))
    return Case(
        tags={},
        as_of=START + timedelta(days=450),
        customers=(1, 2, 3),
        streams={"orders": orders, "refunds": refunds},
        tierings={"grade": tiering},
        zone=draw(st.sampled_from(("Asia/Shanghai", "America/New_York"))),
        moments=asked,
    )


@settings(max_examples=EXAMPLES, deadline=None)
@given(lives())
def test_the_engine_answers_as_the_reference_at_every_instant(case: Case) -> None:
    found = differences(case)
    assert not found, "\n".join(found)
