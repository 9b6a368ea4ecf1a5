"""Taking a person's rows out of the lake: the one case in which its files are written again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise.lake.manifests import Lake

__all__ = ["Mentions", "mentions", "rewrite_without", "rows_about"]

#: Columns that are the lake's own: what stands in them is nobody's word.
_OWN: Final = frozenset({"source", "key_space", "op", "fate", "content_hash"})
#: The column that holds another customer's number.
_NAMES_A_CUSTOMER: Final = "referred_by"


@dataclass
class Mentions:
    """Where a person is in the lake: rows by table, words in other people's rows, lines by import, files concerned."""

    rows: Counter[str] = field(default_factory=Counter)
    words: int = 0
    lines: dict[int, list[int]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def note(self, rows: pa.Table) -> None:
        """Take in the lines of some rows; a row that was withdrawn has none."""
        for number, line in zip(rows["import_id"].to_pylist(), rows["line"].to_pylist(), strict=True):
            if line is not None:
                self.lines.setdefault(number, []).append(line)


def mentions(lake: Lake, records: Sequence[int], words: Sequence[str], numbers: Sequence[str]) -> Mentions:
    """Find a person in the rows that were received.

    Args:
        lake: the lake.
        records: their source records.
        words: texts that name nobody else, in whatever column they stand.
        numbers: their customer numbers, in columns that name a customer.
    """
    found = Mentions()
    mine = pa.array(sorted(records), pa.int64())
    for table, path in _files(lake):
        before = sum(found.rows.values()) + found.words
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                own = pc.is_in(rows["source_record_id"], value_set=mine)
                theirs = rows.filter(own)
                if theirs.num_rows:
                    found.rows[table] += theirs.num_rows
                    found.note(theirs)
                others = rows.filter(pc.invert(own))
                for name, sought in _sought(others.schema, words, numbers):
                    named = others.filter(pc.is_in(others[name], value_set=sought))
                    found.words += named.num_rows
                    found.note(named)
        if sum(found.rows.values()) + found.words > before:
            found.files.append(path)
    return found


def rows_about(lake: Lake, records: Sequence[int]) -> dict[str, pa.Table]:
    """Return every row that was received about some source records, by table."""
    mine = pa.array(sorted(records), pa.int64())
    parts: dict[str, list[pa.Table]] = {}
    for table, path in _files(lake):
        rows = pq.read_table(path, filters=pc.field("source_record_id").isin(mine))
        if rows.num_rows:
            parts.setdefault(table, []).append(rows)
    return {table: pa.concat_tables(found, promote_options="default") for table, found in parts.items()}


def rewrite_without(lake: Lake, records: Sequence[int], words: Sequence[str], numbers: Sequence[str]) -> Mentions:
    """Write the files that mention a person again, without their rows and with nothing where they were named.

    Each file takes the place of the old one by a rename, and the manifests are corrected afterwards, so doing it again
    after a kill ends it. Returns what was found.
    """
    lake.purge()
    found = mentions(lake, records, words, numbers)
    mine = pa.array(sorted(records), pa.int64())
    for path in found.files:
        draft = path.with_name(f".{path.name}.tmp")
        with pq.ParquetFile(path) as file, pq.ParquetWriter(draft, file.schema_arrow, compression="zstd") as writer:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group)
                rows = rows.filter(pc.invert(pc.is_in(rows["source_record_id"], value_set=mine)))
                for name, sought in _sought(rows.schema, words, numbers):
                    known = pc.is_in(rows[name], value_set=sought)
                    blank = pc.if_else(known, pa.scalar(None, rows.schema.field(name).type), rows[name])
                    rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), blank)
                writer.write_table(rows)
        lake.replace_file(path, draft)
    lake.correct_counts()
    return found


def _files(lake: Lake) -> Iterator[tuple[str, Path]]:
    for entry in lake.entries("rows"):
        for one in entry.files:
            path = lake.folder / one.path
            if "source_record_id" in pq.read_schema(path).names:
                yield one.table, path


def _sought(schema: pa.Schema, words: Sequence[str], numbers: Sequence[str]) -> Iterator[tuple[str, pa.Array]]:
    """Yield the text columns of other people's rows with what is looked for in each."""
    for column in schema:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)) or column.name in _OWN:
            continue
        sought = {*words, *numbers} if column.name == _NAMES_A_CUSTOMER else {*words}
        if sought and column.name != "row_key":
            yield column.name, pa.array(sorted(sought), column.type)
