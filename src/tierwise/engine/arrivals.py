"""Rows that came since the engine's tables were built, put into them customer by customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tierwise.definitions.streams import CUSTOMERS, ORDERS, REFUNDS, Stream
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import (
    RECORDS,
    build_known_customers,
    derived_orders,
    placed,
    stream_table,
    with_refunds,
)
from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.received import IDS, stream_rows
from tierwise.engine.run import Inputs, derived, in_order, sources_of
from tierwise.engine.sql import col, equals, fn, null, number, text

__all__ = ["ARRIVED", "Arrivals", "semi_join"]

#: The temporary table of the customers whose rows have changed: customer_id, whether one was replaced or withdrawn.
ARRIVED: Final = "arrived$"
_RECORDS_OF_ROWS: Final = "records_of_rows$"
_WANTED_REFUNDS: Final = "refunds_wanted$"
#: The temporary table of the last row of each customer who arrived, in the stream at hand: customer_id, time, pos.
_LAST: Final = "last$"
#: The temporary table of the customers whose rows of the stream at hand are written anew: customer_id.
_ANEW: Final = "anew$"


class Arrivals:
    """What came after a version of the lake, over tables that hold what came before.

    Making it reads the new files; `put` changes the tables, inside a transaction of the caller. A new row that is later
    than all its customer had is added behind them; where a row came late, changed or went, the customer has all rows of
    the stream written anew, in their order.

    Args:
        engine: where the tables are.
        inputs: what they are built from; its `ids` are the records of the new rows and of their customers at least.
        since: the version of the lake that the tables hold.
    """

    def __init__(self, engine: DuckEngine, inputs: Inputs, since: int) -> None:
        self.engine, self.inputs, self.since = engine, inputs, since
        self.streams = [stream for stream in in_order(inputs.catalogue) if stream.customer]
        self.new: set[str] = set()
        self.gone: dict[str, int] = {}
        self.derived = derived(inputs.catalogue)
        engine.register(_RECORDS_OF_ROWS, inputs.ids)
        engine.create(IDS, exp.select("*").from_(_t(_RECORDS_OF_ROWS)), temporary=True)
        for stream in self.streams:
            self.read(stream)
        self.customers = engine.create(ARRIVED, self.touched(), temporary=True)

    @property
    def changed(self) -> list[Stream]:
        """Return the streams whose tables change."""
        of_orders = {REFUNDS.name, *(["items"] if self.derived else [])}
        return [s for s in self.streams if s.name in self.new or (s.name == ORDERS.name and self.new & of_orders)]

    def read(self, stream: Stream) -> None:
        """Read the new files of a stream."""
        inputs, lake = self.inputs, self.inputs.lake
        paths = lake.paths(stream.name, inputs.lake_version, self.since)
        if not paths:
            return
        sources = sources_of(inputs.catalogue, stream.name)
        rows = stream_rows(stream, lake, inputs.lake_version, True, sources, self.since)
        self.engine.create(f"{stream.name}_fresh$", rows.whole(), temporary=True)
        files = exp.Array(expressions=[text(str(path)) for path in paths])
        by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
        replaced = exp.select(col("source"), col("row_key")).from_(exp.Table(this=fn("read_parquet", files, by_name)))
        replaced = replaced.where(equals(col("fate"), text("replaced"))).distinct()
        self.gone[stream.name] = self.engine.create(f"{stream.name}_gone$", replaced, temporary=True)
        self.new.add(stream.name)

    # -- who --------------------------------------------------------------------------------------------------------

    def touched(self) -> exp.Expression:
        """Return the customers of new rows, of the rows they replace, and of the orders that refunds are for."""
        who, as_it_was, corrected = col("customer_id"), exp.false().as_("corrected"), exp.true().as_("corrected")
        parts = [exp.select(who, as_it_was).from_(_t(f"{name}_fresh$")) for name in sorted(self.new)]
        for name, count in self.gone.items():
            if count:
                parts.append(exp.select(who, corrected).from_(_t(stream_table(name))).where(self.is_gone(name)))
        if REFUNDS.name in self.new:
            of_order = (col("order_id"), col("key_space"))
            named = exp.select(*of_order).from_(_t(f"{REFUNDS.name}_fresh$"))
            found: exp.Expression = named
            if self.gone[REFUNDS.name]:
                before = exp.select(*(c.copy() for c in of_order)).from_(_t(REFUNDS.name))
                found = exp.Union(this=named, expression=before.where(self.is_gone(REFUNDS.name)), distinct=False)
            orders = exp.select(who, as_it_was).from_(_t(ORDERS.name))
            parts.append(orders.where(_among(("order_id", "key_space"), found)))
        if not parts:
            return exp.select(who, as_it_was).from_(_t(KNOWN_CUSTOMERS)).where(exp.false())
        union: exp.Expression = parts[0]
        for part in parts[1:]:
            union = exp.Union(this=union, expression=part, distinct=False)
        corrected = exp.Anonymous(this="bool_or", expressions=[col("corrected")]).as_("corrected")
        rows = exp.Subquery(this=union, alias=_alias("u"))
        return exp.select(who, corrected).from_(rows).group_by(col("customer_id"))

    def is_gone(self, stream: str) -> exp.Expression:
        """Whether a row of the table has been replaced or withdrawn."""
        keys = exp.select(col("source"), col("row_key")).from_(_t(f"{stream}_gone$"))
        return _among(("source", "row_key"), keys)

    # -- putting ----------------------------------------------------------------------------------------------------

    @property
    def fresh(self) -> dict[str, str]:
        """Return the table of the new rows of each stream that has some."""
        return {name: f"{name}_fresh$" for name in sorted(self.new)}

    def put(self) -> None:
        """Put the new rows into every table, and since when their customers are known."""
        for stream in self.changed:
            table = stream_table(stream.name)
            columns = list(self.engine.columns(table))
            if self.engine.create(_ANEW, self.anew(stream), temporary=True):
                made = f"{stream.name}_put$"
                self.engine.create(made, self.rows(stream, columns), temporary=True)
                self.replace(table, made, columns, _ANEW)
            if self.adds(stream):
                self.add(stream, columns)
        if self.changed:
            self.know()

    def adds(self, stream: Stream) -> bool:
        """Whether rows are added to a stream.

        Not to records, which are in an order of their own, nor to orders that change with their refunds or items.
        """
        changes = stream.name == ORDERS.name and (self.derived is not None or REFUNDS.name in self.new)
        return stream.name in self.new and stream.name != CUSTOMERS.name and not changes

    def anew(self, stream: Stream) -> exp.Select:
        """Return whose rows are written anew: all who arrived, or those with a late row or one that went."""
        if not self.adds(stream):
            return exp.select(col("customer_id")).from_(_t(ARRIVED))
        last = exp.select(col("customer_id"), *(exp.Max(this=col(name)).as_(name) for name in ("time", "pos")))
        last = last.from_(_t(stream_table(stream.name))).where(semi_join(col("customer_id"), ARRIVED))
        self.engine.create(_LAST, last.group_by(col("customer_id")), temporary=True)
        late = exp.select(col("customer_id", "f")).from_(_t(f"{stream.name}_fresh$").as_("f"))
        late = late.join(_t(_LAST).as_("l"), on=_same("l", "f"))
        late = late.where(exp.LTE(this=col("time", "f"), expression=col("time", "l")))
        who: exp.Expression = late
        if self.gone.get(stream.name):
            went = exp.select(col("customer_id")).from_(_t(stream_table(stream.name))).where(self.is_gone(stream.name))
            who = exp.Union(this=late, expression=went, distinct=False)
        return exp.select(col("customer_id")).from_(exp.Subquery(this=who, alias=_alias("u"))).distinct()

    def add(self, stream: Stream, columns: Sequence[str]) -> None:
        """Add the new rows of the other customers behind those that they have."""
        fresh: exp.Select = exp.select("*").from_(_t(f"{stream.name}_fresh$"))
        fresh = fresh.where(exp.Not(this=semi_join(col("customer_id"), _ANEW)))
        if stream.name == ORDERS.name:
            fresh = self.refunded(fresh)
        order = exp.Order(expressions=[exp.Ordered(this=col(name, "f")) for name in ("time", "row_key")])
        nth = exp.Window(this=exp.RowNumber(), partition_by=[col("customer_id", "f")], order=order)
        place = exp.Add(this=exp.Coalesce(this=col("pos", "l"), expressions=[number(0)]), expression=nth)
        values = [place.as_("pos") if name == "pos" else col(name, "f") for name in columns]
        select = exp.select(*values).from_(fresh.subquery("f"))
        self.insert(
            stream_table(stream.name), columns, select.join(_t(_LAST).as_("l"), on=_same("l", "f"), join_type="left")
        )

    def replace(self, table: str, made: str, columns: Sequence[str], of: str) -> None:
        """Put new rows of the customers in a table of them in the place of those they had."""
        of_theirs = semi_join(col("customer_id"), of)
        self.engine.execute(exp.Delete(this=_t(table), where=exp.Where(this=of_theirs)))
        self.insert(table, columns, exp.select(*(col(name) for name in columns)).from_(_t(made)))

    def insert(self, table: str, columns: Sequence[str], select: exp.Select) -> None:
        """Add rows to a table."""
        names = [exp.to_identifier(name, quoted=True) for name in columns]
        self.engine.execute(exp.Insert(this=exp.Schema(this=_t(table), expressions=names), expression=select))

    def rows(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return all rows that the customers have now whose rows are written anew, in their order."""
        if stream.name == ORDERS.name:
            return placed(self.orders(stream, columns))
        own = [name for name in columns if name != "pos"]
        return placed(self.current(stream, own), stream.name == CUSTOMERS.name)

    def current(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return the rows of the customers to write anew: those of before that stay, and the new ones."""
        table = stream_table(stream.name)
        names = [col(name) for name in columns]
        stay = exp.select(*names).from_(_t(table)).where(semi_join(col("customer_id"), _ANEW))
        if self.gone.get(stream.name):
            stay = stay.where(exp.Not(this=exp.Paren(this=self.is_gone(stream.name))))
        if stream.name not in self.new:
            return stay
        fresh = exp.select(*(name.copy() for name in names)).from_(_t(f"{stream.name}_fresh$"))
        fresh = fresh.where(semi_join(col("customer_id"), _ANEW))
        union = exp.Union(this=stay, expression=fresh, distinct=False)
        return exp.select("*").from_(exp.Subquery(this=union, alias=_alias("u")))

    def orders(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return the orders of the customers to write anew, with their refunds; the tables of both are current."""
        own = [name for name in columns if name not in ("pos", "refunds")]
        if self.derived is not None:
            of_theirs = semi_join(col("customer_id"), _ANEW)
            self.engine.create("items_of$", exp.select("*").from_(_t("items")).where(of_theirs), temporary=True)
            select = derived_orders(stream, "items_of$", *self.derived)
            select = exp.select(*(col(name, "o") for name in own)).from_(select.subquery("o"))
        else:
            select = self.current(stream, own)
        return self.refunded(select)

    def refunded(self, orders: exp.Select) -> exp.Select:
        """Return some orders with their refunds, whose table is current by now."""
        self.engine.create("orders_rows$", orders, temporary=True)
        made = exp.select(col("order_id"), col("key_space")).from_(_t("orders_rows$"))
        refunds = exp.select("*").from_(_t(REFUNDS.name)).where(_among(("order_id", "key_space"), made))
        self.engine.create(_WANTED_REFUNDS, refunds, temporary=True)
        return with_refunds(exp.select("*").from_(_t("orders_rows$")), _WANTED_REFUNDS)

    def know(self) -> None:
        """Work out anew since when the customers who arrived are known, and the key they are known by."""
        records = exp.select(col("customer_id"), col("customer_key")).from_(_t(_RECORDS_OF_ROWS))
        before = exp.select(col("customer_id"), col("customer_key")).from_(_t(KNOWN_CUSTOMERS))
        before = before.where(semi_join(col("customer_id"), ARRIVED))
        self.engine.create(IDS, exp.Union(this=records, expression=before, distinct=False), temporary=True)
        columns = ("customer_id", "customer_key", "known_since")
        if CUSTOMERS.name not in self.new and not any(self.gone.values()):
            self.engine.create("known_put$", self.known_by_now(), temporary=True)
            self.replace(KNOWN_CUSTOMERS, "known_put$", columns, ARRIVED)
            return
        tables = [stream_table(name) for name in self.inputs.catalogue.streams]
        registered = "registered_at" in self.engine.columns(RECORDS)
        build_known_customers(self.engine, tables, True, registered, "known_put$", of=ARRIVED)
        self.replace(KNOWN_CUSTOMERS, "known_put$", columns, ARRIVED)

    def known_by_now(self) -> exp.Select:
        """Return since when they are known where rows have only come: by then, or since the first of the new ones."""
        first = [exp.select(col("customer_id"), col("time")).from_(_t(rows)) for rows in self.fresh.values()]
        came: exp.Expression = first[0]
        for one in first[1:]:
            came = exp.Union(this=came, expression=one, distinct=False)
        fresh = exp.select(col("customer_id"), exp.Min(this=col("time")).as_("time"))
        fresh = fresh.from_(exp.Subquery(this=came, alias=_alias("u"))).group_by(col("customer_id"))
        keys = exp.select(col("customer_id"), exp.Min(this=col("customer_key")).as_("customer_key"))
        keys = keys.from_(_t(IDS)).group_by(col("customer_id"))
        never_was = exp.Is(this=col("customer_id", "k"), expression=null())
        earlier = exp.Case(
            ifs=[
                exp.If(this=never_was, true=col("time", "n")),
                exp.If(this=exp.Is(this=col("known_since", "k"), expression=null()), true=null()),
            ],
            default=exp.Anonymous(this="least", expressions=[col("known_since", "k"), col("time", "n")]),
        )
        who = exp.select(col("customer_id", "a"), col("customer_key", "i"), earlier.as_("known_since"))
        who = who.from_(_t(ARRIVED).as_("a"))
        for table, alias in (
            (keys.subquery("i"), "i"),
            (fresh.subquery("n"), "n"),
            (_t(KNOWN_CUSTOMERS).as_("k"), "k"),
        ):
            who = who.join(table, on=_same(alias, "a"), join_type="inner" if alias == "i" else "left")
        return who

    def close(self) -> None:
        """Drop what was only needed on the way."""
        names = [f"{stream.name}_{part}$" for stream in self.streams for part in ("fresh", "gone", "put")]
        for name in (
            *names,
            "items_of$",
            "orders_rows$",
            _WANTED_REFUNDS,
            "known_put$",
            _RECORDS_OF_ROWS,
            IDS,
            ARRIVED,
            _LAST,
            _ANEW,
        ):
            self.engine.drop(name)


def semi_join(customer_id: exp.Expression, table: str) -> exp.Expression:
    """Whether a customer is in a table of customers."""
    return exp.In(this=customer_id, query=exp.select(col("customer_id")).from_(_t(table)).subquery())


def _among(columns: Sequence[str], keys: exp.Expression) -> exp.Expression:
    """Whether the columns are one of the keys."""
    return exp.In(this=exp.Tuple(expressions=[col(name) for name in columns]), query=exp.Subquery(this=keys))


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))


def _same(one: str, other: str) -> exp.Expression:
    return exp.EQ(this=col("customer_id", one), expression=col("customer_id", other))


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name))
