"""The current rows of a stream as the lake's files hold them: the newest version of each, with its customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.streams import CUSTOMERS, PRODUCTS, STORES, Column, Stream
from tierwise.engine.parts import Part
from tierwise.engine.sql import cast, col, equals, null, number, physical, text
from tierwise.lake import Lake

__all__ = ["IDS", "StreamRows", "stream_rows", "with_reference"]

#: The temporary table of ids while tables are built: source_record_id, customer_id, customer_key.
IDS: Final = "ids$"


@dataclass(frozen=True)
class StreamRows:
    """The current rows of a stream: what selects them, the columns no file has, the tables whose columns they take."""

    select: exp.Select
    empty: Sequence[exp.Expr]
    referred: Sequence[tuple[Stream, Sequence[Column]]]

    def whole(self) -> exp.Select:
        """Return the SELECT with all columns but those of their order."""
        added = exp.select("*", *self.empty, copy=False).from_(self.select.subquery("b", copy=False), copy=False)
        return with_reference(added, self.referred)


def stream_rows(
    stream: Stream,
    lake: Lake,
    version: int,
    replaced: bool,
    sources: Sequence[str] | None,
    since: int = 0,
    part: Part | None = None,
) -> StreamRows:
    """Return the current rows of a stream, as files of the lake hold them.

    Args:
        stream: what columns it has.
        lake: where the files are.
        version: the lake's version to read.
        replaced: whether some row may stand in more than one file.
        sources: the sources whose rows count.
        since: only files that came after this version of the lake are read.
        part: only rows of these customers; of all by default.
    """
    own = [column for column in stream.columns if not column.computed and not column.origin]
    paths = [str(path) for path in lake.paths(stream.name, version, since)]
    there = _columns_of(paths)
    filled = [column for column in own if column.name in there] if paths else own
    kept = _ALL if not stream.customer or stream.name == CUSTOMERS.name else _OF_A_ROW
    select = _current(paths, there, kept, filled, replaced, sources) if paths else _nothing(kept, own)
    if not stream.customer:
        select = _one_a_key(select, stream.key)
    else:
        same_record = equals(col("source_record_id", "i"), col("source_record_id", "r"))
        carried = [name for name in (*kept, *(c.name for c in filled)) if name not in _GIVEN_UP or kept is _ALL]
        select = (
            exp.select(col("customer_id", "i"), *(col(name, "r") for name in carried), copy=False)
            .from_(select.subquery("r", copy=False), copy=False)
            .join(_named(IDS, "i") if part is None else part.of(_named(IDS, "i")), on=same_record, copy=False)
        )
    referred = _referred(stream, there, lake, version)
    present = {*filled, *(column for _, columns in referred for column in columns)}
    empty = _missing([column for column in stream.columns if not column.computed and column not in present])
    return StreamRows(select, empty, referred)


def with_reference(select: exp.Select, referred: Sequence[tuple[Stream, Sequence[Column]]]) -> exp.Select:
    """Add the columns of the row's product and store, after the sort; their tables must be built."""
    for index, (table, columns) in enumerate(referred):
        alias = f"p{index}"
        select = exp.select("b.*", *(col(column.name, alias) for column in columns), copy=False).from_(
            select.subquery("b", copy=False), copy=False
        )
        select = select.join(
            _named(table.name, alias),
            on=equals(col(table.key, alias), col(table.key, "b")),
            join_type="left",
            copy=False,
        )
    return select


def _named(table: str, alias: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(table, quoted=True), alias=exp.TableAlias(this=exp.to_identifier(alias)))


def _files(paths: Sequence[str]) -> exp.Expression:
    listed = exp.Array(expressions=[exp.Literal.string(path) for path in paths])
    by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
    return exp.Anonymous(this="read_parquet", expressions=[listed, by_name])


_SYSTEM: Final[Mapping[str, str]] = {
    "source": "VARCHAR",
    "key_space": "VARCHAR",
    "source_record_id": "BIGINT",
    "row_key": "VARCHAR",
    "time": "TIMESTAMP",
    "received_at": "TIMESTAMP",
    "import_id": "BIGINT",
    "op": "VARCHAR",
    "line": "BIGINT",
}
_ALL: Final = tuple(_SYSTEM)
#: Of a stream's rows the engine keeps what answers read and what names the row; how it came in, the lake knows.
_OF_A_ROW: Final = ("source", "key_space", "source_record_id", "row_key", "time")
#: What only finds the customer.
_GIVEN_UP: Final = ("source_record_id",)


def _columns_of(paths: Sequence[str]) -> frozenset[str]:
    """Return the columns that at least one of the files has."""
    return frozenset(name for path in paths for name in pq.read_schema(path).names)


def _missing(columns: Sequence[Column]) -> list[exp.Expr]:
    """Return columns that no file has: they are added last, so that no sort carries them along."""
    return [cast(null(), physical(c.kind)).as_(c.name, copy=False) for c in columns]


def _current(
    paths: Sequence[str],
    there: frozenset[str],
    kept: Sequence[str],
    columns: Sequence[Column],
    replaced: bool,
    sources: Sequence[str] | None,
) -> exp.Select:
    """Return the newest version of each row, as (kept system columns, columns that some file has)."""
    wanted = [cast(col(c.name), physical(c.kind)).as_(c.name, copy=False) for c in columns]
    system = [col(name) if name in there else cast(null(), _SYSTEM[name]).as_(name, copy=False) for name in kept]
    select = exp.Select(expressions=[*system, *wanted]).from_(exp.Table(this=_files(paths)), copy=False)
    if replaced:
        newest = exp.Window(
            this=exp.RowNumber(),
            partition_by=[col("source"), col("row_key")],
            order=exp.Order(expressions=[exp.Ordered(this=col("import_id"), desc=True)]),
        )
        inner = exp.Select(expressions=[exp.Star(), newest.as_("version$", quoted=True, copy=False)]).from_(
            exp.Table(this=_files(paths)), copy=False
        )
        select = (
            exp.Select(expressions=[c.copy() for c in [*system, *wanted]])
            .from_(inner.subquery("v", copy=False), copy=False)
            .where(equals(col("version$"), number(1)), copy=False)
        )
    if sources is not None:
        declared = [text(source) for source in sources] or [null()]
        select = select.where(exp.In(this=col("source"), expressions=declared), copy=False)
    return select.where(equals(col("op"), exp.Literal.string("put")), copy=False)


def _one_a_key(select: exp.Select, key: str) -> exp.Select:
    """Keep the newest row of each key, whatever sources name it."""
    order = [exp.Ordered(this=col(name), desc=True) for name in ("import_id", "line", "source", "row_key")]
    nth = exp.Window(this=exp.RowNumber(), partition_by=[col(key)], order=exp.Order(expressions=order))
    ranked = exp.select("b.*", nth.as_("nth$", quoted=True, copy=False), copy=False).from_(
        select.subquery("b", copy=False), copy=False
    )
    rest = exp.Star(except_=[exp.to_identifier("nth$", quoted=True)])
    return (
        exp.Select(expressions=[rest])
        .from_(ranked.subquery("n", copy=False), copy=False)
        .where(equals(col("nth$"), number(1)), copy=False)
    )


def _nothing(kept: Sequence[str], columns: Sequence[Column]) -> exp.Select:
    empty = [cast(null(), _SYSTEM[name]).as_(name, copy=False) for name in kept]
    return exp.select(*empty, *_missing(columns), copy=False).where(exp.false(), copy=False)


def _referred(stream: Stream, there: frozenset[str], lake: Lake, version: int) -> list[tuple[Stream, list[Column]]]:
    """Return the tables of products and stores a stream's rows name, each with the columns that some file of it has."""
    found = []
    for table in (PRODUCTS, STORES):
        known = _columns_of([str(path) for path in lake.paths(table.name, version)])
        columns = [column for column in stream.columns if column.origin == table.name and column.name in known]
        if columns and table.key in there:
            found.append((table, columns))
    return found
