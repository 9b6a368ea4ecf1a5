"""The rows of one file in the table ``staged$``: read ahead, converted and judged in large batches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import col, number, text
from tierwise.sources.mapping import INDEX_SUFFIX, Mapping_
from tierwise.sources.quarantine import Refusing
from tierwise.sources.records import CsvReader, RawBatch, Reader
from tierwise.sources.related import UNMATCHED
from tierwise.sources.statements import RAW, SEPARATOR, STAGED, RowStatements, named, present
from tierwise.store import Refusals
from tierwise.store.identifiers import CANONICAL

__all__ = ["BLANKS", "ERASED", "Personal", "Staging"]

#: Why a row of somebody who was erased is quarantined.
ERASED: Final = "erased"

#: What a blank cell is made of, and what surrounds a value without being a part of it.
BLANKS: Final = " \t\r\n\u3000\u00a0"
#: Batches of a reader are put together up to so many rows or bytes: a statement costs some milliseconds by itself.
_ROWS: Final = 262_144
_BYTES: Final = 64 << 20
#: The engine reads Arrow rows with one thread for each so many.
_CHUNK: Final = 32_768
#: What stands between the words of a record that could not be split.
_BETWEEN: Final = re.compile(r"[,;|\t\n\"'{}\[\]:]+")


class Personal(Protocol):
    """Who keeps the personal columns of a file, which never enter the engine.

    `conceal` gets every batch before the engine does; what it keeps, it keeps by line. `settle` learns whose the lines
    are before the lake's manifest names the import; lines it is not told of were refused, or read before.
    """

    def conceal(self, rows: pa.Table, lines: pa.Int64Array) -> pa.Table:
        """Return the rows with nothing personal in them: with other columns, such as blind indexes, in its place."""

    def settle(self, owners: Callable[[int, int], Iterable[pa.RecordBatch]]) -> None:
        """Ask for the owners of the lines from one to another: batches of (line, source_record_id)."""


class Staging:
    """Reads a file into ``staged$``; the rows that are refused at once go to quarantine.

    Args:
        engine: where the table is made.
        statements: the SQL of the rows.
        mapping: what the file's columns are mapped to.
        reader: the open file.
        quarantine: takes the refused rows.
        refusals: whose rows are refused because they were erased.
        personal: keeps the personal columns, if there are any.
    """

    def __init__(
        self,
        engine: DuckEngine,
        statements: RowStatements,
        mapping: Mapping_,
        reader: Reader,
        quarantine: Refusing,
        refusals: Refusals,
        personal: Personal | None = None,
    ) -> None:
        self.engine, self.statements, self.mapping, self.reader = engine, statements, mapping, reader
        self.quarantine, self.refusals, self.personal = quarantine, refusals, personal
        self.key_space = statements.source.key_space
        self.known_by = _known_by(statements)
        self.select = statements.staged()
        self.keyless = any(stream.keyless for stream in statements.streams)
        self.rows_read = 0

    def run(self, progress: Callable[[int], None]) -> int:
        """Read the whole file; return how many rows it has, the refused ones included."""
        none = [pa.array([], kind) for kind in self.mapping.native.values()]
        self.engine.drop(STAGED)
        self.stage(pa.table(none, names=list(self.mapping.native)), pa.array([], pa.int64()))
        for batches in _gathered(_ahead(iter(self.reader))):
            self.take(batches)
            progress(self.rows_read)
        return self.rows_read

    def take(self, batches: list[RawBatch]) -> None:
        """Convert and judge some batches that follow each other."""
        tables = []
        for batch in batches:
            self.rows_read += batch.records
            for reject in batch.rejects:
                if self.refusals and self.refusals.of_texts(self.key_space, _words(reject.text)):
                    self.quarantine.add(reject.line, None, ERASED, None)
                else:
                    detail = "" if reject.column in self.mapping.personal else reject.detail  # it may quote the value
                    self.quarantine.add(reject.line, reject.column, reject.reason, reject.text, detail)
            covered = batch.table if self.personal is None else self.personal.conceal(batch.table, batch.lines)
            tables.append(covered.select([name for name in self.mapping.native if name in covered.column_names]))
        lines = pa.chunked_array([batch.lines for batch in batches], pa.int64())
        if not len(lines):
            return
        self.stage(pa.concat_tables(tables), lines)
        if self.refusals:
            self.bar(lines[0].as_py())
        self.refuse(batches, lines)

    def bar(self, first: int) -> None:
        """Refuse the rows of people who were erased, from a line on, whatever else is wrong with them."""
        for column, role in self.known_by.items():
            mine = exp.GTE(this=col("line$"), expression=number(first))
            there = exp.select(col(column)).distinct().from_(named(STAGED)).where(mine).where(present(col(column)))
            values = [str(row[0]) for row in self.engine.rows(there)]
            barred = self.refusals.of_indexes(role, values) if role else self.refusals.of_keys(self.key_space, values)
            if barred:
                whose = exp.In(this=col(column), expressions=[text(value) for value in sorted(barred)])
                change = exp.EQ(this=col("problem$"), expression=text(f"{SEPARATOR}{ERASED}"))
                where = exp.Where(this=exp.And(this=whose, expression=mine.copy()))
                self.engine.execute(exp.Update(this=named(STAGED), expressions=[change], where=where))

    def stage(self, rows: pa.Table, lines: pa.Array | pa.ChunkedArray) -> None:
        """Add rows to the table; they are copied nowhere before."""
        columns: dict[str, pa.ChunkedArray] = {}
        for name in rows.column_names:
            column = rows.column(name)
            if self.keyless:
                columns[self.statements.untrimmed[name]] = column
            trimmed = pc.utf8_trim(column, BLANKS) if pa.types.is_string(column.type) else column
            columns[self.statements.columns[name]] = trimmed
        raw = pa.table({**columns, "line$": lines})
        with self.engine.lent(RAW, pa.Table.from_batches(raw.to_batches(max_chunksize=_CHUNK), raw.schema)):
            if not len(lines):
                self.engine.create(STAGED, self.select)
            else:
                self.engine.execute(exp.Insert(this=named(STAGED), expression=self.select))

    def refuse(self, batches: list[RawBatch], lines: pa.ChunkedArray) -> None:
        """Put those of the last rows that something is wrong with into quarantine."""
        wrong = (
            exp.select(col("line$"), col("problem$"))
            .from_(named(STAGED))
            .where(present(col("problem$")))
            .where(exp.GTE(this=col("line$"), expression=number(lines[0].as_py())))
            .order_by(col("line$"))
        )
        found = dict(self.engine.rows(wrong))
        for line, original in self.originals(batches, pa.array(found, pa.int64())):
            column, _, reason = found[line].rpartition(SEPARATOR)
            kept = reason != ERASED and not (reason == UNMATCHED and self.mapping.personal)  # whose it is nobody knows
            self.quarantine.add(line, column or None, reason, original if kept else None)

    def originals(self, batches: list[RawBatch], lines: pa.Int64Array) -> Iterator[tuple[int, str]]:
        """Yield the rows as they were."""
        for batch in batches if len(lines) else ():
            indices = pc.indices_nonzero(pc.is_in(batch.lines, value_set=lines))
            if isinstance(self.reader, CsvReader):
                texts: Iterable[str] = map(batch.text_of, indices.to_pylist())
            else:
                rows = batch.table.take(indices).to_pylist()
                texts = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
            yield from zip(batch.lines.take(indices).to_pylist(), texts, strict=True)

    def originals_of(self, lines: pa.Int64Array) -> Iterator[tuple[int, str]]:
        """Read the file once more for the original text of some lines."""
        for batch in self.reader:
            yield from self.originals([batch], lines)


def _known_by(statements: RowStatements) -> dict[str, str]:
    """Return the columns of ``staged$`` by which people are known: an identifier's role, nothing for their numbers."""
    found: dict[str, str] = {}
    for stream in statements.streams:
        if stream.mapped.through is not None:  # no row of somebody who was erased is left to go through
            continue
        roles = {f"{name}{INDEX_SUFFIX}": role for name, (_, role) in stream.mapped.personal.items()}
        for name, value in stream.values.items():
            if isinstance(value, exp.Column) and (name == "customer_key" or roles.get(name) in CANONICAL):
                found.setdefault(value.name, roles.get(name, ""))
    return found


def _words(text_: str) -> list[str]:
    """Return what may be a number or an identifier in a record that could not be split."""
    return [word for part in _BETWEEN.split(text_) if (word := part.strip())]


def _ahead(batches: Iterator[RawBatch]) -> Iterator[RawBatch]:
    """Yield the batches, the next one being read by a thread of its own while the last one is worked on."""
    with ThreadPoolExecutor(1, "reading-ahead") as pool:
        waiting = pool.submit(next, batches, None)
        while (batch := waiting.result()) is not None:
            waiting = pool.submit(next, batches, None)
            yield batch


def _gathered(batches: Iterable[RawBatch]) -> Iterator[list[RawBatch]]:
    """Yield batches in larger groups."""
    group: list[RawBatch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + batch.records, size + batch.table.nbytes
        if rows >= _ROWS or size >= _BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group
