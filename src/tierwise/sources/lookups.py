"""Lookups: small reference tables by code, read whole and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import kind_named
from tierwise.definitions.language.times import Zone
from tierwise.definitions.load import Definitions
from tierwise.definitions.model import Lookup
from tierwise.definitions.sources import NumbersForm
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.sql import cast, col, fn, physical, text
from tierwise.errors import SourceUnreadable, near_name
from tierwise.sources.convert import Converter
from tierwise.sources.records import CsvDialect, Reader, find_files, read_csv, read_parquet
from tierwise.sources.records_workbook import WORKBOOK_ENDINGS, read_workbook

__all__ = ["lookup_columns", "read_lookup"]

_MOST_ROWS = 1_000_000


def lookup_columns(lookup: Lookup, folder: Path) -> Sequence[str]:
    """Return the columns of a lookup's file.

    Raises:
        SourceUnreadable: when the file is missing, cannot be read or lacks the key.
    """
    path = _one_file(lookup, folder)
    columns = _open(path, lookup).columns
    if lookup.key not in columns:
        raise SourceUnreadable(f"{path.name} has no column `{lookup.key}`", near_name(lookup.key, columns))
    return columns


def read_lookup(lookup: Lookup, definitions: Definitions) -> pa.Table:
    """Return a lookup as a table (key, columns …) with its declared types.

    Raises:
        SourceUnreadable: when a key stands twice, a key is missing, or a value is not of its type.
    """
    folder = definitions.folder or Path()
    path = _one_file(lookup, folder)
    columns = lookup_columns(lookup, folder)
    batches = []
    for batch in _open(path, lookup):
        for reject in batch.rejects:
            raise SourceUnreadable(
                f"{path.name}:{reject.line}: {reject.detail or reject.reason}",
                "a lookup's file must be free of broken lines",
            )
        batches.append(batch.table)
    if not batches:
        raise SourceUnreadable(f"{path.name} has no rows", "a lookup needs at least one row")
    rows = pa.concat_tables(batches)
    if rows.num_rows > _MOST_ROWS:
        raise SourceUnreadable(
            f"{path.name} has {rows.num_rows:,} rows; a lookup has at most {_MOST_ROWS:,}", "make it a stream"
        )
    converter = Converter(Clock(Zone(definitions.settings.timezone)), NumbersForm(), definitions.settings.currency)
    with DuckEngine(None) as engine:
        engine.register("raw", rows)
        select = exp.select(fn("nullif", fn("trim", cast(col(lookup.key), "VARCHAR")), text("")).as_("key"))
        for column in columns:
            if column != lookup.key:
                kind = kind_named(lookup.types.get(column, "text"))
                native = rows.schema.field(column).type
                raw: exp.Expression = col(column)
                if pa.types.is_string(native):
                    raw = fn("nullif", fn("trim", raw), text(""))
                value = cast(converter.convert(raw, native, kind), physical(kind))
                select = select.select(value.as_(column, quoted=True))
        table = engine.arrow(select.from_("raw"))
    keys = table.column("key")
    if keys.null_count:
        raise SourceUnreadable(
            f"{path.name}: {keys.null_count} rows have no `{lookup.key}`", "every row of a lookup has a key"
        )
    counted = keys.value_counts()
    twice = [one["values"].as_py() for one in counted if one["counts"].as_py() > 1]
    if twice:
        raise SourceUnreadable(
            f"{path.name}: the key `{twice[0]}` stands in {len(twice)} case(s) more than once",
            "a lookup has one row a key",
        )
    for column in columns:
        if column != lookup.key and column in lookup.types:
            _all_converted(path, rows, table, column, lookup.types[column])
    return table


def _all_converted(path: Path, rows: pa.Table, table: pa.Table, column: str, kind: str) -> None:
    values = rows.column(column).to_pylist()
    for line, (raw, value) in enumerate(zip(values, table.column(column).to_pylist(), strict=True), start=2):
        if value is None and raw is not None and str(raw).strip():
            raise SourceUnreadable(
                f"{path.name}:{line}: `{column}` is {raw!r}, not {kind}", "correct the value, or its type"
            )


def _one_file(lookup: Lookup, folder: Path) -> Path:
    files = find_files(lookup.file, folder)
    if len(files) != 1:
        raise SourceUnreadable(f"{lookup.file} names {len(files)} files; a lookup is one", "name one file")
    return files[0]


def _open(path: Path, lookup: Lookup) -> Reader:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith(WORKBOOK_ENDINGS):
        return read_workbook(path)
    return read_csv(path, CsvDialect(lookup.delimiter, '"', True, lookup.encoding, 0))
