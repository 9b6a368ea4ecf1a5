"""Rows that are sent: taken into the lake as a file's rows are, once, whatever is sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.check import effective_streams
from tierwise.definitions.load import Definitions
from tierwise.errors import BadRequest, DefinitionsInvalid, UnknownName, near_name
from tierwise.lake import Entry, Lake
from tierwise.sources.collect import mapped, source_hash
from tierwise.sources.importer import FileImport, import_file
from tierwise.sources.known import KnownKeys
from tierwise.sources.records_arrow import TableReader
from tierwise.store import Store

__all__ = ["Accepted", "accept", "as_rows"]

#: A position is a short text: an offset, a sequence number, the name of a message.
_LONGEST_POSITION: Final = 200
#: What the lake calls rows that were sent, before their position.
_SENT: Final = "sent/"


@dataclass(frozen=True)
class Accepted:
    """What became of rows that were sent: the manifest that has them, and whether it had them before."""

    entry: Entry
    is_known: bool

    def report(self) -> dict[str, Any]:
        """Return how many rows were new, replaced, duplicate and quarantined, and why, as plain values."""
        return {**self.entry.about["report"], "state": "known" if self.is_known else "accepted"}


def as_rows(rows: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table: records have a column for each of their keys.

    Raises:
        BadRequest: when a column has values of several kinds, or a key is no text.

    Example:
        >>> as_rows([{"id": "a", "amount": 2}, {"id": "b", "city": "sh"}]).to_pylist()[1]
        {'id': 'b', 'amount': None, 'city': 'sh'}
    """
    if isinstance(rows, pa.Table):
        return rows
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        if not isinstance(name, str):
            raise BadRequest(f"the key {name!r} is no text", "a key names a column")
        try:
            columns[name] = pa.array([row.get(name) for row in rows])
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise BadRequest(
                f"the values of `{name}` are of several kinds, or of one that no column has: {error}",
                "send every value of a column as the same kind, such as text",
            ) from error
    return pa.table(columns)


def accept(
    definitions: Definitions,
    lake: Lake,
    quarantine: Path,
    store: Store,
    source: str,
    rows: pa.Table,
    position: str,
    received_at: datetime,
    known_keys: KnownKeys,
) -> Accepted:
    """Take rows into the lake: when this returns, they are on the disk, and no kill or power cut undoes it.

    Every row becomes new, replaced, duplicate or quarantined, as a row of a file does, and personal columns go to the
    vault. The same rows at the same position are taken once; without rows, there is nothing to remember.

    Args:
        definitions: what is declared.
        lake: where accepted rows go.
        quarantine: the folder of the quarantine's files.
        store: gives customers their numbers and keeps what is personal.
        source: the source that sends them.
        rows: the rows, with the columns that the source maps.
        position: where in what the source sends they are, such as an offset.
        received_at: when they were received, naive UTC.
        known_keys: tells whether the lake has a row.

    Raises:
        UnknownName: when there is no such source.
        BadRequest: when other rows were sent at this position, or it is none.
        DefinitionsInvalid: when the source does not fit the columns.
        SourceUnreadable: when a column cannot be read.
    """
    form = definitions.sources.get(source)
    if form is None:
        raise UnknownName(f"there is no source `{source}`", near_name(source, definitions.sources))
    if not position.strip() or len(position) > _LONGEST_POSITION or not position.isprintable():
        raise BadRequest(
            f"`{position[:40]}` is no position",
            f"send what tells these rows from all others of the source: 1 to {_LONGEST_POSITION} printable characters",
        )
    seen, known = _fingerprint(rows), lake.at(source, position)
    if known is not None:
        if known.about["fingerprint"] != seen:
            raise BadRequest(
                f"other rows of `{source}` were sent at position {position} before",
                "send new rows at a new position; a row of a known key corrects the one that was sent",
            )
        return Accepted(known, True)
    streams, problems = effective_streams(definitions)
    reader = TableReader(f"rows of {source}", rows)
    mapping = mapped(source, form, definitions, streams, reader)
    if problems or mapping.problems:
        raise DefinitionsInvalid([*problems, *mapping.problems])
    name = f"{_SENT}{position}"
    declared = source_hash(form, definitions)
    work = FileImport(
        source, name, form, definitions, mapping, seen, declared, received_at, position=position, known_keys=known_keys
    )
    import_file(work, name, reader, lake, quarantine, store)
    found = lake.at(source, position)
    assert found is not None, "it has just been written"
    return Accepted(found, False)


def _fingerprint(rows: pa.Table) -> str:
    """Return the hash of what rows say, however their columns are cut into pieces."""
    digest = hashlib.sha256()
    for field, column in zip(rows.schema, rows.columns, strict=True):
        digest.update(f"{field.name}\x1f{field.type}\x1f{column.to_pylist()!r}\x1e".encode(errors="backslashreplace"))
    return digest.hexdigest()
