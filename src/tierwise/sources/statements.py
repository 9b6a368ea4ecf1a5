"""The SQL of one file's rows: what each column becomes, what is wrong with a row, what it is in a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import DECIMAL, INSTANT, MONEY, TEXT, Kind
from tierwise.definitions.language.times import Zone
from tierwise.definitions.language.typed import Apply, ColumnOf, Expr, walk_typed
from tierwise.definitions.model import Settings
from tierwise.definitions.sources import Source
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.sql import all_of, cast, col, fn, literal, null, number, physical, text, try_cast, when
from tierwise.sources.convert import Converter
from tierwise.sources.mapping import MappedStream, Mapping_

__all__ = ["SEPARATOR", "RowStatements", "columns_read", "missing", "named", "present", "subquery"]

SEPARATOR: Final = "\x1f"


class RowStatements:
    """Writes the SELECTs over the raw rows of one file: table ``raw$`` with columns f0$ … and line$.

    Args:
        source: how the file is declared.
        mapping: what its columns are mapped to.
        settings: the project's zone, currency and earliest day.
        received_at: when the file is read, naive UTC.
    """

    def __init__(self, source: Source, mapping: Mapping_, settings: Settings, received_at: datetime) -> None:
        self.source, self.mapping = source, mapping
        zone = Zone(source.zone or settings.timezone)
        self.clock = Clock(zone, received_at)
        self.converter = Converter(self.clock, source.numbers, settings.currency)
        self.earliest = zone.midnight(datetime.fromisoformat(settings.earliest).date())
        self.latest = received_at + timedelta(days=1)
        self.columns = {column: f"f{i}$" for i, column in enumerate(mapping.native)}
        self.prepared: dict[tuple[str, Kind, tuple[str, ...]], str] = {}

    def raw(self, column: str) -> exp.Expression:
        """A file's value, blank ones missing."""
        value: exp.Expression = col(self.columns[column], "r")
        if pa.types.is_string(self.mapping.native[column]):
            value = fn("nullif", fn("trim", value, text(" \t\r\n\u3000\u00a0")), text(""))
            for word in self.source.missing:
                value = fn("nullif", value, text(word))
        return value

    def typed(self, column: str, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A file's value as a kind: a column of `conversions`, converted once for all its uses."""
        formats = tuple(formats or self.source.formats.get(column, ()))
        name = self.prepared.setdefault((column, kind, formats), f"v{len(self.prepared)}$")
        return col(name, "r")

    def conversions(self) -> exp.Select:
        """Return the raw rows with every conversion that an expression asked for."""
        inner = exp.select("r.*").from_(named("raw$", "r"))
        outer = exp.select("r.*")
        for (column, kind, formats), name in self.prepared.items():
            native, raw = self.mapping.native[column], self.raw(column)
            if kind == INSTANT:
                wall, instant = self.converter.wall(raw, native, formats)
                inner = inner.select(wall.as_(f"w{name}", quoted=True), instant.as_(f"i{name}", quoted=True))
                local = self.clock.to_utc(col(f"w{name}", "r"), inline=True)
                value: exp.Expression = exp.Coalesce(this=col(f"i{name}", "r"), expressions=[local])
                outer = outer.select(value.as_(name, quoted=True))
            else:
                inner = inner.select(self.converter.convert(raw, native, kind, formats).as_(name, quoted=True))
        return outer.from_(inner.subquery("r"))

    def emitter(self) -> Emitter:
        """Return an emitter whose leaves are the file's columns."""

        def resolve(expr: Expr) -> exp.Expression:
            if isinstance(expr, Apply):  # to_number(column)
                return self.number(expr.args[0], emitter)
            assert isinstance(expr, ColumnOf)
            native = self.mapping.native[expr.column]
            if expr.kind == TEXT and pa.types.is_string(native):
                return self.raw(expr.column)
            return self.typed(expr.column, expr.kind)

        def lookup(table: str, key: exp.Expression, column: str, kind: Kind) -> exp.Expression:
            raise AssertionError("a source's scope has no lookups")

        emitter = Emitter(self.clock, resolve, {}, lookup)
        return emitter

    def number(self, expr: Expr, emitter: Emitter) -> exp.Expression:
        """Return a text that meets a number, read as one."""
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, DECIMAL)
        return self.converter.from_text(emitter.value(expr), DECIMAL)

    def value(self, expr: Expr, kind: Kind, formats: Sequence[str] = ()) -> exp.Expression:
        """A mapped value as its column's kind."""
        if isinstance(expr, ColumnOf):
            return self.typed(expr.column, kind, formats)
        value = self.emitter().value(expr)
        return value if kind == expr.kind else try_cast(value, physical(kind))

    def money(self, value: exp.Expression, kind: Kind) -> exp.Expression:
        """An amount in the project's currency."""
        currency = self.mapping.currency
        if kind != MONEY or currency is None or self.source.currency is None:
            return value
        rates = {name: str(rate) for name, rate in self.source.currency.rates.items()}
        return self.converter.rate(value, fn("upper", self.raw(currency)), rates)

    def key_part(self, column: str) -> exp.Expression:
        """Return a row key's column as text."""
        return exp.Coalesce(this=cast(self.raw(column), "VARCHAR"), expressions=[text("")])

    def customer_key(self, mapped: MappedStream) -> exp.Expression:
        """Return the customer's number as text."""
        assert mapped.customer is not None
        return self.value(mapped.customer, TEXT)

    # -- judging ----------------------------------------------------------------------------------------------------

    def judged(self) -> exp.Select:
        """Return every raw row with the first thing that is wrong with it (``column<US>reason``), or NULL."""
        branches: list[tuple[exp.Expression, exp.Expression]] = []
        emitter = self.emitter()
        for name, rule in self.mapping.exclude.items():
            branches.append((emitter.condition(rule), text(SEPARATOR + name)))
        taken: list[exp.Expression] = []
        for mapped in self.mapping.streams:
            takes = emitter.certain(mapped.where) if mapped.where is not None else exp.true()
            taken.append(takes)
            for condition, column, reason in self.checks(mapped):
                both = exp.And(this=takes.copy(), expression=exp.Paren(this=condition))
                branches.append((both, text(f"{column}{SEPARATOR}{reason}")))
        if taken and not any(isinstance(one, exp.Boolean) for one in taken):
            nobody = exp.Not(this=exp.Paren(this=exp.or_(*taken)))
            branches.append((nobody, text(f"{SEPARATOR}no_stream")))
        problem = when(branches) if branches else cast(null(), "VARCHAR")
        return exp.select("r.*", problem.as_("problem$", quoted=True)).from_(self.conversions().subquery("r"))

    def checks(self, mapped: MappedStream) -> Iterator[tuple[exp.Expression, str, str]]:
        """Yield (condition that is wrong, the file's column, reason) of a stream, in the order they are judged."""
        if mapped.customer is not None:
            yield missing(self.customer_key(mapped)), _column_of(mapped.customer), "missing_customer"
        if mapped.time is not None:
            time = self.value(mapped.time, INSTANT, mapped.time_formats)
            column = _column_of(mapped.time)
            if isinstance(mapped.time, ColumnOf):
                yield missing(self.raw(mapped.time.column)), column, "missing"
            yield missing(time), column, "not_a_date"
            yield exp.GT(this=time.copy(), expression=literal(self.latest, INSTANT)), column, "future"
            yield exp.LT(this=time.copy(), expression=literal(self.earliest, INSTANT)), column, "before_earliest"
        for target, (expr, kind, formats) in mapped.columns.items():
            column = _column_of(expr)
            value = self.value(expr, kind, formats)
            needed = target in mapped.stream.required
            for read in columns_read(expr):
                if needed:
                    yield missing(self.raw(read)), read, "missing"
            if kind != TEXT:
                filled = all_of([present(self.raw(read)) for read in columns_read(expr)])
                wrong = exp.And(this=filled, expression=missing(value)) if filled is not None else missing(value)
                if isinstance(expr, ColumnOf) or kind.is_number:
                    yield wrong, column, self.converter.reason(kind)
            if kind == MONEY and self.mapping.currency is not None:
                yield (
                    exp.And(this=present(value.copy()), expression=missing(self.money(value.copy(), kind))),
                    self.mapping.currency,
                    "unknown_currency",
                )
            if target == "amount" and mapped.stream.name in ("orders", "refunds"):
                yield exp.LT(this=value.copy(), expression=number(0)), column, "negative"
        keyless = all_of([missing(self.raw(column)) for column in mapped.row_key])
        if keyless is not None:
            yield keyless, ", ".join(mapped.row_key), "missing"

    def select(self, mapped: MappedStream) -> exp.Select:
        """Return the accepted rows of the current batch as rows of a stream, with their keys and hashes."""
        values: dict[str, exp.Expression] = {}
        if mapped.customer is not None:
            values["customer_key"] = self.customer_key(mapped)
        values["time"] = (
            self.value(mapped.time, INSTANT, mapped.time_formats)
            if mapped.time is not None
            else cast(null(), "TIMESTAMP")
        )
        for target, (expr, kind, formats) in mapped.columns.items():
            value = self.money(self.value(expr, kind, formats), kind)
            values[target] = cast(value, physical(kind))
        inner = exp.select(*(value.as_(name, quoted=True) for name, value in values.items()), col("line$", "r"))
        if mapped.row_key:
            key = fn("concat_ws", text("|"), *map(self.key_part, mapped.row_key))
        else:
            read = [name for name in self.mapping.native if name not in self.mapping.personal]
            parts = [
                exp.Coalesce(this=cast(col(self.columns[name], "r"), "VARCHAR"), expressions=[text("")])
                for name in read
            ]
            key = fn("md5", fn("concat_ws", text(SEPARATOR), *parts))
        inner = (
            inner.select(key.as_("row_key"))
            .from_(named("judged$", "r"))
            .where(exp.Is(this=col("problem$", "r"), expression=null()))
        )
        if mapped.where is not None:
            inner = inner.where(self.emitter().condition(mapped.where))
        contents: list[exp.Expression] = [text(self.source.key_space), text(",".join(sorted(values)))]
        contents += [exp.Coalesce(this=cast(col(n), "VARCHAR"), expressions=[text("\x1e")]) for n in sorted(values)]
        content = fn("md5", fn("concat_ws", text(SEPARATOR), *contents))
        return exp.select("*", content.as_("content_hash")).from_(inner.subquery("v"))


def named(name: str, alias: str = "") -> exp.Table:
    """Return a table by its name."""
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )


def subquery(query: exp.Expression) -> exp.Subquery:
    """Return a query as a table."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier("u")))


def missing(value: exp.Expression) -> exp.Expression:
    """Return that a value is NULL."""
    return exp.Paren(this=exp.Is(this=exp.Paren(this=value), expression=null()))


def present(value: exp.Expression) -> exp.Expression:
    """Return that a value is not NULL."""
    return exp.Not(this=missing(value))


def columns_read(expr: Expr) -> list[str]:
    """Return the file's columns an expression reads."""
    return list(dict.fromkeys(part.column for part in walk_typed(expr) if isinstance(part, ColumnOf)))


def _column_of(expr: Expr) -> str:
    return ", ".join(columns_read(expr))
