"""The days of purchases: only orders kept at as_of, by the calendar where the brand is."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from tests.projects import ORDERS, REFUNDS, Brand, csv
from tierwise.definitions.language.times import Zone
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.owner.process import ENGINE_FILE
from tierwise.engine.purchases import purchase_days

HEAD = "id,customer,time,amount"
ROWS = [
    "1,a,2026-05-01 23:00,10",
    "2,a,2026-05-02 01:00,10",  # another day in Shanghai, the same in UTC
    "3,a,2026-05-02 02:00,10",
    "4,b,2026-05-03 01:00,10",
    "5,b,2026-05-20 01:00,10",
]


@pytest.fixture(scope="module")
def engine_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine of a brand where order 4 was given back on 10 May."""
    brand = Brand(
        tmp_path_factory.mktemp("kept"),
        {
            "sources/orders.yaml": ORDERS,
            "sources/refunds.yaml": REFUNDS,
            "definitions/tags.yaml": "tags: {bought: 'days(orders, where=kept)'}\n",
            "data/orders.csv": csv(HEAD, *ROWS),
            "data/refunds.csv": csv(HEAD, "4,b,2026-05-10 01:00,10"),
        },
    )
    brand.run()
    assert brand.values("customers", "bought") == [(2,), (1,)]
    return brand.folder / "engine" / ENGINE_FILE


@pytest.mark.parametrize(
    ("zone", "as_of", "expected"),
    [
        ("Asia/Shanghai", datetime(2026, 6, 1), [(1, 1), (1, 2), (2, 20)]),
        ("Asia/Shanghai", datetime(2026, 5, 5), [(1, 1), (1, 2), (2, 3)]),  # not given back yet, and not yet bought
        ("UTC", datetime(2026, 6, 1), [(1, 1), (2, 19)]),
    ],
)
def test_days_of_kept_orders(engine_file: Path, zone: str, as_of: datetime, expected: list[tuple[int, int]]) -> None:
    with DuckEngine(engine_file) as engine:
        found = purchase_days(engine, Zone(zone), as_of).to_pylist()
    assert [(row["customer_id"], row["on"]) for row in found] == [
        (customer, date(2026, 5, day)) for customer, day in expected
    ]
