"""Whether two contenders gave the same answers, cell by cell."""

from __future__ import annotations

from pathlib import Path

import duckdb

__all__ = ["differing_cells"]


def differing_cells(one: Path, other: Path) -> dict[str, int]:
    """Return, by column, in how many rows two files of answers differ; floats within 1e-9 of each other are equal.

    Both must hold the same customers; the columns compared are those of `one`, all of which `other` must have.
    """
    connection = duckdb.connect()
    columns = {
        str(name): str(kind)
        for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM '{one}'").fetchall()
        if name not in ("customer_id", "customer_key", "as_of")
    }
    sizes = connection.execute(f"SELECT (SELECT count(*) FROM '{one}'), (SELECT count(*) FROM '{other}')").fetchall()
    assert sizes[0][0] == sizes[0][1], f"{one.stem} has {sizes[0][0]} customers, {other.stem} {sizes[0][1]}"
    counts = ", ".join(f'count(*) FILTER ({_differs(name, kind)}) AS "{name}"' for name, kind in columns.items())
    joined = f"FROM '{one}' AS a FULL JOIN '{other}' AS b ON a.customer_id = b.customer_id"
    (found,) = connection.execute(f"SELECT {counts} {joined}").fetchall()
    return {name: count for name, count in zip(columns, found, strict=True) if count}


def _differs(name: str, kind: str) -> str:
    a, b = f'a."{name}"', f'b."{name}"'
    if kind in ("VARCHAR", "BOOLEAN", "TIMESTAMP"):
        return f"{a} IS DISTINCT FROM {b}::{kind}"
    a, b = f"{a}::DOUBLE", f"nullif({b}::DOUBLE, 'NaN'::DOUBLE)"
    return f"({a} IS NULL) <> ({b} IS NULL) OR abs({a} - {b}) > 1e-9 * greatest(abs({a}), abs({b}))"
