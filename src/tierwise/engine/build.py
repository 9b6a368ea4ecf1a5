"""Engine tables from the lake: the current rows of each stream, with their customer, one's rows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.streams import CUSTOMERS, ORDERS, PRODUCTS, REFUNDS, STORES, Column, Stream
from tierwise.engine.evaluate import Backend
from tierwise.engine.plan import Source
from tierwise.engine.sql import cast, col, equals, fn, null, number, physical, text, try_cast
from tierwise.lake import Lake

__all__ = [
    "IDS",
    "RECORDS",
    "StreamRows",
    "build_known_customers",
    "build_lookup",
    "build_stream",
    "derived_orders",
    "placed",
    "source_of",
    "stream_rows",
    "stream_table",
    "with_refunds",
]

#: The engine's table of customer records (attributes with history).
RECORDS: Final = "customer_records"
#: The temporary table of ids while tables are built: source_record_id, customer_id, customer_key.
IDS: Final = "ids$"


def stream_table(stream: str) -> str:
    """Return the engine's table of a stream: its own name, so that people can ask for it."""
    return RECORDS if stream == CUSTOMERS.name else stream


def source_of(catalogue: Catalogue) -> Source:
    """Return where the compiler finds the tables."""
    return Source(
        {name: stream_table(name) for name in catalogue.streams},
        RECORDS,
        {name: f"lookup_{name}" for name in catalogue.lookups},
    )


def build_stream(
    backend: Backend,
    stream: Stream,
    lake: Lake,
    version: int,
    replaced: bool,
    name: str,
    sources: Sequence[str] | None = None,
) -> int:
    """Make the table of one stream from the lake's files; return how many rows it has.

    Args:
        backend: where to make it; `IDS` must be registered.
        stream: what columns it has.
        lake: where the files are.
        version: the lake's version to read.
        replaced: whether some row may stand in more than one file.
        name: the new table's name.
        sources: the sources whose rows count; a source that is no longer declared has none. All of them by default.
    """
    found = stream_rows(stream, lake, version, replaced, sources)
    if not stream.customer:
        ordered = found.select.order_by(col(stream.key), copy=False)
        return backend.create(
            name, exp.select("*", *found.empty, copy=False).from_(ordered.subquery("b", copy=False), copy=False)
        )
    select = with_refunds(found.select) if stream.name == ORDERS.name else found.select
    return backend.create(
        name, _with_reference(placed(select, stream.name == CUSTOMERS.name, found.empty), found.referred)
    )


@dataclass(frozen=True)
class StreamRows:
    """The current rows of a stream: what selects them, the columns no file has, the tables whose columns they take."""

    select: exp.Select
    empty: Sequence[exp.Expr]
    referred: Sequence[tuple[Stream, Sequence[Column]]]

    def whole(self) -> exp.Select:
        """Return the SELECT with all columns but those of their order."""
        added = exp.select("*", *self.empty, copy=False).from_(self.select.subquery("b", copy=False), copy=False)
        return _with_reference(added, self.referred)


def stream_rows(
    stream: Stream, lake: Lake, version: int, replaced: bool, sources: Sequence[str] | None, since: int = 0
) -> StreamRows:
    """Return the current rows of a stream, as files of the lake hold them.

    Args:
        stream: what columns it has.
        lake: where the files are.
        version: the lake's version to read.
        replaced: whether some row may stand in more than one file.
        sources: the sources whose rows count.
        since: only files that came after this version of the lake are read.
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
            .join(_named(IDS, "i"), on=same_record, copy=False)
        )
    referred = _referred(stream, there, lake, version)
    present = {*filled, *(column for _, columns in referred for column in columns)}
    empty = _missing([column for column in stream.columns if not column.computed and column not in present])
    return StreamRows(select, empty, referred)


def derived_orders(stream: Stream, items: str, by: str, keys: Sequence[str]) -> exp.Select:
    """Return orders made of items: one for all items with the same `by`, known with its last line, worth their sum."""
    shared = [
        c for c in stream.columns if not c.computed and c.name in keys and c.name not in (by, "amount", "order_id")
    ]
    select = exp.select(
        col("customer_id"),
        exp.Max(this=col("time")).as_("time", copy=False),
        col(by).as_("row_key", copy=False),
        col("key_space"),
        col(by).as_("order_id", copy=False),
        try_cast(exp.Sum(this=col("amount")), "DECIMAL(18, 2)").as_("amount", copy=False),
        *(fn("arg_max", col(c.name), col("pos")).as_(c.name, copy=False) for c in shared),
        *(
            cast(null(), physical(c.kind)).as_(c.name, copy=False)
            for c in stream.columns
            if not c.computed and c.name not in ("order_id", "amount") and c not in shared
        ),
        copy=False,
    )
    present = exp.Not(this=exp.Paren(this=exp.Is(this=col(by), expression=null())))
    return (
        select.from_(_named(items, "t"), copy=False)
        .where(present, copy=False)
        .group_by(col("customer_id"), col("key_space"), col(by), copy=False)
    )


def build_lookup(backend: Backend, name: str, table: pa.Table) -> None:
    """Make the table of a lookup (its key column named ``key``)."""
    backend.register("lookup$", table)
    backend.create(f"lookup_{name}", exp.select("*", copy=False).from_(_named("lookup$", "t"), copy=False))
    backend.drop("lookup$")


def build_known_customers(
    backend: Backend, streams: Sequence[str], records: bool, registered: bool, name: str, of: str = ""
) -> int:
    """Make the table of customers: id, key, and since when they are known (NULL: always); or of those in a table `of`.

    That of some is temporary.
    """
    firsts: list[exp.Select] = [
        exp.select(
            col("customer_id"),
            exp.Min(this=col("time")).as_("since", copy=False),
            exp.false().as_("always", copy=False),
            copy=False,
        )
        .from_(_named(stream, "t"), copy=False)
        .group_by(col("customer_id"), copy=False)
        for stream in streams
    ]
    if records:
        since: exp.Expression = _when_known(registered)
        always = exp.Is(this=since.copy(), expression=null())
        firsts.append(
            exp.select(
                col("customer_id"),
                exp.Min(this=since).as_("since", copy=False),
                fn("bool_or", always).as_("always", copy=False),
                copy=False,
            )
            .from_(_named(RECORDS, "t"), copy=False)
            .group_by(col("customer_id"), copy=False)
        )
    if of:
        some = exp.select(col("customer_id"), copy=False).from_(_named(of, "o"), copy=False).subquery(copy=False)
        firsts = [first.where(exp.In(this=col("customer_id"), query=some.copy()), copy=False) for first in firsts]
    ids = (
        exp.select(col("customer_id"), exp.Min(this=col("customer_key")).as_("customer_key", copy=False), copy=False)
        .from_(_named(IDS, "t"), copy=False)
        .group_by(col("customer_id"), copy=False)
    )
    if not firsts:
        nothing = exp.select(
            col("customer_id"),
            col("customer_key"),
            cast(null(), "TIMESTAMP").as_("known_since", copy=False),
            copy=False,
        ).from_(ids.subquery("i", copy=False), copy=False)
        return backend.create(name, nothing.where(exp.false(), copy=False))
    everything: exp.Expression = firsts[0]
    for one in firsts[1:]:
        everything = exp.Union(this=everything, expression=one, distinct=False)
    seen = (
        exp.select(
            col("customer_id"),
            exp.Case(
                ifs=[exp.If(this=exp.Not(this=fn("bool_or", col("always"))), true=exp.Min(this=col("since")))]
            ).as_("known_since", copy=False),
            copy=False,
        )
        .from_(exp.Subquery(this=everything, alias=exp.TableAlias(this=exp.to_identifier("u"))), copy=False)
        .group_by(col("customer_id"), copy=False)
    )
    joined = exp.select(col("customer_id", "s"), col("customer_key", "i"), col("known_since", "s"), copy=False).from_(
        seen.subquery("s", copy=False), copy=False
    )
    joined = joined.join(
        ids.subquery("i", copy=False), on=equals(col("customer_id", "i"), col("customer_id", "s")), copy=False
    )
    return backend.create(name, joined.order_by(col("customer_id", "s"), copy=False), temporary=bool(of))


def _when_known(registered: bool) -> exp.Expression:
    """Since when a record's customer is known: when they registered, else when the record was updated, else always."""
    stated = exp.Case(ifs=[exp.If(this=exp.LT(this=col("time"), expression=col("received_at")), true=col("time"))])
    return exp.Coalesce(this=col("registered_at"), expressions=[stated]) if registered else stated


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


def placed(select: exp.Select, records: bool = False, added: Sequence[exp.Expr] = ()) -> exp.Select:
    """Return rows sorted by customer, time and row key, and numbered so; of `records` the later line is the later.

    A row number over nothing counts the rows as they come out of the sort: one sort, where a window would need two.
    """
    ties = ("import_id", "line") if records else ()
    order = [exp.Ordered(this=col(name)) for name in ("customer_id", "time", *ties, "row_key")]
    place = exp.Window(this=exp.RowNumber())
    ordered = (
        exp.select("*", copy=False).from_(select.subquery("b", copy=False), copy=False).order_by(*order, copy=False)
    )
    return exp.select("b.*", *added, place.as_("pos", copy=False), copy=False).from_(
        ordered.subquery("b", copy=False), copy=False
    )


def _referred(stream: Stream, there: frozenset[str], lake: Lake, version: int) -> list[tuple[Stream, list[Column]]]:
    """Return the tables of products and stores a stream's rows name, each with the columns that some file of it has."""
    found = []
    for table in (PRODUCTS, STORES):
        known = _columns_of([str(path) for path in lake.paths(table.name, version)])
        columns = [column for column in stream.columns if column.origin == table.name and column.name in known]
        if columns and table.key in there:
            found.append((table, columns))
    return found


def _with_reference(select: exp.Select, referred: Sequence[tuple[Stream, Sequence[Column]]]) -> exp.Select:
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


def with_refunds(select: exp.Select, refunds: str = REFUNDS.name) -> exp.Select:
    """Give each order of a SELECT the list of its refunds, (time, amount), from a table of them."""
    pair = exp.Anonymous(
        this="struct_pack",
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier("time"), expression=col("time")),
            exp.PropertyEQ(this=exp.to_identifier("amount"), expression=col("amount")),
        ],
    )
    known = [exp.Not(this=exp.Paren(this=exp.Is(this=col(name), expression=null()))) for name in ("order_id", "amount")]
    lists = (
        exp.select(col("key_space"), col("order_id"), exp.ArrayAgg(this=pair).as_("refunds", copy=False), copy=False)
        .from_(_named(refunds, "r"), copy=False)
        .where(exp.and_(*known, copy=False), copy=False)
        .group_by(col("key_space"), col("order_id"), copy=False)
    )
    on = exp.and_(
        equals(col("order_id", "f"), col("order_id", "o")),
        equals(col("key_space", "f"), col("key_space", "o")),
        copy=False,
    )
    return (
        exp.select("o.*", col("refunds", "f"), copy=False)
        .from_(select.subquery("o", copy=False), copy=False)
        .join(lists.subquery("f", copy=False), on=on, join_type="left", copy=False)
    )
