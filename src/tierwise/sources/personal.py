"""The personal columns of one file: kept out of the engine and the lake, and given to the people vault."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.sources.mapping import Mapping_
from tierwise.store import People
from tierwise.store.identifiers import CANONICAL
from tierwise.store.people import VALUES

__all__ = ["PersonalColumns", "personal_columns"]


def personal_columns(mapping: Mapping_, people: People, at: datetime) -> PersonalColumns | None:
    """Return what keeps a file's personal columns, or nothing for a file without any."""
    return PersonalColumns(mapping, people, at) if mapping.personal else None


class PersonalColumns:
    """Takes the personal columns out of every batch, and keeps the accepted ones once their owners are known.

    Until then they are in memory only: whatever happens to the import, no file ever holds them.

    Args:
        mapping: what the file's columns are mapped to.
        people: the vault.
        at: when the file is read.
    """

    def __init__(self, mapping: Mapping_, people: People, at: datetime) -> None:
        self._roles, self._people, self._at = mapping.personal, people, at
        fields = ((column, name, role) for one in mapping.streams for name, (column, role) in one.personal.items())
        self._fields = list(dict.fromkeys(fields))
        self._kept: list[pa.Table] = []

    def conceal(self, rows: pa.Table, lines: pa.Int64Array) -> pa.Table:
        """Return the rows with nothing personal in them: blind indexes in the place of identifiers."""
        kept = {"line": lines}
        for name in rows.column_names:
            role = self._roles.get(name)
            if role is None:
                continue
            place = rows.schema.get_field_index(name)
            texts = _texts(rows.column(name))
            kept[name] = texts
            if role in CANONICAL:
                rows = rows.set_column(place, name, self._people.index(role, texts))
            else:
                rows = rows.remove_column(place)
        self._kept.append(pa.table(kept))
        return rows

    def settle(self, owners: Iterable[pa.RecordBatch]) -> None:
        """Give the vault the values of the lines that are somebody's: batches of (line, source_record_id)."""
        known = pa.Table.from_batches(owners, _OWNERS)
        for kept in self._kept:
            place = pc.index_in(kept["line"], value_set=known["line"].combine_chunks())
            records = known["source_record_id"].combine_chunks().take(place.combine_chunks())
            for column, name, role in self._fields:
                if column in kept.column_names:
                    self._put(records, kept[column], kept["line"], name, role)
        self._kept.clear()

    def _put(self, records: pa.Array, values: pa.ChunkedArray, lines: pa.ChunkedArray, name: str, role: str) -> None:
        columns = [records, pa.repeat(name, len(records)), pa.repeat(role, len(records)), values, lines]
        rows = pa.table(columns, names=VALUES.names)
        said = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(rows["value"])), 0)
        rows = rows.filter(pc.and_(pc.is_valid(rows["source_record_id"]), said))
        if rows.num_rows:
            self._people.put(rows, self._at)


def _texts(values: pa.ChunkedArray) -> pa.Array:
    """Return values as texts; a telephone number that a sheet holds as 13800138000.0 has no point."""
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
        values = values.cast(pa.int64()) if whole else values
    return values.cast(pa.string()).combine_chunks()


_OWNERS = pa.schema([("line", pa.int64()), ("source_record_id", pa.int64())])
