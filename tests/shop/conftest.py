"""One small shop for all tests of the simulation, and a way to ask it questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tierwise.shop import ShopSummary, write_shop

STREAMS = ("orders", "items", "refunds", "events", "contacts", "responses", "visits", "activities")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ShopSummary]:
    """A shop of 4,000 customers and what `write_shop` said about it."""
    folder = tmp_path_factory.mktemp("simulated") / "shop"
    return folder, write_shop(folder, customers=4_000, seed=1)


@pytest.fixture(scope="session")
def shop(written: tuple[Path, ShopSummary]) -> Path:
    """The folder of the shop."""
    return written[0]


@pytest.fixture(scope="session")
def ask(shop: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Run SQL over views named after the tables; `all_orders` has the good rows of the back office too."""
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    for name in ("customers", *STREAMS):
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{shop}/{name}-*.parquet')")
    for name in ("products", "stores"):
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{shop}/{name}.parquet')")
    connection.execute(f"CREATE VIEW truth AS FROM read_parquet('{shop}/truth/customers-*.parquet')")
    connection.execute(f"CREATE VIEW backoffice AS FROM read_csv('{shop}/orders_backoffice.csv', all_varchar = true)")
    connection.execute(
        """
        CREATE TABLE all_orders AS
        FROM orders UNION ALL BY NAME
        SELECT DISTINCT order_id, customer_key, try_cast(time AS TIMESTAMP) AS time,
            try_cast(amount AS DECIMAL(18, 2)) AS amount, coupon_amount::DECIMAL(18, 2) AS coupon_amount,
            channel, store_id, cancelled::BOOLEAN AS cancelled
        FROM backoffice
        WHERE customer_key IS NOT NULL AND try_cast(time AS TIMESTAMP) IS NOT NULL
            AND try_cast(amount AS DECIMAL(18, 2)) IS NOT NULL
        """
    )
    return lambda sql: connection.execute(sql).fetchall()
