"""Sheets of workbooks: exact values, the row of the sheet as line, and workbooks that are none, or bombs."""

from __future__ import annotations

import gc
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from tests.projects import ORDERS, Brand, said
from tierwise.errors import SourceUnreadable
from tierwise.lake import Lake
from tierwise.sources import records_workbook
from tierwise.sources.records_workbook import SheetLayout, read_workbook

BOOK = ORDERS.replace(".csv", ".xlsx")
HEAD = ["id", "customer", "time", "amount"]


def book(path: Path, rows: Sequence[Any], change: Callable[[Any], None] = lambda sheet: None) -> Path:
    """Write a workbook of one sheet; `change` may do to the sheet what rows cannot say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = openpyxl.Workbook()
    sheet = made.active
    for row in rows:
        sheet.append(row)
    change(sheet)
    made.save(path)
    return path


def texts(path: Path, layout: SheetLayout | None = None) -> list[tuple[int, dict[str, str]]]:
    return [
        pair
        for batch in read_workbook(path, layout)
        for pair in zip(batch.lines.to_pylist(), batch.table.to_pylist(), strict=True)
    ]


def rejects(path: Path, layout: SheetLayout | None = None) -> list[tuple[int, str | None, str, str]]:
    found = [reject for batch in read_workbook(path, layout) for reject in batch.rejects]
    return [(one.line, one.column, one.reason, one.detail) for one in found]


CELLS: dict[str, tuple[Any, str]] = {
    "text": (" 订单 ", " 订单 "), "whole": (1234567890123456, "1234567890123456"), "largest": (2**53 - 1, "9007199254740991"),
    "negative": (-7, "-7"), "tenth": (0.1, "0.1"), "money": (1234.5, "1234.5"), "noise": (1.1 + 2.2, "3.3"), "small": (1e-7, "1e-07"),
    "day": (date(2026, 1, 2), "2026-01-02"), "moment": (datetime(2026, 1, 2, 8, 30), "2026-01-02 08:30:00"),
    "midnight": (datetime(2026, 1, 2), "2026-01-02"), "hour": (time(8, 30), "08:30:00"), "span": (timedelta(hours=30), "30:00:00"),
    "yes": (True, "true"), "no": (False, "false"), "nothing": (None, ""), "digits": ("0012", "0012"), "serial": (46025, "46025"),
    "wide": ("𠮷野 👨‍👩‍👧", "𠮷野 👨‍👩‍👧"), "composed": ("e\u0301", "é"), "lines": ("a\nb", "a\nb"),
}  # fmt: skip


@pytest.mark.parametrize("epoch", [None, CALENDAR_MAC_1904])
def test_every_kind_of_cell_is_its_exact_text(tmp_path: Path, epoch: Any) -> None:
    def in_epoch(sheet: Any) -> None:
        if epoch is not None:
            sheet.parent.epoch = epoch

    made = openpyxl.Workbook()
    in_epoch(made.active)
    made.active.append([*CELLS])
    made.active.append([value for value, _ in CELLS.values()])
    made.save(tmp_path / "a.xlsx")
    ((line, row),) = texts(tmp_path / "a.xlsx")
    assert (line, row) == (2, {name: text for name, (_, text) in CELLS.items()})


def test_lines_are_rows_of_the_sheet_and_empty_rows_are_counted(tmp_path: Path) -> None:
    def leave_formats(sheet: Any) -> None:
        for row in range(8, 40):
            sheet.cell(row, 2).number_format = "0.00"
            sheet.cell(row, 2).value = ""

    rows = [[], ["", "report of June"], ["", "id", "amount"], [None, "1", 5], [], [None, "2", 6]]
    path = book(tmp_path / "a.xlsx", rows, leave_formats)
    reader = read_workbook(path, SheetLayout(skip_lines=2))
    assert [batch.lines.to_pylist() for batch in reader] == [[4, 6]]
    assert (reader.columns, reader.rows_read, reader.blank_lines) == (("id", "amount"), 2, 1)
    assert [batch.lines.to_pylist() for batch in reader] == [[4, 6]], "it can be read again"


def test_a_value_beside_the_table_is_not_lost(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id", None, "amount"], ["1", None, 5], ["2", "x", 6], ["3", None, 7, None, "y"]])
    assert [line for line, _ in texts(path)] == [2]
    assert rejects(path) == [
        (3, None, "ragged", "a value stands in column B, which has no name"),
        (4, None, "ragged", "a value stands in column E, which has no name"),
    ]


def test_errors_and_formulas(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["id", "amount"])
        for row, value in enumerate([7, "#N/A", "#DIV/0!", "text", ""], 1):
            sheet.write(row, 0, f"r{row}")
            sheet.write_formula(row, 1, "=A1", None, value)
    assert [row["amount"] for _, row in texts(path)][:2] == ["7", "text"]
    assert rejects(path)[:2] == [(3, "amount", "error_cell", "#N/A"), (4, "amount", "error_cell", "#DIV/0!")]
    declared = SheetLayout(missing=["#N/A"])
    assert [(line, row["amount"]) for line, row in texts(path, declared)][:2] == [(2, "7"), (3, "")]

    unsaved = book(tmp_path / "b.xlsx", [["id", "amount"], ["1", "=1+1"], ["2", 5]])
    assert rejects(unsaved) == [(2, "amount", "error_cell", "formula")]
    assert [line for line, _ in texts(unsaved)] == [3]


def test_numbers_a_sheet_cannot_keep(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id", "v"], [12345678901234567890, 1], [2**53, 1], [1e300, 1], [2**53 - 1, 1]])
    assert [(line, column, reason) for line, column, reason, _ in rejects(path)] == [
        (line, "id", "inexact") for line in (2, 3, 4)
    ]


def test_merged_cells_have_their_value_once(tmp_path: Path) -> None:
    rows = [["id", "city"], ["1", "Beijing"], ["2", None], ["3", "Shanghai"]]
    path = book(tmp_path / "a.xlsx", rows, lambda sheet: sheet.merge_cells("B2:B3"))
    assert [row["city"] for _, row in texts(path)] == ["Beijing", "", "Shanghai"]


def test_sheets_by_name_and_number(tmp_path: Path) -> None:
    def second(sheet: Any) -> None:
        sheet.title = "订单"
        sheet.parent.create_sheet("2").append(["other"])

    path = book(tmp_path / "a.xlsx", [["id"], ["1"]], second)
    for sheet, columns in ((None, ("id",)), ("订单", ("id",)), (1, ("id",)), (2, ("other",)), ("2", ("other",))):
        assert read_workbook(path, SheetLayout(sheet)).columns == columns
    for wrong in ("Sheet1", 3):
        with pytest.raises(SourceUnreadable, match="has no sheet") as refused:
            read_workbook(path, SheetLayout(wrong))
        assert "订单" in refused.value.hint


def test_columns_without_a_header(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["1", 5], ["2", 6]])
    assert texts(path, SheetLayout(header=False)) == [
        (1, {"column_1": "1", "column_2": "5"}),
        (2, {"column_1": "2", "column_2": "6"}),
    ]
    assert read_workbook(path, SheetLayout(header=False, columns=["id", "v"])).columns == ("id", "v")
    with pytest.raises(SourceUnreadable, match="has 2 columns, `columns:` names 1"):
        read_workbook(path, SheetLayout(header=False, columns=["id"]))


def test_values_follow_what_is_declared_for_texts(tmp_path: Path) -> None:
    rows = [
        HEAD,
        ["1", "a", date(2026, 2, 1), 1.5],
        ["2", "a", "01/02/2026", "1,5"],
        ["3", "a", datetime(2026, 2, 1, 8), 7],
    ]
    brand = Brand(tmp_path, {"sources/orders.yaml": BOOK + "formats: {time: '%d/%m/%Y'}\nnumbers: {decimal: ','}\n"})
    book(tmp_path / "data/orders.xlsx", rows)
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2, "quarantined": 1}]
    first = datetime(2026, 1, 31, 16)
    amount = Decimal("1.50")
    assert brand.received("orders", "order_id", "time", "amount") == [("1", first, amount), ("2", first, amount)]
    assert brand.values("quarantine", "line", "column", "reason") == [(4, "time", "not_a_date")], (
        "an hour is not dropped"
    )


def test_a_workbook_becomes_rows(tmp_path: Path) -> None:
    rows = [
        HEAD,
        ["A", 7, datetime(2026, 1, 2, 8), 9.9],
        [1e15, "7", "2026/1/3", "￥5"],
        ["B", None, date(2026, 1, 4), 1],
        [],
    ]
    brand = Brand(tmp_path, {"sources/orders.yaml": BOOK})
    book(tmp_path / "data/orders.xlsx", rows)
    (report,) = brand.receive()
    assert (report.new, report.reasons, report.rows_read) == (2, {"missing_customer": 1}, 3)
    assert brand.received("orders", "order_id", "line") == [("A", 2), ("1000000000000000", 3)]
    assert brand.values("quarantine", "file", "line") == [("orders.xlsx", 4)]
    assert brand.receive(1)[0].state == "unchanged"


def test_personal_columns_are_not_read(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id", "phone"], ["1", "13800138000"]])
    reader = read_workbook(path, without={"phone"})
    assert reader.columns == ("id", "phone")
    assert [batch.table.to_pylist() for batch in reader] == [[{"id": "1"}]]


def zipped(path: Path, parts: dict[str, bytes], source: Path) -> Path:
    """Write a copy of a workbook in which some parts have another content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *parts}:
            new.writestr(name, parts.get(name) or old.read(name))
    return path


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">%s]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="str"><f>1</f>
<v>&%s;</v></c></row></sheetData></worksheet>"""
ENTITIES = b"".join(b'<!ENTITY %c "%s">' % (n + 1, b"&%c;" % n * 50) for n in range(97, 107))
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="str">
<v>x&a;</v></c></row></sheetData></worksheet>"""
SHEET = "xl/worksheets/sheet1.xml"


def test_workbooks_that_are_none(tmp_path: Path) -> None:
    good = book(tmp_path / "good.xlsx", [["id"], ["1"]])
    data = good.read_bytes()
    contents = {
        "text.xlsx": b"id,amount\n1,2\n", "page.xls": b"<html><table><tr><td>id</td></tr></table></html>", "none.xlsx": b"",
        "cut.xlsx": data[: len(data) // 2], "zip.xlsx": b"PK\x03\x04" + bytes(100), "old.xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "protected.xlsx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    zipped(tmp_path / "laughs.xlsx", {SHEET: LAUGHS % (ENTITIES, b"k")}, good)
    zipped(tmp_path / "broken.xlsx", {SHEET: b"<worksheet><sheetData><row r='1'>"}, good)
    with zipfile.ZipFile(tmp_path / "parts.xlsx", "w") as many:
        for n in range(10_001):
            many.writestr(str(n), "")
    for name in [*contents, "laughs.xlsx", "broken.xlsx", "parts.xlsx"]:
        with pytest.raises(SourceUnreadable) as refused:
            list(read_workbook(tmp_path / name))
        message = refused.value.message
        assert any(words in message for words in ("is not a valid workbook", "is empty", "password")), (name, message)
        assert refused.value.hint and "\n" not in message
    assert Lake(tmp_path / "lake").version == 0


def test_nothing_outside_a_workbook_is_read(tmp_path: Path) -> None:
    good = book(tmp_path / "good.xlsx", [["id"], ["1"]])
    path = zipped(tmp_path / "outside.xlsx", {SHEET: OUTSIDE}, good)
    host = Path("/etc/hostname").read_text().strip() if Path("/etc/hostname").exists() else "localhost"
    try:
        found = read_workbook(path).columns
    except SourceUnreadable as refused:
        assert host not in str(refused)
    else:
        assert host not in "".join(found)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    good = book(tmp_path / "good.xlsx", [["id"], ["1"]])
    bomb = zipped(tmp_path / "bomb.xlsx", {SHEET: b"<worksheet>" + b" " * (100 << 20)}, good)
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(SourceUnreadable, match=r"unpacks from \d+ KB to 100 MB"):
        read_workbook(bomb)


def test_a_sheet_that_needs_too_much_memory(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id"]], lambda sheet: sheet.cell(1_048_576, 16_384, "x"))
    with pytest.raises(SourceUnreadable, match="MB to be read") as refused:
        list(read_workbook(path))
    assert "CSV" in refused.value.hint


def test_a_workbook_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path / "a.xlsx", [["id"], ["1"]])
    monkeypatch.setattr(records_workbook, "_SILENT_SECONDS", 0.0)
    with pytest.raises(SourceUnreadable, match="seconds to read"):
        read_workbook(path)


def test_the_process_ends_with_its_reader(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", [["id"], *([str(n)] for n in range(50_000))])
    reader = read_workbook(path)
    child = reader._child
    assert child is not None
    process: subprocess.Popen[bytes] = child.process
    assert process.poll() is None, "it waits for its rows to be wanted"
    del reader, child
    gc.collect()
    assert process.poll() is not None
