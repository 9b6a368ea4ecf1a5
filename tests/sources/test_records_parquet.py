"""Parquet keeps its own types; texts are as clean as those of a CSV file, damage is a refusal."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.errors import SourceUnreadable
from tierwise.sources.records import read_parquet


@pytest.fixture
def put(tmp_path: Path) -> Path:
    return tmp_path / "orders.parquet"


def test_types_are_kept(put: Path) -> None:
    table = pa.table({
        "id": pa.array(["cafe\u0301", None, "x"]),
        "tag": pa.array(["a", "b", "a"]).dictionary_encode(),
        "old": pa.array([b"\xe5\xbc\xa0", None, b""]),
        "big": pa.array(["1", "2", "3"], pa.large_string()),
        "amount": pa.array([Decimal("1.20"), None, Decimal("-3.00")], pa.decimal128(18, 2)),
        "at": pa.array([datetime(2026, 3, 1, tzinfo=UTC)] * 3, pa.timestamp("ns", "UTC")),
        "on": pa.array([date(2026, 3, 1)] * 3),
        "n": pa.array([1, 2, 3], pa.int16()),
        "f": pa.array([0.5, float("nan"), None]),
        "yes": pa.array([True, None, False]),
        "a.b": pa.array([1, 2, 3]),
    })  # fmt: skip
    pq.write_table(table, put, row_group_size=2)
    reader = read_parquet(put)
    assert reader.columns == tuple(table.column_names)
    kinds = {name: str(reader.schema.field(name).type) for name in reader.schema.names}
    assert [kinds[name] for name in ("id", "tag", "old", "big")] == ["string"] * 4
    assert (kinds["amount"], kinds["at"], kinds["n"]) == ("decimal128(18, 2)", "timestamp[ns, tz=UTC]", "int16")
    batches = list(reader)
    whole = pa.concat_tables([batch.table for batch in batches])
    assert whole.schema == reader.schema
    assert whole.column("id").to_pylist() == ["café", None, "x"]
    assert whole.column("old").to_pylist() == ["张", None, ""]
    assert [line for batch in batches for line in batch.lines.to_pylist()] == [1, 2, 3]
    shown = json.loads(batches[0].text_of(0))
    assert shown["id"] == "cafe\u0301"
    assert (shown["amount"], shown["n"], shown["f"], shown["yes"]) == ("1.20", 1, 0.5, True)
    assert shown["at"].startswith("2026-03-01 00:00:00")
    some = list(read_parquet(put, ["a.b", "id"], batch_rows=1))
    assert [batch.table.column_names for batch in some] == [["a.b", "id"]] * 3
    assert reader.rows_read == 3


def test_texts_that_cannot_be_kept_are_rejects(put: Path) -> None:
    texts = pa.array([b"ok", b"a\0b", b"\xff", b"x" * 1_000_001, b"last"])
    pq.write_table(pa.table({"id": range(5), "name": texts}), put)
    (batch,) = read_parquet(put)
    assert batch.table.column("id").to_pylist() == [0, 4]
    assert batch.lines.to_pylist() == [1, 5]
    assert [(r.line, r.column, r.reason) for r in batch.rejects] == [
        (2, "name", "nul"), (3, "name", "encoding"), (4, "name", "too_long"),
    ]  # fmt: skip
    assert json.loads(batch.rejects[1].text) == {"id": 2, "name": "�"}
    assert len(batch.rejects[2].text) < 3000
    assert json.loads(batch.text_of(1)) == {"id": 4, "name": "last"}


def test_instants_python_cannot_hold_are_shown(put: Path) -> None:
    values = pa.array([2**62, -(2**62), 1], pa.int64())
    pq.write_table(pa.table({"at": values.cast(pa.timestamp("us")), "ns": values.cast(pa.timestamp("ns"))}), put)
    (batch,) = read_parquet(put)
    assert all(json.loads(batch.text_of(i)) for i in range(3))


def test_refusals(put: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "tags": [["a"]]}), put)
    with pytest.raises(SourceUnreadable, match='column "tags" is nested'):
        read_parquet(put)
    assert len(list(read_parquet(put, ["id"]))) == 1
    with pytest.raises(SourceUnreadable, match='no column "ids"') as caught:
        read_parquet(put, ["ids"])
    assert caught.value.hint == "did you mean `id`?"
    pq.write_table(pa.table({"u": pa.array([b"0" * 16], pa.binary(16))}), put)
    with pytest.raises(SourceUnreadable, match="not read here"):
        read_parquet(put)
    pq.write_table(pa.table([[1], [2]], names=["a", " a"]), put)
    with pytest.raises(SourceUnreadable, match="both named"):
        read_parquet(put)
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), put)
    assert list(read_parquet(put)) == []
    for data in (b"", b"PAR1", b"PAR1" + b"x" * 50 + b"PAR1", b"id,amount\n1,2\n"):
        put.write_bytes(data)
        with pytest.raises(SourceUnreadable, match=r"orders\.parquet") as caught:
            read_parquet(put)
        assert caught.value.hint
    with pytest.raises(SourceUnreadable, match="none"):
        read_parquet(tmp_path / "none")


@settings(max_examples=100)
@given(st.data())
def test_damage_is_a_refusal_or_changes_a_value(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    pq.write_table(pa.table({"id": ["张三", "b"] * 20, "n": range(40)}), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(
        content[: data.draw(st.integers(len(content) // 2, len(content)))] if data.draw(st.booleans()) else content
    )
    try:
        reader = read_parquet(path)
        assert sum(batch.records for batch in reader) == reader.rows_read
    except SourceUnreadable as refused:
        assert refused.hint
