"""The cells of one sheet as texts, read in a process of its own with little memory, little time and no way to write.

`tierwise.sources.records_workbook` runs this file as a program and imports nothing of it: a workbook is a zip of XML
that anybody can have made, so whatever it does to its reader must end here. One JSON request comes on standard input;
JSON answers go to standard output, each behind its length. Only the standard library and python-calamine are loaded.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import posixpath
import re
import resource
import struct
import sys
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

__all__ = ["main"]

#: Whole numbers from here on are not exact in a sheet, which keeps binary64.
_EXACT_LIMIT: Final = 1 << 53
#: A sheet shows and keeps 15 significant digits of what is typed; a calculated value has noise behind them.
_DIGITS: Final = 15
_FRAME_ROWS: Final = 32_768
_CHUNK_BYTES: Final = 1 << 20
#: A workbook of more parts or bytes is refused; so is one that shrinks like a bomb, when it is large.
_MOST_PARTS: Final = 10_000
_MOST_UNPACKED, _SMALL_UNPACKED, _MOST_RATIO = 2 << 30, 64 << 20, 200
_ZIPPED: Final = (".xlsx", ".xlsm", ".xlsb", ".ods")
_MADE_AGAIN: Final = "open it in a spreadsheet program and save it again as .xlsx, or save the sheet as CSV UTF-8"


class _RefusedError(Exception):
    """Why the workbook is not read: a message and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def main() -> None:
    """Answer one request: a frame with the names of the columns, frames with rows, a last one; or a refusal."""
    request = json.loads(sys.stdin.buffer.read())
    for limit, value in ((resource.RLIMIT_AS, request["memory_bytes"]), (resource.RLIMIT_CPU, request["cpu_seconds"])):
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        for frame in _Sheet(request).frames():
            _send(frame)
    except _RefusedError as refused:
        _send({"refused": refused.message, "hint": refused.hint})
    except MemoryError:
        limit = request["memory_bytes"] >> 20
        _send({"refused": f"needs more than {limit:,} MB to be read", "hint": "save the sheet as CSV UTF-8"})


def _send(frame: Mapping[str, Any]) -> None:
    data = json.dumps(frame, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        sys.stdout.buffer.write(struct.pack("<Q", len(data)) + data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # nobody wants the rest
        sys.stdout = None
        sys.exit(0)


class _Sheet:
    """One sheet of a workbook; `request` says which, and how its rows are wanted."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.path = Path(request["path"])
        self.wanted: str | int | None = request["sheet"]
        self.skip_lines: int = request["skip_lines"]
        self.header: bool = request["header"]
        self.decimal: str = request["decimal"]
        self.formats: Mapping[str, list[str]] = request["formats"]
        self.missing = frozenset(request["missing"])

    def frames(self) -> Iterator[dict[str, Any]]:
        if self.path.suffix.lower() in _ZIPPED:
            _check_zip(self.path)
        sheet, index = self._sheet()
        self.odd = _odd_cells(self.path, index) if self.path.suffix.lower() in (".xlsx", ".xlsm") else {}
        rows = enumerate(_rows(sheet), 1)
        self.blank = 0
        first = self._find_header(rows)
        yield {"names": self.names, "sheet": sheet.name}
        lines: list[int] = []
        cells: list[list[str]] = []
        rejects: list[list[Any]] = []
        for line, row in rows if first is None else _again(first, rows):
            texts = [cell if type(cell) is str else self._text(cell) for cell in row]
            odd = self.odd.get(line, {})
            if not odd and not any(texts):
                self.blank += 1
                continue
            problem = self._problem(row, texts, odd)
            texts = self._formatted(row, texts)
            named = [_kept(texts[at]) if at < len(texts) else "" for at in self.at]
            if problem is None:
                lines.append(line)
                cells.append(named)
            else:
                rejects.append([line, *problem, dict(zip(self.names, named, strict=True))])
            if len(lines) + len(rejects) >= _FRAME_ROWS:
                yield {"lines": lines, "rows": cells, "rejects": rejects, "blank": self.blank}
                lines, cells, rejects = [], [], []
        yield {"lines": lines, "rows": cells, "rejects": rejects, "blank": self.blank, "end": True}

    def _sheet(self) -> tuple[Any, int]:
        """Return the sheet and its position."""
        from python_calamine import CalamineError, CalamineWorkbook, PasswordError

        try:
            book = CalamineWorkbook.from_path(str(self.path))
            names = book.sheet_names
            index = self._index(names)
            return book.get_sheet_by_index(index), index
        except PasswordError:
            raise _RefusedError("is protected by a password", "save a copy of it without one") from None
        except (_RefusedError, MemoryError):
            raise
        except (CalamineError, OSError, ValueError, IndexError) as error:
            raise _RefusedError(f"is not a valid workbook ({_first_line(error)})", _MADE_AGAIN) from None
        except BaseException as error:  # a panic of the library, which is no Exception
            raise _RefusedError(f"is not a valid workbook ({type(error).__name__})", _MADE_AGAIN) from None

    def _index(self, names: list[str]) -> int:
        if not names:
            raise _RefusedError("has no sheet", _MADE_AGAIN)
        if self.wanted is None:
            return 0
        if isinstance(self.wanted, str) and self.wanted in names:
            return names.index(self.wanted)
        if isinstance(self.wanted, int) and 1 <= self.wanted <= len(names):
            return self.wanted - 1
        shown = f'"{self.wanted}"' if isinstance(self.wanted, str) else f"number {self.wanted}"
        raise _RefusedError(f"has no sheet {shown}", f"its sheets: {', '.join(names[:20])}")

    def _find_header(self, rows: Iterator[tuple[int, list[Any]]]) -> tuple[int, list[Any]] | None:
        """Read up to the row with the names; return a first row of data that has been read already."""
        for line, row in rows:
            if line <= self.skip_lines:
                continue
            texts = [unicodedata.normalize("NFC", self._text(cell)).strip() for cell in row]
            if not any(texts):
                self.blank += 1
                continue
            if not self.header:
                self.names = [f"column_{number}" for number in range(1, len(row) + 1)]
                self.at = list(range(len(row)))
                return line, row
            self.at = [at for at, name in enumerate(texts) if name]
            self.names = [texts[at] for at in self.at]
            self.header_line = line
            return None
        below = f" below the {self.skip_lines} rows skipped" if self.skip_lines else ""
        hint = "the first row below `skip_lines` that is not empty names the columns"
        raise _RefusedError(f"the sheet is empty{below}", hint)

    def _problem(self, row: list[Any], texts: list[str], odd: Mapping[int, str]) -> tuple[str | None, str, str] | None:
        """Return what is wrong with a row: (column, reason, detail); a declared word for nothing empties its cell."""
        name_of = dict(zip(self.at, self.names, strict=True))
        for at, what in odd.items():
            if at in name_of and what not in self.missing:
                return name_of[at], "error_cell", what
        for at, text in enumerate(texts):
            if text and at not in name_of:
                return None, "ragged", f"a value stands in column {_letters(at)}, which has no name"
            if type(row[at]) is float and not -_EXACT_LIMIT < row[at] < _EXACT_LIMIT:
                return name_of.get(at), "inexact", f"{text} has more digits than a sheet keeps exactly"
        return None

    def _text(self, cell: Any) -> str:
        if isinstance(cell, str):
            return cell
        if isinstance(cell, bool):
            return "true" if cell else "false"
        if isinstance(cell, float):
            return self._number(cell)
        if isinstance(cell, int):
            return str(cell)
        if isinstance(cell, dt.datetime):
            plain = cell.isoformat(sep=" ", timespec="microseconds" if cell.microsecond else "seconds")
            return plain.removesuffix(" 00:00:00")
        if isinstance(cell, dt.timedelta):
            minutes, seconds = divmod(abs(round(cell.total_seconds())), 60)
            return f"{'-' if cell.days < 0 else ''}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        return str(cell.isoformat()) if isinstance(cell, dt.date | dt.time) else ""

    def _number(self, value: float) -> str:
        if math.isfinite(value) and value == int(value) and abs(value) < _EXACT_LIMIT:
            return str(int(value))
        shown = f"{value:.{_DIGITS}g}"
        return shown if self.decimal == "." else shown.replace(".", self.decimal)

    def _formatted(self, row: list[Any], texts: list[str]) -> list[str]:
        """Write dates as the column's declared formats expect them, where that says the same."""
        for at, name in zip(self.at, self.names, strict=True):
            if name in self.formats and at < len(row) and isinstance(row[at], dt.date):
                texts[at] = _in_format(row[at], self.formats[name]) or texts[at]
        return texts


def _again(first: tuple[int, list[Any]], rest: Iterator[tuple[int, list[Any]]]) -> Iterator[tuple[int, list[Any]]]:
    yield first
    yield from rest


def _rows(sheet: Any) -> Iterator[list[Any]]:
    """Yield the rows from the first one of the sheet on, each from column A on."""
    end = sheet.end
    width = end[1] + 1 if end is not None else 0
    for row in sheet.iter_rows():  # which begins with the first row of the sheet, but with its first used column
        yield [""] * (width - len(row)) + row if len(row) < width else row


def _kept(text: str) -> str:
    if text.isascii() and "\r" not in text:
        return text
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")


def _in_format(value: dt.date, formats: list[str]) -> str:
    """Return a date in the first format that gives it back, or nothing."""
    moment = value if isinstance(value, dt.datetime) else dt.datetime(value.year, value.month, value.day)
    for one in formats:
        if one == "excel":
            return repr((moment - dt.datetime(1899, 12, 30)) / dt.timedelta(days=1))
        try:
            shown = moment.strftime(one)
            if dt.datetime.strptime(shown, one) == moment:  # noqa: DTZ007 - a sheet knows no zones
                return shown
        except ValueError:
            continue
    return ""


def _letters(at: int) -> str:
    """Return a column as a sheet names it: A, B … Z, AA."""
    name, at = "", at + 1
    while at:
        at, rest = divmod(at - 1, 26)
        name = chr(65 + rest) + name
    return name


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]


# -- the zip and its XML ----------------------------------------------------------------------------------------------


def _check_zip(path: Path) -> None:
    """Refuse a zip that unpacks to what no honest workbook has, before anything of it is unpacked."""
    try:
        with zipfile.ZipFile(path) as book:
            members = book.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        with path.open("rb") as stream:
            if stream.read(4) == b"\xd0\xcf\x11\xe0":
                hint = "save a copy without a password; an old workbook ends in .xls"
                raise _RefusedError("is protected by a password, or an old workbook under a new ending", hint) from None
        raise _RefusedError(f"is not a valid workbook ({_first_line(error)})", _MADE_AGAIN) from None
    if len(members) > _MOST_PARTS:
        raise _RefusedError(f"is not a valid workbook (it has {len(members):,} parts)", _MADE_AGAIN)
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > _MOST_UNPACKED or (total > _SMALL_UNPACKED and total > _MOST_RATIO * packed):
        message = f"unpacks from {packed >> 10:,} KB to {total >> 20:,} MB, which no sheet needs"
        raise _RefusedError(message, "save the sheet as CSV UTF-8, if you know where it comes from")


def _odd_cells(path: Path, index: int) -> dict[int, dict[int, str]]:
    """Return row → column → what stands there instead of a value: an error, or ``formula`` without its result.

    The library that reads the values shows both as empty cells.
    """
    with zipfile.ZipFile(path) as book:
        name = _part_of(book, index)
        suspicious = re.compile(rb"""\bt\s*=\s*["']e["']|<(?:\w+:)?f[ >/]""")
        with book.open(name) as part:
            tail = b""
            while chunk := part.read(_CHUNK_BYTES):
                if suspicious.search(tail + chunk):
                    break
                tail = chunk[-64:]
            else:
                return {}
        with book.open(name) as part:
            return _OddCells().read(part)


def _part_of(book: zipfile.ZipFile, index: int) -> str:
    """Return the name of the part that holds a sheet."""
    try:
        sheets = [found for tag, found in _elements(book.read("xl/workbook.xml")) if tag == "sheet"]
        links = [found for tag, found in _elements(book.read("xl/_rels/workbook.xml.rels")) if tag == "Relationship"]
        wanted = next(value for key, value in sheets[index].items() if key.rpartition(":")[2] == "id" and ":" in key)
        target = next(link["Target"] for link in links if link["Id"] == wanted)
        name = posixpath.normpath(posixpath.join("xl", target)).lstrip("/")
        return next(member for member in book.namelist() if member.lower() == name.lower())
    except (KeyError, IndexError, StopIteration, expat.ExpatError, zipfile.BadZipFile) as error:
        raise _RefusedError(
            f"is not a valid workbook ({_first_line(error) or 'a part is missing'})", _MADE_AGAIN
        ) from None


def _elements(data: bytes) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, attributes: found.append((tag.rpartition(":")[2], attributes))
    parser.Parse(data, True)
    return found


class _OddCells:
    """Walks the XML of a sheet and notes the cells that have no value to read."""

    def __init__(self) -> None:
        self.found: dict[int, dict[int, str]] = {}
        self.row = self.column = 0
        self.kind, self.formula, self.value, self.inside = "", False, "", False

    def read(self, part: Any) -> dict[int, dict[int, str]]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self.start, self.end
        parser.CharacterDataHandler = self.text
        try:
            parser.ParseFile(part)
        except expat.ExpatError as error:
            raise _RefusedError(f"is not a valid workbook ({error})", _MADE_AGAIN) from None
        return self.found

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        match tag.rpartition(":")[2]:
            case "row":
                self.row = int(attributes.get("r", self.row + 1))
                self.column = 0
            case "c":
                place = attributes.get("r")
                self.column = _column_of(place) if place else self.column + 1
                self.kind, self.formula, self.value = attributes.get("t", ""), False, ""
            case "f":
                self.formula = True
            case "v":
                self.inside = True

    def text(self, data: str) -> None:
        if self.inside:
            self.value += data

    def end(self, tag: str) -> None:
        match tag.rpartition(":")[2]:
            case "v":
                self.inside = False
            case "c" if self.kind == "e":
                self.note(self.value or "an error")
            case "c" if self.formula and self.kind in ("", "n") and not self.value.strip():
                self.note("formula")

    def note(self, what: str) -> None:
        self.found.setdefault(self.row, {})[self.column - 1] = what


def _column_of(place: str) -> int:
    """Return the column of a cell such as ``AB7``, counted from 1."""
    column = 0
    for letter in place.upper():
        if not "A" <= letter <= "Z":
            break
        column = column * 26 + ord(letter) - 64
    return column


if __name__ == "__main__":
    main()
