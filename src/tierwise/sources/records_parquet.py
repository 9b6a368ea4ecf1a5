"""Parquet files as batches of rows in their own types, with row numbers where a CSV file has line numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise.errors import SourceUnreadable
from tierwise.sources.decode_lines import LINE_LIMIT
from tierwise.sources.records_batch import RawBatch, Reject, checked_names, positions_of, shorten
from tierwise.sources.records_files import stamp_of, unchanged_since

__all__ = ["ParquetReader", "read_parquet"]

_TEXTS: Final = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
)  # fmt: skip
_NATIVE: Final = (
    pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_date,
    pa.types.is_timestamp, pa.types.is_time, pa.types.is_duration, pa.types.is_null,
)  # fmt: skip


def read_parquet(path: Path, columns: Sequence[str] | None = None, *, batch_rows: int = 65536) -> ParquetReader:
    """Open a Parquet file.

    Texts become NFC strings (bytes without a type too, as old writers left them), dictionaries their values; numbers,
    decimals, dates and instants stay as they are. A row with bytes that are no UTF-8, a NUL character or a text of
    more than 1 MB is a `Reject`, its text the row as JSON.

    Args:
        path: The file.
        columns: Only these columns, in this order; all of them by default.
        batch_rows: No batch has more rows than this.

    Raises:
        SourceUnreadable: The file is damaged or no Parquet, or a column is nested or of a type not read here.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.parquet")
        ...     pq.write_table(pa.table({"id": ["a", "b"], "amount": [1, 2]}), path)
        ...     batch = next(iter(read_parquet(path)))
        >>> batch.lines.to_pylist(), batch.text_of(1)
        ([1, 2], '{"id": "b", "amount": 2}')
    """
    return ParquetReader(path, columns, batch_rows)


class ParquetReader:
    """An open Parquet file: its `columns`, the `schema` of the batches; iterate it, any number of times.

    `rows_read` counts the current or last iteration; `blank_lines` is 0, as for a CSV file without any.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None, batch_rows: int) -> None:
        assert batch_rows > 0, "a batch has at least one row"
        self.path = path
        self.rows_read = 0
        self.blank_lines = 0
        self._batch_rows = batch_rows
        self._stamp = stamp_of(path)
        with _refusing(path, "cannot be read as Parquet"), self._open() as file:
            own = file.schema_arrow
            if file.metadata.num_columns == 0:
                raise SourceUnreadable(f"{path}: has no column", "export it again")
        self.columns = checked_names(str(path), own.names)
        self._positions = positions_of(path, self.columns, columns)
        self._own_names = [own.field(position).name for position in self._positions]
        self.schema = pa.schema([(self.columns[i], self._type_of(own.field(i))) for i in self._positions])

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = 0
        with _refusing(self.path, "is damaged"), self._open() as file:
            batches = file.iter_batches(self._batch_rows, columns=self._own_names, use_threads=False)
            while (batch := next(batches, None)) is not None:
                raw = self._batch(batch)
                self.rows_read += raw.records
                assert raw.records == batch.num_rows, "a row was lost"
                if raw.records:
                    yield raw
        unchanged_since(self.path, self._stamp)

    @property
    def encoding_name(self) -> str:
        """A Parquet file has none."""
        return ""

    def _open(self) -> pq.ParquetFile:
        return pq.ParquetFile(self.path, memory_map=False, pre_buffer=False, page_checksum_verification=True)

    def _type_of(self, field: pa.Field) -> pa.DataType:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if any(is_text(kind) for is_text in _TEXTS):
            return pa.string()
        if any(is_native(kind) for is_native in _NATIVE):
            return kind
        what = "is nested" if pa.types.is_nested(kind) else "has a type that is not read here"
        hint = "write it as plain columns, or read only the other columns"
        raise SourceUnreadable(f'{self.path}: column "{shorten(field.name)}" {what} ({shorten(str(kind))})', hint)

    def _batch(self, batch: pa.RecordBatch) -> RawBatch:
        flags: dict[int, tuple[str, str]] = {}
        shown, clean = [], []
        for name, kind, own in zip(self.schema.names, self.schema.types, self._own_names, strict=True):
            column = batch.column(own)
            if pa.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if pa.types.is_string(kind):
                column, found = _texts(column)
                flags.update({row: (name, reason) for row, reason in found.items() if row not in flags})
            shown.append(column)
            clean.append(_normal(column) if pa.types.is_string(kind) else column)
        original = pa.table(shown, names=self.schema.names)
        table, rows = pa.table(clean, schema=self.schema), pa.arange(0, batch.num_rows)
        first = self.rows_read + 1
        rejects = [
            Reject(first + row, name, reason, _row_json(original, row)) for row, (name, reason) in sorted(flags.items())
        ]
        if flags:
            rows = pa.array([row for row in range(batch.num_rows) if row not in flags], pa.int64())
            table = table.take(rows)
        return RawBatch(table, pc.add(rows, first), rejects, _text_of(original, rows))


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    """Turn whatever Arrow raises for a bad file into a refusal."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        message = f"{path}: {what} ({shorten(reason)})"
        raise SourceUnreadable(message, "copy or export it again; a CSV file ends in .csv") from error


def _texts(column: pa.Array) -> tuple[pa.StringArray, dict[int, str]]:
    """Return the column as strings, and the rows whose text cannot be kept, with the reason."""
    data = column.cast(pa.binary())
    flags: dict[int, str] = {}
    try:
        texts = data.cast(pa.string())
    except pa.ArrowInvalid:
        values = data.to_pylist()
        flags.update({row: "encoding" for row, value in enumerate(values) if value is not None and not _is_utf8(value)})
        texts = pa.array([None if value is None else value.decode("utf-8", "replace") for value in values], pa.string())
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        found = pc.indices_nonzero(pc.match_substring(texts, "\0")).to_pylist()
        flags.update(dict.fromkeys(found, "nul"))
    lengths = pc.binary_length(data)
    if (pc.max(lengths).as_py() or 0) > LINE_LIMIT:
        flags.update(dict.fromkeys(pc.indices_nonzero(pc.greater(lengths, LINE_LIMIT)).to_pylist(), "too_long"))
    return texts, flags


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _normal(column: pa.StringArray) -> pa.StringArray:
    return column if pc.all(pc.string_is_ascii(column)).as_py() else pc.utf8_normalize(column, form="NFC")


def _text_of(original: pa.Table, rows: pa.Int64Array) -> Callable[[int], str]:
    return lambda index: _row_json(original, rows[index].as_py())


def _row_json(table: pa.Table, row: int) -> str:
    values = {name: _plain(table.column(name).slice(row, 1)) for name in table.column_names}
    return json.dumps(values, ensure_ascii=False)


def _plain(cell: pa.ChunkedArray) -> Any:
    """Return a value for JSON: numbers, booleans and null as such, all others as text."""
    kind = cell.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return cell[0].as_py()
    try:
        text = cell.cast(pa.string())[0].as_py()
    except (pa.ArrowException, ValueError, OverflowError):
        text = cell.cast(pa.int64())[0].as_py()
    if pa.types.is_floating(kind) and text is not None and text.lstrip("-") not in ("nan", "inf"):
        return float(text)
    return shorten(text, 2000) if isinstance(text, str) else text
