"""What a brand expects of its definitions: said when it is not so, refused when it cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ORDERS, TIERS, Brand
from tierwise.errors import BadRequest, DefinitionsInvalid, TierwiseError, UnknownName
from tierwise.testing.brands import check_definitions, check_truth

ROWS = {"orders": {"anna": [{"time": "2026-05-30", "order_id": "1", "amount": 120}], "bo": []}}


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path, {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": TIERS})


def test_what_is_not_as_expected_is_said(brand: Brand) -> None:
    expected: dict[str, dict[str, Any]] = {
        "anna": {"value": "some", "spend": 120, "recent": True},
        "bo": {"value": "none"},
    }
    assert check_truth(brand.folder, "2026-06-01", ROWS, expected) == [
        "anna: value is 'high', not 'some'",
        "bo: value is 'not known', not 'none'",
    ]


@pytest.mark.parametrize(
    ("rows", "expected", "error", "said"),
    [
        ({"order": {"anna": []}}, {}, UnknownName, "no source brings `order`"),
        ({"events": {"anna": [{"type": "view"}]}}, {}, UnknownName, "no source brings `events`"),
        ({"orders": {"anna": [{"amuont": 3}]}}, {}, UnknownName, "has no column `amuont`"),
        ({"orders": {"anna": [{"amount": "much"}]}}, {}, BadRequest, "orders.amount: 'much' is no money"),
        ({"orders": {"anna": [{"time": "soon"}]}}, {}, BadRequest, "is not an instant"),
        (ROWS, {"anna": {"valeu": "high"}}, UnknownName, "nothing of the name `valeu` is defined"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    brand: Brand, rows: Mapping[str, Any], expected: Mapping[str, Any], error: type[TierwiseError], said: str
) -> None:
    with pytest.raises(error, match=said):
        check_truth(brand.folder, "2026-06-01", rows, expected)


def test_definitions_with_problems_are_refused(brand: Brand) -> None:
    brand.write({"definitions/tiers.yaml": "tags: {n: count(ordres)}\n"})
    with pytest.raises(DefinitionsInvalid):
        check_definitions(brand.folder)


def test_orders_made_of_items_and_the_columns_of_products(brand: Brand) -> None:
    items = (
        "file: data/items.csv\ncustomer: c\nstreams:\n  items: {time: t, columns: {order_id: o, sku: s, amount: a}}\n"
    )
    brand.write(
        {
            "sources/orders.yaml": f"{items}  orders: {{from: items, by: order_id}}\n",
            "sources/products.yaml": "file: data/p.csv\nstreams:\n  products: {columns: {sku: sku, category: category}}\n",
            "definitions/more.yaml": "tags: {favourite: 'top(items.category, by=sum(items.amount))', n: count(orders)}\n",
        }
    )
    lines = [{"time": "2026-05-30", "order_id": "1", "sku": sku, "amount": 60} for sku in ("a", "b", "b")]
    found = check_truth(
        brand.folder,
        "2026-06-01",
        {"items": {"anna": lines, "bo": lines[:1]}},
        {"anna": {"value": "high", "n": 1, "favourite": "tea"}, "bo": {"value": "some", "favourite": "pot"}},
        {"products": {"a": {"category": "pot"}, "b": {"category": "tea"}}},
    )
    assert found == []
    assert check_definitions(brand.folder, worlds=1, seed=3) == []
