"""Tables built in parts of the customers: which parts there are, and that the table is the one built as a whole."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

from tierwise.definitions.streams import BUILT_IN
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import build_stream
from tierwise.engine.parts import Part, parts_of, rows_in
from tierwise.engine.received import IDS
from tierwise.engine.sql import col
from tierwise.lake import Lake

NOON = datetime(2026, 1, 1, 12)


@given(
    st.integers(0, 600_000_000),
    st.lists(st.integers(1, 10**12), min_size=1, max_size=20),
    st.integers(1, 64),
)
def test_every_customer_is_in_exactly_one_part(rows: int, customers: list[int], threads: int) -> None:
    parts = parts_of(rows, pa.table({"customer_id": customers}), threads)
    assert not parts or all(sum(part.first <= one <= part.last for part in parts) == 1 for one in customers)
    assert all(part.before - before.before >= 2**40 for before, part in itertools.pairwise(parts))


def test_few_rows_or_nobody_are_not_divided() -> None:
    assert parts_of(999_999, pa.table({"customer_id": [1, 2]}), 4) == []
    assert parts_of(10**9, pa.table({"customer_id": pa.array([], pa.int64())}), 4) == []


def test_there_are_enough_parts_for_the_rows_but_not_more_than_reading_again_costs() -> None:
    ids = pa.table({"customer_id": [1, 1_000_000]})
    assert [len(parts_of(rows, ids, 2)) for rows in (10**6, 3 * 10**7, 5 * 10**7, 10**9)] == [2, 4, 4, 8]
    assert len(parts_of(10**6, ids, 64)) == 8, "not more at a time than there may be"


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_a_table_built_in_parts_is_the_table_built_as_a_whole(tmp_path: Path, at_a_time: int) -> None:
    lake = Lake(tmp_path)
    rows = 400
    who = [n * 7 % 11 + 1 for n in range(rows)]
    stream = BUILT_IN["events"]
    columns = {
        "source": ["app"] * rows,
        "key_space": ["default"] * rows,
        "source_record_id": who,
        "row_key": [f"e-{n * 13 % rows}" for n in range(rows)],
        "time": pa.array([NOON + timedelta(hours=n * 5 % 50) for n in range(rows)], pa.timestamp("us")),
        "received_at": pa.array([NOON] * rows, pa.timestamp("us")),
        "import_id": [1] * rows,
        "op": ["put"] * rows,
        "fate": ["new"] * rows,
        "line": list(range(rows)),
        "type": ["view" if n % 3 else "search" for n in range(rows)],
    }
    lake.append("rows", {"events": pa.table(columns)}, "first")
    assert rows_in(lake, "events", lake.version) == rows
    ids = pa.table({"source_record_id": list(range(1, 12)), "customer_id": list(range(101, 112))})
    parts = [Part(101, 103, 0), Part(104, 104, 2**40), Part(105, 111, 2**41)]
    with DuckEngine(None) as engine:
        engine.register(IDS, ids)
        assert build_stream(engine, stream, lake, lake.version, False, "whole") == rows
        made = build_stream(engine, stream, lake, lake.version, False, "divided", None, parts, at_a_time)
        assert made == rows
        assert engine.columns("divided") == engine.columns("whole")
        ordered = {
            name: engine.arrow(exp.select("*").from_(name).order_by(col("pos"))).drop_columns(["pos"])
            for name in ("whole", "divided")
        }
        assert ordered["divided"] == ordered["whole"]
        places = [place for (place,) in engine.rows(exp.select(col("pos")).from_("divided"))]
    assert len(set(places)) == rows
