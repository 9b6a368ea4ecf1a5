"""Exports: no text can become a formula, numbers stay numbers, and nothing half-written stays behind."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from tierwise.engine.export import FORMATS, safe_cell, write_table
from tierwise.errors import BadRequest

ROWS = pa.table(
    {
        "name": pa.array(["=1+1", "＋86", "安娜", None]),
        "amount": pa.array([Decimal("-1.50"), Decimal("2.00"), None, Decimal("3.25")], pa.decimal128(18, 2)),
        "at": pa.array([datetime(2026, 1, 2, 3, 4, 5)] * 4, pa.timestamp("us")),
        "on": pa.array([date(2026, 1, 2)] * 4),
        "yes": [True, False, None, True],
        "list": pa.array([["a", "b"], [], None, ["=c"]], pa.list_(pa.string())),
    }
)


@pytest.mark.parametrize("text", ["=A1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "\0", "＝A", "＋1", "－1", "＠x"])
def test_a_dangerous_beginning_is_disarmed(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", -1, 1.5, None, Decimal("-2.00"), True])
def test_other_values_stay(value: object) -> None:
    assert safe_cell(value) == value


def test_csv(tmp_path: Path) -> None:
    write_table(ROWS, tmp_path / "t.csv")
    raw = (tmp_path / "t.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    lines = raw.decode("utf-8-sig").splitlines()
    assert lines[0] == "name,amount,at,on,yes,list"
    assert lines[1] == "'=1+1,-1.50,2026-01-02 03:04:05,2026-01-02,true,a; b"
    assert lines[3].startswith("安娜,,")


def test_xlsx_has_typed_cells(tmp_path: Path) -> None:
    write_table(ROWS, tmp_path / "t.xlsx")
    sheet = load_workbook(tmp_path / "t.xlsx").active
    assert sheet is not None
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[1][:3] == ("'=1+1", -1.5, datetime(2026, 1, 2, 3, 4, 5))
    assert rows[4][5] == "'=c"
    assert sheet.freeze_panes == "A2"


def test_parquet_keeps_everything(tmp_path: Path) -> None:
    write_table(ROWS, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(ROWS)


def test_refusals_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no ending"):
        write_table(ROWS, tmp_path / "t.doc")
    with pytest.raises(BadRequest, match="no folder"):
        write_table(ROWS, tmp_path / "not" / "t.csv")
    many = pa.table({"n": pa.array(range(1_048_576))})
    with pytest.raises(BadRequest, match="a sheet holds"):
        write_table(many, tmp_path / "t.xlsx")
    assert list(tmp_path.iterdir()) == []
    assert FORMATS == (".csv", ".xlsx", ".parquet")
