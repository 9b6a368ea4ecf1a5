"""Customers taken out of the engine's file: their rows go, texts that name them are empty, the rest is as it was."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.erase import erase_customers


def test_a_new_file_without_them(tmp_path: Path) -> None:
    path = tmp_path / "tierwise.duckdb"
    rows = {"customer_id": [2, 1, 3], "pos": [0, 0, 0], "who": ["canary-9", "x", None], "amount": [1, 2, 3]}
    with DuckEngine(path) as engine:
        for name in ("orders", "half$new"):
            engine.register("t", pa.table(rows))
            engine.create(name, exp.select("*").from_("t"))
        engine.register("s", pa.table({"store_id": ["canary-9", "b"]}))
        engine.create("stores", exp.select("*").from_("s"))
        assert erase_customers(engine, [1], ["canary-9"]) == {"orders": 1}
        assert engine.tables() == ["orders", "stores"]
        assert engine.columns("orders") == {
            "customer_id": "BIGINT",
            "pos": "BIGINT",
            "who": "VARCHAR",
            "amount": "BIGINT",
        }
        assert engine.rows(exp.select("*").from_("orders")) == [(2, 0, None, 1), (3, 0, None, 3)]
        assert sorted(engine.rows(exp.select("store_id").from_("stores")), key=str) == [("b",), (None,)]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert b"canary-9" not in path.read_bytes()
