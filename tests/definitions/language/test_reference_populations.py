"""The reference evaluator against a small truth worked out by hand: published distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import sqrt
from random import Random
from typing import Any

import pytest

from tierwise.definitions.language.checker import Scope, check_expression
from tierwise.definitions.language.kinds import BOOLEAN, DATE, FLOAT, INTEGER, MONEY, TEXT, Kind
from tierwise.definitions.language.parser import parse
from tierwise.definitions.language.reference import Evaluation, Published, Row, World, evaluate, publish
from tierwise.definitions.language.typed import Population, Value

AS_OF = datetime.fromisoformat("2026-03-01")
KINDS: Mapping[str, Kind] = {"x": INTEGER, "m": MONEY, "f": FLOAT, "d": DATE, "city": TEXT, "member": BOOLEAN}


def world_of(**columns: Sequence[Value]) -> World:
    """Customers 0, 1, 2 … with these attributes."""
    size = len(next(iter(columns.values())))
    rows = [Row(AS_OF, "", {name: values[i] for name, values in columns.items()}) for i in range(size)]
    return World(records={i: [row] for i, row in enumerate(rows)}, customers=range(size))


def node(text: str) -> Population:
    found = check_expression(parse(text), Scope(attributes=KINDS))
    assert isinstance(found.expr, Population), found.problems
    return found.expr


def all_of(text: str, world: World) -> list[Value]:
    evaluation = Evaluation(world, AS_OF)
    return [evaluation.value(node(text), customer) for customer in world.customers]


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        # cut points of 10, 20, 20, 30, 40: 10, 20, 20, 30 at 1/5 … 4/5
        ("quintile(x)", [1, 2, 2, 4, 5, None]),
        ('quintile(x, best="low")', [5, 4, 4, 2, 1, None]),
        ("ntile(x, 2)", [1, 1, 1, 2, 2, None]),
        ("percent_rank(x)", [0.0, 0.2, 0.2, 0.6, 0.8, None]),
        ('percent_rank(x, best="low")', [0.8, 0.4, 0.4, 0.2, 0.0, None]),
        ("rank(x)", [5, 3, 3, 2, 1, None]),
        ('rank(x, best="low")', [1, 2, 2, 4, 5, None]),
        ("in_top(x, n=3)", [False, True, True, True, True, False]),
        ("in_top(x, n=2)", [False, False, False, True, True, False]),
        ('in_top(x, n=1, best="low")', [True, False, False, False, False, False]),
        # rank 2 is in while 100 < 5 p
        ("in_top(x, percent=20)", [False, False, False, False, True, False]),
        ("in_top(x, percent=20.5)", [False, False, False, True, True, False]),
        ("in_top(x, percent=40.000001)", [False, True, True, True, True, False]),
        ("in_top(x, percent=100)", [True, True, True, True, True, False]),
        ("above_mean(x)", [False, False, False, True, True, False]),
        ('above_mean(x, best="low")', [True, True, True, False, False, False]),
    ],
)
def test_comparisons(text: str, truth: list[Value]) -> None:
    assert all_of(text, world_of(x=[10, 20, 20, 30, 40, None])) == truth


def test_zscore() -> None:
    world = world_of(x=[10, 20, 20, 30, 40, None])
    deviation = sqrt(104)
    truth = [-14 / deviation, -4 / deviation, -4 / deviation, 6 / deviation, 16 / deviation]
    assert all_of("zscore(x)", world) == [*map(pytest.approx, truth), None]
    assert all_of('zscore(x, best="low")', world) == [*(pytest.approx(-z) for z in truth), None]
    assert all_of("zscore(x)", world_of(x=[3, 3])) == [None, None]
    assert all_of("zscore(f)", world_of(f=[0.1, 0.1, 0.1])) == [None, None, None]
    assert all_of("zscore(x)", world_of(x=[None, 3])) == [None, None]
    assert all_of("zscore(f)", world_of(f=[1e200, -1e200])) == [None, None]  # the variance is beyond binary64


def test_alone_and_among_equals() -> None:
    assert all_of("quintile(x)", world_of(x=[3])) == [1]
    assert all_of("percent_rank(x)", world_of(x=[3, 3])) == [0.0, 0.0]
    assert all_of("above_mean(x)", world_of(x=[3, 3])) == [False, False]
    assert all_of('above_mean(x, best="low")', world_of(x=[3, 3])) == [False, False]
    assert all_of("rank(x)", world_of(x=[None])) == [None]
    assert all_of("in_top(x, n=1)", world_of(x=[None])) == [False]


def test_money_times_and_floats() -> None:
    cents = [Decimal("0.01"), Decimal("9999999999999999.98"), Decimal("9999999999999999.99")]
    assert all_of("rank(m)", world_of(m=cents)) == [3, 2, 1]  # exact kinds are compared exactly
    days = [date(2026, 1, 1) + timedelta(days=i) for i in (3, 1, 2)]
    assert all_of("rank(d)", world_of(d=days)) == [1, 3, 2]
    assert all_of("rank(f)", world_of(f=[0.3, 0.1 + 0.2, 0.300001])) == [2, 2, 1]  # to nine digits
    assert all_of("above_mean(f)", world_of(f=[0.1, 0.1, 0.1])) == [False, False, False]


def test_groups_and_among() -> None:
    world = world_of(
        x=[1, 2, 3, 4, 5, None],
        city=["York", "York", "Bath", "Bath", None, "York"],
        member=[True, False, True, True, True, True],
    )
    assert all_of("rank(x, by=city)", world) == [2, 1, 2, 1, None, None]
    assert all_of("in_top(x, n=1, by=city)", world) == [False, True, False, True, False, False]
    assert all_of("rank(x, among=member)", world) == [4, None, 3, 2, 1, None]
    assert all_of("rank(x, by=city, among=member)", world) == [1, None, 2, 1, None, None]
    assert all_of("above_mean(x, among=member)", world) == [False, False, False, True, True, False]  # mean 3.25
    assert publish(node("rank(x, by=city)"), world, AS_OF) == Published({"York": [1, 2], "Bath": [3, 4]})


def test_a_distribution_of_another_day() -> None:
    then = world_of(x=[1, 2, 3, 4], city=["York", "York", "York", "York"])
    now = world_of(x=[9, 2, 1, 4], city=["York", "Bath", "York", None])
    text = node("rank(x, by=city)")
    believed = {text: publish(text, then, AS_OF)}
    assert [evaluate(text, now, customer, AS_OF, believed) for customer in now.customers] == [1, None, 4, None]
    top = node("in_top(x, n=1, by=city)")
    assert evaluate(top, now, 1, AS_OF, {top: publish(top, then, AS_OF)}) is False
    # also below an operator, and for the node that says the same elsewhere in the text
    found = check_expression(parse("not (rank(x, by=city) == 1)"), Scope(attributes=KINDS)).expr
    assert found is not None
    assert evaluate(found, now, 0, AS_OF, believed) is False


def test_cut_points_are_what_the_page_says() -> None:
    """The page's words, counted out, on random groups with many ties."""
    draw = Random(1)
    for _ in range(30):
        xs = [draw.randrange(8) for _ in range(draw.randrange(1, 30))]
        n = draw.randrange(2, 12)

        def cuts(n: int, upto: int, low: bool, xs: list[int] = xs) -> list[Any]:
            if low:
                return [max(v for v in xs if sum(o >= v for o in xs) * n >= k * len(xs)) for k in range(1, upto)]
            return [min(v for v in xs if sum(o <= v for o in xs) * n >= k * len(xs)) for k in range(1, upto)]

        world = world_of(x=xs)
        high = cuts(n, n, False)
        tiles = [1 + sum(cut < x for cut in high) for x in xs]
        assert all_of(f"ntile(x, {n})", world) == tiles
        assert all_of(f'ntile(x, {n}, best="low")', world) == [n + 1 - tile for tile in tiles]
        table = cuts(1000, 1001, True)
        assert all_of('percent_rank(x, best="low")', world) == [sum(cut > x for cut in table) / 1000 for x in xs]
