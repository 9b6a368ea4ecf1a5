"""What a source declared otherwise takes back: rows its files brought before and no longer bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp

from tierwise.engine.sql import cast, col, equals, fn, null, number, physical, text
from tierwise.lake import Entry, Lake
from tierwise.sources.mapping import MappedStream

__all__ = [
    "REMOVED", "ReceivedFile", "files_of", "gone", "paths_of", "received_files", "relative_name", "superseded",
    "withdrawn",
]  # fmt: skip

#: The content hash of a row that was withdrawn: what comes again with its key is new.
REMOVED = ""


def superseded(earlier: Sequence[Entry], fingerprint: str) -> tuple[int, ...]:
    """Return the imports of a file whose rows a new reading of it replaces as a whole.

    The file must be the one that was read last; of the imports before that one only those whose rows were all in it.
    Rows of a file that has been overwritten since cannot be read again, so they are left as they are.
    """
    if not earlier or earlier[-1].about["fingerprint"] != fingerprint:
        return ()
    last = earlier[-1]
    return tuple(entry.number for entry in earlier) if last.about.get("whole") else (last.number,)


def gone(lake: Lake, source: str, stream: str, imports: Sequence[int], keys: exp.Select) -> exp.Select | None:
    """Return (row_key, source_record_id) of the rows that these imports brought and whose key is not among `keys`."""
    paths = paths_of(lake, source, stream) if imports else []
    if not paths:
        return None
    listed = exp.Array(expressions=[text(str(path)) for path in paths])
    by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
    newest = exp.Select(
        expressions=[
            col("row_key"),
            fn("arg_max", col("op"), col("import_id")).as_("op"),
            fn("arg_max_null", col("source_record_id"), col("import_id")).as_("source_record_id"),
            exp.Max(this=col("import_id")).as_("import_id"),
        ]
    ).from_(exp.Table(this=fn("read_parquet", listed, by_name)))
    newest = newest.where(equals(col("source"), text(source))).group_by(col("row_key"))
    there = exp.In(this=col("row_key"), query=keys.subquery())
    mine = exp.In(this=col("import_id"), expressions=[number(one) for one in imports])
    found = exp.select(col("row_key"), col("source_record_id")).from_(newest.subquery("n"))
    return found.where(mine).where(equals(col("op"), text("put"))).where(exp.Not(this=there))


def withdrawn(rows: exp.Select, mapped: MappedStream, system: Mapping[str, exp.Expression]) -> exp.Select:
    """Return rows that are gone as rows of the lake that say so, in the order of an import's columns."""
    said = {**system, "content_hash": text(REMOVED), "op": text("delete"), "fate": text("replaced")}
    said |= {"row_key": col("row_key", "g"), "source_record_id": col("source_record_id", "g")}
    said |= {"time": system["received_at"].copy(), "line": cast(null(), "BIGINT")}
    kinds = {name: kind for name, (_, kind, _) in mapped.columns.items() if name != "time"}
    return exp.select(
        *(value.as_(name, quoted=True) for name, value in said.items()),
        *(cast(null(), physical(kind)).as_(name, quoted=True) for name, kind in kinds.items()),
    ).from_(rows.subquery("g"))


def files_of(lake: Lake, source: str, file: str) -> list[Entry]:
    """Return the imports of one file of a source, in order."""
    entries = lake.entries("rows")
    return [entry for entry in entries if entry.about.get("source") == source and entry.about["file"] == file]


@dataclass(frozen=True)
class ReceivedFile:
    """A file of the lake, and the oldest and the newest import whose rows are in it."""

    path: Path
    first: int
    last: int


def received_files(lake: Lake, source: str, stream: str) -> list[ReceivedFile]:
    """Return the lake's files of a stream that a source brought."""
    entries = [entry for entry in lake.entries("rows") if entry.about.get("source") == source]
    return [
        ReceivedFile(lake.folder / file.path, file.first or entry.number, entry.number)
        for entry in entries
        for file in entry.files
        if file.table == stream
    ]


def paths_of(lake: Lake, source: str, stream: str) -> list[Path]:
    """Return the paths of the lake's files of a stream that a source brought."""
    return [file.path for file in received_files(lake, source, stream)]


def relative_name(path: Path, folder: Path) -> str:
    """Return how the lake calls a file: below the project's folder without it, so that a project can be moved."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
