"""CSV files as batches of raw text rows with line numbers: nothing is sniffed, converted or dropped.

Rows read = rows in the tables + rejects, always. `read_parquet`, `find_files` and `fingerprint` stand beside it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.errors import SourceUnreadable
from tierwise.sources.decode import Encoding, decode_block, detect_encoding, source_lines
from tierwise.sources.decode_lines import LineBlock, LongLine
from tierwise.sources.records_batch import (
    REJECT_REASONS,
    RawBatch,
    Reader,
    Reject,
    checked_names,
    named_columns,
    positions_of,
    shorten,
    without_prefix,
)  # fmt: skip
from tierwise.sources.records_files import find_files, fingerprint, stamp_of, unchanged_since
from tierwise.sources.records_parquet import ParquetReader, read_parquet
from tierwise.sources.records_split import Broken, Layout, Record, RecordWalk, Split, split_block

__all__ = [
    "REJECT_REASONS", "CsvDialect", "CsvReader", "ParquetReader", "RawBatch", "Reader", "Reject", "find_files",
    "fingerprint", "read_csv", "read_parquet",
]  # fmt: skip

_DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How a CSV file is written, as its source declares; nothing of it is sniffed but the encoding, if not given.

    `quote` may be empty: then quotes are ordinary characters. `skip_lines` are the lines above the header. Without a
    `header` the columns are named by `columns`, or else ``column_1``, ``column_2`` …
    """

    delimiter: str = ","
    quote: str = '"'
    header: bool = True
    encoding: str | None = None
    skip_lines: int = 0
    columns: tuple[str, ...] = ()


def read_csv(
    path: Path,
    dialect: CsvDialect | None = None,
    *,
    batch_rows: int = 65536,
    columns: Sequence[str] | None = None,
) -> CsvReader:
    r"""Open a CSV file, plain or gzipped, and read its header.

    A record is one line, or several where a quoted field holds line ends. What is no row is a `Reject`: too few or
    too many fields (`ragged`), a quoted field still open after 1,000 lines, 1 MB or the end of the file
    (`unclosed_quote`; that line only, reading resumes with the next), text behind a closing quote (`bad_quote`),
    NUL (`nul`), a line of more than 1 MB (`too_long`), undecodable bytes (`encoding`). Blank lines are counted, no
    more. Values are NFC; a line end inside a value is ``\n``; an empty cell is ``''``. A quote inside an unquoted
    field is an ordinary character.

    Args:
        path: The file.
        dialect: How it is written; by default comma, double quote, header.
        batch_rows: No batch has more rows than this.
        columns: Only these columns, in this order; all of them by default.

    Raises:
        SourceUnreadable: The file cannot be read at all; also while iterating, should it change or be damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.csv")
        ...     _ = path.write_bytes(b'id,amount\n1,"9.90"\n2\n')
        ...     reader = read_csv(path)
        ...     batch = next(iter(reader))
        >>> reader.columns, batch.table.to_pylist(), batch.lines.to_pylist(), batch.text_of(0)
        (('id', 'amount'), [{'id': '1', 'amount': '9.90'}], [2], '1,"9.90"')
        >>> batch.rejects
        [Reject(line=3, column=None, reason='ragged', text='2', detail='1 field, the header has 2')]
    """
    return CsvReader(path, dialect or CsvDialect(), batch_rows, columns)


class CsvReader:
    """An open CSV file: `columns` as in its header, `encoding` as found; iterate it, any number of times, for batches.

    `rows_read` (rows and rejects) and `blank_lines` count the current or last iteration.
    """

    def __init__(self, path: Path, dialect: CsvDialect, batch_rows: int, columns: Sequence[str] | None) -> None:
        _check_dialect(path, dialect)
        assert batch_rows > 0, "a batch has at least one row"
        self.path = path
        self.dialect = dialect
        self._stamp = stamp_of(path)
        self.encoding: Encoding = detect_encoding(path, dialect.encoding)
        self.rows_read = 0
        self._batch_rows = batch_rows
        names, self._first_line, self._blank_before = self._find_names()
        self.columns = names
        self.blank_lines = self._blank_before
        self._layout = Layout(dialect.delimiter, dialect.quote, names, positions_of(path, names, columns))

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read, self.blank_lines = 0, self._blank_before
        rest, line = b"", self._first_line
        for item in source_lines(self.path, self.encoding):
            if isinstance(item, LongLine):
                if item.line < self._first_line:
                    continue
                if rest:
                    yield from self._batches(self._split(rest, line, True))
                yield self._too_long(item)
                rest, line = b"", item.line + 1
                continue
            rest += _from_line(item, self._first_line)
            if not rest:
                continue
            split = self._split(rest, line, False)
            yield from self._batches(split)
            rest, line = _last_lines(rest, len(split.lines) - split.taken), line + split.taken
        if rest:
            yield from self._batches(self._split(rest, line, True))
        unchanged_since(self.path, self._stamp)

    @property
    def schema(self) -> pa.Schema:
        """Every cell is a text."""
        return pa.schema([(self.columns[at], pa.string()) for at in self._layout.kept])

    @property
    def encoding_name(self) -> str:
        """Return the encoding as it was found or declared."""
        return self.encoding.name

    def _split(self, data: bytes, line: int, last: bool) -> Split:
        return split_block(decode_block(data, self.encoding), line, self._layout, last)

    def _batches(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of a block in slices, each reject with the rows around it."""
        self.blank_lines += split.blank
        self.rows_read += len(split.at) + len(split.rejects)
        lines, whole = pc.add(split.at, split.first_line), without_prefix(split.table)
        sent = 0
        for start in range(0, max(1, len(lines)), self._batch_rows):
            stop = start + self._batch_rows
            until = len(split.rejects)
            if stop < len(lines):
                until = bisect_left(split.rejects, lines[stop].as_py(), sent, key=lambda reject: reject.line)
            at = split.at.slice(start, self._batch_rows)
            table, rejects = whole.slice(start, self._batch_rows), split.rejects[sent:until]
            sent = until
            if len(at) or rejects:
                yield RawBatch(table, lines.slice(start, self._batch_rows), rejects, _text_of(split, at))

    def _too_long(self, item: LongLine) -> RawBatch:
        self.rows_read += 1
        head = decode_block(item.head, self.encoding).data.decode().replace("\n", " ")
        reject = Reject(item.line, None, "too_long", shorten(head).rstrip("…") + "…", "more than 2 MB")
        empty = self._split(b"", 1, True)
        return RawBatch(empty.table, empty.at, [reject], _text_of(empty, empty.at))

    def _find_names(self) -> tuple[tuple[str, ...], int, int]:
        """Return (names, the line the data begin at, blank lines above)."""
        dialect, blank = self.dialect, 0
        for item in source_lines(self.path, self.encoding):
            if isinstance(item, LongLine):
                if item.line > dialect.skip_lines:
                    raise SourceUnreadable(f"{self.path}:{item.line}: the line is longer than 1 MB", _HEADER_HINT)
                continue
            decoded = decode_block(item.data, self.encoding)
            lines = decoded.data.decode().split("\n")[:-1]
            for index, text in enumerate(lines):
                line = item.first_line + index
                if line <= dialect.skip_lines:
                    continue
                if text:
                    return (*self._names_at(lines, index, line, decoded.broken), blank)
                blank += 1
        if dialect.skip_lines:
            raise SourceUnreadable(f"{self.path}: is empty below the {dialect.skip_lines} lines skipped", _HEADER_HINT)
        raise SourceUnreadable(f"{self.path}: is empty", "a CSV file has at least a line with the names of its columns")

    def _names_at(self, lines: list[str], index: int, line: int, broken: frozenset[int]) -> tuple[tuple[str, ...], int]:
        where, dialect = f"{self.path}:{line}", self.dialect
        found = RecordWalk(lines, dialect.delimiter, dialect.quote, True).record(index)
        if not dialect.header:
            # The first record is data; were it broken, its separators still tell how many columns there are.
            fields = found.fields if isinstance(found, Record) else lines[index].split(dialect.delimiter)
            _check_delimiter(where, lines[index], len(fields), dialect)
            numbered = tuple(f"column_{number}" for number in range(1, len(fields) + 1))
            return named_columns(where, dialect.columns, numbered), line
        assert found is not None, "a walk told that these are the last lines never asks for more"
        if isinstance(found, Broken):
            raise SourceUnreadable(f"{where}: the header cannot be read, {found.detail}", _HEADER_HINT)
        text = "\n".join(lines[index : found.last + 1])
        if "\0" in text or not broken.isdisjoint(range(index, found.last + 1)):
            what = "a NUL character" if "\0" in text else f"bytes that are not {self.encoding.name}"
            raise SourceUnreadable(f"{where}: the header holds {what}", "declare the encoding, or repair the file")
        _check_delimiter(where, lines[index], len(found.fields), dialect)
        return checked_names(where, found.fields), line + found.last - index + 1


_HEADER_HINT: Final = "the first line below `skip_lines` names the columns; is there none, declare `header: false`"


def _check_dialect(path: Path, dialect: CsvDialect) -> None:
    for key, value, empty in (("delimiter", dialect.delimiter, False), ("quote", dialect.quote, True)):
        plain = len(value) == 1 and value.isascii() and not value.isalnum() and value not in "\r\n\0"
        if not plain and not (empty and not value):
            raise SourceUnreadable(f"{path}: `{key}: {value!r}` is not one ASCII character", "usual ones: , ; | tab")
    if dialect.delimiter == dialect.quote:
        raise SourceUnreadable(f"{path}: delimiter and quote are both {dialect.quote!r}", "they must differ")
    if dialect.skip_lines < 0:
        raise SourceUnreadable(f"{path}: `skip_lines: {dialect.skip_lines}` is negative", "leave it out, or say 0")


def _check_delimiter(where: str, text: str, count: int, dialect: CsvDialect) -> None:
    """Refuse a first line that is one column as declared and several with another usual delimiter."""
    if count != 1:
        return
    parts = {d: sum(1 for part in text.split(d) if part.strip()) for d in _DELIMITERS if d != dialect.delimiter}
    best = max(parts, key=lambda delimiter: parts[delimiter])
    if parts[best] > 1:
        written = "\\t" if best == "\t" else best
        declared = _DELIMITERS.get(dialect.delimiter, dialect.delimiter)
        message = f"{where}: one column when split at {declared}, {parts[best]} when split at {_DELIMITERS[best]}"
        raise SourceUnreadable(message, f'declare `delimiter: "{written}"`')


def _from_line(block: LineBlock, first: int) -> bytes:
    """Return the lines of a block from line `first` on."""
    at = 0
    for _ in range(first - block.first_line):
        at = block.data.find(b"\n", at) + 1
        if not at:
            return b""
    return block.data[at:]


def _text_of(split: Split, at: pa.Int64Array) -> Callable[[int], str]:
    return lambda index: split.text_at(at[index].as_py())


def _last_lines(data: bytes, count: int) -> bytes:
    at = len(data)
    for _ in range(count):
        at = data.rfind(b"\n", 0, at - 1) + 1
    return data[at:]
