"""Arrow rows as a source's rows: plain columns, texts in NFC, and the rows whose texts cannot be kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.errors import SourceUnreadable
from tierwise.sources.decode_lines import LINE_LIMIT
from tierwise.sources.records_batch import RawBatch, Reject, checked_names, shorten

__all__ = ["TableReader", "plain_batch", "plain_type"]

_TEXTS: Final = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
    pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view,
)  # fmt: skip
_NATIVE: Final = (
    pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_date,
    pa.types.is_timestamp, pa.types.is_time, pa.types.is_duration, pa.types.is_null,
)  # fmt: skip


class TableReader:
    """Rows that somebody holds, as a reader of a source; a row's line is its place among them, counted from 1.

    Args:
        where: what the rows are called in refusals.
        rows: the rows.

    Raises:
        SourceUnreadable: when there is no column, or one is nested, has no name or a type that is not read.

    Example:
        >>> reader = TableReader("a batch", pa.table({"id": ["a", "b"], "amount": [1, 2]}))
        >>> batch = next(iter(reader))
        >>> batch.lines.to_pylist(), batch.text_of(1)
        ([1, 2], '{"id": "b", "amount": 2}')
    """

    def __init__(self, where: str, rows: pa.Table) -> None:
        if not rows.num_columns:
            raise SourceUnreadable(f"{where}: has no column", "send rows with the columns that the source maps")
        self.rows = rows
        self.rows_read = self.blank_lines = 0
        self.columns = checked_names(where, rows.column_names)
        kinds = [plain_type(where, one) for one in rows.schema]
        self.schema = pa.schema(list(zip(self.columns, kinds, strict=True)))

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = 0
        for batch in self.rows.to_batches():
            raw = plain_batch(batch, self.schema, self.rows_read + 1)
            self.rows_read += raw.records
            if raw.records:
                yield raw

    @property
    def encoding_name(self) -> str:
        """Return nothing: rows in memory have no encoding."""
        return ""


def plain_type(where: str, field: pa.Field) -> pa.DataType:
    """Return the type a column is read as: texts as strings, dictionaries as their values, others as they are.

    Args:
        where: what holds the column, for the refusal.
        field: the column.

    Raises:
        SourceUnreadable: when it is nested or of a type that is not read.
    """
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if any(is_text(kind) for is_text in _TEXTS):
        return pa.string()
    if any(is_native(kind) for is_native in _NATIVE):
        return kind
    what = "is nested" if pa.types.is_nested(kind) else "has a type that is not read here"
    hint = "write it as plain columns, or read only the other columns"
    raise SourceUnreadable(f'{where}: column "{shorten(field.name)}" {what} ({shorten(str(kind))})', hint)


def plain_batch(batch: pa.RecordBatch, schema: pa.Schema, first: int) -> RawBatch:
    """Return Arrow rows with the names and types of a schema, whose columns are in the same order.

    Args:
        batch: the rows.
        schema: their columns as they are read (see `plain_type`).
        first: the number of the first row.
    """
    flags: dict[int, tuple[str, str]] = {}
    shown, clean = [], []
    for name, kind, own in zip(schema.names, schema.types, batch.columns, strict=True):
        column = own.dictionary_decode() if pa.types.is_dictionary(own.type) else own
        if pa.types.is_string(kind):
            column, found = _texts(column)
            flags.update({row: (name, reason) for row, reason in found.items() if row not in flags})
        shown.append(column)
        clean.append(_normal(column) if pa.types.is_string(kind) else column)
    original = pa.table(shown, names=schema.names)
    table, rows = pa.table(clean, schema=schema), pa.arange(0, batch.num_rows)
    rejects = [
        Reject(first + row, name, reason, _row_json(original, row)) for row, (name, reason) in sorted(flags.items())
    ]
    if flags:
        rows = pa.array([row for row in range(batch.num_rows) if row not in flags], pa.int64())
        table = table.take(rows)
    return RawBatch(table, pc.add(rows, first), rejects, _text_of(original, rows))


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
