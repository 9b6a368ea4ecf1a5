"""What a page shows at once: sales of the last days and before, sizes, and how one answer is spread."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.projects import ORDERS, REFUNDS, Brand, csv
from tierwise.errors import BadRequest, UnknownName
from tierwise.project import Project

SHOP = """\
tags:
  spend: {value: sum(orders.kept_amount), unit: money}
  place: customer.city
  newest: last(orders.time)
  twice: count(orders) > 1
tierings:
  value: {tiers: {high: spend >= 100, some: otherwise}}
segments:
  recent: 'exists(orders, within="10d")'
"""
ROWS = csv(
    "id,customer,time,amount",
    *("1,a,2026-05-30,200", "2,b,2026-05-29,50", "3,b,2026-05-01,10", "4,c,2026-04-20,30", "5,a,2026-05-31,40"),
    "6,d,2020-01-01,5",
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    brand = Brand(
        tmp_path_factory.mktemp("shop"),
        {
            "sources/orders.yaml": ORDERS,
            "sources/refunds.yaml": REFUNDS,
            "sources/customers.yaml": "file: data/customers.csv\ncustomer: id\nstreams:\n  customers: {columns: {city: city}}\n",
            "definitions/shop.yaml": SHOP,
            "data/orders.csv": ROWS,
            "data/refunds.csv": csv("id,customer,time,amount", "5,a,2026-05-31 08:00,40", "1,a,2026-05-31,20"),
            "data/customers.csv": csv("id,city", "a,sh", "b,sh", "c,bj"),
        },
    )
    brand.run()
    with brand.open() as opened:
        yield opened


def test_sales_are_of_what_was_kept(project: Project) -> None:
    found = project.browsing.overview(30)
    now, before = found["sales"]["now"], found["sales"]["before"]
    assert (now["orders"], now["customers"], now["amount"]) == (2, 2, Decimal("230.00"))
    assert (before["orders"], before["customers"], before["amount"]) == (2, 2, Decimal("40.00"))
    assert now["since"] == before["until"]
    steps = found["sales"]["steps"]
    assert (len(steps), sum(step["orders"] for step in steps)) == (30, 2)
    assert sum(step["amount"] for step in steps) == now["amount"]
    assert (found["customers"], found["state"]) == (4, "fresh")
    (value,) = found["tierings"]
    assert [(row["tier"], row["customers"]) for row in value["tiers"]] == [("high", 1), ("some", 3)]


def test_longer_times_are_shown_in_weeks(project: Project) -> None:
    steps = project.browsing.overview(90)["sales"]["steps"]
    assert len(steps) == 13
    assert sum(step["orders"] for step in steps) == 4
    assert all(one["until"] == other["since"] for one, other in pairwise(steps))
    for days in (0, 367):
        with pytest.raises(BadRequest):
            project.browsing.overview(days)


def test_how_values_are_spread(project: Project) -> None:
    city = project.browsing.spread("place")
    assert (city["known"], city["values"]) == (3, [{"value": "sh", "customers": 2}, {"value": "bj", "customers": 1}])
    assert project.browsing.spread("twice")["values"][0] == {"value": False, "customers": 2}
    tiers = project.browsing.spread("value")["values"]
    assert {row["value"]: row["customers"] for row in tiers} == {"high": 1, "some": 3}
    with pytest.raises(UnknownName, match="did you mean `spend`"):
        project.browsing.spread("spned")


@pytest.mark.parametrize("name", ["spend", "newest"])
def test_a_histogram_has_everybody_who_is_known(project: Project, name: str) -> None:
    found: dict[str, Any] = project.browsing.spread(name)
    assert sum(one["customers"] for one in found["bins"]) == found["known"] == 4
    values = [one["value"] for one in found["quantiles"]]
    assert values == sorted(values)
    assert found["bins"][0]["from"] == values[0]
    assert found["bins"][-1]["to"] is None
