"""What Polars and pandas read: the columns of the standard set as Parquet, money as cents, refunds already summed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

__all__ = ["FRAMES", "export"]

_COLUMNS: Final = {
    "orders": """
        SELECT customer_id, time, pos, channel, coupon_amount > 0 AS with_coupon, (amount * 100)::BIGINT AS amount,
          coalesce(cancelled, false) AS cancelled, (coalesce(list_sum(list_transform(list_filter(
            refunds, lambda x: x.time <= TIMESTAMP '2026-01-01'), lambda x: x.amount)), 0) * 100)::BIGINT AS refunded
        FROM orders WHERE time <= TIMESTAMP '2026-01-01'
    """,
    "items": """
        SELECT customer_id, time, sku, category, quantity::BIGINT AS quantity, (amount * 100)::BIGINT AS amount
        FROM items
    """,
    "events": "SELECT customer_id, time, pos, type, sku, channel, category FROM events",
    "customers": """
        SELECT k.customer_id, arg_max(r.city, r.pos) AS city
        FROM known_customers AS k LEFT JOIN customer_records AS r USING (customer_id) GROUP BY k.customer_id
    """,
}
#: The files there are.
FRAMES: Final = tuple(_COLUMNS)


def export(engine: Path, folder: Path) -> None:
    """Write the files from the engine's tables, in their order."""
    folder.mkdir(exist_ok=True)
    connection = duckdb.connect(str(engine), read_only=True)
    for name, select in _COLUMNS.items():
        ordered = (
            f"COPY ({select}) TO '{folder / name}.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
        connection.execute(ordered)
    connection.close()
