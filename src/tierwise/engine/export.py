"""Writing tables to files that a spreadsheet can open and cannot be tricked by."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from tierwise.errors import BadRequest

__all__ = ["FORMATS", "FORMULA_SIGNS", "safe_cell", "write_table"]

FORMATS: Final = (".csv", ".xlsx", ".parquet")
_MOST_ROWS: Final = 1_048_575
#: A text that begins with one of these would be run as a formula (or hide one) in a spreadsheet.
FORMULA_SIGNS: Final = "=+-@\t\r\n\0＝＋－＠"


def safe_cell(value: Any) -> Any:
    """Return a value as a spreadsheet may have it: a text that would be a formula gets a ``'`` before it.

    So does one that already looks like that, so that an import which takes one ``'`` away gives every text back.

    Example:
        >>> safe_cell("=1+1"), safe_cell(-1), safe_cell(["a", "b"])
        ("'=1+1", -1, 'a; b')
    """
    if isinstance(value, list | tuple):
        value = "; ".join("" if item is None else str(item) for item in value)
    if isinstance(value, dict):
        value = str(value)
    if isinstance(value, str) and value.lstrip("'").startswith(tuple(FORMULA_SIGNS)):
        return f"'{value}"
    return value


def write_table(table: pa.Table, to: Path) -> None:
    """Write a table; the file appears whole or not at all.

    Args:
        table: the rows.
        to: a path that ends in ``.csv`` (UTF-8 with BOM), ``.xlsx`` or ``.parquet``.

    Raises:
        BadRequest: when the ending is another one, the folder is missing, or a sheet cannot hold so many rows.
    """
    ending = to.suffix.lower()
    if ending not in FORMATS:
        raise BadRequest(f"{to.name} has no ending that can be written", f"one of {', '.join(FORMATS)}")
    if not to.parent.is_dir():
        raise BadRequest(f"there is no folder {to.parent}", "make it first")
    if ending == ".xlsx" and table.num_rows > _MOST_ROWS:
        hint = "write a .csv or .parquet file"
        raise BadRequest(f"a sheet holds {_MOST_ROWS:,} rows, this table has {table.num_rows:,}", hint)
    draft = to.with_name(f".{to.name}.tmp")
    try:
        {".csv": _write_csv, ".xlsx": _write_xlsx, ".parquet": _write_parquet}[ending](table, draft)
        os.replace(draft, to)
    except OSError as error:
        raise BadRequest(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _rows(table: pa.Table) -> Iterator[list[Any]]:
    for batch in table.to_batches(max_chunksize=65_536):
        columns = [column.to_pylist() for column in batch.columns]
        yield from ([safe_cell(value) for value in row] for row in zip(*columns, strict=True))


def _write_csv(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([safe_cell(name) for name in table.column_names])
        for row in _rows(table):
            writer.writerow(["" if value is None else _csv_text(value) for value in row])


def _csv_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value


def _write_xlsx(table: pa.Table, path: Path) -> None:
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        sheet = book.add_worksheet("tierwise")
        sheet.freeze_panes(1, 0)
        bold = book.add_format({"bold": True})
        day, instant = (
            book.add_format({"num_format": "yyyy-mm-dd"}),
            book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        )
        for column, name in enumerate(table.column_names):
            sheet.write_string(0, column, str(safe_cell(name)), bold)
        for row, values in enumerate(_rows(table), start=1):
            for column, value in enumerate(values):
                if value is None:
                    continue
                if isinstance(value, datetime):
                    sheet.write_datetime(row, column, value.replace(tzinfo=None), instant)
                elif isinstance(value, date):
                    sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), day)
                elif isinstance(value, bool):
                    sheet.write_boolean(row, column, value)
                elif isinstance(value, int | float | Decimal):
                    _write_number(sheet, row, column, value)
                else:
                    sheet.write_string(row, column, str(value)[:32_767])


def _write_number(sheet: Any, row: int, column: int, value: int | float | Decimal) -> None:
    """A number; one that a sheet's binary64 would change is written as text."""
    number = float(value)
    if math.isfinite(number) and abs(number) < 10**15:
        sheet.write_number(row, column, number)
    else:
        sheet.write_string(row, column, str(value))


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")
