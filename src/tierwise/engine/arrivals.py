"""Rows that came since the engine's tables were built, put into them customer by customer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tierwise.definitions.streams import CUSTOMERS, ORDERS, REFUNDS, Stream
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import (
    IDS,
    RECORDS,
    build_known_customers,
    derived_orders,
    placed,
    stream_rows,
    stream_table,
    with_refunds,
)
from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.run import Inputs, derived, in_order, sources_of
from tierwise.engine.sql import col, equals, fn, text

__all__ = ["ARRIVED", "Arrivals", "semi_join"]

#: The temporary table of the customers whose rows have changed: customer_id.
ARRIVED: Final = "arrived$"
_RECORDS_OF_ROWS: Final = "records_of_rows$"
_WANTED_REFUNDS: Final = "refunds_wanted$"


class Arrivals:
    """What came after a version of the lake, over tables that hold what came before.

    Making it reads the new files; `put` changes the tables, inside a transaction of the caller. A customer any of whose
    rows came, changed or went has all rows of the streams concerned written anew, in their order.

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
        parts = [exp.select(col("customer_id")).from_(_t(f"{name}_fresh$")) for name in sorted(self.new)]
        for name, count in self.gone.items():
            if count:
                before = exp.select(col("customer_id")).from_(_t(stream_table(name)))
                parts.append(before.where(self.is_gone(name)))
        if REFUNDS.name in self.new:
            of_order = (col("order_id"), col("key_space"))
            named = exp.select(*of_order).from_(_t(f"{REFUNDS.name}_fresh$"))
            found: exp.Expression = named
            if self.gone[REFUNDS.name]:
                before = exp.select(*(c.copy() for c in of_order)).from_(_t(REFUNDS.name))
                found = exp.Union(this=named, expression=before.where(self.is_gone(REFUNDS.name)), distinct=False)
            orders = exp.select(col("customer_id")).from_(_t(ORDERS.name))
            parts.append(orders.where(_among(("order_id", "key_space"), found)))
        if not parts:
            return exp.select(col("customer_id")).from_(_t(KNOWN_CUSTOMERS)).where(exp.false())
        union: exp.Expression = parts[0]
        for part in parts[1:]:
            union = exp.Union(this=union, expression=part, distinct=False)
        alias = exp.TableAlias(this=exp.to_identifier("u"))
        return exp.select(col("customer_id")).from_(exp.Subquery(this=union, alias=alias)).distinct()

    def is_gone(self, stream: str) -> exp.Expression:
        """Whether a row of the table has been replaced or withdrawn."""
        keys = exp.select(col("source"), col("row_key")).from_(_t(f"{stream}_gone$"))
        return _among(("source", "row_key"), keys)

    # -- putting ----------------------------------------------------------------------------------------------------

    def put(self) -> None:
        """Write the rows of the customers who arrived anew in every table, and since when they are known."""
        for stream in self.changed:
            table = stream_table(stream.name)
            columns = list(self.engine.columns(table))
            made = f"{stream.name}_put$"
            self.engine.create(made, self.rows(stream, columns), temporary=True)
            self.replace(table, made, columns)
        if self.changed:
            self.know()

    def replace(self, table: str, made: str, columns: Sequence[str]) -> None:
        """Put the rows of the customers that arrived in the place of those they had."""
        of_theirs = semi_join(col("customer_id"), ARRIVED)
        self.engine.execute(exp.Delete(this=_t(table), where=exp.Where(this=of_theirs)))
        names = [exp.to_identifier(name, quoted=True) for name in columns]
        select = exp.select(*(col(name) for name in columns)).from_(_t(made))
        self.engine.execute(exp.Insert(this=exp.Schema(this=_t(table), expressions=names), expression=select))

    def rows(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return all rows that the customers who arrived have now, in their order."""
        if stream.name == ORDERS.name:
            return placed(self.orders(stream, columns))
        own = [name for name in columns if name != "pos"]
        return placed(self.current(stream, own), stream.name == CUSTOMERS.name)

    def current(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return the rows of the customers who arrived: those of before that stay, and the new ones."""
        table = stream_table(stream.name)
        names = [col(name) for name in columns]
        stay = exp.select(*names).from_(_t(table)).where(semi_join(col("customer_id"), ARRIVED))
        if self.gone.get(stream.name):
            stay = stay.where(exp.Not(this=exp.Paren(this=self.is_gone(stream.name))))
        if stream.name not in self.new:
            return stay
        fresh = exp.select(*(name.copy() for name in names)).from_(_t(f"{stream.name}_fresh$"))
        union = exp.Union(this=stay, expression=fresh, distinct=False)
        return exp.select("*").from_(exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("u"))))

    def orders(self, stream: Stream, columns: Sequence[str]) -> exp.Select:
        """Return the orders of the customers who arrived, with their refunds; the tables of both are current by now."""
        own = [name for name in columns if name not in ("pos", "refunds")]
        if self.derived is not None:
            of_theirs = semi_join(col("customer_id"), ARRIVED)
            self.engine.create("items_of$", exp.select("*").from_(_t("items")).where(of_theirs), temporary=True)
            select = derived_orders(stream, "items_of$", *self.derived)
            select = exp.select(*(col(name, "o") for name in own)).from_(select.subquery("o"))
        else:
            select = self.current(stream, own)
        self.engine.create("orders_rows$", select, temporary=True)
        made = exp.select(col("order_id"), col("key_space")).from_(_t("orders_rows$"))
        refunds = exp.select("*").from_(_t(REFUNDS.name)).where(_among(("order_id", "key_space"), made))
        self.engine.create(_WANTED_REFUNDS, refunds, temporary=True)
        return with_refunds(exp.select("*").from_(_t("orders_rows$")), _WANTED_REFUNDS)

    def know(self) -> None:
        """Work out anew since when the customers who arrived are known."""
        records = exp.select(col("customer_id"), col("customer_key")).from_(_t(_RECORDS_OF_ROWS))
        before = exp.select(col("customer_id"), col("customer_key")).from_(_t(KNOWN_CUSTOMERS))
        before = before.where(semi_join(col("customer_id"), ARRIVED))
        self.engine.create(IDS, exp.Union(this=records, expression=before, distinct=False), temporary=True)
        tables = [stream_table(name) for name in self.inputs.catalogue.streams]
        registered = "registered_at" in self.engine.columns(RECORDS)
        build_known_customers(self.engine, tables, True, registered, "known_put$", of=ARRIVED)
        self.replace(KNOWN_CUSTOMERS, "known_put$", ("customer_id", "customer_key", "known_since"))

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
