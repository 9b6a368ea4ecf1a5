"""Sheets of workbooks (xlsx, xlsm, xlsb, xls, ods) as batches of text rows; the row of the sheet is the line."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.errors import SourceUnreadable
from tierwise.sources.records_batch import RawBatch, Reject, checked_names, named_columns, without_prefix
from tierwise.sources.records_files import stamp_of, unchanged_since

__all__ = ["WORKBOOK_ENDINGS", "SheetLayout", "WorkbookReader", "read_workbook"]

WORKBOOK_ENDINGS: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
#: What the process that reads a workbook may use; a sheet of 300,000 rows and 10 columns needs 250 MB.
_MEMORY_BYTES: Final = 2 << 30
_CPU_SECONDS: Final = 900
#: How long that process may be silent.
_SILENT_SECONDS: Final = 600.0
_MAGIC: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_CSV_HINT: Final = "save the sheet as CSV UTF-8"


@dataclass(frozen=True)
class SheetLayout:
    """Which sheet is read and how its cells are written as texts, as the source declares.

    `sheet` is a name or a position counted from 1, the first one by default. Numbers get the `decimal` sign, dates the
    first of their column's `formats` that says the same, else they are written as ``2026-01-02 08:30:00``. An error
    cell is empty when `missing` names its error, else its row is rejected.
    """

    sheet: str | int | None = None
    skip_lines: int = 0
    header: bool = True
    columns: Sequence[str] = ()
    decimal: str = "."
    formats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    missing: Sequence[str] = ()


def read_workbook(
    path: Path,
    layout: SheetLayout | None = None,
    *,
    batch_rows: int = 65536,
    without: Collection[str] = (),
) -> WorkbookReader:
    """Open a sheet of a workbook and read the names of its columns.

    The workbook is opened in a process of its own that has 2 GB of memory, no way to write and a time limit. Every
    cell becomes the text that stands for it exactly: whole numbers below 2^53 with all digits, other numbers with the
    15 significant digits a sheet keeps, dates in ISO form, ``true`` and ``false``; an empty cell is ``''``. A formula
    has its stored result. Of merged cells the first has the value. A row is a `Reject` when a value stands in a column
    without a name (`ragged`), a whole number is too large to be exact (`inexact`), a cell holds an error or a formula
    without a result (`error_cell`; told in xlsx and xlsm, in the other kinds such a cell is empty).

    Args:
        path: The workbook.
        layout: Which sheet, and how it is read.
        batch_rows: No batch has more rows than this.
        without: Columns that are not read.

    Raises:
        SourceUnreadable: It is no workbook, protected, damaged, too large, or has no such sheet or column.

    Example:
        >>> import tempfile, xlsxwriter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.xlsx")
        ...     with xlsxwriter.Workbook(str(path)) as book:
        ...         sheet = book.add_worksheet("orders")
        ...         _ = sheet.write_row("A1", ["id", "amount"]), sheet.write_row("A2", [1234567890123456, 0.1])
        ...     batch = next(iter(read_workbook(path)))
        >>> batch.table.to_pylist(), batch.lines.to_pylist()
        ([{'id': '1234567890123456', 'amount': '0.1'}], [2])
    """
    return WorkbookReader(path, layout or SheetLayout(), batch_rows, without)


class WorkbookReader:
    """An open sheet: its `columns` and the `sheet`'s name; iterate it, any number of times, for batches of texts.

    `blank_lines` counts the empty rows, also those above the names and below the last row with a value.
    """

    def __init__(self, path: Path, layout: SheetLayout, batch_rows: int, without: Collection[str]) -> None:
        assert batch_rows > 0, "a batch has at least one row"
        self.path = path
        self.layout = layout
        self.rows_read = 0
        self.blank_lines = 0
        self._batch_rows = batch_rows
        _refuse_other_files(path)
        self._stamp = stamp_of(path)
        self._child: _Child | None = _Child(path, layout)
        first = self._child.frame()
        self.sheet: str = first["sheet"]
        names = first["names"] if layout.header else named_columns(str(path), layout.columns, first["names"])
        self.columns = checked_names(f"{path} ({self.sheet})", names)
        self._positions = [at for at, name in enumerate(self.columns) if name not in without]

    @property
    def schema(self) -> pa.Schema:
        """Every cell is a text."""
        return pa.schema([(self.columns[at], pa.string()) for at in self._positions])

    @property
    def encoding_name(self) -> str:
        """A workbook has none."""
        return ""

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = self.blank_lines = 0
        child, self._child = self._child, None
        if child is None:
            child = _Child(self.path, self.layout)
            child.frame()
        while True:
            frame = child.frame()
            self.blank_lines = frame["blank"]
            yield from self._batches(frame)
            if frame.get("end"):
                child.close()
                unchanged_since(self.path, self._stamp)
                return

    def _batches(self, frame: Mapping[str, Any]) -> Iterator[RawBatch]:
        rows, lines = frame["rows"], frame["lines"]
        rejects = [
            Reject(line, column, reason, json.dumps(row, ensure_ascii=False), detail)
            for line, column, reason, detail, row in frame["rejects"]
        ]
        self.rows_read += len(rows) + len(rejects)
        columns = [pa.array([row[at] for row in rows], pa.string()) for at in self._positions]
        table = without_prefix(pa.table(columns, schema=self.schema))
        at_lines = pa.array(lines, pa.int64())
        for start in range(0, max(1, len(rows)), self._batch_rows):
            part = table.slice(start, self._batch_rows)
            found = rejects if start == 0 else []
            if part.num_rows or found:
                yield RawBatch(part, at_lines.slice(start, self._batch_rows), found, _text_of(part))


def _text_of(part: pa.Table) -> Callable[[int], str]:
    return lambda index: json.dumps(part.slice(index, 1).to_pylist()[0], ensure_ascii=False)


def _refuse_other_files(path: Path) -> None:
    """Refuse what is no workbook whatever its name says; many systems give HTML or CSV the ending of one."""
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise SourceUnreadable(f"{path}: cannot be read ({error.strerror})", "check its name and rights") from error
    if head.startswith(_MAGIC):
        return
    if not head:
        raise SourceUnreadable(f"{path}: is empty", "export the workbook again")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml", b"<table", b"<meta")):
        hint = "open it in a spreadsheet program and save it as .xlsx"
        raise SourceUnreadable(f"{path}: is not a valid workbook, it looks like a web page (HTML) or XML", hint)
    hint = "if it is text, give it the ending .csv; else open it in a spreadsheet program and save it as .xlsx"
    raise SourceUnreadable(f"{path}: is not a valid workbook", hint)


class _Child:
    """The process that reads a workbook, and what it says."""

    def __init__(self, path: Path, layout: SheetLayout) -> None:
        self.path = path
        program = Path(__file__).with_name("workbook_cells.py")
        # -P: the folder of the program, which has modules with plain names, is not searched for modules.
        command = [sys.executable, "-P", "-B", str(program)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, close_fds=True
        )
        self.close = weakref.finalize(self, _end, self.process)
        request = {**asdict(layout), "path": str(path.absolute())}
        request |= {"memory_bytes": _MEMORY_BYTES, "cpu_seconds": _CPU_SECONDS}
        assert self.process.stdin is not None, "a pipe was asked for"
        try:
            self.process.stdin.write(json.dumps(request).encode())
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has died: what it says next, or does not, is the answer

    def frame(self) -> dict[str, Any]:
        """Return the next thing it says.

        Raises:
            SourceUnreadable: when it refuses the workbook, dies or falls silent.
        """
        size = struct.unpack("<Q", self._read(8))[0]
        frame: dict[str, Any] = json.loads(self._read(size).decode("utf-8", "replace"))
        if "refused" in frame:
            self.close()
            raise SourceUnreadable(f"{self.path}: {frame['refused']}", frame["hint"])
        return frame

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None, "a pipe was asked for"
        pipe, parts = self.process.stdout.fileno(), []
        while size:
            if not select.select([pipe], [], [], _SILENT_SECONDS)[0]:
                self.close()
                raise SourceUnreadable(f"{self.path}: takes more than {_SILENT_SECONDS:.0f} seconds to read", _CSV_HINT)
            part = os.read(pipe, min(size, 1 << 20))
            if not part:
                raise self._died()
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _died(self) -> SourceUnreadable:
        code = self.process.wait()
        self.close()
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return SourceUnreadable(f"{self.path}: takes more than {_CPU_SECONDS} seconds to read", _CSV_HINT)
        if code == -signal.SIGABRT:  # how the library ends when it gets no more memory
            return SourceUnreadable(f"{self.path}: needs more than {_MEMORY_BYTES >> 20:,} MB to be read", _CSV_HINT)
        return SourceUnreadable(f"{self.path}: is not a valid workbook (its reader ended with {code})", _CSV_HINT)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, if it still runs, and let go of its pipes."""
    if process.poll() is None:
        process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    process.wait()
