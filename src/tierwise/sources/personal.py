"""The personal columns of one file: kept out of the engine and the lake, and given to the people vault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.sources.mapping import Mapping_
from tierwise.store import People
from tierwise.store.identifiers import CANONICAL
from tierwise.store.keys import MasterKey, make_key
from tierwise.store.people import VALUES

__all__ = ["PersonalColumns", "personal_columns"]

#: What is kept in memory of a file's personal values until their owners are known.
_BYTES_MAX: Final = 64 << 20


def personal_columns(mapping: Mapping_, people: People, at: datetime, folder: Path) -> PersonalColumns | None:
    """Return what keeps a file's personal columns, or nothing for a file without any."""
    return PersonalColumns(mapping, people, at, folder) if mapping.personal else None


class PersonalColumns:
    """Takes the personal columns out of every batch, and keeps the accepted ones once their owners are known.

    Until then they are in memory; those of a large file wait in files, encrypted under a key that nothing but this
    object has: whatever happens to the import, no file ever holds them so that anybody could read them.

    Args:
        mapping: what the file's columns are mapped to.
        people: the vault.
        at: when the file is read.
        folder: where what is too much for the memory waits; it goes with the import.
    """

    def __init__(self, mapping: Mapping_, people: People, at: datetime, folder: Path) -> None:
        self._roles, self._people, self._at = mapping.personal, people, at
        fields = ((column, name, role) for one in mapping.streams for name, (column, role) in one.personal.items())
        self._fields = list(dict.fromkeys(fields))
        self._kept: list[pa.Table] = []
        self._folder, self._key = folder, MasterKey(make_key())
        self._waiting: list[Path] = []

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
        if sum(table.nbytes for table in self._kept) > _BYTES_MAX:
            self._put_aside()
        return rows

    def settle(self, owners: Callable[[int, int], Iterable[pa.RecordBatch]]) -> None:
        """Give the vault the values of the lines that are somebody's.

        Args:
            owners: gives batches of (line, source_record_id) of the lines from one to another.
        """
        for kept in self._all_kept():
            ends = pc.min_max(kept["line"]).as_py()
            if ends["min"] is None:
                continue
            known = pa.Table.from_batches(owners(ends["min"], ends["max"]), _OWNERS)
            place = pc.index_in(kept["line"], value_set=known["line"].combine_chunks())
            records = known["source_record_id"].combine_chunks().take(place.combine_chunks())
            for column, name, role in self._fields:
                if column in kept.column_names:
                    self._put(records, kept[column], kept["line"], name, role)

    def _all_kept(self) -> Iterator[pa.Table]:
        """Yield what was kept, in the order of its lines, and forget it."""
        for number, path in enumerate(self._waiting):
            yield pa.ipc.open_stream(self._key.unwrap(path.read_bytes(), f"personal|{number}")).read_all()
            path.unlink()
        self._waiting.clear()
        if self._kept:
            yield _together(self._kept)
        self._kept.clear()

    def _put_aside(self) -> None:
        """Let what is in memory wait in a file that only this object can read."""
        rows = _together(self._kept)
        written = pa.BufferOutputStream()
        with pa.ipc.new_stream(written, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_table(rows)
        number = len(self._waiting)
        path = self._folder / f"personal-{number}"
        path.write_bytes(self._key.wrap(written.getvalue().to_pybytes(), f"personal|{number}"))
        self._waiting.append(path)
        self._kept.clear()

    def _put(self, records: pa.Array, values: pa.ChunkedArray, lines: pa.ChunkedArray, name: str, role: str) -> None:
        columns = [records, pa.repeat(name, len(records)), pa.repeat(role, len(records)), values, lines]
        rows = pa.table(columns, names=VALUES.names)
        said = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(rows["value"])), 0)
        rows = rows.filter(pc.and_(pc.is_valid(rows["source_record_id"]), said))
        if rows.num_rows:
            self._people.put(rows, self._at)


def _together(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="default")


def _texts(values: pa.ChunkedArray) -> pa.Array:
    """Return values as texts; a telephone number that a sheet holds as 13800138000.0 has no point."""
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        whole = pc.all(pc.equal(values, pc.floor(values))).as_py()
        values = values.cast(pa.int64()) if whole else values
    return values.cast(pa.string()).combine_chunks()


_OWNERS = pa.schema([("line", pa.int64()), ("source_record_id", pa.int64())])
