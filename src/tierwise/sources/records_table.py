"""Rows that a database hands out, as batches with types; the number of the row stands where a file has its line."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.sources.decode_lines import LINE_LIMIT
from tierwise.sources.records_batch import RawBatch, Reject, checked_names

__all__ = ["FIELD_KINDS", "Field", "TableReader"]

#: What the values of a column can be, and what they are in the batches; times come as ISO texts.
FIELD_KINDS: Final = {
    "text": pa.string(), "integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(),
    "wall": pa.timestamp("us"), "instant": pa.timestamp("us", tz="UTC"), "number": pa.string(),
}  # fmt: skip
#: How dates and times are written that a calendar of four digits has: not ``infinity``, not before Christ.
_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:\+00)?$"


@dataclass(frozen=True)
class Field:
    """A column of a result: its name and its kind, one of `FIELD_KINDS`; a ``number`` is a text of digits."""

    name: str
    kind: str


class TableReader:
    """An open table or query: its `columns` and the `schema` of the batches; iterate it, any number of times.

    Args:
        shown: what it is called in messages.
        fields: the columns of the result.
        chunks: gives the rows, some at a time, from the first one on, each time it is called.
        decimal: the decimal sign of the source, for numbers that are texts.
        without: columns that are not read.
    """

    def __init__(
        self,
        shown: str,
        fields: Sequence[Field],
        chunks: Callable[[], Iterator[Sequence[Sequence[Any]]]],
        decimal: str = ".",
        without: Collection[str] = (),
    ) -> None:
        self.columns = checked_names(shown, [field.name for field in fields])
        self.rows_read = self.blank_lines = 0
        self._chunks, self._decimal = chunks, decimal
        self._kept = [
            (at, name, field.kind)
            for at, (name, field) in enumerate(zip(self.columns, fields, strict=True))
            if name not in without
        ]

    @property
    def schema(self) -> pa.Schema:
        """Return the columns of the batches with their types."""
        return pa.schema([(name, FIELD_KINDS[kind]) for _, name, kind in self._kept])

    @property
    def encoding_name(self) -> str:
        """A database has none to tell."""
        return ""

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = self.blank_lines = 0
        for rows in self._chunks():
            if rows:
                yield self._batch(rows)

    def _batch(self, rows: Sequence[Sequence[Any]]) -> RawBatch:
        first = self.rows_read + 1
        self.rows_read += len(rows)
        values = list(zip(*rows, strict=True))
        flags: dict[int, tuple[str, str, str]] = {}
        arrays = []
        for at, name, kind in self._kept:
            array, wrong = _array(values[at], kind, self._decimal)
            arrays.append(array)
            for row, (reason, detail) in wrong.items():
                flags.setdefault(row, (name, reason, detail))
        table = pa.table(arrays, schema=self.schema)
        rejects = [
            Reject(first + row, name, reason, self._json(rows[row]), detail)
            for row, (name, reason, detail) in sorted(flags.items())
        ]
        kept = pa.array([row for row in range(len(rows)) if row not in flags], pa.int64())
        if flags:
            table = table.take(kept)
        return RawBatch(table, pc.add(kept, first), rejects, lambda index: self._json(rows[kept[index].as_py()]))

    def _json(self, row: Sequence[Any]) -> str:
        return json.dumps({name: row[at] for at, name, _ in self._kept}, ensure_ascii=False, default=_shown)


def _shown(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _array(values: Sequence[Any], kind: str, decimal: str) -> tuple[pa.Array, dict[int, tuple[str, str]]]:
    """Return the values of a column, and the rows whose value cannot be kept, with the reason."""
    if kind in ("integer", "float", "boolean"):
        return pa.array(values, FIELD_KINDS[kind]), {}
    if kind in ("text", "number"):
        return _texts([_plain(value, decimal if kind == "number" else ".") for value in values])
    texts = pa.array(values, pa.string())
    known = pc.fill_null(pc.match_substring_regex(texts, _DATE if kind == "date" else _TIME), True)
    rows = pc.indices_nonzero(pc.invert(known)).to_pylist()
    plain = pc.replace_substring_regex(pc.if_else(known, texts, None), r"\+00$", "")
    wrong = {row: ("out_of_range", str(values[row])) for row in rows}
    array = plain.cast(pa.date32() if kind == "date" else pa.timestamp("us"))
    return (array.cast(FIELD_KINDS[kind]) if kind != "instant" else pc.assume_timezone(array, "UTC")), wrong


def _plain(value: Any, decimal: str) -> Any:
    """Return a value of any type as a text: SQLite keeps what it is given, whatever the column is declared."""
    if value is None or isinstance(value, str | bytes):
        return value if decimal == "." or not isinstance(value, str) else value.replace(".", decimal)
    text = repr(value) if isinstance(value, float) else str(value)
    return text if decimal == "." else text.replace(".", decimal)


def _texts(values: list[Any]) -> tuple[pa.Array, dict[int, tuple[str, str]]]:
    wrong: dict[int, tuple[str, str]] = {}
    for row, value in enumerate(values):
        if value is None:
            continue
        if isinstance(value, bytes):
            wrong[row] = ("encoding", f"{len(value):,} bytes that are no text")
            values[row] = None
        elif "\0" in value:
            wrong[row] = ("nul", f"at character {value.index(chr(0)) + 1} of the value")
        elif len(value) > LINE_LIMIT:
            wrong[row] = ("too_long", f"{len(value):,} characters")
            values[row] = None
    array = pa.array(values, pa.string())
    ascii_only = pc.all(pc.string_is_ascii(array)).as_py()
    return (array if ascii_only in (True, None) else pc.utf8_normalize(array, form="NFC")), wrong
