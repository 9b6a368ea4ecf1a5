"""Engine tables from the lake: the current rows of each stream, with their customer, one's rows together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.streams import CUSTOMERS, ORDERS, REFUNDS, Stream
from tierwise.engine.evaluate import Backend
from tierwise.engine.joins import Source
from tierwise.engine.parts import Part, together
from tierwise.engine.received import IDS, StreamRows, stream_rows, with_reference
from tierwise.engine.sql import cast, col, equals, fn, null, number, physical, try_cast
from tierwise.lake import Lake

__all__ = [
    "RECORDS",
    "build_known_customers",
    "build_lookup",
    "build_stream",
    "derived_orders",
    "placed",
    "source_of",
    "stream_table",
    "with_refunds",
]

#: The engine's table of customer records (attributes with history).
RECORDS: Final = "customer_records"


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
    parts: Sequence[Part] = (),
    threads: int = 1,
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
        parts: the parts of the customers to make it in, one after the other; as a whole by default.
        threads: how many parts are made at a time.
    """
    if stream.customer and parts:
        selects = [
            _sorted(stream, stream_rows(stream, lake, version, replaced, sources, part=part), part.before)
            for part in parts
        ]
        first, *more = together(selects, threads)
        return backend.create(name, first) + sum(backend.insert(name, select) for select in more)
    found = stream_rows(stream, lake, version, replaced, sources)
    if not stream.customer:
        ordered = found.select.order_by(col(stream.key), copy=False)
        return backend.create(
            name, exp.select("*", *found.empty, copy=False).from_(ordered.subquery("b", copy=False), copy=False)
        )
    return backend.create(name, _sorted(stream, found))


def _sorted(stream: Stream, found: StreamRows, before: int = 0) -> exp.Select:
    """Return the rows of a stream as its table has them."""
    select = with_refunds(found.select) if stream.name == ORDERS.name else found.select
    return with_reference(placed(select, stream.name == CUSTOMERS.name, found.empty, before), found.referred)


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


def placed(select: exp.Select, records: bool = False, added: Sequence[exp.Expr] = (), before: int = 0) -> exp.Select:
    """Return rows sorted by customer, time and row key, and numbered so; of `records` the later line is the later.

    A row number over nothing counts the rows as they come out of the sort: one sort, where a window would need two.
    """
    ties = ("import_id", "line") if records else ()
    order = [exp.Ordered(this=col(name)) for name in ("customer_id", "time", *ties, "row_key")]
    place: exp.Expression = exp.Window(this=exp.RowNumber())
    if before:
        place = exp.Add(this=number(before), expression=place)
    ordered = (
        exp.select("*", copy=False).from_(select.subquery("b", copy=False), copy=False).order_by(*order, copy=False)
    )
    return exp.select("b.*", *added, place.as_("pos", copy=False), copy=False).from_(
        ordered.subquery("b", copy=False), copy=False
    )


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
